"""Users of the message queue: one export, one import, no password outside a private file, and a broker that misbehaves
is told."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import messaging
from ansible_collections.stackwright.cloud.plugins.modules import message_queue as module
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns

NOVA = {"name": "nova", "password": "open-sesame", "vhost": "/"}
ALL = {"configure": ".*", "write": ".*", "read": ".*"}


@dataclass
class Broker:
    """A broker's definitions; rabbitmqctl is its program. ``said`` has an answer that it gives to a command instead."""

    users: dict[str, dict[str, Any]] = field(default_factory=lambda: {"guest": {"name": "guest", "password_hash": ""}})
    vhosts: list[str] = field(default_factory=lambda: ["/"])
    permissions: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    topics: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    said: dict[str, Said] = field(default_factory=dict)
    modes: list[int] = field(default_factory=list)

    def __call__(self, call: Call) -> Said:
        quiet, command, *rest = call.words
        assert quiet == "-q"
        if command in self.said:
            return self.said[command]
        if command == "export_definitions":
            limits = [
                {"user": user, "vhost": vhost, "exchange": exchange, **one}
                for (user, vhost, exchange), one in self.topics.items()
            ]
            definitions = {
                "topic_permissions": limits,
                "users": list(self.users.values()),
                "vhosts": [{"name": name} for name in self.vhosts],
                "permissions": [
                    {"user": user, "vhost": vhost, **one} for (user, vhost), one in self.permissions.items()
                ],
            }
            return Said("Exporting definitions in JSON to standard output ...\n" + json.dumps(definitions))
        if command == "import_definitions":
            self.modes.append(os.stat(rest[0]).st_mode & 0o777)
            given = json.loads(Path(rest[0]).read_text())
            self.vhosts += [one["name"] for one in given["vhosts"]]
            self.users |= {one["name"]: one for one in given["users"]}
            self.permissions |= {(p["user"], p["vhost"]): {key: p[key] for key in ALL} for p in given["permissions"]}
            self.topics |= {
                (t["user"], t["vhost"], t["exchange"]): {key: t[key] for key in ("write", "read")}
                for t in given["topic_permissions"]
            }
        elif command == "clear_permissions":
            option, vhost, user = rest
            assert option == "-p"
            del self.permissions[user, vhost]
        elif command == "clear_topic_permissions":
            option, vhost, user, exchange = rest
            assert option == "-p"
            del self.topics[user, vhost, exchange]
        elif command == "delete_vhost":
            assert not [user for user, vhost in self.permissions if vhost == rest[0]]
            self.vhosts.remove(rest[0])
        else:
            assert command == "delete_user"
            del self.users[rest[0]]
            self.permissions = {pair: one for pair, one in self.permissions.items() if pair[0] != rest[0]}
        return Said()


@pytest.fixture
def broker(stand_ins: StandIns, systemd: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Broker:
    broker = Broker()
    systemd.put("rabbitmq-server.service", "active", "enabled")
    monkeypatch.setattr(messaging, "CONTROL", stand_ins.add("rabbitmqctl", broker))
    monkeypatch.setattr(messaging, "OWNER", getpass.getuser())
    monkeypatch.setattr(messaging, "RUNTIME", str(tmp_path))
    return broker


Run = Callable[..., dict[str, Any]]


def test_users_are_made_with_one_import_and_the_second_run_only_reads(
    broker: Broker, run_module: Run, stand_ins: StandIns, tmp_path: Path
) -> None:
    wanted = [NOVA, {"name": "heat", "password": "other"}]
    answer = run_module(module, users=wanted)
    assert answer["changes"] == [
        "create message queue user nova", "permit message queue user nova in /",
        "create virtual host /heat", "create message queue user heat", "permit message queue user heat in /heat",
        "remove message queue user guest",
    ]  # fmt: skip
    assert set(broker.users) == {"nova", "heat"}
    assert broker.permissions == {("nova", "/"): ALL, ("heat", "/heat"): ALL}
    assert messaging.matches("open-sesame", broker.users["nova"]["password_hash"])
    assert [line.split()[2] for line in stand_ins.lines("rabbitmqctl")] == [
        "export_definitions",
        "import_definitions",
        "delete_user",
    ]
    stand_ins.calls.clear()
    assert not run_module(module, users=wanted)["changed"]
    assert [line.split()[2] for line in stand_ins.lines()] == ["export_definitions"]
    # nobody else could read the hashes on their way, no password was on it, and nothing is left of it
    assert broker.modes == [0o600]
    assert "sesame" not in repr(stand_ins.calls) + repr(broker.users)
    assert list(tmp_path.iterdir()) == []


def test_a_user_has_some_of_the_rights_in_anothers_virtual_host(broker: Broker, run_module: Run) -> None:
    rights = {"configure": "^compute$", "write": "^nova$", "read": "^compute$"}
    keys = {"write": "^conductor$", "read": "^compute"}
    nova = {**NOVA, "vhost": "/nova"}
    node = {"name": "nova_compute", "password": "other", "vhost": "/nova", **rights, "topics": {"nova": keys}}
    answer = run_module(module, users=[nova, node])
    assert answer["changes"][-4:-2] == [
        "permit message queue user nova_compute in /nova",
        "limit message queue user nova_compute by topics of nova in /nova",
    ]
    assert broker.permissions == {("nova", "/nova"): ALL, ("nova_compute", "/nova"): rights}
    assert broker.topics == {("nova_compute", "/nova", "nova"): keys}
    assert not run_module(module, users=[nova, node])["changed"]
    # rights that somebody widened are those that were named again, and limits that are named no more go
    broker.permissions["nova_compute", "/nova"] = ALL
    assert run_module(module, users=[nova, {**node, "topics": {}}])["changes"] == [
        "permit message queue user nova_compute in /nova",
        "no longer limit message queue user nova_compute by topics of nova in /nova",
    ]
    assert (broker.permissions["nova_compute", "/nova"], broker.topics) == (rights, {})


def test_check_mode_foretells_and_writes_nothing(broker: Broker, run_module: Run, stand_ins: StandIns) -> None:
    foretold = run_module(module, check=True, users=[NOVA])["changes"]
    assert [line.split()[2] for line in stand_ins.lines("rabbitmqctl")] == ["export_definitions"]
    assert run_module(module, users=[NOVA])["changes"] == foretold


def test_check_mode_asks_no_broker_that_does_not_run_yet(
    broker: Broker, run_module: Run, stand_ins: StandIns, systemd: Any
) -> None:
    systemd.units["rabbitmq-server.service"]["ActiveState"] = "inactive"
    assert run_module(module, check=True, users=[NOVA])["changes"] == ["create message queue user nova"]
    assert stand_ins.lines("rabbitmqctl") == []


def test_service_that_moves_to_a_virtual_host_of_its_own_leaves_no_permission_behind(
    broker: Broker, run_module: Run
) -> None:
    old = [NOVA, {"name": "neutron", "password": "other", "vhost": "/"}]
    run_module(module, users=old)
    new = [{**NOVA, "vhost": "/nova"}, {**old[1], "vhost": "/neutron"}]
    foretold = run_module(module, check=True, users=new)["changes"]
    assert foretold == [
        "create virtual host /nova", "permit message queue user nova in /nova",
        "create virtual host /neutron", "permit message queue user neutron in /neutron",
        "forbid message queue user neutron in /", "forbid message queue user nova in /",
        "remove virtual host /, which nobody may use any more",
    ]  # fmt: skip
    assert run_module(module, users=new)["changes"] == foretold
    assert broker.permissions == {("nova", "/nova"): ALL, ("neutron", "/neutron"): ALL}
    assert broker.vhosts == ["/nova", "/neutron"]
    assert not run_module(module, users=new)["changed"]


def test_virtual_host_that_somebody_else_uses_stays(broker: Broker, run_module: Run) -> None:
    broker.users["billing"] = {"name": "billing", "password_hash": ""}
    broker.permissions["billing", "/"] = ALL
    run_module(module, users=[{**NOVA, "vhost": "/nova"}])
    assert broker.vhosts == ["/", "/nova"]
    assert broker.permissions == {("billing", "/"): ALL, ("nova", "/nova"): ALL}


def test_permission_in_a_virtual_host_of_another_service_is_taken_away(broker: Broker, run_module: Run) -> None:
    wanted = [{**NOVA, "vhost": "/nova"}, {"name": "neutron", "password": "other", "vhost": "/neutron"}]
    run_module(module, users=wanted)
    broker.permissions["nova", "/neutron"] = {**ALL, "configure": ""}
    assert run_module(module, users=wanted)["changes"] == ["forbid message queue user nova in /neutron"]
    assert ("nova", "/neutron") not in broker.permissions


def test_user_of_two_virtual_hosts_is_made_once(broker: Broker, run_module: Run) -> None:
    wanted = [NOVA, {**NOVA, "vhost": "/cell2"}]
    changes = run_module(module, users=wanted, absent=[])["changes"]
    assert changes.count("create message queue user nova") == 1
    assert set(broker.permissions) == {("nova", "/"), ("nova", "/cell2")}
    assert not run_module(module, users=wanted, absent=[])["changed"]


def test_permissions_that_somebody_narrowed_are_given_back(broker: Broker, run_module: Run) -> None:
    run_module(module, users=[NOVA])
    stored = dict(broker.users["nova"])
    broker.permissions["nova", "/"] = {**ALL, "write": "^$"}
    assert run_module(module, users=[NOVA])["changes"] == ["permit message queue user nova in /"]
    assert broker.permissions["nova", "/"] == ALL
    assert broker.users["nova"] == stored


def test_a_hash_that_is_none_counts_as_another_password(broker: Broker, run_module: Run) -> None:
    run_module(module, users=[NOVA])
    broker.users["nova"]["password_hash"] = "abc"
    assert run_module(module, users=[NOVA])["changes"] == ["change the password of message queue user nova"]


@pytest.mark.parametrize(
    ("command", "said", "told"),
    [
        (
            "export_definitions",
            Said(status=69, errors="Error: unable to perform an operation on node 'rabbit@c1'.\n\nDIAGNOSTICS\n"),
            "rabbitmqctl export_definitions failed: Error: unable to perform an operation on node "
            "'rabbit@c1'. DIAGNOSTICS",
        ),
        (
            "export_definitions",
            Said("Exporting definitions ...\n"),
            "export_definitions ended well and gave no definitions",
        ),
        (
            "export_definitions",
            Said('{"users": [{"name": "nova", "password_hash": "c2VjcmV0'),
            "export_definitions ended well and gave no definitions",
        ),
        (
            "import_definitions",
            Said("Could not read the file\n", status=70),
            "rabbitmqctl import_definitions failed: Could not read the file",
        ),
        (
            "delete_user",
            Said(status=70, errors='User "guest" does not exist'),
            'rabbitmqctl delete_user failed: User "guest" does not exist',
        ),
    ],
)
def test_broker_that_refuses_is_told_with_the_command(
    broker: Broker, run_module: Run, command: str, said: Said, told: str
) -> None:
    broker.said[command] = said
    answer = run_module(module, users=[NOVA])
    assert answer["failed"]
    assert answer["msg"].startswith("The services' message queue users could not be prepared: ")
    assert told in answer["msg"]
    assert "c2VjcmV0" not in answer["msg"]


def test_broker_that_does_not_answer_is_given_up(
    broker: Broker, run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messaging, "TIMEOUT", 0.3)
    broker.said["export_definitions"] = Said(hangs=True)
    assert "rabbitmqctl export_definitions did not end within 0.3 s" in run_module(module, users=[NOVA])["msg"]


def test_systemd_that_does_not_answer_in_check_mode_is_told(broker: Broker, run_module: Run, systemd: Any) -> None:
    systemd.dead = "Failed to connect to bus: Host is down"
    assert "Failed to connect to bus" in run_module(module, check=True, users=[NOVA])["msg"]
