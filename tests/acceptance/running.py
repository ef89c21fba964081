"""Runs Ansible's programs on the inventory under test, by default that of inventories/lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Login

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = os.environ.get("STACKWRIGHT_INVENTORY", "inventories/lab")
INTERFACE = os.environ.get("STACKWRIGHT_INTERFACE", "public")
BIN = Path(sys.executable).parent
ENVIRONMENT = {
    **os.environ,
    "STACKWRIGHT_CONSOLE": "plain",
    "ANSIBLE_FORCE_COLOR": "0",
    "ANSIBLE_NOCOLOR": "1",
    "LC_ALL": "C.UTF-8",
}


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start one of Ansible's programs on the inventory, in a process group of its own."""
    return subprocess.Popen(
        [str(BIN / program), "-i", INVENTORY, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(program: str, *arguments: str) -> tuple[int, str]:
    """Run one of Ansible's programs to its end; return exit status and output."""
    process = start(program, *arguments)
    output, _ = process.communicate(timeout=1200)
    return process.returncode, output


def on(hosts: str, *command: str) -> str:
    """Run a command as root on hosts of the inventory; return the output."""
    status, output = run("ansible", hosts, "-b", "-o", "-m", "ansible.builtin.command", "-a", " ".join(command))
    assert status == 0, output
    return output


def play(playbook: str, *arguments: str) -> str:
    """Run a playbook, which must succeed; return its output."""
    status, output = run("ansible-playbook", f"playbooks/{playbook}.yml", *arguments)
    assert status == 0, output
    return output


def secret(name: str) -> str:
    """A secret of the cloud under test, which is written nowhere."""
    status, output = run(
        "ansible", "controller[0]", "-m", "ansible.builtin.debug", "-a", f"var=stackwright_secrets.{name}"
    )
    assert status == 0, output
    found: dict[str, str] = json.loads(output[output.index("{") :])
    return found[f"stackwright_secrets.{name}"]


def administrator(folder: Path) -> Login:
    """The login of the administrator of the cloud under test; its file, without the password, lies in the folder."""
    play("client_login", "-e", f"clouds_directory={folder}", "-e", "clouds_name=tested")
    written = yaml.safe_load((folder / "clouds.yaml").read_text())["clouds"]["tested"]
    auth = {**written["auth"], "password": secret("keystone_admin")}
    return Login(auth=auth, region_name=written["region_name"], interface=INTERFACE, ca_cert=written["cacert"])
