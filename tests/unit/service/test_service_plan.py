"""The lookup of a host's plan: specifications are rendered with the host's own variables, and overrides come last."""

from __future__ import annotations

from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.stackwright.cloud.plugins.lookup.service_plan import LookupModule

SPECIFICATIONS: dict[str, Any] = {
    "api": {
        "packages": ["orbit-api"],
        "files": {
            "/etc/orbit/orbit.conf": {
                "options": {"DEFAULT": {"my_ip": trust_as_template("{{ address }}"), "debug": False}},
                "units": ["orbit-api"],
            }
        },
        "units": [{"name": "orbit-api"}],
    },
    "compute": {
        "packages": ["orbit-compute"],
        "files": {
            "/etc/orbit/orbit-compute.conf": {
                "options": {"libvirt": {"virt_type": trust_as_template("{{ kind_that_is_unknown }}")}},
            }
        },
    },
}


def look_up(*terms: Any, **variables: Any) -> dict[str, Any]:
    given = {"__orbit_specifications": SPECIFICATIONS, "address": "192.0.2.7", **variables}
    lookup = LookupModule(loader=DataLoader(), templar=Templar(DataLoader(), given))
    (plan,) = lookup.run(list(terms), given)
    return plan


def test_only_what_the_host_carries_is_rendered() -> None:
    plan = look_up("orbit.api")
    assert plan["packages"] == ["orbit-api"]
    assert plan["files"]["/etc/orbit/orbit.conf"]["options"]["DEFAULT"] == {"my_ip": "192.0.2.7", "debug": False}
    assert plan["units"] == [{"name": "orbit-api", "files": ["/etc/orbit/orbit.conf"]}]


def test_terms_may_come_as_a_list() -> None:
    assert look_up(["orbit.api"]) == look_up("orbit.api")


def test_overrides_are_rendered_and_win() -> None:
    over = {"orbit.conf": {"DEFAULT": {"debug": True, "host": trust_as_template("{{ address }}")}}}
    plan = look_up("orbit.api", orbit_config_overrides=over)
    assert plan["files"]["/etc/orbit/orbit.conf"]["options"]["DEFAULT"] == {
        "my_ip": "192.0.2.7",
        "debug": True,
        "host": "192.0.2.7",
    }


def test_overrides_under_a_longer_name_come_later() -> None:
    first = {"orbit.conf": {"DEFAULT": {"debug": "first", "host": "first"}}}
    plan = look_up(
        "orbit.api",
        orbit_config_overrides_site={"orbit.conf": {"DEFAULT": {"debug": "site"}}},
        orbit_config_overrides=first,
    )
    options = plan["files"]["/etc/orbit/orbit.conf"]["options"]["DEFAULT"]
    assert (options["debug"], options["host"]) == ("site", "first")


def test_a_file_of_a_component_that_the_host_lacks_is_left_out() -> None:
    plan = look_up("orbit.api", orbit_config_overrides={"orbit-compute.conf": {"libvirt": {"virt_type": "qemu"}}})
    assert list(plan["files"]) == ["/etc/orbit/orbit.conf"]


def test_a_file_of_ones_own_is_added() -> None:
    plan = look_up(
        "orbit.api", orbit_config_files={"/etc/orbit/policy.yaml": {"content": trust_as_template("x: {{ address }}")}}
    )
    assert plan["files"]["/etc/orbit/policy.yaml"] == {"content": "x: 192.0.2.7"}


def test_a_problem_of_the_operators_is_the_answer_and_no_failure() -> None:
    assert (
        "no file 'orbit.cnf' belongs to this service"
        in look_up("orbit.api", orbit_config_overrides={"orbit.cnf": {}})["problem"]
    )
    assert (
        look_up("orbit.apy")["problem"]
        == "service 'orbit.apy': role orbit has the components api, compute. Did you mean 'api'?"
    )
    assert (
        look_up("glanze")["problem"]
        == "service 'glanze': there is no role 'glanze' with specifications. Did you mean 'glance'?"
    )


def test_the_leader_of_a_group_is_a_host_of_the_run() -> None:
    needing = {
        "__orbit_specifications": {"api": {"bootstrap": [{"name": "schema", "command": ["/bin/true"], "once": True}]}}
    }
    run = {"inventory_hostname": "two", "ansible_play_hosts_all": ["two"], **needing}
    lookup = LookupModule(loader=DataLoader(), templar=Templar(DataLoader(), run))
    assert [step["name"] for step in lookup.run(["orbit.api"], run)[0]["bootstrap"]] == ["schema"]
    assert "limited to hosts without one" in lookup.run(["orbit.api"], run, leader="one")[0]["problem"]
