"""XCCDF 1.2 (NIST IR 7275r4) and ARF 1.1 (NIST IR 7694) for one host: a Benchmark with the controls and a TestResult.

A waived control has the result `informational`, which counts neither as passed nor as failed, and its waiver as a
message. The `override` element would say more, but oscap's own rules then ask for one on every result of the host.
`manual` and `not_testable` are `notchecked`.

Rules have the identifiers of the official STIG where a reference gives them, and short ones of their own otherwise:
STIG Manager keeps the first 45 characters only.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import findings as model
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports import describe
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.checklist import Reference
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.fleet import Control
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports.text import xml, xml_attribute

NAMESPACE = "http://checklists.nist.gov/xccdf/1.2"
SPACE = "stackwright"
OFFICIAL = "xccdf_mil.disa.stig_rule_"
BENCHMARK = f"xccdf_{SPACE}_benchmark_hardening"
CHECKS = "urn:stackwright:hardening"
PLATFORM = "cpe:/o:debian:debian_linux"
TEST_SYSTEM = "cpe:/a:stackwright:cloud"
RESULTS = {
    "pass": "pass",
    "fail": "fail",
    "waived": "informational",
    "not_applicable": "notapplicable",
    "not_testable": "notchecked",
    "manual": "notchecked",
    "error": "error",
}
_SCORED = ("pass", "fail", "error")
_NOT_NAME = re.compile(r"[^A-Za-z0-9._-]")


def _id(kind: str, name: str) -> str:
    return f"xccdf_{SPACE}_{kind}_{_NOT_NAME.sub('_', name) or '_'}"


def rule_id(control: str, reference: Reference) -> str:
    """The identifier of a control's rule: the official one where the reference has it."""
    entry = reference.entries.get(control)
    return OFFICIAL + _NOT_NAME.sub("_", entry.rule) if entry and entry.rule else _id("rule", control)


@lru_cache(maxsize=2048)
def _rule(control: Control, identifier: str) -> str:
    parts = [
        f'<Rule id="{identifier}" severity="{control.severity}" weight="1.0" selected="true">',
        f"<version>{xml(control.id)}</version>",
        f"<title>{xml(control.title or control.id)}</title>",
        f"<description>{xml(control.title or control.id)}</description>",
    ]
    if control.rationale:
        parts.append(f"<rationale>{xml(control.rationale)}</rationale>")
    for name in control.rules or ((control.rule,) if control.rule else ()):
        parts.append(f'<ident system="https://github.com/ComplianceAsCode/content">{xml(name)}</ident>')
    if control.remedy:
        parts.append(f"<fixtext>{xml(control.remedy)}</fixtext>")
    return "".join([*parts, _check(control.id), "</Rule>"])


def _check(control: str) -> str:
    """The engine as checking system; what it saw is in the findings document beside the report."""
    return f'<check system="{CHECKS}"><check-content-ref href="findings.json" name="{xml_attribute(control)}"/></check>'


def _own(one: model.Finding) -> Control:
    return Control(one.id, one.rule, one.severity, one.title, one.rationale, one.remedy, tuple(one.rules))


def _benchmark(document: model.Document, version: str, results: str, reference: Reference) -> str:
    names = {one.id: rule_id(one.id, reference) for one in document.findings}
    chosen = "".join(f'<select idref="{names[one.id]}" selected="true"/>' for one in document.findings)
    rules = "\n".join(_rule(_own(one), names[one.id]) for one in document.findings)
    profile = xml(document.profile)
    return (
        f'<Benchmark xmlns="{NAMESPACE}" id="{BENCHMARK}" xml:lang="en" resolved="true">'
        f'<status date="{document.time[:10]}">accepted</status>'
        "<title>Stackwright hardening</title>"
        "<description>Controls for Debian hosts, after the identifiers of the Ubuntu 24.04 STIG.</description>"
        f'<platform idref="{PLATFORM}"/><version>{xml(version)}</version>'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator>Stackwright</dc:creator></metadata>'
        f'<Profile id="{_id("profile", document.profile)}"><title>{profile}</title>{chosen}</Profile>\n'
        f"{rules}\n{results}</Benchmark>"
    )


def _rule_result(one: model.Finding, time: str, reference: Reference) -> str:
    parts = [
        f'<rule-result idref="{rule_id(one.id, reference)}" severity="{one.severity}" time="{time}" weight="1.0">',
        f"<result>{RESULTS[one.status]}</result>",
    ]
    if one.status == "waived":
        parts.append(f'<message severity="warning">{xml(describe.waiver(one) or "Waived.")}</message>')
    severity = "error" if one.status == "error" else "info"
    if one.detail:
        parts.append(f'<message severity="{severity}">{xml(one.detail)}</message>')
    for seen in one.evidence:
        line = f"{seen.where}: expected {seen.expected}; found {seen.found}"
        parts.append(f'<message severity="info">{xml(line)}</message>')
    return "".join([*parts, _check(one.id), "</rule-result>"])


def _facts(document: model.Document) -> str:
    system = document.system
    facts = {
        "distribution": ("string", system.distribution),
        "version": ("string", system.version),
        "kernel": ("string", system.kernel),
        "container": ("boolean", "true" if system.container else "false"),
    }
    inner = "".join(
        f'<fact name="urn:stackwright:fact:{name}" type="{kind}">{xml(value)}</fact>'
        for name, (kind, value) in facts.items()
        if value
    )
    return f"<target-facts>{inner}</target-facts>"


def _result(document: model.Document, version: str, reference: Reference, *, namespace: bool) -> str:
    time = xml_attribute(document.time)
    passed = sum(one.status == "pass" for one in document.findings)
    scored = sum(one.status in _SCORED for one in document.findings)
    share = 100 * passed / scored if scored else 0.0
    declared = f' xmlns="{NAMESPACE}"' if namespace else ""
    address = f"<target-address>{xml(document.system.address)}</target-address>" if document.system.address else ""
    title = f"Hardening of {document.host}: {document.mode} {document.run_id or ''}".strip()
    results = "\n".join(_rule_result(one, time, reference) for one in document.findings)
    return (
        f'<TestResult{declared} id="{_id("testresult", document.host)}" start-time="{time}" end-time="{time}" '
        f'version="{xml_attribute(version)}" test-system="{TEST_SYSTEM}">'
        f'<benchmark href="#{BENCHMARK}" id="{BENCHMARK}"/>'
        f"<title>{xml(title)}</title>"
        f'<profile idref="{_id("profile", document.profile)}"/>'
        f"<target>{xml(document.host)}</target>{address}{_facts(document)}\n{results}\n"
        f'<score system="urn:xccdf:scoring:default" maximum="100.000000">{share:.6f}</score>'
        f'<score system="urn:xccdf:scoring:flat-unweighted" maximum="{scored}.0">{passed}.0</score>'
        "</TestResult>\n"
    )


def render(document: model.Document, version: str, reference: Reference | None = None) -> str:
    """The XCCDF of one host.

    :param version: of the collection; it is the benchmark's.
    :param reference: the official STIG, whose rule identifiers are then used.
    """
    known = reference or Reference()
    result = _result(document, version, known, namespace=False)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_benchmark(document, version, result, known)}\n'


def _asset(document: model.Document) -> str:
    try:
        address = ip_address(document.system.address)
    except ValueError:
        connections = ""
    else:
        text = address.exploded.upper() if address.version == 6 else str(address)
        tag = f"ip-v{address.version}"
        connections = (
            f"<ai:connections><ai:connection><ai:ip-address><ai:{tag}>{text}</ai:{tag}></ai:ip-address>"
            "</ai:connection></ai:connections>"
        )
    label = re.fullmatch(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*", document.host)
    name = f"<ai:hostname>{xml(document.host)}</ai:hostname>" if label and len(document.host) <= 255 else ""
    return f"<ai:computing-device>{connections}{name}</ai:computing-device>"


def render_arf(document: model.Document, version: str, reference: Reference | None = None) -> str:
    """The ARF of one host: the benchmark as the request, the host as the asset, the result as the report."""
    known = reference or Reference()
    vocabulary = "http://scap.nist.gov/specifications/arf/vocabulary/relationships/1.0#"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<arf:asset-report-collection xmlns:arf="http://scap.nist.gov/schema/asset-reporting-format/1.1" '
        'xmlns:core="http://scap.nist.gov/schema/reporting-core/1.1" '
        'xmlns:ai="http://scap.nist.gov/schema/asset-identification/1.1">'
        f'<core:relationships xmlns:arfvocab="{vocabulary}">'
        '<core:relationship type="arfvocab:createdFor" subject="report"><core:ref>request</core:ref>'
        '</core:relationship><core:relationship type="arfvocab:isAbout" subject="report"><core:ref>asset</core:ref>'
        "</core:relationship>"
        "</core:relationships>"
        '<arf:report-requests><arf:report-request id="request"><arf:content>'
        f"{_benchmark(document, version, '', known)}</arf:content></arf:report-request></arf:report-requests>"
        f'<arf:assets><arf:asset id="asset">{_asset(document)}</arf:asset></arf:assets>'
        f"<arf:reports><arf:report "
        f'id="report"><arf:content>{_result(document, version, known, namespace=True)}</arf:content>'
        "</arf:report></arf:reports></arf:asset-report-collection>\n"
    )
