"""Findings are concluded from what the checks saw, packages go in one transaction, and access that was not proved is
taken back."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import (
    activation,
    drift,
    engine,
    findings,
    guard,
    journal,
    judge,
    resource,
    state,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, HostError, UnitState
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.resource import Check, Resource

Put = Callable[[str, str], Path]
UMASK = {"type": "option", "file": "/etc/login.defs", "key": "UMASK", "value": "077", "separator": "\t"}


def control(name: str, *resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "rule": name.lower(),
        "severity": "medium",
        "waiver": None,
        "resources": list(resources),
        **more,
    }


def carry_out(host: Host, *controls: dict[str, Any], mode: str = "audit", **more: Any) -> dict[str, Any]:
    return engine.carry_out({"mode": mode, "profile": "stig", "controls": list(controls), **more}, host)


def finding(outcome: dict[str, Any]) -> dict[str, Any]:
    (one,) = outcome["document"]["findings"]
    return dict(one)


# ---------------------------------------------------------------- findings


@pytest.mark.parametrize(
    ("more", "status", "detail"),
    [
        ({"status": "manual", "reason": "Read the site's policy."}, "manual", "Read the site's policy."),
        ({"when": {"package": ["gdm3", "sddm"]}}, "not_applicable", "None of gdm3, sddm is installed."),
        ({"when": {"file": ["/etc/passwd", "/etc/dconf"]}}, "not_applicable", "/etc/dconf does not exist."),
        ({"when": {"package": ["openssh-server", "sddm"], "file": ["/etc/passwd"]}}, "fail", ""),
    ],
)
def test_control_that_does_not_apply_is_neither_judged_nor_enforced(
    host: Host, root: Path, more: dict[str, Any], status: str, detail: str
) -> None:
    one = finding(carry_out(host, control("A", UMASK, **more)))
    assert (one["status"], one["detail"]) == (status, detail)
    outcome = carry_out(Host(str(root), run=host.run), control("A", UMASK, **more), mode="enforce")
    assert outcome["changed"] is (status == "fail")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a resource type there whose check and remedy are functions of the test."""

    def put(check: Callable[[], Check], fix: Callable[[Host], None] | None = None) -> None:
        kind = Resource(lambda host, spec: check(), (lambda host, spec: fix(host)) if fix else None, {})
        monkeypatch.setitem(judge.TYPES, "fake", kind)

    return put


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (HostError("/etc/x is a directory"), "/etc/x is a directory"),
        (ValueError("invalid literal"), "The check itself failed: ValueError: invalid literal"),
        (
            PermissionError(13, "Permission denied"),
            "The check itself failed: PermissionError: [Errno 13] Permission denied",
        ),
    ],
)
def test_check_that_breaks_is_an_error_of_its_control_only(
    host: Host, fake: Callable[..., None], error: Exception, detail: str
) -> None:
    def broken() -> Check:
        raise error

    fake(broken)
    outcome = carry_out(host, control("A", UMASK, {"type": "fake"}), control("B", UMASK))
    first, second = outcome["document"]["findings"]
    assert (first["status"], first["detail"], second["status"]) == ("error", detail, "fail")


def test_waived_error_is_waived(host: Host, fake: Callable[..., None]) -> None:
    def broken() -> Check:
        raise HostError("no")

    fake(broken)
    waiver = {"reason": "r", "owner": "o", "expires": "2999-01-01"}
    assert finding(carry_out(host, control("A", {"type": "fake"}, waiver=waiver)))["status"] == "waived"


def test_what_only_the_disk_could_tell_is_not_testable_and_a_failure_there_is_one(
    host: Host, fake: Callable[..., None]
) -> None:
    fake(lambda: Check(True, [], "not in a container", testable=False))
    one = finding(carry_out(host, control("A", {"type": "fake"}, {"type": "fake"})))
    assert (one["status"], one["detail"]) == ("not_testable", "Not testable here: not in a container")
    fake(lambda: Check(False, [], "not in a container", testable=False))
    assert finding(carry_out(host, control("A", {"type": "fake"})))["status"] == "fail"


@pytest.mark.parametrize(
    ("error", "told"),
    [(HostError("give the hash"), "give the hash"), (KeyError("value"), "The remedy itself failed: KeyError: 'value'")],
)
def test_remedy_that_breaks_is_told_in_its_finding_and_the_others_go_on(
    host: Host, root: Path, fake: Callable[..., None], error: Exception, told: str
) -> None:
    def broken(host: Host) -> None:
        raise error

    fake(lambda: Check(False), broken)
    outcome = carry_out(host, control("A", {"type": "fake"}), control("B", UMASK), mode="enforce")
    first, second = outcome["document"]["findings"]
    assert (first["status"], first["detail"], second["status"]) == ("fail", told, "pass")
    (root / "etc/login.defs").write_text("UMASK 022\n")
    # check mode judges nothing again, and still tells it
    foretold = carry_out(Host(str(root)), control("A", {"type": "fake"}), mode="enforce", check_mode=True)
    assert finding(foretold)["detail"] == told


def test_only_the_asked_groups_are_enforced(host: Host, root: Path, put: Put, programs: Any) -> None:
    put("/etc/sudoers", "Defaults:ops !authenticate\n")
    sudo = control("S", {"type": "sudoers", "absent": "!authenticate"})
    outcome = carry_out(host, control("A", UMASK), sudo, mode="enforce", groups=[])
    assert [one["status"] for one in outcome["document"]["findings"]] == ["pass", "fail"]
    assert outcome["unproved"] == []
    outcome = carry_out(Host(str(root), run=programs), control("A", UMASK), sudo, mode="enforce", groups=["sudo"])
    assert outcome["unproved"] == ["sudo"]


# ---------------------------------------------------------------- packages


class Apt:
    """A package manager below a root: installs what is not in `lacks`, knows nothing at all before its lists are
    `fresh`."""

    def __init__(self, root: Path, *lacks: str, fresh: bool = True) -> None:
        self.root, self.lacks, self.fresh = root, lacks, fresh
        self.calls: list[str] = []

    def simulate(self, names: list[str]) -> tuple[int, str]:
        missing = [one for one in names if one in self.lacks or not self.fresh]
        if missing:
            return 100, f"Reading package lists...\nE: Unable to locate package {missing[0]}\n"
        words = [f"Remv {one[:-1]} [1]" if one.endswith("-") else f"Inst {one} (1 Debian:13 [all])" for one in names]
        return 0, "\n".join([*words, *(f"Conf {one} (1)" for one in names), ""])

    def __call__(self, argv: list[str]) -> tuple[int, str]:
        status = self.root / "var/lib/dpkg/status"
        if argv[0] == "dpkg":
            self.calls.append(" ".join(argv))
            return 0, ""
        if argv[0] != "apt-get":
            return 0, ""
        names = argv[argv.index("install") + 1 :] if "install" in argv else []
        if "-s" in argv:
            return self.simulate(names)
        self.calls.append(" ".join(["install", *names]) if names else argv[-1])
        if not names:
            self.fresh = True
            return 0, ""
        missing = [one for one in names if one in self.lacks or not self.fresh]
        if missing:
            return 100, f"Reading package lists...\nE: Unable to locate package {missing[0]}\n"
        text = status.read_text("utf-8")
        for name in names:
            if name.endswith("-"):
                text = "".join(
                    block + "\n\n"
                    for block in text.strip().split("\n\n")
                    if f"Package: {name[:-1]}\n" not in block + "\n"
                )
            else:
                text += f"Package: {name}\nStatus: install ok installed\nVersion: 1\n\n"
                (self.root / f"etc/{name}.conf").write_text("new\n")
        status.write_text(text, "utf-8")
        return 0, ""


PACKAGES = {"type": "package", "present": ["aide", "auditd"], "absent": ["telnetd"]}


@pytest.fixture
def telnet(put: Put, root: Path) -> None:
    text = (root / "var/lib/dpkg/status").read_text("utf-8")
    put("/var/lib/dpkg/status", text + "Package: telnetd\nStatus: install ok installed\nVersion: 1\n\n")


@pytest.mark.usefixtures("telnet")
def test_packages_come_and_go_in_one_transaction(root: Path) -> None:
    apt = Apt(root)
    outcome = carry_out(Host(str(root), run=apt), control("P", PACKAGES), mode="enforce")
    assert apt.calls == ["install aide auditd telnetd-", "dpkg --purge telnetd"]
    assert finding(outcome)["status"] == "pass" and finding(outcome)["changed"]
    assert "package aide: present\n" in outcome["diff"][0]["after"]
    again = Apt(root)
    assert not carry_out(Host(str(root), run=again), control("P", PACKAGES), mode="enforce")["changed"]
    assert again.calls == []
    # the way back removes what came, brings back what went, and takes away what the packages left in /etc
    back = Apt(root)
    assert engine.carry_out({"mode": "rollback"}, Host(str(root), run=back))["problems"] == []
    assert any(call == "install telnetd=1" for call in back.calls)
    assert any(call.startswith("dpkg --remove --force-depends aide auditd") for call in back.calls)
    assert not (root / "etc/aide.conf").exists()


@pytest.mark.usefixtures("telnet")
def test_check_mode_tells_the_packages_and_asks_nobody(root: Path) -> None:
    apt = Apt(root)
    outcome = carry_out(Host(str(root), run=apt), control("P", PACKAGES), mode="enforce", check_mode=True)
    assert apt.calls == [] and outcome["changed"]
    assert outcome["diff"][0]["after"] == "package aide: present\npackage auditd: present\npackage telnetd: absent\n"


@pytest.mark.usefixtures("telnet")
def test_stale_lists_are_fetched_once(root: Path) -> None:
    apt = Apt(root, fresh=False)
    outcome = carry_out(Host(str(root), run=apt), control("P", PACKAGES), mode="enforce")
    assert apt.calls == ["update", "install aide auditd telnetd-", "dpkg --purge telnetd"]
    assert outcome["problems"] == []


@pytest.mark.usefixtures("telnet")
def test_package_that_cannot_be_had_does_not_keep_the_others_away(root: Path) -> None:
    apt = Apt(root, "aide")
    outcome = carry_out(Host(str(root), run=apt), control("P", PACKAGES), mode="enforce")
    assert outcome["problems"] == ["The package aide could not be changed: E: Unable to locate package"]
    assert finding(outcome)["status"] == "fail"
    assert "auditd" in Host(str(root)).packages and "telnetd" not in Host(str(root)).packages


def test_mode_that_a_package_changed_is_restored(root: Path) -> None:
    logs = root / "var/log"
    logs.mkdir(mode=0o755)
    apt = Apt(root)

    def run(argv: list[str]) -> tuple[int, str]:
        if argv[0] == "apt-get" and "install" in argv and "-s" not in argv:
            logs.chmod(0o770)
        return apt(argv)

    carry_out(Host(str(root), run=run), control("P", {"type": "package", "present": ["rsyslog"]}), mode="enforce")
    engine.carry_out({"mode": "rollback"}, Host(str(root), run=lambda argv: (0, "")))
    assert logs.stat().st_mode & 0o777 == 0o755


# ---------------------------------------------------------------- activation


@pytest.mark.parametrize(
    ("what", "facts", "argvs"),
    [
        ("rsyslog", {"systemd": True}, [["systemctl", "try-restart", "rsyslog.service"]]),
        ("rsyslog", {}, []),
        ("audit", {}, []),
        ("audit", {"packages": {"auditd": "1"}}, [["augenrules", "--load"]]),
        ("audit", {"packages": {"auditd": "1"}, "container": True}, [["augenrules"]]),
        ("systemd", {"systemd": True}, [["systemctl", "daemon-reload"]]),
        ("dconf", {}, [["dconf", "update"]]),
        ("grub", {}, []),
        ("grub", {"file": "/boot/grub/grub.cfg"}, [["update-grub"]]),
        ("aide", {}, [["aideinit", "-y", "-f"]]),
        ("tmpfiles", {"systemd": True}, []),
    ],
)  # fmt: skip
def test_subsystems_take_their_files_into_use_as_the_host_allows(
    host: Host, put: Put, monkeypatch: pytest.MonkeyPatch, what: str, facts: dict[str, Any], argvs: list[list[str]]
) -> None:
    monkeypatch.setattr(Host, "systemd", facts.get("systemd", False))
    host._cache.update(
        {"container": False} | {key: value for key, value in facts.items() if key in ("packages", "container")}
    )
    if "file" in facts:
        put(facts["file"], "")
    assert [one.argv for one in activation.commands(host, what)] == argvs


def test_long_work_waits_until_access_is_proved(host: Host, put: Put, programs: Any) -> None:
    put("/etc/sudoers", "Defaults:ops !authenticate\n")
    sudo, aide = control("S", {"type": "sudoers", "absent": "!authenticate"}), control("A", {"type": "aide"})
    outcome = carry_out(host, sudo, aide, mode="enforce")
    assert (outcome["unproved"], outcome["postponed"]) == (["sudo"], ["aide"])
    assert not any(call[0] == "aideinit" for call in programs.calls)


def test_program_that_refuses_its_new_files_is_told(host: Host, put: Put, programs: Any) -> None:
    put("/boot/grub/grub.cfg", "")
    put("/etc/default/grub", "")
    programs.answers["update-grub"] = (1, "cannot find a device for /\n")
    outcome = carry_out(host, control("G", {"type": "boot_argument", "argument": "audit=1"}), mode="enforce")
    assert outcome["problems"] == ["update-grub failed (1): cannot find a device for /"]


def test_configuration_that_sshd_refuses_is_undone_at_once(host: Host, root: Path, put: Put, programs: Any) -> None:
    config = put("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nX11Forwarding yes\n")
    programs.answers["sshd -T"] = (0, "x11forwarding yes\n")
    programs.answers["sshd -t"] = (255, "Bad configuration option: X11Forwardingg\n")
    outcome = carry_out(host, control("X", {"type": "sshd", "option": "X11Forwarding", "value": "no"}), mode="enforce")
    assert (
        outcome["problems"][0]
        == "sshd refuses its new configuration, which is undone: Bad configuration option: X11Forwardingg"
    )
    assert outcome["unproved"] == []
    assert config.read_text() == "Include /etc/ssh/sshd_config.d/*.conf\nX11Forwarding yes\n"
    assert not (root / "etc/ssh/sshd_config.d").exists() or list((root / "etc/ssh/sshd_config.d").iterdir()) == []
    # neither the timer nor the next boot has anything left to undo
    assert list(root.glob("var/lib/stackwright/hardening/*/unproved")) == []


def test_configuration_that_changes_what_no_control_asked_for_is_undone(
    host: Host, root: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "Match User backup\nPermitTTY no\nMatch all\nX11Forwarding yes\n"
    config = put("/etc/ssh/sshd_config", text)

    def run(argv: list[str]) -> tuple[int, str]:
        written = config.read_text("utf-8") != text
        changed = "yes" if written and "-C" in argv else "no"
        return 0, f"x11forwarding {'no' if written else 'yes'}\npasswordauthentication {changed}\n"

    host.run = run
    outcome = carry_out(host, control("X", {"type": "sshd", "option": "X11Forwarding", "value": "no"}), mode="enforce")
    told = outcome["problems"][0]
    assert "no control asked for: passwordauthentication no becomes yes for user=backup" in told
    assert config.read_text("utf-8") == text


def test_commands_that_fail_are_told_with_their_last_words(host: Host, put: Put, programs: Any) -> None:
    put("/var/lib/dpkg/status", "Package: ufw\nStatus: install ok installed\nVersion: 1\n\n")
    put("/etc/ufw/ufw.conf", "ENABLED=no\n")
    programs.answers["ufw --force enable"] = (1, "ERROR: problem running ufw-init\n")
    outcome = carry_out(host, control("F", {"type": "firewall", "check": "enabled"}), mode="enforce")
    assert outcome["problems"] == [
        "ufw --force enable failed (1): ERROR: problem running ufw-init",
        "The changes of group firewall are undone, since they could not be taken into use.",
    ]
    assert outcome["unproved"] == []


# ---------------------------------------------------------------- the way back when the control node is gone


def run_of(directory: Path, changed: Path) -> journal.Journal:
    """A run of this very machine that changed a file of the test's and has not proved it."""
    one = journal.Journal("20260101T000000000000Z", base=str(directory))
    one.begin({"time": "t", "profile": "stig"}, Path(str(journal.__file__)).read_bytes())
    one.add([{"kind": "file", "group": "sudo", "path": str(changed), "before": one.before(str(changed))}])
    changed.write_text("changed\n")
    Path(f"{one.directory}/unproved").write_text("sudo")
    return one


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A directory in which this machine keeps its journals and its units, with nothing else of it touched."""
    monkeypatch.setattr(journal, "UNIT_DIRECTORY", str(tmp_path / "systemd"))
    return tmp_path


def test_timer_of_its_own_undoes_what_was_not_proved(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without systemd: a process that outlives the one which started it, and runs the copy of the journal's program."""
    monkeypatch.setattr(Host, "systemd", False)
    changed = here / "sudoers"
    changed.write_text("before\n")
    one = run_of(here, changed)
    guard.arm(one, ["sudo"], 0, journal.run_tool, systemd=False)
    told = Path(f"{one.directory}/undone-by-timer")
    deadline = time.monotonic() + 30
    while not (told.exists() and told.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert changed.read_text() == "before\n"
    assert told.read_text().splitlines()[1:] == ["sudo"]


def test_timer_is_systemds_where_it_runs(here: Path, monkeypatch: pytest.MonkeyPatch, programs: Any) -> None:
    monkeypatch.setattr(Host, "systemd", True)
    one = run_of(here, here / "file")
    guard.arm(one, ["sudo"], 180, programs, systemd=True)
    unit = f"stackwright-undo-{one.run_id}"
    assert programs.calls[0] == ["systemctl", "stop", f"{unit}.timer"]
    assert {"--on-active=180", f"--unit={unit}", f"{one.directory}/undo.py"} <= set(programs.calls[1])
    programs.answers["systemd-run"] = (1, "Failed to start transient timer unit: Access denied\n")
    with pytest.raises(
        guard.GuardError, match=r"timer that guards the access to this host could not be started: .*Access denied"
    ):
        guard.arm(one, ["sudo"], 180, programs, systemd=True)


@pytest.mark.parametrize("arguments", [[], ["sudo"]])
def test_program_of_the_timer_undoes_the_groups_and_says_so(
    here: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    changed = here / "sudoers"
    changed.write_text("before\n")
    one = run_of(here, changed)
    journal.guard_boot(one)
    monkeypatch.setattr(journal, "__file__", f"{one.directory}/undo.py")
    assert journal.main(arguments) == 0
    assert changed.read_text() == "before\n"
    assert Path(f"{one.directory}/undone-by-timer").read_text().splitlines()[1] == "sudo"
    assert list((here / "systemd").rglob("*.service")) == [] and not Path(f"{one.directory}/unproved").exists()
    # what was proved in the meantime, or is undone already, is left alone
    changed.write_text("later\n")
    assert journal.main(arguments) == 0
    assert changed.read_text() == "later\n"


def test_program_of_the_timer_tells_what_it_could_not_undo(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = here / "sudoers"
    changed.write_text("before\n")
    one = run_of(here, changed)
    (blob,) = Path(f"{one.directory}/blobs").iterdir()
    blob.unlink()
    monkeypatch.setattr(journal, "__file__", f"{one.directory}/undo.py")
    assert journal.main([]) == 1
    assert f"{changed}: No such file or directory" in capsys.readouterr().err
    assert f"{changed}: No such file or directory" in Path(f"{one.directory}/undone-by-timer").read_text()


def test_copy_of_the_program_runs_by_itself(here: Path) -> None:
    changed = here / "sudoers"
    changed.write_text("before\n")
    one = run_of(here, changed)
    done = subprocess.run(
        ["/usr/bin/python3", "-I", f"{one.directory}/undo.py"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert changed.read_text() == "before\n"


def test_groups_are_undone_one_by_one_and_the_last_one_ends_the_guard(host: Host, root: Path, programs: Any) -> None:
    one = journal.Journal("20260101T000000000000Z", str(root))
    one.begin({"time": "t", "profile": "stig"})
    for group in ("sudo", "pam"):
        host.group = group
        host.write(f"/etc/{group}", "new\n")
    host.commit(one)
    marker = Path(f"{one.directory}/unproved")
    marker.write_text("pam sudo")
    journal.guard_boot(one)
    request = {"mode": "undo", "run_id": one.run_id, "controls": []}
    assert engine.carry_out({**request, "groups": ["sudo"]}, Host(str(root), run=programs))["problems"] == []
    assert marker.read_text() == "pam"
    assert (root / "etc/pam").exists() and not (root / "etc/sudo").exists()
    engine.carry_out({**request, "groups": ["pam"]}, Host(str(root), run=programs))
    assert not marker.exists() and not (root / "etc/pam").exists()
    assert list((root / "etc/systemd/system").rglob("stackwright-undo-*")) == []


def test_confirmation_stops_the_timer(here: Path, monkeypatch: pytest.MonkeyPatch, programs: Any, root: Path) -> None:
    monkeypatch.setattr(Host, "systemd", True)
    monkeypatch.setattr(journal.Journal, "__init__", _below(here))
    one = run_of(here, here / "file")
    guard.taken(one, ["sudo"])
    assert engine.confirm(Host(run=programs), one.run_id) == []
    assert programs.calls == [["systemctl", "stop", f"stackwright-undo-{one.run_id}.timer"]]
    assert not Path(f"{one.directory}/unproved").exists()


def test_what_was_written_but_not_taken_into_use_is_undone_and_never_confirmed(here: Path, programs: Any) -> None:
    changed, other = here / "sudoers", here / "pam"
    changed.write_text("before\n")
    other.write_text("before\n")
    one = run_of(here, changed)
    one.add([{"kind": "file", "group": "pam", "path": str(other), "before": one.before(str(other))}])
    other.write_text("changed\n")
    guard.arm(one, ["pam", "sudo"], 180, programs, systemd=True)
    guard.taken(one, ["pam"])
    told = guard.confirm(one, programs, systemd=True)
    assert told == ["The changes of group sudo were not in force when the login was proved, so they are undone."]
    assert (changed.read_text(), other.read_text()) == ("before\n", "changed\n")
    assert guard.unproved(one) == [] and list((here / "systemd").rglob("*.service")) == []


def _below(directory: Path) -> Callable[..., None]:
    def begin(self: journal.Journal, run_id: str, root: str = "/", base: str = "") -> None:
        self.run_id, self.root, self.directory = run_id, "", f"{directory}/{run_id}"

    return begin


def test_rollback_goes_back_over_every_later_run_and_no_further(root: Path, programs: Any) -> None:
    defs = root / "etc/login.defs"
    texts, runs = [defs.read_text()], []
    for value in ("077", "027", "007"):
        runs.append(
            carry_out(Host(str(root), run=programs), control("A", {**UMASK, "value": value}), mode="enforce")[
                "document"
            ]["run_id"]
        )
        texts.append(defs.read_text())
    rollback = {"mode": "rollback", "controls": []}
    foretold = engine.carry_out({**rollback, "run_id": runs[1], "check_mode": True}, Host(str(root), run=programs))
    assert foretold["rolled_back"] == [runs[2], runs[1]] and defs.read_text() == texts[3]
    done = engine.carry_out({**rollback, "run_id": runs[1]}, Host(str(root), run=programs))
    assert done["rolled_back"] == [runs[2], runs[1]]
    assert defs.read_text() == texts[1]
    assert engine.carry_out(rollback, Host(str(root), run=programs))["rolled_back"] == [runs[0]]
    assert engine.carry_out(rollback, Host(str(root), run=programs))["changed"] is False
    with pytest.raises(
        resource.EngineError,
        match=f"no run {runs[0]} to roll back on this host: nothing was enforced or all is rolled back",
    ):
        engine.carry_out({**rollback, "run_id": runs[0]}, Host(str(root), run=programs))


# ---------------------------------------------------------------- drift and state


def test_drift_is_told_for_everything_that_was_enforced(host: Host, root: Path, put: Put, programs: Any) -> None:
    (root / "etc/sysctl.d").mkdir()
    for name in ("group", "passwd"):
        (root / "etc" / name).chmod(0o644)
    content = [{"type": "content", "file": f"/etc/{name}", "text": "x\n"} for name in ("gone", "link", "edited")]
    sysctl = {"type": "sysctl", "key": "kernel.x", "value": "1"}
    controls = [control("A", *content, sysctl), control("B", UMASK)]
    carry_out(host, *controls, mode="enforce")
    audit = carry_out(Host(str(root), run=programs), *controls)
    assert audit["document"]["drift"] == []
    (root / "etc/gone").unlink()
    (root / "etc/link").unlink()
    (root / "etc/link").symlink_to("edited")
    (root / "etc/edited").write_text("y\n")
    (root / "etc/edited").chmod(0o600)
    put("/etc/sysctl.d/10-new.conf", "")
    put("/var/lib/dpkg/status", "Package: base-files\nStatus: install ok installed\nVersion: 1\n\n")
    audit = carry_out(Host(str(root), run=programs), *controls)
    assert {one["path"]: one["what"] for one in audit["document"]["drift"]} == {
        "/etc/edited": "mode 0644 became 0600, content changed",
        "/etc/gone": "removed",
        "/etc/link": "was a file, is a link now",
        "/etc/sysctl.d/10-new.conf": "created",
        "package openssh-server": "removed",
    }


@pytest.mark.parametrize(
    ("was", "fresh", "told"),
    [
        ("link to /a", "link to /b", "points to /b instead of /a"),
        ("file 0644 0:0 a", "file 0644 0:42 a", "owner 0:0 became 0:42"),
        ("directory 0755 0:0", "directory 0700 0:0", "mode 0755 became 0700"),
        ("absent", "file 0644 0:0 a", "created"),
    ],
)
def test_changes_are_told_in_words(was: str, fresh: str, told: str) -> None:
    assert drift.describe_change(was, fresh) == told


def test_baseline_that_cannot_be_read_tells_of_no_drift(host: Host, root: Path, put: Put, programs: Any) -> None:
    put(drift.BASELINE, '{"time": ')
    assert carry_out(host, control("B", UMASK))["document"]["drift"] == []


def kexinit(ciphers: str, macs: str) -> bytes:
    """What an sshd says first: its version, and the algorithms it offers (RFC 4253, 7.1)."""
    lists = [one.encode() for one in ("kex", "key", ciphers, ciphers, macs, macs, "none", "none", "", "")]
    body = bytes([0, 20]) + bytes(16) + b"".join(len(one).to_bytes(4, "big") + one for one in lists)
    return b"SSH-2.0-OpenSSH_10.0\r\n" + len(body).to_bytes(4, "big") + body


@contextlib.contextmanager
def listening(*parts: bytes) -> Iterator[int]:
    """A server that sends these parts one after the other to everybody who connects, and closes; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    link, _ = server.accept()
                    with link:
                        # what is unread when a connection closes resets it
                        link.recv(100)
                        for part in parts:
                            link.sendall(part)
                            time.sleep(0.01)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def sshd(port: int, host: Host, programs: Any, address: str = "0.0.0.0", ciphers: str = "aes256-ctr,aes128-ctr") -> Any:
    programs.answers["sshd -T"] = (0, f"port 22\nlistenaddress {address}:{port}\nciphers {ciphers}\nmacs hmac-a\n")
    host.forget()
    return state.sshd_answers(host)


def test_sshd_must_offer_what_it_is_configured_for(host: Host, programs: Any) -> None:
    said = kexinit("aes256-ctr,aes128-ctr", "hmac-a")
    with listening(said[:15], said[15:40], said[40:]) as port:
        assert sshd(port, host, programs).ok
        # it runs with the configuration from before
        state = sshd(port, host, programs, ciphers="aes256-ctr")
        assert not state.ok
        assert state.detail == "it offers ciphers aes256-ctr,aes128-ctr instead of aes256-ctr"
        assert sshd(port, host, programs, address="[::]").ok
        assert sshd(port, host, programs, address="127.0.0.1").ok
    state = sshd(port, host, programs)
    assert not state.ok and state.detail == f"port {port} of 127.0.0.1: Connection refused"


@pytest.mark.parametrize(
    "said", [b"", b"Exceeded MaxStartups\r\n", b"SSH-2.0-x\r\n\x00\x00\x00\x0c\x0a\x15" + bytes(10)]
)
def test_sshd_that_offers_no_key_exchange_does_not_answer(host: Host, programs: Any, said: bytes) -> None:
    with listening(said) as port:
        state = sshd(port, host, programs)
    assert (state.ok, state.detail) == (False, "no key exchange offered")


def test_sshd_that_refuses_its_configuration_does_not_answer(host: Host, programs: Any) -> None:
    programs.answers["sshd -T"] = (255, "Bad configuration option: x\n")
    answers = state.sshd_answers(host)
    assert not answers.ok and "Bad configuration option: x" in answers.detail


def test_state_tells_of_units_that_do_not_run_and_of_runs_that_the_timer_undid(
    here: Path, host: Host, programs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = {
        "auditd.service": UnitState("enabled", True),
        "chrony.service": UnitState("enabled", False),
        "ssh.service": UnitState("enabled", True),
    }
    monkeypatch.setattr(Host, "unit", lambda self, name: states[name])
    monkeypatch.setattr(journal, "BASE", str(here))
    monkeypatch.setattr(journal, "runs", lambda: ["r1", "r2"])
    monkeypatch.setattr(state, "sshd_answers", lambda host: findings.State("sshd answers", True, ""))
    for name in ("r1", "r2"):
        (here / name).mkdir()
        (here / name / "undone-by-timer").write_text("2026-01-01T00:00:00Z\nsshd pam\n")
    (here / "r1/seen").touch()
    host.root = ""
    host._cache.update(container=False, packages={"openssh-server": "1"})
    controls = [
        judge.Control(
            control(name, {"type": "unit", "name": f"{name}.service", "active": True}),
            findings.Finding(name, name, "low", status=status),
        )
        for name, status in (("auditd", "pass"), ("chrony", "not_testable"), ("rsyslog", "fail"))
    ]
    assert [(one.what, one.ok, one.detail) for one in state.resulting_state(host, controls)] == [
        ("auditd.service runs", True, ""),
        ("chrony.service runs", False, "it does not run"),
        ("sshd answers", True, ""),
        (
            "access changes of run r2 hold",
            False,
            "the timer undid sshd pam at 2026-01-01T00:00:00Z, since no fresh login was proved",
        ),
    ]


def test_host_without_a_release_file_is_refused(host: Host, root: Path) -> None:
    os.unlink(root / "etc/os-release")
    with pytest.raises(resource.EngineError, match="This is an unknown system; the catalogue is made for Debian"):
        carry_out(host)
