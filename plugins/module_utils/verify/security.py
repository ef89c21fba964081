"""The table of security checks: what a row is, how rows are judged with a site's waivers, and how they are shown.

Any module may add rows: it returns a list of :meth:`Row.as_dict` under ``rows``, and the role ``verify`` adds its
registered result to ``__verify_security_rows``. A row is one check on one host (or on the cloud as a whole, where
``host`` is empty).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words

STATUSES = ("passed", "failed", "open", "waived")
VALUE_SHOWN = 160


class SecurityError(Exception):
    """Rows or waivers that contradict themselves; the text names the check."""


@dataclass(frozen=True)
class Row:
    """One check of the table.

    ``check`` is its identifier (``Check-Identity-01``), ``service`` whom it concerns (``keystone``), ``title`` what
    must hold, ``value`` the setting or effect that was found, in words for people and never a secret. ``status`` is
    passed, failed, or open for what this release does not do yet; waived is set by :func:`judge` alone. ``cause`` says
    for a failure what is wrong and how to mend it, for an open one why it is open.
    """

    check: str
    service: str
    title: str
    value: str
    status: str = "passed"
    cause: str = ""
    host: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise SecurityError(f"check {self.check}: status {self.status!r} is none of {', '.join(STATUSES)}")

    def as_dict(self) -> dict[str, str]:
        """The form in which modules return it."""
        return asdict(self)


def row_of(data: Mapping[str, Any]) -> Row:
    """Read one row that a module returned.

    :raises SecurityError: a key is missing, unknown, or no text.
    """
    try:
        row = Row(**data)
    except TypeError as error:
        raise SecurityError(f"a row of the security table is malformed: {error}: {dict(data)!r}") from error
    for name, value in asdict(row).items():
        if not isinstance(value, str):
            raise SecurityError(f"check {row.check}: {name} must be a text, not {type(value).__name__}")
    return row


@dataclass
class Table:
    """All rows, sorted by check and host, with the waivers applied."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def of(self, status: str) -> list[Row]:
        """The rows with one status."""
        return [row for row in self.rows if row.status == status]

    def summary(self) -> str:
        """One line that counts the rows by status, leaving out what there is none of."""
        counts = [f"{len(found)} {status}" for status in STATUSES if (found := self.of(status))]
        return "security checks: " + (", ".join(counts) or "none done")

    def lines(self) -> list[str]:
        """The table as text, a line for each row."""
        width = max((len(row.check) for row in self.rows), default=0)
        hosts = max((len(row.host) for row in self.rows), default=0)
        return [
            f"{row.check:{width}}  {row.status:6}  {row.host:{hosts}}  {row.service}: {row.title}: {_short(row.value)}"
            for row in self.rows
        ]

    def failure(self) -> str:
        """What failed, check by check with its cause, and how to go on; empty when nothing did."""
        failed = self.of("failed")
        if not failed:
            return ""
        said = [f"{len(failed)} of {len(self.rows)} security checks fail:"]
        for row in failed:
            where = f" on {row.host}" if row.host else ""
            said.append(
                f"- {row.check}{where}: {row.title}: {_short(row.value)}" + (f". {row.cause}" if row.cause else "")
            )
        said.append("A check that a site decides against is waived with a reason in verify_security_waivers.")
        return "\n".join(said)


def _short(text: str) -> str:
    """One line of printable characters; what hosts and services said must not reach a terminal as it is."""
    plain = "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))
    return plain if len(plain) <= VALUE_SHOWN else plain[: VALUE_SHOWN - 3] + "..."


def check_waivers(waivers: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse waivers that name no check or give no reason.

    :raises SecurityError: with every such waiver.
    """
    names = sorted(set(known))
    problems = []
    for name, reason in waivers.items():
        if name not in names:
            problems.append(f"verify_security_waivers: there is no check {name!r}{words.hint(str(name), names, '. ')}")
        elif not isinstance(reason, str) or len(reason.split()) < 2:
            problems.append(f"verify_security_waivers: {name} needs a reason in words, not {reason!r}")
    if problems:
        raise SecurityError("; ".join(problems))


def judge(rows: Sequence[Row], waivers: Mapping[str, str]) -> Table:
    """Apply waivers: a failed row of a waived check counts as waived, with the reason as its cause.

    A waiver whose check passes on all hosts is told, since it may go.
    """
    judged = [
        replace(row, status="waived", cause=waivers[row.check])
        if row.status == "failed" and row.check in waivers
        else row
        for row in rows
    ]
    waived = {row.check for row in judged if row.status == "waived"}
    done = {row.check for row in judged}
    notes = [
        f"the waiver of {name} is not needed: the check passes"
        for name in waivers
        if name in done and name not in waived
    ]
    return Table(sorted(judged, key=lambda row: (row.check, row.host)), notes)
