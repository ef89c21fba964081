"""Which roles the playbooks give to which hosts, read from the playbooks' own text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Play:
    """A host pattern, the short names of the roles that a play names for it, and the variables it gives them."""

    pattern: str
    roles: tuple[str, ...]
    given: frozenset[str] = frozenset()


def load(playbook: Path) -> list[Play]:
    """The plays of the playbook and of those that it imports. An absent file has none."""
    if not playbook.is_file():
        return []
    plays: list[Play] = []
    for entry in yaml.safe_load(playbook.read_text(encoding="utf-8")) or []:
        imported = entry.get("ansible.builtin.import_playbook") or entry.get("import_playbook")
        if imported:
            plays += load(playbook.parent / imported)
        elif isinstance(entry.get("hosts"), str) and "{{" not in entry["hosts"]:
            roles = entry.get("roles") or []
            given = set(entry.get("vars") or {})
            for role in roles:
                given |= set(role) | set(role.get("vars") or {}) if isinstance(role, dict) else set()
            plays.append(
                Play(entry["hosts"], tuple(map(_role_name, roles)), frozenset(given - {"role", "name", "vars"}))
            )
    return plays


def _role_name(role: str | Mapping[str, Any]) -> str:
    name = role if isinstance(role, str) else str(role.get("role") or role.get("name"))
    return name.rsplit(".", 1)[-1]
