"""Sentences about a finding, the same in every format."""

from __future__ import annotations

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import findings as model

STATUS_WORDS = {
    "pass": "passed",
    "fail": "failed",
    "waived": "waived",
    "not_applicable": "not applicable",
    "not_testable": "not testable here",
    "manual": "to be checked by a person",
    "error": "could not be checked",
}


def waiver(one: model.Finding) -> str:
    """Why, by whom and until when a finding is waived; empty when it is not."""
    if one.waiver is None:
        return ""
    until = f"until {one.waiver.expires}" if one.waiver.expires else "without an end"
    return f"Waived by {one.waiver.owner or 'the profile'} {until}: {one.waiver.reason}"


def evidence(one: model.Finding) -> str:
    """What was expected and found, one observation a paragraph."""
    return "\n".join(f"{seen.where}: expected {seen.expected}; found {seen.found}" for seen in one.evidence)


def short(one: model.Finding) -> str:
    """One line: the detail, the waiver or the first observation."""
    if one.status == "waived":
        line = waiver(one)
    elif one.detail:
        line = one.detail
    elif one.evidence:
        line = evidence(model.Finding(one.id, one.rule, one.severity, evidence=one.evidence[:1]))
    else:
        line = STATUS_WORDS[one.status]
    line = " ".join(line.split())
    return line if len(line) <= 300 else f"{line[:297]}..."


def whole(one: model.Finding) -> str:
    """Everything that was seen about a finding, as paragraphs."""
    return "\n".join(part for part in (waiver(one), one.detail, evidence(one)) if part)
