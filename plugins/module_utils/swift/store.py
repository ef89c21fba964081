"""The directory on the control node that holds a cluster's builders and rings, what is known of them, and their
back-ups."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files
from ansible_collections.stackwright.cloud.plugins.module_utils.swift.builder import md5

RECORD = "record.json"
FORMAT = 1
# Generations of builders and rings that are kept, and checksums of rings that hosts may still have.
BACKUPS = 30
HISTORY = 200


class StoreError(Exception):
    """The directory cannot be used; the text says why and what to do."""


@dataclass(frozen=True)
class Store:
    """A cluster's rings on the control node."""

    directory: Path

    def record(self) -> dict[str, Any]:
        """What is kept of the rings; empty for a new cluster.

        :raises StoreError: it cannot be read.
        """
        path = self.directory / RECORD
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} cannot be read: {error}. Put it back from a copy of the inventory.") from error
        if found.get("format") != FORMAT:
            raise StoreError(f"{path} is of format {found.get('format')!r}; this release knows {FORMAT}.")
        return found

    def unknown(self, record: Mapping[str, Any]) -> list[str]:
        """Rings whose builders lie here and of which nothing is kept: somebody brought them."""
        kept = record.get("rings") or {}
        return sorted(
            one.name.removesuffix(".builder") for one in self.directory.glob("*.builder") if _ring(one) not in kept
        )

    def problems(self, record: Mapping[str, Any]) -> list[Problem]:
        """Builders and rings that are not those that were kept."""
        found = []
        for name, kept in (record.get("rings") or {}).items():
            for suffix in ("builder", "ring"):
                path = self.builder(name) if suffix == "builder" else self.ring(name)
                if not path.exists():
                    cause = "is missing."
                elif md5(path) != kept[f"{suffix}_md5"]:
                    cause = f"is not the one that was kept with version {kept['version']}."
                else:
                    continue
                mend = "Put all files of the directory back from one copy of the inventory."
                found.append(Problem(cause, mend, str(path)))
        return found

    def builder(self, name: str) -> Path:
        """The builder of a ring."""
        return self.directory / f"{name}.builder"

    def ring(self, name: str) -> Path:
        """A ring as hosts get it."""
        return self.directory / f"{name}.ring.gz"

    def pack(self, names: Iterable[str], target: Path) -> None:
        """Put the builders of some rings into an archive."""
        with tarfile.open(target, "w") as archive:
            for name in names:
                if self.builder(name).exists():
                    archive.add(self.builder(name), self.builder(name).name)

    def take(self, archive: Path, record: Mapping[str, Any], names: Iterable[str]) -> None:
        """Keep new builders and rings, those of before as back-up; the record is written last.

        :param record: what is to be kept of all rings.
        :raises StoreError: the archive does not hold what the record says; nothing was changed.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        expected = {
            f"{name}.{suffix}": kept[f"{kind}_md5"] for name in names for suffix, kind, kept in _files(record, name)
        }
        contents = _contents(archive, expected)
        self._backup(names)
        for name, content in contents.items():
            files.replace_own(self.directory / name, content, 0o644)
        self.keep(record)

    def keep(self, record: Mapping[str, Any]) -> None:
        """Write what is kept of the rings."""
        self.directory.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**record, "format": FORMAT}, indent=1, sort_keys=True)
        files.replace_own(self.directory / RECORD, text + "\n", 0o644)

    def _backup(self, names: Iterable[str]) -> None:
        """Copy what is about to be replaced, with the record, into a directory of its own."""
        present = [one for name in names for one in (self.builder(name), self.ring(name)) if one.exists()]
        if not present:
            return
        above = self.directory / "backups"
        target = above / time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime())
        number = 0
        while target.exists():
            number += 1
            target = target.with_name(f"{target.name.split('.')[0]}.{number}")
        target.mkdir(parents=True)
        for path in [*present, self.directory / RECORD]:
            if path.exists():
                shutil.copy2(path, target / path.name)
        for old in sorted(above.iterdir())[:-BACKUPS]:
            shutil.rmtree(old)


def _ring(path: Path) -> str:
    return path.name.removesuffix(".builder")


def _files(record: Mapping[str, Any], name: str) -> list[tuple[str, str, Mapping[str, Any]]]:
    kept = record["rings"][name]
    return [("builder", "builder", kept), ("ring.gz", "ring", kept)]


def _contents(archive: Path, expected: Mapping[str, str]) -> dict[str, bytes]:
    """What an archive from a host holds: the expected files and no others, each with its checksum."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as packed:
            for member in packed:
                source = packed.extractfile(member) if member.isreg() else None
                if source is not None and member.name in expected:
                    found[member.name] = source.read()
    except (OSError, tarfile.TarError) as error:
        raise StoreError(f"the computed rings cannot be read: {error}. Run again.") from error
    for name, checksum in expected.items():
        if name not in found or hashlib.md5(found[name], usedforsecurity=False).hexdigest() != checksum:
            raise StoreError(f"{name} did not come back whole from the host that computed it. Run again.")
    return found


def succeed(
    record: Mapping[str, Any], new: Mapping[str, Any], hash_id: str, policies: Mapping[str, Any]
) -> dict[str, Any]:
    """The record that follows: new rings with the checksums of those before them, for hosts that were away."""
    kept = dict(record.get("rings") or {})
    for name, one in new.items():
        before = kept.get(name, {})
        history = [*before.get("history", []), one["ring_md5"]]
        kept[name] = {**one, "history": list(dict.fromkeys(history))[-HISTORY:]}
    return {"hash": hash_id, "policies": {**(record.get("policies") or {}), **policies}, "rings": kept}
