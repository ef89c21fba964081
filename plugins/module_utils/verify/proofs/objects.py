"""The object store keeps objects in each of its policies, whole, in parts and in versions, lends and removes them in
time, speaks S3, refuses strangers and what is above a quota, and lets nothing lie on its disks in clear text."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import importlib
import json
import secrets
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.bench import (
    Answer,
    Bench,
    ProofError,
    Tenant,
)

SERVICE = "object-store"
RINGS = "/etc/swift"
# Bytes of an object, and of each of the parts of a large one.
SIZE = 100_000
PART = 1 << 16
SECONDS_LENT = 60
# Seconds for which a brief object is kept: long enough to be read on a busy machine.
SECONDS_KEPT = 20
EMPTY = hashlib.sha256(b"").hexdigest()
# An object as its storage node has it, by account, container and name; None where this host cannot ask storage nodes.
Raw = Callable[[str, str, str], bytes | None]
# Removes what is left of an account once it is empty.
Forget = Callable[[str], None]


def _ring(name: str) -> Any:
    """A ring of this host's; None where it has none, since it is no proxy."""
    try:
        return importlib.import_module("swift.common.ring").Ring(RINGS, ring_name=name)
    except (ImportError, OSError):
        return None


def raw(account: str, container: str, name: str) -> bytes | None:
    """Ask storage nodes for what they keep of an object of the policy of index 0, which the proxies would decrypt."""
    ring = _ring("object")
    if ring is None:
        return None
    client = importlib.import_module("swift.common.direct_client")
    part, nodes = ring.get_nodes(account, container, name)
    cause = ""
    for node in nodes:
        try:
            return bytes(client.direct_get_object(node, part, account, container, name)[1])
        except (OSError, client.ClientException) as error:
            cause = str(error)
    raise ProofError(f"no storage node gives what it keeps of an object: {cause}")


def forget(account: str) -> None:
    """Have storage nodes remove what they know of an empty account."""
    ring = _ring("account")
    if ring is None:
        return
    client = importlib.import_module("swift.common.direct_client")
    part, nodes = ring.get_nodes(account)
    for node in nodes:
        try:
            client.direct_delete_account(node, part, account)
        except (OSError, client.ClientException):  # the reaper's work, once the others know
            continue


@dataclass
class Account:
    """The account of a tenant."""

    tenant: Tenant
    url: str

    @property
    def name(self) -> str:
        """Its name in rings."""
        return urllib.parse.urlsplit(self.url).path.rsplit("/", 1)[-1]

    @property
    def root(self) -> str:
        """Scheme, host and port of the proxies."""
        parts = urllib.parse.urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def need(self, method: str, path: str, *statuses: int, **more: Any) -> Answer:
        """A request of the owner's, see :meth:`bench.Client.need`."""
        return self.tenant.need(SERVICE, method, path, *statuses, **more)

    def stranger(self, method: str, path: str, **more: Any) -> Answer:
        """A request without a login."""
        return self.tenant.ask(SERVICE, method, path, authenticated=False, **more)


def _same(what: str, found: bytes, wanted: bytes) -> None:
    if found != wanted:
        raise ProofError(f"{what} is not what was stored: {len(found)} bytes in place of {len(wanted)}")


def _policies(account: Account) -> list[str]:
    """Names of the policies that containers may have."""
    told = account.stranger("GET", f"{account.root}/info").body["swift"]["policies"]
    return [one["name"] for one in told if not one.get("deprecated")]


def _objects(account: Account, policy: str) -> None:
    """Put, get, a part of it, and a large object, in a container of a policy."""
    box, content = f"/box-{policy}", secrets.token_bytes(SIZE)
    account.need("PUT", box, 201, headers={"X-Storage-Policy": policy})
    account.need("PUT", f"{box}/one", 201, data=content)
    _same(f"an object of the policy {policy}", account.need("GET", f"{box}/one", 200).content, content)
    part = account.need("GET", f"{box}/one", 206, headers={"Range": "bytes=1000-4999"})
    _same(f"a part of an object of the policy {policy}", part.content, content[1000:5000])
    parts = [content[start : start + PART] for start in range(0, SIZE, PART)]
    for number, one in enumerate(parts):
        account.need("PUT", f"{box}/part-{number}", 201, data=one)
    manifest = [{"path": f"{box}/part-{number}"} for number in range(len(parts))]
    account.need("PUT", f"{box}/large?multipart-manifest=put", 201, data=json.dumps(manifest).encode())
    _same(f"a large object of the policy {policy}", account.need("GET", f"{box}/large", 200).content, content)


def _versions(account: Account) -> None:
    account.need("PUT", "/versions", 201, headers={"X-Versions-Enabled": "true"})
    for text in (b"first", b"second"):
        account.need("PUT", "/versions/one", 201, data=text)
    listed = account.need("GET", "/versions?versions&format=json", 200).body
    older = [one["version_id"] for one in listed if not one["is_latest"]]
    if len(older) != 1:
        raise ProofError(f"an object that was written twice has {len(listed)} versions")
    _same("an older version", account.need("GET", f"/versions/one?version-id={older[0]}", 200).content, b"first")
    _same("the newest version", account.need("GET", "/versions/one", 200).content, b"second")


def _lent(account: Account, content: bytes) -> None:
    """A temporary URL opens an object to whoever has it, and no other."""
    key = secrets.token_hex(16)
    account.need("POST", "", 204, headers={"X-Account-Meta-Temp-URL-Key": key})
    path, until = "/box/one", int(time.time()) + SECONDS_LENT
    where = urllib.parse.urlsplit(account.url).path + path

    def opened(key: str, until: int) -> Answer:
        signature = hmac.new(key.encode(), f"GET\n{until}\n{where}".encode(), "sha256").hexdigest()
        return account.stranger("GET", f"{path}?temp_url_sig={signature}&temp_url_expires={until}")

    _same("an object behind a temporary URL", opened(key, until).content, content)
    for what, answer in (
        ("a temporary URL with another key", opened("other", until)),
        ("a temporary URL after its time", opened(key, until - 2 * SECONDS_LENT)),
        ("no temporary URL", account.stranger("GET", path)),
    ):
        if answer.status != 401:
            raise ProofError(f"with {what} an object answers HTTP {answer.status}, not 401")


def _brief(account: Account) -> None:
    """An object that is to go by itself."""
    account.need("PUT", "/box/brief", 201, data=b"brief", headers={"X-Delete-After": str(SECONDS_KEPT)})
    account.need("GET", "/box/brief", 200)


def _expired(bench: Bench, account: Account) -> None:
    bench.wait("an object goes after its time", lambda: account.tenant.ask(SERVICE, "GET", "/box/brief").status == 404)


def _refused(account: Account, other: Account) -> None:
    """Another project reads nothing until it is let in, and writes nothing then."""
    url = f"{account.url}/box/one"
    for method in ("GET", "PUT", "DELETE"):
        other.tenant.client.refused(SERVICE, method, url, "another project has its way with an object")
    account.need("POST", "/box", 204, headers={"X-Container-Read": f"{other.tenant.project}:*"})
    other.tenant.need(SERVICE, "GET", url, 200)
    other.tenant.client.refused(SERVICE, "PUT", url, "who may read an object writes it", data=b"x")


def _quotas(bench: Bench, account: Account) -> None:
    account.need("PUT", "/small", 201, headers={"X-Container-Meta-Quota-Bytes": "100"})
    account.need("PUT", "/small/fits", 201, data=b"x" * 50)
    account.need("PUT", "/small/not", 413, data=b"x" * 200)
    bench.admin.need(SERVICE, "POST", account.url, 204, headers={"X-Account-Meta-Quota-Bytes": "1"})
    account.need("PUT", "/box/not", 413, data=b"xx")
    bench.admin.need(SERVICE, "POST", account.url, 204, headers={"X-Remove-Account-Meta-Quota-Bytes": "x"})
    # the owner does not set it
    answer = account.tenant.ask(SERVICE, "POST", "", headers={"X-Account-Meta-Quota-Bytes": "5"})
    if answer.status != 403:
        raise ProofError(f"who owns an account sets its quota: HTTP {answer.status}, not 403")


def signed(
    method: str, url: str, body: bytes, key: tuple[str, str], region: str, now: datetime.datetime
) -> dict[str, str]:
    """Headers with which a request speaks S3. Source: AWS, Signature Version 4 signing process.

    :param key: access key and secret. :param now: in UTC.
    """
    parts, stamp = urllib.parse.urlsplit(url), now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    headers = {
        "host": parts.netloc,
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-amz-date": stamp,
    }
    names = ";".join(headers)
    lines = [f"{name}:{value}" for name, value in headers.items()]
    canonical = "\n".join([method, parts.path or "/", parts.query, *lines, "", names, headers["x-amz-content-sha256"]])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signing = f"AWS4{key[1]}".encode()
    for word in scope.split("/"):
        signing = hmac.new(signing, word.encode(), "sha256").digest()
    signature = hmac.new(signing, text.encode(), "sha256").hexdigest()
    credential = f"Credential={key[0]}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "Authorization": f"AWS4-HMAC-SHA256 {credential}"}


def _s3(account: Account, content: bytes) -> None:
    tenant = account.tenant
    place = f"/users/{tenant.user}/credentials/OS-EC2"
    made = tenant.need("identity", "POST", place, 201, json={"tenant_id": tenant.project}).body["credential"]
    key = made["access"], made["secret"]

    def ask(method: str, path: str, body: bytes = b"", key: tuple[str, str] = key) -> Answer:
        url = account.root + path
        now = datetime.datetime.now(datetime.UTC)
        return account.stranger(
            method, url, data=body, headers=signed(method, url, body, key, tenant.client.region, now)
        )

    try:
        for method, path, body in (("PUT", "/bucket", b""), ("PUT", "/bucket/one", content)):
            if (answer := ask(method, path, body)).status != 200:
                said = " ".join(answer.content.decode(errors="replace").split())[:300]
                raise ProofError(f"{method} {path} by S3 gives HTTP {answer.status}, not 200: {said or 'no text'}")
        _same("an object that came by S3", ask("GET", "/bucket/one").content, content)
        _same("an object that came by S3", account.need("GET", "/bucket/one", 200).content, content)
        if (answer := ask("GET", "/bucket/one", key=(key[0], "wrong"))).status != 403:
            raise ProofError(f"with a wrong signature S3 answers HTTP {answer.status}, not 403")
    finally:
        tenant.ask("identity", "DELETE", f"{place}/{key[0]}")


def _encrypted(account: Account, content: bytes, raw: Raw) -> list[str]:
    """What storage nodes keep of an object is not what was stored."""
    kept = raw(account.name, "box", "one")
    if kept is None:
        return []
    if len(kept) != len(content) or content[:64] in kept:
        raise ProofError("an object lies on the disks of storage nodes in clear text")
    return ["what storage nodes keep is encrypted"]


def _clear(account: Account, forget: Forget) -> None:
    """Remove everything of an account."""
    tenant = account.tenant
    for box in tenant.need(SERVICE, "GET", "?format=json", 200).body or []:
        name = urllib.parse.quote(box["name"])
        tenant.ask(SERVICE, "POST", f"/{name}", headers={"X-Versions-Enabled": "false"})
        for one in tenant.need(SERVICE, "GET", f"/{name}?versions&format=json", 200).body or []:
            version = f"?version-id={one['version_id']}" if one.get("version_id") else ""
            tenant.ask(SERVICE, "DELETE", f"/{name}/{urllib.parse.quote(one['name'])}{version}")
        tenant.need(SERVICE, "DELETE", f"/{name}", 204, 404)
    forget(account.name)


def prove(bench: Bench, raw: Raw = raw, forget: Forget = forget) -> list[str]:
    """Do with objects what users do, and what they must not be able to do. Runs where the database is; where that is a
    proxy as well, storage nodes are asked for what they keep.

    :raises ProofError: the object store fails.
    """
    content = secrets.token_bytes(SIZE)
    with bench.tenant("other") as guest, bench.tenant("owner") as owner:
        account = Account(owner, owner.client.endpoint(SERVICE))
        other = Account(guest, guest.client.endpoint(SERVICE))
        try:
            policies = _policies(account)
            for policy in policies:
                _objects(account, policy)
            account.need("PUT", "/box", 201)
            account.need("PUT", "/box/one", 201, data=content)
            _brief(account)
            encrypted = _encrypted(account, content, raw)
            _versions(account)
            _lent(account, content)
            _refused(account, other)
            _quotas(bench, account)
            _s3(account, content)
            _expired(bench, account)
        finally:
            _clear(account, forget)
            forget(other.name)
    return [
        f"objects are kept whole, in parts and as large ones in {', '.join(policies)}",
        "versions are kept, and what is brief goes",
        "temporary URLs, access lists and quotas let in what they must, and nothing else",
        "S3 takes signatures of the identity service's credentials",
        *encrypted,
    ]
