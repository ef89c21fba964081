"""Disks go from one compute node to another over SSH: keys of each node's own, and a daemon that does what Nova asks
and no more."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.stackwright.cloud.plugins.filter import ssh_private_key, ssh_public_key
from ansible_collections.stackwright.cloud.plugins.module_utils.service import ssh_keys
from ansible_collections.stackwright.cloud.tests.role_variables import component

SECRET = "0123456789abcdef" * 4
HOSTS = {"compute1": "192.0.2.31", "compute2": "192.0.2.32", "compute3": "192.0.2.33"}
ETC = "/etc/stackwright/migration"


def node(name: str) -> dict[str, Any]:
    """The specification of one compute node."""
    facts = {"kvm": False, "security_module": "", "boots": True}
    given = {
        "inventory_hostname": name,
        "ansible_host": HOSTS[name],
        "nova_migration_hosts": HOSTS,
        "services_facts": facts,
    }
    return component("nova", "compute", **given)


@pytest.mark.parametrize("host", ["c", "compute1", "compute-1.rack-17.example.org"])
def test_openssh_reads_the_keys(tmp_path: Path, host: str) -> None:
    path = tmp_path / "key"
    path.write_text(ssh_keys.private_key(SECRET, "client", host))
    path.chmod(0o600)
    done = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*ssh_keys.public_key(SECRET, "client", host).split(), host]


def test_keys_are_the_same_in_every_run_and_others_for_every_host_purpose_and_secret() -> None:
    variants = {
        ssh_keys.private_key(*given)
        for given in ((SECRET, "a", "h"), (SECRET, "a", "i"), (SECRET, "b", "h"), ("other", "a", "h"))
    }
    assert len(variants) == 4
    assert ssh_keys.private_key(SECRET, "a", "h") in variants


def test_mistaken_names_are_told_without_the_secret() -> None:
    filters = {**ssh_private_key.FilterModule().filters(), **ssh_public_key.FilterModule().filters()}
    for name, run in filters.items():
        with pytest.raises(AnsibleFilterError, match=f"{name}: the host 'a/b' must be a text without a slash") as error:
            run(SECRET, "client", "a/b")
        assert SECRET not in str(error.value)


def test_a_node_lets_every_other_one_in_by_its_own_key_from_its_own_address() -> None:
    lines = node("compute1")["files"][f"{ETC}/authorized_keys"]["content"].splitlines()[1:]
    sender = node("compute2")["files"][f"{ETC}/id_ed25519"]["content"]
    assert [line.split()[0] for line in lines] == ['restrict,from="192.0.2.32"', 'restrict,from="192.0.2.33"']
    assert lines[0].split()[-1] == "compute2"
    assert sender == ssh_keys.private_key("the-nova_migration", "migration-client", "compute2")
    assert lines[0].split()[1:3] == ssh_keys.public_key("the-nova_migration", "migration-client", "compute2").split()
    known = node("compute2")["files"][f"{ETC}/known_hosts"]["content"].splitlines()[1:]
    assert known[0] == f"[192.0.2.31]:8022 {ssh_keys.public_key('the-nova_migration', 'migration-host', 'compute1')}"


def test_a_node_holds_its_own_keys_alone_and_never_what_they_are_made_of() -> None:
    files = node("compute1")["files"]
    text = str(files)
    assert "the-nova_migration" not in text
    assert len(re.findall("BEGIN OPENSSH PRIVATE KEY", text)) == 2
    for path in (f"{ETC}/id_ed25519", f"{ETC}/host_ed25519"):
        assert (files[path]["owner"], files[path]["mode"]) == ("nova", "0400")
        assert not files[path].get("public")


def test_sshd_takes_its_file_and_client_its_own(tmp_path: Path) -> None:
    files = node("compute1")["files"]
    client = tmp_path / "client"
    client.write_text(
        files["/etc/ssh/ssh_config.d/stackwright-migration.conf"]["content"].replace("localuser nova ", "")
    )
    done = subprocess.run(["ssh", "-G", "-F", client, "192.0.2.32"], capture_output=True, text=True, check=True)
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert (told["port"], told["user"], told["stricthostkeychecking"]) == ("8022", "nova", "true")
    other = subprocess.run(["ssh", "-G", "-F", client, "192.0.2.99"], capture_output=True, text=True, check=True)
    assert "port 22\n" in other.stdout


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("touch /var/lib/nova/instances/5f1b.tmp", True),
        ("rm /var/lib/nova/instances/5f1b.tmp", True),
        ("mkdir -p /var/lib/nova/instances/5f1b-77", True),
        ("rm -rf /var/lib/nova/instances/5f1b-77_resize", True),
        ("/usr/lib/openssh/sftp-server", True),
        ("", False),
        ("sh", False),
        ("cat /etc/passwd", False),
        ("/usr/lib/openssh/sftp-server -d /", False),
        ("rm -rf /var/lib/nova/instances", False),
        ("rm -rf /var/lib/nova/instances/", False),
        ("rm -rf /var/lib/nova/instances/../../../etc", False),
        ("rm -rf /var/lib/nova/instances/a /etc/b", False),
        ("rm /var/lib/nova/instances/a /etc/b", False),
        ("touch /etc/cron.d/x", False),
        ("touch /var/lib/nova/instances/$(id)", False),
        ("touch /var/lib/nova/instances/a;id", False),
        ("mkdir -p -m777 /var/lib/nova/instances/a", False),
        ("rm -rf /var/lib/nova/instances/*", False),
        ("touch -r /etc/shadow", False),
    ],
)
def test_the_daemon_does_what_nova_asks_and_nothing_else(tmp_path: Path, command: str, allowed: bool) -> None:
    """The programs are replaced by one that tells its arguments: nothing is touched."""
    for name in ("touch", "rm", "mkdir", "sh", "cat", "sftp-server"):
        (tmp_path / name).write_text('#!/bin/sh\necho "ran ${0##*/} $*"\n')
        (tmp_path / name).chmod(0o755)
    script = node("compute1")["files"]["/usr/local/lib/stackwright/migration-command"]["content"]
    script = script.replace("exec /usr/lib/openssh/sftp-server", f"exec {tmp_path}/sftp-server")
    environment = {"PATH": f"{tmp_path}", "SSH_ORIGINAL_COMMAND": command}
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, env=environment, check=False)
    if allowed:
        assert done.stdout == f"ran {command.split('/')[-1] + ' ' if 'sftp' in command else command}\n"
    else:
        assert (done.returncode, done.stdout) == (126, "")
        assert done.stderr == f"refused: {command or 'a shell'}\n"


def test_the_daemon_may_write_guests_disks_alone() -> None:
    unit = node("compute1")["files"]["/etc/systemd/system/stackwright-migration.service"]["content"].splitlines()
    for line in ("User=nova", "NoNewPrivileges=yes", "ProtectSystem=strict", "ReadWritePaths=/var/lib/nova/instances"):
        assert line in unit
    (hidden,) = [line for line in unit if line.startswith("InaccessiblePaths=")]
    assert {"/etc/nova", f"{ETC}/id_ed25519", "-/run/libvirt"} <= set(hidden.partition("=")[2].split())
