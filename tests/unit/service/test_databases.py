"""Databases and users are compared before they are written; a server that fails is told, whenever it fails."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import databases


class ClientError(Exception):
    """What the database's client raises for everything that goes wrong."""


class Server:
    """A server with databases, users and grants that fails at the statement numbered ``fails_at``."""

    def __init__(self, fails_at: int = 0) -> None:
        self.databases: set[str] = {"mysql"}
        self.users: dict[str, str] = {}
        self.grants: set[tuple[str, str]] = set()
        self.statements: list[str] = []
        self.fails_at = fails_at
        self.closed = False
        self.rows: list[tuple[Any, ...]] = []

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
            self.rows = list(self.users.items())
        elif statement.startswith("SELECT 1 FROM mysql.db"):
            self.rows = [(1,)] if (values[0], values[1]) in self.grants else []
        elif statement.startswith("CREATE DATABASE"):
            self.databases.add(words[2])
        elif statement.startswith(("CREATE USER", "ALTER USER")):
            assert words[2].endswith("@%")
            self.users[words[2].removesuffix("@%")] = databases.native_hash(values[0])
        elif statement.startswith("GRANT ALL PRIVILEGES"):
            assert words[6].endswith("@%")
            self.grants.add((words[4].removesuffix(".*"), words[6].removesuffix("@%")))
        else:
            raise AssertionError(statement)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.rows


WANTED = [databases.Database("glance", "glance", "one"), databases.Database("nova", "nova", "two"), databases.Database("nova_api", "nova", "two")]  # fmt: skip


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    client = SimpleNamespace(connect=lambda **options: server, MySQLError=ClientError)
    monkeypatch.setitem(sys.modules, "pymysql", client)
    return server


def test_hash_is_the_servers_own() -> None:
    # what MariaDB gives for SELECT PASSWORD('password')
    assert databases.native_hash("password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


def test_databases_users_and_grants_are_made_once(server: Server) -> None:
    changes = databases.converge(server, WANTED, check_mode=False)
    assert changes == [
        "create database glance", "create database user glance", "grant glance all on database glance",
        "create database nova", "create database user nova", "grant nova all on database nova",
        "create database nova_api", "grant nova all on database nova_api",
    ]  # fmt: skip
    assert server.databases == {"mysql", "glance", "nova", "nova_api"}
    assert databases.converge(server, WANTED, check_mode=False) == []


def test_check_mode_foretells_and_writes_nothing(server: Server) -> None:
    foretold = databases.converge(server, WANTED, check_mode=True)
    assert not [statement for statement in server.statements if not statement.startswith(("SHOW", "SELECT"))]
    assert foretold == databases.converge(server, WANTED, check_mode=False)


def test_another_password_is_set_and_not_told(server: Server) -> None:
    databases.converge(server, WANTED, check_mode=False)
    changes = databases.converge(server, [databases.Database("glance", "glance", "sesame")], check_mode=False)
    assert changes == ["change the password of database user glance"]
    assert server.users["glance"] == databases.native_hash("sesame")


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
