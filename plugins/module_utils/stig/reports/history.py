"""Earlier audits, kept so that the next one can say what is new, fixed and still open.

Each audit is a directory named after its time, with `findings.json.gz` (everything, for whoever asks later) and
`statuses.json` (what a comparison needs: `{"hosts": {host: {"time": t, "statuses": {control: status}}}}`).
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports import files
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.fleet import Earlier, Fleet

_NAME = re.compile(r"\d{8}T\d{6}Z(-\d+)?")


def audits(directory: Path) -> list[Path]:
    """The kept audits, newest first."""
    if not directory.is_dir():
        return []
    return sorted((one for one in directory.iterdir() if _NAME.fullmatch(one.name)), key=_order, reverse=True)


def _order(path: Path) -> tuple[str, int]:
    stamp, _, number = path.name.partition("-")
    return stamp, int(number or 0)


def earlier(directory: Path, hosts: set[str]) -> tuple[dict[str, Earlier], list[str]]:
    """For each host its newest kept audit, so that an audit of a few hosts does not blind the next one.

    :returns: the audits by host, and a sentence for each kept audit that cannot be read.
    """
    found: dict[str, Earlier] = {}
    problems: list[str] = []
    for audit in audits(directory):
        wanted = hosts - set(found)
        if not wanted:
            break
        path = audit / "statuses.json"
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))["hosts"]
            here = {
                host: Earlier(str(kept[host]["time"]), dict(kept[host]["statuses"])) for host in wanted if host in kept
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            problems.append(f"The earlier audit {path} cannot be read and is left out of the comparison: {error}")
            continue
        found |= here
    return found, problems


def keep(directory: Path, fleet: Fleet, whole: Iterable[str], count: int) -> Path:
    """Add this audit to the history and drop the oldest beyond `count`.

    :param whole: the JSON report, in pieces.
    :returns: the directory of the audit.
    :raises OSError: when it cannot be written; the history is then as before.
    """
    name = stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    same = [_order(one)[1] for one in audits(directory) if _order(one)[0] == stamp]
    if same:
        name = f"{stamp}-{max(same) + 1}"
    statuses = {
        "hosts": {
            document.host: {"time": document.time, "statuses": {one.id: one.status for one in document.findings}}
            for document in fleet.documents
        }
    }
    with files.new_directory(directory / name) as fresh:
        (fresh / "statuses.json").write_text(json.dumps(statuses, separators=(",", ":")), encoding="utf-8")
        with gzip.open(fresh / "findings.json.gz", "wt", encoding="utf-8", compresslevel=6) as stream:
            stream.writelines(whole)
    for old in audits(directory)[max(count, 1) :]:
        shutil.rmtree(old)
    return directory / name
