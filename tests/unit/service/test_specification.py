"""Specifications are read once, into typed components: what is misspelt or of a wrong kind is refused with its
place."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_view
from ansible_collections.stackwright.cloud.plugins.module_utils.service.interfaces import Role
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import (
    Book,
    SpecificationError,
    component,
    plain,
)

API = {"name": "orbit", "port": 8080, "unit": "orbit-api"}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"unit": []}, "specification orbit.api: unknown key 'unit'. Did you mean 'units'?"),
        ({"packages": "orbit"}, "specification orbit.api: packages must be a list of texts, not 'orbit'"),
        ({"packages": ["a", 7]}, "specification orbit.api: packages, entry 2 must be a text, not 7"),
        ({"messaging": "yes"}, "specification orbit.api: messaging must be true or false, not 'yes'"),
        (
            {"account": {"name": "o", "secrets": {"databse": "x"}}},
            "secrets: unknown key 'databse'. Did you mean 'database'?",
        ),
        ({"api": {"name": "orbit", "unit": "x"}}, "specification orbit.api: api, entry 1: port is missing: TCP port."),
        ({"api": {**API, "port": True}}, "api, entry 1: port must be a number, not True"),
        (
            {"api": [API, {**API, "wsgi": {"aplication": "/x"}}]},
            "api, entry 2: wsgi: unknown key 'aplication'. Did you mean 'application'?",
        ),
        (
            {"files": {"/etc/orbit": {"contents": "x"}}},
            "files: /etc/orbit: unknown key 'contents'. Did you mean 'content'?",
        ),
        ({"files": ["/etc/orbit"]}, "files must map paths to files"),
        ({"bootstrap": [{"name": "schema"}]}, "bootstrap, entry 1: command is missing"),
        ({"units": [{"name": "o", "enabled": "no"}]}, "units, entry 1: enabled must be true or false, not 'no'"),
        ({"health": ["orbit"]}, "health, entry 1 must be a mapping, not 'orbit'"),
        ("orbit", "specification orbit.api must be a mapping, not 'orbit'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(data: Any, told: str) -> None:
    with pytest.raises(SpecificationError) as refused:
        component("orbit.api", data)
    assert told in str(refused.value)


def test_a_template_may_stand_for_a_value_of_any_kind_until_it_is_worked_out() -> None:
    raw = {"api": {**API, "port": "{{ port }}"}, "units": "{{ units }}", "files": {"/x": {"options": "{{ options }}"}}}
    assert component("orbit", raw).api[0].port == "{{ port }}"
    with pytest.raises(SpecificationError, match="port must be a number, not 'eighty'"):
        component("orbit", {"api": {**API, "port": "eighty"}})


def test_short_forms_and_defaults() -> None:
    found = component("orbit", {"account": "orbit", "api": API})
    assert found.account and (found.account.name, tuple(found.account.roles)) == ("orbit", ("admin", "service"))
    assert [(one.title_or_name, one.health, one.origins) for one in found.api] == [("Orbit", "/", ("users",))]
    assert plain(component("orbit", {"units": [{"name": "o", "enabled": False}]}).units[0]) == {
        "name": "o",
        "enabled": False,
    }


ROLES = {
    "node": Role("node", defaults={"node_services": ["orbit.api", "tide"]}),
    "orbit": Role(
        "orbit",
        internals={
            "__orbit_specifications": {
                "api": {"packages": ["a"]},
                "agent": {"files": {"/x": {"content": "{{ unknown }}"}}},
            }
        },
    ),
    "tide": Role("tide", internals={"__tide_specifications": {"tide": {}}}),
}
BOOK = Book(ROLES, {"__guest_specifications": {"guest": {"packages": ["g"]}}, "__orbit_specifications": {}})


def works(**variables: Any) -> Any:
    return lambda raw: variables[raw.strip("{} ")] if isinstance(raw, str) else raw


def test_a_node_role_stands_for_its_services_each_once() -> None:
    assert BOOK.services_of(["node", "tide.tide", "orbit.agent"], works(node_services=["orbit.api", "tide"])) == [
        "orbit.api",
        "tide",
        "orbit.agent",
    ]
    with pytest.raises(SpecificationError, match="node_services must be a list of services, not 'orbit'"):
        BOOK.services_of(["node"], works(node_services="orbit"))


def test_what_a_play_describes_is_a_service_too_but_no_role_is_replaced() -> None:
    assert BOOK.read("guest").packages == ("g",)
    assert BOOK.read("orbit.api").packages == ("a",)
    assert BOOK.names() == {"orbit.api", "orbit.agent", "tide.tide"}


@pytest.mark.parametrize(
    ("term", "told"),
    [
        ("tid", "service 'tid': there is no role 'tid' with specifications. Did you mean 'tide'?"),
        ("orbit.agnt", "service 'orbit.agnt': role orbit has the components api, agent. Did you mean 'agent'?"),
        ("node", "there is no role 'node' with specifications"),
    ],
)
def test_unknown_services_are_told(term: str, told: str) -> None:
    with pytest.raises(SpecificationError) as refused:
        BOOK.read(term)
    assert told in str(refused.value)


def test_only_what_is_asked_for_is_worked_out() -> None:
    asked: list[Any] = []
    BOOK.component("orbit.agent", lambda raw: asked.append(raw) or raw, "packages")
    assert asked == [{}]


@pytest.mark.parametrize("term", sorted(host_view.book({}).names()))
def test_every_specification_of_the_collection_is_sound(term: str) -> None:
    host_view.book({}).read(term)


def test_components_are_needed_by_names_that_exist() -> None:
    book = host_view.book({})
    for term in book.names():
        for need in book.read(term).needs:
            book.read(need)
