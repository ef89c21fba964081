"""Pages whose code is followed to the letter: each block says in a comment in front of it where it belongs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def blocks(page: str) -> dict[str, str]:
    """The code of a page for contributors by the comment in front of it."""
    text = (ROOT / "docs" / "contributing" / f"{page}.md").read_text(encoding="utf-8")
    found = re.findall(r"<!-- file: (.*?) -->\n( *)```\w+\n(.*?)\n *```", text, re.DOTALL)
    assert found and len(found) == text.count("<!-- file:")
    return {name: textwrap.dedent(f"{body}\n") for name, _indent, body in found}


def write(code: Mapping[str, str], tree: Path) -> None:
    """Put what belongs to roles and playbooks into a copy of the collection."""
    for name, text in code.items():
        if name.startswith(("roles/", "playbooks/")):
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
