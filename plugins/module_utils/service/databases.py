"""Databases and their users on a MariaDB server, through its local socket as the operating system's root."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# Seconds that the server may take for one answer: a server that hangs must not hang the run.
ANSWER_SECONDS = 60
SOCKET = "/run/mysqld/mysqld.sock"
ANY_HOST = "%"


class DatabaseError(Exception):
    """The server cannot be reached or refuses a statement."""


@dataclass
class Database:
    """One database, its user and the user's password; names are MariaDB identifiers of letters, digits and underscores.

    ``hosts`` are the addresses from which the user may log in.
    """

    name: str
    user: str
    password: str
    hosts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for what in (self.name, self.user):
            if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", what):
                raise DatabaseError(
                    f"{what!r} is no name for a database or its user: letters, digits and underscores only"
                )
        for host in self.hosts:
            try:
                ipaddress.ip_address(host)
            except ValueError:
                raise DatabaseError(
                    f"database user {self.user}: {host!r} is no address from which it could log in; the "
                    f"server resolves no names"
                ) from None
        if not self.hosts:
            raise DatabaseError(f"database user {self.user}: there is no address from which it may log in")


@contextlib.contextmanager
def session(socket: str = SOCKET) -> Iterator[Any]:
    """A connection as root over the socket (the server trusts the operating system's user there), closed in the end.

    :raises DatabaseError: the server does not answer, goes away in the middle, or refuses a statement of the block.
    """
    try:
        import pymysql
    except ImportError as error:
        raise DatabaseError("python3-pymysql is not installed on the database host") from error
    try:
        connection = pymysql.connect(
            unix_socket=socket,
            user="root",
            charset="utf8mb4",
            connect_timeout=10,
            read_timeout=ANSWER_SECONDS,
            write_timeout=ANSWER_SECONDS,
            autocommit=True,
        )
    except pymysql.MySQLError as error:
        raise DatabaseError(f"MariaDB does not answer on {socket}: {error.args[-1]}") from error
    try:
        yield connection
    except pymysql.MySQLError as error:
        raise DatabaseError(f"MariaDB on {socket} broke off or refused a statement: {error.args[-1]}") from error
    finally:
        with contextlib.suppress(pymysql.MySQLError):
            connection.close()


def native_hash(password: str) -> str:
    """The text by which the server knows a password (mysql_native_password: SHA-1 of the SHA-1)."""
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()


def converge(connection: Any, wanted: list[Database], check_mode: bool) -> list[str]:
    """Create databases and users, set passwords and grants where they differ; remove accounts of these users that any
    host may use.

    An account that is any host's goes last, when its successors are complete, so that a service that runs can always
    log in. Accounts at other addresses stay: they are those of other controllers.

    :returns: what was (or would be) changed, a line each, without secrets.
    """
    changes: list[str] = []
    with connection.cursor() as cursor:

        def rows(statement: str, *values: str) -> list[tuple[Any, ...]]:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

        def write(statement: str, *values: str) -> None:
            if not check_mode:
                cursor.execute(statement, values)

        present = {row[0] for row in rows("SHOW DATABASES")}
        users = {(row[0], row[1]): row[2] for row in rows("SELECT User, Host, authentication_string FROM mysql.user")}
        grants = {
            (row[0], row[1], row[2])
            for row in rows("SELECT Db, User, Host FROM mysql.db WHERE Create_priv = 'Y' AND Drop_priv = 'Y'")
        }
        for one in wanted:
            if one.name not in present:
                write(f"CREATE DATABASE `{one.name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
                changes.append(f"create database {one.name}")
                present.add(one.name)
            # an underscore stands for any character in a grant
            pattern = one.name.replace("_", r"\_")
            for host in one.hosts:
                account = f"`{one.user}`@`{host}`"
                hashed = users.get((one.user, host))
                if hashed is None:
                    write(f"CREATE USER {account} IDENTIFIED BY %s", one.password)
                    changes.append(f"create database user {one.user} for {host}")
                elif hashed != native_hash(one.password):
                    write(f"ALTER USER {account} IDENTIFIED BY %s", one.password)
                    changes.append(f"change the password of database user {one.user} for {host}")
                users[one.user, host] = native_hash(one.password)
                if (pattern, one.user, host) not in grants:
                    write(f"GRANT ALL PRIVILEGES ON `{pattern}`.* TO {account}")
                    changes.append(f"grant {one.user} for {host} all on database {one.name}")
                if pattern != one.name and (one.name, one.user, host) in grants:
                    write(f"REVOKE ALL PRIVILEGES ON `{one.name}`.* FROM {account}")
                    changes.append(f"revoke from {one.user} for {host} what it has on databases named like {one.name}")
        for user in sorted({one.user for one in wanted if (one.user, ANY_HOST) in users}):
            write(f"DROP USER `{user}`@`%%`")
            changes.append(f"remove database user {user} for any host")
    return changes


def tables(connection: Any) -> dict[str, int]:
    """Number of tables in each database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_schema, COUNT(*) FROM information_schema.tables GROUP BY table_schema")
        return {str(name): int(count) for name, count in cursor.fetchall()}


def finds(connection: Any, statement: str) -> bool:
    """Whether a statement finds a row; a table that does not exist yet holds none."""
    import pymysql

    with connection.cursor() as cursor:
        try:
            cursor.execute(statement)
        except pymysql.err.ProgrammingError:
            return False
        return cursor.fetchone() is not None
