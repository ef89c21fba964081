"""Any networks, with what lies in them, against any starting state."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from .test_convergence import NAMES, TEXTS, Desk, Document, desk, empty, quick, some, unique

STORED = (
    "network",
    "subnet",
    "router",
    "port",
    "security_group",
    "security_group_rule",
    "qos_policy",
    "floating_ip",
    "address_scope",
)
# A range for each name and network, so that none overlap.
NETS = {"amber": 0, "birch": 1, "cedar": 2}
PORTS = st.sampled_from([22, 80, 443])
EXTERNAL = ("outside", "elsewhere")
# One rule in several words, and rules that the service keeps in other words.
FORMS: list[dict[str, Any]] = [
    {"protocol": "tcp", "port_range_min": 1, "port_range_max": 65535},
    {"protocol": 6},
    {"protocol": "vrrp"},
    {"protocol": "112"},
    {"protocol": "sctp", "port_range_min": 5060},
    {"protocol": "icmp", "ethertype": "IPv6"},
    {"protocol": "any", "remote_ip_prefix": "192.0.2.7"},
]


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A document whose entries refer to each other and to an external network that is there."""
    flags = st.booleans()
    tags = st.lists(st.sampled_from(["x", "y"]), unique=True)
    policies = draw(unique(some({"name": NAMES}, description=TEXTS), "name"))
    for policy in policies:
        burst = {"max_burst_kbps": st.sampled_from([0, 50])}
        policy["rules"] = [
            draw(some({"type": st.just("bandwidth_limit"), "max_kbps": st.sampled_from([100, 200])}, **burst))
        ]
        policy["rules"] += [{"type": "dscp_marking", "dscp_mark": draw(st.sampled_from([0, 8]))}] if draw(flags) else []
    qos = {"qos_policy": st.sampled_from(["", *(p["name"] for p in policies)])}
    networks = draw(unique(some({"name": NAMES}, description=TEXTS, tags=tags, enabled=flags, **qos), "name"))
    names = [network["name"] for network in networks]
    subnets: list[dict[str, Any]] = []
    if names:
        subnets = draw(
            unique(some({"name": NAMES, "network": st.sampled_from(names)}, dhcp=flags, tags=tags), "name", "network")
        )
        for subnet in subnets:
            routes = [{"destination": "172.16.9.0/24", "nexthop": "192.0.2.9"}]
            place = f"10.{NETS[subnet['network']]}.{NETS[subnet['name']]}"
            subnet |= {
                "cidr": f"{place}.0/24",
                "gateway_ip": f"{place}.1",
                "host_routes": draw(st.sampled_from([[], routes])),
            }
    # Every port of such a network gets an address in it, wanted or not.
    subnets += [
        {
            "name": "own",
            "network": name,
            "cidr": f"2001:db8:{NETS[name]}::/64",
            "ipv6_ra_mode": "slaac",
            "ipv6_address_mode": "slaac",
        }
        for name in names
        if draw(flags)
    ]
    routers = draw(
        unique(some({"name": NAMES}, description=TEXTS, external_network=st.sampled_from(["", *EXTERNAL])), "name")
    )
    left = [{"name": s["name"], "network": s["network"]} for s in subnets if s["name"] != "own"]
    for router in routers:
        # A gateway's address is free for one router only.
        count = draw(st.integers(0, len(left)))
        router["interfaces"], left = left[:count], left[count:]
        hops = [f"10.{NETS[s['network']]}.{NETS[s['name']]}.77" for s in router["interfaces"]]
        router["routes"] = [{"destination": "172.16.0.0/16", "nexthop": hop} for hop in hops[:1] if draw(flags)]
    groups = draw(unique(some({"name": NAMES}, description=TEXTS, tags=tags), "name"))
    for group in groups:
        group["rules"] = [{"protocol": "tcp", "port_range_min": p} for p in draw(st.sets(PORTS))]
        group["rules"] += draw(st.lists(st.sampled_from(FORMS), max_size=3))
        group["rules"] += [{"remote_group": g["name"]} for g in groups if draw(flags)]
    ports: list[dict[str, Any]] = []
    if names:
        member = (
            {"security_groups": st.lists(st.sampled_from([g["name"] for g in groups]), unique=True)} if groups else {}
        )
        ports = draw(
            unique(
                some({"name": NAMES, "network": st.sampled_from(names)}, description=TEXTS, **member), "name", "network"
            )
        )
    # Ports exchange their addresses between two documents.
    last = draw(st.permutations(range(20, 29)))
    for port in ports:
        inside = [s for s in subnets if s["network"] == port["network"] and s["name"] != "own"]
        if inside and draw(flags):
            port["fixed_ips"] = [{"ip_address": f"10.{NETS[port['network']]}.{NETS[inside[0]['name']]}.{last.pop()}"}]
    addresses = draw(unique(some({"name": NAMES, "network": st.sampled_from(EXTERNAL)}, tags=tags), "name"))
    for address in addresses:
        behind = {
            s["network"] for r in routers if r.get("external_network") == address["network"] for s in r["interfaces"]
        }
        known = [p for p in ports if "fixed_ips" in p and p["network"] in behind]
        taken = [a.get("port") for a in addresses]
        free = [{"name": p["name"], "network": p["network"]} for p in known]
        address["port"] = draw(st.sampled_from(["", *(p for p in free if p not in taken)]))
    scopes = draw(unique(some({"name": NAMES, "ip_version": st.just(4)}, shared=flags), "name"))
    found = {"networks": networks, "subnets": subnets, "routers": routers, "ports": ports, "security_groups": groups,
             "qos_policies": policies, "floating_ips": addresses, "address_scopes": scopes}  # fmt: skip
    return {key: entries for key, entries in found.items() if entries}


def furnish(there: Desk) -> None:
    """External networks, and the group that the service makes by itself."""
    blocks = ("203.0.113.0/24", "198.51.100.0/24")
    there.run(
        {
            "networks": [{"name": name, "external": True} for name in EXTERNAL],
            "subnets": [{"name": n, "network": n, "cidr": block} for n, block in zip(EXTERNAL, blocks, strict=True)],
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
        order: dict[str, Any] = {"error": {"status": 500}, "busy": {"status": 503, "retry_after": 0}}.get(
            how, {"drop": how}
        )
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
