"""The complete log of a run and its summary for programs, in a directory of their own."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean_data
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files

LAST = "last.json"
LAST_LOG = "last.log"


class RunLog:
    """Files `<playbook>-<time>.log` and `.json`, readable by their owner alone; `last.json` and `last.log` are the
    newest."""

    def __init__(self, directory: Path, playbook: str, now: datetime, keep: int) -> None:
        """Open the log and remove all but the newest `keep` of this playbook.

        :raises OSError: when the directory cannot be made or written.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory
        stem = re.sub(r"[^\w.-]+", "_", Path(playbook).stem) or "playbook"
        self.previous = _latest_summary(directory, stem)
        base = stem = f"{stem}-{now:%Y%m%dT%H%M%S}"
        for count in range(2, 100):
            try:
                descriptor = os.open(
                    directory / f"{stem}.log", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600
                )
                break
            except FileExistsError:
                stem = f"{base}-{count}"
        else:
            raise FileExistsError(f"{directory} already has a hundred logs of this second")
        self.path = directory / f"{stem}.log"
        self._file: IO[str] = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace")
        link = directory / f".{LAST_LOG}.{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(self.path.name)
        link.replace(directory / LAST_LOG)
        _remove_old(directory, base.rsplit("-", 1)[0], keep)

    def write(self, *lines: str) -> None:
        """Append lines; kept even if the process is killed right after."""
        if not self._file.closed:
            self._file.write("".join(f"{line}\n" for line in lines))
            self._file.flush()

    def summary(self, summary: Mapping[str, Any]) -> None:
        """Write the summary beside the log and as the newest one, each replaced as a whole."""
        text = json.dumps(clean_data(summary), indent=1, ensure_ascii=False) + "\n"
        for path in (self.path.with_suffix(".json"), self.directory / LAST):
            files.replace_own(path, text)

    def close(self) -> None:
        """No more lines."""
        self._file.close()


def _runs(directory: Path, stem: str, suffix: str) -> list[Path]:
    """Files of the playbook's runs, oldest first."""
    name = re.compile(re.escape(stem) + r"-\d{8}T\d{6}(?:-\d+)?" + re.escape(suffix))
    return sorted(
        (path for path in directory.iterdir() if name.fullmatch(path.name)),
        key=lambda path: (path.stat().st_mtime_ns, path.name),
    )


def _latest_summary(directory: Path, stem: str) -> dict[str, Any]:
    for path in reversed(_runs(directory, stem, ".json")):
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(summary, dict) and summary.get("result") == "ok":
            return summary
    return {}


def _remove_old(directory: Path, stem: str, keep: int) -> None:
    for path in _runs(directory, stem, ".log")[: -max(1, keep)]:
        path.unlink(missing_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)
