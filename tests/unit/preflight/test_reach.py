"""Failures to run the probe are told apart."""

from __future__ import annotations

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import reach

SSH = "Failed to connect to the host via ssh: "


@pytest.mark.parametrize(
    ("message", "variable", "wrong"),
    [
        (SSH + "ssh: connect to host 10.0.0.9 port 22: Connection timed out", "ansible_host", "does not answer"),
        (SSH + "ssh: connect to host 10.0.0.9 port 22: No route to host", "ansible_host", "does not answer"),
        (
            SSH + "ssh: connect to host 10.0.0.9 port 22: Connection refused",
            "ansible_host",
            "nothing listens on the SSH port",
        ),
        (SSH + "deploy@10.0.0.9: Permission denied (publickey).", "ansible_user", "SSH refuses the login"),
        (SSH + "Host key verification failed.", "ansible_host", "the SSH host key is not known here yet"),
        (
            SSH + "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @ Host key verification failed.",
            "ansible_host",
            "the SSH host key is not the known one",
        ),
        (
            SSH + "ssh: Could not resolve hostname c1: Name or service not known",
            "ansible_host",
            "the name does not resolve",
        ),
        ("Missing sudo password", "ansible_become", "sudo does not work"),
        ("sudo: a password is required", "ansible_become", "sudo does not work"),
        ("deploy is not in the sudoers file.", "ansible_become", "sudo does not work"),
        ("/bin/sh: 1: sudo: not found", "ansible_become", "sudo does not work"),
        ("/bin/sh: 1: /usr/bin/python3: not found", "ansible_python_interpreter", "there is no Python"),
        ("OSError: [Errno 28] No space left on device", "preflight_disk_minimum_mb", "the disk is full"),
        ("something quite different", "ansible_host", "the checks cannot run there: something quite different"),
    ],
)
def test_cause_is_named(message: str, variable: str, wrong: str) -> None:
    problem = reach.explain("compute1", "10.0.0.9", message)
    assert problem.host == "compute1"
    assert problem.variable == variable
    assert wrong in problem.cause
    assert problem.mend


def test_long_messages_are_shortened() -> None:
    assert len(reach.explain("compute1", "10.0.0.9", "x" * 5000).cause) < 300
