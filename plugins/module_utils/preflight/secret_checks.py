"""Checks of secrets: present, strong, encrypted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import INVENTORY, problem_of
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Host, Snapshot
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import declare as cloud_secrets
from ansible_collections.stackwright.cloud.plugins.module_utils.service.interfaces import all_options
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import split_term

MAKE = "Run: ansible-playbook playbooks/secrets.yml -i <inventory>"
_PASSWORDS = (
    "ansible_password",
    "ansible_ssh_pass",
    "ansible_ssh_password",
    "ansible_become_password",
    "ansible_become_pass",
)


def check(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    """Every problem of secrets. No value ever becomes part of a text."""
    hosts = list(inventory.hosts.values())
    if hosts:
        yield from _store(hosts, policy)
    yield from _plain_passwords(inventory, policy)


def _store(hosts: list[Host], policy: Policy) -> Iterator[Problem]:
    name = cloud_secrets.VARIABLE
    variants = {repr(host.get(name)): host for host in hosts}
    if len(variants) > 1:
        yield problem_of(
            INVENTORY, name, "differs between hosts", "Keep it in group_vars/all/secrets.yml and nowhere else."
        )
        return
    host = hosts[0]
    setting = host.settings.get(name)
    values = host.get(name)
    if setting is not None and setting.error:
        yield problem_of(INVENTORY, name, f"cannot be worked out: {setting.error}", MAKE + ".", setting.where)
        return
    if values is not None and not isinstance(values, Mapping):
        yield problem_of(
            INVENTORY, name, "is not a mapping from names to values", f"Remove it. {MAKE}.", host.where(name)
        )
        return
    present = dict(values or {})
    if present and setting is not None and setting.own and setting.encrypted is False:
        yield problem_of(
            INVENTORY, name, "lies in a plain file, not in a vault", f"{MAKE}, which encrypts the file.", setting.where
        )
    if policy.deploying:
        missing = [one for one in _needed(hosts, policy) if one not in present]
        strange = [one for one in present if one not in policy.secrets]
        if missing and not present:
            yield problem_of(INVENTORY, name, "there are no secrets yet", MAKE + ".")
        for one in missing if present else []:
            meant = words.slip_of(one, strange)
            hint = f" Or rename {meant} to it." if meant else ""
            yield problem_of(INVENTORY, f"{name}.{one}", "this secret is missing", f"{MAKE}.{hint}", host.where(name))
    for one, reason in cloud_secrets.weaknesses(present, policy.secrets).items():
        yield problem_of(
            INVENTORY, f"{name}.{one}", f"it {reason}", f"{MAKE} -e secrets_rotate={one}.", host.where(name)
        )


def _needed(hosts: list[Host], policy: Policy) -> list[str]:
    """The secrets that this cloud needs: not those of services alone that no host carries."""
    carried = {split_term(one)[0] for host in hosts for one in policy.services(host)}
    idle = {role for role in policy.roles if policy.book.of_role(role)} - carried
    return [name for name, one in policy.secrets.items() if not one.roles or set(one.roles) - idle]


def _plain_passwords(inventory: Snapshot, policy: Policy) -> Iterator[Problem]:
    guarded = {name for name, option in all_options(policy.roles).items() if option.get("no_log")}
    for host, name, setting in inventory.own():
        secret = name in _PASSWORDS or name in guarded
        if not secret or name == cloud_secrets.VARIABLE or setting.encrypted is not False:
            continue
        if isinstance(setting.raw, str) and setting.raw and "{{" not in setting.raw:
            yield problem_of(
                host.name,
                name,
                "this secret lies in a plain file",
                f"Encrypt it: ansible-vault encrypt_string --name {name}; and change the secret, for it was readable.",
                setting.where,
            )
