"""Units, packages, bootstrap steps and users: what is decided before anything is done."""

from __future__ import annotations

import os

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import (
    bootstrap,
    databases,
    messaging,
    packages,
    units,
)

STATUS = """Package: keystone
Status: install ok installed
Version: 2:27.0

Package: glance-api
Status: install ok half-configured
Version: 1

Package: gone
Status: deinstall ok config-files
"""


def test_packages_are_installed_only_when_dpkg_finished_with_them():
    state = packages.dpkg.parse(STATUS)
    assert state.installed == {"keystone": "2:27.0"}
    assert state.unfinished == ["glance-api"]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("E: You don't have enough free space in /var/cache/apt/archives/.", "Free disk space"),
        ("E: Unable to locate package nova-apy", "do not offer it"),
        ("E: Failed to fetch http://192.0.2.1/x  Could not connect to 192.0.2.1:80", "mirror does not answer"),
    ],
)
def test_failures_of_apt_come_with_advice(output, said):
    assert said in packages.hint_for(output)


def test_the_hosts_own_start_policy_comes_back_after_an_interrupted_run(tmp_path, monkeypatch):
    policy, saved = tmp_path / "policy", tmp_path / "saved"
    monkeypatch.setattr(packages, "POLICY", str(policy))
    monkeypatch.setattr(packages, "POLICY_SAVED", str(saved))
    policy.write_text(packages.POLICY_TEXT)
    saved.write_text("own")
    packages.restore_policy()
    assert policy.read_text() == "own"
    packages.restore_policy()
    assert policy.read_text() == "own"


def running(since="Sat 2026-11-21 06:00:00.000000 UTC", **more):
    return {
        "LoadState": "loaded",
        "ActiveState": "active",
        "UnitFileState": "enabled",
        "ActiveEnterTimestamp": since,
        **more,
    }


def test_a_unit_is_restarted_when_a_file_it_reads_is_newer_than_its_start(tmp_path):
    path = tmp_path / "nova.conf"
    path.write_text("")
    unit = units.Unit("nova-api", files=[str(path)])
    started = units.since(running())
    os.utime(path, (started + 1, started + 1))
    assert units.plan([unit], {"nova-api": running()}, set()).restart == ["nova-api"]
    os.utime(path, (started - 1, started - 1))
    assert units.plan([unit], {"nova-api": running()}, set()).lines() == []
    assert units.plan([unit], {"nova-api": running()}, {"nova-api"}).restart == ["nova-api"]


def test_states_of_units_decide_what_is_done():
    wanted = [units.Unit("a"), units.Unit("b", state="stopped", enabled=False), units.Unit("c"), units.Unit("d")]
    decided = units.plan(
        wanted,
        {
            "a": running(ActiveState="failed", UnitFileState="disabled"),
            "b": running(),
            "c": {"LoadState": "not-found"},
            "d": running(UnitFileState="generated"),
        },
        set(),
    )
    assert decided.lines() == ["start a", "stop b", "enable a", "disable b"]
    assert decided.missing == ["c"]


@pytest.fixture
def stamps(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "STAMPS", str(tmp_path / "stamps"))


def step(name, **more):
    return bootstrap.Step(name=name, command=["/bin/true"], **more)


def test_steps_run_once_and_again_when_a_package_or_an_input_changes(stamps):
    one = step("schema", packages=["nova-api"], inputs=["a"], database="nova")
    assert bootstrap.is_due(one, {"nova-api": "1"}, {"nova": 3}) == "it never ran"
    bootstrap.run([one], {"nova-api": "1"}, 1)
    assert bootstrap.is_due(one, {"nova-api": "1"}, {"nova": 3}) == ""
    assert bootstrap.is_due(one, {"nova-api": "2"}, {"nova": 3}) == "its inputs changed"
    assert bootstrap.is_due(one, {"nova-api": "1"}, {}) == "database nova is empty"
    done = step("cell", database="nova", done_query="SELECT 1")
    assert bootstrap.is_due(done, {}, {"nova": 3}, lambda query: True) == ""
    assert bootstrap.is_due(done, {}, {"nova": 3}, lambda query: False) == "it never ran"


def test_step_that_takes_something_away_is_due_as_long_as_it_is_there(stamps, tmp_path):
    moved = step("move", removes=str(tmp_path / "former"))
    assert bootstrap.is_due(moved, {}, None) == ""
    (tmp_path / "former").mkdir()
    assert bootstrap.is_due(moved, {}, None) == f"{tmp_path}/former is still there"
    bootstrap.run([moved], {}, 1)
    # what it left behind is told again, stamp or not
    assert bootstrap.is_due(moved, {}, None) == f"{tmp_path}/former is still there"


def test_steps_keep_their_order_and_stop_behind_a_failure(stamps):
    ran = []

    def execute(one):
        ran.append(one.name)
        return "broken" if one.name == "b" else ""

    with pytest.raises(bootstrap.BootstrapError, match="broken"):
        bootstrap.run([step("c", after=["b"]), step("b", after=["a"]), step("a")], {}, 2, execute)
    assert ran == ["a", "b"]
    assert bootstrap.is_due(step("a"), {}, None) == ""
    assert bootstrap.is_due(step("b", after=["a"]), {}, None) == "it never ran"


def test_a_failure_stops_what_depends_on_it_and_nothing_else(stamps):
    ran = []

    def execute(one):
        ran.append(one.name)
        return f"{one.name} is broken" if one.name in "ac" else ""

    steps = [step("a"), step("b", after=["a"]), step("c", after=["x"]), step("d"), step("x")]
    with pytest.raises(bootstrap.BootstrapError) as failure:
        bootstrap.run(steps, {}, 1, execute)
    assert sorted(failure.value.problems) == ["a is broken", "c is broken"]
    assert sorted(ran) == ["a", "c", "d", "x"]


def test_steps_that_wait_for_each_other_are_refused_before_any_runs():
    ran = []
    with pytest.raises(bootstrap.BootstrapError, match="wait for each other: a, b"):
        bootstrap.run([step("c"), step("a", after=["b"]), step("b", after=["a"])], {}, 1, ran.append)
    assert ran == []


def test_message_queue_users_are_compared_by_their_salted_hash():
    stored = messaging.password_hash("right", b"salt")
    present = {
        "vhosts": [{"name": "/"}],
        "users": [{"name": "nova", "password_hash": stored}, {"name": "guest", "password_hash": ""}],
        "permissions": [{"user": "nova", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
    }
    assert messaging.difference(present, [messaging.User("nova", "right", "/")], ["guest"]).changes == [
        "remove message queue user guest"
    ]
    due = messaging.difference(present, [messaging.User("nova", "wrong", "/")], [])
    assert due.changes == ["change the password of message queue user nova"]
    assert "wrong" not in repr(due.write)
    assert messaging.matches("wrong", due.write["users"][0]["password_hash"])


def test_database_passwords_are_compared_as_the_server_keeps_them():
    # SELECT PASSWORD('secret') of a MariaDB server
    assert databases.native_hash("secret") == "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7"
    with pytest.raises(databases.DatabaseError, match="is no name for a database"):
        databases.Database("nova; DROP", "nova", "x")
