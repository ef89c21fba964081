"""Reads a failed connection, login or privilege change, and says what it means."""

from __future__ import annotations

import re

from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import problem_of

UNREACHED = ("ansible_host",)
"""Variables of the problems that say: this machine does not answer at all."""

# Part of the message, variable, what is wrong, how to mend it. The first that fits counts. The words are those of
# OpenSSH (ssh.c, sshconnect.c), sudo and Ansible.
_SIGNS: tuple[tuple[str, str, str, str], ...] = (
    (
        r"remote host identification has changed",
        "ansible_host",
        "the SSH host key is not the known one",
        "If the machine was installed anew, remove the old key with ssh-keygen -R {address} and log in once by hand.",
    ),
    (
        r"host key verification failed|no .*host key is known",
        "ansible_host",
        "the SSH host key is not known here yet",
        "Log in once by hand, and compare the fingerprint with what ssh-keygen -lf "
        "/etc/ssh/ssh_host_ed25519_key.pub says on the machine: "
        "ssh {address}",
    ),
    (
        r"permission denied",
        "ansible_user",
        "SSH refuses the login",
        "Put the public key of the control node's user into this account, or correct ansible_user and "
        "ansible_ssh_private_key_file. Try: ssh {address}",
    ),
    (
        r"identity file .* not accessible|no such identity|load key|bad permissions|invalid format",
        "ansible_ssh_private_key_file",
        "the SSH key cannot be used",
        "Correct the path, or the mode of the file (0600).",
    ),
    (
        r"could not resolve hostname|name or service not known|temporary failure in name resolution",
        "ansible_host",
        "the name does not resolve on the control node",
        "Correct ansible_host, or give the address as digits.",
    ),
    (
        r"connection refused",
        "ansible_host",
        "the machine answers, but nothing listens on the SSH port",
        "Start sshd on it, or correct ansible_host and ansible_port.",
    ),
    (
        r"timed out|no route to host|network is unreachable|host is down|connection (closed|reset)|banner exchange",
        "ansible_host",
        "the machine does not answer",
        "Switch it on, or correct ansible_host; look for a firewall on the way.",
    ),
    (
        r"is not in the sudoers|not allowed to (execute|run)|password is required|missing sudo password|"
        r"incorrect sudo password|a terminal is required|sudo: .*not found|no tty present|waiting for privilege",
        "ansible_become",
        "sudo does not work for this user",
        "Let the user run everything by sudo without a password, or give ansible_become_password from the vault.",
    ),
    (
        r"(python\S*: )?(no such file or directory|not found).*python|python\S*:? (command )?not found|"
        r"interpreter .* was not found|/python\S*: no such file or directory",
        "ansible_python_interpreter",
        "there is no Python on the machine",
        "Install it: apt-get install python3",
    ),
    (
        r"no space left on device",
        "preflight_disk_minimum_mb",
        "the disk is full",
        "Make room on the machine.",
    ),
)


def explain(host: str, address: str, message: str) -> Problem:
    """The problem behind a failure to run the probe.

    :param message: everything that Ansible, SSH, sudo or the shell said.
    """
    text = " ".join(message.split())
    for pattern, variable, wrong, mend in _SIGNS:
        if re.search(pattern, text, re.IGNORECASE):
            return problem_of(host, variable, f"{wrong}: {_core(text)}", mend.format(address=address))
    return problem_of(
        host, "ansible_host", f"the checks cannot run there: {_core(text)}", f"Log in by hand to see why: ssh {address}"
    )


def _core(text: str) -> str:
    """The message without what Ansible puts around it, at most 200 characters."""
    text = re.sub(
        r"^(Data could not be sent to remote host \S+\. )?(Make sure this host can be reached over ssh: )?", "", text
    )
    text = re.sub(r"^Failed to connect to the host via ssh: ", "", text)
    text = re.sub(r"^(Warning: Permanently added .*? to the list of known hosts\. *)+", "", text)
    return text if len(text) <= 200 else text[:197] + "..."
