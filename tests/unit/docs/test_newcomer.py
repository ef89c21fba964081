"""The scenario that follows the page for one's own machines takes its commands as they are written."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_commands_of_the_page_are_followed_in_order_and_to_their_end() -> None:
    spec = importlib.util.spec_from_file_location("newcomer", ROOT / "molecule" / "own-machines" / "newcomer.py")
    assert spec and spec.loader
    newcomer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(newcomer)
    blocks = newcomer.blocks((ROOT / newcomer.PAGE).read_text())
    text = "".join(blocks)
    order = [
        "make setup",
        "cp -r inventories/small",
        "tools/vault-key create",
        "secrets.yml",
        "encrypt_string",
        "preflight.yml",
        "site.yml",
        "verify.yml",
        "first-project.yml",
        "tools/openstack",
        "client_login.yml",
    ]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert all(not line.startswith((" ", "$")) for line in text.splitlines())
    assert "mitogen" not in text


def test_no_file_of_the_project_is_taken_for_logins_by_the_sdk() -> None:
    """The SDK reads clouds.* and secure.* in the directory where a program runs, and a local module runs beside its
    playbook."""
    found = [
        path
        for name in ("clouds", "secure", "clouds-public")
        for path in (*ROOT.glob(f"{name}.*"), *ROOT.glob(f"playbooks/{name}.*"))
    ]
    assert found == []
