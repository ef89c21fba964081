"""Audit, enforcement and rollback of one host, in one process.

The request is the catalogue as the control node resolved it: controls with their parameters filled in, waivers, and the mode.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import socket
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import (
    access,
    apt,
    files,
    findings,
    guard,
    listeners,
    services,
    system,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import journal as journals
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import ACTIVATIONS, Host, HostError, show
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.resource import Check, Resource

TYPES: dict[str, Resource] = {**files.TYPES, **access.TYPES, **system.TYPES, **services.TYPES}
BASELINE = f"{journals.BASE}/enforced.json"
PASSES = 3
LONG = ("aide",)
RELOAD = ["systemctl", "daemon-reload"]
# What changes by itself and is no drift.
MOVING = ("/proc/", "/sys/", "/var/log/", "/run/", "/var/lib/dpkg/", "/var/cache/")
# What a package transaction may change besides the packages' own files.
TREE = (
    "/etc",
    "/usr",
    "/var/lib",
    "/var/log",
    "/var/spool",
    "/var/cache",
    "/opt",
    "/root",
    "/home",
    "/srv",
    "/boot",
    "/run/log",
)
TREE_SKIPPED = {"/var/lib/stackwright", "/var/cache/apt", "/var/lib/apt/lists", *files.SKIPPED}
KEPT = (
    "/etc/",
    "/var/lib/apt/extended_states",
    "/var/lib/dpkg/",
    "/var/lib/pam/",
    "/var/lib/systemd/",
    "/var/lib/ucf/",
    "/var/cache/debconf/",
    "/var/cache/ldconfig/",
)


class EngineError(Exception):
    """The request cannot be carried out at all; the text says what to do."""


@dataclass
class Control:
    """One control of the request, with its finding and what happened to it."""

    data: dict[str, Any]
    finding: findings.Finding
    fixable: bool = True
    problems: list[str] = field(default_factory=list)

    @property
    def resources(self) -> list[dict[str, Any]]:
        """The typed resources that the control consists of."""
        return list(self.data.get("resources", []))


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_run_id() -> str:
    """An id that sorts by time."""
    return datetime.datetime.now(tz=datetime.UTC).strftime("%Y%m%dT%H%M%S%fZ")


@dataclass
class Engine:
    """Carries out one request on one host."""

    host: Host
    request: dict[str, Any]
    controls: list[Control] = field(default_factory=list)
    journal: journals.Journal | None = None
    run_id: str | None = None
    changes: list[dict[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    armed: set[str] = field(default_factory=set)
    postponed: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    unwritable: dict[str, str] = field(default_factory=dict)
    changed: bool = False

    def __post_init__(self) -> None:
        for data in self.request.get("controls", []):
            waiver = data.get("waiver")
            one = findings.Finding(
                data["id"], data["rule"], data["severity"], rules=list(data.get("rules", [data["rule"]])),
                waiver=findings.Waiver(**waiver) if waiver else None,
            )  # fmt: skip
            self.controls.append(Control(data, one))

    # ------------------------------------------------------------ audit

    def prepare(self) -> None:
        """Announce what will be asked for, so that one walk and one call of systemctl answer for all controls."""
        specs = [spec for one in self.controls for spec in one.resources]
        files.register(self.host, [spec for spec in specs if spec["type"] == "permissions"])
        if any(spec["type"] == "audit_privileged" for spec in specs):
            files.register(self.host, [services.PRIVILEGED])
        units = {spec["name"] for spec in specs if spec["type"] == "unit"}
        self.host.expect_units(
            sorted(units | {"ssh.service", "ssh.socket", "auditd.service", "chrony.service", "rsyslog.service"})
        )

    def applicable(self, control: Control) -> str:
        """Why a control does not apply to this host; empty when it does."""
        condition = control.data.get("when", {})
        names = condition.get("package", [])
        if names and not any(one in self.host.packages for one in names):
            return f"none of {', '.join(names)} is installed"
        for path in condition.get("file", []):
            if not self.host.exists(path):
                return f"{path} does not exist"
        return ""

    def judge(self, control: Control) -> None:
        """Check one control and set its finding's status and evidence."""
        finding, data = control.finding, control.data
        finding.evidence, finding.detail = [], ""
        waiver = data.get("waiver")
        finding.waiver = findings.Waiver(**waiver) if waiver else None
        if data.get("status") in ("manual", "not_applicable"):
            finding.status, finding.detail = data["status"], data.get("reason", "")
            control.fixable = False
            return
        if reason := self.applicable(control):
            finding.status, finding.detail = "not_applicable", f"{reason[0].upper()}{reason[1:]}."
            control.fixable = False
            return
        control.fixable = True
        checks: list[Check] = []
        try:
            for spec in control.resources:
                checks.append(TYPES[spec["type"]].check(self.host, spec))
        except HostError as error:
            finding.status, finding.detail = "error", str(error)
            finding.evidence = [one for check in checks for one in check.evidence if not check.ok]
        except (OSError, ValueError, KeyError, IndexError) as error:
            finding.status, finding.detail = "error", f"The check itself failed: {type(error).__name__}: {error}"
        else:
            self._conclude(control, checks)
        if finding.status == "fail" and control.problems:
            finding.detail = control.problems[-1]
        if finding.status in ("fail", "error") and finding.waiver is not None:
            finding.status = "waived"

    def _conclude(self, control: Control, checks: list[Check]) -> None:
        finding = control.finding
        failed = [one for one in checks if not one.ok]
        finding.evidence = [evidence for one in (failed or checks) for evidence in one.evidence]
        notes = [one.note for one in (failed or checks) if one.note]
        if checks and not any(one.applicable for one in checks):
            finding.status, finding.detail = (
                "not_applicable",
                f"{finding.evidence[0].found[0].upper()}{finding.evidence[0].found[1:]}.",
            )
            control.fixable = False
        elif failed and all(not one.testable and _name(spec) in WITHOUT_DISK for one, spec in _pairs(checks, control)):
            finding.status, finding.detail = "not_testable", "Not testable here: " + "; ".join(dict.fromkeys(notes))
            control.fixable = False
        elif failed:
            finding.status = "fail"
        elif any(not one.testable for one in checks):
            finding.status, finding.detail = "not_testable", "Not testable here: " + "; ".join(dict.fromkeys(notes))
        else:
            finding.status = "pass"
            if notes and finding.waiver is None:
                finding.status, finding.detail = "waived", "; ".join(notes)
                finding.waiver = findings.Waiver(notes[0], "stackwright", "")

    def audit(self) -> None:
        """Judge every control."""
        self.prepare()
        for control in self.controls:
            self.judge(control)

    # ------------------------------------------------------------ enforce

    def enforce(self, check_mode: bool) -> None:
        """Audit, then plan, journal and make the changes for what fails, until nothing more can be changed."""
        self.audit()
        if not self._failing():
            return
        if os.geteuid() != 0 and not self.host.root:
            raise EngineError("Hardening needs root on the host: give become, or log in as root.")
        self._packages(check_mode)
        failed = self._failed_units() if not check_mode else set[str]()
        made = False
        for _ in range(PASSES):
            if made:
                self._audit_again()
            self._plan()
            self.problems += [one for one in self._cut_off() if one not in self.problems]
            if check_mode:
                self.changes += self.host.diff()
                self.changed = bool(self.changes)
                return
            self.host.failures = []
            made = self._make()
            failed_now = bool(self.host.failures)  # the next plan leaves these paths out, and says so in their findings
            if self.host.full or not (made or failed_now):
                break
        if made or self.unwritable:
            self._audit_again()
        if self.journal is not None:
            self.problems += [
                f"{one} failed since the run began: systemctl status {one} says why."
                for one in sorted(self._failed_units() - failed)
            ]
            self._give_time_for_the_proof()
            if self.host.full:  # the reserve stays for the rollback, and what closes the run may not fit
                with contextlib.suppress(OSError):
                    self.journal.close(sorted(self.armed))
                return
            self.journal.release_reserve()
            self.journal.close(sorted(self.armed))

    def _failed_units(self) -> set[str]:
        """The units that systemd counts as failed."""
        if not self.host.systemd or self.host.root:
            return set()
        _, output = self.host.run(["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"])
        return {one.split()[0] for one in output.splitlines() if one.strip()}

    def _cut_off(self) -> list[str]:
        """What listens by now and will not be reached any more when the planned packet filter is switched on."""
        if not any(one["group"] == "firewall" for one in self.host.commands):
            return []
        specs = [one for control in self.controls for one in control.resources if one["type"] == "firewall"]
        allowed = {str(one) for spec in specs for one in spec.get("allow", [])}
        if not any(spec["check"] == "ports" for spec in specs):
            return []
        ssh = {f"{one}/tcp" for one in listeners.ports(self.host)}
        names = listeners.served(self.host)
        cut = [
            f"{port} ({who})" for port, who in names.items()
            if port not in allowed | ssh and port.partition("/")[0] not in allowed
        ]  # fmt: skip
        if not cut:
            return []
        forwards = self.host.sysctl("net.ipv4.ip_forward") == "1"
        return [
            f"ufw refuses connections from outside to what listens here on {', '.join(cut)}: name in hardening parameter "
            f"firewall_allow what is to be reached.{' Packets that this host forwards are dropped, too.' if forwards else ''}"
        ]

    def _give_time_for_the_proof(self) -> None:
        """Start the timer anew: the run took part of its time. Where it was quicker, its groups are undone already."""
        if not self.armed or self.host.full:
            return
        if guard.unproved(self._begin()):
            self._arm()
            return
        self.problems.append(
            f"The run took longer than the {self.request.get('undo_after', 180)} s after which access changes are undone, so "
            f"the timer on the host undid {', '.join(sorted(self.armed))}. Give hardening_undo_after more seconds."
        )
        self.armed.clear()
        self._audit_again()

    def _audit_again(self) -> None:
        self.host.forget()
        self.audit()

    def _failing(self) -> list[Control]:
        only = self.request.get("groups")
        return [
            one
            for one in self.controls
            if one.fixable
            and one.finding.status in ("fail", "error")
            and not (only is not None and not ({group_of(spec) for spec in one.resources} & {*only, "files"}))
        ]

    def _begin(self) -> journals.Journal:
        if self.journal is None:
            self.run_id = str(self.request.get("run_id") or new_run_id())
            head = {"time": now(), "profile": self.request.get("profile", "")}
            self.journal = guard.begin(journals.BASE, self.run_id, head, self.host.root or "/")
        return self.journal

    def _plan(self) -> None:
        only = self.request.get("groups")
        for control in self._failing():
            before = self.host.mutations
            planned = set(self.host.overlay)
            control.problems = []
            for spec in control.resources:
                resource = TYPES[spec["type"]]
                if (
                    spec["type"] == "package"
                    or resource.fix is None
                    or (only is not None and group_of(spec) not in {*only, "files"})
                ):
                    continue
                self.host.group = group_of(spec)
                if self.host.group in self.refused:  # it is undone, and would be refused again
                    control.problems.append(self.refused[self.host.group])
                    continue
                try:
                    if not self._holds(resource, spec):
                        resource.fix(self.host, spec)
                except HostError as error:
                    control.problems.append(str(error))
                except (OSError, ValueError, KeyError, IndexError) as error:
                    control.problems.append(f"The remedy itself failed: {type(error).__name__}: {error}")
            self.host.group = "files"
            for path in sorted((set(self.host.overlay) - planned) & set(self.unwritable)):  # it would fail again
                del self.host.overlay[path]
                control.problems.append(self.unwritable[path])
            if self.host.mutations > before or any(self.host.activations):
                control.finding.changed = control.finding.changed or self.host.mutations > before
            if control.problems and not control.finding.detail:  # in check mode nothing is judged again
                control.finding.detail = control.problems[-1]

    def _holds(self, resource: Resource, spec: dict[str, Any]) -> bool:
        """Whether a resource is right. What cannot be checked is not: its remedy may mend the reason, or says it."""
        try:
            return resource.check(self.host, spec).ok
        except HostError:
            return False

    def _make(self) -> bool:
        """Carry the plan out. Returns whether anything was changed."""
        host = self.host
        self._refuse_sudoers()
        groups = host.groups()
        if not groups and not host.activations:
            return False
        entries = self._begin()
        access = groups & set(journals.ACCESS_GROUPS)
        if access - self.armed:
            access = self._guarded(access)
        self.changes += host.diff()
        commands, host.commands = host.commands, []
        activations, host.activations = host.activations, {}
        planned = {path: pending.group for path, pending in host.overlay.items()}
        touched = len(host.overlay) + len(host.sysctls_wanted) + len(host.units_wanted) + len(commands)
        self.problems += [*reclaim(host), *host.commit(entries)]
        made = touched > len(host.failures) or (bool(activations) and not host.failures)
        self.changed = self.changed or made
        self.unwritable |= {one.path: one.reason for one in host.failures}
        if "sshd" in access:
            activations.setdefault("sshd", "sshd")
        if host.full:
            # What was written in part is taken back, and what was written is taken into use: nothing waits for a later restart.
            failed_paths = {one.path for one in host.failures}
            partly = access & {one.group for one in host.failures}
            written = {group for path, group in planned.items() if path not in failed_paths}
            self._undo_now(partly & written, "there was no room for all of them")
            self.armed -= partly
            with contextlib.suppress(OSError):  # what is guarded already stays so
                self._arm()
            commands, activations = [], {key: one for key, one in activations.items() if key == "sshd"}
        failed = self._run_commands(commands)
        self._activate(activations)
        self._undo_now(failed & access, "they could not be taken into use")
        with contextlib.suppress(OSError):  # no room even for that: they are undone instead of confirmed
            guard.taken(entries, access & self.armed)
        host.forget()
        return made

    def _guarded(self, access: set[str]) -> set[str]:
        """Have the access groups of the plan guarded. Where no guard can be set up, they are taken out of the plan.

        :returns: the groups that are guarded.
        """
        before = set(self.armed)
        self.armed |= access
        try:
            self._arm()
        except OSError as error:
            host, self.armed = self.host, before
            reason = f"nothing could guard the change: {error.filename or 'the journal'}: {error.strerror}"
            left_out = access - before
            for path, pending in list(host.overlay.items()):
                if pending.group in left_out:
                    self.unwritable[path] = f"{show(path)} was not changed, since {reason}"
                    del host.overlay[path]
            host.units_wanted = {key: one for key, one in host.units_wanted.items() if one["group"] not in left_out}
            host.commands = [one for one in host.commands if one["group"] not in left_out]
            self.refused |= dict.fromkeys(left_out, f"It was not changed, since {reason}.")
            self.problems.append(f"Changes of group {', '.join(sorted(left_out))} were not made, since {reason}.")
            with contextlib.suppress(OSError):
                self._arm()
            return access & before
        return access

    def _undo_now(self, groups: set[str], reason: str) -> None:
        """Undo access groups that are not in force as a whole: a login would prove nothing of them."""
        groups = groups & self.armed
        if not groups:
            return
        names = ", ".join(sorted(groups))
        self.problems.append(f"The changes of group {names} are undone, since {reason}.")
        self.problems += self._begin().undo(sorted(groups), self.host.run)
        self.refused |= dict.fromkeys(groups, f"Its changes were undone, since {reason}.")
        self.armed -= groups
        with contextlib.suppress(OSError):  # a disk without room: what is guarded already stays so
            self._arm()

    def _refuse_sudoers(self) -> None:
        """Take planned rules of sudo that visudo does not accept out of the plan: a single wrong line stops sudo for all."""
        host = self.host
        for path in sorted(access.sudo_files(host)):
            pending = host.overlay.get(path)
            if pending is None or pending.content is None:
                continue
            with tempfile.NamedTemporaryFile() as candidate:
                candidate.write(pending.content)
                candidate.flush()
                code, output = host.run(["visudo", "-c", "-q", "-f", candidate.name])
            if code:
                del host.overlay[path]
                reason = output.strip().replace(candidate.name, path)[-300:]
                self.problems.append(f"visudo refuses the new {path}, which stays as it was: {reason}")

    def _run_commands(self, commands: list[dict[str, Any]]) -> set[str]:
        """Run planned commands. Returns the groups of those that failed."""
        entries = self._begin()
        failed: set[str] = set()
        for one in commands:
            before = [
                {"kind": "file", "group": one["group"], "path": path, "before": entries.before(path)}
                for pattern in one["guards"]
                for path in self.host.glob(pattern)
                if (self.host.stat(path) or journal_absent()).kind == "file"
            ]
            undo = [{"kind": "before-undo", "group": one["group"], "argv": one["undo"]}] if one["undo"] else []
            again = [{"kind": "after-undo", "group": one["group"], "argv": one["reload"]}] if one["reload"] else []
            entries.add([*before, *undo, *again])
            code, output = self.host.run(one["argv"])
            entries.seal(before)
            if code:
                failed.add(one["group"])
                self.problems.append(f"{' '.join(one['argv'])} failed ({code}): {output.strip()[-300:]}")
            self.host.forget()
        return failed

    def _activate(self, activations: dict[str, str]) -> None:
        entries = self._begin()
        for what in sorted(activations, key=lambda one: ACTIVATIONS.index(one) if one in ACTIVATIONS else 99):
            group = activations[what]
            if what in LONG and self.armed:
                self.postponed.add(what)  # it would outlast the timer that guards the access changes
                continue
            if what == "sshd":
                self._activate_sshd(entries)
                continue
            for argv, guards, undo in activation_commands(self.host, what):
                before = [
                    {"kind": "file", "group": group, "path": path, "before": entries.before(path)}
                    for pattern in guards
                    for path in ([pattern] if "*" not in pattern else self.host.glob(pattern))
                ]
                after = [{"kind": "after-undo", "group": group, "argv": argv}] if undo else []
                entries.add([*before, *after])
                if argv == RELOAD:
                    self.problems += journals.reload_units(self.host.run, self.host.root)
                    continue
                code, output = self.host.run(argv)
                entries.seal(before)
                if code:
                    self.problems.append(f"{' '.join(argv)} failed ({code}): {output.strip()[-300:]}")

    def _activate_sshd(self, entries: journals.Journal) -> None:
        """Have sshd read its new configuration, and see that it did; what it refuses or does not read is undone at once."""
        code, output = self.host.run(["sshd", "-t"])
        if not code and (surplus := access.unasked(self.host)):
            code, output = 1, f"it would change what no control asked for: {'; '.join(surplus)}"
        if code:
            reason = f"sshd refuses its new configuration, which is undone: {output.strip()[-300:]}"
        else:
            for argv in listeners.again(self.host):
                entries.add([{"kind": "after-undo", "group": "sshd", "argv": argv}])
            reason = listeners.take_into_use(self.host)
        if not reason:
            return
        self.refused["sshd"] = reason
        self.problems += [reason, *entries.undo(["sshd"], self.host.run)]
        self.armed.discard("sshd")
        self._arm()

    # ------------------------------------------------------------ packages

    def _packages(self, check_mode: bool) -> None:
        for control in self._failing():
            specs = [one for one in control.resources if one["type"] == "package"]
            before = self.host.mutations
            for spec in specs:
                system.fix_package(self.host, spec)
            control.finding.changed = control.finding.changed or self.host.mutations > before
        wanted = self.host.packages_wanted
        if not wanted or check_mode:
            return
        present = sorted(name for name, state in wanted.items() if state == "present")
        absent = sorted(f"{name}-" for name, state in wanted.items() if state == "absent")
        if holder := apt.wait_for_lock(self.host.root, int(self.request.get("apt_wait", 120))):
            self.host.packages_wanted = {}
            self.problems.append(
                f"Packages could not be changed, since {holder} holds the lock of dpkg for more than "
                f"{self.request.get('apt_wait', 120)} s: {', '.join([*present, *absent])}. Run again when it is done, or give "
                "hardening_apt_wait more seconds."
            )
            return
        plan = apt.plan(self.host.run, [*present, *absent])
        self.problems += plan.problems
        self.changes += self.host.diff()
        self.host.packages_wanted = {}
        if not plan.names:
            return
        entries = self._begin()
        before_tree = tree(self.host.root)
        kept = [
            {"kind": "file", "group": "packages", "path": path, "before": entries.before(path)}
            for path, facts in before_tree.items()
            if path.startswith(KEPT)
            and not path.startswith("/var/lib/dpkg/info/")
            and facts[0] == "f"
            and facts[4] < 8 << 20
        ]
        installed = journals._installed(self.host.root)
        transaction = {
            "kind": "packages", "group": "packages", "before": installed, "planned": sorted(plan.coming), "removing": sorted(plan.going),
        }  # fmt: skip
        entries.add([transaction])
        entries.write_head({**entries.head(), "packages": sorted(wanted)})
        # Journaled as files so that a crash during the transaction still leads back.
        self._rewrite(entries, [*kept, transaction])
        self.problems += apt.carry_out(self.host.run, plan)
        self.changed = True
        self._after_transaction(entries, transaction, kept, before_tree)
        self._audit_again()

    @staticmethod
    def _rewrite(entries: journals.Journal, lines: list[dict[str, Any]]) -> None:
        """Replace the journal as a whole. It is followed backwards: what comes before the packages is restored after them."""
        text = "".join(json.dumps(one, sort_keys=True) + "\n" for one in lines)
        path = f"{entries.directory}/journal.jsonl"
        journals.write_atomically(path, text.encode(), 0o600, os.geteuid(), os.getegid())

    def _after_transaction(
        self, entries: journals.Journal, transaction: dict[str, Any], kept: list[dict[str, Any]], before: dict[str, tuple[Any, ...]]
    ) -> None:  # fmt: skip
        """Note what the packages changed, and nothing that users and services changed beside them."""
        root = self.host.root
        after = tree(root)
        installed = journals._installed(root)
        was = transaction["before"]
        came = {one.removesuffix(journals.CONFIGURATION) for one in set(installed) - set(was)} & {
            *transaction["planned"]
        }
        transaction |= {
            "came": sorted(came),
            "went": sorted({one for one in set(was) - set(installed) if not one.endswith(journals.CONFIGURATION)} & {*transaction["removing"]}),
            "upgraded": {
                one: [was[one], installed[one]]
                for one in transaction["planned"]
                if one in was and one in installed and was[one] != installed[one]
            },
        }  # fmt: skip
        leaving = journals.Leaving(transaction, root)
        brought = Brought({path for one in came for path in leaving._paths(one, "list")}, after)
        changed = [one for one in kept if after.get(one["path"]) != before[one["path"]]]
        known = {one["path"] for one in kept}
        metadata = [
            {
                "kind": "file", "group": "packages", "path": path,
                "before": {"type": "directory" if facts[0] == "d" else "file", "mode": facts[1], "uid": facts[2], "gid": facts[3],
                           "mtime_ns": facts[5]},
            }
            for path, facts in before.items()
            if path not in known and facts[0] in "fd" and path in after and after[path][:4] != facts[:4] and brought.touches(path)
        ]  # fmt: skip
        fresh = [
            {"kind": "file", "group": "packages", "path": path, "before": {"type": "absent"}}
            for path in sorted(after, key=lambda one: one.count("/"))
            if path not in before and brought.makes(path)
        ]
        transaction["state"] = sorted(
            path
            for path, facts in after.items()
            if facts[0] == "d" and path not in before and os.path.dirname(path) in before and path.startswith(DATA)
            and (path in brought.listed or path in brought.made)
        )  # fmt: skip
        lines = [*changed, *metadata, *fresh]
        for one in lines:
            one["left"] = entries.left(one)["state"]
        self._rewrite(entries, [*lines, transaction])
        entries.forget_blobs()

    # ------------------------------------------------------------ the way back when the control node is gone

    def _arm(self) -> None:
        """Have the access groups undone by a timer unless they are confirmed."""
        seconds = int(self.request.get("undo_after", 180))
        guard.arm(self._begin(), self.armed, seconds, self.host.run, self.host.systemd)

    def resume(self, run_id: str, postponed: list[str]) -> None:
        """Do what had to wait until the access changes of a run were confirmed, and judge its controls anew."""
        if not postponed:
            return
        self.run_id = run_id
        self.journal = journals.Journal(run_id, self.host.root or "/")
        self._activate(dict.fromkeys(postponed, "files"))
        self.changed = True
        self._audit_again()
        self.request = {**self.request, "groups": []}  # nothing of what was just proved is touched again
        self._plan()
        for path, pending in list(self.host.overlay.items()):
            if pending.group in journals.ACCESS_GROUPS:  # no login will be proved any more
                del self.host.overlay[path]
        if self._make():  # what the late programs left behind, such as logs that everybody can read
            self._audit_again()
        self.remember()

    # ------------------------------------------------------------ state and drift

    def state(self) -> list[findings.State]:
        """What should run and answer, and whether it does."""
        return resulting_state(self.host, self.controls)

    def remember(self) -> None:
        """Keep what the enforced files are now, for the drift of later audits."""
        path = self.host.root + BASELINE
        own = {one["path"] for one in self.journal.entries() if one["kind"] == "file"} if self.journal else set()
        old: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            old = json.loads(Path(path).read_bytes())
        if not self.journal and old:
            return
        paths = {
            one
            for one in self.host.read_paths | own | set(old.get("paths", {}))
            if not one.startswith(MOVING)
            and (one in self.host.read_paths or not one.startswith("/var/"))  # data that the packages keep
            and _small(self.host.root + one)
        }
        data = {
            "time": now(),
            "run_id": self.run_id,
            "paths": {one: self.host.fingerprint(one) for one in sorted(paths)},
            "directories": {
                pattern: names for pattern, names in self.host.globbed.items() if pattern.startswith("/etc/")
            },
            "packages": sorted(self.host.packages),
        }
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        journals.write_atomically(path, json.dumps(data).encode(), 0o600, os.geteuid(), os.getegid())

    def drift(self) -> list[findings.Drift]:
        """What is no longer as the last enforcement left it."""
        try:
            data = json.loads(Path(self.host.root + BASELINE).read_bytes())
        except (OSError, ValueError):
            return []
        since = str(data["time"])
        found = []
        for path, was in data["paths"].items():
            fresh = self.host.fingerprint(path)
            if fresh != was:
                found.append(findings.Drift(show(path), describe_change(was, fresh), since))
        for pattern, names in data["directories"].items():
            found += [
                findings.Drift(show(one), "created", since)
                for one in self.host.glob(pattern)
                if one not in names and one not in data["paths"]
            ]
        now_installed = set(self.host.packages)
        found += [
            findings.Drift("package " + one, "removed", since) for one in sorted(set(data["packages"]) - now_installed)
        ]
        return found


def journal_absent() -> Any:
    """Stands for a path that is gone."""
    from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Meta

    return Meta("absent", 0, 0, 0)


# Conditions of the machine that leave nothing on disk to judge; their failure in a container says nothing about it.
WITHOUT_DISK = {"probe encrypted", "probe audit_space"}


def group_of(spec: dict[str, Any]) -> str:
    """The group of changes that a resource belongs to: what is undone together when no login is possible any more."""
    return str(spec.get("group", TYPES[spec["type"]].group)) if spec["type"] == "unit" else TYPES[spec["type"]].group


def _name(spec: dict[str, Any]) -> str:
    return f"probe {spec['name']}" if spec["type"] == "probe" else str(spec["type"])


def _pairs(checks: list[Check], control: Control) -> list[tuple[Check, dict[str, Any]]]:
    return [(one, spec) for one, spec in zip(checks, control.resources, strict=False) if not one.ok]


def _small(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return True
    return not stat.S_ISREG(found.st_mode) or found.st_size < 4 << 20


def describe_change(was: str, fresh: str) -> str:
    """How a fingerprint changed, in words."""
    if fresh == "absent":
        return "removed"
    if was == "absent":
        return "created"
    old, new = was.split(" "), fresh.split(" ")
    if old[0] != new[0]:
        return f"was a {old[0]}, is a {new[0]} now"
    if old[0] == "link":
        return f"points to {new[-1]} instead of {old[-1]}"
    parts = []
    if old[1:2] != new[1:2]:
        parts.append(f"mode {old[1]} became {new[1]}")
    if old[2:3] != new[2:3]:
        parts.append(f"owner {old[2]} became {new[2]}")
    if old[3:] != new[3:]:
        parts.append("content changed")
    return ", ".join(parts)


def tree(root: str) -> dict[str, tuple[Any, ...]]:
    """The directories that packages touch and every path below: kind, mode, owner, group, size and change time."""
    found: dict[str, tuple[Any, ...]] = {}
    stack = [one for one in TREE if os.path.isdir(root + one)]

    def keep(path: str, status: os.stat_result) -> str:
        kind = "d" if stat.S_ISDIR(status.st_mode) else "f" if stat.S_ISREG(status.st_mode) else "l"
        mode = stat.S_IMODE(status.st_mode)
        found[path] = (kind, mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns)
        return kind

    for path in stack:
        keep(path, os.lstat(root + path))
    while stack:
        directory = stack.pop()
        try:
            with os.scandir(root + directory) as entries:
                for entry in entries:
                    path = f"{directory}/{entry.name}"
                    if path not in TREE_SKIPPED and keep(path, entry.stat(follow_symlinks=False)) == "d":
                        stack.append(path)
        except OSError:
            continue
    return found


OF_PACKAGES = (
    "/etc/", "/usr/", "/boot/", "/var/lib/dpkg/", "/var/lib/ucf/", "/var/lib/pam/", "/var/lib/systemd/", "/var/lib/apt/extended_states",
    "/var/cache/debconf/", "/var/cache/ldconfig/",
)  # fmt: skip
DATA = ("/var/lib", "/var/cache", "/var/spool")


class Brought:
    """Tells what maintainer scripts made or changed from what users and services did while packages were installed."""

    def __init__(self, listed: set[str], after: dict[str, tuple[Any, ...]]) -> None:
        self.listed, self.after = listed, after
        self.made: set[str] = set()

    def touches(self, path: str) -> bool:
        """Whether a changed path is one of those that packages change, in directories that only root can change."""
        return (path.startswith(OF_PACKAGES) or path in TREE or path in self.listed) and self._roots(path)

    def makes(self, path: str) -> bool:
        """Whether a new path came with the packages and does not go with them by itself; ask for a directory before what is in it."""
        if path in self.listed and not path.startswith("/etc/"):
            return False  # dpkg removes it
        if path.startswith("/var/lib/dpkg/info/"):
            return False
        above = os.path.dirname(path)
        data = path.startswith(DATA) and (above in DATA or above in self.listed or above in self.made)
        if not (data or (path.startswith(OF_PACKAGES) and self._roots(path))):
            return False
        self.made.add(path)
        return True

    def _roots(self, path: str) -> bool:
        while path != "/":
            path = os.path.dirname(path)
            facts = self.after.get(path)
            if facts is not None and (facts[2] not in (0, os.geteuid()) or facts[1] & 0o002):
                return False
        return True


def activation_commands(host: Host, what: str) -> list[tuple[list[str], list[str], bool]]:
    """How a subsystem takes its files into use: commands, the paths they change, and whether an undo repeats them."""
    reload = (RELOAD, list[str](), False)  # an undo reads the units anew whenever it restores one
    service = {
        "rsyslog": "rsyslog.service",
        "chrony": "chrony.service",
        "sssd": "sssd.service",
        "journald": "systemd-journald.service",
    }
    if what in service:
        return [(["systemctl", "try-restart", service[what]], [], True)] if host.systemd else []
    if what == "audit":
        if "auditd" not in host.packages:
            return []
        argv = ["augenrules"] if host.container else ["augenrules", "--load"]
        return [(argv, ["/etc/audit/audit.rules", "/etc/audit/audit.rules.prev"], False)]
    if what == "aide":
        return [
            (
                ["aideinit", "-y", "-f"],
                [
                    "/var/lib/aide/aide.db",
                    "/var/lib/aide/aide.db.new",
                    "/var/log/aide/aideinit.log",
                    "/var/log/aide/aideinit.errors",
                ],
                False,
            )
        ]
    if what.startswith("restart "):  # a unit whose drop-in is new
        return [reload, (["systemctl", "try-restart", what.split(" ", 1)[1]], [], True)] if host.systemd else []
    if what == "cracklib":
        names = ("cracklib_dict.hwm", "cracklib_dict.pwd", "cracklib_dict.pwi", "src-dicts")
        return [(["update-cracklib"], [f"/var/cache/cracklib/{one}" for one in names], False)]
    if what == "dconf":
        return [(["dconf", "update"], ["/etc/dconf/db/local"], True)]
    if what == "grub" and host.exists("/boot/grub/grub.cfg"):
        return [(["update-grub"], ["/boot/grub/grub.cfg"], False)]
    if what == "systemd":
        return [reload] if host.systemd else []
    if what == "tmpfiles":
        return []
    return []


def confirm(host: Host, run_id: str) -> list[str]:
    """Keep the access changes of a run: the fresh login was proved while they were in force."""
    return guard.confirm(journals.Journal(run_id, host.root or "/"), host.run, host.systemd)


def undo_groups(host: Host, run_id: str, groups: list[str]) -> list[str]:
    """Undo some access groups of a run now; the others stay guarded."""
    return guard.undo(journals.Journal(run_id, host.root or "/"), groups, host.run, host.systemd)


def chosen_runs(host: Host, to: str | None) -> list[str]:
    """The runs that a rollback takes back, newest first.

    :param to: the run's id; the newest one when None.
    :raises EngineError: when there is no such run.
    """
    root = host.root or "/"
    known = [one for one in journals.runs(root) if journals.Journal(one, root).head().get("state") != "rolled back"]
    if not known:
        if to is None:
            return []
        raise EngineError(
            f"There is no run {to} to roll back on this host: nothing was enforced or all is rolled back."
        )
    if to is not None and to not in known:
        raise EngineError(f"There is no run {to} on this host. The runs here, oldest first: {', '.join(known)}.")
    return [one for one in reversed(known) if to is None or one >= to][: 1 if to is None else None]


def rollback(host: Host, to: str | None, check_mode: bool = False) -> tuple[list[str], journals.Outcome]:
    """Take back what runs changed and nobody has changed since: a run and every later one, newest first.

    :param to: the run's id; the newest one when None.
    :param check_mode: only say what would be done.
    :returns: the runs undone, and what came of it.
    :raises EngineError: when there is no such run.
    """
    chosen = chosen_runs(host, to)
    total = journals.Outcome()
    if chosen and not check_mode:
        try:
            total.problems += reclaim(host)
        except HostError as error:  # files can be restored all the same
            total.problems.append(str(error))
    seen: dict[str, dict[str, Any]] = {}
    for run_id in chosen:
        run = journals.Journal(run_id, host.root or "/")
        if check_mode:
            outcome = run.foresee(seen)
        else:
            guard.release(run, host.run, host.systemd)
            outcome = run.follow(None, host.run)
        for mine, more in zip(
            (total.problems, total.kept, total.told), (outcome.problems, outcome.kept, outcome.told), strict=True
        ):
            mine += [one for one in more if one not in mine]
        total.parts += outcome.parts
    if chosen and not check_mode:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(host.root + BASELINE)
        host.forget()
    return chosen, total


def reclaim(host: Host) -> list[str]:
    """Give services back to systemd that run without it, and so can neither be reloaded nor stopped.

    systemd loses a unit that somebody enables while it runs, see :func:`journal.reload_units`, and never knew a process that was
    started by hand. A second sshd cannot start beside such a one, and takes the directory away without which nobody gets in.

    :returns: what is still not so, a sentence each.
    """
    if not host.systemd:
        return []
    lost = {name: [str(one.forgotten)] for name, one in host.units().items() if one.forgotten}
    hidden = "openssh-server" in host.packages and not host.unit("ssh.service").active and not listeners.by_socket(host)
    if hidden and (found := listeners.processes(host)):
        lost["ssh.service"] = [str(one) for one in found]
    if not lost:
        return []
    problems: list[str] = []
    if "ssh.service" in lost:
        os.makedirs(f"{host.root}/run/sshd", mode=0o755, exist_ok=True)
        code, output = host.run(["sshd", "-t"])
        if code:  # better one that systemd does not know of than none
            kept = ", ".join(lost.pop("ssh.service"))
            problems.append(f"sshd runs beside systemd (process {kept}): {output.strip()[-200:]}")
    # systemd aborts when a process ends that it still notes for a unit that it takes for dead; another reload makes it forget.
    problems += journals.reload_units(host.run, host.root)
    for name, processes in lost.items():
        host.run(["kill", *processes])  # of sshd the listeners only: who is logged in stays so
        for one in processes:
            host.run(["timeout", "10", "tail", f"--pid={one}", "-s", "0.1", "-f", "/dev/null"])
        code, output = host.run(["systemctl", "restart", name])
        if code:
            problems.append(f"{name} was lost to systemd and does not start: {output.strip()[-200:]}")
    host.forget()
    return problems


def resulting_state(host: Host, controls: list[Control]) -> list[findings.State]:
    """Facts of the running host: units of the passing controls run, sshd offers what it is configured for, timers are gone."""
    if host.root:
        return []
    try:
        unique = {one.what: one for one in _unit_states(host, controls)}
    except HostError as error:
        what = "the states of units can be told"
        unique = {what: findings.State(what, False, str(error))}
    for run_id in journals.runs():
        directory = Path(f"{journals.BASE}/{run_id}")
        if (directory / "undone-by-timer").exists() and not (directory / "seen").exists():
            lines = (directory / "undone-by-timer").read_text("utf-8").split("\n")
            unique[run_id] = findings.State(
                f"access changes of run {run_id} hold", False,
                f"the timer undid {lines[1]} at {lines[0]}, since no fresh login was proved",
            )  # fmt: skip
    return list(unique.values())


def _unit_states(host: Host, controls: list[Control]) -> list[findings.State]:
    found: list[findings.State] = []
    for control in controls:
        if control.finding.status not in ("pass", "not_testable"):
            continue
        for spec in control.resources:
            if spec["type"] == "unit" and spec.get("active") and not (spec.get("kernel") and host.container):
                name = system._stands_for(host, spec["name"])
                state = host.unit(name)
                found.append(findings.State(f"{name} runs", state.active, "" if state.active else "it does not run"))
    found += [
        findings.State(f"{name} runs", False, f"process {state.forgotten} runs, but systemd has lost it")
        for name, state in host.units().items()
        if state.forgotten
    ]
    if "openssh-server" in host.packages and (host.unit("ssh.service").active or listeners.by_socket(host)):
        found.append(sshd_answers(host))
    return found


def sshd_answers(host: Host) -> findings.State:
    """Ask the running sshd for its algorithms and compare them with its configuration."""
    what = "sshd answers with its configured algorithms"
    try:
        settings = access.effective(host, "sshd")
    except HostError as error:
        return findings.State(what, False, str(error))
    where = listeners.places(host)
    told = [_first_words(name, port) for name, port in where]
    data = next((one for one in told if isinstance(one, bytes)), None)
    if data is None:
        return findings.State(what, False, str(told[0]))
    lists = algorithm_lists(data)
    for at, option in ((3, "ciphers"), (5, "macs")):
        if len(lists) > at and set(lists[at].split(",")) != set(settings.get(option, "").split(",")):
            return findings.State(what, False, f"it offers {option} {lists[at]} instead of {settings.get(option)}")
    return findings.State(what, len(lists) >= 6, "" if len(lists) >= 6 else "no key exchange offered")


def _first_words(name: str, port: int) -> bytes | str:
    """What sshd says first at an address; why it says nothing as text."""
    data = b""
    try:
        with socket.create_connection((name, port), timeout=5) as link:
            link.sendall(b"SSH-2.0-Stackwright_state\r\n")
            while len(data) < 65536:
                part = link.recv(65536)
                if not part:
                    break
                data += part
                at = data.find(b"\n")
                if at >= 0 and len(data) > at + 6:
                    length = int.from_bytes(data[at + 1 : at + 5], "big")
                    if len(data) >= at + 5 + length:
                        break
    except OSError as error:
        return f"port {port} of {name}: {error.strerror or error}"
    return data


def algorithm_lists(data: bytes) -> list[str]:
    """The name lists of an SSH_MSG_KEXINIT (RFC 4253, 7.1) after the version line: kex, host key, ciphers, MACs, ..."""
    start = data.find(b"\n") + 1
    packet = data[start:]
    if len(packet) < 22 or packet[5] != 20:
        return []
    found, at = [], 22
    for _ in range(10):
        length = int.from_bytes(packet[at : at + 4], "big")
        found.append(packet[at + 4 : at + 4 + length].decode("ascii", "replace"))
        at += 4 + length
    return found


def carry_out(request: dict[str, Any], host: Host | None = None) -> dict[str, Any]:
    """Carry out a request and return the findings document with `changed`, `diff` and `problems` beside it.

    :param request: ``mode`` (audit, enforce, rollback, confirm, undo), ``controls``, ``profile``, ``run_id``, ``groups``,
        ``check_mode``, ``undo_after`` (seconds).
    :raises EngineError: when the request cannot be carried out.
    :raises journals.JournalError: when the journal cannot be written or followed.
    """
    host = host or Host()
    mode = request["mode"]
    release = dict(
        one.split("=", 1) for one in (host.text("/etc/os-release") or "").splitlines() if "=" in one and one[0] != "#"
    )
    name = release.get("ID", "").strip('"')
    if name != "debian":
        raise EngineError(f"This is {name or 'an unknown system'}; the catalogue is made for Debian 12 and 13 only.")
    engine = Engine(host, request)
    problems: list[str] = []
    rolled_back: list[str] = []
    back = journals.Outcome()
    if mode == "confirm":
        problems = confirm(host, request["run_id"])
        engine.resume(request["run_id"], list(request.get("postponed", [])))
        problems = [*problems, *engine.problems]
    elif mode == "undo":
        problems = undo_groups(host, request["run_id"], request["groups"])
        engine.armed = set(guard.unproved(journals.Journal(request["run_id"], host.root or "/")))
    elif mode == "rollback":
        rolled_back, back = rollback(host, request.get("run_id"), bool(request.get("check_mode")))
        problems, engine.changes = back.problems, back.parts
    elif mode == "enforce":
        engine.enforce(bool(request.get("check_mode")))
        problems = engine.problems
        if not request.get("check_mode"):
            try:
                engine.remember()
            except OSError as error:
                problems.append(
                    f"{BASELINE} could not be written: {error.strerror}. Audits will tell of no drift since this run."
                )
    else:
        engine.audit()
    document = findings.Document(
        host=request.get("host", ""),
        time=now(),
        mode=mode if mode in findings.MODES else "enforce",
        profile=request.get("profile", ""),
        system=findings.System(
            name,
            release.get("VERSION_ID", "").strip('"'),
            os.uname().release,
            host.container,
            request.get("address", ""),
        ),
        run_id=engine.run_id,
        findings=[one.finding for one in engine.controls],
        drift=engine.drift() if mode == "audit" else [],
        state=engine.state() if mode in ("audit", "enforce") or request.get("postponed") else [],
    )
    return {
        "document": document.as_dict(),
        "changed": engine.changed or bool(rolled_back),
        "diff": engine.changes,
        "problems": list(dict.fromkeys(problems)),
        "unproved": sorted(engine.armed),
        "postponed": sorted(engine.postponed),
        "rolled_back": rolled_back,
        "kept": back.kept,
        "changes": back.told,
    }
