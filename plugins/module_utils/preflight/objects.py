"""Checks of the object store's rings: what the inventory says by itself, and against the rings that are kept."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import APIS, Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import INVENTORY, problem_of
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.rules import Rule
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Host, Snapshot
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets.declare import VARIABLE
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import layout as layouts
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import rings, store

# What belongs to the rings as a whole, and what each host says for itself, as options of a rule.
WHOLE = ("part_power", "replicas", "min_part_hours", "overload", "policies")
OF_HOST = ("region", "zone", "address", "replication_address")


def check(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Every problem of rings, as far as the inventory and its directory tell."""
    for rule in policy.rules.kind("ring_devices"):
        hosts = [host for host in inventory.hosts.values() if rule.settings["of"] in policy.services(host)]
        if hosts:
            yield from _rings(hosts, rule)
        yield from _proxies(inventory, policy, rule)


def _option(rule: Rule, key: str) -> str:
    return str(rule.settings[key])


def _said(host: Host, rule: Rule) -> dict[str, Any]:
    """What a storage node says of itself."""
    return {**{key: host.get(_option(rule, key)) for key in OF_HOST}, "devices": host.get(rule.option)}


def _rings(hosts: Sequence[Host], rule: Rule) -> Iterator[Problem]:
    first = hosts[0]
    whole = {key: first.get(_option(rule, key)) for key in WHOLE}
    if any(value is None for value in whole.values()):  # what cannot be worked out is told as such
        return
    try:
        layout = layouts.read({**whole, "hosts": {host.name: _said(host, rule) for host in hosts}})
        yield from _told(layout.problems, hosts, rule)
        if not layout.problems:
            yield from _told(_against(layout, first, rule), hosts, rule)
    except (TypeError, ValueError):  # a value of another type is told by its own rule
        return


def _against(layout: layouts.Layout, first: Host, rule: Rule) -> Iterator[Problem]:
    """What the rings that are kept have against the layout."""
    directory = first.get(_option(rule, "directory"))
    secrets = first.get(VARIABLE)
    if not directory:
        return
    kept = store.Store(Path(str(directory)))
    try:
        record = kept.record()
    except store.StoreError as error:
        yield Problem(str(error), "", _option(rule, "directory"))
        return
    if not record:
        return
    pair = (
        [secrets.get(str(rule.settings[key])) for key in ("prefix", "suffix")] if isinstance(secrets, Mapping) else []
    )
    if not all(pair) or not pair:
        yield Problem(
            f"{directory} keeps the rings of a cluster, and the secrets with which it hashes names are missing: with "
            "new ones all its data would be lost.",
            "Put the secrets' file back from a copy, or remove the directory if the cluster is gone.",
            VARIABLE,
        )
        return
    hash_id = rings.fingerprint(*map(str, pair))
    yield from kept.problems(record)
    for one in rings.judge(layout, record, hash_id, float(first.get(_option(rule, "step")) or 100), time.time()):
        yield from one.problems


def _told(problems: Sequence[Problem] | Iterator[Problem], hosts: Sequence[Host], rule: Rule) -> Iterator[Problem]:
    """Problems as preflight reports them: about a host where they name one."""
    known = {host.name: host for host in hosts}
    for one in problems:
        host = known.get(str(one.about).split("/", maxsplit=1)[0]) or known.get(str(one.host))
        where = one.where.split("[", maxsplit=1)[0] or rule.option
        about = f"{one.about}: " if one.about and "/" in str(one.about) else ""
        place = one.where if one.where != where else ""
        cause = f"{place}{': ' if place else ''}{about}{one.cause}".rstrip(".")
        name = host.name if host else INVENTORY
        yield problem_of(name, where, cause, one.mend or "Correct it.", (host or hosts[0]).where(where))


def _proxies(inventory: Snapshot, policy: Policy, rule: Rule) -> Iterator[Problem]:
    """Proxies that are not where the catalogue says that APIs are."""
    proxies = [host for host in inventory.hosts.values() if rule.settings["proxy"] in policy.services(host)]
    others = [name for name in policy.carrying(APIS) if policy.groups[name].minimum]
    for host in proxies:
        if policy.deploying and others and not host.groups & set(others):
            yield problem_of(
                host.name,
                INVENTORY,
                f"carries {rule.settings['proxy']}, and the catalogue says that all APIs are on hosts of "
                f"{', '.join(others)}: users would not find it",
                f"Put its component on hosts of {others[0]}.",
            )
