"""The short summary for the console."""

from __future__ import annotations

from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.fleet import Fleet

MOST_HOSTS = 25
LONGEST = 240
_COLUMNS = ("high", "medium", "low", "pass", "waived", "manual", "untested", "n/a", "new", "fixed")


def _row(fleet: Fleet, number: int) -> tuple[str, ...]:
    document = fleet.documents[number]
    opened = fleet.by_severity(document)
    counts = {status: sum(one.status == status for one in document.findings) for status in ("pass", "waived", "manual")}
    untested = sum(one.status == "not_testable" for one in document.findings)
    absent = sum(one.status == "not_applicable" for one in document.findings)
    changes = fleet.changed(document.host)
    compared = [str(changes["new"]), str(changes["fixed"])] if document.host in fleet.earlier else ["-", "-"]
    numbers = [*opened.values(), *counts.values(), untested, absent]
    return (document.host, *map(str, numbers), *compared)


def lines(fleet: Fleet) -> list[str]:
    """The summary, line by line: the worst hosts first, then totals, hosts without an audit, drift and broken state."""
    order = sorted(
        range(len(fleet.documents)),
        key=lambda number: [-count for count in fleet.by_severity(fleet.documents[number]).values()],
    )
    profiles = ", ".join(sorted({document.profile for document in fleet.documents}))
    found = [f"Hardening, profile {profiles}: open findings by severity, and the rest" if profiles else "Hardening"]
    rows = [_row(fleet, number) for number in order]
    if rows:
        totals = [
            "-" if all(row[at] == "-" for row in rows) else str(sum(int(row[at]) for row in rows if row[at] != "-"))
            for at in range(1, len(_COLUMNS) + 1)
        ]
        shown = [("host", *_COLUMNS), *rows[:MOST_HOSTS]]
        if len(rows) > MOST_HOSTS:
            shown.append((f"({len(rows) - MOST_HOSTS} more hosts)", *[""] * len(_COLUMNS)))
        if len(rows) > 1:
            shown.append((f"all {len(rows)} hosts", *totals))
        widths = [max(len(row[at]) for row in shown) for at in range(len(_COLUMNS) + 1)]
        for row in shown:
            cells = [
                row[0].ljust(widths[0]),
                *[cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)],
            ]
            found.append("  ".join(cells).rstrip())
    found += [f"Not audited: {host}: {reason}" for host, reason in list(fleet.missing.items())[:MOST_HOSTS]]
    if len(fleet.missing) > MOST_HOSTS:
        found.append(f"Not audited: {len(fleet.missing) - MOST_HOSTS} more hosts")
    found += _notes(fleet)
    flat = [line.replace("\n", " ") for line in found]
    return [line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..." for line in flat]


def _notes(fleet: Fleet) -> list[str]:
    notes: list[str] = []
    for document in fleet.documents:
        errors = sum(one.status == "error" for one in document.findings)
        if errors:
            notes.append(f"{document.host}: {errors} of its open findings could not be checked")
        if document.drift:
            first = document.drift[0]
            more = f" and {len(document.drift) - 1} more" if len(document.drift) > 1 else ""
            notes.append(f"{document.host}: changed since it was last enforced: {first.path} ({first.what}){more}")
        notes += [
            f"{document.host}: not as enforced: {one.what} {one.detail}".rstrip()
            for one in document.state
            if not one.ok
        ]
    rest = len(notes) - MOST_HOSTS
    return [*notes[:MOST_HOSTS], f"({rest} more notes in the reports)"] if rest > 0 else notes
