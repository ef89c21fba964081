"""Judging controls: which apply to a host, what their checks found, and what the finding is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import access, files, findings, services, system
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, HostError
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.resource import Check, Resource

TYPES: dict[str, Resource] = {**files.TYPES, **access.TYPES, **system.TYPES, **services.TYPES}


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


def group_of(spec: dict[str, Any]) -> str:
    """The group of changes that a resource belongs to: what is undone together when no login is possible any more."""
    return str(spec.get("group", TYPES[spec["type"]].group)) if spec["type"] == "unit" else TYPES[spec["type"]].group


def controls_of(request: dict[str, Any]) -> list[Control]:
    """The controls of a request, each with a finding that nothing is known of yet."""
    found = []
    for data in request.get("controls", []):
        rules = list(data.get("rules", [data["rule"]]))
        one = findings.Finding(data["id"], data["rule"], data["severity"], rules=rules, waiver=_waiver(data))
        found.append(Control(data, one))
    return found


def _waiver(data: dict[str, Any]) -> findings.Waiver | None:
    waiver = data.get("waiver")
    return findings.Waiver(**waiver) if waiver else None


def prepare(host: Host, controls: Iterable[Control]) -> None:
    """Announce what will be asked for, so that one walk and one call of systemctl answer for all controls."""
    specs = [spec for one in controls for spec in one.resources]
    files.register(host, [spec for spec in specs if spec["type"] == "permissions"])
    if any(spec["type"] == "audit_privileged" for spec in specs):
        files.register(host, [services.PRIVILEGED])
    units = {spec["name"] for spec in specs if spec["type"] == "unit"}
    host.expect_units(
        sorted(units | {"ssh.service", "ssh.socket", "auditd.service", "chrony.service", "rsyslog.service"})
    )


def applicable(host: Host, control: Control) -> str:
    """Why a control does not apply to this host; empty when it does."""
    condition = control.data.get("when", {})
    names = condition.get("package", [])
    if names and not any(one in host.packages for one in names):
        return f"none of {', '.join(names)} is installed"
    for path in condition.get("file", []):
        if not host.exists(path):
            return f"{path} does not exist"
    return ""


def judge(host: Host, control: Control) -> None:
    """Check one control and set its finding's status and evidence."""
    finding, data = control.finding, control.data
    finding.evidence, finding.detail = [], ""
    finding.waiver = _waiver(data)
    if data.get("status") in ("manual", "not_applicable"):
        finding.status, finding.detail = data["status"], data.get("reason", "")
        control.fixable = False
        return
    if reason := applicable(host, control):
        finding.status, finding.detail = "not_applicable", f"{reason[0].upper()}{reason[1:]}."
        control.fixable = False
        return
    control.fixable = True
    checks: list[Check] = []
    try:
        for spec in control.resources:
            checks.append(TYPES[spec["type"]].check(host, spec))
    except HostError as error:
        finding.status, finding.detail = "error", str(error)
        finding.evidence = [one for check in checks for one in check.evidence if not check.ok]
    except (OSError, ValueError, KeyError, IndexError) as error:
        finding.status, finding.detail = "error", f"The check itself failed: {type(error).__name__}: {error}"
    else:
        _conclude(control, checks)
    if finding.status == "fail" and control.problems:
        finding.detail = control.problems[-1]
    if finding.status in ("fail", "error") and finding.waiver is not None:
        finding.status = "waived"


def _conclude(control: Control, checks: list[Check]) -> None:
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
    elif failed and all(not one.testable and not one.disk for one in failed):
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


def audit(host: Host, controls: list[Control]) -> None:
    """Judge every control."""
    prepare(host, controls)
    for control in controls:
        judge(host, control)
