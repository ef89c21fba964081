"""What a container cannot bring about, and so no scenario breaks: the processor, radio, disk encryption and size of the
machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import activation, catalogue, engine, system
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, HostError

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


@pytest.mark.parametrize(
    ("own", "megabytes", "status"), [(True, 100, "pass"), (True, 1 << 40, "fail"), (False, 100, "fail")]
)
def test_room_for_audit_records_is_a_file_system_of_their_own(
    root: Path, monkeypatch: pytest.MonkeyPatch, own: bool, megabytes: int, status: str
) -> None:
    (root / "var/log/audit").mkdir(parents=True)
    real = system.os.stat

    def stat(path: Any, *rest: Any, **more: Any) -> Any:
        found = real(path, *rest, **more)
        return SimpleNamespace(st_dev=found.st_dev + 1) if own and str(path).endswith("var/log/audit") else found

    monkeypatch.setattr(system.os, "stat", stat)
    check = system.check_probe(Host(str(root)), {"name": "audit_space", "megabytes": megabytes})
    monkeypatch.undo()
    assert ("pass" if check.ok else "fail") == status
    assert check.evidence[0].where == "/var/log/audit"


def test_room_for_audit_records_is_for_an_operator(root: Path) -> None:
    (root / "var/log/audit").mkdir(parents=True)
    finding, outcome = carry_out(root, "UBTU-24-900920", "enforce")
    assert finding["status"] == "fail"
    assert "needs an operator" in finding["detail"]
    assert not outcome["changed"]


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.8.8", "node7", "10.1.2.3", "LOCALHOST"]
)
def test_records_that_are_sent_to_the_host_itself_are_not_sent_away(root: Path, put: Put, name: str) -> None:
    put("/etc/hostname", "node7\n")
    put("/proc/net/fib_trie", "Local:\n  |-- 10.1.2.3\n      /32 host LOCAL\n")
    spec = {"name": "elsewhere", "host": name, "where": "/etc/audit/audisp-remote.conf"}
    assert not system.check_probe(Host(str(root)), spec).ok
    assert system.check_probe(Host(str(root)), {**spec, "host": "logs.example.org"}).ok


def test_records_kept_beside_the_system_do_not_leave_it(root: Path) -> None:
    (root / "var/backups").mkdir(parents=True)
    (root / "var/log").mkdir(parents=True)
    for path in ("/var/backups", "/mnt/missing"):
        assert not system.check_probe(Host(str(root)), {"name": "other_medium", "path": path}).ok


@pytest.mark.parametrize(("kind", "ok"), [("nfs4", True), ("ext4", True), ("tmpfs", False), ("overlay", False)])
def test_records_leave_to_what_is_mounted_and_outlives_the_host(
    root: Path, put: Put, monkeypatch: pytest.MonkeyPatch, kind: str, ok: bool
) -> None:
    (root / "mnt/export").mkdir(parents=True)
    put("/proc/self/mountinfo", f"36 1 9:7 / /mnt/export rw shared:1 - {kind} server:/x rw\n")
    real = system.os.stat

    def stat(path: Any, *rest: Any, **more: Any) -> Any:
        foreign = str(path).endswith("mnt/export")
        return SimpleNamespace(st_dev=system.os.makedev(9, 7)) if foreign else real(path, *rest, **more)

    monkeypatch.setattr(system.os, "stat", stat)
    check = system.check_probe(Host(str(root)), {"name": "other_medium", "path": "/mnt/export"})
    monkeypatch.undo()
    assert check.ok == ok


def test_missing_dictionary_is_made_where_its_program_is(root: Path, put: Put) -> None:
    host = Host(str(root))
    assert not system.check_probe(host, {"name": "dictionary"}).ok
    with pytest.raises(HostError, match="cracklib-runtime is not installed"):
        system.fix_probe(host, {"name": "dictionary"})
    put("/var/lib/dpkg/status", "Package: cracklib-runtime\nStatus: install ok installed\nVersion: 1\n\n")
    host.forget()
    system.fix_probe(host, {"name": "dictionary"})
    (command,) = activation.commands(host, "cracklib")
    assert (list(host.activations), command.argv) == (["cracklib"], ["update-cracklib"])
    for path in command.changes:
        put(path, "words")
    assert system.check_probe(host, {"name": "dictionary"}).ok
    put("/var/cache/cracklib/cracklib_dict.pwi", "")
    assert not system.check_probe(host, {"name": "dictionary"}).ok


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


def test_what_cannot_be_tested_says_what_was_read_and_why(root: Path, put: Put) -> None:
    put("/run/.containerenv", "")
    controls = catalogue.resolve(catalogue.load())
    enforced = engine.carry_out(
        {"mode": "enforce", "profile": "stig", "controls": controls}, Host(str(root), run=quiet)
    )
    found = [one for one in enforced["document"]["findings"] if one["status"] == "not_testable"]
    assert len(found) > 60
    for one in found:
        assert one["detail"].startswith("Not testable here: "), one["id"]
        assert one["evidence"], one["id"]
        assert all(seen["where"] and seen["found"] for seen in one["evidence"]), one["id"]


def quiet(argv: list[str]) -> tuple[int, str]:
    """A host without programs."""
    return 127, f"{argv[0]}: not found"
