"""Enforcement on one host: plan, journal and make changes until nothing more can be changed, and guard those of
access."""

from __future__ import annotations

import contextlib
import datetime
import os
import tempfile
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import (
    access,
    activation,
    apt,
    findings,
    guard,
    judge,
    listeners,
    packages,
    system,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import drift as drifts
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import journal as journals
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, HostError, Meta, show
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.judge import TYPES, Control, group_of
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.resource import EngineError, Resource
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.rollback import reclaim

PASSES = 3


def new_run_id() -> str:
    """An id that sorts by time."""
    return datetime.datetime.now(tz=datetime.UTC).strftime("%Y%m%dT%H%M%S%fZ")


@dataclass
class Enforcement:
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
        self.controls = judge.controls_of(self.request)

    def audit(self) -> None:
        """Judge every control."""
        judge.audit(self.host, self.controls)

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
            f"ufw refuses connections from outside to what listens here on {', '.join(cut)}: name in "
            f"hardening parameter "
            f"firewall_allow what is to be "
            f"reached.{' Packets that this host forwards are dropped, too.' if forwards else ''}"
        ]

    def _give_time_for_the_proof(self) -> None:
        """Start the timer anew: the run took part of its time. Where it was quicker, its groups are undone already."""
        if not self.armed or self.host.full:
            return
        if guard.unproved(self._begin()):
            self._arm()
            return
        self.problems.append(
            f"The run took longer than the {self.request.get('undo_after', 180)} s after which access "
            f"changes are undone, so "
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
            head = {"time": findings.now(), "profile": self.request.get("profile", "")}
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
            # What was written in part is taken back, and what was written is taken into use: nothing waits for a later
            # restart.
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
        """Take planned rules of sudo that visudo does not accept out of the plan: a single wrong line stops sudo for
        all."""
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
                if (self.host.stat(path) or Meta("absent", 0, 0, 0)).kind == "file"
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
        for what in sorted(activations, key=activation.rank):
            group = activations[what]
            if activation.takes_long(what) and self.armed:
                self.postponed.add(what)
                continue
            if what == "sshd":
                self._activate_sshd(entries)
                continue
            for one in activation.commands(self.host, what):
                before = [
                    {"kind": "file", "group": group, "path": path, "before": entries.before(path)}
                    for pattern in one.changes
                    for path in ([pattern] if "*" not in pattern else self.host.glob(pattern))
                ]
                after = [{"kind": "after-undo", "group": group, "argv": one.argv}] if one.again else []
                entries.add([*before, *after])
                if one.argv == activation.RELOAD:
                    self.problems += journals.reload_units(self.host.run, self.host.root)
                    continue
                code, output = self.host.run(one.argv)
                entries.seal(before)
                if code:
                    self.problems.append(f"{' '.join(one.argv)} failed ({code}): {output.strip()[-300:]}")

    def _activate_sshd(self, entries: journals.Journal) -> None:
        """Have sshd read its new configuration, and see that it did; what it refuses or does not read is undone at
        once."""
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
                f"{self.request.get('apt_wait', 120)} s: {', '.join([*present, *absent])}. Run again "
                f"when it is done, or give "
                "hardening_apt_wait more seconds."
            )
            return
        plan = apt.plan(self.host.run, [*present, *absent])
        self.problems += plan.problems
        self.changes += self.host.diff()
        self.host.packages_wanted = {}
        if not plan.names:
            return
        transaction = packages.Transaction(self._begin(), self.host.root)
        transaction.begin(plan, wanted)
        self.problems += apt.carry_out(self.host.run, plan)
        self.changed = True
        transaction.close()
        self._audit_again()

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
        drifts.remember(self.host, self.journal, self.run_id)
