"""One entry for the limits of three services."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.converge import converge
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.export import Choice, Exporter
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator

from .conftest import Desk

WEB: dict[str, Any] = {
    "projects": ["web"],
    "quotas": [
        {"project": "web", "cores": 8, "ram": 4096, "gigabytes": 50, "volume_groups": 2, "networks": 3, "ports": -1}
    ],
}


def with_limits(**limits: int) -> dict[str, Any]:
    return {"projects": ["web"], "quotas": [{"project": "web", **limits}]}


def test_a_new_project_gets_its_limits_in_each_service(desk: Desk) -> None:
    planned = desk.run(WEB, check=True)
    assert not desk.cloud.writes()
    done = desk.run(WEB)
    assert done["changes"] == planned["changes"] == ["create project web", "create quota web"]
    project = desk.one("project", name="web")["id"]
    assert desk.cloud.extra["compute_quotas"][project] == {"cores": 8, "ram": 4096}
    assert desk.cloud.extra["volume_quotas"][project] == {"gigabytes": 50, "groups": 2}
    assert desk.cloud.extra["network_quotas"][project] == {"network": 3, "port": -1}
    assert not desk.run(WEB)["changed"]
    assert not desk.cloud.writes()


def test_only_services_whose_limits_are_named_are_asked(desk: Desk) -> None:
    desk.run(with_limits(cores=3))
    assert desk.run(with_limits(cores=4))["changes"] == ["update quota web: cores 3 -> 4"]
    assert {call.service for call in desk.cloud.calls} == {"identity", "compute"}


def test_the_use_is_asked_for_only_where_a_limit_is_to_change(desk: Desk) -> None:
    def uses() -> list[str]:
        return [call.service for call in desk.cloud.calls if "detail" in call.path or "usage" in str(call.query)]

    desk.run(with_limits(cores=3, volumes=3, networks=3))
    desk.run(with_limits(cores=3, volumes=3, networks=3))
    assert not uses()
    desk.run(with_limits(cores=4, volumes=4, networks=4))
    assert sorted(uses()) == ["compute", "network", "volume"]


def test_a_limit_is_raised_before_what_needs_it_is_made(desk: Desk) -> None:
    desk.run(with_limits(networks=0))
    document = with_limits(networks=3) | {"networks": [{"name": f"n{i}", "project": "web"} for i in range(3)]}
    desk.cloud.fault(method="PUT", path="/v2.0/quotas", delay=0.3)
    assert len(desk.run(document)["changes"]) == 4


def test_the_network_lists_the_limits_of_many_projects_at_once(desk: Desk) -> None:
    document = {
        "projects": ["a", "b", "c"],
        "quotas": [{"project": name, "networks": 5} for name in ("a", "b", "c")],
    }
    desk.run(document)
    assert not desk.run(document)["changed"]
    assert desk.cloud.count("GET", type="network_quota") == 1


def test_the_login_s_own_project_is_meant_without_one(desk: Desk) -> None:
    assert desk.run({"quotas": [{"cores": 30}]})["changes"][0].endswith("cores 20 -> 30")
    assert desk.cloud.extra["compute_quotas"][desk.cloud.admin_project] == {"cores": 30}


@pytest.mark.parametrize(
    ("key", "made"),
    [
        ("networks", ("network", {"project_id": "?"})),
        ("volumes", ("volume", {"os-vol-tenant-attr:tenant_id": "?", "size": 1})),
        ("instances", ("server", {"tenant_id": "?", "flavor": {"vcpus": 1, "ram": 1}})),
    ],
)
def test_a_limit_below_the_use_is_refused_before_any_change(
    desk: Desk, key: str, made: tuple[str, dict[str, Any]]
) -> None:
    desk.run(with_limits(**{key: 5}))
    project = desk.one("project", name="web")["id"]
    for _ in range(2):
        desk.cloud.put(made[0], **{name: project if value == "?" else value for name, value in made[1].items()})
    (error,) = desk.refuse({**with_limits(**{key: 1}), "roles": ["new"]})
    assert (error["path"], error["resource"]) == (f"quotas[0].{key}", "quota web")
    assert "The limit 1 is below the use: 2 are in use." in error["cause"]
    assert not desk.cloud.writes()
    assert desk.run(with_limits(**{key: 2}))["changed"]
    assert desk.run(with_limits(**{key: -1}))["changed"]


def test_a_limit_of_a_service_that_is_not_there_is_refused(desk: Desk) -> None:
    with CloudSimulator(services=("identity", "network")) as small:
        login = type(desk.login)(auth=small.login["auth"], auth_type="password", region_name=small.region)
        result, failure = converge(login, with_limits(cores=1, networks=1), desk.options)
        assert failure is not None
        (error,) = result["errors"]
        assert error["path"] == "quotas[0].cores"
        assert "offers no service of type compute" in error["cause"]
        assert not small.writes()


def test_a_quota_cannot_be_removed_and_stays_when_the_document_goes(desk: Desk) -> None:
    desk.run(WEB)
    assert "cannot be removed" in desk.refuse({"quotas": [{"project": "web", "state": "absent"}]})[0]["cause"]
    assert desk.run(WEB, state="absent")["changes"] == ["delete project web"]


@pytest.mark.parametrize("limit", [-2, "many"])
def test_a_limit_is_a_number(desk: Desk, limit: Any) -> None:
    assert desk.refuse({"quotas": [{"cores": limit}]})[0]["path"] == "quotas[0].cores"


def test_an_export_tells_of_projects_with_limits_of_their_own(desk: Desk) -> None:
    desk.run(WEB)
    export = Exporter(Cloud(desk.login), Choice()).export()
    (quota,) = export.document["quotas"]
    assert (quota["project"], quota["cores"], quota["networks"]) == ("web", 8, 3)
    assert not desk.run({"quotas": [quota]})["changed"]
