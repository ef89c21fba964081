"""Every report, opened with its own reader or validator."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import junitparser
import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import findings
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports import (
    as_json,
    checklist,
    fleet,
    junit,
    sarif,
    text,
    xccdf,
)
from fleetcase import HOSTILE, document, finding, hostile
from sarif_pydantic import Sarif

XCCDF = f"{{{xccdf.NAMESPACE}}}"
VISIBLE = text.clean(HOSTILE)


@pytest.fixture
def audit() -> fleet.Fleet:
    earlier = {"web1": fleet.Earlier("2026-01-01T00:00:00Z", {"UBTU-24-000001": "fail", "UBTU-24-000008": "pass"})}
    return fleet.build({"web1": document("web1"), "x": hostile()}, {"gone": "unreachable"}, earlier)


def one(audit: fleet.Fleet, host: str) -> findings.Document:
    return next(found for found in audit.documents if found.host == host)


def run(*command: str | Path) -> str:
    """What a validator prints; it must succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# JSON


def test_json_gives_every_document_back(audit: fleet.Fleet) -> None:
    whole = json.loads("".join(as_json.render(audit)))
    for found in audit.documents:
        entry = whole["hosts"][found.host]
        rebuilt = []
        for name, own in entry["findings"].items():
            rebuilt.append({"id": name, **whole["controls"][name], **own})
        again = findings.parse(
            {
                "schema": 1,
                "host": found.host,
                **{key: entry[key] for key in ("time", "mode", "profile", "system", "run_id", "drift", "state")},
                "findings": rebuilt,
            }
        )
        assert again.as_dict()["findings"] == found.as_dict()["findings"]
        assert again.as_dict()["system"] == found.as_dict()["system"]


def test_json_tells_changes_and_hosts_without_an_audit(audit: fleet.Fleet) -> None:
    whole = json.loads("".join(as_json.render(audit)))
    assert whole["not_audited"] == {"gone": "unreachable"}
    web1 = whole["hosts"]["web1"]
    assert web1["compared_with"] == "2026-01-01T00:00:00Z"
    assert web1["changes"] == {"UBTU-24-000001": "still_open", "UBTU-24-000007": "new", "UBTU-24-000008": "new"}
    assert whole["hosts"]["x"]["compared_with"] is None


# JUnit


@pytest.fixture
def suites(audit: fleet.Fleet) -> junitparser.JUnitXml:
    return junitparser.JUnitXml.fromstring("".join(junit.render(audit)).encode())


def test_junit_has_a_suite_for_each_host_and_a_case_for_each_control(suites: junitparser.JUnitXml) -> None:
    assert [suite.name for suite in suites] == ["web1", "x", "gone"]
    assert [len(list(suite)) for suite in suites] == [8, 2, 1]


def test_junit_results_follow_the_status_and_waived_is_skipped(suites: junitparser.JUnitXml) -> None:
    web1 = next(iter(suites))
    kinds = {case.name.split()[0]: [type(result).__name__ for result in case.result] for case in web1}
    assert kinds == {
        "UBTU-24-000001": ["Failure"],
        "UBTU-24-000002": [],
        "UBTU-24-000003": ["Skipped"],
        "UBTU-24-000004": ["Skipped"],
        "UBTU-24-000005": ["Skipped"],
        "UBTU-24-000006": ["Skipped"],
        "UBTU-24-000007": ["Error"],
        "UBTU-24-000008": ["Failure"],
    }
    waived = next(case for case in web1 if case.name.startswith("UBTU-24-000003"))
    assert waived.result[0].message == "waived: Waived by Ada until 2030-01-31: The service needs it"


def test_junit_counts_agree_with_its_cases(suites: junitparser.JUnitXml) -> None:
    said = [(suites.tests, suites.failures, suites.errors, suites.skipped)]
    said += [(suite.tests, suite.failures, suite.errors, suite.skipped) for suite in suites]
    suites.update_statistics()
    assert said[0] == (suites.tests, suites.failures, suites.errors, suites.skipped)
    for suite, before in zip(suites, said[1:], strict=True):
        suite.update_statistics()
        assert before == (suite.tests, suite.failures, suite.errors, suite.skipped)


def test_junit_host_without_findings_is_an_error(suites: junitparser.JUnitXml) -> None:
    gone = list(suites)[-1]
    assert [type(result).__name__ for case in gone for result in case.result] == ["Error"]
    assert next(iter(gone)).result[0].message == "unreachable"


def test_junit_keeps_evidence_of_several_lines(suites: junitparser.JUnitXml) -> None:
    case = next(case for case in list(suites)[1] if case.name.startswith("UBTU-24-000001"))
    assert VISIBLE in case.result[0].text
    assert case.name == f"UBTU-24-000001 {VISIBLE}"


# SARIF


@pytest.fixture
def log(audit: fleet.Fleet) -> dict[str, Any]:
    return dict(json.loads("".join(sarif.render(audit, "1.2.3"))))


def test_sarif_is_read_by_a_typed_reader(audit: fleet.Fleet) -> None:
    read = Sarif.model_validate_json("".join(sarif.render(audit, "1.2.3")))
    assert read.runs[0].tool.driver.name == "Stackwright hardening"
    assert len(read.runs[0].results or []) == 7


def test_sarif_results_are_complete_and_consistent(log: dict[str, Any]) -> None:
    assert log["version"] == "2.1.0"
    (only,) = log["runs"]
    rules = only["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules) == 8
    prints = set()
    for result in only["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        # Section 3.27.10: a level other than none is for failures only.
        assert (result["level"] == "none") == (result["kind"] != "fail")
        for place in result["locations"]:
            address = urlsplit(place["physicalLocation"]["artifactLocation"]["uri"])
            assert (address.scheme, address.path[:1]) == ("file", "/")
            assert address.path.isascii()
        prints.add(result["partialFingerprints"]["hostControl/v1"])
    assert len(prints) == len(only["results"])


def test_sarif_leaves_out_what_passed_and_suppresses_what_is_waived(log: dict[str, Any]) -> None:
    found = {(one["properties"]["host"], one["ruleId"]): one for one in log["runs"][0]["results"]}
    kinds = {rule: result["kind"] for (host, rule), result in found.items() if host == "web1"}
    assert kinds == {
        "UBTU-24-000001": "fail",
        "UBTU-24-000003": "fail",
        "UBTU-24-000006": "review",
        "UBTU-24-000007": "fail",
        "UBTU-24-000008": "fail",
    }
    suppressed = {rule for (host, rule), result in found.items() if host == "web1" and "suppressions" in result}
    assert suppressed == {"UBTU-24-000003"}
    (suppression,) = found["web1", "UBTU-24-000003"]["suppressions"]
    assert suppression["status"] == "accepted"
    assert "Ada" in suppression["justification"]


def test_sarif_baseline_tells_new_from_old(log: dict[str, Any]) -> None:
    states = {
        one["ruleId"]: one["baselineState"] for one in log["runs"][0]["results"] if one["properties"]["host"] == "web1"
    }
    assert states["UBTU-24-000001"] == "unchanged"
    assert states["UBTU-24-000008"] == "new"


def test_sarif_says_that_a_host_was_not_audited(log: dict[str, Any]) -> None:
    (invocation,) = log["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "gone was not audited" in invocation["toolExecutionNotifications"][0]["message"]["text"]


@pytest.mark.parametrize(
    ("where", "uri", "line"),
    [
        ("/etc/ssh/sshd_config:12", "file://web1/etc/ssh/sshd_config", 12),
        ("/etc/a b:c", "file://web1/etc/a%20b%3Ac", None),
        ("sshd -T", "file://web1/", None),
        ("", "file://web1/", None),
    ],
)
def test_sarif_location_names_host_file_and_line(where: str, uri: str, line: int | None) -> None:
    place = sarif.location("web1", where)["physicalLocation"]
    assert place["artifactLocation"]["uri"] == uri
    assert place.get("region", {}).get("startLine") == line


# XCCDF and ARF


@pytest.mark.parametrize("host", ["web1", "x"])
def test_xccdf_satisfies_oscap(audit: fleet.Fleet, tmp_path: Path, host: str) -> None:
    path = tmp_path / "xccdf.xml"
    path.write_text(xccdf.render(one(audit, host), "1.2.3"), encoding="utf-8")
    assert "Error" not in run("oscap", "xccdf", "validate", path)
    run("oscap", "xccdf", "generate", "report", "--output", tmp_path / "report.html", path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(re.findall(r'class="rule-overview-leaf[^"]*rule-overview-leaf-', page)) == len(one(audit, host).findings)
    if host == "web1":
        assert "Waived by Ada until 2030-01-31" in page


@pytest.mark.parametrize("host", ["web1", "x"])
def test_arf_satisfies_oscap(audit: fleet.Fleet, tmp_path: Path, host: str) -> None:
    path = tmp_path / "arf.xml"
    path.write_text(xccdf.render_arf(one(audit, host), "1.2.3"), encoding="utf-8")
    run("oscap", "ds", "rds-validate", path)
    told = run("oscap", "info", path)
    assert "Result Data Stream" in told
    assert f"Result ID: xccdf_stackwright_testresult_{host}" in told


def test_xccdf_results_follow_the_status_and_waived_counts_on_neither_side(audit: fleet.Fleet) -> None:
    root = ElementTree.fromstring(xccdf.render(one(audit, "web1"), "1.2.3"))
    results = {
        (entry.get("idref") or "").rpartition("-")[2]: entry.findtext(f"{XCCDF}result")
        for entry in root.iter(f"{XCCDF}rule-result")
    }
    assert results == {
        "000001": "fail",
        "000002": "pass",
        "000003": "informational",
        "000004": "notapplicable",
        "000005": "notchecked",
        "000006": "notchecked",
        "000007": "error",
        "000008": "fail",
    }
    scores = {(score.get("system") or "").rpartition(":")[2]: score for score in root.iter(f"{XCCDF}score")}
    assert scores["default"].text == "25.000000"
    assert (scores["flat-unweighted"].text, scores["flat-unweighted"].get("maximum")) == ("1.0", "4.0")


def test_xccdf_of_a_host_without_a_scored_control_is_valid(tmp_path: Path) -> None:
    audit = fleet.build({"a": document("a", [finding(1, "manual")], run_id="20260101-1")}, {})
    path = tmp_path / "xccdf.xml"
    path.write_text(xccdf.render(one(audit, "a"), "1.2.3"), encoding="utf-8")
    run("oscap", "xccdf", "validate", path)


@pytest.mark.parametrize("address", ["2001:db8::1", "10.0.0.5", "", "node.example.org"])
def test_arf_takes_any_address(tmp_path: Path, address: str) -> None:
    system = {"distribution": "debian", "version": "13", "kernel": "6", "container": False, "address": address}
    audit = fleet.build({"a": document("a", system=system)}, {})
    path = tmp_path / "arf.xml"
    path.write_text(xccdf.render_arf(one(audit, "a"), "1.2.3"), encoding="utf-8")
    run("oscap", "ds", "rds-validate", path)


# STIG Viewer checklists

ASSET = (
    "ROLE ASSET_TYPE MARKING HOST_NAME HOST_IP HOST_MAC HOST_FQDN TARGET_COMMENT TECH_AREA TARGET_KEY WEB_OR_DATABASE "
    "WEB_DB_SITE WEB_DB_INSTANCE"
)
INFORMATION = "version classification customname stigid description filename releaseinfo title uuid notice source"
ATTRIBUTES = (
    "Vuln_Num Severity Group_Title Rule_ID Rule_Ver Rule_Title Vuln_Discuss IA_Controls Check_Content Fix_Text "
    "False_Positives False_Negatives Documentable Mitigations Potential_Impact Third_Party_Tools Mitigation_Control "
    "Responsibility Security_Override_Guidance Check_Content_Ref Weight Class STIGRef TargetKey STIG_UUID LEGACY_ID "
    "LEGACY_ID"
)
RULE_KEYS = (
    "group_id_src group_tree group_id severity group_title rule_id_src rule_id rule_version rule_title fix_text weight "
    "check_content check_content_ref classification discussion false_positives false_negatives documentable "
    "security_override_guidance potential_impacts third_party_tools ia_controls responsibility mitigations "
    "mitigation_control legacy_ids ccis reference_identifier uuid stig_uuid status overrides comments finding_details "
    "srg_id"
)
OFFICIAL = """<?xml version="1.0"?>
<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.1" id="CAN_Ubuntu_24-04_STIG">
  <title>Canonical Ubuntu 24.04 LTS Security Technical Implementation Guide</title>
  <plain-text id="release-info">Release: 1 Benchmark Date: 15 Oct 2025</plain-text><version>1</version>
  <Group id="V-900001"><title>SRG-OS-000001</title>
    <Rule id="SV-900001r7_rule" severity="high"><version>UBTU-24-000001</version><title>Official title</title>
      <description
>&lt;VulnDiscussion&gt;Official discussion&lt;/VulnDiscussion&gt;&lt;IAControls&gt;&lt;/IAControls&gt;</description>
      <ident system="http://cyber.mil/cci">CCI-000366</ident><ident system="http://cyber.mil/legacy">V-12345</ident>
      <fixtext fixref="F-1">Official fix</fixtext>
      <check system="C-1"><check-content>Official check</check-content></check>
    </Rule></Group>
</Benchmark>
"""


@pytest.fixture
def reference(tmp_path: Path) -> checklist.Reference:
    path = tmp_path / "official.xml"
    path.write_text(OFFICIAL, encoding="utf-8")
    return checklist.read_reference(path)


def vulnerabilities(root: ElementTree.Element) -> Iterator[tuple[dict[str, str], ElementTree.Element]]:
    for entry in root.iter("VULN"):
        names = [data.findtext("VULN_ATTRIBUTE") or "" for data in entry.iter("STIG_DATA")]
        values = [data.findtext("ATTRIBUTE_DATA") or "" for data in entry.iter("STIG_DATA")]
        yield dict(zip(names, values, strict=True)), entry


def ckl(audit: fleet.Fleet, host: str, reference: checklist.Reference | None = None) -> ElementTree.Element:
    pieces = checklist.render_ckl(one(audit, host), reference or checklist.Reference())
    return ElementTree.fromstring("".join(pieces))


@pytest.mark.parametrize("host", ["web1", "x"])
def test_ckl_has_the_elements_in_the_order_that_stig_viewer_wants(
    audit: fleet.Fleet, reference: checklist.Reference, host: str
) -> None:
    root = ckl(audit, host, reference)
    asset, stigs = list(root)
    assert (root.tag, asset.tag, stigs.tag) == ("CHECKLIST", "ASSET", "STIGS")
    assert [entry.tag for entry in asset] == ASSET.split()
    for stig in stigs:
        assert [entry.findtext("SID_NAME") for entry in stig[0]] == INFORMATION.split()
        assert {entry.tag for entry in stig[1:]} == {"VULN"}
    for entry in stigs.iter("VULN"):
        names = [data.findtext("VULN_ATTRIBUTE") for data in entry.iter("STIG_DATA")]
        wanted = ATTRIBUTES.split()
        assert names[: len(wanted)] == wanted
        assert set(names[len(wanted) :]) <= {"CCI_REF"}
        assert [child.tag for child in entry][len(names) :] == [
            "STATUS",
            "FINDING_DETAILS",
            "COMMENTS",
            "SEVERITY_OVERRIDE",
            "SEVERITY_JUSTIFICATION",
        ]


def test_ckl_statuses_keep_a_waived_finding_open_with_its_waiver(audit: fleet.Fleet) -> None:
    found = {data["Rule_Ver"]: entry for data, entry in vulnerabilities(ckl(audit, "web1"))}
    assert {name[-1]: entry.findtext("STATUS") for name, entry in found.items()} == {
        "1": "Open",
        "2": "NotAFinding",
        "3": "Open",
        "4": "Not_Applicable",
        "5": "Not_Reviewed",
        "6": "Not_Reviewed",
        "7": "Not_Reviewed",
        "8": "Open",
    }
    assert found["UBTU-24-000003"].findtext("COMMENTS") == "Waived by Ada until 2030-01-31: The service needs it"
    assert "/etc/ssh/sshd_config:12: expected yes; found no" in (
        found["UBTU-24-000001"].findtext("FINDING_DETAILS") or ""
    )


def test_ckl_names_the_host_and_keeps_hostile_text_as_text(audit: fleet.Fleet) -> None:
    assert ckl(audit, "web1").findtext("ASSET/HOST_NAME") == "web1"
    assert ckl(audit, "web1").findtext("ASSET/HOST_IP") == "10.0.0.5"
    (data, _), _ = vulnerabilities(ckl(audit, "x"))
    assert data["Rule_Title"] == VISIBLE
    assert ckl(audit, "x").findtext("ASSET/HOST_IP") == ""


def beyond(audit: fleet.Fleet) -> findings.Document:
    whole = copy.deepcopy(one(audit, "web1"))
    own = copy.deepcopy(whole.findings[0])
    own.id = "STACKWRIGHT-000010"
    whole.findings.append(own)
    return whole


@pytest.mark.parametrize("official", [True, False])
def test_controls_beyond_the_stig_never_stand_under_its_name(
    audit: fleet.Fleet, reference: checklist.Reference, official: bool
) -> None:
    host, chosen = beyond(audit), reference if official else checklist.Reference()
    root = ElementTree.fromstring("".join(checklist.render_ckl(host, chosen)))
    names = [
        entry.findtext("SID_DATA") for stig in root[1] for entry in stig[0] if entry.findtext("SID_NAME") == "stigid"
    ]
    assert names == [chosen.id, "Stackwright_Beyond_STIG"]
    whole = json.loads(checklist.render_cklb(host, chosen))
    first, second = whole["stigs"]
    assert [rule["rule_version"] for rule in first["rules"]] == (
        ["UBTU-24-000001"] if official else [f"UBTU-24-{number:06d}" for number in range(1, 9)]
    )
    assert "STACKWRIGHT-000010" in [rule["rule_version"] for rule in second["rules"]]
    assert first["size"] + second["size"] == len(host.findings)
    assert first["uuid"] != second["uuid"]
    for stig, element in zip((first, second), root[1], strict=True):
        found = [rule["rule_version"] for rule in stig["rules"]]
        assert found == [data["Rule_Ver"] for data, _ in vulnerabilities(element)]
        # A reader takes the number after "Release:" for the revision where a blank follows it.
        assert re.search(r"Release:\s*(\S+)\s", stig["release_info"])


def test_identifiers_of_xccdf_stay_apart_when_cut_and_are_the_official_ones_where_known(
    audit: fleet.Fleet, reference: checklist.Reference
) -> None:
    host = beyond(audit)
    for whole in (xccdf.render(host, "1.2.3", reference), xccdf.render_arf(host, "1.2.3", reference)):
        root = ElementTree.fromstring(whole)
        results = [result.get("idref") or "" for result in root.iter(f"{XCCDF}rule-result")]
        assert results[0] == "xccdf_mil.disa.stig_rule_SV-900001r7_rule"
        assert results == [result.get("id") for result in root.iter(f"{XCCDF}Rule")]
        assert len({name.removeprefix("xccdf_mil.disa.stig_rule_")[:45] for name in results}) == len(host.findings)


def test_reference_gives_the_official_identifiers_and_texts(audit: fleet.Fleet, reference: checklist.Reference) -> None:
    first, second, *_ = (data for data, _ in vulnerabilities(ckl(audit, "web1", reference)))
    assert (first["Vuln_Num"], first["Rule_ID"], first["CCI_REF"]) == ("V-900001", "SV-900001r7_rule", "CCI-000366")
    assert (first["Rule_Title"], first["Vuln_Discuss"]) == ("Official title", "Official discussion")
    assert (first["Check_Content"], first["Fix_Text"]) == ("Official check", "Official fix")
    assert first["STIGRef"].endswith("Guide :: Version 1, Release: 1 Benchmark Date: 15 Oct 2025")
    assert (second["Vuln_Num"], second["STIGRef"][:35]) == ("UBTU-24-000002", "Stackwright hardening of Debian, co")
    whole = json.loads(checklist.render_cklb(one(audit, "web1"), reference))
    rule = whole["stigs"][0]["rules"][0]
    assert (rule["group_id"], rule["rule_id"], rule["ccis"]) == ("V-900001", "SV-900001r7", ["CCI-000366"])
    assert (rule["legacy_ids"], rule["srg_id"]) == (["V-12345"], "SRG-OS-000001")
    assert whole["stigs"][0]["stig_id"] == "CAN_Ubuntu_24-04_STIG"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("not XML", "cannot be read"),
        ("<html/>", "is a html, not an XCCDF Benchmark"),
        ('<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.2"/>', "has no rules"),
    ],
)
def test_wrong_reference_is_refused_with_what_to_give(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "reference.xml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(fleet.ReportError, match=f"{message}.*Give the manual XCCDF"):
        checklist.read_reference(path)


@pytest.mark.parametrize("host", ["web1", "x"])
def test_cklb_has_the_shape_that_stig_viewer_3_writes(audit: fleet.Fleet, host: str) -> None:
    whole = json.loads(checklist.render_cklb(one(audit, host), checklist.Reference()))
    assert list(whole) == ["title", "id", "stigs", "active", "mode", "has_path", "target_data", "cklb_version"]
    assert whole["cklb_version"] == "1.0"
    (stig,) = whole["stigs"]
    assert stig["size"] == len(stig["rules"]) == len(one(audit, host).findings)
    assert uuid.UUID(whole["id"]) != uuid.UUID(stig["uuid"])
    assert len({rule["uuid"] for rule in stig["rules"]}) == stig["size"]
    for rule in stig["rules"]:
        assert list(rule) == RULE_KEYS.split()
        assert rule["stig_uuid"] == stig["uuid"]
        assert rule["status"] in {"open", "not_a_finding", "not_applicable", "not_reviewed"}
        assert rule["severity"] in {"high", "medium", "low"}


def test_both_checklists_say_the_same(audit: fleet.Fleet) -> None:
    rules = json.loads(checklist.render_cklb(one(audit, "web1"), checklist.Reference()))["stigs"][0]["rules"]
    for rule, (data, entry) in zip(rules, vulnerabilities(ckl(audit, "web1")), strict=True):
        assert rule["rule_version"] == data["Rule_Ver"]
        assert rule["status"] == (entry.findtext("STATUS") or "").replace("NotAFinding", "not_a_finding").lower()
        assert rule["finding_details"] == entry.findtext("FINDING_DETAILS")
        assert rule["comments"] == entry.findtext("COMMENTS")
