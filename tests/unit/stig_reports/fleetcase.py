"""Findings for the tests of the reports: every status, hostile text, and fleets of any size."""

from __future__ import annotations

from typing import Any

SEVERITIES = ("high", "medium", "low")
WAIVER = {"reason": "The service needs it", "owner": "Ada", "expires": "2030-01-31"}
HOSTILE = (
    "</script><script>window.hit=1</script><img src=x onerror=window.hit=2>\"'`]]>&lt;\x1b[31m\x00\r\n"
    "second line\t\udc80\u202etxt\ufffe{data}\u2028${alert(1)} javascript:window.hit=3"
)


def finding(number: int, status: str = "pass", severity: str = "medium", **more: Any) -> dict[str, Any]:
    return {
        "id": f"UBTU-24-{number:06d}",
        "rule": f"rule_{number}",
        "severity": severity,
        "title": f"Control {number} is kept",
        "rationale": "Because it matters.",
        "status": status,
        "changed": False,
        "evidence": [{"expected": "yes", "found": "no", "where": "/etc/ssh/sshd_config:12"}],
        "remedy": "Set it to yes.",
        "waiver": WAIVER if status == "waived" else None,
        "detail": "",
        "rules": [f"rule_{number}", f"rule_{number}_more"],
        "tags": ["ssh"],
        **more,
    }


def document(host: str, findings: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "host": host,
        "time": "2026-03-04T05:06:07Z",
        "mode": "audit",
        "profile": "stig",
        "system": {
            "distribution": "debian",
            "version": "13",
            "kernel": "6.12.1",
            "container": True,
            "address": "10.0.0.5",
        },
        "run_id": None,
        "findings": every_status() if findings is None else findings,
        "drift": [],
        "state": [],
        "totals": {},
        **more,
    }


def every_status() -> list[dict[str, Any]]:
    return [
        finding(1, "fail", "high"),
        finding(2, "pass", "high"),
        finding(3, "waived", "high"),
        finding(4, "not_applicable", "low", detail="There is no desktop."),
        finding(5, "not_testable", "medium", detail="A container has no boot loader."),
        finding(6, "manual", "medium", detail="Ask the site's officer."),
        finding(7, "error", "low", detail="sshd -T ended with 255."),
        finding(8, "fail", "medium"),
    ]


def hostile() -> dict[str, Any]:
    evidence = [{"expected": HOSTILE, "found": HOSTILE, "where": f"/srv/{HOSTILE}"}]
    text = {"title": HOSTILE, "rationale": HOSTILE, "remedy": HOSTILE, "detail": HOSTILE}
    waiver = {"reason": HOSTILE, "owner": HOSTILE, "expires": HOSTILE}
    findings = [finding(1, "fail", "high", evidence=evidence, **text), finding(2, "waived", waiver=waiver, **text)]
    state = [{"what": HOSTILE, "ok": False, "detail": HOSTILE}]
    drift = [{"path": HOSTILE, "what": HOSTILE, "since": HOSTILE}]
    system = dict.fromkeys(("distribution", "version", "kernel", "address"), HOSTILE)
    return document("x", findings, drift=drift, state=state, system={**system, "container": False}, profile=HOSTILE)


def fleet(hosts: int, controls: int = 194, *, long: bool = True) -> dict[str, Any]:
    """A large fleet whose findings differ from host to host."""
    words = "This sentence stands for the usual length of a rationale or of a remedy in the catalogue. " * (
        4 if long else 1
    )
    documents = {}
    for host in range(hosts):
        name = f"node{host}"
        findings = []
        for number in range(controls):
            status = ("pass", "pass", "fail", "not_applicable", "waived", "pass", "not_testable")[(number + host) % 7]
            seen = [
                {"expected": "0600", "found": f"0{640 + (host + number) % 8}", "where": f"/etc/file{number}:{host + 1}"}
            ]
            findings.append(
                finding(number, status, SEVERITIES[number % 3], evidence=seen, rationale=words, remedy=words)
            )
        documents[name] = document(name, findings)
    return documents
