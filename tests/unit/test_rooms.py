"""Rooms of plugins/module_utils: who may import whom. Imports for types alone count as any others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import TYPES

ROOT = Path(__file__).resolve().parents[2]
HOUSE = ROOT / "plugins" / "module_utils"
PREFIX = "ansible_collections.stackwright.cloud.plugins.module_utils."
# Every room, and the rooms below it that it may use.
FLOORS = {
    "common": set[str](),
    "host": {"common"},
    "pki": {"common"},
    "secrets": {"common", "host", "pki"},
    "service": {"common", "host", "pki", "secrets"},
    "cloud": {"common", "host"},
    "stig": {"common", "host"},
    "lab": {"common", "host"},
    "swift": {"common", "host"},
    "console": {"common", "host"},
    "ceph": {"common", "host"},
    "preflight": {"common", "host", "ceph", "pki", "secrets", "service", "swift"},
    "verify": {"common", "host", "service", "cloud"},
}
# Inside a room: a part, and what nothing in it may import.
FORBIDDEN = {
    "cloud.types": ("cloud.engine", "cloud.faces"),
    "cloud.engine": ("cloud.faces",),
    "cloud.schema": ("cloud.types", "cloud.engine", "cloud.faces", "cloud.operation"),
    "cloud.api": ("cloud.schema", "cloud.types", "cloud.engine", "cloud.faces", "cloud.operation"),
}


def imports_of(text: str) -> set[str]:
    """The modules of this house that a file imports, wherever in it; of ``from package import name`` both."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.ImportFrom):
            raise AssertionError(f"line {node.lineno}: imports of this house are written in full")
    return {name.removeprefix(PREFIX) for name in found if name.startswith(PREFIX)}


def arrows(house: Path) -> dict[str, set[str]]:
    """Every module with those that it imports."""
    files = {".".join(path.relative_to(house).with_suffix("").parts): path for path in house.rglob("*.py")}
    return {name: (imports_of(path.read_text()) & files.keys()) - {name} for name, path in files.items()}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Modules that import each other, each circle once (Tarjan's components of more than one)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    trail: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        trail.append(name)
        for other in sorted(graph[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in trail:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            place = trail.index(name)
            circle, trail[place:] = trail[place:], []
            if len(circle) > 1:
                found.append(sorted(circle))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


def upward(graph: dict[str, set[str]]) -> list[str]:
    """Arrows that run up."""
    return sorted(
        f"{name} -> {other}"
        for name, others in graph.items()
        for other in others
        for room, closed in FORBIDDEN.items()
        if is_in(name, room) and any(is_in(other, one) for one in closed)
    )


def strayed(graph: dict[str, set[str]]) -> list[str]:
    """Modules outside of all rooms, and arrows to a room that is not below."""
    loose = [name for name in graph if name != "__init__" and ("." not in name or name.split(".")[0] not in FLOORS)]
    return sorted(loose) + sorted(
        f"{name} -> {other}"
        for name, others in graph.items()
        for other in others
        if (room := name.split(".")[0]) != (below := other.split(".")[0]) and below not in FLOORS.get(room, ())
    )


def is_in(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def test_no_two_modules_import_each_other() -> None:
    assert circles(arrows(HOUSE)) == []


def test_every_module_has_a_room_and_uses_none_above_it() -> None:
    graph = arrows(HOUSE)
    assert {name.split(".")[0] for name in graph} == FLOORS.keys()
    assert strayed(graph) == []


def test_a_stray_module_and_a_room_above_are_found() -> None:
    graph = {
        "loose": set[str](),
        "host.files": {"service.units"},
        "common.words": {"host.files"},
        "verify.health": {"host.files"},
    }
    assert strayed(graph) == ["loose", "common.words -> host.files", "host.files -> service.units"]


def test_arrows_run_downwards() -> None:
    graph = arrows(HOUSE)
    assert len(graph) > 100
    assert all(any(is_in(name, room) for name in graph) for room in FORBIDDEN)
    assert upward(graph) == []


# Where the engine may name one: words of other tools that lead to ours, the keys of defaults, and a word in what
# services answer.
NAMED = {"document.KEY_HINTS", "document.TYPE_HINTS", "document.DEFAULT_FIELDS", "blame.mend_of"}


def test_the_engine_names_no_type() -> None:
    """What is particular to a type is said where the type is declared."""
    names = {name for kind in TYPES for name in (kind.name, kind.plural)} - {kind.service for kind in TYPES}
    found = []
    for path in sorted((HOUSE / "cloud" / "engine").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            target = getattr(node.targets[0], "id", "") if isinstance(node, ast.Assign) else getattr(node, "name", "")
            if f"{path.stem}.{target}" not in NAMED:
                found += [
                    f"{path.name}:{one.lineno} {one.value}"
                    for one in ast.walk(node)
                    if isinstance(one, ast.Constant) and one.value in names
                ]
    assert found == []


@pytest.mark.parametrize(
    ("files", "round_about", "up"),
    [
        ({"a": "b", "b": "c", "c": "a", "d": "a"}, [["a", "b", "c"]], []),
        ({"cloud.types.x": "cloud.engine.y", "cloud.engine.y": ""}, [], ["cloud.types.x -> cloud.engine.y"]),
        ({"cloud.faces.x": "cloud.engine.y", "cloud.engine.y": "cloud.types.z", "cloud.types.z": ""}, [], []),
    ],
)
def test_a_circle_and_an_arrow_up_are_found(
    tmp_path: Path, files: dict[str, str], round_about: list[list[str]], up: list[str]
) -> None:
    for name, other in files.items():
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        # An import for types alone, and of a module by its package.
        package, _, last = f"{PREFIX}{other}".rpartition(".")
        path.write_text(f"if TYPE_CHECKING:\n    from {package} import {last}\n" if other else "")
    graph = arrows(tmp_path)
    assert (circles(graph), upward(graph)) == (round_about, up)
