"""Services that are taken off a running host: who must not be, what is done, and what is left behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive
from ansible_collections.stackwright.cloud.plugins.module_utils.service.derive import Derived, Site
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import Book, Component, View
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import ABSENT, canonical

# What of a component has to be worked out: its files need not be.
KEYS = ("packages", "account", "databases", "messaging", "api", "units")


@dataclass
class Removal:
    """What takes services off a host, in the form of a plan, and what is told of it."""

    identity: dict[str, list[Any]] = field(default_factory=dict)
    units: list[dict[str, Any]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def refusals(absent: Iterable[str], carried: Mapping[str, Sequence[str]], book: Book) -> Iterator[tuple[str, str]]:
    """Services that must not be taken off, each with the reason.

    :param carried: the services of each host that is looked at.
    :raises SpecificationError: a service is unknown.
    """
    for term in absent:
        component = book.read(term)
        if component.stays:
            yield term, f"{term} is not taken off a host: {component.stays}"
        for host, terms in carried.items():
            if canonical(term) in map(canonical, terms) and any(api.type for api in component.api):
                yield term, f"{host} is to keep {term}, whose place in the catalogue is the cloud's"
        users = sorted({one for terms in carried.values() for one in terms if _rests_on(one, term, book)})
        if users:
            yield term, f"{term} cannot be taken off while {', '.join(users)} {_need(users)} it"


def _need(users: list[str]) -> str:
    return "needs" if len(users) == 1 else "need"


def _rests_on(one: str, term: str, book: Book) -> bool:
    component = book.read(one)
    return canonical(term) in map(canonical, (*component.needs, *component.uses))


def of_host(absent: Sequence[str], carried: Sequence[Derived], book: Book, view: View, site: Site) -> Removal:
    """What takes these services off a host.

    :param carried: what the host keeps: units that it shares with what goes stay as they are.
    """
    kept = {str(unit["name"]) for one in carried for unit in one.units}
    found = Removal()
    for term in absent:
        component = book.component(term, view, *KEYS)
        stopped = [str(unit["name"]) for unit in derive.units(component) if unit.get("state") != "stopped"]
        found.units += [{"name": name, "state": "stopped", "enabled": False} for name in stopped if name not in kept]
        for kind, entries in _unregistered(component, site).items():
            found.identity.setdefault(kind, []).extend(entries)
        raw = book.read(term)
        written = [path for path in derive.paths(term, raw) if raw.files.get(path, {}).get("state") != ABSENT]
        found.told.append(_told(term, component, written))
    return found


def _unregistered(component: Component, site: Site) -> dict[str, list[Any]]:
    """The component's place in the catalogue, as something that is to be absent."""
    found: dict[str, list[Any]] = {}
    for api in component.api:
        if api.type:
            found.setdefault("services", []).append({"name": api.name, "type": api.type, "state": ABSENT})
            for interface in ("internal", "public"):
                region = site.variable("stackwright_region")
                endpoint = {"service": api.name, "interface": interface, "region": region, "state": ABSENT}
                found.setdefault("endpoints", []).append(endpoint)
    return found


def _told(term: str, component: Component, paths: Sequence[str]) -> str:
    """What is left behind, in a sentence."""
    name = component.account.name if component.account else ""
    left = [f"the database {one}" for one in component.databases]
    left += [f"the virtual host {name} of the message queue"] if component.messaging else []
    left += [f"the user {name} of the identity service"] if component.account and component.account.roles else []
    left += [f"the secrets {name}_*"] if name else []
    left += [f"the packages {', '.join(component.packages)}"] if component.packages else []
    left += [f"the files {', '.join(sorted(paths))}"] if paths else []
    return f"{term} is taken off this host. What it leaves: {'; '.join([*left, 'its data and logs'])}."
