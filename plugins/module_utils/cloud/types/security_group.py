"""Security groups with their rules, QoS policies with theirs, and policies that share things with other projects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError, Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    Field,
    Item,
    Operation,
    Plan,
    Query,
    Raw,
    ResourceType,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.common import DESCRIPTION, NAME
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.network import (
    PROJECT,
    SHARED,
    TAGGED,
    TAGS,
    Found,
    block_of,
    check_block,
    check_tags,
    plain_block,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.common.words import hint_or_list

# Security groups -----------------------------------------------------------------------------------------------------
RULE = (
    "direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group",
    "remote_address_group",
)  # fmt: skip
# What the service calls those that refer to something.
REMOTE = {"remote_group": "remote_group_id", "remote_address_group": "remote_address_group_id"}
ANYWHERE = ("0.0.0.0/0", "::/0")
# The names that the network service knows, by the numbers of IANA's registry of protocols.
NUMBERS = {
    "1": "icmp", "2": "igmp", "4": "ipip", "6": "tcp", "8": "egp", "17": "udp", "33": "dccp", "41": "ipv6-encap",
    "43": "ipv6-route", "44": "ipv6-frag", "46": "rsvp", "47": "gre", "50": "esp", "51": "ah", "58": "ipv6-icmp",
    "59": "ipv6-nonxt", "60": "ipv6-opts", "89": "ospf", "112": "vrrp", "113": "pgm", "132": "sctp", "136": "udplite",
}  # fmt: skip
PROTOCOLS: dict[str, str | None] = {**NUMBERS, "icmpv6": "ipv6-icmp", "any": None, "": None, "-1": None, "0": None}
WITH_PORTS = ("tcp", "udp", "sctp", "dccp", "udplite")
WITH_TYPES = ("icmp", "ipv6-icmp")
ALL_PORTS = [1, 65535]
# What the service gives each new group: everything may go out.
OUT = [{"direction": "egress", "ethertype": ethertype} for ethertype in ("IPv4", "IPv6")]


def rule_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """A rule in the one form in which rules are compared, without what it leaves open."""
    protocol = given.get("protocol")
    if protocol is not None:
        word = str(protocol).lower()
        protocol = PROTOCOLS.get(word, word)
    prefix = given.get("remote_ip_prefix")
    block = block_of(prefix) if prefix else None
    ethertype = given.get("ethertype") or (f"IPv{block.version}" if block else "IPv4")
    if protocol == "icmp" and ethertype == "IPv6":
        protocol = "ipv6-icmp"
    ports = [None if given.get(key) in (None, -1) else given[key] for key in ("port_range_min", "port_range_max")]
    if protocol in WITH_PORTS and ports[1] is None:
        ports[1] = ports[0]
    # The service keeps all ports as none named.
    if protocol in WITH_PORTS and ports == ALL_PORTS:
        ports = [None, None]
    values = (
        given.get("direction") or "ingress",
        ethertype,
        protocol,
        *ports,
        None if prefix is None or plain_block(prefix) in ANYWHERE else plain_block(prefix),
        *(given.get(key, given.get(api)) for key, api in REMOTE.items()),
    )
    return {key: value for key, value in zip(RULE, values, strict=True) if value is not None}


def _order(rule: Mapping[str, Any]) -> list[str]:
    return [str(rule.get(key, "")) for key in RULE]


def _rules(given: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for rule in map(rule_of, given):
        if rule not in found:
            found.append(rule)
    return sorted(found, key=_order)


def _held(raw: Raw) -> list[dict[str, Any]]:
    return _rules(raw.get("security_group_rules") or [])


def _compare_rules(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    rules = _rules(wanted)
    if values.get("default_egress", True) and not any(rule["direction"] == "egress" for rule in rules):
        rules = sorted([*rules, *OUT], key=_order)
    return _held(raw), rules


def _set_rules(op: Operation, before: Any, after: Any) -> None:
    said = {str(_order(rule_of(rule))): rule.get("description") for rule in op.values.get("rules") or []}
    for rule in op.raw.get("security_group_rules") or []:
        if rule_of(rule) not in after:
            op.call("DELETE", f"/security-group-rules/{rule['id']}", accept=(404,))
    new = [
        {
            **{REMOTE.get(key, key): value for key, value in rule.items()},
            **({"description": said[str(_order(rule))]} if said.get(str(_order(rule))) else {}),
            "security_group_id": op.id,
            "project_id": op.raw.get("project_id"),
        }
        for rule in after
        if rule not in (before or [])
    ]
    if new:
        op.call("POST", "/security-group-rules", {"security_group_rules": new})


def _is_number(protocol: Any) -> bool:
    return str(protocol).isdigit() and int(protocol) <= 255


def _check_group(values: Mapping[str, Any]) -> Found:
    found: Found = check_tags(values)
    for number, given in enumerate(values.get("rules") or []):
        rule, key = rule_of(given), f"rules[{number}]"
        low, high = rule.get("port_range_min"), rule.get("port_range_max")
        others = [name for name in ("remote_ip_prefix", *REMOTE) if name in given]
        if len(others) > 1:
            found.append((key, f"Only one of {' and '.join(others)} counts.", "Make two rules of it."))
        if given.get("remote_ip_prefix"):
            found += check_block(given["remote_ip_prefix"], f"{key}.remote_ip_prefix")
            block = block_of(given["remote_ip_prefix"])
            if block and f"IPv{block.version}" != rule["ethertype"]:
                found.append((f"{key}.ethertype", f"{block} is no {rule['ethertype']}.", f"Write IPv{block.version}."))
        if (low is not None or high is not None) and "protocol" not in rule:
            found.append((f"{key}.protocol", "Ports need a protocol.", "Such as tcp or udp."))
        protocol = rule.get("protocol")
        if protocol is not None and protocol not in NUMBERS.values() and not _is_number(protocol):
            mend = f"{hint_or_list(str(protocol), NUMBERS.values())} Or give a number up to 255."
            found.append((f"{key}.protocol", f"'{protocol}' is no protocol.", mend.strip()))
        if protocol not in (None, *WITH_PORTS, *WITH_TYPES) and (low is not None or high is not None):
            found.append((f"{key}.port_range_min", f"The protocol {protocol} has no ports.", "Remove them."))
        if protocol in WITH_TYPES:
            for name, figure in (("port_range_min", low), ("port_range_max", high)):
                if figure is not None and not 0 <= int(figure) <= 255:
                    found.append((f"{key}.{name}", f"{figure} is no ICMP type or code.", "They go from 0 to 255."))
            if high is not None and low is None:
                found.append((f"{key}.port_range_min", "A code needs its ICMP type.", ""))
        if protocol in WITH_PORTS:
            for name, port in (("port_range_min", low), ("port_range_max", high)):
                if port is not None and not 1 <= int(port) <= 65535:
                    found.append((f"{key}.{name}", f"{port} is no port.", "Ports go from 1 to 65535."))
            if high is not None and low is None:
                found.append((f"{key}.port_range_min", "The first port is missing.", ""))
            if low is not None and high is not None and low > high:
                found.append((f"{key}.port_range_max", f"{high} is less than {low}.", "Exchange the two."))
    if "default_egress" in values and "rules" not in values:
        found.append(("default_egress", "It counts only together with rules.", "Give the rules, or remove it."))
    return found


def is_untouched(raw: Raw) -> bool:
    """Whether a group "default" is as the service makes it: its members reach each other, and everything may go out."""
    inner = [{"direction": "ingress", "ethertype": rule["ethertype"], "remote_group": raw["id"]} for rule in OUT]
    plain = not raw.get("tags") and str(raw.get("description") or "") in ("", "Default security group")
    return plain and raw.get("stateful", True) is True and _held(raw) == _rules([*OUT, *inner])


def _create_group(op: Operation) -> Raw:
    """POST, but for the group that each project has from the first look at its groups."""
    if op.values["name"] != "default":
        raw: Raw = op.call("POST", "/security-groups", {"security_group": op.body()}).body["security_group"]
        return raw
    project = op.values.get("project") or op.cloud.project_id
    params = [("name", "default"), ("project_id", project)]
    found = list(op.cloud.pages("network", "/security-groups", "security_groups", params))
    if not found:
        # An administrator's look does not make another project's group; this does, and is refused for it.
        op.call(
            "POST", "/security-groups", {"security_group": {"name": "default", "project_id": project}}, accept=(409,)
        )
        found = list(op.cloud.pages("network", "/security-groups", "security_groups", params))
    if not found:
        raise ApiError(404, "the project has none", "Find the security group default", "See the network service's log.")
    op.raw = dict(found[0])
    body = {key: value for key, value in op.body().items() if key not in ("name", "project_id")}
    if body:
        op.raw |= op.call("PUT", f"/security-groups/{op.id}", {"security_group": body}).body["security_group"]
    return op.raw


def _validate_groups(planner: Plan, items: list[Item]) -> list[Problem]:
    """What a group in use cannot have changed."""
    problems = []
    for item in items:
        if item.current is None or "stateful" not in item.values:
            continue
        if item.values["stateful"] == item.current.get("stateful", item.values["stateful"]):
            continue
        ports = planner.cloud.pages("network", "/ports", "ports", [("security_groups", item.id), ("fields", "id")])
        used = sum(1 for _ in ports)
        if used:
            cause = (
                f"Whether it is stateful cannot be changed while {used} "
                f"port{'s have' if used > 1 else ' has'} the group."
            )
            problems.append(
                item.problem(cause, "Make another group for these ports, or take the old value.", "stateful")
            )
    return problems


# Address groups ------------------------------------------------------------------------------------------------------


def _create_address_group(op: Operation) -> Raw:
    # The service takes ranges alone.
    addresses = sorted({plain_block(one) for one in op.values.get("addresses") or []})
    body = {**op.body(), "addresses": addresses}
    raw: Raw = op.call("POST", "/address-groups", {"address_group": body}).body["address_group"]
    return raw


def _set_addresses(op: Operation, before: Any, after: Any) -> None:
    for action, those in (("add", set(after) - set(before or ())), ("remove", set(before or ()) - set(after))):
        if those:
            # These two take their list without a wrapper, and fail within where it has one.
            op.call("PUT", f"/address-groups/{op.id}/{action}_addresses", {"addresses": sorted(those)})


ADDRESS_GROUP = ResourceType(
    "address_group",
    "address_groups",
    "network",
    "/address-groups",
    (
        NAME,
        PROJECT,
        DESCRIPTION,
        Field(
            "addresses",
            "Addresses and ranges in it; others are taken out.",
            "set",
            normal=lambda value: [plain_block(one) for one in value],
            apply=_set_addresses,
        ),
    ),
    doc="An address group, the other side of rules in security groups.",
    identity=("name", "project"),
    name_filter="many",
    update_method="PUT",
    create=_create_address_group,
    check=lambda values: [
        problem
        for number, one in enumerate(values.get("addresses") or [])
        for problem in check_block(one, f"addresses[{number}]")
    ],
)

SECURITY_GROUP = ResourceType(
    "security_group",
    "security_groups",
    "network",
    "/security-groups",
    (
        NAME,
        PROJECT,
        DESCRIPTION,
        Field("stateful", "Whether answers may pass without a rule of their own.", "bool"),
        Field(
            "rules",
            "All rules, as one unit: others are removed.",
            "list",
            read=_held,
            normal=_rules,
            compare=_compare_rules,
            apply=_set_rules,
            keys=(
                Field("direction", "ingress (the default) or egress.", choices=("ingress", "egress")),
                Field("ethertype", "IPv4 or IPv6; that of the prefix, or IPv4.", choices=("IPv4", "IPv6")),
                Field("protocol", "Such as tcp, udp, icmp, or a number; any by default."),
                Field("port_range_min", "First port, or ICMP type.", "int"),
                Field("port_range_max", "Last port, that of port_range_min by default, or ICMP code.", "int"),
                Field("remote_ip_prefix", "Range of addresses on the other side; any by default."),
                Field("remote_group", "Security group on the other side.", ref="security_group"),
                Field("remote_address_group", "Address group on the other side.", ref="address_group"),
                Field("description", "Description of a new rule."),
            ),
        ),
        Field(
            "default_egress",
            "Whether rules without one for egress still let everything go out.",
            "bool",
            default=True,
            read=lambda raw: any(rule["direction"] == "egress" for rule in raw.get("security_group_rules") or []),
            # The rules hold the difference.
            compare=lambda raw, wanted, values: (None, None),
            apply=lambda op, before, after: None,
        ),
        TAGS,
    ),
    doc="A security group with its rules.",
    identity=("name", "project"),
    key="security_group",
    create=_create_group,
    comes_by_itself=lambda values: values.get("name") == "default",
    check=_check_group,
    validate=_validate_groups,
    skip_export=lambda raw: "made by the service itself" if raw.get("name") == "default" and is_untouched(raw) else "",
    **TAGGED,
)

# QoS policies --------------------------------------------------------------------------------------------------------
QOS_VALUES = ("max_kbps", "max_burst_kbps", "min_kbps", "max_kpps", "max_burst_kpps", "min_kpps", "dscp_mark")
QOS_KINDS = {
    "bandwidth_limit": ("max_kbps", "max_burst_kbps"),
    "minimum_bandwidth": ("min_kbps",),
    "packet_rate_limit": ("max_kpps", "max_burst_kpps"),
    "minimum_packet_rate": ("min_kpps",),
    "dscp_marking": ("dscp_mark",),
}
# The marks of RFC 2474, 2597, 3246 and 5865 that the network service knows.
DSCP_MARKS = (0, *range(8, 41, 2), 44, 46, 48, 56)


def _qos_rules(given: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for rule in given:
        one = {"type": rule["type"]}
        if rule["type"] != "dscp_marking":
            one["direction"] = rule.get("direction") or "egress"
        # A burst that is not named is none, which the service writes as zero.
        one |= {key: rule[key] for key in QOS_KINDS[rule["type"]] if rule.get(key) is not None}
        one |= {key: 0 for key in QOS_KINDS[rule["type"]] if "burst" in key and key not in one}
        found.append(one)
    return sorted(found, key=lambda rule: (rule["type"], rule.get("direction", "")))


def _set_qos_rules(op: Operation, before: Any, after: Any) -> None:
    def key(rule: Mapping[str, Any]) -> tuple[str, str]:
        return rule["type"], "" if rule["type"] == "dscp_marking" else rule.get("direction") or "egress"

    held = {key(rule): rule for rule in op.raw.get("rules") or []}
    wanted = {key(rule): rule for rule in after}
    for place, rule in held.items():
        if place not in wanted:
            op.call("DELETE", f"/qos/policies/{op.id}/{rule['type']}_rules/{rule['id']}", accept=(404,))
    for place, rule in wanted.items():
        path = f"/qos/policies/{op.id}/{rule['type']}_rules"
        body = {f"{rule['type']}_rule": {name: value for name, value in rule.items() if name != "type"}}
        if place not in held:
            op.call("POST", path, body)
        elif rule not in (before or []):
            op.call("PUT", f"{path}/{held[place]['id']}", body)


def _check_qos(values: Mapping[str, Any]) -> Found:
    found: Found = check_tags(values)
    seen: set[tuple[str, str]] = set()
    for number, rule in enumerate(values.get("rules") or []):
        if "type" not in rule:
            continue
        known = QOS_KINDS[rule["type"]]
        wrong = [key for key in QOS_VALUES if key in rule and key not in known]
        if wrong:
            found.append(
                (
                    f"rules[{number}].{wrong[0]}",
                    f"A {rule['type']} rule has no {wrong[0]}.",
                    f"It has {', '.join(known)}.",
                )
            )
        elif known[0] not in rule:
            found.append((f"rules[{number}]", f"A {rule['type']} rule needs {known[0]}.", ""))
        if rule.get("dscp_mark", 0) not in DSCP_MARKS:
            cause = f"{rule['dscp_mark']} is no DSCP mark that the service takes."
            found.append((f"rules[{number}].dscp_mark", cause, f"It takes {', '.join(map(str, DSCP_MARKS))}."))
        for key in known:
            if rule.get(key, 0) < 0:
                found.append((f"rules[{number}].{key}", f"{rule[key]} is less than 0.", ""))
        place = (rule["type"], rule.get("direction", "egress") if rule["type"] != "dscp_marking" else "")
        if place in seen:
            found.append(
                (f"rules[{number}]", "A policy has one rule of a type and direction.", "Remove one of the two.")
            )
        seen.add(place)
    return found


QOS_POLICY = ResourceType(
    "qos_policy",
    "qos_policies",
    "network",
    "/qos/policies",
    (
        NAME,
        PROJECT,
        DESCRIPTION,
        SHARED,
        Field("default", "Whether new networks of the project get it.", "bool", api="is_default"),
        Field(
            "rules",
            "All rules, as one unit: others are removed.",
            "list",
            normal=_qos_rules,
            apply=_set_qos_rules,
            keys=(
                Field("type", "Kind of rule.", choices=tuple(QOS_KINDS), required=True),
                Field("direction", "egress (the default) or ingress.", choices=("egress", "ingress")),
                *(
                    Field(name, doc, "int")
                    for name, doc in zip(
                        QOS_VALUES,
                        (
                            "Most kilobits in a second.",
                            "Most kilobits at once.",
                            "Least kilobits in a second.",
                            "Most thousands of packets in a second.",
                            "Most thousands of packets at once.",
                            "Least thousands of packets in a second.",
                            "DSCP mark.",
                        ),
                        strict=True,
                    )
                ),
            ),
        ),
        TAGS,
    ),
    doc="A QoS policy with its rules.",
    key="policy",
    collection="policies",
    tags_path="/policies",
    identity=("name", "project"),
    check=_check_qos,
    **TAGGED,
)

# RBAC policies -------------------------------------------------------------------------------------------------------
# Fields of a policy that name what is shared, and what the service calls it.
SHAREABLE = {
    "network": "network",
    "qos_policy": "qos_policy",
    "security_group": "security_group",
    "address_scope": "address_scope",
    "subnet_pool": "subnetpool",
}


def _rbac_policies(query: Query) -> list[Raw]:
    params: list[tuple[str, Any]] = []
    if query.entries and not query.all:
        idents = [query.ident(key, entry[key]) for entry in query.entries for key in SHAREABLE if key in entry]
        known = sorted({ident for ident in idents if ident})
        if None not in idents:
            if not known:
                return []
            params = [("object_id", ident) for ident in known]
    return query.collect(params=params)


def _shared_object(kind: str) -> Any:
    return lambda raw: raw["object_id"] if raw["object_type"] == SHAREABLE[kind] else None


def _create_rbac(op: Operation) -> Raw:
    key = next(key for key in SHAREABLE if key in op.values)
    body = {
        "object_type": SHAREABLE[key],
        "object_id": op.values[key],
        "action": op.values["action"],
        "target_tenant": op.values["target_project"],
    }
    raw: Raw = op.call("POST", "/rbac-policies", {"rbac_policy": body}).body["rbac_policy"]
    return raw


def _check_rbac(values: Mapping[str, Any]) -> Found:
    if sum(key in values for key in SHAREABLE) != 1:
        return [("", f"Exactly one of {', '.join(SHAREABLE)} is wanted.", "Say what is shared.")]
    return []


RBAC_POLICY = ResourceType(
    "rbac_policy",
    "rbac_policies",
    "network",
    "/rbac-policies",
    (
        *(
            Field(
                key, f"The {key.replace('_', ' ')} that is shared.", ref=key, read=_shared_object(key), immutable=True
            )
            for key in SHAREABLE
        ),
        Field(
            "action",
            "What the other project may do with it.",
            choices=("access_as_shared", "access_as_external"),
            required=True,
        ),
        Field(
            "target_project",
            "Project that it is shared with; * for all.",
            api="target_tenant",
            ref="project",
            words=("*",),
            required=True,
        ),
    ),
    doc="A policy that shares a network or another object with a project.",
    identity=(*SHAREABLE, "action", "target_project"),
    update_method="",
    listing=_rbac_policies,
    list_last=True,
    create=_create_rbac,
    check=_check_rbac,
)

RULE_TYPES = (QOS_POLICY, ADDRESS_GROUP, SECURITY_GROUP)
