"""The inventory plug-in, through Ansible's own command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CONTENT = """\
plugin: stackwright.cloud.lab
name: lab
network: 10.137.88.0/22
groups:
  controller: {count: 1}
  compute: {count: 1, count_from: COMPUTES}
"""


def inventory(tmp_path: Path, content: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "lab.yml").write_text(content, encoding="utf-8")
    (tmp_path / "ansible.cfg").touch()
    command = [Path(sys.executable).with_name("ansible-inventory"), "-i", tmp_path / "lab.yml", "--list"]
    merged = {**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), **environment}
    return subprocess.run(command, env=merged, capture_output=True, text=True, check=False, cwd=tmp_path)


def test_hosts_get_what_connections_and_playbooks_need(tmp_path: Path) -> None:
    listed: dict[str, Any] = json.loads(inventory(tmp_path, CONTENT, COMPUTES="2").stdout)
    assert listed["compute"]["hosts"] == ["compute1", "compute2"]
    variables = listed["_meta"]["hostvars"]["compute2"]
    state = f"{tmp_path}/.stackwright/lab/lab"
    assert variables["ansible_host"] == variables["lab_management_address"] == "10.137.88.32"
    assert variables["ansible_user"] == "operator"
    assert variables["ansible_ssh_private_key_file"] == f"{state}/id_ed25519"
    assert variables["ansible_ssh_common_args"].startswith(f"-o 'UserKnownHostsFile=\"{state}/known_hosts\"'")
    assert variables["lab_tunnel_address"] == "10.137.89.32"
    assert [variables[f"lab_{role}_interface"] for role in ("management", "tunnel", "external")] == [
        "eth0",
        "eth1",
        "eth2",
    ]
    assert variables["lab_external_network"]["gateway"] == "10.137.90.1"
    assert "__ansible_unsafe" not in json.dumps(listed)


def test_a_wrong_definition_is_explained(tmp_path: Path) -> None:
    done = inventory(tmp_path, CONTENT.replace("10.137.88.0/22", "10.137.88.0/24"))
    assert "10.137.88.0/24 is too small" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_group_brings_another_as_soon_as_it_has_machines(tmp_path: Path) -> None:
    content = CONTENT + "  object: {count: 0, first: 41, count_from: OBJECTS, brings: {swift_proxy: controller}}\n"
    without, with_machines = (json.loads(inventory(tmp_path, content, OBJECTS=count).stdout) for count in ("0", "2"))
    assert "swift_proxy" not in without
    assert with_machines["swift_proxy"]["hosts"] == ["controller1"]
    assert with_machines["object"]["hosts"] == ["object1", "object2"]
