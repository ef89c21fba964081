"""Any networks, with what lies in them, against any starting state."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from .test_convergence import NAMES, TEXTS, Desk, Document, desk, empty, quick, some, unique

STORED = ("network", "subnet", "router", "port", "security_group", "security_group_rule", "qos_policy", "floating_ip", "address_scope")
# A range for each name and network, so that none overlap.
NETS = {"amber": 0, "birch": 1, "cedar": 2}
PORTS = st.sampled_from([22, 80, 443])


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A document whose entries refer to each other and to an external network that is there."""
    flags = st.booleans()
    tags = st.lists(st.sampled_from(["x", "y"]), unique=True)
    policies = draw(unique(some({"name": NAMES}, description=TEXTS), "name"))
    for policy in policies:
        policy["rules"] = [{"type": "bandwidth_limit", "max_kbps": draw(st.sampled_from([100, 200]))}]
    qos = {"qos_policy": st.sampled_from(["", *(p["name"] for p in policies)])}
    networks = draw(unique(some({"name": NAMES}, description=TEXTS, tags=tags, enabled=flags, **qos), "name"))
    names = [network["name"] for network in networks]
    subnets: list[dict[str, Any]] = []
    if names:
        subnets = draw(unique(some({"name": NAMES, "network": st.sampled_from(names)}, dhcp=flags, tags=tags), "name", "network"))
        for subnet in subnets:
            place = f"10.{NETS[subnet['network']]}.{NETS[subnet['name']]}"
            subnet |= {"cidr": f"{place}.0/24", "gateway_ip": draw(st.sampled_from([f"{place}.1", f"{place}.254"]))}
    routers = draw(unique(some({"name": NAMES}, description=TEXTS, external_network=st.sampled_from(["", "outside"])), "name"))
    left = [{"name": s["name"], "network": s["network"]} for s in subnets]
    for router in routers:
        # A gateway's address is free for one router only.
        count = draw(st.integers(0, len(left)))
        router["interfaces"], left = left[:count], left[count:]
    groups = draw(unique(some({"name": NAMES}, description=TEXTS, tags=tags), "name"))
    for group in groups:
        group["rules"] = [{"protocol": "tcp", "port_range_min": p} for p in draw(st.sets(PORTS))]
        group["rules"] += [{"remote_group": g["name"]} for g in groups if draw(flags)]
    ports: list[dict[str, Any]] = []
    if names:
        member = {"security_groups": st.lists(st.sampled_from([g["name"] for g in groups]), unique=True)} if groups else {}
        ports = draw(unique(some({"name": NAMES, "network": st.sampled_from(names)}, description=TEXTS, **member), "name", "network"))
    addresses = draw(unique(some({"name": NAMES, "network": st.just("outside")}, tags=tags), "name"))
    scopes = draw(unique(some({"name": NAMES, "ip_version": st.just(4)}, shared=flags), "name"))
    found = {"networks": networks, "subnets": subnets, "routers": routers, "ports": ports, "security_groups": groups,
             "qos_policies": policies, "floating_ips": addresses, "address_scopes": scopes}  # fmt: skip
    return {key: entries for key, entries in found.items() if entries}


def furnish(there: Desk) -> None:
    """An external network, and the group that the service makes by itself."""
    there.run(
        {
            "networks": [{"name": "outside", "external": True}],
            "subnets": [{"name": "outside", "network": "outside", "cidr": "203.0.113.0/24"}],
            "security_groups": ["first"],
        },
        owner="",
    )


def snapshot(there: Desk) -> dict[tuple[str, str], Any]:
    return {(kind, key): copy.deepcopy(one) for kind in STORED for key, one in there.cloud.objects[kind].items()}


def counted(there: Desk) -> Counter[str]:
    return Counter(kind for kind, _ in snapshot(there))


@quick
@given(before=documents(), wanted=documents())
def test_the_second_run_is_empty(before: Document, wanted: Document) -> None:
    with desk() as there:
        furnish(there)
        there.run(before)
        old = snapshot(there)
        planned = there.run(wanted, replace=True, prune="owned", check=True)
        assert not there.cloud.writes()
        assert snapshot(there) == old
        done = there.run(wanted, replace=True, prune="owned")
        assert sorted(done["changes"]) == sorted(planned["changes"])
        assert empty(there.run(wanted, replace=True, prune="owned"))
        assert not there.cloud.writes()


@quick
@given(first=documents(), second=documents())
def test_prune_takes_its_own_and_nothing_else(first: Document, second: Document) -> None:
    with desk() as there:
        furnish(there)
        # Somebody else's things lie elsewhere: what stands on them could not be taken down.
        project = there.run({"projects": ["theirs"]}, owner="")["ids"]["projects"]["theirs"]
        for kind in ("network", "router", "security_group", "address_scope", "qos_policy"):
            there.cloud.put(kind, name="amber", project_id=project)
        others = set(snapshot(there))
        there.run(first)
        there.run(second, replace=True, prune="owned")
        there.run({}, prune="owned")
        assert set(snapshot(there)) == others


@quick
@given(wanted=documents(), skip=st.integers(0, 12), how=st.sampled_from(["before", "after", "error", "busy"]))
def test_an_interrupted_run_is_finished_without_duplicates(wanted: Document, skip: int, how: str) -> None:
    with desk() as there, desk() as calm:
        for one in (there, calm):
            furnish(one)
        order: dict[str, Any] = {"error": {"status": 500}, "busy": {"status": 503, "retry_after": 0}}.get(how, {"drop": how})
        there.cloud.fault(method="write", skip=skip, times=0, **order)
        _, failure = there.try_run(wanted)
        if failure is not None:
            assert all(problem.cause for problem in failure.problems)
        there.cloud.heal()
        there.run(wanted)
        assert empty(there.run(wanted))
        calm.run(wanted)
        assert counted(there) == counted(calm)
        there.run({}, prune="owned")
        calm.run({}, prune="owned")
        assert counted(there) == counted(calm)
