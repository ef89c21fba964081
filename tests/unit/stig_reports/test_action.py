"""The task in a real Ansible run: where findings come from, exit codes, and what an operator reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.action import stig_report
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.reports import fleet, writer
from fleetcase import HOSTILE, document, finding

PLAYBOOK = """
- name: Report
  hosts: all
  gather_facts: false
  tasks:
    - name: Reports are written
      stackwright.cloud.stig_report: {}
      run_once: true
      register: done
"""
HOSTS = {
    # as the engine returns it, and as a document alone
    "web1": {"__hardening_result": {"changed": False, "document": document("web1")}},
    "web2": {
        "__hardening_result": document(
            "web2", [finding(1, title="{{ undefined_variable }}", detail=HOSTILE.replace("\udc80", ""))]
        )
    },
    "gone": {"__hardening_result": {"unreachable": True, "msg": "No route to host"}},
    "broken": {"hardening_failure": "The catalogue knows no control X"},
    "silent": {},
}


class Run:
    """A directory to run the playbook in."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def play(self, hosts: dict[str, Any], *options: str, **arguments: Any) -> subprocess.CompletedProcess[str]:
        """Run the task for hosts that have these variables."""
        variables = {name: {"ansible_connection": "local", **own} for name, own in hosts.items()}
        (self.path / "site").mkdir(exist_ok=True)
        (self.path / "site" / "hosts.json").write_text(json.dumps({"all": {"hosts": variables}}))
        (self.path / "report.yml").write_text(PLAYBOOK.replace("{}", json.dumps(arguments)))
        (self.path / "ansible.cfg").write_text("[defaults]\nretry_files_enabled = False\n")
        program = Path(sys.executable).with_name("ansible-playbook")
        return subprocess.run(
            [str(program), "-i", "site", "report.yml", *options],
            cwd=self.path,
            env={"PATH": os.environ["PATH"], "HOME": str(self.path), "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def report(self) -> dict[str, Any]:
        """The JSON report at its usual place."""
        return dict(json.loads((self.path / ".stackwright/audit/site/reports/findings.json").read_text()))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_findings_of_all_hosts_are_reported_and_hosts_without_fail_the_play(run: Run) -> None:
    done = run.play(HOSTS)
    assert done.returncode == 2, done.stdout + done.stderr
    report = run.report()
    assert list(report["hosts"]) == ["web1", "web2"]
    assert report["not_audited"] == {
        "broken": "The catalogue knows no control X",
        "gone": "unreachable: No route to host",
        "silent": stig_report.NO_FINDINGS,
    }
    assert "The audit fails: not audited: broken, gone, silent. See .stackwright/audit/site/reports/index.html" in (
        done.stdout + done.stderr
    )


def test_text_of_hosts_is_never_a_template(run: Run) -> None:
    run.play(HOSTS)
    assert run.report()["hosts"]["web2"]["findings"]["UBTU-24-000001"]["title"] == "{{ undefined_variable }}"


@pytest.mark.parametrize(
    ("threshold", "status", "code"),
    [("high", "fail", 2), ("high", "waived", 0), ("medium", "error", 2), ("none", "fail", 0)],
)
def test_threshold_decides_the_exit_code(run: Run, threshold: str, status: str, code: int) -> None:
    found = document("a", [finding(1, status, "high")])
    done = run.play({"a": {"__hardening_result": found}}, fail_on=threshold)
    assert done.returncode == code, done.stdout + done.stderr
    assert (run.path / ".stackwright/audit/site/reports/index.html").exists()


def test_operator_reads_the_summary_line_by_line(run: Run) -> None:
    done = run.play({"web1": HOSTS["web1"]})
    lines = done.stdout.splitlines()
    assert any(line.split() == ["web1", *["1", "1", "1", "1", "1", "1", "1", "1", "-", "-"]] for line in lines)
    assert "Reports: .stackwright/audit/site/reports/index.html" in lines
    assert "changed=0" in lines[-2] + lines[-1]


def test_check_mode_writes_nothing(run: Run) -> None:
    done = run.play({"web1": HOSTS["web1"]}, "--check", fail_on="high")
    assert done.returncode == 2
    assert not (run.path / ".stackwright").exists()


def test_summary_alone_judges_and_leaves_the_reports_of_the_last_audit(run: Run) -> None:
    run.play({"web1": HOSTS["web1"]})
    before = run.report()
    found = {"__hardening_result": document("web9", [finding(1, "fail", "high")])}
    done = run.play({"web9": found}, summary_only=True, fail_on="high")
    assert done.returncode == 2
    assert "web9" in done.stdout and "Reports:" not in done.stdout
    assert "1 high finding is open on 1 of 1 host" in done.stdout and "Run audit.yml for the reports" in done.stdout
    assert run.report() == before


def test_limited_play_reports_the_hosts_of_the_play(run: Run) -> None:
    done = run.play(HOSTS, "--limit", "web2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(run.report()["hosts"]) == ["web2"]
    assert run.report()["not_audited"] == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep": 0}, "keep must be at least 1"),
        ({"formats": ["pdf"]}, "value of formats must be one or more of"),
        ({"fail_on": "severe"}, "value of fail_on must be one of"),
        ({"reference": "/nowhere.xml"}, "The STIG reference /nowhere.xml cannot be read"),
        ({"source": "/nowhere"}, "/nowhere is not a directory"),
    ],
)
def test_wrong_arguments_are_named(run: Run, arguments: dict[str, Any], message: str) -> None:
    done = run.play({"web1": HOSTS["web1"]}, **arguments)
    assert done.returncode == 2
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_source_directory_takes_the_place_of_variables(tmp_path: Path) -> None:
    reports = writer.run({"a": document("a"), "../b": document("b")}, {}, writer.Request(tmp_path / "first")).reports
    source = tmp_path / "source"
    source.mkdir()
    for name, folder in (("a", "a"), ("b", None)):
        found = (
            reports / "hosts" / (folder or next(one.name for one in (reports / "hosts").iterdir() if one.name != "a"))
        )
        (source / f"{name}.json").write_text((found / "findings.json").read_text())
    (source / "torn.json").write_text("{")
    documents, missing = stig_report.read_source(source, None)
    assert sorted(documents) == ["a", "b"]
    assert "torn.json cannot be read" in missing["torn"]
    documents, missing = stig_report.read_source(source, ["a", "c"])
    assert list(documents) == ["a"]
    assert "there is no c.json" in missing["c"]
    with pytest.raises(fleet.ReportError, match="is not a directory"):
        stig_report.read_source(tmp_path / "nowhere", None)


@pytest.mark.parametrize(
    ("sources", "name"),
    [
        (["inventories/lab"], "lab"),
        (["/srv/clouds/north/hosts.yml"], "north"),
        (["inventories/lab.yml"], "lab"),
        (["web1,web2,"], "hosts"),
        ([], "hosts"),
        (["inventories/a", "inventories/b"], None),
    ],
)
def test_inventory_names_its_directory_of_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[str], name: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("lab", "a", "b"):
        (tmp_path / "inventories" / folder).mkdir(parents=True)
    made = stig_report.inventory_name(sources)
    assert made == name if name else made.startswith("a_b-")


def test_version_is_the_collection_s() -> None:
    assert stig_report.version().count(".") == 2
