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
  - Where several servers have the same name, the beginning of its identifier is added to the name of each.
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
        An entry may also be a mapping with C(cloud), C(regions) (names; by default the one that C(clouds.yaml) names, or
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
    description: What hosts are called.
    type: str
    choices: [name, id]
    default: name
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

from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.template import trust_as_template
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import CloudError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.servers import (
    Choice,
    Host,
    address_of,
    inventory_names,
    read_clouds,
    sources_of,
)


def plain(value: Any) -> Any:
    """A value whose strings Ansible shows as they are, save those that could be templates: whoever names a server writes them."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, str) and "{" not in value:
        return trust_as_template(value)
    return value


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]
    """Adds the servers of clouds to the inventory."""

    NAME = "stackwright.cloud.servers"

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
        for name, host in zip(inventory_names(hosts, self.get_option("hostname")), hosts, strict=True):
            self._add(name, host, address_of(host, choice))

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
            raise AnsibleParserError(str(error)) from None
        if faults and (self.get_option("unreachable") == "fail" or not hosts):
            raise AnsibleParserError("\n".join(faults))
        for fault in faults:
            self.display.warning(fault)
        # What lacks a cloud must not be taken for the whole later.
        if self.get_option("cache") and not faults:
            self._cache[key] = hosts
        return hosts

    def _add(self, name: str, host: Host, address: str) -> None:
        self.inventory.add_host(name)
        variables = {**host, **({"ansible_host": address} if address else {})}
        for key, value in variables.items():
            self.inventory.set_variable(name, key, plain(value))
        strict = self.get_option("strict")
        try:
            known = self.inventory.get_host(name).get_vars()
            self._set_composite_vars(self.get_option("compose"), known, name, strict=strict)
            known = self.inventory.get_host(name).get_vars()
            for key in self.get_option("compose"):
                if key in known:
                    self.inventory.set_variable(name, key, plain(known[key]))
            self._add_host_to_composed_groups(self.get_option("groups"), known, name, strict=strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), known, name, strict=strict)
        except AnsibleError as error:
            where = f"Cloud {host['server_cloud']}, region {host['server_region']}, server {host['server_name']}"
            raise AnsibleParserError(f"{where}: {error}") from error
