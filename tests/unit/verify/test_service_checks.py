"""Health checks that follow from specifications."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.stackwright.cloud.plugins.lookup.service_checks import LookupModule, checks_of


def look_up(terms: list[str], **variables: Any) -> list[dict[str, Any]]:
    lookup = LookupModule(loader=DataLoader(), templar=Templar(DataLoader(), variables))
    return lookup.run(terms, variables)


def test_units_that_run_are_checked_and_logs_explain_endpoints() -> None:
    units: list[dict[str, Any]] = [
        {"name": "nova-api", "log": "/var/log/nova/nova-api.log"},
        {"name": "nova-serialproxy", "state": "stopped", "enabled": False},
        {"name": "virtlogd", "files": []},
    ]
    health: list[dict[str, Any]] = [
        {"name": "Nova", "url": "https://192.0.2.1:8774/", "unit": "nova-api"},
        {"name": "proxy", "host": "192.0.2.1", "port": 6080},
        {"name": "twice", "unit": "nova-api"},
    ]
    assert checks_of(units, health) == [
        {"unit": "nova-api", "log": "/var/log/nova/nova-api.log"},
        {"unit": "virtlogd"},
        {"name": "Nova", "url": "https://192.0.2.1:8774/", "unit": "nova-api", "log": "/var/log/nova/nova-api.log"},
        {"name": "proxy", "host": "192.0.2.1", "port": 6080},
    ]


def test_node_role_stands_for_its_services_as_the_inventory_or_its_defaults_say() -> None:
    units = [
        check["unit"]
        for check in look_up(["compute"], ansible_host="192.0.2.7", inventory_hostname="c1")
        if set(check) <= {"unit", "log"}
    ]
    assert {"ovn-controller", "nova-compute", "neutron-ovn-metadata-agent"} <= set(units)
    alone = look_up(
        ["compute"], compute_services=["orbit.api"], __orbit_specifications={"api": {"units": [{"name": "orbit-api"}]}}
    )
    assert alone == [{"unit": "orbit-api"}]


def test_unknown_role_is_named() -> None:
    with pytest.raises(AnsibleError, match=r"there is no role 'orbit' with specifications"):
        look_up(["orbit.api"])


def test_units_and_health_are_rendered_and_nothing_else_is() -> None:
    """A specification also holds passwords and facts that a verifying run does not have."""
    specification = {
        "units": [{"name": trust_as_template("{{ kind }}-api")}],
        "health": [{"name": "Nova", "url": trust_as_template("http://{{ address }}:8774/"), "unit": "nova-api"}],
        "files": {"/etc/nova/nova.conf": {"options": {"DEFAULT": {"password": trust_as_template("{{ not_there }}")}}}},
    }
    found = look_up(["orbit.api"], __orbit_specifications={"api": specification}, kind="nova", address="192.0.2.7")
    assert found == [{"unit": "nova-api"}, {"name": "Nova", "url": "http://192.0.2.7:8774/", "unit": "nova-api"}]


def test_list_of_services_may_be_an_expression() -> None:
    specifications = {"__orbit_specifications": {"compute": {"units": [{"name": "nova-compute"}]}}}
    named = trust_as_template("{{ ['orbit.compute'] }}")
    assert look_up(["compute"], compute_services=named, **specifications) == [{"unit": "nova-compute"}]
