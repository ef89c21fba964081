"""STIG Viewer checklists of one host: `.ckl` (XML, STIG Viewer 2) and `.cklb` (JSON, STIG Viewer 3).

Both viewers know four statuses. Open: failed and waived (a waiver is a comment, it never closes a finding). Not a
Finding: passed. Not Applicable. Not Reviewed: whatever was not decided, errors included.

Vulnerability numbers, rule identifiers, CCIs and the official check texts are not shipped here. An operator who has the
official STIG (the "manual XCCDF" in its archive) gives it as reference, and the checklists carry them.

Controls that are not in that STIG never stand under its name: they have a second STIG of their own in the file.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import findings as model
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports import describe
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.fleet import ReportError
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.text import xml

CKL_STATUSES = {
    "pass": "NotAFinding",
    "fail": "Open",
    "waived": "Open",
    "not_applicable": "Not_Applicable",
    "not_testable": "Not_Reviewed",
    "manual": "Not_Reviewed",
    "error": "Not_Reviewed",
}
CKLB_STATUSES = {"NotAFinding": "not_a_finding"} | {
    name: name.lower() for name in ("Open", "Not_Applicable", "Not_Reviewed")
}
TECHNOLOGY = "UNIX OS"
OWN = "STACKWRIGHT-"
CATALOGUE_DATE = "26 Nov 2026"
_SPACE = uuid.UUID("0d9a1f5e-6f57-5c3c-9d52-4f1a60c1d3b7")


@dataclass(frozen=True)
class Entry:
    """What the official STIG says about one control."""

    group: str
    requirement: str
    rule: str
    title: str = ""
    discussion: str = ""
    check: str = ""
    fix: str = ""
    ccis: tuple[str, ...] = ()
    legacy: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reference:
    """The STIG that the checklists name, and its entries by STIG identifier; ours when the operator gives none."""

    id: str = "Stackwright_Hardening"
    title: str = "Stackwright hardening of Debian, after the identifiers of the Ubuntu 24.04 STIG"
    version: str = "1"
    # Readers take the number for the revision only where a word follows.
    release: str = f"Release: 1 Benchmark Date: {CATALOGUE_DATE}"
    file_name: str = ""
    entries: dict[str, Entry] = field(default_factory=dict)
    own: bool = False

    def entry(self, control: str) -> Entry:
        """The official entry of a control, or one that has only its identifier."""
        return self.entries.get(control) or Entry(control, control, control)

    def holds(self, control: str) -> bool:
        """Whether a control stands under the name of this STIG."""
        return control in self.entries if self.entries else not control.startswith(OWN)


def parts(document: model.Document, reference: Reference) -> list[tuple[Reference, list[model.Finding]]]:
    """The findings by the STIG that they belong to: the reference's, then those beyond it."""
    beyond = Reference(
        "Stackwright_Beyond_STIG", "Stackwright hardening of Debian, controls beyond the STIG", entries={}, own=True
    )
    held = [one for one in document.findings if reference.holds(one.id)]
    rest = [one for one in document.findings if not reference.holds(one.id)]
    return [(name, found) for name, found in ((reference, held), (beyond, rest)) if found or name is reference]


def source(reference: Reference) -> str:
    """Whose STIG the findings are held against, in a line."""
    if not reference.entries:
        return f"identifiers of the Ubuntu 24.04 STIG, {reference.title}"
    return f"{reference.title}, version {reference.version}, {reference.release}".rstrip(", ")


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ElementTree.Element | None, name: str) -> str:
    for one in [] if element is None else element:
        if _local(one) == name:
            return clean("".join(one.itertext()).strip())
    return ""


def read_reference(path: Path) -> Reference:
    """The official STIG from its manual XCCDF (1.1 or 1.2).

    :raises ReportError: when the file is not that.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise ReportError(
            f"The STIG reference {path} cannot be read: {error}. Give the manual XCCDF of the STIG."
        ) from error
    if _local(root) != "Benchmark":
        raise ReportError(
            f"The STIG reference {path} is a {_local(root)}, not an XCCDF Benchmark. Give the manual XCCDF."
        )
    entries: dict[str, Entry] = {}
    for group in root.iter():
        if _local(group) != "Group":
            continue
        for rule in group:
            if _local(rule) != "Rule":
                continue
            idents = [clean(one.text or "") for one in rule if _local(one) == "ident"]
            description = _text(rule, "description")
            discussion = re.search(r"<VulnDiscussion>(.*?)</VulnDiscussion>", description, re.DOTALL)
            check = next((_text(one, "check-content") for one in rule if _local(one) == "check"), "")
            entries[_text(rule, "version")] = Entry(
                group=clean(group.get("id", "")),
                requirement=_text(group, "title"),
                rule=clean(rule.get("id", "")),
                title=_text(rule, "title"),
                discussion=discussion[1] if discussion else description,
                check=check,
                fix=_text(rule, "fixtext"),
                ccis=tuple(one for one in idents if one.startswith("CCI-")),
                legacy=tuple(one for one in idents if re.match(r"S?V-\d", one)),
            )
    if not entries:
        raise ReportError(f"The STIG reference {path} has no rules. Give the manual XCCDF of the STIG.")
    release = next((_plain(one) for one in root if _local(one) == "plain-text" and one.get("id") == "release-info"), "")
    return Reference(
        clean(root.get("id", "")), _text(root, "title"), _text(root, "version"), release, clean(path.name), entries
    )


def _plain(element: ElementTree.Element) -> str:
    return clean("".join(element.itertext()).strip())


def _details(one: model.Finding) -> str:
    seen = "\n".join(part for part in (one.detail, describe.evidence(one)) if part)
    return f"{describe.STATUS_WORDS[one.status].capitalize()}.\n{seen}".strip()


def _check(one: model.Finding, entry: Entry) -> str:
    if entry.check:
        return entry.check
    expected = dict.fromkeys(f"{seen.where}: {seen.expected}" for seen in one.evidence)
    return "Checked by Stackwright" + (f"; expected:\n{chr(10).join(expected)}" if expected else ".")


def _address(document: model.Document) -> str:
    return document.system.address if re.fullmatch(r"[0-9A-Fa-f.:]+", document.system.address) else ""


def _comment(document: model.Document) -> str:
    system = document.system
    kind = "container" if system.container else "host"
    words = " ".join(part for part in (system.distribution, system.version, kind) if part)
    return f"{words}, profile {document.profile}, {document.mode} at {document.time}"


def _tag(name: str, value: str) -> str:
    return f"<{name}>{xml(value)}</{name}>"


def _data(name: str, value: str) -> str:
    return (
        f"<STIG_DATA><VULN_ATTRIBUTE>{name}</VULN_ATTRIBUTE><ATTRIBUTE_DATA>{xml(value)}</ATTRIBUTE_DATA></STIG_DATA>"
    )


def _vulnerability(one: model.Finding, reference: Reference, stig_uuid: str) -> str:
    entry = reference.entry(one.id)
    # STIG Viewer 2 wants these in this order.
    data = [
        ("Vuln_Num", entry.group),
        ("Severity", one.severity),
        ("Group_Title", entry.requirement),
        ("Rule_ID", entry.rule),
        ("Rule_Ver", one.id),
        ("Rule_Title", entry.title or one.title),
        ("Vuln_Discuss", entry.discussion or one.rationale),
        ("IA_Controls", ""),
        ("Check_Content", _check(one, entry)),
        ("Fix_Text", entry.fix or one.remedy),
        ("False_Positives", ""),
        ("False_Negatives", ""),
        ("Documentable", "false"),
        ("Mitigations", ""),
        ("Potential_Impact", ""),
        ("Third_Party_Tools", ""),
        ("Mitigation_Control", ""),
        ("Responsibility", ""),
        ("Security_Override_Guidance", ""),
        ("Check_Content_Ref", "M"),
        ("Weight", "10.0"),
        ("Class", "Unclass"),
        ("STIGRef", f"{reference.title} :: Version {reference.version}, {reference.release}"),
        ("TargetKey", ""),
        ("STIG_UUID", stig_uuid),
        *[("LEGACY_ID", legacy) for legacy in (*entry.legacy, "", "")[: max(2, len(entry.legacy))]],
        *[("CCI_REF", cci) for cci in entry.ccis],
    ]
    return (
        "<VULN>"
        + "".join(_data(name, value) for name, value in data)
        + _tag("STATUS", CKL_STATUSES[one.status])
        + _tag("FINDING_DETAILS", _details(one))
        + _tag("COMMENTS", describe.waiver(one))
        + "<SEVERITY_OVERRIDE></SEVERITY_OVERRIDE><SEVERITY_JUSTIFICATION></SEVERITY_JUSTIFICATION></VULN>\n"
    )


def _identifier(document: model.Document, *parts: str) -> str:
    return str(uuid.uuid5(_SPACE, "\0".join([document.host, *parts])))


def render_ckl(document: model.Document, reference: Reference) -> Iterator[str]:
    """The STIG Viewer 2 checklist of one host, in pieces."""
    asset = {
        "ROLE": "None",
        "ASSET_TYPE": "Computing",
        "MARKING": "",
        "HOST_NAME": document.host,
        "HOST_IP": _address(document),
        "HOST_MAC": "",
        "HOST_FQDN": "",
        "TARGET_COMMENT": _comment(document),
        "TECH_AREA": TECHNOLOGY,
        "TARGET_KEY": "",
        "WEB_OR_DATABASE": "false",
        "WEB_DB_SITE": "",
        "WEB_DB_INSTANCE": "",
    }
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<!--DISA STIG Viewer :: 2.17-->\n<CHECKLIST><ASSET>'
    yield "".join(_tag(name, value) for name, value in asset.items())
    yield "</ASSET><STIGS>"
    for stig, found in parts(document, reference):
        yield from _stig(document, stig, found)
    yield "</STIGS></CHECKLIST>\n"


def _stig(document: model.Document, reference: Reference, found: list[model.Finding]) -> Iterator[str]:
    stig_uuid = _stig_identifier(document, reference)
    information = {
        "version": reference.version,
        "classification": "UNCLASSIFIED",
        "customname": "",
        "stigid": reference.id,
        "description": "",
        "filename": reference.file_name,
        "releaseinfo": reference.release,
        "title": reference.title,
        "uuid": stig_uuid,
        "notice": "",
        "source": "",
    }
    yield "<iSTIG><STIG_INFO>"
    for name, value in information.items():
        held = _tag("SID_DATA", value) if value else ""
        yield f"<SI_DATA><SID_NAME>{name}</SID_NAME>{held}</SI_DATA>"
    yield "</STIG_INFO>\n"
    for one in found:
        yield _vulnerability(one, reference, stig_uuid)
    yield "</iSTIG>"


def _stig_identifier(document: model.Document, reference: Reference) -> str:
    return _identifier(document, "stig", *([reference.id] if reference.own else []))


def _rule(document: model.Document, one: model.Finding, reference: Reference, stig_uuid: str) -> dict[str, Any]:
    entry = reference.entry(one.id)
    title = entry.title or one.title
    return {
        "group_id_src": entry.group,
        "group_tree": [
            {"id": entry.group, "title": entry.requirement, "description": "<GroupDescription></GroupDescription>"}
        ],
        "group_id": entry.group,
        "severity": one.severity,
        "group_title": title,
        "rule_id_src": entry.rule,
        "rule_id": entry.rule.removesuffix("_rule"),
        "rule_version": one.id,
        "rule_title": title,
        "fix_text": entry.fix or one.remedy,
        "weight": "10.0",
        "check_content": _check(one, entry),
        "check_content_ref": {"href": reference.file_name or reference.id, "name": "M"},
        "classification": "Unclassified",
        "discussion": entry.discussion or one.rationale,
        "false_positives": "",
        "false_negatives": "",
        "documentable": "false",
        "security_override_guidance": "",
        "potential_impacts": "",
        "third_party_tools": "",
        "ia_controls": "",
        "responsibility": "",
        "mitigations": "",
        "mitigation_control": "",
        "legacy_ids": list(entry.legacy),
        "ccis": list(entry.ccis),
        "reference_identifier": "",
        "uuid": _identifier(document, "rule", one.id),
        "stig_uuid": stig_uuid,
        "status": CKLB_STATUSES[CKL_STATUSES[one.status]],
        "overrides": {},
        "comments": describe.waiver(one),
        "finding_details": _details(one),
        "srg_id": entry.requirement,
    }


def _stig_data(document: model.Document, reference: Reference, found: list[model.Finding]) -> dict[str, Any]:
    stig_uuid = _stig_identifier(document, reference)
    rules = [_rule(document, one, reference, stig_uuid) for one in found]
    return {
        "stig_name": reference.title,
        "display_name": reference.title.removesuffix(" Security Technical Implementation Guide"),
        "stig_id": reference.id,
        "release_info": reference.release,
        "version": reference.version,
        "uuid": stig_uuid,
        "reference_identifier": "",
        "size": len(rules),
        "rules": rules,
    }


def render_cklb(document: model.Document, reference: Reference) -> str:
    """The STIG Viewer 3 checklist of one host."""
    target = {
        "target_type": "Computing",
        "host_name": document.host,
        "ip_address": _address(document),
        "mac_address": "",
        "fqdn": "",
        "comments": _comment(document),
        "role": "None",
        "is_web_database": False,
        "technology_area": TECHNOLOGY,
        "web_db_site": "",
        "web_db_instance": "",
        "classification": None,
    }
    whole = {
        "title": f"{document.host} {reference.id}",
        "id": _identifier(document, "checklist"),
        "stigs": [_stig_data(document, stig, found) for stig, found in parts(document, reference)],
        "active": True,
        "mode": 2,
        "has_path": False,
        "target_data": target,
        "cklb_version": "1.0",
    }
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False) + "\n"
