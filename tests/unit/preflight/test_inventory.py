"""Every bad inventory is refused with exactly its problems; good ones are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloudcase
import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

CASES = cloudcase.cases()
FINE = cloudcase.cases("fine")


def test_good_inventory_has_no_problem(tmp_path: Path) -> None:
    assert cloudcase.examine(cloudcase.write({}, tmp_path)) == []


@pytest.mark.parametrize("name", FINE)
def test_unusual_inventory_is_accepted(name: str, tmp_path: Path) -> None:
    assert cloudcase.examine(cloudcase.write(FINE[name], tmp_path)) == []


def test_password_in_the_vault_is_accepted(tmp_path: Path) -> None:
    source = cloudcase.write({}, tmp_path)
    vault = VaultLib().encrypt(b"jH6tRw2kLq9xZp4v", secret=VaultSecret(cloudcase.KEY)).decode()
    lines = "".join(f"    {line}\n" for line in vault.splitlines())
    text = f"ansible_become_password: !vault |\n{lines}"
    (source / "group_vars" / "all" / "become.yml").write_text(text, encoding="utf-8")
    assert cloudcase.examine(source) == []
    assert cloudcase.view(source).hosts["compute1"].get("ansible_become_password") == "jH6tRw2kLq9xZp4v"


def test_secrets_encrypted_one_by_one_are_accepted(tmp_path: Path) -> None:
    source = cloudcase.write({"plain": True}, tmp_path)
    path = source / "group_vars" / "all" / "secrets.yml"
    text = "stackwright_secrets:\n"
    for name, value in yaml.safe_load(path.read_text(encoding="utf-8"))["stackwright_secrets"].items():
        vault = VaultLib().encrypt(value.encode(), secret=VaultSecret(cloudcase.KEY)).decode()
        text += f"  {name}: !vault |\n" + "".join(f"      {line}\n" for line in vault.splitlines())
    path.write_text(text, encoding="utf-8")
    assert cloudcase.examine(source) == []


@pytest.mark.parametrize("name", CASES)
def test_bad_inventory_is_refused_with_exactly_its_problems(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    source = cloudcase.write(case, tmp_path)
    hosts = list(cloudcase.view(source).hosts)
    expected: list[list[Any]] = []
    for host, *rest in case["expect"]:
        expected += [[one, *rest] for one in (hosts if host == "*" else [host])]
    found = cloudcase.examine(source)
    assert sorted((one.host, one.variable) for one in found) == sorted(
        (host, variable) for host, variable, *_ in expected
    )
    for host, variable, wrong, mend in expected:
        assert any(
            (one.host, one.variable) == (host, variable) and wrong in one.cause and mend in one.mend for one in found
        ), f"nothing about {host} {variable} says {wrong!r} and {mend!r}: {found}"
