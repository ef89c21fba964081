"""Who of a cloud keeps its data in Ceph: users with no more capabilities than they need, and the pools that follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import CephClient

# What every pool of block devices has where the operator says nothing else; `size` follows from the hosts.
POOL: dict[str, Any] = {"application": "rbd", "autoscale": "on", "pg_num": 32}
COPIES = 3


@dataclass
class Uses:
    """All uses together: pools by their names, users with their capabilities, and names of the secrets with their
    keys."""

    pools: dict[str, dict[str, Any]] = field(default_factory=dict)
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)


def pool(hosts: int) -> dict[str, Any]:
    """A pool of block devices. :param hosts: those with OSDs, of which each holds one copy at most."""
    return {**POOL, "size": max(2, min(COPIES, hosts))}


def capabilities(writes: Iterable[str], reads: Iterable[str]) -> dict[str, str]:
    """What a user may: block devices in its own pools, and reading in others. Source: the profiles of Ceph's manual on
    user management."""
    own = [f"profile rbd pool={one}" for one in writes]
    return {
        "mon": "profile rbd",
        "osd": ", ".join([*own, *(f"profile rbd-read-only pool={one}" for one in reads)]),
        **({"mgr": ", ".join(own)} if own else {}),
    }


def uses(clients: Iterable[CephClient], hosts: int) -> Uses:
    """What the cluster must hold for these clients.

    :param clients: of all components of all hosts; one user may be named by several.
    :param hosts: hosts with OSDs, of which each holds one copy at most.
    """
    writes: dict[str, list[str]] = {}
    reads: dict[str, list[str]] = {}
    found = Uses()
    for client in clients:
        writes.setdefault(client.entity, []).extend(client.writes)
        reads.setdefault(client.entity, []).extend(client.reads)
        found.secrets[client.entity] = client.secret
    for name in sorted(writes):
        own = sorted(set(writes[name]))
        only_read = sorted(set(reads[name]) - set(own))
        found.users[name] = {"caps": capabilities(own, only_read)}
        found.pools |= {one: pool(hosts) for one in own}
    return found
