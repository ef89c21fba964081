"""JUnit XML as Jenkins, GitLab and others read it: a suite for each host, a case for each control.

The status words of that format are few: failure (fail), error (error) and skipped (everything that was not decided or
not counted, with the reason). Waived is skipped, never a success.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import findings as model
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports import describe
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.fleet import Fleet
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.text import xml, xml_attribute

_SKIPPED = ("waived", "not_applicable", "not_testable", "manual")


def _body(one: model.Finding) -> str:
    message = xml_attribute(describe.short(one))
    if one.status in _SKIPPED:
        return f'<skipped message="{xml_attribute(describe.STATUS_WORDS[one.status])}: {message}"/>'
    if one.status in ("fail", "error"):
        tag = "failure" if one.status == "fail" else "error"
        remedy = f"\nRemedy: {one.remedy}" if one.remedy else ""
        return f'<{tag} type="{one.severity}" message="{message}">{xml(describe.whole(one) + remedy)}</{tag}>'
    return ""


def _counts(documents: list[model.Document]) -> str:
    statuses = [one.status for document in documents for one in document.findings]
    skipped = sum(status in _SKIPPED for status in statuses)
    failures, errors = statuses.count("fail"), statuses.count("error")
    return f'tests="{len(statuses)}" failures="{failures}" errors="{errors}" skipped="{skipped}"'


def render(fleet: Fleet) -> Iterator[str]:
    """The report in pieces. A host without findings is a suite with one case in error."""
    cases = sum(len(document.findings) for document in fleet.documents)
    total = fleet.totals()["statuses"]
    skipped = sum(total[status] for status in _SKIPPED)
    missing = len(fleet.missing)
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="hardening" tests="{cases + missing}" failures="{total["fail"]}" '
        f'errors="{total["error"] + missing}" skipped="{skipped}" time="0">\n'
    )
    for document in fleet.documents:
        host = xml_attribute(document.host)
        stamp = xml_attribute(document.time.removesuffix("Z"))
        lines = [
            f'<testsuite name="{host}" hostname="{host}" timestamp="{stamp}" {_counts([document])} time="0">',
            "<properties>",
            f'<property name="profile" value="{xml_attribute(document.profile)}"/>',
            f'<property name="mode" value="{document.mode}"/>',
            "</properties>",
        ]
        for one in document.findings:
            name = xml_attribute(f"{one.id} {one.title}".strip())
            body = _body(one)
            head = f'<testcase classname="{host}.{one.severity}" name="{name}" time="0"'
            lines.append(f"{head}>{body}</testcase>" if body else f"{head}/>")
        yield "\n".join([*lines, "</testsuite>\n"])
    for name, reason in fleet.missing.items():
        host, why = xml_attribute(name), xml_attribute(reason)
        yield (
            f'<testsuite name="{host}" hostname="{host}" tests="1" failures="0" errors="1" skipped="0" time="0">'
            f'<testcase classname="{host}" name="audit" time="0"><error type="not audited" message="{why}"/></testcase>'
            "</testsuite>\n"
        )
    yield "</testsuites>\n"
