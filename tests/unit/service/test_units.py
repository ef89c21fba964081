"""Units are brought to their states by a systemd that is asked in few words, and what does not run is told with its
cause."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import units
from ansible_collections.stackwright.cloud.plugins.modules import units as module
from ansible_collections.stackwright.cloud.tests.stand_ins import StandIns

Run = Callable[..., dict[str, Any]]


def named(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, **more} for name in names]


def written(stand_ins: StandIns) -> list[str]:
    """What systemctl was told to do."""
    return [line.removeprefix("systemctl ") for line in stand_ins.lines("systemctl") if " show " not in line]


def test_units_are_brought_to_their_states_and_the_second_run_does_nothing(
    run_module: Run, systemd: Any, stand_ins: StandIns, clock: Any
) -> None:
    systemd.put("nova-api.service", "failed")
    systemd.put("glance.socket", "inactive", "masked")
    systemd.put("spice.service", "active", "enabled")
    wanted = [*named("nova-api", "glance.socket"), *named("spice", state="stopped", enabled=False)]
    answer = run_module(module, units=wanted)
    assert answer["changes"] == [
        "start nova-api",
        "start glance.socket",
        "stop spice",
        "enable nova-api",
        "enable glance.socket",
        "disable spice",
    ]
    assert {name: (unit["ActiveState"], unit["UnitFileState"]) for name, unit in systemd.units.items()} == {
        "nova-api.service": ("active", "enabled"),
        "glance.socket": ("active", "enabled"),
        "spice.service": ("inactive", "disabled"),
    }
    # one call for each verb, whatever the number of units
    assert [line.split()[0] for line in written(stand_ins) if "reset-failed" not in line] == [
        "unmask",
        "-q",
        "-q",
        "stop",
        "start",
    ]
    stand_ins.calls.clear()
    assert not run_module(module, units=wanted)["changed"]
    assert [call.words[0] for call in stand_ins.calls] == ["show", "show"]


def test_unit_that_reads_a_newer_file_is_restarted_once(
    run_module: Run, systemd: Any, stand_ins: StandIns, clock: Any, tmp_path: Path
) -> None:
    systemd.put("nova-api.service", "active", "enabled")
    systemd.put(
        "nova-scheduler.service", "active", "enabled", ActiveEnterTimestamp="Sat 2026-11-21 06:45:00.000000 UTC"
    )
    path = tmp_path / "nova.conf"
    path.touch()
    # 06:30, between the two starts
    os.utime(path, (1795242600, 1795242600))
    wanted = named("nova-api", "nova-scheduler", files=[str(path)])
    foretold = run_module(module, check=True, units=wanted, restart=["nova-scheduler"])
    assert foretold["restarted"] == ["nova-api", "nova-scheduler"]
    assert written(stand_ins) == []
    # what check mode was told to expect is seen by the files themselves otherwise
    assert run_module(module, units=wanted, restart=["nova-scheduler"])["restarted"] == ["nova-api"]
    assert written(stand_ins) == ["restart nova-api.service"]
    assert not run_module(module, units=wanted)["changed"]


def test_unit_that_takes_a_file_anew_is_reloaded_once_and_restarted_for_others(
    run_module: Run, systemd: Any, stand_ins: StandIns, clock: Any, tmp_path: Path
) -> None:
    taken, read = tmp_path / "key.pem", tmp_path / "my.cnf"
    for path in (taken, read):
        path.write_text("")
        os.utime(path, (1, 1))
    wanted = named("mariadb", files=[str(read)], reloads=[str(taken)])
    systemd.put("mariadb.service", "active", "enabled", StateChangeTimestamp="Sat 2026-11-21 06:00:00.000000 UTC")
    assert not run_module(module, units=wanted)["changed"]
    os.utime(taken, (4102444800, 4102444800))
    assert run_module(module, units=wanted)["changes"] == ["reload mariadb"]
    assert written(stand_ins) == ["reload mariadb.service"]
    assert not run_module(module, units=wanted)["changed"]
    os.utime(read, (4102444800, 4102444800))
    assert run_module(module, units=wanted)["changes"] == ["restart mariadb"]
    os.utime(read, (1, 1))
    assert run_module(module, check=True, units=named("mariadb"), reload=["mariadb"])["changes"] == ["reload mariadb"]


def test_unit_file_that_came_since_systemd_last_looked_is_found(
    run_module: Run, systemd: Any, stand_ins: StandIns, clock: Any
) -> None:
    systemd.put("old.service", "active", "enabled", NeedDaemonReload="yes")
    systemd.put("new.service")
    systemd.hidden["new.service"] = systemd.units.pop("new.service")
    assert run_module(module, check=True, units=named("old", "new"))["changes"] == ["start new"]
    assert written(stand_ins) == []
    assert run_module(module, units=named("old", "new"))["changes"] == ["start new", "enable new"]
    assert written(stand_ins)[0] == "daemon-reload"


def test_unit_that_no_package_brought_is_named_and_nothing_is_begun(
    run_module: Run, systemd: Any, stand_ins: StandIns
) -> None:
    systemd.put("nova-api.service")
    answer = run_module(module, units=[*named("nova-api", "nova-apy"), *named("gone", state="stopped")])
    assert answer["failed"]
    assert answer["msg"] == "The host has no unit nova-apy"
    assert "package" in answer["hint"]
    assert written(stand_ins) == ["daemon-reload"]


def test_unit_that_fails_is_told_with_its_last_words(run_module: Run, systemd: Any, clock: Any, tmp_path: Path) -> None:
    log = tmp_path / "nova-api.log"
    log.write_text("01 INFO starting\n02 ERROR nova no such table: cells\n03 INFO going on\n")
    systemd.put("nova-api.service", enabled="enabled")
    systemd.put("glance.service", "active", "enabled")
    systemd.starts["nova-api.service"] = [{"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}]
    systemd.journal["nova-api"] = "Main process exited, status=1\n"
    answer = run_module(module, units=named("nova-api", "glance", log=str(log)))
    assert answer["failed"]
    assert answer["msg"] == "Units that do not run: nova-api: failed (failed), result exit-code"
    assert (
        answer["stderr"] == f"--- nova-api\nMain process exited, status=1\n{log}:\n02 ERROR nova no such table: cells"
    )
    # what has failed for good is not waited for
    assert clock.now == 0


def test_log_without_errors_is_told_from_its_end(run_module: Run, systemd: Any, clock: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(500)))
    systemd.put("a.service", enabled="enabled")
    systemd.starts["a.service"] = [{"ActiveState": "failed"}]
    told = run_module(module, units=named("a", log=str(log)))["stderr"]
    assert told.splitlines()[-12:] == [f"line {number}" for number in range(488, 500)]


def test_unit_that_comes_up_slowly_is_waited_for(run_module: Run, systemd: Any, clock: Any) -> None:
    systemd.put("libvirtd.service", enabled="enabled")
    systemd.starts["libvirtd.service"] = [*[{"ActiveState": "activating"}] * 9, {"ActiveState": "active"}]
    assert run_module(module, units=named("libvirtd"))["changes"] == ["start libvirtd"]
    assert clock.now >= 4


def test_unit_that_never_comes_up_is_told_at_the_timeout(run_module: Run, systemd: Any, clock: Any) -> None:
    systemd.put("libvirtd.service", enabled="enabled")
    systemd.starts["libvirtd.service"] = [{"ActiveState": "activating", "SubState": "start-pre"}]
    answer = run_module(module, units=named("libvirtd"), timeout=30)
    assert answer["msg"] == "Units that do not run: libvirtd: activating (start-pre)"
    assert clock.now == pytest.approx(30.5)


def test_unit_that_dies_right_after_its_start_does_not_count_as_running(
    run_module: Run, systemd: Any, clock: Any
) -> None:
    systemd.put("nova-compute.service", enabled="enabled")
    dead = {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}
    systemd.starts["nova-compute.service"] = [{"ActiveState": "active"}, {"ActiveState": "active"}, dead]
    answer = run_module(module, units=named("nova-compute"))
    assert answer["msg"] == "Units that do not run: nova-compute: failed (failed), result exit-code"


def test_unit_that_systemd_starts_over_and_over_does_not_count_as_running(
    run_module: Run, systemd: Any, clock: Any
) -> None:
    systemd.put("nova-compute.service", enabled="enabled")
    systemd.starts["nova-compute.service"] = [
        {"ActiveState": "active", "NRestarts": str(number)} for number in range(99)
    ]
    answer = run_module(module, units=named("nova-compute"), timeout=10)
    assert "nova-compute: active for only 0 s, restarted 2" in answer["msg"] and "it keeps stopping" in answer["msg"]


def test_unit_that_keeps_stopping_is_found_by_a_run_that_has_nothing_to_do_with_it(
    run_module: Run, systemd: Any, clock: Any
) -> None:
    systemd.put("swift-account-auditor.service", "active", "enabled", NRestarts="41")
    flapping = systemd.units["swift-account-auditor.service"]
    flapping["ActiveEnterTimestampMonotonic"] = str(10**15)
    answer = run_module(module, units=named("swift-account-auditor"), timeout=10)
    assert answer["msg"] == (
        "Units that do not run: swift-account-auditor: active for only 0 s, restarted 41 times by systemd: "
        "it keeps stopping"
    )
    # one that was started anew long ago is not waited for
    flapping["ActiveEnterTimestampMonotonic"] = "0"
    clock.now = 1000
    assert not run_module(module, units=named("swift-account-auditor"), timeout=10)["changed"]
    assert clock.now == 1000


def test_unit_that_stays_after_it_was_started_anew_counts_as_running(run_module: Run, systemd: Any, clock: Any) -> None:
    systemd.put("nova-compute.service", enabled="enabled")
    systemd.starts["nova-compute.service"] = [
        {"ActiveState": "active", "NRestarts": str(number)} for number in (0, 0, 1, 2)
    ]
    assert "failed" not in run_module(module, units=named("nova-compute"), timeout=30)
    # the time in which it has to stay begins with its last start, and is longer for a unit that has ended before
    assert clock.now == pytest.approx(1 + 15, abs=0.5)


@pytest.mark.parametrize(
    ("verb", "unit", "said"),
    [
        ("enable", {"name": "a"}, "Failed to enable unit: Unit a.service is transient or generated."),
        ("unmask", {"name": "a"}, "Failed to unmask unit: Read-only file system"),
        ("disable", {"name": "b", "enabled": False}, "Failed to disable unit: Read-only file system"),
        ("stop", {"name": "b", "state": "stopped"}, "Job for b.service canceled."),
    ],
)
def test_what_systemd_refuses_is_a_failure(
    run_module: Run, systemd: Any, clock: Any, verb: str, unit: dict[str, Any], said: str
) -> None:
    systemd.put("a.service", "active")
    systemd.put("b.service", "active", "enabled")
    systemd.refuses[verb, f"{unit['name']}.service"] = said
    answer = run_module(module, units=[unit])
    assert answer["failed"]
    assert (
        answer["msg"]
        == f"The units could not be brought to their states: systemctl {verb} {unit['name']}.service failed: {said}"
    )


def test_systemd_that_does_not_answer_is_told(run_module: Run, systemd: Any) -> None:
    systemd.dead = "Failed to connect to bus: Host is down"
    answer = run_module(module, units=named("a", "b"))
    assert answer["msg"].endswith("systemctl show a.service b.service failed: Failed to connect to bus: Host is down")


def test_host_without_systemd_is_told(run_module: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = run_module(module, units=named("a"))
    assert "systemctl cannot be run on this host: No such file or directory" in answer["msg"]


@pytest.mark.parametrize(
    ("verb", "state"),
    [
        ("stop", {"ActiveState": "active"}),
        ("start", {"ActiveState": "inactive"}),
        ("restart", {"ActiveState": "active"}),
    ],
)
def test_unit_that_does_not_come_to_an_end_is_named_with_its_job(
    run_module: Run, systemd: Any, clock: Any, tmp_path: Path, verb: str, state: dict[str, str]
) -> None:
    systemd.put("libvirt-guests.service", enabled="enabled")
    systemd.units["libvirt-guests.service"] |= state
    systemd.hangs.add((verb, "libvirt-guests.service"))
    systemd.journal["libvirt-guests.service"] = "Can't connect to default. Skipping.\n"
    file = tmp_path / "changed"
    file.touch()
    unit = {
        "name": "libvirt-guests",
        "state": "stopped" if verb == "stop" else "started",
        "files": [str(file)] if verb == "restart" else [],
    }
    answer = run_module(module, units=[unit], timeout=1)
    assert answer["failed"]
    assert answer["msg"] == (
        f"The units could not be brought to their states: systemctl {verb} libvirt-guests.service did "
        f"not end within 1 s; "
        f"libvirt-guests.service: its {verb} job is running, last words: Can't connect to default. Skipping.. "
        "The job goes on in systemd; systemctl kill --signal=KILL UNIT ends what the unit still runs"
    )


def test_running_unit_gets_its_configuration_before_another_is_stopped(
    run_module: Run, systemd: Any, stand_ins: StandIns, clock: Any, tmp_path: Path
) -> None:
    systemd.put("libvirtd.service", "active", "enabled")
    systemd.put("libvirt-guests.service", "active", "enabled")
    (tmp_path / "libvirtd.conf").touch()
    wanted = [
        *named("libvirt-guests", state="stopped", enabled=False),
        *named("libvirtd", files=[str(tmp_path / "libvirtd.conf")]),
    ]
    assert "failed" not in run_module(module, units=wanted)
    done = [line.split()[0] for line in written(stand_ins)]
    assert done.index("restart") < done.index("stop")


def test_socket_is_restarted_while_its_service_is_stopped_so_that_its_new_mode_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def must(*words: str, **_: Any) -> str:
        calls.append(" ".join(words))
        return ""

    def systemctl(*words: str, **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append(" ".join(words))
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setattr(units, "must", must)
    monkeypatch.setattr(
        units.systemd, "show", lambda names, properties: {name: {"Triggers": "libvirtd.service"} for name in names}
    )
    monkeypatch.setattr(units, "systemctl", systemctl)
    units.restart(["libvirtd.socket", "libvirtd-ro.socket", "nova-compute.service"], 10)
    assert calls[1:] == [
        "stop libvirtd.service",
        "restart libvirtd.socket libvirtd-ro.socket",
        "start libvirtd.service",
        "restart nova-compute.service",
    ]
