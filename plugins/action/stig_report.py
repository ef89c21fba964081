"""Runs on the control node: collects the findings of all hosts and writes every report in one call."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports import fleet, text, writer

COLLECTION = Path(__file__).resolve().parents[2]
NO_FINDINGS = "no findings came back from it; see the messages of its hardening task above"


def version() -> str:
    """The version of the collection, from its build's manifest or from the checkout's galaxy.yml."""
    manifest, galaxy = COLLECTION / "MANIFEST.json", COLLECTION / "galaxy.yml"
    if manifest.exists():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    return str(yaml.safe_load(galaxy.read_text(encoding="utf-8"))["version"]) if galaxy.exists() else "0"


def inventory_name(sources: Iterable[str]) -> str:
    """The name of the inventory in use: its directory's, or its file's without the ending; several are joined."""
    names = []
    for source in sources:
        path = Path(source)
        if "," in source or not path.name:
            names.append("hosts")
        elif path.is_dir() or path.parent.name in ("", "inventories", ".."):
            names.append(path.resolve().name if path.is_dir() else path.stem)
        else:
            names.append(path.resolve().parent.name)
    return text.file_name("+".join(dict.fromkeys(names)) or "hosts")


def read_source(directory: Path, hosts: Iterable[str] | None) -> tuple[dict[str, Any], dict[str, str]]:
    """The documents in a directory, and the hosts without one.

    :raises fleet.ReportError: when the directory cannot be read.
    """
    if not directory.is_dir():
        raise fleet.ReportError(f"The findings cannot be read: {directory} is not a directory.")
    documents: dict[str, Any] = {}
    missing: dict[str, str] = {}
    paths = {one.stem: one for one in directory.glob("*.json")}
    for host in paths if hosts is None else hosts:
        path = paths.get(text.file_name(host))
        if path is None:
            missing[host] = f"there is no {text.file_name(host)}.json in {directory}"
            continue
        try:
            documents[host] = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        except (OSError, ValueError) as error:
            missing[host] = f"{path} cannot be read: {error}"
    return documents, missing


def findings_of(own: dict[str, Any], variable: str, failure: str) -> tuple[dict[str, Any] | None, str]:
    """The findings document in the variables of a host, or nothing and the reason.

    The variable holds the document itself, or the registered result of the engine, which has it as `document`.
    """
    found = own.get(variable)
    result = found if isinstance(found, dict) else {}
    document = result.get("document", result)
    if isinstance(document, dict) and "findings" in document:
        return document, ""
    reason = own.get(failure) or result.get("msg") or ""
    if result.get("unreachable"):
        reason = f"unreachable: {reason}".rstrip(": ")
    return None, str(reason) or NO_FINDINGS


def collect(hosts: Iterable[str], hostvars: Any, variable: str, failure: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The documents of the hosts from their variables, without templating what a host said."""
    documents: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for host in hosts:
        own = hostvars.raw_get(host) if host in hostvars else {}
        document, reason = findings_of(own, variable, failure)
        if document is None:
            missing[host] = reason
        else:
            documents[host] = document
    return documents, missing


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/stig_report.py for the documentation."""

    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write the reports, print the summary, then judge."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "hosts": {"type": "list", "elements": "str"},
                "variable": {"type": "str", "default": "__hardening_result"},
                "failure_variable": {"type": "str", "default": "hardening_failure"},
                "source": {"type": "path"},
                "directory": {"type": "path"},
                "formats": {
                    "type": "list",
                    "elements": "str",
                    "choices": list(writer.FORMATS),
                    "default": list(writer.FORMATS),
                },
                "fail_on": {"type": "str", "choices": list(fleet.THRESHOLDS), "default": "none"},
                "keep": {"type": "int", "default": 10},
                "summary_only": {"type": "bool", "default": False},
                "reference": {"type": "path"},
            }
        )
        if arguments["keep"] < 1:
            return result | {
                "failed": True,
                "msg": "keep must be at least 1: the next audit is compared with this one.",
            }
        sources = [str(one) for one in variables.get("ansible_inventory_sources", [])]
        directory = arguments["directory"] or Path(".stackwright/audit") / inventory_name(sources)
        request = writer.Request(
            directory=Path(directory),
            formats=tuple(arguments["formats"]),
            fail_on=arguments["fail_on"],
            keep=arguments["keep"],
            version=version(),
            reference=Path(arguments["reference"]) if arguments["reference"] else None,
            write=not (self._task.check_mode or arguments["summary_only"]),
        )
        try:
            if arguments["source"]:
                documents, missing = read_source(Path(arguments["source"]), arguments["hosts"])
            else:
                documents, missing = collect(
                    arguments["hosts"] or list(variables.get("ansible_play_hosts_all", [])),
                    variables["hostvars"],
                    arguments["variable"],
                    arguments["failure_variable"],
                )
            outcome = writer.run(documents, missing, request)
        except fleet.ReportError as error:
            return result | {"failed": True, "msg": str(error)}
        for line in outcome.summary:
            Display().display(line)
        where = outcome.paths.get("html", str(outcome.reports))
        if request.write:
            Display().display(f"Reports: {where}")
        result |= {
            "changed": False,
            "reports": str(outcome.reports),
            "paths": outcome.paths,
            "summary": outcome.summary,
            "totals": outcome.totals,
            "failure": outcome.failure,
        }
        if outcome.warnings:
            result["warnings"] = outcome.warnings
        if outcome.failure:
            see = f"See {where}." if request.write else "Run audit.yml for the reports that tell them one by one."
            result |= {"failed": True, "msg": f"The audit fails: {outcome.failure}. {see}"}
        return result
