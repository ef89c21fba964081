"""Writes every report of an audit: one directory that appears whole, and one entry in the history."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import findings as model
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports import (
    as_json,
    checklist,
    files,
    fleet,
    history,
    html,
    junit,
    sarif,
    summary,
    xccdf,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.text import file_name

FLEET_FORMATS = {"html": "index.html", "json": "findings.json", "junit": "junit.xml", "sarif": "audit.sarif"}
HOST_FORMATS = {
    "findings": "findings.json",
    "xccdf": "xccdf.xml",
    "arf": "arf.xml",
    "ckl": "checklist.ckl",
    "cklb": "checklist.cklb",
}
FORMATS = (*FLEET_FORMATS, *HOST_FORMATS)


@dataclass(frozen=True)
class Request:
    """What to write and where.

    `directory` gets `reports/` (replaced as a whole) and `history/` (the last `keep` audits). `fail_on` is the lowest
    severity whose open findings fail the audit. `reference` is the official STIG for the checklists.
    """

    directory: Path
    formats: tuple[str, ...] = FORMATS
    fail_on: str = "none"
    keep: int = 10
    version: str = "0"
    reference: Path | None = None
    write: bool = True


@dataclass(frozen=True)
class Outcome:
    """What was written. `failure` tells why the audit fails, and is empty when it does not."""

    reports: Path
    paths: dict[str, str]
    summary: list[str]
    totals: dict[str, Any]
    failure: str
    warnings: list[str]


def _put(path: Path, pieces: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(pieces)


def _write_fleet(audit: fleet.Fleet, request: Request, reference: checklist.Reference, into: Path) -> None:
    makers: dict[str, Callable[[], Iterable[str]]] = {
        "html": lambda: [html.render(audit, checklist.source(reference))],
        "json": lambda: as_json.render(audit),
        "junit": lambda: junit.render(audit),
        "sarif": lambda: sarif.render(audit, request.version),
    }
    for name, make in makers.items():
        if name in request.formats:
            _put(into / FLEET_FORMATS[name], make())


def _write_host(document: model.Document, request: Request, reference: checklist.Reference, into: Path) -> None:
    makers: dict[str, Callable[[], Iterable[str]]] = {
        "findings": lambda: [json.dumps(document.as_dict(), indent=1), "\n"],
        "xccdf": lambda: [xccdf.render(document, request.version, reference)],
        "arf": lambda: [xccdf.render_arf(document, request.version, reference)],
        "ckl": lambda: checklist.render_ckl(document, reference),
        "cklb": lambda: [checklist.render_cklb(document, reference)],
    }
    wanted = [name for name in makers if name in request.formats]
    if wanted:
        folder = into / "hosts" / file_name(document.host)
        folder.mkdir(parents=True)
        for name in wanted:
            _put(folder / HOST_FORMATS[name], makers[name]())


def run(documents: Mapping[str, Any], missing: Mapping[str, str], request: Request) -> Outcome:
    """Compare with the earlier audits and write all reports.

    :param documents: findings documents as JSON data, by host.
    :param missing: hosts without findings, and why.
    :raises fleet.ReportError: when nothing can be reported, or nothing written; the reports are then as before.
    """
    unknown = sorted(set(request.formats) - set(FORMATS))
    if unknown:
        raise fleet.ReportError(f"There is no report format {', '.join(unknown)}. Known are {', '.join(FORMATS)}.")
    reference = checklist.read_reference(request.reference) if request.reference else checklist.Reference()
    past = request.directory / "history"
    names = {clean(host) for host in documents}
    earlier, warnings = history.earlier(past, names)
    audit = fleet.build(documents, missing, earlier)
    reports = request.directory / "reports"
    if request.write:
        try:
            with files.new_directory(reports) as fresh:
                _write_fleet(audit, request, reference, fresh)
                for document in audit.documents:
                    _write_host(document, request, reference, fresh)
            if audit.documents:
                history.keep(past, audit, as_json.render(audit), request.keep)
        except OSError as error:
            raise fleet.ReportError(
                f"The reports cannot be written below {request.directory}: {error.strerror or error}"
                f"{f' ({error.filename})' if error.filename else ''}. Make room or name another directory."
            ) from error
    return Outcome(
        reports=reports,
        paths={name: str(reports / FLEET_FORMATS[name]) for name in FLEET_FORMATS if name in request.formats},
        summary=summary.lines(audit),
        totals=audit.totals(),
        failure=fleet.over_threshold(audit, request.fail_on),
        warnings=warnings,
    )
