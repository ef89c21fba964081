"""Projects, domains and roles that are immutable: guarded last, opened first, and never a refusal in the middle of a
run."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.tests.unit.cloud_types.conftest import Desk, desk

__all__ = ["desk"]
GUARD = {"options": {"immutable": True}}
OPEN: list[dict[str, Any]] = [{"options": {"immutable": False}}, {"options": {"immutable": None}}]


@pytest.mark.parametrize("plural", ["projects", "domains", "roles"])
@pytest.mark.parametrize("opened", OPEN)
def test_a_guarded_one_is_opened_changed_and_removed_in_that_order(
    desk: Desk, plural: str, opened: dict[str, Any]
) -> None:
    more = {"tags": ["a"]} if plural == "projects" else {}
    made = {plural: [{"name": "x", "description": "One", **more, **GUARD}]}
    desk.run(made)
    assert desk.one(plural[:-1], name="x")["options"] == {"immutable": True}
    assert desk.run(made)["changes"] == []
    error = desk.refuse({plural: [{"name": "x", "description": "Two"}]})
    assert (error["path"], "It is immutable" in error["cause"]) == (f"{plural}[0].description", True)
    assert "immutable: false" in error["mend"] and not desk.cloud.writes()
    error = desk.refuse({plural: [{"name": "x", "state": "absent"}]})
    assert (error["path"], "It is immutable" in error["cause"]) == (f"{plural}[0]", True)
    assert not desk.cloud.writes()
    changed = {plural: [{"name": "x", "description": "Two", **({"tags": ["b"]} if more else {}), **opened}]}
    desk.run(changed)
    assert desk.one(plural[:-1], name="x")["description"] == "Two"
    assert desk.run(changed)["changes"] == []
    desk.run({plural: [{"name": "x", "state": "absent"}]})
    assert not desk.cloud.find(plural[:-1], name="x")


def test_one_that_stays_guarded_is_not_changed_either(desk: Desk) -> None:
    desk.run({"projects": [{"name": "x", **GUARD}]})
    error = desk.refuse({"projects": [{"name": "x", "description": "Two", **GUARD}]})
    assert error["path"] == "projects[0].description"
    desk.run({"projects": [{"name": "y", "description": "Two"}]})
    both = {"projects": [{"name": "y", "description": "Three", "tags": ["a"], **GUARD}]}
    desk.run(both)
    assert desk.run(both)["changes"] == []


@pytest.mark.parametrize(
    ("options", "text"),
    [({"imutable": True}, "Did you mean 'immutable'?"), ({"immutable": "yes"}, "immutable must be true or false."),
     ({"lock_password": True}, "Known: immutable.")],
)  # fmt: skip
def test_options_that_the_service_lacks_are_refused(desk: Desk, options: dict[str, Any], text: str) -> None:
    error = desk.refuse({"projects": [{"name": "x", "options": options}]})
    assert text in f"{error['cause']} {error['mend']}"
