"""Defaults of a whole document: project, domain and labels of what does not say otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.document import parse, takes_default
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.export import Choice, Exporter, render
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import TYPES
from ansible_collections.stackwright.cloud.tests.reading import read
from ansible_collections.stackwright.cloud.tests.unit.cloud_types.conftest import Desk, desk

__all__ = ["desk"]
WEB: dict[str, Any] = {
    "defaults": {"project": "web", "tags": ["shop"]},
    "projects": [{"name": "web", "tags": []}],
    "networks": ["inner", {"name": "outer", "project": "admin", "tags": None}],
    "subnets": [{"name": "inner", "network": "inner", "cidr": "10.9.0.0/24"},
                {"name": "outer", "network": "outer", "cidr": "10.9.1.0/24", "tags": ["own"]}],
    "security_groups": ["ssh"],
    "quotas": [{"networks": 7}],
}  # fmt: skip


def test_entries_take_what_they_leave_out(desk: Desk) -> None:
    desk.run(WEB)
    web = desk.one("project", name="web")
    assert not [tag for tag in web["tags"] if tag == "shop"]
    held = {name: desk.one("network", name=name) for name in ("inner", "outer")}
    assert {name: one["project_id"] for name, one in held.items()} == {
        "inner": web["id"],
        "outer": desk.cloud.admin_project,
    }
    assert ("shop" in held["inner"]["tags"], "shop" in held["outer"]["tags"]) == (True, False)
    # A subnet belongs to the project of its network, whatever the document's is.
    assert [one["project_id"] for one in desk.cloud.find("subnet", name="outer")] == [desk.cloud.admin_project]
    assert "own" in desk.one("subnet", name="outer")["tags"] and "shop" not in desk.one("subnet", name="outer")["tags"]
    assert desk.one("security_group", name="ssh")["project_id"] == web["id"]
    assert desk.cloud.extra["network_quotas"] == {web["id"]: {"network": 7}}
    assert desk.run(WEB)["changes"] == []


def test_defaults_from_outside_come_after_the_documents_own(desk: Desk) -> None:
    document = {"defaults": {"tags": ["a"]}, "projects": ["web"], "networks": ["n"]}
    desk.run(document, defaults={"project": "web", "tags": ["b"], "domain": None})
    found = desk.one("network", name="n")
    assert found["project_id"] == desk.one("project", name="web")["id"]
    assert "a" in found["tags"] and "b" not in found["tags"]


def test_names_are_meant_in_the_documents_domain_first(desk: Desk) -> None:
    desk.cloud.put("user", name="alice", domain_id="default")
    document = {
        "defaults": {"domain": "customers"},
        "domains": ["customers"],
        "users": ["alice"],
        "projects": ["web"],
        "role_assignments": [{"role": "reader", "user": "alice", "project": "web"}],
    }
    desk.run(document)
    customers = desk.one("domain", name="customers")["id"]
    alice = desk.one("user", name="alice", domain_id=customers)
    assert desk.one("project", name="web")["domain_id"] == customers
    assert desk.run(document)["changes"] == []
    (line,) = desk.run({**document, "role_assignments": [{"role": "member", "user": "alice", "project": "web"}]})[
        "plan"
    ]
    assert alice["id"] in line["id"]


@pytest.mark.parametrize(
    ("document", "path", "text"),
    [
        ({"defaults": {"projct": "web"}}, "defaults.projct", "Did you mean 'project'?"),
        ({"defaults": {"tenant": "web"}}, "defaults.tenant", "Did you mean 'project'?"),
        ({"defaults": ["web"]}, "defaults", "A mapping is wanted, this is a list."),
        ({"defaults": {"tags": {"a": 1}}}, "defaults.tags", "Its elements are plain values."),
        ({"default": {"project": "web"}}, "default", "Did you mean 'defaults'?"),
        (
            {"defaults": {"project": "wbe"}, "projects": ["web"], "networks": ["n"]},
            "networks[0].project",
            "Did you mean 'web'?",
        ),
    ],
)
def test_a_wrong_default_is_told_with_its_place(desk: Desk, document: dict[str, Any], path: str, text: str) -> None:
    error = desk.refuse(document)
    assert (error["path"], text in f"{error['cause']} {error['mend']}") == (path, True)


def test_where_a_role_counts_is_no_default() -> None:
    assert {kind.name for kind in TYPES if takes_default(kind, "domain")} == {"project", "user", "group"}
    takes = {kind.name for kind in TYPES if takes_default(kind, "project")}
    assert {"network", "server", "quota", "volume", "floating_ip"} <= takes
    assert not takes & {"role_assignment", "subnet", "port", "project"}
    (item,) = parse(
        {
            "defaults": {"project": "web", "domain": "d"},
            "role_assignments": [{"role": "r", "user": "u", "system": "all"}],
        }
    )
    assert item.values.keys() == {"role", "user", "system"}


def test_an_export_says_once_what_most_entries_say(desk: Desk) -> None:
    document = {
        "projects": ["web"],
        "networks": [{"name": name, "project": "web"} for name in ("a", "b", "c")]
        + [{"name": "x", "project": "admin"}],
        "security_groups": [{"name": "g", "project": "web"}],
    }
    desk.run(document, owner="")
    found = Exporter(
        Cloud(desk.login, sleep=lambda _: None), Choice(types=frozenset({"network", "security_group"}))
    ).export()
    # Two networks of the conftest are the administrator's project's.
    assert found.document["defaults"] == {"project": "web"}
    assert [(one["name"], one.get("project")) for one in found.document["networks"]] == [
        ("a", None), ("b", None), ("c", None), ("lan", "admin"), ("wan", "admin"), ("x", "admin"),
    ]  # fmt: skip
    text = render(found)
    assert text.index("defaults:") < text.index("networks:")
    assert desk.run(read(text)["cloud_state_document"], owner="")["changes"] == []
