"""The key manager keeps a secret for its project alone, encrypted; its worker makes keys, and what belongs to a project
goes with it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from pathlib import Path

from ansible_collections.stackwright.cloud.plugins.module_utils.service import databases
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.bench import Bench, ProofError, Tenant

SERVICE = "key-manager"
DATABASE = "barbican"
LOGS = Path("/var/log/barbican")
# A key of AES-256.
KEY_BITS = 256
COLUMNS = (
    "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND "
    "DATA_TYPE IN ('char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext', 'blob', 'mediumblob', 'longblob')"
)


def columns_with(text: str) -> list[str]:
    """Columns of the key manager's database, as ``table.column``, in which a text stands as it is or in base64."""
    encoded = base64.b64encode(text.encode()).decode()
    found = []
    with databases.session() as connection, connection.cursor() as cursor:
        cursor.execute(COLUMNS, (DATABASE,))
        for table, column in list(cursor.fetchall()):
            cursor.execute(
                f"SELECT COUNT(*) FROM `{DATABASE}`.`{table}` WHERE INSTR(`{column}`, %s) OR INSTR(`{column}`, %s)",
                (text, encoded),
            )
            if cursor.fetchone()[0]:
                found.append(f"{table}.{column}")
    return found


def logs_with(text: str) -> list[str]:
    """The key manager's log files in which a text stands."""
    return sorted(path.name for path in LOGS.glob("*.log") if text.encode() in path.read_bytes())


def is_kept(identifier: str) -> bool:
    """Whether the database holds a secret that is not removed."""
    with databases.session() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM `{DATABASE}`.secrets WHERE id = %s AND NOT deleted", (identifier,))
        return bool(cursor.fetchone()[0])


def _identifier(reference: str) -> str:
    """The identifier at the end of a reference, which is a URL."""
    return reference.rstrip("/").rsplit("/", 1)[-1]


def _store(tenant: Tenant, name: str, payload: str) -> str:
    body = {"name": name, "payload": payload, "payload_content_type": "text/plain", "secret_type": "passphrase"}
    return _identifier(tenant.need(SERVICE, "POST", "/v1/secrets", 201, json=body).body["secret_ref"])


def _payload(tenant: Tenant, identifier: str, kind: str) -> bytes:
    return tenant.need(SERVICE, "GET", f"/v1/secrets/{identifier}/payload", 200, headers={"Accept": kind}).content


def _order(bench: Bench, tenant: Tenant, name: str) -> bytes:
    """A key that the worker makes."""
    meta = {"name": name, "algorithm": "aes", "bit_length": KEY_BITS, "mode": "cbc"}
    made = tenant.need(SERVICE, "POST", "/v1/orders", 202, json={"type": "key", "meta": meta}).body
    order = _identifier(made["order_ref"])

    def done() -> str:
        seen = tenant.need(SERVICE, "GET", f"/v1/orders/{order}", 200).body
        if seen["status"] == "ERROR":
            raise ProofError(f"the worker cannot make a key: {seen.get('error_reason') or 'no reason given'}")
        return str(seen.get("secret_ref") or "") if seen["status"] == "ACTIVE" else ""

    secret = _identifier(bench.wait("the worker makes the key that was ordered", done))
    tenant.need(SERVICE, "DELETE", f"/v1/orders/{order}", 204)
    key = _payload(tenant, secret, "application/octet-stream")
    tenant.need(SERVICE, "DELETE", f"/v1/secrets/{secret}", 204)
    return key


def prove(
    bench: Bench,
    columns: Callable[[str], list[str]] = columns_with,
    logs: Callable[[str], list[str]] = logs_with,
    kept: Callable[[str], bool] = is_kept,
) -> list[str]:
    """Store a secret, read it back, and look for it where it must not be. Runs where the database is.

    :raises ProofError: the key manager fails.
    """
    name, payload = bench.name("secret"), secrets.token_hex(24)
    with bench.tenant("other") as other, bench.tenant("owner") as owner:
        secret = _store(owner, name, payload)
        if _payload(owner, secret, "text/plain") != payload.encode():
            raise ProofError("a secret is not what was stored")
        other.client.refused(SERVICE, "GET", f"/v1/secrets/{secret}", "another project sees a secret")
        payload_path = f"/v1/secrets/{secret}/payload"
        accept = {"Accept": "text/plain"}
        other.client.refused(SERVICE, "GET", payload_path, "another project reads a secret", headers=accept)
        other.client.refused(SERVICE, "DELETE", f"/v1/secrets/{secret}", "another project removes a secret")
        if not columns(name):
            raise ProofError("the database does not hold the name of a secret: it is another service's")
        if places := columns(payload):
            raise ProofError(f"a secret stands in clear text in the database: {', '.join(places)}")
        if places := logs(payload):
            raise ProofError(f"a secret stands in clear text in the log: {', '.join(places)}")
        key = _order(bench, owner, bench.name("key"))
        if len(key) * 8 != KEY_BITS:
            raise ProofError(f"a key of {KEY_BITS} bits was ordered, and has {len(key) * 8}")
        # of a project that is removed, the listener removes what belongs to it
        bench.admin.need("identity", "DELETE", f"/projects/{owner.project}", 204)
        bench.wait("the secret of a removed project is removed", lambda: not kept(secret))
    return [
        "a secret is stored encrypted, read back by its project, refused to another",
        f"a key of {KEY_BITS} bits is made",
        "the secrets of a removed project are removed",
    ]
