"""The control node proves a fresh login, and takes access changes back when there is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.stackwright.cloud.plugins.action import stig

FINDING = {"id": "UBTU-24-300020", "changed": True, "status": "pass"}


class Action(stig.ActionModule):
    """An action whose host is a list of answers to logins and of calls."""

    def __init__(self, logins: list[str], broken: bool = False) -> None:
        self.logins, self.broken, self.calls = logins, broken, []
        self.waited = 0

    def _fresh_login(self) -> str:
        return self.logins.pop(0) if self.logins else ""

    def _wait_for_timer(self, seconds: int) -> str:
        self.waited = seconds
        return ""

    def _call(self, request: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((request["mode"], request.get("groups")))
        if request["mode"] == "undo" and not request["groups"]:
            return {"unproved": ["sshd"]}
        if self.broken and request["mode"] == "undo":
            raise AnsibleError("Missing sudo password")
        return {"document": {"findings": [dict(FINDING, changed=False)], "totals": {}}, "problems": []}


def outcome(*groups: str) -> dict[str, Any]:
    return {"document": {"run_id": "r", "findings": [dict(FINDING)]}, "unproved": list(groups), "problems": []}


REQUEST = {"mode": "enforce", "controls": [], "undo_after": 60}


def test_proved_changes_are_confirmed() -> None:
    action = Action([""])
    done = action._prove(REQUEST, outcome("sshd", "pam"), {})
    assert action.calls == [("confirm", None)]
    assert done["undone"] == []


def test_groups_are_undone_one_by_one_until_a_login_succeeds() -> None:
    action = Action(["refused", "refused", ""])
    done = action._prove(REQUEST, outcome("sshd", "pam", "sudo"), {})
    assert action.calls[:3] == [("undo", ["sudo"]), ("undo", ["pam"]), ("confirm", None)]
    assert done["undone"] == ["sudo", "pam"]
    assert done["problems"][0] == (
        "After the changes of group pam no fresh login was possible (refused). Undone: sudo, pam. "
        "The findings of these groups stay open."
    )
    assert "hardening parameter sudo_without_password" in done["problems"][1]


def test_group_of_sshd_is_undone_first_where_nobody_gets_in_at_all() -> None:
    action = Action(["Failed to connect to the host via ssh: Permission denied (publickey).", ""])
    done = action._prove(REQUEST, outcome("sshd", "pam", "sudo"), {})
    assert action.calls[:2] == [("undo", ["sshd"]), ("confirm", None)]
    assert done["undone"] == ["sshd"]


def test_the_timer_is_waited_for_when_the_open_connection_is_cut_off_too() -> None:
    action = Action(["Missing sudo password"], broken=True)
    done = action._prove(REQUEST, outcome("sshd", "sudo"), {})
    assert action.waited == 60
    assert done["undone"] == ["sudo"]
    assert "the timer on the host undid sudo" in done["problems"][0]
    # what was not in the way is confirmed
    assert ("confirm", None) in action.calls


def test_a_host_that_stays_closed_is_a_failure() -> None:
    action = Action(["refused"] * 9)
    done = action._prove(REQUEST, outcome("sshd"), {})
    assert done["failed"]
    assert "No fresh login is possible" in done["msg"]


@pytest.mark.parametrize("groups", [("firewall",), ("account", "pam")])
def test_findings_are_judged_anew_after_an_undo(groups: tuple[str, ...]) -> None:
    action = Action(["refused", ""])
    done = action._prove(REQUEST, outcome(*groups), {})
    assert ("audit", None) in action.calls
    assert done["document"]["mode"] == "enforce"


@pytest.mark.parametrize(
    ("user", "given", "expected"),
    [
        ("operator", {}, {"sudo_without_password": ["operator"]}),
        ("root", {}, {"ssh_root_login": "prohibit-password"}),
        ("root", {"ssh_root_login": "no"}, {"ssh_root_login": "no"}),
        ("operator", {"sudo_without_password": []}, {"sudo_without_password": []}),
    ],
)
def test_what_the_login_of_ansible_needs_stays(user: str, given: dict[str, Any], expected: dict[str, Any]) -> None:
    action = Action([])
    become = SimpleNamespace(get_option=lambda name, **_: None)
    action._connection = SimpleNamespace(become=become, has_option=lambda name: True, get_option=lambda name: user)
    action._play_context = SimpleNamespace(remote_user=None)
    assert action._parameters({"parameters": given}, {}) == expected
