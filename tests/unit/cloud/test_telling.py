"""What an operator is told: lines that can be told apart, mends that point to the cause, words of other tools."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, general_mend
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.blame import explain
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.document import parse
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.plan import Planner
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError, CloudError

from .conftest import Desk


def told(document: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(CloudError) as caught:
        parse(document)
    return [(problem.where, problem.cause, problem.mend) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"routers": [{"name": "r", "enable_snat": True}]}, "Did you mean 'snat'?"),
        ({"servers": [{"name": "s", "flavor": "f", "image": "i", "key_name": "k"}]}, "Did you mean 'keypair'?"),
        ({"servers": [{"name": "s", "flavor": "f", "image": "i", "nics": []}]}, "Did you mean 'networks'?"),
        ({"networks": [{"name": "n", "admin_state_up": True}]}, "Did you mean 'enabled'?"),
        ({"subnets": [{"name": "s", "network": "n", "enable_dhcp": True}]}, "Did you mean 'dhcp'?"),
        ({"floating_ips": [{"name": "f", "floating_ip_address": "192.0.2.1"}]}, "Did you mean 'address'?"),
        ({"floating_ips": [{"name": "f", "server_id": "s"}]}, "Did you mean 'server'?"),
        ({"security_group_rules": [{}]}, "below rules"),
        ({"loadbalancers": [{}]}, "no such type"),
        ({"ports": [{"name": "p", "network": "n", "port_security_enabled": True}]}, "Did you mean 'port_security'?"),
        ({"networks": [{"name": "n", "desciption": "x"}]}, "Did you mean 'description'?"),
        ({"zeppelins": [{}]}, "lists all types"),
    ],
)
def test_words_of_other_tools_lead_to_the_right_one(document: Any, words: str) -> None:
    assert words in told(document)[0][2]


def test_a_wrong_type_is_told_once() -> None:
    (problem,) = told({"flavors": [{"name": "f", "ram": "much", "vcpus": 1}]})
    assert problem[0] == "flavors[0].ram"
    assert "A number is wanted" in problem[1]


def test_entries_of_one_name_are_told_apart_by_their_place(desk: Desk) -> None:
    document = {
        "domains": ["d1", "d2"],
        "projects": [{"name": "p", "domain": name} for name in ("d1", "d2")],
        "users": [{"name": "u", "domain": "d1", "password": "pw"}],
        "role_assignments": [{"role": "reader", "user": "u", "domain": "d1", "inherited": True}],
    }
    result = desk.run(document)
    assert {"create project p (domain d1)", "create project p (domain d2)"} <= set(result["changes"])
    assert "create role assignment reader u d1 inherited" in result["changes"]
    assert set(result["ids"]["projects"]) == {"p (domain d1)", "p (domain d2)"}


def test_long_lists_show_what_differs_and_groups_have_names(desk: Desk) -> None:
    rules = [{"protocol": "tcp", "port_range_min": port} for port in (22, 80, 443)]
    desk.run(
        {
            "networks": ["n"],
            "security_groups": [{"name": "g", "rules": rules}],
            "ports": [{"name": "p", "network": "n"}],
        }
    )
    (line,) = desk.run(
        {"security_groups": [{"name": "g", "rules": [*rules[:2], {"protocol": "udp", "port_range_min": 53}]}]}
    )["changes"]
    assert "- direction=ingress ethertype=IPv4 protocol=tcp port_range_min=443 port_range_max=443" in line
    assert "+ direction=ingress ethertype=IPv4 protocol=udp port_range_min=53 port_range_max=53" in line
    assert "port_range_min=22" not in line
    (line,) = desk.run({"ports": [{"name": "p", "network": "n", "security_groups": ["g"]}]})["changes"]
    assert line == "update port p n: security_groups ['default'] -> ['g']"


def test_what_a_project_leaves_behind_is_told(desk: Desk) -> None:
    desk.run({"projects": ["p"], "networks": [{"name": name, "project": "p"} for name in "ab"]})
    document: dict[str, Any] = {"projects": [{"name": "p", "state": "absent"}]}
    (line,) = desk.run(document, check=True)["changes"]
    assert line == "delete project p (leaves behind 2 networks)"
    both = {**document, "networks": [{"name": name, "project": "p", "state": "absent"} for name in "ab"]}
    assert "delete project p" in desk.run(both)["changes"]


# Refusals ------------------------------------------------------------------------------------------------------------


def told_of(desk: Desk, status: int, message: str) -> tuple[str, str]:
    desk.run({"networks": ["n", "m"]}, owner="")
    planner = Planner(Cloud(desk.login), parse({"networks": ["n", "m"]}))
    planner.plan()
    text = message.format(n=desk.one("network", name="n")["id"], m=desk.one("network", name="m")["id"], port=OTHER)
    problem = explain(ApiError(status, text, "PUT http://x", general_mend(status, "")), planner.items[0], planner)
    return problem.cause, problem.mend


OTHER = "00000000-1111-4222-8333-444444444444"


@pytest.mark.parametrize(
    ("status", "message", "mend"),
    [
        (403, "You are not authorized to perform the requested action.", "give it the role"),
        (403, "Cannot disable project {n} since its subtree contains enabled projects.", "not for want of a role"),
        (409, "Network {m} is still in use.", "this document holds itself, networks[1] (network m)"),
        (409, "Port {port} is still in use.", "something outside of the document"),
        (500, "Oops", "See the log"),
    ],
)
def test_a_mend_points_to_the_cause(desk: Desk, status: int, message: str, mend: str) -> None:
    cause, found = told_of(desk, status, message)
    assert mend in found
    if "{m}" in message:
        assert f"network m ({desk.one('network', name='m')['id']})" in cause
