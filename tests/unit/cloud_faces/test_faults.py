"""Bad input and faults of the cloud, through the real module: what operators read, and that a rerun finishes the
work."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .conftest import Desk, Played

WRITES = "/v3/(?!auth)."


def converge(desk: Desk, document: Any, **options: Any) -> Played:
    """One task with cloud_state. Nothing that Python says of itself may reach the operator."""
    done = desk.play({"stackwright.cloud.cloud_state": {"document": document, **options}})
    assert "Traceback" not in done.output, done.output
    return done


def told(done: Played) -> str:
    """The message of a task that failed; nothing was changed unless it says so."""
    assert done.code, done.output
    return str(done.results[0]["msg"])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"projcts": ["a"]}, "projcts: Unknown resource type 'projcts'. Did you mean 'projects'?"),
        (
            {"projects": [{"name": "a", "descrption": "x"}]},
            "projects[0].descrption: Unknown key 'descrption'. Did you mean 'description'?",
        ),
        (
            {"projects": [{"name": "a", "enabled": "maybe"}]},
            "projects[0].enabled: True or false is wanted, not 'maybe'. Write true or false; 'enabled' "
            "means: Whether it can be used.",
        ),
        ({"users": [{"domain": "Default"}]}, "users[0] (user Default): The key 'name' is missing."),
        ({"projects": ["a", "a"]}, "projects[1] (project a): The same resource as projects[0]. Remove one of the two."),
        (
            {"users": [{"name": "alice", "default_project": "wbe"}], "projects": ["web"]},
            "users[0].default_project (user alice): There is no project 'wbe', neither in the document "
            "nor in the cloud. "
            "Did you mean 'web'?",
        ),
        (
            {"projects": [{"name": "a", "parent": "b"}, {"name": "b", "parent": "a"}]},
            "projects[0] (project a): Entries refer to each other in a circle: projects[0] -> "
            "projects[1] -> projects[0]. "
            "Remove one of these references.",
        ),
    ],
)
def test_a_wrong_document_is_refused_before_any_change(desk: Desk, document: Any, message: str) -> None:
    assert told(converge(desk, document)) == message
    assert not desk.cloud.writes()


def test_every_fault_is_told_at_once(desk: Desk) -> None:
    done = converge(desk, {"projects": [{"nam": "a"}], "users": [{"name": "b", "defalt_project": "a"}]})
    assert [error["path"] for error in done.results[0]["errors"]] == [
        "projects[0].nam",
        "projects[0]",
        "users[0].defalt_project",
    ]


def test_an_ambiguous_name_lists_the_candidates(desk: Desk) -> None:
    for domain in ("east", "west"):
        place = desk.cloud.put("domain", name=domain)["id"]
        desk.cloud.put("project", name="web", domain_id=place)
    entry = {"role": "member", "user": "admin", "project": "web"}
    message = told(converge(desk, {"role_assignments": [entry]}))
    ids = sorted(project["id"] for project in desk.cloud.find("project", name="web"))
    assert (
        f"role_assignments[0].project (role assignment member admin web): The project 'web' is "
        f"ambiguous: {', '.join(ids)}." in message
    )
    assert "a mapping with name and domain" in message
    exact = {**entry, "project": {"name": "web", "domain": "west"}}
    assert converge(desk, {"role_assignments": [exact]}).code == 0


@pytest.mark.parametrize(
    ("login", "message"),
    [
        ({"cloud": "simulted"}, "Cloud simulted was not found. Did you mean 'simulated'?"),
        (
            {"cloud": None, "auth": {"password": "wrong"}},
            "refuses the login (401). Check username, password, project and their domains.",
        ),
        ({"cloud": None, "auth": {"auth_url": "http://127.0.0.1:9/v3"}}, "Check auth_url, and that the service runs."),
        (
            {"region_name": "Nowhere"},
            "Region Nowhere is not a valid region name for cloud simulated. Valid choices are RegionOne.",
        ),
    ],
)
def test_a_wrong_login_is_told_and_its_password_is_not(desk: Desk, login: dict[str, Any], message: str) -> None:
    if "auth" in login:
        login = {**login, "auth": {**desk.cloud.login["auth"], **login["auth"]}}
    done = converge(desk, {"projects": ["a"]}, **login)
    assert message in told(done) and "Did you mean 'simulated'" not in told(done).removesuffix(message)
    assert "'secret'" not in done.output and "wrong" not in str(done.results)


def test_an_expired_token_is_renewed(desk: Desk) -> None:
    desk.cloud.fault(method="write", path=WRITES, status=401, times=1, skip=1)
    done = converge(desk, {"projects": ["a", "b", "c"]})
    assert done.code == 0 and len(done.results[0]["changes"]) == 3


def test_a_token_that_is_refused_for_good_is_told(desk: Desk) -> None:
    desk.cloud.fault(method="write", path=WRITES, status=401, times=0)
    assert "answered 401" in told(converge(desk, {"projects": ["a"]}))
    desk.cloud.heal()
    assert converge(desk, {"projects": ["a"]}).results[0]["changes"] == ["create project a"]


def test_a_cloud_that_goes_away_in_the_middle_is_finished_later(desk: Desk) -> None:
    document = {"projects": ["a", "b", "c"], "groups": [{"name": "g"}]}
    desk.cloud.fault(method="write", path=WRITES, drop="after", times=0, skip=1)
    done = converge(desk, document, parallel=1)
    assert "no answer" in told(done) and "then run again" in told(done)
    assert done.results[0]["changed"] and done.results[0]["changes"] == ["create project a"]
    desk.cloud.heal()
    again = converge(desk, document)
    assert again.code == 0 and "create project a" not in again.results[0]["changes"]
    assert not converge(desk, document).results[0]["changed"]
    for name in ("a", "b", "c"):
        assert len(desk.cloud.find("project", name=name)) == 1


def test_an_error_of_the_service_is_told_in_its_own_words(desk: Desk) -> None:
    desk.cloud.fault(method="POST", path="/v3/projects", status=403, message="Policy forbids it.", times=0)
    done = converge(desk, {"projects": ["a"], "groups": [{"name": "g"}]})
    assert "projects[0] (project a): POST" in told(done) and "answered 403: Policy forbids it." in told(done)
    assert done.results[0]["changes"] == ["create group g"], "what does not depend on it is done all the same"


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Files with a certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


def test_only_the_given_authority_is_trusted(tmp_path: Path) -> None:
    right, key = certificate(tmp_path, "right")
    other, _ = certificate(tmp_path, "other")
    cloud = CloudSimulator()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(right, key)
    cloud.server.socket = context.wrap_socket(cloud.server.socket, server_side=True)
    for endpoint in cloud.all("endpoint"):
        cloud.objects["endpoint"][endpoint["id"]]["url"] = endpoint["url"].replace("http:", "https:")
    cloud.url = cloud.server.url = cloud.url.replace("http:", "https:")
    with cloud:
        desk = Desk(cloud, tmp_path)
        for options in ({}, {"ca_cert": str(other)}):
            message = told(converge(desk, {"projects": ["a"]}, **options))
            assert message.startswith(f"The certificate of {cloud.url}") and "is not trusted" in message
            assert "Give the authority that signed it with ca_cert." in message
        assert converge(desk, {"projects": ["a"]}, ca_cert=str(right)).results[0]["changed"]
        assert not converge(desk, {"projects": ["a"]}, validate_certs=False).results[0]["changed"]
