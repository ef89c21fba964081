"""Databases and users are compared before they are written; a server that fails is told, whenever it fails."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import bootstrap, databases, lock, packages
from ansible_collections.stackwright.cloud.plugins.modules import bootstrap as steps_module
from ansible_collections.stackwright.cloud.plugins.modules import databases as module

Run = Callable[..., dict[str, Any]]


class ClientError(Exception):
    """What the database's client raises for everything that goes wrong."""


class NoSuchTableError(ClientError):
    """What it raises for a table that does not exist."""


class Server:
    """A server with databases, users and grants that fails at the statement numbered ``fails_at``."""

    def __init__(self, fails_at: int = 0) -> None:
        self.databases: set[str] = {"mysql"}
        self.users: dict[tuple[str, str], str] = {("root", "localhost"): "invalid"}
        self.grants: set[tuple[str, str, str]] = set()
        self.statements: list[str] = []
        self.fails_at = fails_at
        self.closed = False
        self.rows: list[tuple[Any, ...]] = []
        self.tables: dict[str, int] = {}
        self.cells = False

    def cursor(self) -> Server:
        return self

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def execute(self, statement: str, values: tuple[str, ...] = ()) -> None:
        # the client fills in values with the operator %, so a percent sign of SQL is written twice
        statement = statement % tuple(f"'{value}'" for value in values)
        self.statements.append(statement)
        if len(self.statements) == self.fails_at:
            raise ClientError(2013, "Lost connection to MySQL server during query")
        words = statement.replace("`", "").replace("'", "").split()
        self.rows = []
        if statement == "SHOW DATABASES":
            self.rows = [(name,) for name in self.databases]
        elif statement.startswith("SELECT User"):
            self.rows = [(*account, hashed) for account, hashed in self.users.items()]
        elif statement.startswith("SELECT Db"):
            self.rows = list(self.grants)
        elif statement.startswith("SELECT table_schema"):
            self.rows = list(self.tables.items())
        elif statement.startswith("SELECT id FROM nova.cells"):
            if "nova" not in self.tables:
                raise NoSuchTableError(1146, "Table 'nova.cells' doesn't exist")
            self.rows = [(1,)] if self.cells else []
        elif statement.startswith("CREATE DATABASE"):
            self.databases.add(words[2])
        elif statement.startswith("CREATE USER"):
            assert self.account(words[2]) not in self.users
            self.users[self.account(words[2])] = databases.native_hash(values[0])
        elif statement.startswith("ALTER USER"):
            assert self.account(words[2]) in self.users
            self.users[self.account(words[2])] = databases.native_hash(values[0])
        elif statement.startswith("DROP USER"):
            del self.users[self.account(words[2])]
            self.grants = {grant for grant in self.grants if grant[1:] != self.account(words[2])}
        elif statement.startswith("GRANT ALL PRIVILEGES"):
            self.grants.add((words[4].removesuffix(".*"), *self.account(words[6])))
        elif statement.startswith("REVOKE ALL PRIVILEGES"):
            self.grants.remove((words[4].removesuffix(".*"), *self.account(words[6])))
        else:
            raise AssertionError(statement)

    @staticmethod
    def account(text: str) -> tuple[str, str]:
        user, _, host = text.partition("@")
        return user, host

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return self.rows[0] if self.rows else None


HERE = "192.0.2.11"


def database(name: str, user: str, password: str, *hosts: str) -> databases.Database:
    return databases.Database(name, user, password, list(hosts or (HERE,)))


WANTED = [database("glance", "glance", "one"), database("nova", "nova", "two"), database("nova_api", "nova", "two")]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    errors = SimpleNamespace(ProgrammingError=NoSuchTableError)
    client = SimpleNamespace(connect=lambda **options: server, MySQLError=ClientError, err=errors)
    monkeypatch.setitem(sys.modules, "pymysql", client)
    return server


def test_hash_is_the_servers_own() -> None:
    # what MariaDB gives for SELECT PASSWORD('password')
    assert databases.native_hash("password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


def test_databases_users_and_grants_are_made_once(server: Server) -> None:
    changes = databases.converge(server, WANTED, check_mode=False)
    assert changes == [
        "create database glance",
        f"create database user glance for {HERE}",
        f"grant glance for {HERE} all on database glance",
        "create database nova",
        f"create database user nova for {HERE}",
        f"grant nova for {HERE} all on database nova",
        "create database nova_api",
        f"grant nova for {HERE} all on database nova_api",
    ]
    assert server.databases == {"mysql", "glance", "nova", "nova_api"}
    assert databases.converge(server, WANTED, check_mode=False) == []


def test_underscore_of_a_name_grants_nothing_on_other_databases(server: Server) -> None:
    databases.converge(server, WANTED, check_mode=False)
    assert {grant[0] for grant in server.grants} == {"glance", "nova", r"nova\_api"}
    server.grants.add(("nova_api", "nova", HERE))
    assert databases.converge(server, WANTED, check_mode=False) == [
        f"revoke from nova for {HERE} what it has on databases named like nova_api"
    ]
    assert {grant[0] for grant in server.grants} == {"glance", "nova", r"nova\_api"}


def test_account_of_any_host_goes_once_its_successors_are_complete(server: Server) -> None:
    for name in ("nova", "nova_api"):
        server.databases.add(name)
        server.grants.add((name, "nova", "%"))
    server.users["nova", "%"] = databases.native_hash("two")
    server.users["nova", "192.0.2.12"] = databases.native_hash("two")
    foretold = databases.converge(server, WANTED[1:], check_mode=True)
    assert databases.converge(server, WANTED[1:], check_mode=False) == foretold
    assert foretold[-1] == "remove database user nova for any host"
    # a server that fails before the end leaves the account that running services use
    writes = [statement.split()[0] for statement in server.statements if not statement.startswith(("SHOW", "SELECT"))]
    assert writes == ["CREATE", "GRANT", "GRANT", "DROP"]
    assert set(server.users) == {("root", "localhost"), ("nova", HERE), ("nova", "192.0.2.12")}
    assert databases.converge(server, WANTED[1:], check_mode=False) == []


def test_accounts_of_several_addresses_are_complete(server: Server) -> None:
    databases.converge(server, [database("nova", "nova", "two", HERE, "2001:db8::11")], check_mode=False)
    assert server.grants == {("nova", "nova", HERE), ("nova", "nova", "2001:db8::11")}


@pytest.mark.parametrize("host", ["%", "192.0.2.%", "controller1", "192.0.2.0/24", ""])
def test_host_that_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(databases.DatabaseError, match="is no address from which it could log in"):
        database("nova", "nova", "two", host)
    with pytest.raises(databases.DatabaseError, match="no address from which it may log in"):
        databases.Database("nova", "nova", "two")


def test_check_mode_foretells_and_writes_nothing(server: Server) -> None:
    foretold = databases.converge(server, WANTED, check_mode=True)
    assert not [statement for statement in server.statements if not statement.startswith(("SHOW", "SELECT"))]
    assert foretold == databases.converge(server, WANTED, check_mode=False)


def test_another_password_is_set_and_not_told(server: Server) -> None:
    databases.converge(server, WANTED, check_mode=False)
    changes = databases.converge(server, [database("glance", "glance", "sesame")], check_mode=False)
    assert changes == [f"change the password of database user glance for {HERE}"]
    assert server.users["glance", HERE] == databases.native_hash("sesame")


@pytest.mark.parametrize("name", ["", "a`b", "with space", "x" * 65])
def test_name_that_would_change_a_statement_is_refused(name: str) -> None:
    with pytest.raises(databases.DatabaseError, match="letters, digits and underscores only"):
        databases.Database(name, "user", "password")


@pytest.mark.parametrize("statement", range(1, 6))
def test_server_that_goes_away_in_the_middle_is_named(server: Server, statement: int) -> None:
    server.fails_at = statement
    told = r"MariaDB on /run/mysqld/mysqld.sock broke off.*Lost connection"
    with pytest.raises(databases.DatabaseError, match=told), databases.session() as connection:
        databases.converge(connection, WANTED, check_mode=False)
    assert server.closed


def test_server_that_does_not_answer_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: Any) -> None:
        assert options["read_timeout"] and options["write_timeout"]
        raise ClientError(2002, "Connection refused")

    monkeypatch.setattr(sys.modules["pymysql"], "connect", refuse, raising=False)
    told = r"does not answer on /run/x.sock: Connection refused"
    with pytest.raises(databases.DatabaseError, match=told), databases.session("/run/x.sock"):
        raise AssertionError


def test_host_without_the_client_is_told(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)
    answer = run_module(module, databases=[{"name": "glance", "user": "glance", "password": "one"}], hosts=[HERE])
    assert answer["msg"].endswith("python3-pymysql is not installed on the database host")
    assert "journalctl -u mariadb" in answer["hint"]


def test_check_mode_asks_no_server_that_does_not_run_yet(
    run_module: Run, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(databases, "SOCKET", str(tmp_path / "none"))
    wanted = [{"name": "glance", "user": "glance", "password": "one"}]
    assert run_module(module, check=True, databases=wanted, hosts=[HERE])["changes"] == ["create database glance"]
    assert server.statements == []
    assert run_module(module, databases=wanted, hosts=[HERE])["changes"][0] == "create database glance"


def test_name_that_is_none_is_a_failure_of_the_module(run_module: Run, server: Server) -> None:
    answer = run_module(module, databases=[{"name": "glance; DROP", "user": "glance", "password": "one"}], hosts=[HERE])
    assert "'glance; DROP' is no name for a database or its user" in answer["msg"]
    assert server.statements == []


@pytest.fixture
def host(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A host with a database server on which bootstrap steps run."""
    (tmp_path / "status").write_text("Package: nova-api\nStatus: install ok installed\nVersion: 1\n\n")
    (tmp_path / "updates").mkdir()
    (tmp_path / "socket").touch()
    paths = [
        (packages.dpkg, "STATUS", "status"),
        (packages.dpkg, "UPDATES", "updates"),
        (databases, "SOCKET", "socket"),
    ]
    for owner, name, path in [*paths, (bootstrap, "STAMPS", "stamps"), (bootstrap, "LOCK", "lock")]:
        monkeypatch.setattr(owner, name, str(tmp_path / path))
    return tmp_path


CELL = {
    "name": "cell",
    "command": ["/bin/sh", "-c", "echo ran >>cells"],
    "done_query": "SELECT id FROM nova.cells",
    "database": "nova",
}


def test_step_is_due_until_its_query_finds_a_row(host: Path, server: Server, run_module: Run) -> None:
    step = {**CELL, "command": ["/bin/sh", "-c", f"echo ran >>{host}/cells"]}
    assert run_module(steps_module, check=True, steps=[step])["changes"] == ["cell: database nova is empty"]
    assert not (host / "cells").exists()
    server.tables = {"nova": 3}
    assert run_module(steps_module, steps=[step])["changes"] == ["cell: it never ran"]
    # somebody else's work counts as well as our own: the stamp is gone, the row is there
    (host / "stamps/cell").unlink()
    server.cells = True
    assert not run_module(steps_module, steps=[step])["changed"]
    assert (host / "cells").read_text() == "ran\n"
    assert server.closed


def test_schema_that_is_not_there_finds_no_row(server: Server) -> None:
    assert not databases.finds(server, CELL["done_query"])
    server.tables, server.cells = {"nova": 1}, True
    assert databases.finds(server, CELL["done_query"])


def test_server_that_goes_away_while_steps_are_judged_is_told(host: Path, server: Server, run_module: Run) -> None:
    server.fails_at = 1
    answer = run_module(steps_module, steps=[CELL])
    assert "broke off or refused a statement: Lost connection" in answer["problems"][0]


def test_failed_steps_are_told_and_what_succeeded_is_not_repeated(host: Path, server: Server, run_module: Run) -> None:
    server.tables = {"nova": 3}
    steps = [
        {"name": "made", "command": ["/usr/bin/touch", f"{host}/made"], "creates": f"{host}/made"},
        {
            "name": "broken",
            "command": ["/bin/sh", "-c", "echo one; echo 2 ERROR no such cell >&2; exit 3"],
            "after": ["made"],
        },
        {"name": "absent", "command": ["/no/such/program"], "after": ["made"]},
        {"name": "behind", "command": ["/usr/bin/touch", f"{host}/behind"], "after": ["broken"]},
    ]
    answer = run_module(steps_module, steps=steps)
    assert sorted(answer["problems"]) == [
        "absent: No such file or directory: /no/such/program",
        "broken: /bin/sh -c echo one; echo 2 ERROR no such cell >&2; exit 3 ended with 3: 2 ERROR no such cell",
    ]
    assert answer["msg"].endswith("(and 1 more)")
    assert not (host / "behind").exists()
    assert run_module(steps_module, check=True, steps=steps[:1])["changes"] == []
    (host / "made").unlink()
    assert run_module(steps_module, check=True, steps=steps[:1])["changes"] == [f"made: {host}/made is missing"]


def test_another_run_that_does_not_end_is_told_with_the_lock(
    host: Path, run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lock.exclusive(bootstrap.LOCK):
        monkeypatch.setattr(lock, "SECONDS", 0)
        answer = run_module(steps_module, steps=[{"name": "one", "command": ["/bin/true"]}])
    assert "another run of Stackwright has been at work" in answer["msg"]
    assert f"fuser -v {bootstrap.LOCK}" in answer["hint"]
