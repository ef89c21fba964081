"""What APIs must refuse: each check passes on a cloud that refuses, fails on one that does not, and leaves nothing
behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import security_probe as probe
from ansible_collections.stackwright.cloud.plugins.modules import security_probe as module
from ansible_collections.stackwright.cloud.plugins.modules import security_report as report

INSIDE = "http://192.0.2.11/"
Run = Callable[..., dict[str, Any]]


class Answer:
    def __init__(self, status: int, body: Any = None) -> None:
        self.status_code = status
        self.body = body

    def json(self) -> Any:
        return self.body


class Cloud:
    """Keystone and Glance as far as the checks ask them. ``lock`` wrong passwords lock a user out; 0 locks nobody
    out."""

    def __init__(self, lock: int = 6, rule: int = 12, methods: tuple[str, ...] = ("glance-direct",)) -> None:
        self.lock, self.rule, self.methods = lock, rule, methods
        self.users: dict[str, dict[str, Any]] = {}
        self.images: dict[str, Any] = {}
        self.logins: list[bool] = []
        self.identity = SimpleNamespace(request=self.answer)
        self.image: Any = SimpleNamespace(request=self.answer)
        self.catalog = [{"type": "identity"}, {"type": "image"}]
        self.session = SimpleNamespace(auth=self)
        self.service_catalog = self

    def get_access(self, session: Any) -> Cloud:
        assert session is self.session
        return self

    def answer(
        self, path: str, method: str, raise_exc: bool, json: Any = None, params: Any = None, authenticated: bool = True
    ) -> Answer:
        assert raise_exc is False
        match method, path.split("/")[1:]:
            case "POST", ["users"]:
                if len(json["user"]["password"]) < self.rule:
                    return Answer(400)
                user = {**json["user"], "id": f"u{len(self.users)}", "failed": 0}
                self.users[user["id"]] = user
                return Answer(201, {"user": user})
            case "GET", ["users"]:
                return Answer(200, {"users": list(self.users.values())})
            case "DELETE", ["users", user]:
                del self.users[user]
                return Answer(204)
            case "POST", ["auth", "tokens"]:
                assert authenticated is False
                given = json["auth"]["identity"]["password"]["user"]
                user = self.users[given["id"]]
                right = given["password"] == user["password"] and not (self.lock and user["failed"] >= self.lock)
                user["failed"] += not right
                self.logins.append(right)
                return Answer(201 if right else 401)
            case "GET", ["info", "import"]:
                return Answer(200, {"import-methods": {"value": list(self.methods)}})
            case "POST", ["images"]:
                self.images["i"] = json
                return Answer(201, {"id": "i"})
            case "POST", ["images", "i", "import"]:
                assert json["method"] == {"name": "web-download", "uri": INSIDE}
                return Answer(202 if "web-download" in self.methods else 400)
            case "DELETE", ["images", "i"]:
                del self.images["i"]
                return Answer(204)
        raise AssertionError((method, path))

    def without_images(self) -> Cloud:
        # the SDK hands over something that fails at its first use
        self.image = None
        self.catalog = [{"type": "identity"}]
        return self

    def rows(self, attempts: int = 6, services: tuple[str, ...] = ()) -> dict[str, Any]:
        rows = probe.Probe(self, attempts, list(services), INSIDE).rows()
        assert not [user for user in self.users.values() if user["name"].startswith(probe.PREFIX)]
        assert not self.images
        return {row.check: row for row in rows}


def test_a_cloud_without_an_image_service_has_no_row_for_it() -> None:
    assert probe.IMPORT not in Cloud().without_images().rows()
    assert probe.IMPORT in Cloud().rows()


def test_cloud_that_refuses_passes_and_keeps_nothing() -> None:
    cloud = Cloud()
    rows = cloud.rows()
    assert {row.status for row in rows.values()} == {"passed"}
    # the password was good before, and only then came the wrong ones
    assert cloud.logins == [True] + [False] * 7
    assert rows[probe.LOCKOUT].value == "after 6 wrong passwords the right one is refused"


def test_cloud_that_locks_nobody_out_fails() -> None:
    rows = Cloud(lock=0).rows()
    assert rows[probe.LOCKOUT].status == "failed"
    assert "keystone_lockout_failure_attempts" in rows[probe.LOCKOUT].cause
    assert Cloud(lock=7).rows()[probe.LOCKOUT].status == "failed"


def test_weak_password_that_is_taken_fails_and_its_user_goes() -> None:
    assert Cloud(rule=0).rows()[probe.PASSWORDS].status == "failed"


def test_service_that_anybody_can_lock_out_fails() -> None:
    cloud = Cloud()
    cloud.users = {
        "1": {"name": "nova", "id": "1", "options": {"ignore_lockout_failure_attempts": True}},
        "2": {"name": "glance", "id": "2"},
    }
    assert cloud.rows(services=("nova", "absent"))[probe.EXEMPT].status == "passed"
    row = cloud.rows(services=("nova", "glance"))[probe.EXEMPT]
    assert (row.status, row.value) == ("failed", "can be locked out: glance")
    assert Cloud(lock=0).rows(attempts=0, services=("nova", "glance"))[probe.EXEMPT].status == "passed"


def test_image_service_that_fetches_from_inside_fails() -> None:
    row = Cloud(methods=("glance-direct", "web-download")).rows()[probe.IMPORT]
    assert row.status == "failed"
    assert "web-download from http://192.0.2.11/ gives HTTP 202" in row.value


def test_service_that_does_not_answer_fails_the_check_and_no_other() -> None:
    cloud = Cloud()

    def refuse(*arguments: Any, **more: Any) -> Answer:
        raise ConnectionError("connection refused")

    cloud.image = SimpleNamespace(get_endpoint=lambda: "http://192.0.2.11:9292", request=refuse)
    rows = cloud.rows()
    assert rows[probe.IMPORT].value == "cannot be asked: connection refused"
    assert rows[probe.LOCKOUT].status == "passed"


ARGUMENTS = {
    "auth": {
        "auth_url": "http://192.0.2.11:5000/v3",
        "username": "admin",
        "password": "sesame-sesame",
        "project_name": "admin",
    },
    "attempts": 6,
    "services": [],
    "inside": INSIDE,
}


def test_module_returns_rows_and_makes_nothing_in_check_mode(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud()
    monkeypatch.setattr(module, "connect", lambda arguments: cloud)
    assert run_module(module, check=True, **ARGUMENTS)["rows"] == []
    assert cloud.logins == []
    assert len(run_module(module, **ARGUMENTS)["rows"]) == 4


def test_module_tells_why_there_is_no_login(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(arguments: Any) -> None:
        raise module.SdkError("cannot get a token for user admin")

    monkeypatch.setattr(module, "connect", refuse)
    assert run_module(module, **ARGUMENTS)["msg"] == "cannot get a token for user admin"


ROW = {
    "check": "Check-A-01",
    "service": "nova",
    "title": "closed",
    "value": "0644",
    "status": "failed",
    "cause": "Run site.yml.",
    "host": "c1",
}


def test_report_fails_with_the_cause_and_is_written_for_its_owner(run_module: Run, tmp_path: Path) -> None:
    path = tmp_path / "new/report.json"
    answer = run_module(report, rows=[ROW], path=str(path))
    assert answer["failed"] and "Check-A-01 on c1: closed: 0644. Run site.yml." in answer["msg"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == {"summary": ["security checks: 1 failed"], "rows": [ROW]}
    assert [one.name for one in path.parent.iterdir()] == ["report.json"]


def test_report_with_a_waiver_passes(run_module: Run) -> None:
    answer = run_module(report, rows=[ROW], waivers={"Check-A-01": "read by the backup"})
    assert not answer.get("failed") and not answer["changed"]
    assert answer["summary"] == ["security checks: 1 waived"]
    assert answer["table"] == ["Check-A-01  waived  c1  nova: closed: 0644"]


def test_report_that_cannot_be_judged_or_written_is_told(run_module: Run, tmp_path: Path) -> None:
    assert (
        "there is no check 'Check-B-01'" in run_module(report, rows=[ROW], waivers={"Check-B-01": "not for us"})["msg"]
    )
    (tmp_path / "file").touch()
    assert (
        "cannot be written"
        in run_module(report, rows=[{**ROW, "status": "passed"}], path=f"{tmp_path}/file/report.json")["msg"]
    )
