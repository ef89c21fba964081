"""Proofs of services: each passes at a service that does what it must, fails at one that does not, and leaves nothing
behind."""

from __future__ import annotations

import base64
import contextlib
import json as text_of
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service.databases import DatabaseError
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs import (
    alarming,
    bench,
    key_manager,
    shares,
)
from ansible_collections.stackwright.cloud.plugins.modules import service_proofs as module

ADMIN = "admin"
Run = Callable[..., dict[str, Any]]


class Reply:
    """What a session of keystoneauth returns."""

    def __init__(self, status: int, body: Any = None, raw: bytes | None = None) -> None:
        self.status_code = status
        self.content = raw if raw is not None else b"" if body is None else text_of.dumps(body).encode()
        self.headers = {"Content-Type": "text/plain" if raw is not None else "application/json; charset=UTF-8"}

    def json(self) -> Any:
        return text_of.loads(self.content)


class Cloud:
    """The identity service, and one service under proof; ``faults`` are the names of what it does wrong."""

    def __init__(self, *faults: str) -> None:
        self.faults = set(faults)
        self.things: dict[str, dict[str, dict[str, Any]]] = {"projects": {}, "users": {}}
        self.granted: set[tuple[str, str]] = set()
        self.asked: list[tuple[str, str, str]] = []
        self.number = 0

    def wrong(self, fault: str) -> bool:
        return fault in self.faults

    def new(self) -> str:
        self.number += 1
        return f"id{self.number}"

    def connection(self, user: str) -> Any:
        def request(path: str, method: str, endpoint_filter: dict[str, str], raise_exc: bool, **more: Any) -> Reply:
            assert (raise_exc, endpoint_filter["interface"], endpoint_filter["region_name"]) == (False, "internal", "R")
            self.asked.append((user, method, path))
            project = next((one["id"] for one in self.things["projects"].values() if one["name"] == user), "")
            parts = path.partition("?")[0].strip("/").split("/")
            if endpoint_filter["service_type"] == "identity":
                assert user == ADMIN
                return self.identity(method, parts, **more)
            return self.service(user == ADMIN, project, method, parts, **more)

        return SimpleNamespace(session=SimpleNamespace(request=request, auth=SimpleNamespace(auth_url="http://k:5000")))

    def identity(self, method: str, parts: list[str], json: Any = None) -> Reply:
        match method, parts:
            case "POST", [kind]:
                one = {**next(iter(json.values())), "id": self.new()}
                self.things[kind][one["id"]] = one
                return Reply(201, {kind[:-1]: one})
            case "GET", ["roles"]:
                return Reply(200, {"roles": [] if self.wrong("no role") else [{"id": "r", "name": "member"}]})
            case "GET", [kind]:
                return Reply(200, {kind: list(self.things[kind].values())})
            case "PUT", ["projects", project, "users", user, "roles", "r"]:
                self.granted.add((project, user))
                return Reply(204)
            case "DELETE", [kind, one]:
                found = self.things[kind].pop(one, None)
                if found and kind == "projects":
                    self.project_gone(one)
                return Reply(204 if found else 404)
        raise AssertionError((method, parts))

    def project_gone(self, project: str) -> None:
        """What the service does of itself when a project is removed."""

    def service(self, admin: bool, project: str, method: str, parts: list[str], **more: Any) -> Reply:
        raise AssertionError((admin, project, method, parts, more))

    def bench(self, timeout: float = 3) -> bench.Bench:
        clock = [0.0]
        admin = bench.Client(self.connection(ADMIN), "internal", "R", "the administrator")
        return bench.Bench(
            admin,
            lambda user, password, project: self.connection(user),
            "sw",
            timeout,
            now=lambda: clock[0],
            sleep=lambda seconds: clock.__setitem__(0, clock[0] + seconds),
        )

    def is_empty(self) -> bool:
        return not self.things["projects"] and not self.things["users"]


# --- the bench ---


def test_a_tenant_lives_for_the_time_of_a_block() -> None:
    cloud = Cloud()
    with cloud.bench().tenant("owner") as tenant:
        assert cloud.granted == {(tenant.project, tenant.user)}
        assert next(iter(cloud.things["projects"].values()))["name"].startswith("sw-owner-")
    assert cloud.is_empty()


def test_what_was_made_is_removed_when_a_tenant_is_made_by_half() -> None:
    cloud = Cloud("no role")
    with pytest.raises(bench.ProofError, match="no role member"), cloud.bench().tenant("owner"):
        pass
    assert cloud.is_empty()


def test_what_a_killed_run_left_is_removed_and_nothing_else() -> None:
    cloud = Cloud()
    for kind in ("projects", "users"):
        cloud.things[kind] = {"a": {"id": "a", "name": "sw-owner-1"}, "b": {"id": "b", "name": "swan"}}
    cloud.bench().clear()
    assert [list(cloud.things[kind]) for kind in ("projects", "users")] == [["b"], ["b"]]


def test_a_request_that_must_be_answered_names_what_came_instead() -> None:
    client = bench.Client(
        SimpleNamespace(session=SimpleNamespace(request=lambda *given, **more: Reply(500, raw=b"broken\n  in two"))),
        "internal",
        "R",
        "sw-owner",
    )
    with pytest.raises(bench.ProofError, match="GET /things of sw-owner gives HTTP 500, not 200 or 202: broken in two"):
        client.need("any", "GET", "/things", 200, 202)
    with pytest.raises(bench.ProofError, match="it is seen: GET /things of sw-owner gives HTTP 500, not 403 or 404"):
        client.refused("any", "GET", "/things", "it is seen")


def test_waiting_ends() -> None:
    with pytest.raises(bench.ProofError, match="it comes: not within 3 s"):
        Cloud().bench().wait("it comes", lambda: None)


def test_a_proof_that_fails_stops_no_other() -> None:
    def failing(_: bench.Bench) -> list[str]:
        raise bench.ProofError("it loses things")

    def broken(_: bench.Bench) -> list[str]:
        raise KeyError("id")

    def unreachable(_: bench.Bench) -> list[str]:
        raise DatabaseError("MariaDB does not answer")

    proofs = {"a": failing, "b": broken, "c": unreachable, "d": lambda _: ["works"]}
    told: list[str] = []
    found = bench.run(Cloud().bench(), proofs, told.append, lambda: 0.0)
    assert [(one.service, one.proved, one.problem) for one in found] == [
        ("a", [], "it loses things"),
        ("b", [], "cannot be asked: 'id'"),
        ("c", [], "MariaDB does not answer"),
        ("d", ["works"], ""),
    ]
    assert told == [f"proving {name}" for name in "abcd"]


# --- the key manager ---


class KeyManager(Cloud):
    """Secrets and orders in memory."""

    def __init__(self, *faults: str) -> None:
        super().__init__(*faults)
        self.secrets: dict[str, tuple[str, bytes]] = {}
        self.names: list[str] = []
        self.orders: dict[str, str] = {}

    def project_gone(self, project: str) -> None:
        if not self.wrong("keeps"):
            self.secrets = {name: one for name, one in self.secrets.items() if one[0] != project}

    def service(self, admin: bool, project: str, method: str, parts: list[str], **more: Any) -> Reply:
        def may(identifier: str) -> bool:
            return self.secrets[identifier][0] == project or self.wrong(f"lets {method}")

        match method, parts[1:]:
            case "POST", ["secrets"]:
                secret = self.new()
                self.secrets[secret] = (project, more["json"]["payload"].encode())
                self.names.append(more["json"]["name"])
                return Reply(201, {"secret_ref": f"http://b/v1/secrets/{secret}"})
            case "GET", ["secrets", secret, "payload"]:
                assert more["headers"]["Accept"] in ("text/plain", "application/octet-stream")
                if not may(secret):
                    return Reply(403, {"title": "Forbidden"})
                return Reply(200, raw=b"other" if self.wrong("forgets") else self.secrets[secret][1])
            case "GET", ["secrets", secret]:
                return Reply(200, {}) if may(secret) else Reply(404, {})
            case "DELETE", ["secrets", secret]:
                if not may(secret):
                    return Reply(403, {})
                if self.secrets[secret][0] == project:
                    del self.secrets[secret]
                return Reply(204)
            case "POST", ["orders"]:
                order, secret = self.new(), self.new()
                self.secrets[secret] = (project, bytes(16 if self.wrong("short key") else 32))
                self.orders[order] = secret
                return Reply(202, {"order_ref": f"http://b/v1/orders/{order}"})
            case "GET", ["orders", order]:
                if self.wrong("idle"):
                    return Reply(200, {"status": "PENDING"})
                if self.wrong("order fails"):
                    return Reply(200, {"status": "ERROR", "error_reason": "no store"})
                return Reply(200, {"status": "ACTIVE", "secret_ref": f"http://b/v1/secrets/{self.orders[order]}"})
            case "DELETE", ["orders", order]:
                del self.orders[order]
                return Reply(204)
        raise AssertionError((method, parts))

    def columns(self, text: str) -> list[str]:
        if self.wrong("another database"):
            return []
        clear = self.wrong("clear") and text.encode() in [payload for _, payload in self.secrets.values()]
        return ["secrets.name"] if text in self.names else ["encrypted_data.cypher_text"] if clear else []

    def prove(self) -> list[str]:
        return key_manager.prove(
            self.bench(),
            self.columns,
            lambda text: ["barbican-api.log"] if self.wrong("logs") else [],
            lambda secret: secret in self.secrets,
        )


def test_a_key_manager_that_keeps_secrets_passes_and_nothing_is_left() -> None:
    cloud = KeyManager()
    assert len(cloud.prove()) == 3
    assert cloud.is_empty()
    assert (cloud.secrets, cloud.orders) == ({}, {})


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("forgets", "a secret is not what was stored"),
        ("lets GET", "another project sees a secret"),
        ("lets DELETE", "another project removes a secret"),
        ("another database", "does not hold the name"),
        ("clear", "clear text in the database: encrypted_data.cypher_text"),
        ("logs", "clear text in the log: barbican-api.log"),
        ("idle", "the worker makes the key that was ordered: not within 3 s"),
        ("order fails", "the worker cannot make a key: no store"),
        ("short key", "256 bits was ordered, and has 128"),
        ("keeps", "the secret of a removed project is removed: not within 3 s"),
    ],
)
def test_a_key_manager_that_fails_is_found(fault: str, said: str) -> None:
    cloud = KeyManager(fault)
    with pytest.raises(bench.ProofError, match=said):
        cloud.prove()
    assert cloud.is_empty()


class Database:
    """A connection to MariaDB with one text in one column."""

    def __init__(self, text: str) -> None:
        self.text, self.answer = text, [(0,)]

    @contextlib.contextmanager
    def session(self) -> Iterator[Any]:
        yield self

    @contextlib.contextmanager
    def cursor(self) -> Iterator[Any]:
        yield self

    def execute(self, statement: str, values: tuple[str, ...]) -> None:
        if "information_schema" in statement:
            self.answer = [("secrets", "name"), ("encrypted_data", "cypher_text")]
        else:
            self.answer = [(int("`encrypted_data`" in statement and self.text in values),)]

    def fetchall(self) -> list[Any]:
        return self.answer

    def fetchone(self) -> Any:
        return self.answer[0]


@pytest.mark.parametrize("text", ["word", base64.b64encode(b"word").decode()])
def test_clear_text_is_found_in_the_database_as_it_is_and_encoded(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(key_manager.databases, "session", Database(text).session)
    assert key_manager.columns_with("word") == ["encrypted_data.cypher_text"]
    assert key_manager.columns_with("other") == []
    assert not key_manager.is_kept("id1")


def test_clear_text_is_found_in_logs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "api.log").write_text("POST word")
    (tmp_path / "worker.log").write_text("nothing")
    monkeypatch.setattr(key_manager, "LOGS", tmp_path)
    assert key_manager.logs_with("word") == ["api.log"]


# --- alarming ---


class Alarming(Cloud):
    """Event alarms in memory, told over HTTP as the notifier does."""

    def __init__(self, *faults: str) -> None:
        super().__init__(*faults)
        self.alarms: dict[str, dict[str, Any]] = {}

    def service(self, admin: bool, project: str, method: str, parts: list[str], json: Any = None) -> Reply:
        if method == "POST":
            alarm = {**json, "alarm_id": self.new(), "project": project, "state": "insufficient data"}
            if self.wrong("born raised"):
                alarm["state"] = "alarm"
            self.alarms[alarm["alarm_id"]] = alarm
            return Reply(201, alarm)
        alarm = self.alarms[parts[2]]
        if alarm["project"] != project and not self.wrong(f"lets {method}"):
            return Reply(404, {})
        if method == "DELETE":
            if alarm["project"] == project:
                del self.alarms[parts[2]]
            return Reply(204)
        if method == "PUT" and not self.wrong("stubborn"):
            alarm["state"] = json
        return Reply(200, alarm["state"] if parts[3:] else alarm)

    def send(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            traits = {name: value for name, _, value in event["traits"]}
            for alarm in self.alarms.values():
                [query] = alarm["event_rule"]["query"]
                fits = traits["project_id"] == alarm["project"] and traits["mark"] == query["value"]
                if self.wrong("deaf") or alarm["state"] == "alarm" or not (fits or self.wrong("rash")):
                    continue
                alarm["state"] = "alarm"
                if not self.wrong("silent"):
                    self.tell(alarm["alarm_actions"][0], alarm, event)

    @staticmethod
    def tell(address: str, alarm: dict[str, Any], event: dict[str, Any]) -> None:
        body = {"alarm_id": alarm["alarm_id"], "current": "alarm", "reason_data": {"event": event}}
        for place in (f"{address}x", address):  # who does not know the address tells nothing
            urllib.request.urlopen(urllib.request.Request(place, text_of.dumps(body).encode(), method="POST"))


def test_an_alarm_that_is_raised_and_told_passes_and_nothing_is_left() -> None:
    cloud = Alarming()
    assert len(alarming.prove(cloud.bench(), cloud.send)) == 3
    assert cloud.is_empty()
    assert cloud.alarms == {}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("born raised", "a new alarm has the state 'alarm'"),
        ("lets GET", "another project sees an alarm"),
        ("lets DELETE", "another project removes an alarm"),
        ("deaf", "an event raises the alarm: not within 3 s"),
        ("rash", "the notifier tells of"),
        ("silent", "the notifier tells the alarm: not within 3 s"),
        ("stubborn", "set to 'ok' has the state 'alarm'"),
    ],
)
def test_an_alarming_service_that_fails_is_found(fault: str, said: str) -> None:
    cloud = Alarming(fault)
    with pytest.raises(bench.ProofError, match=said):
        alarming.prove(cloud.bench(), cloud.send)
    assert cloud.is_empty()
    assert cloud.alarms == {}


class Queue(SimpleNamespace):
    """The libraries of a message queue that takes events, or refuses them."""

    class MessagingException(Exception):
        pass

    def __init__(self, takes: bool) -> None:
        super().__init__(takes=takes, sent=[], cleaned=0, listener=SimpleNamespace(event_alarm_topic="alarm.all"))

    def __call__(self, *given: Any, **more: Any) -> Any:
        return self

    ConfigOpts = StrOpt = Notifier = get_notification_transport = __call__

    def register_opts(self, options: list[Any], group: str) -> None:
        assert group == "listener"

    def sample(self, context: Any, kind: str, events: list[Any]) -> None:
        if not self.takes:
            raise self.MessagingException("refused")
        self.sent += events

    def cleanup(self) -> None:
        self.cleaned += 1


def test_events_are_put_on_the_queue_of_the_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(takes=True)
    monkeypatch.setattr(alarming.importlib, "import_module", lambda name: queue)
    alarming.publish([{"a": 1}])
    assert (queue.sent, queue.cleaned) == ([{"a": 1}], 1)


def test_a_queue_that_takes_no_events_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(takes=False)
    monkeypatch.setattr(alarming.importlib, "import_module", lambda name: queue)
    with pytest.raises(bench.ProofError, match="does not take an event: refused"):
        alarming.publish([{"a": 1}])
    assert queue.cleaned == 1


def test_a_host_without_the_libraries_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(alarming.importlib, "import_module", missing)
    with pytest.raises(bench.ProofError, match=r"python3-oslo\.messaging is not installed"):
        alarming.publish([])


# --- shares ---


class Shares(Cloud):
    """Share types and shares in memory; ``pools`` are its back ends'."""

    def __init__(self, *faults: str, pools: tuple[dict[str, Any], ...] = ()) -> None:
        super().__init__(*faults)
        self.pools = [{"name": "c@b#p", "capabilities": one} for one in pools]
        self.types: dict[str, dict[str, Any]] = {}
        self.shares: dict[str, dict[str, Any]] = {}

    def service(
        self, admin: bool, project: str, method: str, parts: list[str], json: Any = None, headers: Any = None
    ) -> Reply:
        assert headers == shares.VERSION
        match method, parts:
            case "GET", ["scheduler-stats", "pools", "detail"]:
                return Reply(200, {"pools": self.pools})
            case "POST", ["types"]:
                assert json["share_type"]["share_type_access:is_public"] is False
                kind = {**json["share_type"], "id": self.new(), "projects": []}
                self.types[kind["id"]] = kind
                return Reply(200, {"share_type": kind})
            case "POST", ["types", kind, "action"]:
                self.types[kind]["projects"].append(json["addProjectAccess"]["project"])
                return Reply(202)
            case "GET", ["types", kind]:
                found = self.types[kind]
                seen = project in found["projects"] or self.wrong("public")
                named = {**found, "name": "other"} if self.wrong("renames") else found
                return Reply(200, {"share_type": named}) if seen or self.wrong("late") else Reply(404, {})
            case "DELETE", ["types", kind]:
                del self.types[kind]
                return Reply(202)
            case "POST", ["shares"]:
                share = {**json["share"], "id": self.new(), "status": "available" if self.pools else "error"}
                if self.wrong("unmade"):
                    share["status"] = "error"
                self.shares[share["id"]] = share
                return Reply(200, {"share": share})
            case "GET", ["shares", share]:
                there = share in self.shares
                return Reply(200, {"share": self.shares[share]}) if there else Reply(404, {})
            case "DELETE", ["shares", share]:
                if not self.wrong("clings"):
                    del self.shares[share]
                return Reply(202)
            case "GET", ["messages"]:
                known = [] if self.wrong("mute") else [{"resource_id": one} for one in self.shares]
                return Reply(200, {"messages": known})
        raise AssertionError((method, parts))


CEPH = {"driver_handles_share_servers": False, "storage_protocol": "CEPHFS"}


def test_shares_without_a_back_end_are_refused_with_a_reason() -> None:
    cloud = Shares(pools=())
    assert shares.prove(cloud.bench())[1] == "the scheduler says that no back end holds shares"
    assert cloud.is_empty()
    assert (cloud.types, cloud.shares) == ({}, {})


def test_a_share_of_a_back_end_is_made_and_removed() -> None:
    cloud = Shares(pools=(CEPH,))
    assert shares.prove(cloud.bench())[1] == "a share is made and removed"
    assert (cloud.types, cloud.shares) == ({}, {})


@pytest.mark.parametrize(
    ("fault", "pools", "said"),
    [
        ("public", (), "a project sees a share type"),
        ("renames", (), "a share type is named 'other'"),
        ("mute", (), "nobody tells its user why"),
        ("unmade", (CEPH,), "a share of c@b#p is not made"),
        ("clings", (CEPH,), "a share is removed: not within 3 s"),
    ],
)
def test_a_service_of_shares_that_fails_is_found(fault: str, pools: tuple[dict[str, Any], ...], said: str) -> None:
    cloud = Shares(fault, pools=pools)
    with pytest.raises(bench.ProofError, match=said):
        shares.prove(cloud.bench())
    assert cloud.is_empty()
    assert cloud.types == {}


# --- the module ---


def run(run_module: Run, monkeypatch: pytest.MonkeyPatch, cloud: Cloud, **options: Any) -> dict[str, Any]:
    def connect(given: dict[str, Any]) -> Any:
        return cloud.connection(given["auth"]["username"])

    monkeypatch.setattr(module, "connect", connect)
    auth = {"auth_url": "http://k:5000", "username": ADMIN, "password": "of the administrator", "project_name": "admin"}
    return run_module(module, auth=auth, interface="internal", region_name="R", **options)


def test_only_what_the_cloud_carries_is_proved(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Shares()
    answer = run(run_module, monkeypatch, cloud, services=["keystone.keystone", "manila.manila"])
    assert [one["service"] for one in answer["proofs"]] == ["manila.manila"]
    assert answer["summary"][0].startswith("manila.manila: a share type is for those who may use it, ")
    assert not answer["changed"]


def test_a_service_that_fails_is_named(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = run(run_module, monkeypatch, Shares("mute"), services=["manila.manila"])
    assert answer["failed"]
    assert "1 of 1 services fail their proof:\n- manila.manila: a share for which there is no back end" in answer["msg"]


@pytest.mark.parametrize(("services", "check"), [(["keystone.keystone"], False), (["manila.manila"], True)])
def test_nothing_is_asked_where_there_is_nothing_to_prove(
    run_module: Run, monkeypatch: pytest.MonkeyPatch, services: list[str], check: bool
) -> None:
    cloud = Shares()
    assert run(run_module, monkeypatch, cloud, services=services, check=check)["proofs"] == []
    assert cloud.asked == []
