"""docs/cloud-content.md: every command of it, as written and in its order, against a simulated cloud."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from .conftest import ROOT, Desk
from .test_company import DATA, image

__all__ = ["image"]
PAGE = ROOT / "docs" / "cloud-content.md"
BLOCK = re.compile(r"^```(sh|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ~/(\S+)\n")


def prepare(home: Path, path: str, text: str, desk: Desk) -> None:
    """Write a file that the page tells the reader to write. The login is that of the simulated cloud."""
    target = home / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.endswith("clouds.yaml"):
        given: dict[str, Any] = yaml.safe_load(text)
        given["clouds"]["company"]["auth"] |= desk.cloud.login["auth"] | {"password": "secret"}
        given["clouds"]["company"]["auth"].pop("user_domain_id")
        given["clouds"]["company"]["auth"].pop("project_domain_id")
        text = yaml.safe_dump(given)
    target.write_text(text)


def test_every_command_works_as_written(desk: Desk, image: list[str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    # A cloud of this checkout may have left secrets there, which have another key.
    inventory = shutil.copytree(
        ROOT / "inventories" / "lab", tmp_path / "lab", ignore=shutil.ignore_patterns("secrets.yml")
    )
    environment = {
        **{k: v for k, v in desk.environment.items() if k not in ("ANSIBLE_CONFIG", "OS_CLIENT_CONFIG_FILE")},
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "STACKWRIGHT_VAULT_KEY_FILE": str(tmp_path / "key"),
        "ANSIBLE_INVENTORY": str(inventory),
        "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.memory",
    }
    outputs: dict[str, str] = {}
    for language, text in BLOCK.findall(PAGE.read_text()):
        name = NAMED.match(text)
        if language == "yaml" and name:
            prepare(home, name[1], text, desk)
        for command in text.splitlines() if language == "sh" else []:
            desk.cloud.forget_calls()
            ran = subprocess.run(
                ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
            )
            outputs[command] = ran.stdout + ran.stderr
            assert ran.returncode == 0, f"{command}\n{outputs[command]}"
            if command.startswith("cp "):
                # What the example says to replace.
                copy = home / "company.yml"
                words = dict(word.split("=", 1) for word in image[1].split())
                assert words["company_image_checksum"].endswith(hashlib.sha512(DATA).hexdigest())
                lines = [
                    f"{k}: {words.get(k)}" if (k := line.partition(":")[0]) in words else line
                    for line in copy.read_text().splitlines()
                ]
                copy.write_text("\n".join(lines) + "\n")
            if "--check" in command or ("adopted.yml" in command and "playbook" in command):
                assert not desk.cloud.writes(), f"{command}\n{outputs[command]}"
    assert [server["status"] for server in desk.cloud.all("server")] == ["ACTIVE"] * 3
    (told,) = [output for command, output in outputs.items() if "addresses.yml" in command]
    assert re.search(r"web1 has 10\.20\.0\.\d+", told), told
    assert "@role_site:" in outputs["ansible-inventory -i ~/servers.yml --graph"]
    assert "web1" in outputs["ansible -i ~/servers.yml role_site --list-hosts"]
    assert not any("a long password" in output for output in outputs.values())
    assert "ANSIBLE_VAULT" in (home / "company-secrets.yml").read_text()
