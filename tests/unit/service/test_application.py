"""All phases of a host in one call: order, what each learns of those before, secrets, check mode, and held restarts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces import registration as registering
from ansible_collections.stackwright.cloud.plugins.module_utils.common import progress
from ansible_collections.stackwright.cloud.plugins.module_utils.service import configuration, course
from ansible_collections.stackwright.cloud.plugins.module_utils.service.application import Application, parts_of
from ansible_collections.stackwright.cloud.plugins.module_utils.service.course import Wishes
from ansible_collections.stackwright.cloud.plugins.module_utils.service.phases import (
    OWN,
    Context,
    Phase,
    PhaseError,
    Result,
)
from ansible_collections.stackwright.cloud.plugins.modules import services as module

from .conftest import Systemd

LEVEL = {"units": [{"name": "memcached", "files": []}], "health": [{"name": "cache", "port": 11211}]}
PLAN: dict[str, Any] = {
    "switch": {},
    "files": {"/etc/memcached.conf": {"content": "-m 64\n", "units": ["memcached"]}},
    "databases": [{"name": "glance", "user": "glance", "password": "sesame-1"}],
    "messaging": [{"name": "glance", "password": "sesame-2"}],
    "bootstrap": [{"name": "schema", "command": ["true"]}],
    "early": [LEVEL],
    "identity": {"services": []},
    "secrets": ["sesame-1"],
    **LEVEL,
}
VARIABLES = {
    "services_database_clients": ["192.0.2.1"],
    "stackwright_administrator": {"auth_url": "https://a/v3"},
    "stackwright_ca_file": "/etc/ca.pem",
}


@pytest.fixture(autouse=True)
def _no_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "ON_HOST", str(tmp_path / "progress"))


class Host:
    """Phases that only say what they were asked; ``answers`` has what else they return."""

    def __init__(self, **answers: Result | PhaseError) -> None:
        self.answers = answers
        self.asked: dict[str, list[Mapping[str, Any]]] = {}

    def phase(self, name: str) -> Phase:
        def run(asked: Mapping[str, Any], context: Context) -> Result:
            self.asked.setdefault(name, []).append(asked)
            answer = self.answers.get(name, {"changed": False})
            if isinstance(answer, PhaseError):
                raise answer
            context.mask({"sesame-2"})
            return {"missing": [], "restart": [], **answer}

        return Phase(OWN[name].spec if name in OWN else {key: {"type": "raw"} for key in KEYS[name]}, run)

    @property
    def phases(self) -> dict[str, Phase]:
        return {name: self.phase(name) for name in (*OWN, *KEYS)}


KEYS = {"facts": ("kvm", "datapath"), "health": ("checks", "timeout"), "registration": ("auth", "ca_cert", "document")}


def parts(plan: Mapping[str, Any] = PLAN, wishes: Wishes = Wishes()) -> list[Any]:  # noqa: B008 (frozen)
    before = course.first(["memcached"], {"datapath": "auto"}, wishes)
    stages = course.rest(plan, wishes, VARIABLES.__getitem__)
    return parts_of([*before, *(part for stage in stages for part in stage)])


def names(work: Application) -> list[str]:
    return [part["title"] for part in work.parts]


def test_phases_are_done_in_order_and_hear_of_each_other() -> None:
    host = Host(files={"changed": True, "restart": ["memcached"]}, packages={"missing": ["memcached"]})
    work = Application(host.phases)
    assert work.run(parts()) and work.changed
    assert list(host.asked) == [
        "packages", "facts", "files", "databases", "messaging", "steps", "units", "health", "registration",
    ]  # fmt: skip
    assert len(host.asked["units"]) == len(host.asked["health"]) == 2
    assert host.asked["files"][0]["packages_pending"] is True
    assert host.asked["units"][0]["restart"] == ["memcached"]
    assert host.asked["units"][0]["units"][0]["state"] == "started"
    assert host.asked["databases"][0]["hosts"] == ["192.0.2.1"]


def test_what_other_hosts_do_is_left_to_them() -> None:
    titles = [part.phase for part in parts(wishes=Wishes(elsewhere=["databases", "messaging"]))]
    assert "databases" not in titles and "messaging" not in titles and "steps" in titles


def test_secrets_of_a_phase_are_masked_in_what_it_says() -> None:
    work = Application(Host(databases={"changed": True, "changes": ["glance gets sesame-1 and sesame-2"]}).phases)
    work.run(parts())
    told = next(part for part in work.parts if part.get("changes"))
    assert "sesame" not in str(told) and "glance gets" in str(told)
    assert {"sesame-1", "sesame-2"} <= work.secrets


def test_a_phase_that_fails_is_the_last_and_keeps_its_words() -> None:
    host = Host(steps=PhaseError("Bootstrap steps failed: sesame-1", hint="mend it", problems=["a", "b"]))
    work = Application(host.phases)
    with pytest.raises(PhaseError) as caught:
        work.run(parts())
    assert caught.value.result["hint"] == "mend it" and caught.value.result["problems"] == ["a", "b"]
    assert names(work)[-1] == "The services' schemas, keys and cells are current" and work.parts[-1]["failed"]
    assert "units" not in host.asked


def test_arguments_that_a_phase_does_not_take_are_an_error() -> None:
    with pytest.raises(PhaseError, match=r"made up: arguments that are none: unit"):
        Application(Host().phases).run(
            parts_of([{"phase": "units", "title": "made up", "arguments": {"units": [], "unit": 1}}])
        )


def test_machine_that_is_other_than_planned_for_stops_before_the_plan() -> None:
    host = Host(facts={"changed": False, "datapath": "system"})
    work = Application(host.phases, assumed={"datapath": "netdev"})
    assert not work.run(parts()) and work.facts == {"datapath": "system"}
    assert list(host.asked) == ["packages", "facts"]
    assert Application(host.phases, assumed={"datapath": "system"}).run(parts())


@pytest.mark.parametrize(
    ("answers", "left_out"),
    [
        ({}, []),
        ({"units": {"changed": True}}, ["health", "registration"]),
        ({"packages": {"changed": True, "missing": ["python3-openstacksdk"]}}, ["registration"]),
    ],
)
def test_check_mode_asks_nothing_of_what_is_not_there_yet(answers: dict[str, Result], left_out: list[str]) -> None:
    host = Host(**answers)
    Application(host.phases, check=True).run(parts())
    assert [name for name in ("health", "registration") if name not in host.asked] == left_out


def rolling(plan: Mapping[str, Any]) -> dict[str, Any]:
    level = {key: [{**one, "rolling": "memcached"} for one in LEVEL[key]] for key in LEVEL}
    other = [{"name": "other", "files": []}]
    return {
        **plan,
        "early": [],
        "units": level["units"] + other,
        "health": level["health"] + [{"name": "o", "port": 1}],
    }


def test_restart_of_a_rolling_component_waits_for_its_turn_with_its_health() -> None:
    host = Host(units={"changed": False, "held": ["memcached"]})
    work = Application(host.phases)
    work.run(parts(rolling(PLAN)))
    assert host.asked["units"][0]["held"] == ["memcached"]
    assert [one["name"] for one in host.asked["health"][0]["checks"]] == ["o"]
    assert work.turn == LEVEL
    later = Host()
    Application(later.phases).run(parts_of(course.turn(work.turn, 60)))
    assert later.asked["units"][0]["held"] == [] and later.asked["health"][0]["checks"] == LEVEL["health"]


def test_a_later_call_knows_what_an_earlier_one_found() -> None:
    host = Host(units={"changed": False, "held": ["memcached"]}, files={"changed": True, "restart": ["memcached"]})
    *before, health = parts(rolling(PLAN))
    first = Application(host.phases)
    first.run(before)
    later = Application(host.phases)
    later.recall(first.memory)
    later.run([health])
    assert [one["name"] for one in host.asked["health"][0]["checks"]] == ["o"]
    assert later.restart == ["memcached"] and later.turn == LEVEL


def test_rolling_component_whose_restart_is_not_due_is_asked_for_its_health_at_once() -> None:
    host = Host()
    work = Application(host.phases)
    work.run(parts(rolling(PLAN)))
    assert len(host.asked["health"][0]["checks"]) == 2 and not work.turn["units"]


def test_host_alone_restarts_what_is_rolling_at_once() -> None:
    plan = course.without_turns({**rolling(PLAN), "early": [rolling(PLAN)]})
    assert all("rolling" not in one for level in (plan, *plan["early"]) for one in level["units"] + level["health"])


def test_unit_whose_restart_is_held_is_told_and_left_alone(systemd: Systemd, tmp_path: Path) -> None:
    file = tmp_path / "memcached.conf"
    file.write_text("new")
    systemd.put("memcached.service", "active", "enabled")
    systemd.put("chrony.service", "active", "enabled")
    asked = {"units": [{"name": name, "state": "started", "enabled": True, "files": [str(file)], "log": ""}
                       for name in ("memcached", "chrony")], "restart": [], "timeout": 5}  # fmt: skip
    result = OWN["units"].run({**asked, "held": ["memcached"]}, Context())
    assert result["held"] == ["memcached"] and result["changes"] == ["restart chrony"]
    assert systemd.units["memcached.service"]["ActiveEnterTimestamp"].endswith("06:00:00.000000 UTC")


Run = Callable[..., dict[str, Any]]


def test_module_does_real_phases_and_hides_its_arguments(
    run_module: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "GENERATIONS", str(tmp_path / "generations"))
    files = {str(tmp_path / "a.conf"): {"content": "password = sesame-1\n", "owner": "", "group": ""}}
    plan = {**PLAN, "files": files, "databases": [], "messaging": [], "bootstrap": [], "early": [], "identity": {}}
    given = course.rest({**plan, "units": [], "health": []}, Wishes(), VARIABLES.__getitem__)[0]
    answer = run_module(module, check=True, parts=given)
    assert answer["changed"] and answer["done"] and [one["title"] for one in answer["parts"]] == [given[0]["title"]]
    assert "sesame" not in str(answer) and answer["diff"]


def test_module_says_which_phase_failed_or_broke_off(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [{"phase": "units", "title": "The services run", "arguments": {"units": [], "state": 1}}]
    answer = run_module(module, parts=given)
    assert answer["failed"] and answer["failed_part"] == "The services run"

    def broken(asked: Mapping[str, Any], context: Context) -> Result:
        raise ZeroDivisionError("sesame")

    monkeypatch.setitem(module.PHASES, "units", Phase(OWN["units"].spec, broken))
    answer = run_module(module, parts=[{**given[0], "arguments": {"units": []}}])
    assert answer["msg"] == "Module failed: sesame" and answer["failed_part"] == "The services run"


def test_registration_asks_past_proxies_and_says_whose_login_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    def converge(login: Any, document: Any, options: Any) -> tuple[dict[str, Any], str]:
        seen.append(os.environ.get("no_proxy"))
        assert (
            login.endpoint_overrides == {"identity": "https://a/v3"}
            and options.check
            and login.ca_cert == "/etc/ca.pem"
        )
        return {"warnings": ["w\x1b[2J"], "changed": False}, "401"

    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.setattr(registering, "converge", converge)
    auth = {"auth_url": "https://a/v3", "username": "admin", "password": "sesame-3"}
    masked: set[str] = set()
    warned: list[str] = []
    with pytest.raises(PhaseError, match=r"401 The login is the administrator's"):
        module.registration(
            {"auth": auth, "ca_cert": "/etc/ca.pem", "document": {}}, Context(True, masked.update, warned.append)
        )
    assert seen == ["*"] and masked == {"sesame-3"} and "\x1b" not in warned[0]
    assert "no_proxy" not in os.environ and os.environ["NO_PROXY"] == "example.org"
