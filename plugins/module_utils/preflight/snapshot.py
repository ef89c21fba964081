"""The inventory as the checks see it: every host with its groups and its variables worked out, without a connection.

This is the one place that touches Ansible's own objects, so that every check is a function over plain data.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.plays import Play
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import listed, split_term

if TYPE_CHECKING:
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.vars.manager import VariableManager

_FACTS = {"ansible_facts", "ansible_local"}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Setting:
    """One variable on one host.

    `value` is None and `error` a text when its template fails. `deferred` marks values that facts of the host decide,
    which nobody knows before a connection. `own` marks what the inventory sets, in contrast to a role's default.
    `encrypted` tells whether the value lies in a vault, None where its origin is not known.
    """

    value: Any
    raw: Any = None
    where: str = ""
    own: bool = True
    error: str | None = None
    deferred: bool = False
    encrypted: bool | None = None


@dataclass
class Host:
    """A host of the inventory with the groups it is in, directly or through child groups, and the roles it gets."""

    name: str
    groups: frozenset[str]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    roles: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
    """Names of variables that playbooks set for this host's roles."""
    own: frozenset[str] = frozenset()
    """Names of the variables that the inventory sets."""
    touched: frozenset[str] = frozenset()
    """Those, and the defaults that are worked out from them."""
    template: Callable[[Any], Any] = field(default=lambda value: value, repr=False)

    def get(self, name: str) -> Any:
        """The worked-out value of the variable; None when it has none, or none that can be known yet."""
        setting = self.settings.get(name)
        return None if setting is None else setting.value

    def work_out(self, raw: Any) -> Any:
        """Data of a role with its templates worked out for this host; None when they cannot be yet."""
        return self.template(raw)

    def where(self, name: str) -> str:
        """File and line of the variable, for a report."""
        setting = self.settings.get(name)
        return "" if setting is None else setting.where


@dataclass
class Snapshot:
    """The whole inventory. `groups` maps each group to its hosts, empty groups included."""

    hosts: dict[str, Host]
    groups: dict[str, list[str]]

    def own(self) -> Iterator[tuple[Host, str, Setting]]:
        """Every variable that the inventory sets, host by host."""
        for host in self.hosts.values():
            for name in sorted(host.own):
                yield host, name, host.settings[name]


class _Settings(Mapping[str, Setting]):
    """Works a variable out when it is asked for: most of a host's variables are never looked at."""

    def __init__(
        self, own: Mapping[str, Any], defaults: Mapping[str, Any], readings: Mapping[str, set[str]], templar: Any
    ) -> None:
        self._own = own
        self._defaults = defaults
        self._readings = readings
        self._templar = templar
        self._cache: dict[str, Setting] = {}

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (name for name in self._defaults if name not in self._own)

    def __len__(self) -> int:
        return len(self._own.keys() | self._defaults.keys())

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._defaults

    def __getitem__(self, name: str) -> Setting:
        if name not in self._cache:
            self._cache[name] = self._work_out(name)
        return self._cache[name]

    def _work_out(self, name: str) -> Setting:
        from ansible.errors import AnsibleError

        own = name in self._own
        raw = self._own[name] if own else self._defaults[name]
        path, where = (
            _origin(raw) or (_origin(next(key for key in self._own if key == name)) if own else None) or (None, "")
        )
        leaves = list(_leaves(raw))
        sealed = [_is_encrypted_value(leaf) for leaf in leaves]
        encrypted = True if sealed and all(sealed) else None if path is None else _is_vault(path)
        words = template_words(raw)
        if not words and not any(sealed):
            return Setting(_plain(raw), raw, where, own, None, False, encrypted)
        try:
            value = self._templar.template(raw)
        except AnsibleError as error:
            deferred = bool(_FACTS & reached(words, {**self._readings, **self._own_readings}))
            text = None if deferred else " ".join(str(error).split())
            return Setting(None, raw, where, own, text, deferred, encrypted)
        return Setting(_plain(value), raw, where, own, None, False, encrypted)

    @cached_property
    def _own_readings(self) -> dict[str, set[str]]:
        return {name: template_words(raw) for name, raw in self._own.items()}


def reached(words: Iterable[str], readings: Mapping[str, set[str]]) -> set[str]:
    """The words and everything that the variables among them read in turn."""
    found: set[str] = set()
    waiting = set(words)
    while waiting:
        word = waiting.pop()
        found.add(word)
        waiting |= readings.get(word, set()) - found
    return found


def template_words(raw: Any) -> set[str]:
    """Every word in the templates of a raw value: the variables it reads, and some that are none.

    What lies in a vault is never a template and is not opened for this.
    """
    words: set[str] = set()
    for leaf in _leaves(raw):
        if isinstance(leaf, str) and not _is_encrypted_value(leaf) and ("{{" in leaf or "{%" in leaf):
            words.update(_IDENTIFIER.findall(leaf))
    return words


def _leaves(raw: Any) -> Iterator[Any]:
    """The values in a nested one; keys are never templates."""
    if isinstance(raw, Mapping | list | tuple):
        for one in raw.values() if isinstance(raw, Mapping) else raw:
            yield from _leaves(one)
    else:
        yield raw


def take(
    inventory: InventoryManager,
    variables: VariableManager,
    loader: DataLoader,
    defaults: Mapping[str, Any],
    internals: Mapping[str, Any],
    plays: Sequence[Play] = (),
) -> Snapshot:
    """The inventory as it is now, `--limit` or not, and not only the hosts of the present play.

    :param defaults: raw defaults of all roles, below what the inventory sets.
    :param internals: raw variables of all roles, which win over the inventory; templates may read them.
    :param plays: which roles go to which hosts.
    """
    from ansible.template import Templar, trust_as_template
    from ansible.vars.hostvars import HostVars

    trusted = {name: _trust(value, trust_as_template) for name, value in defaults.items()}
    inner = {name: _trust(value, trust_as_template) for name, value in internals.items()}
    hostvars = HostVars(inventory, variables, loader)
    roles: dict[str, set[str]] = defaultdict(set)
    given: dict[str, set[str]] = defaultdict(set)
    for play in plays:
        for member in inventory.get_hosts(play.pattern, ignore_limits=True, ignore_restrictions=True):
            roles[member.name] |= set(play.roles)
            given[member.name] |= play.given
    readings = {name: template_words(value) for name, value in {**trusted, **inner}.items()}
    sources = {name: reached([name], readings) for name in trusted}
    hosts: dict[str, Host] = {}
    for name in sorted(inventory.hosts):
        host = inventory.hosts[name]
        raw = variables.get_vars(host=host, include_hostvars=False)
        magic = set(variables._get_magic_variables(play=None, host=host, task=None, include_hostvars=False))
        magic |= {*_FACTS, "inventory_file", "inventory_dir"} | set(variables._options_vars)
        own = {key: value for key, value in raw.items() if key not in magic}
        templar = Templar(loader=loader, variables={**trusted, **raw, **inner, "hostvars": hostvars})
        works = partial(_work_out, templar)
        hosts[str(name)] = Host(
            str(name),
            frozenset(group.name for group in host.get_groups()) - {"all"},
            _Settings(own, trusted, readings, templar),
            frozenset(roles[name] | _roles_of_services(roles[name], trusted, works)),
            frozenset(given[name]),
            frozenset(map(str, own)),
            frozenset(map(str, own)) | {default for default in trusted if sources[default] & own.keys()},
            works,
        )
    groups_of = {str(name): sorted(map(str, members)) for name, members in inventory.get_groups_dict().items()}
    return Snapshot(hosts, groups_of)


def _roles_of_services(nodes: Iterable[str], defaults: Mapping[str, Any], works: Callable[[Any], Any]) -> set[str]:
    """The roles of the services that node roles stand for. A list that is none is told by a check of its own."""
    lists = [works("{{ " + node + "_services }}") for node in nodes if f"{node}_services" in defaults]
    found: set[str] = set()
    for entries in lists:
        with contextlib.suppress(ValueError):
            found |= {split_term(term)[0] for term in listed(entries if isinstance(entries, list) else [])}
    return found


def _work_out(templar: Any, raw: Any) -> Any:
    from ansible.errors import AnsibleError
    from ansible.template import trust_as_template

    try:
        return _plain(templar.template(_trust(raw, trust_as_template)))
    except AnsibleError:
        return None


def _trust(value: Any, trust: Any) -> Any:
    if isinstance(value, str):
        return trust(value)
    if isinstance(value, list):
        return [_trust(one, trust) for one in value]
    if isinstance(value, dict):
        return {key: _trust(one, trust) for key, one in value.items()}
    return value


def _plain(value: Any) -> Any:
    """The value without the tags that Ansible hangs on it."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _origin(value: Any) -> tuple[str, str] | None:
    """Path and `file:line` of a value, where Ansible remembers them.

    It keeps origins for its own messages and promises nothing to others, so their absence is no error.
    """
    try:
        from ansible._internal._datatag._tags import Origin
    except ImportError:
        return None
    tag = Origin.get_tag(value)
    if tag is None or not tag.path:
        return None
    shown = os.path.relpath(tag.path)
    return tag.path, f"{tag.path if shown.startswith('..') else shown}{f':{tag.line_num}' if tag.line_num else ''}"


def _is_encrypted_value(raw: Any) -> bool:
    return type(raw).__name__ == "EncryptedString"


def _is_vault(path: str) -> bool:
    try:
        with Path(path).open("rb") as stream:
            return stream.read(14) == b"$ANSIBLE_VAULT"
    except OSError:
        return False
