"""A deployment that meets a broken host names host and cause, and succeeds once the host is mended.

Needs a deployed cloud, by default that of inventories/lab:

    pytest tests/acceptance/test_faults.py
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest
from running import on, play, run

CONTROLLER, COMPUTE = "controller[0]", "compute[0]"


def site(*arguments: str) -> tuple[int, str]:
    return run("ansible-playbook", "playbooks/site.yml", *arguments)


@pytest.fixture(autouse=True)
def rerun_succeeds() -> Iterator[None]:
    """After each test, when the fault is gone, the same command succeeds, and the next one finds nothing to do."""
    yield
    play("site")
    assert "changed=0" in play("site")


@contextlib.contextmanager
def full(hosts: str, directory: str) -> Iterator[None]:
    """A directory holds what it held, on a file system of its own without any room left."""
    on(hosts, "mkdir", "-p", directory)
    on(hosts, "cp", "-a", directory, "/run/stackwright-test-copy")
    on(hosts, "mount", "-t", "tmpfs", "-o", "size=2m", "full", directory)
    try:
        on(hosts, "cp", "-a", "/run/stackwright-test-copy/.", directory)
        run(
            "ansible",
            hosts,
            "-b",
            "-m",
            "ansible.builtin.command",
            "-a",
            f"dd if=/dev/zero of={directory}/filler bs=4k",
        )
        yield
    finally:
        on(hosts, "umount", directory)
        on(hosts, "rm", "-r", "/run/stackwright-test-copy")


def test_full_disk_is_named_and_no_file_is_left_half_written() -> None:
    before = on(CONTROLLER, "sha256sum", "/etc/placement/placement.conf").split()
    path = "/etc/placement/placement.conf"
    override = json.dumps(
        {"placement_config_overrides": {path: {"placement": {"randomize_allocation_candidates": True}}}}
    )
    with full(CONTROLLER, "/etc/placement"):
        status, output = site("-e", override)
        files = on(CONTROLLER, "ls", "-A", "/etc/placement")
        after = on(CONTROLLER, "sha256sum", "/etc/placement/placement.conf").split()
    assert status != 0
    assert "No space left on device" in output
    assert "/etc/placement/placement.conf" in output
    assert "fatal: [controller1]" in output
    assert after == before
    assert ".new" not in files


def test_too_little_room_for_packages_is_named_with_what_to_do() -> None:
    on(COMPUTE, "apt-get", "-q", "-y", "remove", "bridge-utils")
    with full(COMPUTE, "/var/cache/apt/archives"):
        status, output = site("-e", json.dumps({"base_packages": ["bridge-utils", "qemu-system-arm"]}))
    assert status != 0
    assert "fatal: [compute1]" in output
    assert "enough free space" in output or "No space left on device" in output
    assert "Free disk space on the host" in output


@contextlib.contextmanager
def silent_mirror(hosts: str) -> Iterator[None]:
    """Requests to package mirrors get no answer."""
    on(hosts, "nft", "add", "table", "inet", "stackwright-test")
    on(hosts, "nft", "add", "chain", "inet", "stackwright-test", "out", "'{ type filter hook output priority 0 ; }'")
    on(hosts, "nft", "add", "rule", "inet", "stackwright-test", "out", "tcp", "dport", "80", "drop")
    try:
        yield
    finally:
        on(hosts, "nft", "delete", "table", "inet", "stackwright-test")


def test_silent_mirror_is_named_before_the_first_change() -> None:
    on(COMPUTE, "apt-get", "-q", "-y", "remove", "--no-auto-remove", "haproxy")
    with silent_mirror(COMPUTE):
        status, output = site()
    assert status != 0
    assert "compute1" in output
    assert "does not answer" in output
    assert "changed=0" in output


@contextlib.contextmanager
def unit_that_fails(hosts: str, unit: str) -> Iterator[None]:
    """The unit is stopped and cannot be started."""
    directory = f"/run/systemd/system/{unit}.service.d"
    on(hosts, "mkdir", "-p", directory)
    drop_in = {"content": "[Service]\nExecStartPre=/bin/false\n", "dest": f"{directory}/zz-test.conf", "mode": "0644"}
    status, output = run("ansible", hosts, "-b", "-m", "ansible.builtin.copy", "-a", json.dumps(drop_in))
    assert status == 0, output
    on(hosts, "systemctl", "daemon-reload")
    on(hosts, "systemctl", "stop", unit)
    try:
        yield
    finally:
        on(hosts, "rm", "-r", directory)
        on(hosts, "systemctl", "daemon-reload")


def test_database_that_cannot_start_is_named_with_its_reason() -> None:
    with unit_that_fails(CONTROLLER, "mariadb"):
        status, output = site()
    assert status != 0
    assert "fatal: [controller1]" in output
    assert "mariadb" in output
    assert "exit-code" in output


def test_database_that_hangs_is_named() -> None:
    on(CONTROLLER, "systemctl", "kill", "--signal=SIGSTOP", "mariadb")
    try:
        status, output = site("-e", "services_timeout=10")
    finally:
        on(CONTROLLER, "systemctl", "kill", "--signal=SIGCONT", "mariadb")
    assert status != 0
    assert "fatal: [controller1]" in output
    assert "MariaDB" in output


def test_stopped_database_is_started_again() -> None:
    on(CONTROLLER, "systemctl", "stop", "mariadb")
    assert "changed=1" in play("site")
    assert "active" in on(CONTROLLER, "systemctl", "is-active", "mariadb")
