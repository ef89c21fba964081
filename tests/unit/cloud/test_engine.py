"""What the engine does about load, faults and interruptions, whatever the type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.execute import Step, run_steps
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import CloudError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import Item
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_NAME

from .conftest import Desk


@pytest.mark.parametrize(("status", "retry_after", "pause"), [(429, 7, 7.0), (503, 3, 3.0), (503, None, 1.0)])
def test_a_login_waits_for_a_busy_identity_service(
    desk: Desk, status: int, retry_after: int | None, pause: float
) -> None:
    desk.cloud.fault(method="POST", path="/auth/tokens", status=status, retry_after=retry_after, times=2)
    desk.run({"projects": ["one"]})
    assert desk.pauses == [pause, pause]


def test_a_login_that_stays_refused_says_so(desk: Desk) -> None:
    desk.cloud.fault(method="POST", path="/auth/tokens", status=503, times=0)
    assert "does not answer" in desk.refuse({"projects": ["one"]})[0]["cause"]
    assert len(desk.pauses) == 5


def test_a_token_that_expires_under_load_is_renewed(desk: Desk) -> None:
    desk.cloud.fault(method="GET", path="/v3/projects", status=401, times=1)
    desk.cloud.fault(method="POST", path="/auth/tokens", skip=1, status=429, retry_after=2, times=1)
    desk.run({"projects": ["one"]})
    assert desk.pauses == [2.0]


def test_a_refused_login_names_what_else_looks_like_a_wrong_password(desk: Desk) -> None:
    desk.one("user", name="admin")["enabled"] = False
    assert "locked" in desk.refuse({"projects": ["one"]})[0]["mend"]


def test_a_fault_of_our_own_is_a_message_with_its_place() -> None:
    item = Item(BY_NAME["project"], "projects[0]", {"name": "web"})

    def work() -> None:
        raise KeyError("tags")

    (problem,) = run_steps([Step(item, work)], 1)
    assert (problem.where, problem.about) == ("projects[0]", "project web")
    assert "Unforeseen KeyError (test_engine.py:" in problem.cause


def test_an_answer_that_is_no_answer_ends_in_a_message(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cloud, "require", lambda *_: 1 / 0)
    error = desk.refuse({"projects": ["one"]})[0]
    assert "Unforeseen ZeroDivisionError (test_engine.py:" in error["cause"]
    assert "report it" in error["mend"]


def test_a_locked_account_is_no_wrong_password(desk: Desk) -> None:
    user = {"name": "bob", "password": "First-pass-9", "update_password": "always"}
    desk.run({"users": [user]})
    desk.cloud.fault(
        method="POST", path="/auth/tokens", skip=1, status=401, message="The account is locked for user: bob."
    )
    error = desk.refuse({"users": [user]})[0]
    assert "locked" in error["cause"]
    assert error["resource"] == "user bob"
    assert desk.cloud.count("PATCH") == 0


def test_a_wrong_password_costs_the_account_one_failed_login(desk: Desk) -> None:
    user = {"name": "bob", "password": "First-pass-9", "update_password": "always"}
    desk.run({"users": [user]})
    assert desk.run({"users": [{**user, "password": "Second-pass-9"}]}, check=True)["changed"]
    assert [call.status for call in desk.cloud.calls if call.path.endswith("/auth/tokens")] == [201, 401]


@pytest.mark.parametrize("owner", ["two words", "a,b", "a/b", "x" * 41])
def test_an_owner_that_no_tag_can_hold_is_refused_before_the_first_call(desk: Desk, owner: str) -> None:
    assert "cannot be an owner" in str(desk.refuse({"projects": [{"name": "one"}]}, owner=owner))
    assert not desk.cloud.find("project", name="one")


# Interrupted runs ----------------------------------------------------------------------------------------------------
ONE: dict[str, Any] = {"projects": [{"name": "one", "description": "first"}]}


def test_what_a_broken_run_made_is_adopted_once_and_pruned(desk: Desk) -> None:
    document = {"networks": ["one"]}
    desk.cloud.fault(method="POST", path="/v2.0/networks", drop="after")
    desk.refuse(document)
    assert desk.one("network", name="one")["tags"] == []
    checked = desk.run(document, check=True)
    assert not checked["changed"] and not desk.cloud.writes()
    assert not desk.run(document)["changed"]
    assert desk.one("network", name="one")["tags"] == ["stackwright-owner=shop"]
    desk.run(document)
    assert not desk.cloud.writes()
    assert desk.run({}, prune="owned")["changes"] == ["delete network one (no longer in the document)"]


def test_a_project_without_tags_is_born_with_its_mark_alone(desk: Desk) -> None:
    desk.run({"projects": [{"name": "one", "tags": None}]})
    assert desk.one("project", name="one")["tags"] == ["stackwright-owner=shop"]


def test_a_project_is_born_with_its_mark(desk: Desk) -> None:
    desk.cloud.fault(method="POST", path="/v3/projects", drop="after")
    desk.refuse({"projects": [{"name": "one", "tags": ["gold"]}]})
    assert desk.one("project", name="one")["tags"] == ["gold", "stackwright-owner=shop"]
    assert not desk.run({"projects": [{"name": "one", "tags": ["gold"]}]})["changed"]
    assert not desk.cloud.writes()


def test_what_a_broken_run_made_is_pruned_though_the_document_has_changed(desk: Desk) -> None:
    desk.cloud.fault(method="POST", path="/v3/roles", drop="after")
    desk.refuse({"roles": ["auditor"]})
    assert desk.run({}, prune="owned")["changes"] == ["delete role auditor (no longer in the document)"]
    assert not desk.run({}, prune="owned")["changed"]


def test_what_somebody_else_makes_later_is_not_adopted(desk: Desk) -> None:
    desk.cloud.fault(method="POST", path="/v3/roles", drop="before")
    desk.refuse({"roles": ["auditor"]})
    desk.run({"roles": ["other"]})
    desk.cloud.put("role", name="auditor")
    desk.run({"roles": ["other", "auditor"]})
    desk.run({}, prune="owned")
    assert desk.cloud.find("role", name="auditor")


def test_a_refused_request_leaves_nothing_to_look_for(desk: Desk) -> None:
    desk.cloud.fault(method="POST", path="/v3/roles", status=400)
    desk.refuse({"roles": ["auditor"]})
    desk.cloud.put("role", name="auditor")
    desk.run({"roles": ["auditor"]})
    desk.run({}, prune="owned")
    assert desk.cloud.find("role", name="auditor")


def test_a_damaged_ledger_is_named_with_its_line(desk: Desk) -> None:
    desk.run({"roles": ["auditor"]})
    path = Path(desk.options.ledger)
    path.write_text("{broken\n" + path.read_text())
    assert f"Line 1 of the ledger {path}" in desk.refuse({"roles": ["auditor"]})[0]["cause"]


def test_the_last_line_of_a_ledger_may_be_cut_off(desk: Desk) -> None:
    desk.run({"roles": ["auditor"]})
    path = Path(desk.options.ledger)
    path.write_text(path.read_text() + '["made", "ro')
    assert not desk.run({"roles": ["auditor"]})["changed"]


def test_a_ledger_that_cannot_be_written_ends_the_run_before_the_change(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    _, failure = desk.apply({"roles": ["auditor"]}, ledger=str(tmp_path / "file" / "ledger"))
    assert isinstance(failure, CloudError)
    assert not desk.cloud.writes()


# Reading -------------------------------------------------------------------------------------------------------------


def test_assignments_are_filtered_by_what_they_have_in_common(desk: Desk) -> None:
    document = {
        "projects": ["web"],
        "users": ["eve", "bob"],
        "role_assignments": [{"role": "member", "user": user, "project": "web"} for user in ("eve", "bob")],
    }
    desk.run(document)
    assert desk.cloud.count("GET", type="role_assignment") == 0
    assert not desk.run(document)["changed"]
    (call,) = [call for call in desk.cloud.calls if call.type == "role_assignment"]
    assert set(call.query) == {"role.id", "scope.project.id"}
    assert desk.run({**document, "role_assignments": document["role_assignments"][:1]}, prune="owned")["changes"] == [
        "delete role assignment member bob web (no longer in the document)"
    ]


def test_a_reference_may_name_any_field(desk: Desk) -> None:
    desk.cloud.put("service", name="amber", type="dns")
    endpoint = {"interface": "public", "url": "http://a", "region": "RegionOne"}
    document = {
        "services": [{"name": "amber", "type": "key-manager"}],
        "endpoints": [{**endpoint, "service": {"name": "amber", "type": kind}} for kind in ("key-manager", "dns")],
    }
    desk.run(document)
    assert not desk.run(document)["changed"]
    assert len({e["service_id"] for e in desk.cloud.find("endpoint", url="http://a")}) == 2
    ambiguous = desk.refuse({"endpoints": [{**endpoint, "service": "amber"}]})[0]
    assert "ambiguous" in ambiguous["cause"] and "type" in ambiguous["mend"]
