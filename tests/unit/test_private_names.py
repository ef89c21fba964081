"""What a role calls `__role_...` stays inside the role; roles and playbooks speak to each other by public names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SECRET = re.compile(r"stackwright_secrets[.](\w+)|stackwright_secrets\['(\w+)'\]")
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


def strange_secrets(root: Path) -> Iterator[str]:
    """Secrets that a role's variables read although another role declares them. Those that all share are
    `stackwright`'s to hand out."""
    for path in sorted((root / "roles").glob("*/vars/**/*.yml")):
        role = path.relative_to(root / "roles").parts[0]
        declared = root / "roles" / role / "meta/secrets.yml"
        own = {one["name"] for one in yaml.safe_load(declared.read_text())} if declared.exists() else set()
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for found in SECRET.findall(line):
                name = "".join(found)
                if role != "stackwright" and name not in own:
                    yield f"{path.relative_to(root)}:{number}: {name}"


def test_a_role_takes_another_roles_secret_from_a_public_variable_of_that_role() -> None:
    assert list(strange_secrets(ROOT)) == []


def test_a_secret_of_another_role_is_found(tmp_path: Path) -> None:
    for name, text in {
        "roles/nova/meta/secrets.yml": "- {name: nova_identity}\n",
        "roles/nova/vars/main.yml": "a: stackwright_secrets.nova_identity\nb: stackwright_secrets.neutron_x\n",
        "roles/stackwright/vars/main.yml": "c: stackwright_secrets.keystone_admin\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert list(strange_secrets(tmp_path)) == ["roles/nova/vars/main.yml:2: neutron_x"]
