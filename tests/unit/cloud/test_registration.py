"""Services are registered with the identity service as their specifications say, by the engine and with nothing but an
address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.converge import Options, converge
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive, plan
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import split_term
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator
from ansible_collections.stackwright.cloud.tests.role_variables import component

# Whatever a controller carries by default: a new service is registered here without a word.
SERVICES = yaml.safe_load(
    (Path(__file__).parents[3] / "roles/controller/defaults/main.yml").read_text(encoding="utf-8")
)["controller_services"]
VARIABLES = {
    "stackwright_region": "North",
    "stackwright_internal_address": "192.0.2.10",
    "stackwright_public_address": "198.51.100.10",
}


def document(**variables: str) -> dict[str, Any]:
    """What the roles' specifications register on a controller."""
    parts = [derive.Derived(**component(*split_term(term), **{**VARIABLES, **variables})) for term in SERVICES]
    combined: dict[str, Any] = plan.combine(parts)["identity"]
    return combined


@pytest.fixture
def cloud() -> Iterator[CloudSimulator]:
    """An identity service as its bootstrap leaves it: with a catalogue that leads nowhere."""
    with CloudSimulator(services=("identity",), region="North") as simulator:
        for endpoint in simulator.all("endpoint"):
            endpoint["url"] = "http://127.0.0.1:9/nowhere"
        yield simulator


def register(cloud: CloudSimulator, wanted: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Apply a document as the role does, without owner and ledger; it must succeed."""
    login = Login(
        auth={
            "auth_url": cloud.login["auth"]["auth_url"],
            "username": "admin",
            "password": "secret",
            "project_name": "admin",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
        endpoint_overrides={"identity": cloud.login["auth"]["auth_url"]},
    )
    result, failure = converge(login, wanted, Options(**options))
    assert failure is None, failure
    return result


def test_the_specifications_are_a_document_that_is_registered_once(cloud: CloudSimulator) -> None:
    wanted = document()
    planned = register(cloud, wanted, check=True)["changes"]
    assert cloud.writes() == []
    assert sorted(register(cloud, wanted)["changes"]) == sorted(planned)
    names = {one["name"] for one in wanted["services"]}
    assert names >= {"glance", "nova"}
    assert {s["name"] for s in cloud.all("service")} == {"keystone", *names}
    ours = [e for e in cloud.all("endpoint") if e["url"].startswith(("https://192.0.2.10:", "https://198.51.100.10:"))]
    assert len(ours) == len(wanted["endpoints"]) == 2 * len(names)
    users = [one["name"] for one in wanted["users"] if "password" in one]
    for name in users:
        (user,) = cloud.find("user", name=name)
        assert (user["domain_id"], user["_password"]) == ("default", f"the-{name}_identity")
    (project,) = cloud.find("project", name="service")
    granted = [g for g in cloud.extra["assignments"] if g[4] == project["id"]]
    assert len(granted) == len(wanted["role_assignments"]) == 2 * len(users)
    cloud.forget_calls()
    again = register(cloud, document())
    assert (again["changed"], cloud.writes()) == (False, [])
    # One login, one list for each type and one login to prove each password.
    assert again["calls"] <= 1 + 8 + len(users)


def test_an_empty_catalogue_is_no_obstacle(cloud: CloudSimulator) -> None:
    cloud.objects["endpoint"].clear()
    cloud.objects["service"].clear()
    assert register(cloud, document())["changed"]
    assert not register(cloud, document())["changed"]


def test_a_rotated_password_is_changed_and_no_other(cloud: CloudSimulator) -> None:
    register(cloud, document())
    cloud.find("user", name="nova")[0]["_password"] = "of former times"
    result = register(cloud, document())
    assert result["changes"] == ["update user nova: password (another) -> (secret)"]
    assert "the-nova" not in json.dumps(result)
    assert cloud.find("user", name="nova")[0]["_password"] == "the-nova_identity"
    assert not register(cloud, document())["changed"]


def test_a_new_address_is_put_into_the_endpoint_that_is_there(cloud: CloudSimulator) -> None:
    register(cloud, document())
    before = {e["id"] for e in cloud.all("endpoint")}
    result = register(cloud, document(stackwright_public_address="cloud.example.com"))
    assert len(result["changes"]) == len(document()["services"])
    assert (
        "update endpoint glance public North: url https://198.51.100.10:9292 -> https://cloud.example.com:9292"
        in result["changes"]
    )
    assert {e["id"] for e in cloud.all("endpoint")} == before
    assert len(cloud.find("endpoint", url="https://cloud.example.com:9292")) == 1


def test_what_others_registered_is_left_alone(cloud: CloudSimulator) -> None:
    domain = cloud.put("domain", name="customers")["id"]
    theirs = [
        cloud.put("service", name="billing", type="rating"),
        cloud.put("user", name="glance", domain_id=domain, _password="theirs"),
        cloud.put("project", name="service", domain_id=domain, parent_id=domain, description="Theirs"),
    ]
    before = json.dumps(theirs)
    register(cloud, document())
    assert not register(cloud, document())["changed"]
    assert json.dumps(theirs) == before


def test_a_refusal_is_told_at_once(cloud: CloudSimulator) -> None:
    cloud.fault(method="GET", service="identity", path="/users", status=403, times=0)
    pauses: list[float] = []
    login = Login(auth=cloud.login["auth"], endpoint_overrides={"identity": cloud.login["auth"]["auth_url"]})
    _, failure = converge(login, document(), Options(), lambda login: Cloud(login, sleep=pauses.append))
    assert "answered 403" in str(failure)
    assert not pauses


def test_users_of_other_domains_are_not_even_listed(cloud: CloudSimulator) -> None:
    domain = cloud.put("domain", name="customers")["id"]
    for number in range(50):
        cloud.put("user", name=f"customer-{number}", domain_id=domain)

    register(cloud, document())
    (call,) = {c.query for c in cloud.calls if c.type == "user" and c.method == "GET"}
    assert "domain_id" in call


def test_a_misspelt_service_of_an_override_is_named(cloud: CloudSimulator) -> None:
    _, failure = converge(Login(auth=cloud.login["auth"], endpoint_overrides={"identty": "http://x"}), {}, Options())
    assert failure is not None
    assert "Did you mean 'identity'?" in str(failure)
