"""A server under test, and the error of a step."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.guest_shell import Boot


class BootTestError(Exception):
    """A step failed: what was being done, what went wrong; ``evidence`` holds lines that help to find out why."""

    def __init__(self, message: str, evidence: list[str] | None = None) -> None:
        super().__init__(message)
        self.evidence = evidence or []


@dataclass
class Guest:
    """One server under test."""

    name: str
    host: str
    id: str = ""
    address: str = ""
    address_v6: str = ""
    # The address that DHCPv6 hands out, on its second interface.
    stateful_v6: str = ""
    boot: Boot | None = None
    # Whether it is to run by now, and how often in a row its hypervisor said that it does not.
    expected: bool = False
    unsound: int = 0
