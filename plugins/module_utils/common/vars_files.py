"""Files of variables that Ansible passes over, because another one of the same host or group comes first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# In Ansible's order: a name without an ending (a directory, mostly), then these.
ENDINGS = ("", ".yml", ".yaml", ".json")


@dataclass(frozen=True)
class Shadowed:
    """Ansible reads `taken` and never `ignored`, although both are for the same host or group."""

    taken: Path
    ignored: tuple[Path, ...]

    @property
    def mend(self) -> str:
        """What to do."""
        if self.taken.is_dir():
            return (
                f"Move what is in {_names(self.ignored)} into a file in {self.taken}, such as "
                f"{self.taken / 'main.yml'}."
            )
        return f"Keep one of them, or put both into a directory {self.taken.with_suffix('')}."


def _names(paths: Iterable[Path]) -> str:
    return " and ".join(map(str, paths))


def of_name(directory: Path, name: str, coming: bool = False) -> Shadowed | None:
    """The files of one host or group below `directory`, where one of them hides others.

    :param coming: a directory of that name is about to be made.
    """
    found = [path for ending in ENDINGS if (path := directory / f"{name}{ending}").exists()]
    if coming and directory / name not in found:
        found.insert(0, directory / name)
    return Shadowed(found[0], tuple(found[1:])) if len(found) > 1 else None


def below(directories: Iterable[Path]) -> list[Shadowed]:
    """Every such case in `group_vars` and `host_vars` of these directories."""
    found: dict[Path, Shadowed] = {}
    for directory in dict.fromkeys(directories):
        for kind in ("group_vars", "host_vars"):
            place = directory / kind
            if not place.is_dir():
                continue
            names = {
                path.name.removesuffix(path.suffix) if path.suffix in ENDINGS[1:] else path.name
                for path in place.iterdir()
            }
            cases = (of_name(place, name) for name in sorted(names) if name and not name.startswith("."))
            found |= {case.taken: case for case in cases if case}
    return list(found.values())
