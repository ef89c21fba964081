"""Options that a role cannot do without."""

from __future__ import annotations

from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import variables
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import problem_of
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Host, Setting, Snapshot
from ansible_collections.stackwright.cloud.plugins.module_utils.service.interfaces import Role

ROLE = Role("ceph", {"ceph_fsid": {"type": "str", "required": True, "description": "Identity of the cluster."}})


def problems(**host: object) -> list[Problem]:
    one = Host("storage1", frozenset({"ceph_osd"}), **host)  # type: ignore[arg-type]
    return list(variables.check(Snapshot({"storage1": one}, {"ceph_osd": ["storage1"]}), Policy(roles={"ceph": ROLE})))


def test_missing_option_of_an_applied_role_is_a_problem() -> None:
    assert problems(roles=frozenset({"ceph"})) == [
        problem_of("storage1", "ceph_fsid", "the role ceph needs this variable", "Set it. Identity of the cluster.")
    ]


def test_option_of_a_role_for_other_hosts_may_be_missing() -> None:
    assert problems() == []


def test_option_from_inventory_or_playbook_is_there() -> None:
    assert (
        problems(roles=frozenset({"ceph"}), settings={"ceph_fsid": Setting("x", "x")}, own=frozenset({"ceph_fsid"}))
        == []
    )
    assert problems(roles=frozenset({"ceph"}), given=frozenset({"ceph_fsid"})) == []
