"""From YAML variables to entries: every unknown key, wrong type and missing value of a document, found at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import CloudError, Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    AUTH_DOMAIN,
    AUTH_PROJECT,
    LABELS,
    SCOPES,
    Field,
    Item,
    ResourceType,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_PLURAL
from ansible_collections.stackwright.cloud.plugins.module_utils.common.words import hint_or_list

# What other tools call a key (the modules of openstack.cloud, Terraform, the services' own APIs), and what it is called
# here.
KEY_HINTS = {
    "admin_state_up": ("enabled",),
    "is_enabled": ("enabled",),
    "enable_snat": ("snat",),
    "enable_dhcp": ("dhcp",),
    "is_dhcp_enabled": ("dhcp",),
    "key_name": ("keypair",),
    "key_pair": ("keypair",),
    "nics": ("networks",),
    "network_interfaces": ("networks",),
    "flavor_name": ("flavor",),
    "flavor_ref": ("flavor",),
    "image_name": ("image",),
    "image_id": ("image",),
    "network_id": ("network",),
    "network_name": ("network",),
    "uuid": ("network", "id"),
    "subnet_id": ("subnet",),
    "port_id": ("port",),
    "floating_ip_address": ("address",),
    "floating_network_id": ("network",),
    "pool": ("network",),
    "fixed_address": ("fixed_ip",),
    "fixed_ip_address": ("fixed_ip",),
    "fixed_ip": ("fixed_ips",),
    "server": ("port",),
    "server_id": ("server",),
    "instance_id": ("server",),
    "instance": ("server",),
    "external_gateway": ("external_network",),
    "external_gateway_info": ("external_network",),
    "external_network_id": ("external_network",),
    "external_fixed_ip": ("external_fixed_ips",),
    "no_gateway_ip": ("gateway_ip",),
    "disable_gateway_ip": ("gateway_ip",),
    "allocation_pool": ("allocation_pools",),
    "allocation_pool_start": ("allocation_pools",),
    "no_security_groups": ("security_groups",),
    "port_security_enabled": ("port_security",),
    "security_group_ids": ("security_groups",),
    "security_group_rules": ("rules",),
    "remote_group_id": ("remote_group",),
    "remote_address_group_id": ("remote_address_group",),
    "remote_ip_cidr": ("remote_ip_prefix",),
    "ip_protocol": ("protocol",),
    "is_public": ("public",),
    "meta": ("metadata",),
    "userdata": ("user_data",),
    "admin_pass": ("admin_password",),
    "volume_type": ("type",),
    "volume_size": ("size",),
    "boot_from_volume": ("boot_volume_size",),
    "terminate_volume": ("boot_volume_keep",),
    "provider_network_type": ("network_type",),
    "provider_physical_network": ("physical_network",),
    "provider_segmentation_id": ("segmentation_id",),
    "qos_policy_id": ("qos_policy",),
    "domain_id": ("domain",),
    "project_id": ("project",),
    "tenant_id": ("project",),
    "tenant": ("project",),
    "parent_id": ("parent",),
    "default_project_id": ("default_project",),
    "extra_dhcp_option": ("extra_dhcp_opts",),
    "bus": ("disk_bus",),
    "volume_bus": ("disk_bus",),
    "source_type": ("source",),
    "destination_type": ("destination",),
    "block_device": ("block_devices",),
    "block_device_mapping": ("block_devices",),
    "block_device_mapping_v2": ("block_devices",),
    "extra_dhcp_options": ("extra_dhcp_opts",),
    "profile": ("binding_profile",),
    "host_id": ("host",),
    "transparent_vlan": ("vlan_transparent",),
}
# The same for types.
TYPE_HINTS = {
    "security_group_rules": "Rules stand in security_groups, below rules.",
    "instances": "Did you mean 'servers'?",
    "compute_instances": "Did you mean 'servers'?",
    "floatingips": "Did you mean 'floating_ips'?",
    "router_interfaces": "Interfaces stand in routers, below interfaces.",
    "server_volumes": "Volumes of a server stand in servers, below volumes.",
    "volume_attachments": "Volumes of a server stand in servers, below volumes.",
    "host_aggregates": "Did you mean 'aggregates'?",
    "keypair": "Did you mean 'keypairs'?",
    "tenants": "Did you mean 'projects'?",
    "subnetpools": "Did you mean 'subnet_pools'?",
    "identity_users": "Did you mean 'users'?",
    "dns_zones": "Did you mean 'zones'?",
    "loadbalancers": "There is no such type: load balancers are not part of a document yet.",
    "load_balancers": "There is no such type: load balancers are not part of a document yet.",
}
_TRUE, _FALSE = {"true", "yes", "on"}, {"false", "no", "off"}


# The key of a document that holds its defaults, and what these are.
DEFAULTS = "defaults"
DEFAULT_FIELDS = (
    Field("project", "Project of every entry that can belong to one and names none.", ref="project"),
    Field("domain", "Domain of every entry that lies in one and names none.", ref="domain"),
    Field("tags", "Labels of every entry that can have them and names none.", "set"),
)


def takes_default(kind: ResourceType, name: str) -> bool:
    """Whether entries of a type take a default that they leave out.

    What belongs to the login's project or domain otherwise does, and what has labels. What lies in a network belongs to
    its project, and where a role counts is for its assignment to say.
    """
    declared = next((one for one in kind.fields if one.name == name), None)
    if declared is None or kind.singleton:
        return False
    own = name in kind.loose and name not in kind.inherits
    return name == LABELS or own or declared.default in (AUTH_PROJECT, AUTH_DOMAIN)


def defaults_of(document: Any, given: Any = None) -> tuple[dict[str, Any], list[Problem]]:
    """The defaults of a document, before those that it is given from outside; and what is wrong with them."""
    problems: list[Problem] = []
    found: dict[str, Any] = {}
    for path, own in ((f"option {DEFAULTS}", given), (DEFAULTS, document.get(DEFAULTS))):
        if own is None:
            continue
        if not isinstance(own, Mapping):
            problems.append(Problem(f"A mapping is wanted, this is {_kind_of(own)}.", where=path))
            continue
        found |= _mapping(DEFAULT_FIELDS, own, path, problems)
    return found, problems


def parse(document: Any, absent: bool = False, defaults: Any = None) -> list[Item]:
    """The entries of a document, each with what it takes of the defaults.

    :raises CloudError: with every problem that can be seen without asking the cloud.
    """
    if not isinstance(document, Mapping):
        raise CloudError(Problem("The document is not a mapping of resource types to lists.", where="document"))
    own, problems = defaults_of(document, defaults)
    items: list[Item] = []
    for plural, entries in document.items():
        kind = BY_PLURAL.get(str(plural))
        if str(plural) == DEFAULTS:
            continue
        if kind is None:
            mend = TYPE_HINTS.get(str(plural)) or hint_or_list(str(plural), [*BY_PLURAL, DEFAULTS])
            mend = mend or "The reference of cloud_state lists all types."
            problems.append(Problem(f"Unknown resource type '{plural}'.", mend, str(plural)))
            continue
        if entries is None:
            continue
        if not isinstance(entries, list):
            problems.append(Problem(f"A list is wanted, this is {_kind_of(entries)}.", where=str(plural)))
            continue
        for number, entry in enumerate(entries):
            path = f"{plural}[{number}]"
            if isinstance(entry, str) and kind.identity[0] == "name":
                entry = {"name": entry}
            if not isinstance(entry, Mapping):
                problems.append(Problem(f"A mapping is wanted, this is {_kind_of(entry)}.", where=path))
                continue
            # A key that is there and empty takes nothing either.
            taken = {name: value for name, value in own.items() if name not in entry and takes_default(kind, name)}
            item = _entry(kind, path, {**entry, **taken}, absent, problems)
            item.home = {name: value for name, value in own.items() if name in SCOPES}
            items.append(item)
    problems += _duplicates(items)
    titles = Counter((item.type.name, item.title) for item in items)
    for item, count in [(item, titles[(item.type.name, item.title)]) for item in items]:
        item.doubled = count > 1
    if problems:
        raise CloudError(*problems)
    return items


def _entry(kind: ResourceType, path: str, entry: Mapping[str, Any], absent: bool, problems: list[Problem]) -> Item:
    item = Item(kind, path, {}, absent)
    state = entry.get("state", "present")
    if state not in ("present", "absent"):
        problems.append(Problem(f"The state is present or absent, not '{state}'.", where=f"{path}.state"))
    item.absent = absent or state == "absent"
    if kind.permanent and state == "absent":
        problems.append(
            Problem(f"A {kind.name.replace('_', ' ')} cannot be removed.", "Set its keys instead.", f"{path}.state")
        )
    item.wanted_id = str(entry.get("id") or "")
    item.values = _mapping(
        kind.fields, {k: v for k, v in entry.items() if k not in ("state", "id")}, path, problems, ("state", "id")
    )
    for declared in kind.fields:
        missing = declared.required and entry.get(declared.name) is None
        if missing and (not item.absent or declared.name in kind.identity) and not (item.wanted_id and item.absent):
            problems.append(item.problem(f"The key '{declared.name}' is missing.", _meaning(declared)))
    if kind.check and not item.absent:
        problems += [item.problem(cause, mend, key) for key, cause, mend in kind.check(item.values)]
    return item


def _meaning(declared: Field) -> str:
    """What a field means, where that says more than its name."""
    return declared.doc if " " in declared.doc else ""


_FORMS = {"bool": "true or false", "int": "a whole number", "float": "a number", "dict": "a mapping"}


def _mend(declared: Field) -> str:
    """How to write a value of this field, and what the field means."""
    form = "a list" if declared.kind in ("list", "set") else _FORMS.get(declared.kind, "a text")
    if declared.choices:
        form = f"one of {', '.join(declared.choices)}"
    meaning = _meaning(declared)
    return f"Write {form}; '{declared.name}' means: {meaning}" if meaning else f"Write {form}."


def _mapping(
    fields: tuple[Field, ...], entry: Mapping[str, Any], path: str, problems: list[Problem], extra: tuple[str, ...] = ()
) -> dict[str, Any]:
    known = {declared.name: declared for declared in fields}
    values: dict[str, Any] = {}
    for key, value in entry.items():
        declared = known.get(str(key))
        if declared is None:
            mend = hint(str(key), path, known) or hint_or_list(str(key), [*known, *extra])
            problems.append(Problem(f"Unknown key '{key}'.", mend, f"{path}.{key}"))
        elif value is not None:
            try:
                values[declared.name] = _value(declared, value, f"{path}.{key}", problems)
            except ValueError as error:
                problems.append(Problem(str(error), _mend(declared), f"{path}.{key}"))
    return values


def hint(word: str, path: str, known: Iterable[str]) -> str:
    """A hint for a key that another tool calls so; empty for any other."""
    found = [name for name in KEY_HINTS.get(word, ()) if name in known]
    return f"Did you mean '{found[0]}'?" if found else ""


def _value(declared: Field, value: Any, path: str, problems: list[Problem]) -> Any:
    """Check a value and bring it into its type.

    :raises ValueError: wrong type or choice.
    """
    if declared.kind in ("list", "set"):
        if isinstance(value, str | int | Mapping):
            value = [value]
        if not isinstance(value, list | tuple | set):
            raise ValueError(f"A list is wanted, this is {_kind_of(value)}.")
        result: list[Any] = []
        for number, element in enumerate(value):
            if declared.keys and isinstance(element, Mapping):
                part = _mapping(declared.keys, element, f"{path}[{number}]", problems)
                for key in declared.keys:
                    if key.required and key.name not in part:
                        problems.append(Problem(f"The key '{key.name}' is missing.", key.doc, f"{path}[{number}]"))
                result.append(part)
            elif declared.keys:
                raise ValueError(f"Its elements are mappings with the keys {', '.join(k.name for k in declared.keys)}.")
            elif isinstance(element, Mapping) and not declared.ref:
                raise ValueError("Its elements are plain values.")
            else:
                result.append(dict(element) if isinstance(element, Mapping) else str(element))
        return result
    if declared.kind == "dict":
        if not isinstance(value, Mapping):
            raise ValueError(f"A mapping is wanted, this is {_kind_of(value)}.")
        return {str(key): element for key, element in value.items()}
    if isinstance(value, Mapping) and declared.ref:
        return dict(value)
    if isinstance(value, list | Mapping):
        raise ValueError(f"One value of type {declared.kind} is wanted, this is {_kind_of(value)}.")
    if declared.kind == "bool":
        word = str(value).lower()
        if word not in _TRUE | _FALSE:
            raise ValueError(f"True or false is wanted, not '{value}'.")
        return word in _TRUE
    if declared.kind in ("int", "float"):
        try:
            figure = float(value)
            # neither a boolean nor a fraction that would be cut off unseen; infinity is no whole number either
            if isinstance(value, bool) or (declared.kind == "int" and not figure.is_integer()):
                raise ValueError
            return figure if declared.kind == "float" else int(value)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"A number is wanted, not '{value}'.") from None
    if isinstance(value, bool):
        raise ValueError(f"Text is wanted, this is the boolean {value}: put it in quotes.")
    text = str(value)
    if declared.choices and text not in declared.choices:
        raise ValueError(
            f"'{text}' is not one of {', '.join(declared.choices)}. {hint_or_list(text, declared.choices)}".strip()
        )
    return text


def _kind_of(value: Any) -> str:
    names = {
        "dict": "a mapping",
        "list": "a list",
        "str": "text",
        "int": "a number",
        "bool": "a boolean",
        "NoneType": "empty",
    }
    return names.get(type(value).__name__, type(value).__name__)


def _duplicates(items: list[Item]) -> list[Problem]:
    seen: dict[str, Item] = {}
    problems = []
    for item in items:
        key = f"{item.type.name} {item.wanted_id} {[item.values.get(name) for name in item.type.identity]!r}"
        if key in seen:
            problems.append(item.problem(f"The same resource as {seen[key].path}.", "Remove one of the two."))
        seen[key] = item
    return problems


def secrets_of(document: Any) -> set[str]:
    """Every secret text in a document, whether or not the document is sound; for masking."""
    found: set[str] = set()
    if not isinstance(document, Mapping):
        return found
    for plural, entries in document.items():
        kind = BY_PLURAL.get(str(plural))
        for entry in entries if isinstance(entries, list) else []:
            if not isinstance(entry, Mapping):
                continue
            secret = {declared.name for declared in kind.fields if declared.secret} if kind else set()
            for key, value in entry.items():
                if key in secret or ("password" in str(key) and key != "update_password") or "secret" in str(key):
                    found |= _leaves(value)
    return found


def _leaves(value: Any) -> set[str]:
    """Every text in a value, however deep."""
    if isinstance(value, Mapping):
        return {word for element in value.values() for word in _leaves(element)}
    if isinstance(value, list | tuple):
        return {word for element in value for word in _leaves(element)}
    return {str(value)} if value else set()
