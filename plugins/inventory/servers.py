"""Inventory of the servers in OpenStack clouds."""

from __future__ import annotations

DOCUMENTATION = r"""
name: servers
short_description: Servers of OpenStack clouds as hosts
version_added: 0.1.0
author: The Stackwright developers (@stackwright)
description:
  - Reads the servers of any number of clouds and regions and makes each a host, with groups and variables constructed
    from what the cloud knows about it.
  - Costs one login per cloud and one list call per region, one more for the names of images, and one for those of
    projects where all projects are read.
  - Whoever owns a server chooses its name, its metadata and its tags. Nothing of it is ever evaluated as a template,
    and no name
    takes the place of a host or group that another source of the inventory has, of C(localhost), C(all) or
    C(ungrouped).
  - What is no host name has its other characters replaced. Where that was needed, several servers have the same name,
    or the name
    is taken, the beginning of the identifier is added (C(server_web-1f0c9a3e)), so that all of them can be reached.
  - Control characters and those that reorder text become visible escapes in all values.
options:
  plugin:
    description: Marks the file as one for this plug-in.
    required: true
    choices: [stackwright.cloud.servers]
    type: str
  clouds:
    description:
      - Names of clouds in C(clouds.yaml).
      - >-
        An entry may also be a mapping with C(cloud), C(regions) (names; by default the one that C(clouds.yaml) names,
        or
        else all of the catalogue) and C(all_projects) (whether servers of all projects count, for administrators).
    required: true
    type: list
    elements: raw
  interface:
    description: Which endpoints of the catalogue are used.
    type: str
    choices: [public, internal, admin]
    default: public
  hostname:
    description:
      - What hosts are called.
      - With V(id), the cloud chooses what they are called, and a host keeps its name when servers come and go.
    type: str
    choices: [name, id]
    default: name
  prefix:
    description:
      - What stands before the server's name in the names of hosts. Not used with O(hostname=id).
      - Choose one that no host of the other sources begins with. They may be read later than this one, and then only
        the prefix keeps
        a server from bearing the name of one of their hosts. With an empty prefix, read this source last.
    type: str
    default: server_
  networks:
    description:
      - Networks whose addresses RV(ignore:ansible_host) is taken from, the most wanted first. All by default.
      - A server without an address on one of them gets no RV(ignore:ansible_host).
    type: list
    elements: str
    default: []
  address_kinds:
    description: Kinds of address that are used, the most wanted first.
    type: list
    elements: str
    choices: [floating, fixed]
    default: [floating, fixed]
  ip_version:
    description: Version of the address that is used.
    type: str
    choices: ['4', '6', any]
    default: '4'
  statuses:
    description: States of servers that become hosts, such as C([ACTIVE]). All by default.
    type: list
    elements: str
    default: []
  unreachable:
    description:
      - What to do about a cloud or region that cannot be read. With V(warn), the others still become hosts; if that
        leaves no server, it is an error all the same.
    type: str
    choices: [fail, warn]
    default: fail
extends_documentation_fragment:
  - constructed
  - inventory_cache
notes:
  - An entry of O(keyed_groups) without a prefix gets V(server), and a parent group that begins with a template
    C(server_), so that
    the owner of a server never chooses the whole name of a group. Where another source has a group of that name with
    hosts in it, C(server_) is put before the name.
  - What O(compose) makes of metadata, such as C(ansible_user), is as trustworthy as who wrote them.
  - Every host gets RV(ignore:server_id), RV(ignore:server_name), RV(ignore:server_cloud), RV(ignore:server_region),
    RV(ignore:server_project), RV(ignore:server_status), RV(ignore:server_flavor), RV(ignore:server_image),
    RV(ignore:server_key), RV(ignore:server_zone), RV(ignore:server_created), RV(ignore:server_metadata),
    RV(ignore:server_tags), RV(ignore:server_security_groups), RV(ignore:server_addresses) and, where there is a fitting
    address, RV(ignore:ansible_host).
requirements:
  - openstacksdk
"""

EXAMPLES = r"""
# servers.yml
plugin: stackwright.cloud.servers
clouds:
  - company
  - cloud: partner
    regions: [North, South]
networks: [management]
statuses: [ACTIVE]
keyed_groups:
  - {key: server_project, prefix: project}
  - {key: server_metadata.role, prefix: role}
groups:
  large: server_flavor is match('m1.x?large')
compose:
  ansible_user: "'root' if server_image is search('alpine') else 'debian'"
cache: true
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.template import trust_as_template
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import CloudError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.servers import (
    OWN_GROUPS,
    Choice,
    Host,
    address_of,
    free_group_name,
    group_name,
    inventory_names,
    read_clouds,
    sources_of,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean, clean_data, one_line


def is_server(host: Any) -> bool:
    """Whether this plug-in made the host, maybe from another file."""
    return bool({"server_id", "server_cloud", "server_addresses"} <= host.vars.keys())


class GuardedGroups:
    """The inventory, as far as groups are filled through it: a name made from values of servers never is a group in
    `kept`."""

    def __init__(self, inventory: Any, kept: Collection[str]) -> None:
        self._inventory, self._kept = inventory, kept

    def _free(self, name: str) -> str:
        return free_group_name(name, self._kept, self._inventory.hosts)

    def add_group(self, name: str) -> Any:
        """Add a group under a name that is free for it, and say which."""
        return self._inventory.add_group(self._free(name))

    def add_child(self, group: str, child: str) -> Any:
        """Put a host or group into a group that was added here."""
        return self._inventory.add_child(self._free(group), child)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inventory, name)


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]
    """Adds the servers of clouds to the inventory."""

    NAME = "stackwright.cloud.servers"
    inventory: Any

    def verify_file(self, path: str) -> bool:
        """Accept YAML files; the `plugin` key inside decides."""
        return bool(super().verify_file(path)) and path.endswith((".yml", ".yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Read the clouds, or what the cache holds of them, and add the hosts.

        Raises:
            AnsibleParserError: The file is wrong, a cloud cannot be read, or an expression fails. Names the cloud.
        """
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        hosts = self._hosts(path, cache)
        statuses = {status.upper() for status in self.get_option("statuses")}
        hosts = [host for host in hosts if not statuses or host["server_status"].upper() in statuses]
        version = self.get_option("ip_version")
        choice = Choice(
            tuple(self.get_option("networks")),
            tuple(self.get_option("address_kinds")),
            0 if version == "any" else int(version),
        )
        prefix = self.get_option("prefix")
        if not re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*)?", prefix):
            raise AnsibleParserError(
                f"prefix: {one_line(prefix)!r} cannot begin a host name. Use letters, digits, '.', '_' and '-'."
            )
        # Read before the first is added: what is there by now belongs to other sources.
        taken = {*inventory.hosts, *inventory.groups}
        self._foreign_groups = {
            name for name, group in inventory.groups.items() if not all(map(is_server, group.get_hosts()))
        }
        names = inventory_names(hosts, self.get_option("hostname"), prefix, taken)
        for name, host in zip(names, hosts, strict=True):
            self._add(name, host, address_of(host, choice))
        for name, host in zip(names, hosts, strict=True):
            self._construct(name, host)

    def _hosts(self, path: str, cache: bool) -> list[Host]:
        """The servers, from the cache where it is on and holds them."""
        key = self.get_cache_key(path)
        if cache and self.get_option("cache"):
            try:
                found: list[Host] = self._cache[key]
                return found
            except KeyError:
                pass
        try:
            hosts, faults = read_clouds(sources_of(self.get_option("clouds")), self.get_option("interface"))
        except CloudError as error:
            raise AnsibleParserError(clean(str(error))) from None
        faults = [clean(fault) for fault in faults]
        if faults and (self.get_option("unreachable") == "fail" or not hosts):
            raise AnsibleParserError("\n".join(faults))
        for fault in faults:
            self.display.warning(fault)
        # What lacks a cloud must not be taken for the whole later.
        if self.get_option("cache") and not faults:
            self._cache[key] = hosts
        return hosts

    def _add(self, name: str, host: Host, address: str) -> None:
        """Make a server a host. The values stay untrusted, so Ansible never takes one for a template."""
        self.inventory.add_host(name)
        variables = {**clean_data(host), **({"ansible_host": address} if address else {})}
        for key, value in variables.items():
            self.inventory.set_variable(name, key, value)

    def _construct(self, name: str, host: Host) -> None:
        """Add what the file composes for a host, and the groups that it belongs to."""
        strict = self.get_option("strict")
        try:
            known = self.inventory.get_host(name).get_vars()
            self._set_composite_vars(self.get_option("compose"), known, name, strict=strict)
            known = self.inventory.get_host(name).get_vars()
            self._add_host_to_composed_groups(self.get_option("groups"), known, name, strict=strict)
            self._add_to_keyed_groups(name, known, strict)
        except AnsibleError as error:
            where = f"Cloud {host['server_cloud']}, region {host['server_region']}, server {host['server_name']}"
            raise AnsibleParserError(f"{one_line(where)}: {clean(str(error))}") from None

    def _add_to_keyed_groups(self, name: str, variables: dict[str, Any], strict: bool) -> None:
        inventory = self.inventory
        for entry in self.get_option("keyed_groups") or []:
            keyed, kept = entry, self._foreign_groups
            if isinstance(entry, Mapping):
                keyed = {**entry, "prefix": entry.get("prefix") or OWN_GROUPS}
                parent = entry.get("parent_group")
                if not isinstance(parent, str):
                    pass
                elif parent.startswith(("{", "#")):
                    # Made from values, and from nothing else: its beginning is not for the owner of a server to choose.
                    keyed["parent_group"] = trust_as_template(f"{{{{ '{OWN_GROUPS}_' }}}}{parent}")
                elif "{" not in parent:
                    # A parent that the file names is meant, whoever else has it.
                    kept = kept - {group_name(parent)}
            self.inventory = GuardedGroups(inventory, kept)
            try:
                self._add_host_to_keyed_groups([keyed], variables, name, strict=strict)
            finally:
                self.inventory = inventory

    @staticmethod
    def _sanitize_group_name(name: str) -> str:
        """Letters, digits and underscores only, whatever the settings say of other names."""
        return group_name(name)
