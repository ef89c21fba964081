"""What a role calls `__role_...` stays inside the role; roles and playbooks speak to each other by public names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRIVATE = re.compile(r"(?<![\w.])__[a-z][a-z0-9_]*")


def strangers(root: Path) -> Iterator[str]:
    """Names that a role or a playbook uses and another role keeps to itself."""
    roles = [path.name for path in (root / "roles").iterdir() if path.is_dir()]
    for path in sorted([*(root / "roles").rglob("*"), *(root / "playbooks").rglob("*")]):
        if path.suffix not in (".yml", ".j2"):
            continue
        place = path.relative_to(root).parts
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for name in PRIVATE.findall(line):
                if name.endswith("__"):  # Python's own
                    continue
                inside = place[0] == "roles" and (name == f"__{place[1]}" or name.startswith(f"__{place[1]}_"))
                others = place[0] == "roles" or any(name.startswith(f"__{role}_") for role in roles)
                if others and not inside:
                    yield f"{'/'.join(place)}:{number}: {name}"


def test_private_names_stay_in_their_roles() -> None:
    assert list(strangers(ROOT)) == []


def test_a_foreign_private_name_is_found(tmp_path: Path) -> None:
    for name, text in {
        "roles/nova/vars/main.yml": "__nova_user: nova\nx: '{{ __nova_user }} {{ __main__ }}'\n",
        "roles/ovn/tasks/main.yml": "- debug:\n    msg: '{{ __nova_user }}'\n",
        "playbooks/site.yml": "__hosts: []\n__hosts_nova: '{{ __nova_user }}'\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert list(strangers(tmp_path)) == ["playbooks/site.yml:2: __nova_user", "roles/ovn/tasks/main.yml:2: __nova_user"]
