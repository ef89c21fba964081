"""What a container cannot bring about, and so no scenario breaks: the processor, radio, disk encryption and size of the machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import catalogue, engine
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host

Put = Callable[[str, str], Path]
# The file that makes the machine right, and the one that makes it wrong.
CASES: list[tuple[str, tuple[str, str] | None, tuple[str, str] | None, str]] = [
    ("UBTU-24-700300", ("/proc/cpuinfo", "processor: 0\nflags\t\t: fpu nx lm\n"), None, "missing"),
    ("UBTU-24-700300", ("/proc/cpuinfo", "flags : nx\n"), ("/proc/cpuinfo", "flags : fpu nxy annx\n"), "missing"),
    ("UBTU-24-600230", ("/sys/class/net/eth0/mtu", ""), ("/sys/class/net/wlan0/wireless/status", ""), "wlan0"),
    ("UBTU-24-600090", ("/sys/block/dm-1/dm/uuid", "CRYPT-LUKS2-1"), None, "none"),
    ("UBTU-24-600090", ("/sys/block/dm-1/dm/uuid", "CRYPT-LUKS2-1"), ("/sys/block/dm-1/dm/uuid", "LVM-1"), "none"),
]


def carry_out(root: Path, name: str, mode: str = "audit", **parameters: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Carry the catalogue's own entry out; returns the finding and the outcome."""
    controls = catalogue.resolve(catalogue.load(), parameters=parameters)
    request = {"mode": mode, "profile": "stig", "controls": [one for one in controls if one["id"] == name]}
    outcome = engine.carry_out(request, Host(str(root), run=lambda argv: (0, "")))
    (finding,) = outcome["document"]["findings"]
    return finding, outcome


@pytest.mark.parametrize(("name", "right", "wrong", "found"), CASES)
def test_machine_is_judged_by_what_its_kernel_shows(
    root: Path, put: Put, name: str, right: tuple[str, str] | None, wrong: tuple[str, str] | None, found: str
) -> None:
    if right is not None:
        put(*right)
    assert carry_out(root, name)[0]["status"] == "pass"
    if wrong is not None:
        put(*wrong)
    elif right is not None:
        (root / right[0].lstrip("/")).unlink()
    finding, outcome = carry_out(root, name, "enforce")
    assert finding["status"] == "fail"
    assert finding["evidence"][0]["found"] == found
    assert "needs an operator" in finding["detail"]
    assert not outcome["changed"]
    assert outcome["rolled_back"] == []


def test_room_for_audit_records_is_that_of_their_file_system(root: Path) -> None:
    (root / "var/log/audit").mkdir(parents=True)
    finding, _ = carry_out(root, "UBTU-24-900920", audit_space_megabytes=100)
    assert finding["status"] == "pass"
    assert finding["evidence"][0]["where"] == "/var/log/audit"
    finding, outcome = carry_out(root, "UBTU-24-900920", "enforce", audit_space_megabytes=1 << 40)
    assert finding["status"] == "fail"
    assert finding["evidence"][0]["expected"] == f"{1 << 40} MB or more"
    assert "needs an operator" in finding["detail"]
    assert not outcome["changed"]


def test_encryption_below_a_container_is_not_testable(root: Path, put: Put) -> None:
    put("/run/.containerenv", "")
    finding, _ = carry_out(root, "UBTU-24-600090")
    assert finding["status"] == "not_testable"
    assert "a matter of the machine" in finding["detail"]


def test_device_that_goes_away_does_not_hide_an_encrypted_one(root: Path, put: Put) -> None:
    put("/sys/block/dm-0/dm/uuid/not-a-file", "")
    put("/sys/block/dm-1/dm/uuid", "CRYPT-LUKS2-1")
    finding, _ = carry_out(root, "UBTU-24-600090")
    assert (finding["status"], finding["evidence"][0]["found"]) == ("pass", "dm-1")
