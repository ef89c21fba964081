"""What is written, where, for whom, and what stays when writing fails."""

from __future__ import annotations

import gzip
import json
import os
import resource
import stat
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports import fleet, history, writer
from fleetcase import HOSTILE, document, finding, hostile

DOCUMENTS = {"web1": document("web1"), "web2": document("web2")}


def write(path: Path, documents: dict[str, Any] | None = None, **more: Any) -> writer.Outcome:
    return writer.run(DOCUMENTS if documents is None else documents, {}, writer.Request(path, **more))


def tree(path: Path) -> set[str]:
    return {str(found.relative_to(path)) for found in path.rglob("*") if found.is_file()}


def test_one_call_writes_every_format(tmp_path: Path) -> None:
    outcome = write(tmp_path)
    per_host = {"findings.json", "xccdf.xml", "arf.xml", "checklist.ckl", "checklist.cklb"}
    assert tree(outcome.reports) == {
        "index.html",
        "findings.json",
        "junit.xml",
        "audit.sarif",
        *(f"hosts/{host}/{name}" for host in DOCUMENTS for name in per_host),
    }
    assert outcome.paths["html"] == str(tmp_path / "reports" / "index.html")


def test_chosen_formats_alone_are_written(tmp_path: Path) -> None:
    assert tree(write(tmp_path, formats=("junit",)).reports) == {"junit.xml"}
    assert tree(write(tmp_path, formats=("html", "ckl")).reports) == {
        "index.html",
        "hosts/web1/checklist.ckl",
        "hosts/web2/checklist.ckl",
    }


def test_unknown_format_is_named_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(fleet.ReportError, match=r"no report format pdf\. Known are html, json"):
        write(tmp_path, formats=("pdf",))


def test_reports_are_for_their_owner_only(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        write(tmp_path / "audit")
    finally:
        os.umask(old)
    for found in (tmp_path / "audit").rglob("*"):
        mode = stat.S_IMODE(found.lstat().st_mode)
        assert mode == (0o700 if found.is_dir() else 0o600), found


def test_host_names_never_lead_out_of_the_directory(tmp_path: Path) -> None:
    write(tmp_path / "audit", {"../../escape": document("a"), HOSTILE: hostile(), "..": document("c")})
    assert [found.name for found in tmp_path.iterdir()] == ["audit"]
    assert len(list((tmp_path / "audit" / "reports" / "hosts").iterdir())) == 3


def test_host_document_is_the_one_that_the_engine_made(tmp_path: Path) -> None:
    reports = write(tmp_path).reports
    kept = json.loads((reports / "hosts" / "web1" / "findings.json").read_text())
    assert kept["findings"] == DOCUMENTS["web1"]["findings"]


def test_second_audit_is_compared_with_the_first(tmp_path: Path) -> None:
    write(tmp_path, {"web1": document("web1", [finding(1, "fail"), finding(2, "fail"), finding(3)])})
    outcome = write(tmp_path, {"web1": document("web1", [finding(1, "pass"), finding(2, "fail"), finding(3, "fail")])})
    changes = outcome.totals["changes"]
    assert (changes["new"], changes["still_open"], changes["fixed"]) == (1, 1, 1)


def test_audit_of_some_hosts_does_not_blind_the_comparison_of_the_others(tmp_path: Path) -> None:
    write(tmp_path, {"a": document("a", [finding(1, "fail")]), "b": document("b", [finding(1, "fail")])})
    write(tmp_path, {"a": document("a", [finding(1, "pass")])})
    outcome = write(tmp_path, {"a": document("a", [finding(1, "fail")]), "b": document("b", [finding(1, "pass")])})
    assert (outcome.totals["changes"]["new"], outcome.totals["changes"]["fixed"]) == (1, 1)


def test_history_keeps_the_newest_audits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        """A clock that stands still: audits of the same second keep their order too."""

        @classmethod
        def now(cls, tz: object = None) -> Clock:
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(history, "datetime", Clock)
    for number in range(5):
        write(tmp_path, {"a": document("a", [finding(number)])}, keep=3)
    kept = history.audits(tmp_path / "history")
    assert len(kept) == 3
    found = []
    for audit in kept:
        with gzip.open(audit / "findings.json.gz", "rt", encoding="utf-8") as stream:
            found += list(json.load(stream)["hosts"]["a"]["findings"])
    assert found == ["UBTU-24-000004", "UBTU-24-000003", "UBTU-24-000002"]


def test_unreadable_earlier_audit_is_left_out_with_a_warning(tmp_path: Path) -> None:
    write(tmp_path, {"a": document("a", [finding(1, "fail")])})
    write(tmp_path, {"a": document("a", [finding(1, "pass")])})
    (history.audits(tmp_path / "history")[0] / "statuses.json").write_text("{broken")
    outcome = write(tmp_path, {"a": document("a", [finding(1, "pass")])})
    assert "statuses.json cannot be read" in outcome.warnings[0]
    assert outcome.totals["changes"]["fixed"] == 1


def test_check_mode_judges_and_writes_nothing(tmp_path: Path) -> None:
    outcome = write(tmp_path / "audit", write=False, fail_on="high")
    assert outcome.failure == "2 high findings are open on 2 of 2 hosts"
    assert not (tmp_path / "audit").exists()


def test_reports_are_written_although_the_threshold_fails_the_audit(tmp_path: Path) -> None:
    outcome = write(tmp_path, fail_on="medium")
    assert "2 high and 2 medium findings" in outcome.failure
    assert (outcome.reports / "index.html").exists()


def test_failure_in_the_middle_leaves_the_former_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = write(tmp_path).reports
    before = {name: (reports / name).read_bytes() for name in tree(reports)}

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device", "/audit/xccdf.xml")

    monkeypatch.setattr(writer.xccdf, "render", full)
    with pytest.raises(fleet.ReportError, match=r"cannot be written below .*No space left.*Make room"):
        write(tmp_path, {"other": document("other")})
    assert {name: (reports / name).read_bytes() for name in tree(reports)} == before
    assert [found.name for found in tmp_path.iterdir() if found.name.startswith(".")] == []
    assert len(history.audits(tmp_path / "history")) == 1


def test_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(fleet.ReportError, match=r"cannot be written below .*file"):
        write(tmp_path / "file" / "audit")


def test_audit_without_any_findings_reports_the_hosts_and_keeps_no_history(tmp_path: Path) -> None:
    outcome = writer.run({}, {"gone": "unreachable"}, writer.Request(tmp_path))
    assert outcome.failure == "not audited: gone"
    assert "unreachable" in (outcome.reports / "junit.xml").read_text()
    assert history.audits(tmp_path / "history") == []


def test_200_hosts_stay_far_below_a_gigabyte(tmp_path: Path) -> None:
    script = (
        "import json, resource, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import fleetcase\n"
        "from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports import writer\n"
        "writer.run(json.loads(json.dumps(fleetcase.fleet(200))), {}, writer.Request(Path(sys.argv[2])))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before.ru_utime
    assert int(done.stdout) * 1024 < 600_000_000
    assert spent < 60
    print(f"200 hosts: {int(done.stdout) // 1024} MB, {spent:.1f} CPU seconds")
