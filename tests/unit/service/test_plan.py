"""Specifications become a plan, with the operator's overrides merged last."""

from __future__ import annotations

import pytest
from ansible_collections.stackwright.cloud.plugins.lookup.service_packages import LookupModule
from ansible_collections.stackwright.cloud.plugins.module_utils.service import plan
from ansible_collections.stackwright.cloud.plugins.module_utils.service.derive import Derived
from ansible_collections.stackwright.cloud.tests.role_variables import plugins_of_the_collection

FILES = {"/etc/nova/nova.conf": {"options": {"DEFAULT": {"debug": False, "my_ip": "192.0.2.1"}}, "units": ["nova-api"]}}


def overridden(overrides, extra=None, files=FILES, paths=None):
    return plan.overridden("nova", files, paths or list(FILES), overrides, extra or {})


def test_overrides_by_base_name_are_merged_in_the_order_of_their_names():
    result = overridden(
        {
            "nova_config_overrides_z": {"nova.conf": {"DEFAULT": {"debug": "last"}}},
            "nova_config_overrides": {"nova.conf": {"DEFAULT": {"debug": "first"}, "api": {"max_limit": 5}}},
        }
    )
    assert result["/etc/nova/nova.conf"]["options"] == {
        "DEFAULT": {"debug": "last", "my_ip": "192.0.2.1"},
        "api": {"max_limit": 5},
    }


def test_an_unknown_file_is_refused_with_the_nearest_name():
    with pytest.raises(plan.PlanError, match=r"nova_config_overrides: no file 'nova.cnf'.*Did you mean 'nova.conf'"):
        overridden({"nova_config_overrides": {"nova.cnf": {}}})


@pytest.mark.parametrize(
    ("overrides", "extra", "told"),
    [
        ({"nova_config_overrides": ["x"]}, {}, "nova_config_overrides: must map files to sections, not list"),
        (
            {"nova_config_overrides": {"api-paste.ini": {"a": {}}}},
            {},
            "/etc/nova/api-paste.ini is not made of sections and options; replace it whole with nova_config_files",
        ),
        (
            {"nova_config_overrides": {"nova.conf": {"DEFAULT": True}}},
            {},
            "nova_config_overrides: nova.conf must map sections to options",
        ),
        ({}, {"nova_config_files": "x"}, "nova_config_files: must map paths to files, not str"),
        ({"nova_config_overrides": {"nova.conf": {}}}, {}, ""),
    ],
)
def test_overrides_of_the_wrong_shape_are_told_by_variable(overrides, extra, told):
    files = {**FILES, "/etc/nova/api-paste.ini": {"content": "x"}}
    if told:
        with pytest.raises(plan.PlanError) as refused:
            overridden(overrides, extra, files, list(files))
        assert told in str(refused.value)
    else:
        assert overridden(overrides, extra, files, list(files)) == files


def test_the_end_of_a_path_that_several_files_share_is_refused():
    paths = ["/etc/swift/proxy/extra.conf", "/etc/swift/account/extra.conf"]
    with pytest.raises(
        plan.PlanError, match=r"'extra.conf' may be any of /etc/swift/account/extra.conf, /etc/swift/proxy/extra.conf"
    ):
        plan.resolve_file("swift_config_overrides", "extra.conf", paths)
    assert plan.resolve_file("swift_config_overrides", "proxy/extra.conf", paths) == paths[0]
    assert plan.resolve_file("swift_config_overrides", paths[1], paths) == paths[1]


def test_an_override_for_a_component_that_this_host_lacks_is_no_error():
    paths = [*FILES, "/etc/nova/nova-compute.conf"]
    assert overridden({"nova_config_overrides": {"nova-compute.conf": {"DEFAULT": {}}}}, paths=paths) == FILES


def test_an_additional_file_keeps_the_units_of_the_one_it_replaces():
    result = overridden(
        {}, {"nova_config_files": {"/etc/nova/nova.conf": {"content": "own"}, "/etc/nova/x": {"content": "x"}}}
    )
    assert result["/etc/nova/nova.conf"] == {"content": "own", "units": ["nova-api"]}
    assert result["/etc/nova/x"] == {"content": "x"}


def part(term, **given):
    """A derived component with what is given alone."""
    empty = {
        "packages": [],
        "files": {},
        "databases": [],
        "messaging": [],
        "identity": {},
        "bootstrap": [],
        "units": [],
        "health": [],
        "needs": [],
    }
    return Derived(term, **{**empty, **given})


def test_units_carry_the_files_they_read_and_what_others_need_comes_first():
    result = plan.combine(
        [
            part("nova.api", files=FILES, units=[{"name": "nova-api"}], needs=["keystone", "glance.api"]),
            part("keystone", units=[{"name": "keystone"}], health=[{"name": "K"}]),
        ]
    )
    assert result["units"] == [{"name": "nova-api", "files": ["/etc/nova/nova.conf"]}]
    assert result["early"] == [{"units": [{"name": "keystone", "files": []}], "health": [{"name": "K"}]}]
    assert result["health"] == []


def names(components):
    return [[one.term for one in level] for level in plan.levels(components)]


def test_levels_follow_from_needs():
    chain = [
        part("a", needs=["b"]),
        part("b", needs=["c"]),
        part("c"),
        part("d", needs=["c", "of another host"]),
        part("e"),
    ]
    assert names(chain) == [["c"], ["b"], ["a", "d", "e"]]
    assert names([]) == [[]]
    with pytest.raises(plan.PlanError, match=r"in a circle: b\.b needs c\.c needs b\.b"):
        plan.levels([part("a", needs=["b"]), part("b", needs=["c"]), part("c", needs=["b"])])


def test_what_registers_services_runs_before_they_are_registered():
    alone = part("keystone", registers=True, identity={"roles": [{"name": "r"}]})
    assert names([alone, part("glance")]) == [["keystone"], ["glance"]]
    assert names([alone]) == [["keystone"], []]
    assert names([part("keystone", registers=True)]) == [["keystone"]]


def test_a_file_that_two_components_share_has_the_units_of_both():
    other = {"/etc/nova/nova.conf": {**FILES["/etc/nova/nova.conf"], "units": ["nova-compute"]}}
    result = plan.combine([part("a", files=FILES), part("b", files=other)])
    assert result["files"]["/etc/nova/nova.conf"]["units"] == ["nova-api", "nova-compute"]
    differing = {"/etc/nova/nova.conf": {"options": {}}}
    with pytest.raises(plan.PlanError, match=r"specifications a and b describe /etc/nova/nova.conf differently"):
        plan.combine([part("a", files=FILES), part("b", files=differing)])


def test_an_image_for_a_node_role_holds_what_registration_takes():
    with plugins_of_the_collection():
        names = LookupModule().run(["keystone", "nova.compute"])
        assert {"keystone", "nova-compute", "python3-openstacksdk"} <= set(names)
        assert "python3-openstacksdk" not in LookupModule().run(["nova.compute"])


def test_one_host_of_a_group_does_for_all_what_is_done_once():
    steps = [{"name": "schema", "once": True}, {"name": "shell"}]
    whole = plan.combine(
        [
            part(
                "a",
                bootstrap=steps,
                databases=[{"name": "d"}],
                messaging=[{"name": "m"}],
                identity={"roles": [1]},
                units=[{"name": "u"}],
            )
        ]
    )
    leading = plan.for_host(whole, "one", "one", ["one", "two"])
    assert [step["name"] for step in leading["bootstrap"]] == ["schema", "shell"] and not any(
        "once" in step for step in leading["bootstrap"]
    )
    following = plan.for_host(whole, "two", "one", ["one", "two"])
    assert [step["name"] for step in following["bootstrap"]] == ["shell"]
    assert (following["databases"], following["messaging"], following["identity"]) == ([], [], {})
    assert following["units"] == leading["units"]


def test_a_run_that_leaves_the_leader_out_is_refused_where_others_need_it():
    needing = [
        part("a", databases=[{"name": "d"}]),
        part("b", identity={"roles": [1]}),
        part("c", bootstrap=[{"name": "s", "once": True}]),
    ]
    for one in needing:
        with pytest.raises(plan.PlanError, match=r"limited to hosts without one, .* as in --limit one,two"):
            plan.for_host(plan.combine([one]), "two", "one", ["two"])
    alone = plan.combine([part("d", bootstrap=[{"name": "s"}], units=[{"name": "u"}])])
    assert plan.for_host(alone, "two", "one", ["two"])["units"] == alone["units"]


def test_inputs_of_steps_leave_the_plan_only_as_a_digest():
    result = plan.combine([part("a", bootstrap=[{"name": "s", "inputs": ["hunter2-is-secret"]}])])
    assert "hunter2" not in repr(result)
    assert len(result["bootstrap"][0]["inputs"][0]) == 64


def test_a_plan_names_the_secrets_that_it_holds_in_whatever_form():
    parts = {
        "files": {
            "/a": {"options": {"DEFAULT": {"url": "rabbit://u:p%40ss-in-url@h/"}}, "definitions": ["x"]},
            "/b": {"content": "key = sixteen$$letters"},
        },
        "databases": [{"name": "n", "password": "for the database"}],
    }
    candidates = ["p@ss-in-url", "sixteen$letters", "for the database", "of another service", "ab"]
    assert plan.secrets_in(plan.combine([part("nova.api", **parts)]), candidates) == [
        "for the database",
        "p@ss-in-url",
        "sixteen$letters",
    ]


def test_a_secret_refers_to_no_other_option():
    files = {
        "/a": {"options": {"s": {"password": "Rain$bow", "other": "$my_ip", "multi": ["'x'y'"]}}, "definitions": ["x"]},
        "/b": {"options": {"uwsgi": {"password": "Rain$bow"}}},
        "/c": {"content": "Rain$bow"},
    }
    found = plan.spelled(files, ["Rain$bow"])
    assert found["/a"]["options"]["s"] == {"password": "Rain$$bow", "other": "$my_ip", "multi": ["'x'y'"]}
    assert found["/b"] == files["/b"] and found["/c"] == files["/c"]
