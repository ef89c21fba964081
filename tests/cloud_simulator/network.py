"""Neutron: networks and all that hangs on them."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable
from typing import Any

from .core import Answer, Collection, Object, Refusal, Request, Route, State, fetch, new_id, now, remove, shown

SERVICE = "network"
QUOTAS = {
    "network": 100, "subnet": 100, "port": 500, "router": 10, "floatingip": 50, "security_group": 10,
    "security_group_rule": 100, "subnetpool": -1, "rbac_policy": 10, "trunk": -1,
}  # fmt: skip
COUNTED = {"floatingip": "floating_ip", "subnetpool": "subnet_pool"}
INTERFACES = ("network:router_interface", "network:router_gateway", "network:floatingip", "network:dhcp")
EXTENSIONS = (
    "router",
    "security-group",
    "quotas",
    "quota_details",
    "external-net",
    "provider",
    "qos",
    "rbac-policies",
    "address-scope",
    "subnet_allocation",
    "trunk",
    "trunk-details",
    "segment",
    "standard-attr-tag",
    "standard-attr-description",
    "port-security",
    "extraroute",
    "ext-gw-mode",
    "floating-ip-port-forwarding",
    "availability_zone",
    "network_availability_zone",
    "router_availability_zone",
    "binding",
    "allowed-address-pairs",
    "net-mtu",
    "pagination",
    "sorting",
    "project-id",
    "agent",
    "default-subnetpools",
    "dns-integration",
    "standard-attr-revisions",
    "security-groups-remote-address-group",
)
Hook = Callable[[State, Request, Object], None]


def quota_of(state: State, project: str) -> dict[str, int]:
    """The limits of a project."""
    own: dict[str, int] = state.extra.setdefault("network_quotas", {}).get(project, {})
    return QUOTAS | own


def limited(resource: str, then: Hook | None = None) -> Hook:
    """Refuse (409) what is over the project's quota, then go on."""

    def hook(state: State, request: Request, obj: Object) -> None:
        limit = quota_of(state, obj["project_id"])[resource]
        used = sum(
            o["project_id"] == obj["project_id"] for o in state.objects[COUNTED.get(resource, resource)].values()
        )
        if 0 <= limit <= used:
            raise Refusal(409, f"Quota exceeded for resources: ['{resource}'].")
        if then:
            then(state, request, obj)

    return hook


def declare(type: str, path: str, **more: Any) -> Collection:
    """A neutron collection: PUT for updates, links for pages, objects of projects, stamps."""
    more["defaults"] = {
        "name": "",
        "description": "",
        "tags": [],
        "revision_number": 0,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "project_id": "",
    } | more.get("defaults", {})
    more.setdefault("required", ())
    more.setdefault("methods", ("POST", "GET", "PUT", "DELETE"))
    more.setdefault("missing_ref", 404)
    more.setdefault("owner", "project_id")
    more.setdefault("tags", True)
    more.setdefault("view", with_tenant)
    return Collection(type=type, service=SERVICE, path=f"/v2.0/{path}", **more)


def with_tenant(state: State, request: Request, out: Object) -> Object:
    """The project under its old name too."""
    out["tenant_id"] = out.get("project_id")
    return out


def show_network(state: State, request: Request, out: Object) -> Object:
    """A network names its subnets."""
    index = state.extra.get("subnet_index")
    if index is None or state.extra.get("subnet_count") != len(state.objects["subnet"]):
        index = {}
        for subnet in state.objects["subnet"].values():
            index.setdefault(subnet["network_id"], []).append(subnet["id"])
        state.extra |= {"subnet_index": index, "subnet_count": len(state.objects["subnet"])}
    out["subnets"] = index.get(out["id"], [])
    return with_tenant(state, request, out)


def see_network(state: State, request: Request, obj: Object) -> bool:
    """Own, shared and external networks, and those that a policy shares."""
    who = request.who
    if who.admin or obj["project_id"] == who.project_id or obj.get("shared") or obj.get("router:external"):
        return True
    return any(
        r["object_id"] == obj["id"] and r["target_tenant"] in (who.project_id, "*") for r in state.all("rbac_policy")
    )


def new_network(state: State, request: Request, obj: Object) -> None:
    """Provider details are the admin's."""
    given = [k for k in obj if k.startswith("provider:") and obj[k] is not None]
    if (given or obj["shared"] or obj["router:external"]) and not request.who.admin:
        raise Refusal(403, "Only the administrator may set provider, shared or external details.")
    if obj["qos_policy_id"]:
        state.get("qos_policy", obj["qos_policy_id"])
    obj["provider:network_type"] = obj["provider:network_type"] or "geneve"
    if obj["provider:network_type"] == "geneve":
        obj["provider:segmentation_id"] = obj["provider:segmentation_id"] or random.randint(1, 1 << 24)
    if obj["provider:network_type"] in ("vlan", "flat"):
        place = [obj[f"provider:{k}"] for k in ("network_type", "physical_network", "segmentation_id")]
        for other in state.all("network"):
            if [other.get(f"provider:{k}") for k in ("network_type", "physical_network", "segmentation_id")] == place:
                raise Refusal(409, f"Unable to create the network. The physical network {place[1]} is in use.")


def change_network(state: State, request: Request, obj: Object, values: Object) -> None:
    """A network with gateways in it stays external."""
    used = state.find("port", network_id=obj["id"], device_owner="network:router_gateway")
    if values.get("router:external", True) is False and obj["router:external"] and used:
        raise Refusal(
            409,
            f"External network {obj['id']} cannot be updated to be made non-external, since it has "
            f"existing gateway ports.",
        )


def drop_network(state: State, request: Request, obj: Object) -> None:
    """Ports keep a network alive."""
    ports = [p for p in state.find("port", network_id=obj["id"]) if p["device_owner"] not in ("network:dhcp",)]
    if ports:
        raise Refusal(
            409, f"Unable to complete operation on network {obj['id']}. There are one or more ports still in use."
        )


def net(text: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A network address; Refusal 400 when it is none."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise Refusal(400, f"Invalid input for cidr. Reason: {error}.") from error


def check_subnet(obj: Object) -> None:
    """A gateway is of the subnet's version and in none of its pools, and so are name servers and routes; modes are
    IPv6's."""
    version = net(obj["cidr"]).version
    routes = [
        route[key].partition("/")[0] for route in obj.get("host_routes") or [] for key in ("destination", "nexthop")
    ]
    for text in [obj.get("gateway_ip"), *(obj.get("dns_nameservers") or []), *routes]:
        try:
            if text and ipaddress.ip_address(text).version != version:
                raise Refusal(400, f"Invalid input for operation: {text} does not match the ip_version '{version}'.")
        except ValueError as error:
            raise Refusal(400, f"Invalid input for operation: '{text}' is not a valid IP address.") from error
    if version == 4 and (obj.get("ipv6_ra_mode") or obj.get("ipv6_address_mode")):
        raise Refusal(400, "ipv6_address_mode is not valid when ip_version is 4.")
    for pool in obj["allocation_pools"] if obj.get("gateway_ip") else ():
        first, last, gateway = (int(ipaddress.ip_address(a)) for a in (pool["start"], pool["end"], obj["gateway_ip"]))
        if first <= gateway <= last:
            raise Refusal(
                409, f"Gateway ip {obj['gateway_ip']} conflicts with allocation pool {pool['start']}-{pool['end']}."
            )


def new_subnet(state: State, request: Request, obj: Object) -> None:
    """Address range, gateway and pools; none may overlap in one network."""
    network = state.get("network", obj["network_id"])
    if not request.who.admin and network["project_id"] != request.who.project_id:
        raise Refusal(403, "The network is not yours.")
    if not obj.get("cidr"):
        pool = state.get("subnet_pool", obj.get("subnetpool_id") or "none", 400)
        obj["cidr"] = allocate(state, pool, obj.pop("prefixlen", None) or pool["default_prefixlen"])
    obj.pop("prefixlen", None)
    cidr = net(obj["cidr"])
    obj["cidr"] = str(cidr)
    if int(obj["ip_version"]) != cidr.version:
        raise Refusal(400, f"Invalid input for operation: cidr {cidr} is not of IP version {obj['ip_version']}.")
    for other in state.find("subnet", network_id=obj["network_id"]):
        if net(other["cidr"]).version == cidr.version and net(other["cidr"]).overlaps(cidr):
            raise Refusal(
                400, f"Requested subnet with cidr: {cidr} for network: {network['id']} overlaps with another subnet."
            )
    if obj.get("gateway_ip", "auto") == "auto":
        obj["gateway_ip"] = str(cidr[min(1, cidr.num_addresses - 1)])
    obj["dns_nameservers"] = list(obj["dns_nameservers"])
    check_subnet(obj)
    if not obj["allocation_pools"]:
        wide = cidr.num_addresses > 2
        first, last = int(cidr[1 if wide else 0]), int(cidr[-2 if wide and cidr.version == 4 else -1])
        gateway = int(ipaddress.ip_address(obj["gateway_ip"])) if obj["gateway_ip"] else None
        obj["allocation_pools"] = [
            {"start": str(ipaddress.ip_address(a)), "end": str(ipaddress.ip_address(b))}
            for a, b in (
                [(first, last)]
                if gateway is None or not first <= gateway <= last
                else [(first, gateway - 1), (gateway + 1, last)]
            )
            if a <= b
        ]
    if cidr.version == 6:
        obj.setdefault("ipv6_address_mode", None)


def change_subnet(state: State, request: Request, obj: Object, values: Object) -> None:
    """What it has then is as sound as in a new one, and a gateway that a router has stays."""
    if values.get("gateway_ip", obj["gateway_ip"]) != obj["gateway_ip"]:
        for port in state.find("port", network_id=obj["network_id"], device_owner="network:router_interface"):
            if any(ip["ip_address"] == obj["gateway_ip"] for ip in port["fixed_ips"]):
                raise Refusal(
                    409,
                    f"Current gateway ip {obj['gateway_ip']} already in use by port {port['id']}. Unable to update.",
                )
    check_subnet(obj | values)


def drop_subnet(state: State, request: Request, obj: Object) -> None:
    """Addresses in use keep a subnet, but for those that ports made themselves."""
    if is_slaac(obj):
        ports = state.find("port", network_id=obj["network_id"])
        if not any(p["device_owner"].startswith("network:router") and obj["id"] in str(p["fixed_ips"]) for p in ports):
            for port in ports:
                port["fixed_ips"] = [ip for ip in port["fixed_ips"] if ip["subnet_id"] != obj["id"]]
            return
    for port in state.find("port", network_id=obj["network_id"]):
        if any(ip["subnet_id"] == obj["id"] for ip in port["fixed_ips"]) and port["device_owner"] != "network:dhcp":
            raise Refusal(
                409, f"Unable to complete operation on subnet {obj['id']}: One or more ports have an IP allocation."
            )


def allocate(state: State, pool: Object, length: Any) -> str:
    """The first free range of a subnet pool."""
    used = [net(s["cidr"]) for s in state.find("subnet", subnetpool_id=pool["id"])]
    for prefix in pool["prefixes"]:
        if int(length) < net(prefix).prefixlen:
            continue
        for candidate in net(prefix).subnets(new_prefix=int(length)):
            if not any(candidate.overlaps(u) for u in used):
                return str(candidate)
    raise Refusal(409, f"Failed to allocate subnet: insufficient prefix space in pool {pool['id']}.")


def new_pool(state: State, request: Request, obj: Object) -> None:
    """Prefixes of one IP version, and lengths that fit."""
    prefixes = [net(p) for p in obj.get("prefixes") or []]
    if not prefixes or len({p.version for p in prefixes}) != 1:
        raise Refusal(400, "A subnet pool needs prefixes of one IP version.")
    obj["ip_version"] = prefixes[0].version
    obj["prefixes"] = [str(p) for p in ipaddress.collapse_addresses(prefixes)]  # type: ignore[type-var]
    least = min(p.prefixlen for p in prefixes)
    obj["min_prefixlen"] = str(obj.get("min_prefixlen") or 8)
    obj["max_prefixlen"] = str(obj.get("max_prefixlen") or prefixes[0].max_prefixlen)
    obj["default_prefixlen"] = str(obj.get("default_prefixlen") or max(least, int(obj["min_prefixlen"])))


def address(state: State, network: str, subnet: str = "", wanted: str = "") -> Object:
    """A free address of a network; Refusal 409 when there is none or it is taken."""
    used = {ip["ip_address"] for p in state.find("port", network_id=network) for ip in p["fixed_ips"]}
    subnets = [s for s in state.find("subnet", network_id=network) if not subnet or s["id"] == subnet]
    if wanted:
        subnets = [s for s in subnets if ipaddress.ip_address(wanted) in net(s["cidr"])]
        if not subnets:
            raise Refusal(
                400, f"IP address {wanted} is not a valid IP for any of the subnets on the specified network."
            )
        if wanted in used:
            raise Refusal(409, f"IP address {wanted} already allocated in subnet {subnets[0]['id']}.")
        return {"subnet_id": subnets[0]["id"], "ip_address": wanted}
    if not subnets:
        raise Refusal(400 if subnet else 409, f"No more IP addresses available on network {network}.")
    for candidate in subnets:
        for pool in candidate["allocation_pools"]:
            start, end = (int(ipaddress.ip_address(pool[k])) for k in ("start", "end"))
            for number in range(start, min(end, start + 70000) + 1):
                text = str(ipaddress.ip_address(number))
                if text not in used:
                    return {"subnet_id": candidate["id"], "ip_address": text}
    raise Refusal(409, f"No more IP addresses available on network {network}.")


def default_group(state: State, project: str) -> Object:
    """The group "default" of a project, made when it is first needed."""
    found = state.find("security_group", name="default", project_id=project)
    if found:
        return found[0]
    group = state.put("security_group", name="default", project_id=project, description="Default security group")
    for ethertype in ("IPv4", "IPv6"):
        state.put(
            "security_group_rule",
            security_group_id=group["id"],
            project_id=project,
            direction="egress",
            ethertype=ethertype,
        )
        state.put("security_group_rule", security_group_id=group["id"], project_id=project, direction="ingress",
                  ethertype=ethertype, remote_group_id=group["id"])  # fmt: skip
    return group


def new_port(state: State, request: Request, obj: Object) -> None:
    """Address, MAC, security groups."""
    network = state.get("network", obj["network_id"])
    if not see_network(state, request, network):
        raise Refusal(404, f"Network {network['id']} could not be found.")
    obj["mac_address"] = plain_mac(obj.get("mac_address")) or "fa:16:3e:" + ":".join(
        f"{random.randrange(256):02x}" for _ in range(3)
    )
    if obj.get("security_groups") is None:
        plain = not obj["device_owner"].startswith("network:")
        obj["security_groups"] = [default_group(state, obj["project_id"])["id"]] if plain else []
    profiled(request, obj)
    check_options(obj)
    check_security(obj)
    for group in obj["security_groups"]:
        state.get("security_group", group)
    obj["fixed_ips"] = addresses(state, obj)
    obj["status"] = "ACTIVE" if obj["device_id"] else "DOWN"


def profiled(request: Request, values: Object) -> None:
    """Since 2023.2 a profile is for accounts of services alone, whatever else a login may do."""
    if values.get("binding:profile") and "service" not in request.who.roles:
        raise Refusal(403, "((rule:create_port and rule:create_port:binding:profile)) is disallowed by policy")


def check_options(obj: Object) -> None:
    """DHCP options have a name and a version, and one is there once; domains end with a dot; profiles are the
    administrator's."""
    seen: dict[tuple[str, int], Object] = {}
    for one in obj["extra_dhcp_opts"]:
        if not one.get("opt_name") or int(one.get("ip_version", 4)) not in (4, 6):
            raise Refusal(400, f"Invalid data format for extra-dhcp-opt: {one}.")
        seen[(one["opt_name"], int(one.get("ip_version", 4)))] = {"ip_version": 4, **one}
    obj["extra_dhcp_opts"] = [one for one in seen.values() if one.get("opt_value") is not None]
    if obj["dns_domain"] and not obj["dns_domain"].endswith("."):
        raise Refusal(400, f"Invalid input for dns_domain. Reason: '{obj['dns_domain']}' must end with a '.'.")


def plain_mac(text: Any) -> str:
    """A MAC address as it is kept."""
    digits = "".join(c for c in str(text or "").lower() if c in "0123456789abcdef")
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2)) if len(digits) == 12 else ""


def check_security(obj: Object) -> None:
    """A port without port security has no groups and no further addresses."""
    if not obj["port_security_enabled"] and (obj["security_groups"] or obj["allowed_address_pairs"]):
        raise Refusal(
            409, "Port Security must be enabled in order to have allowed address pairs on a port, or security groups."
        )
    for pair in obj["allowed_address_pairs"]:
        pair["mac_address"] = plain_mac(pair.get("mac_address")) or obj["mac_address"]


def addresses(state: State, obj: Object) -> list[Object]:
    """The addresses that a port asks for, or one of the network."""
    given = obj.get("fixed_ips")
    own = slaac(state, obj)
    if given is None:
        stateful = [s for s in state.find("subnet", network_id=obj["network_id"]) if not is_slaac(s)]
        return ([address(state, obj["network_id"], stateful[0]["id"])] if stateful else []) + own
    found: list[Object] = []
    for ip in given:
        subnet = state.objects["subnet"].get(ip.get("subnet_id", ""), {})
        if is_slaac(subnet) or any(ip.get("ip_address") == one["ip_address"] for one in own):
            continue
        found.append(address(state, obj["network_id"], ip.get("subnet_id", ""), ip.get("ip_address", "")))
    return found + own


def is_slaac(subnet: Object) -> bool:
    """Whether ports make their addresses in a subnet themselves."""
    return subnet.get("ipv6_address_mode") in ("slaac", "dhcpv6-stateless")


def slaac(state: State, port: Object) -> list[Object]:
    """The addresses that every port of a network has, wanted or not, in its subnets with SLAAC: prefix and EUI-64."""
    if port["device_owner"].startswith("network:"):
        return []
    digits = int(port["mac_address"].replace(":", ""), 16) ^ (2 << 40)
    low = digits >> 24 << 40 | 0xFFFE << 24 | digits & 0xFFFFFF
    return [
        {"subnet_id": s["id"], "ip_address": str(ipaddress.ip_address(int(net(s["cidr"])[0]) | low))}
        for s in state.find("subnet", network_id=port["network_id"])
        if is_slaac(s)
    ]


def change_port(state: State, request: Request, obj: Object, values: Object) -> None:
    """New addresses are checked as those of a new port; its own may stay. DHCP options are added, and without a value
    removed."""
    profiled(request, values)
    if "extra_dhcp_opts" in values:
        merged = {**obj, "extra_dhcp_opts": [*obj["extra_dhcp_opts"], *values["extra_dhcp_opts"]], "dns_domain": ""}
        check_options(merged)
        values["extra_dhcp_opts"] = merged["extra_dhcp_opts"]
    check_security(obj | values)
    for group in values.get("security_groups") or []:
        state.get("security_group", group)
    if values.get("fixed_ips") is not None:
        own, obj["fixed_ips"] = obj["fixed_ips"], []
        try:
            values["fixed_ips"] = addresses(state, obj | values)
        finally:
            obj["fixed_ips"] = own


def drop_port(state: State, request: Request, obj: Object) -> None:
    """Ports of routers go with the interface; trunk parents and subports stay. A floating address lets go."""
    if obj["device_owner"] in INTERFACES[:3] and "/routers/" not in request.path and "/floatingips" not in request.path:
        raise Refusal(
            409,
            f"Port {obj['id']} cannot be deleted directly via the port API: has device owner {obj['device_owner']}.",
        )
    for trunk in state.all("trunk"):
        if trunk["port_id"] == obj["id"] or any(s["port_id"] == obj["id"] for s in trunk["sub_ports"]):
            raise Refusal(409, f"Port {obj['id']} is in use by trunk {trunk['id']}.")
    for ip in state.find("floating_ip", port_id=obj["id"]):
        ip |= {"port_id": None, "fixed_ip_address": None, "router_id": None, "status": "DOWN"}


def new_group(state: State, request: Request, obj: Object) -> None:
    """Two egress rules come with every group."""
    default_group(state, obj["project_id"])
    if obj["name"] == "default":
        raise Refusal(409, "Default security group already exists.")
    for tag in obj["tags"]:
        if "," in tag or len(tag) > 255:
            raise Refusal(400, f"Invalid input for tags: '{tag}'.")
    for ethertype in ("IPv4", "IPv6"):
        state.put("security_group_rule", security_group_id=obj["id"], project_id=obj["project_id"], direction="egress",
                  ethertype=ethertype)  # fmt: skip


def drop_group(state: State, request: Request, obj: Object) -> None:
    """A group of a port stays, and so does "default" for all but the admin."""
    if any(obj["id"] in (p["security_groups"] or ()) for p in state.objects["port"].values()):
        raise Refusal(409, f"Security Group {obj['id']} in use.")
    if obj["name"] == "default" and not request.who.admin:
        raise Refusal(409, "Insufficient rights for removing default security group.")


def show_group(state: State, request: Request, out: Object) -> Object:
    """A group shows its rules."""
    kind = state.types["security_group_rule"]
    index = state.extra.get("rule_index")
    if index is None or state.extra.get("rule_version") != state.extra.get("rule_edits", 0) + len(
        state.objects[kind.type]
    ):
        index = {}
        for rule in state.objects[kind.type].values():
            index.setdefault(rule["security_group_id"], []).append(rule)
        state.extra |= {
            "rule_index": index,
            "rule_version": state.extra.get("rule_edits", 0) + len(state.objects[kind.type]),
        }
    out["security_group_rules"] = [with_tenant(state, request, dict(rule)) for rule in index.get(out["id"], [])]
    return with_tenant(state, request, out)


def new_address_group(state: State, request: Request, obj: Object) -> None:
    """Addresses are ranges, each there once."""
    if not isinstance(obj["addresses"], list):
        raise Refusal(400, "Invalid input for addresses.")
    for one in obj["addresses"]:
        if "/" not in one:
            raise Refusal(400, f"Invalid input for addresses. Reason: '{one}' is not a valid IP subnet.")
    if len(set(obj["addresses"])) != len(obj["addresses"]):
        raise Refusal(400, f"Invalid input for addresses. Reason: duplicates in {obj['addresses']}.")


def change_address_group(state: State, request: Request, obj: Object, values: Object) -> None:
    """Addresses have requests of their own."""
    if "addresses" in values:
        raise Refusal(400, "Cannot update read-only attribute addresses.")


def addresses_of_group(state: State, request: Request, match: dict[str, str]) -> Answer:
    """PUT add_addresses and remove_addresses: what is there is not added, what is not there not removed."""
    group = fetch(state, request, state.types["address_group"], {"id": match["id"]})
    if "addresses" not in request.json():
        raise Refusal(500, "Request Failed: internal server error while processing your request.")
    given = [str(net(one)) for one in request.json()["addresses"]]
    adds = match["action"] == "add_addresses"
    wrong = [one for one in given if (one in group["addresses"]) == adds]
    if wrong:
        there = "already exist in" if adds else "not found in"
        raise Refusal(400 if adds else 404, f"Addresses {wrong} {there} the address group {group['id']}.")
    group["addresses"] = (
        [*group["addresses"], *given] if adds else [one for one in group["addresses"] if one not in given]
    )
    return Answer(200, {"address_group": with_tenant(state, request, dict(group))})


def change_group(state: State, request: Request, obj: Object, values: Object) -> None:
    """A group in use stays stateful or not."""
    if values.get("stateful", obj["stateful"]) != obj["stateful"] and any(
        obj["id"] in (p["security_groups"] or ()) for p in state.objects["port"].values()
    ):
        raise Refusal(409, f"Security Group {obj['id']} in use.")


NUMBERS = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "icmp": 1,
    "icmpv6": 58,
    "igmp": 2,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
WITH_PORTS = tuple(NUMBERS[name] for name in ("tcp", "udp", "sctp", "dccp", "udplite"))


def number_of(protocol: Any) -> int | None:
    """The number of a protocol; Refusal 400 for what is none."""
    if protocol in (None, "", "any", "-1", "0", 0):
        return None
    if protocol not in NUMBERS and not (str(protocol).isdigit() and int(protocol) < 256):
        raise Refusal(400, f"Security group rule protocol {protocol} not supported.")
    return NUMBERS.get(protocol) or int(protocol)


RULE = (
    "security_group_id",
    "direction",
    "ethertype",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
    "remote_address_group_id",
)


def new_rule(state: State, request: Request, obj: Object) -> None:
    """A rule that makes sense and is not there yet."""
    state.extra["rule_edits"] = state.extra.get("rule_edits", 0) + 1_000_003
    if obj["direction"] not in ("ingress", "egress"):
        raise Refusal(400, f"Invalid input for direction: {obj['direction']!r} is not ingress or egress.")
    if sum(bool(obj[key]) for key in ("remote_ip_prefix", "remote_group_id", "remote_address_group_id")) > 1:
        raise Refusal(400, "Only remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.")
    low, high = obj["port_range_min"], obj["port_range_max"]
    if (low is not None or high is not None) and not obj["protocol"]:
        raise Refusal(400, "Must also specify protocol if port range is given.")
    if isinstance(obj["protocol"], str):
        obj["protocol"] = obj["protocol"].lower()
    number = number_of(obj["protocol"])
    if number in WITH_PORTS and (low, high) != (None, None):
        if low is None or high is None or not 0 < int(low) <= int(high):
            raise Refusal(400, f"For TCP/UDP protocols, port_range_min must be <= port_range_max: {low} > {high}.")
        if (int(low), int(high)) == (1, 65535):
            # All ports are kept as none named.
            obj["port_range_min"] = obj["port_range_max"] = None
    elif number not in (None, 1, 58) and (low, high) != (None, None):
        raise Refusal(400, f"Port range cannot be specified for protocol {obj['protocol']}.")
    if obj["remote_ip_prefix"]:
        prefix = net(obj["remote_ip_prefix"])
        if f"IPv{prefix.version}" != obj["ethertype"]:
            raise Refusal(400, f"Conflicting value ethertype {obj['ethertype']} for CIDR {prefix}.")
        obj["normalized_cidr"] = str(prefix)
    if number == 1 and obj["ethertype"] == "IPv6":
        obj["protocol"], number = "ipv6-icmp", 58
    for other in state.find("security_group_rule", security_group_id=obj["security_group_id"]):
        if all(other[k] == obj[k] for k in RULE if k != "protocol") and number_of(other["protocol"]) == number:
            raise Refusal(409, f"Security group rule already exists. Rule id is {other['id']}.")


def edited(state: State, request: Request, obj: Object) -> None:
    """The index of rules is stale."""
    state.extra["rule_edits"] = state.extra.get("rule_edits", 0) + 1_000_003


def set_gateway(state: State, request: Request, router: Object, info: Object | None) -> None:
    """Give the router a port on the external network, or take it away."""
    for port in state.find("port", device_id=router["id"], device_owner="network:router_gateway"):
        del state.objects["port"][port["id"]]
    if not info:
        router["external_gateway_info"] = None
        return
    network = state.get("network", info.get("network_id", ""))
    if not network["router:external"]:
        raise Refusal(400, f"Bad router request: Network {network['id']} is not an external network.")
    subnets = {
        subnet["ip_version"]: subnet["id"] for subnet in reversed(state.find("subnet", network_id=network["id"]))
    }
    asked = info.get("external_fixed_ips") or [{"subnet_id": subnets[version]} for version in sorted(subnets)]
    ips = [address(state, network["id"], ip.get("subnet_id", ""), ip.get("ip_address", "")) for ip in asked]
    state.put(
        "port",
        network_id=network["id"],
        device_id=router["id"],
        device_owner="network:router_gateway",
        fixed_ips=ips,
        project_id="",
        status="ACTIVE",
        security_groups=[],
    )
    router["external_gateway_info"] = {"network_id": network["id"], "enable_snat": info.get("enable_snat", True),
                                       "external_fixed_ips": ips}  # fmt: skip


def new_router(state: State, request: Request, obj: Object) -> None:
    """A gateway is more than a field."""
    set_gateway(state, request, obj, obj.get("external_gateway_info"))


def change_router(state: State, request: Request, obj: Object, values: Object) -> None:
    """A changed gateway moves its port, but not from network to network, though nobody is told. Routes need their
    interfaces."""
    if "routes" in values:
        reach = [net(state.get("subnet", s)["cidr"]) for s in reachable(state, obj)]
        for route in values["routes"]:
            if not any(ipaddress.ip_address(route["nexthop"]) in one for one in reach):
                raise Refusal(
                    400, f"Invalid format for routes: the nexthop {route['nexthop']} is not connected with router."
                )
    asked, held = values.get("external_gateway_info"), obj["external_gateway_info"]
    if asked and held and asked["network_id"] != held["network_id"]:
        del values["external_gateway_info"]
    if asked and held and asked.get("external_fixed_ips") == []:
        del asked["external_fixed_ips"]
        asked["external_fixed_ips"] = held["external_fixed_ips"]
    if "external_gateway_info" in values:
        info = values["external_gateway_info"]
        inner = {p["fixed_ips"][0]["subnet_id"] for p in state.find("port", device_id=obj["id"]) if p["fixed_ips"]}
        if not info and any(ip["router_id"] == obj["id"] for ip in state.all("floating_ip")):
            raise Refusal(
                409, f"Gateway cannot be updated for router {obj['id']}: a floating IP needs it ({len(inner)} subnets)."
            )
        set_gateway(state, request, obj, info)
        values["external_gateway_info"] = obj["external_gateway_info"]


def reachable(state: State, router: Object, without: str = "") -> set[str]:
    """The subnets that a router is in."""
    return {
        ip["subnet_id"]
        for port in state.find("port", device_id=router["id"])
        if port["id"] != without
        for ip in port["fixed_ips"]
    }


def drop_router(state: State, request: Request, obj: Object) -> None:
    """Interfaces keep a router."""
    if state.find("port", device_id=obj["id"], device_owner="network:router_interface"):
        raise Refusal(409, f"Router {obj['id']} still has ports.")
    set_gateway(state, request, obj, None)


def interface(state: State, request: Request, match: dict[str, str]) -> Answer:
    """PUT add_router_interface and remove_router_interface."""
    router = fetch(state, request, state.types["router"], {"id": match["id"]})
    body = request.json()
    taken = state.find("port", device_id=router["id"], device_owner="network:router_interface")
    if match["action"] == "remove_router_interface":
        for port in taken:
            subnets = [ip["subnet_id"] for ip in port["fixed_ips"]]
            if port["id"] == body.get("port_id") or body.get("subnet_id") in subnets:
                if any(
                    ip["router_id"] == router["id"]
                    and ip["port_id"]
                    and state.get("port", ip["port_id"])["network_id"] == port["network_id"]
                    for ip in state.all("floating_ip")
                ):
                    raise Refusal(
                        409,
                        f"Router interface for subnet {subnets[0]} cannot be deleted, as it is required by a "
                        "floating IP.",
                    )
                reach = [net(state.get("subnet", s)["cidr"]) for s in reachable(state, router, port["id"])]
                if any(not any(ipaddress.ip_address(r["nexthop"]) in one for one in reach) for r in router["routes"]):
                    raise Refusal(
                        409,
                        f"Router interface for subnet {subnets[0]} on router {router['id']} cannot be deleted, as it "
                        "is required by one or more routes.",
                    )
                remove(state, request, state.types["port"], port)
                return Answer(
                    200, {"id": router["id"], "port_id": port["id"], "subnet_id": subnets[0], "subnet_ids": subnets}
                )
        raise Refusal(404, f"Router {router['id']} has no interface on subnet or port {body}.")
    if match["action"] != "add_router_interface":
        raise Refusal(404, f"There is no action {match['action']}.")
    if body.get("port_id"):
        port = state.get("port", body["port_id"])
        if port["device_id"]:
            raise Refusal(
                409, f"Unable to complete operation on port {port['id']}: it is in use by {port['device_id']}."
            )
        port |= {"device_id": router["id"], "device_owner": "network:router_interface", "status": "ACTIVE"}
    else:
        subnet = state.get("subnet", body.get("subnet_id") or "none")
        for other in taken:
            for ip in other["fixed_ips"]:
                if ip["subnet_id"] == subnet["id"]:
                    raise Refusal(400, f"Bad router request: Router already has a port on subnet {subnet['id']}.")
                there = net(state.get("subnet", ip["subnet_id"])["cidr"])
                if there.version == net(subnet["cidr"]).version and there.overlaps(net(subnet["cidr"])):
                    raise Refusal(400, f"Bad router request: Cidr {subnet['cidr']} overlaps with cidr {there}.")
        if not subnet["gateway_ip"]:
            raise Refusal(400, "Bad router request: Subnet for router interface must have a gateway IP.")
        ip = address(state, subnet["network_id"], subnet["id"], subnet["gateway_ip"])
        port = state.put(
            "port",
            network_id=subnet["network_id"],
            device_id=router["id"],
            project_id=router["project_id"],
            device_owner="network:router_interface",
            fixed_ips=[ip],
            security_groups=[],
            status="ACTIVE",
            mac_address="fa:16:3e:00:00:01",
        )
    subnets = [ip["subnet_id"] for ip in port["fixed_ips"]]
    return Answer(200, {"id": router["id"], "port_id": port["id"], "subnet_id": subnets[0], "subnet_ids": subnets,
                        "network_id": port["network_id"], "project_id": router["project_id"]})  # fmt: skip


def link(state: State, obj: Object, port_id: str | None, fixed: str | None) -> None:
    """Bind a floating address to a port behind a router with a gateway there, or free it."""
    if not port_id:
        obj |= {"port_id": None, "fixed_ip_address": None, "router_id": None, "status": "DOWN"}
        return
    port = state.get("port", port_id)
    ips = [ip for ip in port["fixed_ips"] if not fixed or ip["ip_address"] == fixed]
    if not fixed and sum(":" not in ip["ip_address"] for ip in ips) > 1:
        raise Refusal(
            400,
            f"Bad floatingip request: Port {port_id} has multiple fixed IPv4 addresses. Must provide a specific one.",
        )
    ips = [ip for ip in ips if ":" not in ip["ip_address"]]
    if not ips:
        raise Refusal(400, f"Port {port_id} has no fixed address {fixed or ''}.")
    other = [
        o
        for o in state.find("floating_ip", port_id=port_id, fixed_ip_address=ips[0]["ip_address"])
        if o["id"] != obj["id"]
    ]
    if other:
        raise Refusal(409, f"Cannot associate floating IP with port {port_id}: the fixed IP already has a floating IP.")
    for inner in state.find("port", network_id=port["network_id"], device_owner="network:router_interface"):
        router = state.get("router", inner["device_id"])
        info = router["external_gateway_info"]
        if info and info["network_id"] == obj["floating_network_id"]:
            obj |= {
                "port_id": port_id,
                "fixed_ip_address": ips[0]["ip_address"],
                "router_id": router["id"],
                "status": "ACTIVE",
            }
            return
    raise Refusal(
        404, f"External network {obj['floating_network_id']} is not reachable from subnet {ips[0]['subnet_id']}."
    )


def new_floating(state: State, request: Request, obj: Object) -> None:
    """An address of an external network."""
    network = state.get("network", obj["floating_network_id"])
    if not network["router:external"]:
        raise Refusal(400, f"Bad floatingip request: Network {network['id']} is not a valid external network.")
    ip = address(state, network["id"], obj.pop("subnet_id", None) or "", obj.get("floating_ip_address") or "")
    link(state, obj, obj.get("port_id"), obj.get("fixed_ip_address"))
    obj["floating_ip_address"] = ip["ip_address"]
    port = state.put(
        "port",
        network_id=network["id"],
        device_id=obj["id"],
        device_owner="network:floatingip",
        fixed_ips=[ip],
        project_id="",
        security_groups=[],
    )
    obj["_port"] = port["id"]


def change_floating(state: State, request: Request, obj: Object, values: Object) -> None:
    """Bind elsewhere or free."""
    if "port_id" in values:
        link(state, obj, values.pop("port_id"), values.pop("fixed_ip_address", None))


def drop_floating(state: State, request: Request, obj: Object) -> None:
    """Its port goes too."""
    state.objects["port"].pop(obj.get("_port", ""), None)


def new_forwarding(state: State, request: Request, obj: Object) -> None:
    """A forwarding has a port of its own outside."""
    ip = state.get("floating_ip", obj["floatingip_id"])
    if ip["port_id"]:
        raise Refusal(409, f"Floating IP {ip['id']} is bound to port {ip['port_id']} and cannot forward.")
    port = state.get("port", obj.get("internal_port_id", ""))
    obj["internal_ip_address"] = obj.get("internal_ip_address") or port["fixed_ips"][0]["ip_address"]


def new_sharing(state: State, request: Request, obj: Object) -> None:
    """What is shared must be there."""
    kinds = {"network": "network", "qos_policy": "qos_policy", "security_group": "security_group",
             "address_scope": "address_scope", "subnetpool": "subnet_pool"}  # fmt: skip
    if obj["object_type"] not in kinds:
        raise Refusal(400, f"Invalid input for object_type: {obj['object_type']}.")
    state.get(kinds[obj["object_type"]], obj["object_id"])


def new_trunk(state: State, request: Request, obj: Object) -> None:
    """A port is in one trunk only."""
    for one in [obj["port_id"], *[s["port_id"] for s in obj["sub_ports"]]]:
        free_port(state, one)


def free_port(state: State, port: str) -> None:
    """Refusal 409 when a port is part of a trunk."""
    state.get("port", port)
    if any(t["port_id"] == port or any(s["port_id"] == port for s in t["sub_ports"]) for t in state.all("trunk")):
        raise Refusal(409, f"Port {port} is currently in use and is not eligible for use as a parent or subport.")


def subports(state: State, request: Request, match: dict[str, str]) -> Answer:
    """PUT add_subports, remove_subports; GET get_subports."""
    trunk = fetch(state, request, state.types["trunk"], {"id": match["id"]})
    if match["action"] == "get_subports":
        return Answer(200, {"sub_ports": trunk["sub_ports"]})
    given = request.json().get("sub_ports", [])
    for one in given:
        if match["action"] == "add_subports":
            free_port(state, one["port_id"])
            if any(s["segmentation_id"] == one.get("segmentation_id") for s in trunk["sub_ports"]):
                raise Refusal(409, f"Segmentation {one.get('segmentation_id')} is in use in trunk {trunk['id']}.")
            trunk["sub_ports"].append({"segmentation_type": "vlan"} | one)
        else:
            if not any(s["port_id"] == one["port_id"] for s in trunk["sub_ports"]):
                raise Refusal(
                    404, f"SubPort on trunk {trunk['id']} with parent port {one['port_id']} could not be found."
                )
            trunk["sub_ports"] = [s for s in trunk["sub_ports"] if s["port_id"] != one["port_id"]]
    return Answer(200, with_tenant(state, request, dict(trunk)))


RULES = ("bandwidth_limit", "dscp_marking", "minimum_bandwidth", "minimum_packet_rate", "packet_rate_limit")


def show_policy(state: State, request: Request, out: Object) -> Object:
    """A policy shows its rules."""
    out["rules"] = [
        {k: v for k, v in rule.items() if k != "policy_id"} | {"qos_policy_id": out["id"], "type": name}
        for name in RULES
        for rule in state.find(f"qos_{name}_rule", policy_id=out["id"])
    ]
    return with_tenant(state, request, out)


def drop_policy(state: State, request: Request, obj: Object) -> None:
    """Networks, ports and addresses keep a policy."""
    for kind in ("network", "port", "floating_ip"):
        if state.find(kind, qos_policy_id=obj["id"]):
            raise Refusal(409, f"QoS Policy {obj['id']} is used by {kind}.")


def qos_rule(name: str, **defaults: Any) -> Collection:
    """One sort of QoS rule below its policy."""
    unique = (("policy_id", "direction"),) if "direction" in defaults else (("policy_id",),)
    return Collection(f"qos_{name}_rule", SERVICE, f"/v2.0/qos/policies/{{policy_id}}/{name}_rules", key=f"{name}_rule",
                      defaults=defaults, required=(), unique=unique, methods=("POST", "GET", "PUT", "DELETE"),
                      refs={"policy_id": "qos_policy"}, missing_ref=404, hidden=("policy_id",))  # fmt: skip


COLLECTIONS = [
    declare(
        "network",
        "networks",
        defaults={
            "admin_state_up": True,
            "status": "ACTIVE",
            "shared": False,
            "router:external": False,
            "mtu": 1442,
            "is_default": False,
            "port_security_enabled": True,
            "availability_zone_hints": [],
            "availability_zones": [],
            "dns_domain": "",
            "qos_policy_id": None,
            "provider:network_type": None,
            "provider:physical_network": None,
            "vlan_transparent": None,
            "provider:segmentation_id": None,
            "ipv4_address_scope": None,
            "ipv6_address_scope": None,
            "l2_adjacency": True,
        },
        on_create=limited("network", new_network),
        on_update=change_network,
        on_delete=drop_network,
        view=show_network,
        visible=see_network,
        cascade=(("subnet", "network_id"), ("segment", "network_id")),
        immutable=("project_id", "tenant_id"),
    ),
    declare(
        "subnet",
        "subnets",
        required=("network_id", "ip_version"),
        refs={"network_id": "network"},
        defaults={
            "enable_dhcp": True,
            "dns_nameservers": [],
            "host_routes": [],
            "allocation_pools": [],
            "ipv6_ra_mode": None,
            "ipv6_address_mode": None,
            "subnetpool_id": None,
            "segment_id": None,
            "service_types": [],
            "network_id": "",
            "dns_publish_fixed_ip": False,
            "ip_version": 4,
            "cidr": "",
        },
        on_create=limited("subnet", new_subnet),
        on_update=change_subnet,
        on_delete=drop_subnet,
        immutable=(
            "cidr",
            "ip_version",
            "network_id",
            "ipv6_ra_mode",
            "ipv6_address_mode",
            "project_id",
            "subnetpool_id",
        ),
    ),
    declare(
        "port",
        "ports",
        required=("network_id",),
        refs={"network_id": "network"},
        defaults={
            "admin_state_up": True,
            "status": "DOWN",
            "device_id": "",
            "device_owner": "",
            "fixed_ips": None,
            "security_groups": None,
            "allowed_address_pairs": [],
            "extra_dhcp_opts": [],
            "port_security_enabled": True,
            "binding:vnic_type": "normal",
            "binding:host_id": "",
            "binding:profile": {},
            "binding:vif_type": "unbound",
            "qos_policy_id": None,
            "dns_name": "",
            "network_id": "",
            "mac_address": "",
            "propagate_uplink_status": None,
            "dns_domain": "",
        },
        on_create=limited("port", new_port),
        on_update=change_port,
        on_delete=drop_port,
        immutable=("network_id", "project_id"),
    ),
    declare(
        "security_group",
        "security-groups",
        defaults={"stateful": True, "shared": False},
        on_create=limited("security_group", new_group),
        on_update=change_group,
        on_delete=drop_group,
        view=show_group,
        cascade=(("security_group_rule", "security_group_id"),),
    ),
    declare(
        "security_group_rule",
        "security-group-rules",
        required=("security_group_id", "direction"),
        tags=False,
        methods=("POST", "GET", "DELETE"),
        refs={
            "security_group_id": "security_group",
            "remote_group_id": "security_group",
            "remote_address_group_id": "address_group",
        },
        defaults={
            "ethertype": "IPv4",
            "protocol": None,
            "port_range_min": None,
            "port_range_max": None,
            "remote_ip_prefix": None,
            "remote_group_id": None,
            "remote_address_group_id": None,
            "normalized_cidr": None,
            "security_group_id": "",
            "direction": "",
        },
        on_create=limited("security_group_rule", new_rule),
        on_delete=edited,
    ),
    declare(
        "router",
        "routers",
        defaults={
            "admin_state_up": True,
            "status": "ACTIVE",
            "external_gateway_info": None,
            "routes": [],
            "distributed": False,
            "ha": False,
            "availability_zone_hints": [],
            "availability_zones": [],
            "flavor_id": None,
        },
        on_create=limited("router", new_router),
        on_update=change_router,
        on_delete=drop_router,
    ),
    declare(
        "floating_ip",
        "floatingips",
        key="floatingip",
        required=("floating_network_id",),
        refs={"floating_network_id": "network"},
        cascade=(("port_forwarding", "floatingip_id"),),
        defaults={
            "port_id": None,
            "fixed_ip_address": None,
            "router_id": None,
            "status": "DOWN",
            "qos_policy_id": None,
            "dns_domain": "",
            "dns_name": "",
            "floating_ip_address": None,
            "floating_network_id": "",
        },
        immutable=("floating_network_id", "floating_ip_address"),
        on_create=limited("floatingip", new_floating),
        on_update=change_floating,
        on_delete=drop_floating,
    ),
    Collection(
        "port_forwarding",
        SERVICE,
        "/v2.0/floatingips/{floatingip_id}/port_forwardings",
        defaults={"description": "", "internal_ip_address": None},
        required=("protocol", "external_port", "internal_port", "internal_port_id"),
        unique=(("floatingip_id", "protocol", "external_port"),),
        hidden=("floatingip_id",),
        refs={"floatingip_id": "floating_ip"},
        missing_ref=404,
        methods=("POST", "GET", "PUT", "DELETE"),
        on_create=new_forwarding,
    ),
    declare(
        "qos_policy",
        "qos/policies",
        key="policy",
        plural="policies",
        defaults={"shared": False, "is_default": False},
        view=show_policy,
        on_delete=drop_policy,
        cascade=tuple((f"qos_{n}_rule", "policy_id") for n in RULES),
    ),
    qos_rule("bandwidth_limit", max_kbps=0, max_burst_kbps=0, direction="egress"),
    qos_rule("dscp_marking", dscp_mark=0),
    qos_rule("minimum_bandwidth", min_kbps=0, direction="egress"),
    qos_rule("minimum_packet_rate", min_kpps=0, direction="egress"),
    qos_rule("packet_rate_limit", max_kpps=0, max_burst_kpps=0, direction="egress"),
    declare(
        "rbac_policy",
        "rbac-policies",
        plural="rbac_policies",
        tags=False,
        required=("object_type", "object_id", "action", "target_tenant"),
        unique=(("object_type", "object_id", "action", "target_tenant"),),
        immutable=("object_type", "object_id", "action"),
        on_create=limited("rbac_policy", new_sharing),
    ),
    declare(
        "address_scope",
        "address-scopes",
        required=("name", "ip_version"),
        defaults={"shared": False},
        tags=False,
        used_by=(("subnet_pool", "address_scope_id"),),
        immutable=("ip_version",),
    ),
    declare(
        "subnet_pool",
        "subnetpools",
        key="subnetpool",
        required=("name", "prefixes"),
        used_by=(("subnet", "subnetpool_id"),),
        refs={"address_scope_id": "address_scope"},
        defaults={"shared": False, "is_default": False, "address_scope_id": None, "default_quota": None},
        immutable=("shared",),
        on_create=limited("subnetpool", new_pool),
    ),
    declare(
        "trunk",
        "trunks",
        required=("port_id",),
        refs={"port_id": "port"},
        defaults={"admin_state_up": True, "status": "ACTIVE", "sub_ports": [], "port_id": ""},
        immutable=("port_id",),
        on_create=limited("trunk", new_trunk),
    ),
    declare(
        "segment",
        "segments",
        required=("network_id", "network_type"),
        refs={"network_id": "network"},
        owner="",
        tags=False,
        defaults={"physical_network": None, "segmentation_id": None, "network_id": "", "network_type": ""},
        unique=(("physical_network", "network_type", "segmentation_id"),),
        used_by=(("subnet", "segment_id"),),
        immutable=("network_id", "network_type", "physical_network", "segmentation_id"),
        admin_write=True,
    ),
    declare(
        "address_group",
        "address-groups",
        defaults={"addresses": [], "shared": False},
        tags=False,
        used_by=(("security_group_rule", "remote_address_group_id"),),
        on_create=new_address_group,
        on_update=change_address_group,
    ),
    declare(
        "agent",
        "agents",
        methods=("GET", "PUT"),
        owner="",
        tags=False,
        admin_read=True,
        defaults={"alive": True, "admin_state_up": True},
    ),
]


# -- what is not a collection


def quotas(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of the quotas that differ from the defaults."""
    request.need_admin()
    rows = [
        quota_of(state, p) | {"project_id": p, "tenant_id": p} for p in state.extra.setdefault("network_quotas", {})
    ]
    return Answer(200, {"quotas": rows})


def quota(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of one project's quota, its defaults, or its use."""
    what = match.get("what", "")
    if what.startswith("details"):
        used = {k: sum(o["project_id"] == match["project"] for o in state.all(COUNTED.get(k, k))) for k in QUOTAS}
        limits = quota_of(state, match["project"])
        return Answer(200, {"quota": {k: {"limit": limits[k], "used": used[k], "reserved": 0} for k in QUOTAS}})
    return Answer(200, {"quota": QUOTAS if what.startswith("default") else quota_of(state, match["project"])})


def set_quota(state: State, request: Request, match: dict[str, str]) -> Answer:
    """PUT of a project's quota."""
    request.need_admin()
    given = request.wrapped("quota")
    check = given.pop("check_limit", False)
    for name, value in given.items():
        if name not in QUOTAS or not isinstance(value, int) or isinstance(value, bool) or value < -1:
            raise Refusal(400, f"Invalid input for quota {name}: {value!r}.")
        used = sum(o["project_id"] == match["project"] for o in state.all(COUNTED.get(name, name)))
        if check and 0 <= value < used:
            raise Refusal(400, f"Quota limit {value} of {name} is below the use of {used}.")
    state.extra.setdefault("network_quotas", {}).setdefault(match["project"], {}).update(given)
    return Answer(200, {"quota": quota_of(state, match["project"])})


def reset_quota(state: State, request: Request, match: dict[str, str]) -> Answer:
    """DELETE of a project's quota: the defaults again."""
    request.need_admin()
    if state.extra.setdefault("network_quotas", {}).pop(match["project"], None) is None:
        raise Refusal(404, f"Quota for tenant {match['project']} could not be found.")
    return Answer(204)


def extensions(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of the extensions."""
    found = [{"alias": e, "name": e, "description": "", "updated": now(), "links": []} for e in EXTENSIONS]
    if "alias" in match:
        found = [e for e in found if e["alias"] == match["alias"]]
        if not found:
            raise Refusal(404, f"Extension with alias {match['alias']} does not exist.")
        return Answer(200, {"extension": found[0]})
    return Answer(200, {"extensions": found})


def zones(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of the availability zones."""
    return Answer(200, {"availability_zones": [
        {"name": "nova", "resource": r, "state": "available"} for r in ("network", "router")]})  # fmt: skip


def versions(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET /."""
    return Answer(200, {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [
        {"rel": "self", "href": f"{request.base}/v2.0/"}]}]})  # fmt: skip


def resources(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET /v2.0."""
    return Answer(200, {"resources": []})


ROUTES = [
    Route(SERVICE, "GET", "/", versions, "version", open=True),
    Route(SERVICE, "GET", "/v2.0", resources, "version"),
    Route(SERVICE, "GET", "/v2.0/extensions", extensions, "extension"),
    Route(SERVICE, "GET", "/v2.0/extensions/{alias}", extensions, "extension"),
    Route(SERVICE, "GET", "/v2.0/availability_zones", zones, "availability_zone"),
    Route(SERVICE, "GET", "/v2.0/quotas", quotas, "network_quota"),
    Route(SERVICE, "GET", "/v2.0/quotas/{project}", quota, "network_quota"),
    Route(SERVICE, "GET", "/v2.0/quotas/{project}/{what}", quota, "network_quota"),
    Route(SERVICE, "PUT", "/v2.0/quotas/{project}", set_quota, "network_quota"),
    Route(SERVICE, "DELETE", "/v2.0/quotas/{project}", reset_quota, "network_quota"),
    Route(SERVICE, "PUT", "/v2.0/routers/{id}/{action}", interface, "router_interface"),
    Route(SERVICE, "PUT", "/v2.0/address-groups/{id}/{action}", addresses_of_group, "address_group"),
    Route(SERVICE, "PUT", "/v2.0/trunks/{id}/{action}", subports, "trunk_subport"),
    Route(SERVICE, "GET", "/v2.0/trunks/{id}/{action}", subports, "trunk_subport"),
]


def seed(state: State) -> None:
    """Nothing is there at first but an agent."""
    state.put("agent", id=new_id(), binary="ovn-controller", host="compute-1", agent_type="OVN Controller agent")


__all__ = ["COLLECTIONS", "ROUTES", "seed", "shown"]
