"""Converging identity content against the simulated cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.converge import Options, converge
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator

DOCUMENT: dict[str, Any] = {
    "domains": [{"name": "customers"}],
    "projects": [{"name": "web", "domain": "customers", "description": "Sites"}],
    "users": [{"name": "alice", "domain": "customers", "password": "Xy7-secret-1", "default_project": "web"}],
    "groups": [{"name": "staff", "domain": "customers"}],
    "roles": ["auditor"],
    "role_assignments": [
        {"role": "auditor", "user": "alice", "project": "web"},
        {"role": "auditor", "group": "staff", "domain": "customers"},
    ],
    "regions": [{"name": "North"}],
    "services": [{"name": "swift2", "type": "object-store2", "description": "Objects"}],
    "endpoints": [
        {"service": "object-store2", "interface": "public", "region": "North", "url": "http://127.0.0.1:8080/v1"},
    ],
}


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A simulated cloud; ledgers go to a directory of the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with CloudSimulator() as simulator:
        yield simulator


def run(cloud: CloudSimulator, document: Any, **options: Any) -> dict[str, Any]:
    """Apply a document that must succeed."""
    result, failure = converge(login(cloud), document, Options(**options))
    assert failure is None, failure
    return result


def refuse(cloud: CloudSimulator, document: Any, **options: Any) -> list[dict[str, str]]:
    """Apply a document that must be refused; return the errors."""
    result, failure = converge(login(cloud), document, Options(**options))
    assert failure is not None
    errors: list[dict[str, str]] = result["errors"]
    return errors


def login(cloud: CloudSimulator) -> Login:
    return Login(auth=cloud.login["auth"], region_name=cloud.login.get("region_name", ""))


def test_second_run_is_empty_and_the_plan_is_what_happens(cloud: CloudSimulator) -> None:
    planned = run(cloud, DOCUMENT, check=True)
    assert cloud.writes() == []
    first = run(cloud, DOCUMENT)
    assert [entry["path"] for entry in planned["plan"]] == [entry["path"] for entry in first["plan"]]
    assert len(first["changes"]) == 10
    cloud.forget_calls()
    second = run(cloud, DOCUMENT)
    assert (second["changed"], second["plan"]) == (False, [])
    assert cloud.writes() == []


def test_update_names_before_and_after(cloud: CloudSimulator) -> None:
    run(cloud, DOCUMENT)
    changed = {**DOCUMENT, "projects": [{"name": "web", "domain": "customers", "description": "Shops"}]}
    assert run(cloud, changed)["changes"] == ["update project web: description Sites -> Shops"]


def test_everything_named_is_removed(cloud: CloudSimulator) -> None:
    run(cloud, DOCUMENT)
    document = {key: value for key, value in DOCUMENT.items() if key != "role_assignments"}
    assert run(cloud, document, state="absent")["changed"]
    assert not cloud.find("project", name="web")
    assert not run(cloud, document, state="absent")["changed"]


def test_prune_removes_only_what_the_document_made(cloud: CloudSimulator) -> None:
    cloud.put("project", name="foreign", domain_id="default", tags=[])
    run(cloud, {"projects": [{"name": "one"}, {"name": "two"}], "users": [{"name": "eve"}]}, owner="site")
    lines = run(cloud, {"projects": ["one"]}, owner="site", prune="owned")["changes"]
    assert sorted(lines) == [
        "delete project two (no longer in the document)",
        "delete user eve (no longer in the document)",
    ]
    assert cloud.find("project", name="foreign")


def test_password_is_changed_only_when_it_is_wrong_and_never_shown(cloud: CloudSimulator) -> None:
    user = {"name": "bob", "password": "First-pass-9", "update_password": "always"}
    run(cloud, {"users": [user]})
    assert not run(cloud, {"users": [user]})["changed"]
    result = run(cloud, {"users": [{**user, "password": "Second-pass-9"}]})
    assert result["changes"] == ["update user bob: password (another) -> (secret)"]
    assert "pass-9" not in json.dumps(result)
    kept = {**user, "password": "Third-pass-9", "update_password": "on_create"}
    assert not run(cloud, {"users": [kept]})["changed"]


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        ({"project": []}, "project", "Did you mean 'projects'?"),
        ({"projects": [{"name": "a", "descripton": "b"}]}, "projects[0].descripton", "Did you mean 'description'?"),
        ({"projects": [{"description": "b"}]}, "projects[0]", "The key 'name' is missing."),
        ({"projects": [{"name": "a", "enabled": "perhaps"}]}, "projects[0].enabled", "True or false is wanted"),
        ({"projects": [{"name": "a"}, {"name": "a"}]}, "projects[1]", "The same resource as projects[0]."),
        ({"users": [{"name": "a", "default_project": "admn"}]}, "users[0].default_project", "Did you mean 'admin'?"),
        (
            {"projects": [{"name": "a", "parent": "b"}, {"name": "b", "parent": "a"}]},
            "projects[0]",
            "projects[0] -> projects[1] -> projects[0]",
        ),
        ({"role_assignments": [{"role": "admin", "user": "admin"}]}, "role_assignments[0]", "Exactly one of project"),
    ],
)
def test_bad_documents_are_refused_before_any_change(
    cloud: CloudSimulator, document: Any, path: str, words: str
) -> None:
    errors = refuse(cloud, document)
    assert errors[0]["path"] == path
    assert words in f"{errors[0]['cause']} {errors[0]['mend']}"
    assert cloud.writes() == []


def test_immutable_change_needs_leave_to_replace(cloud: CloudSimulator) -> None:
    run(cloud, {"projects": [{"name": "top"}, {"name": "low"}]})
    document = {"projects": [{"name": "top"}, {"name": "low", "parent": "top"}]}
    assert "replace: true" in refuse(cloud, document)[0]["mend"]
    assert run(cloud, document, replace=True)["changes"][0].startswith("replace project low")
    assert not run(cloud, document)["changed"]


def test_a_fault_in_the_middle_is_named_and_a_rerun_finishes(cloud: CloudSimulator) -> None:
    cloud.fault(method="POST", service="identity", path="/users", status=500, times=1)
    document = {"projects": ["one"], "users": ["eve"]}
    error = refuse(cloud, document)[0]
    assert (error["path"], error["resource"]) == ("users[0]", "user eve")
    assert "500" in error["cause"]
    assert run(cloud, document)["changes"] == ["create user eve"]
    assert len(cloud.find("project", name="one")) == 1


def test_a_wrong_password_of_the_login_is_said_plainly(cloud: CloudSimulator) -> None:
    auth = {**cloud.login["auth"], "password": "no"}
    result, failure = converge(Login(auth=auth), {"projects": ["a"]}, Options())
    assert failure is not None
    assert "refuses the login (401)" in result["errors"][0]["cause"]


def options_of(cloud: CloudSimulator, name: str) -> dict[str, Any]:
    """A user's options as the service keeps them."""
    (user,) = [one for one in cloud.objects["user"].values() if one["name"] == name]
    found: dict[str, Any] = user["options"]
    return found


def test_options_of_a_user_are_merged_and_compared_by_name(cloud: CloudSimulator) -> None:
    exempt = {"ignore_lockout_failure_attempts": True}
    run(cloud, {"users": [{"name": "robot", "options": exempt}]})
    assert options_of(cloud, "robot") == exempt
    assert not run(cloud, {"users": [{"name": "robot", "options": exempt}]})["changed"]
    # what the entry does not name is somebody else's
    run(cloud, {"users": [{"name": "robot", "options": {"lock_password": True}}]})
    assert options_of(cloud, "robot") == {**exempt, "lock_password": True}
    run(cloud, {"users": [{"name": "robot", "options": {"lock_password": None}}]})
    assert options_of(cloud, "robot") == exempt
    assert not run(cloud, {"users": [{"name": "robot"}]})["changed"]


def test_option_that_no_user_has_is_refused_before_the_first_change(cloud: CloudSimulator) -> None:
    document = {
        "users": [{"name": "robot", "options": {"ignore_lockout_failures_attempts": True, "lock_password": "yes"}}]
    }
    told = [str(error) for error in refuse(cloud, document)]
    assert any("Did you mean 'ignore_lockout_failure_attempts'?" in line for line in told)
    assert any("lock_password must be true or false." in line for line in told)
    assert cloud.writes() == []
