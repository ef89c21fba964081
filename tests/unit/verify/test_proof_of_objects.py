"""The proof of the object store passes at one that does what it must, fails at one that does not, and leaves nothing
behind."""

from __future__ import annotations

import datetime
import hmac
import json as text_of
import re
import sys
import time
import urllib.parse
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs import objects
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.bench import Bench, ProofError

from .test_proofs import ADMIN, Cloud, Reply

ROOT = "http://proxy:8080"
STORED: dict[str, str] = {}


class Answered(Reply):
    """An answer of the object store."""

    def __init__(self, status: int, raw: bytes = b"", body: Any = None) -> None:
        super().__init__(status, body, None if body is not None else raw)


class Proxy(Cloud):
    """Accounts with containers and objects in memory; each object has its versions, the newest last."""

    def __init__(self, *faults: str) -> None:
        super().__init__(*faults)
        self.boxes: dict[tuple[str, str], dict[str, str]] = {}
        self.held: dict[tuple[str, str], dict[str, list[bytes]]] = {}
        self.keys: dict[str, tuple[str, str]] = {}
        self.temp_key, self.account_quota, self.looks = "", "", 0
        self.forgotten: set[str] = set()

    def connection(self, user: str) -> Any:
        def request(
            path: str,
            method: str,
            endpoint_filter: dict[str, str],
            raise_exc: bool,
            authenticated: bool = True,
            **more: Any,
        ) -> Reply:
            project = next((one["id"] for one in self.things["projects"].values() if one["name"] == user), "")
            if endpoint_filter["service_type"] == "identity":
                parts = path.partition("?")[0].strip("/").split("/")
                return (
                    self.credentials(method, parts, project)
                    if "OS-EC2" in parts
                    else self.identity(method, parts, **more)
                )
            url = urllib.parse.urlsplit(path if path.startswith("http") else f"{ROOT}/v1/AUTH_{project}{path}")
            return self.answer(method, url, user if authenticated else "", project if authenticated else "", **more)

        def get_endpoint(**_: str) -> str:
            project = next(one["id"] for one in self.things["projects"].values() if one["name"] == user)
            return f"{ROOT}/v1/AUTH_{project}"

        auth = SimpleNamespace(auth_url="http://k:5000")
        return SimpleNamespace(session=SimpleNamespace(request=request, get_endpoint=get_endpoint, auth=auth))

    def credentials(self, method: str, parts: list[str], project: str) -> Reply:
        if method == "POST":
            self.keys["access"] = ("secret", project)
            return Reply(201, {"credential": {"access": "access", "secret": "secret"}})
        del self.keys[parts[-1]]
        return Reply(204)

    def answer(
        self,
        method: str,
        url: urllib.parse.SplitResult,
        user: str,
        project: str,
        headers: Any = None,
        data: bytes = b"",
    ) -> Reply:
        headers, query = headers or {}, dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        if url.path == "/info":
            listed = [{"name": "gold"}, {"name": "old", "deprecated": True}]
            return Answered(200, body={"swift": {"policies": listed}})
        if "Authorization" in headers:
            return self.s3(method, url, headers, data)
        _, _, account, *rest = [urllib.parse.unquote(one) for one in url.path.split("/")]
        account = account.removeprefix("AUTH_")
        owner, box, name = project == account, rest[0] if rest else "", "/".join(rest[1:])
        if not owner and not (user == ADMIN and not box) and not self.opened(method, url, query, account, box, project):
            return Answered(403 if user else 401)
        if not box:
            return self.account(method, account, owner, headers)
        if not name:
            return self.container(method, account, box, headers, query)
        return self.object(method, account, box, name, headers, query, data)

    def opened(
        self, method: str, url: urllib.parse.SplitResult, query: dict[str, str], account: str, box: str, project: str
    ) -> bool:
        if self.wrong("open") and method == "GET":
            return True
        if "temp_url_sig" in query:
            until = int(query["temp_url_expires"])
            text = f"GET\n{until}\n{url.path}".encode()
            right = hmac.new(self.temp_key.encode(), text, "sha256").hexdigest() == query["temp_url_sig"]
            return right and (until > time.time() or self.wrong("lends for ever"))
        granted = self.boxes.get((account, box), {}).get("X-Container-Read", "") == f"{project}:*" and bool(project)
        return granted and (method == "GET" or self.wrong("readers write"))

    def account(self, method: str, account: str, owner: bool, headers: dict[str, str]) -> Reply:
        if method == "GET":
            return Answered(200, body=[{"name": box} for one, box in self.boxes if one == account])
        self.temp_key = headers.get("X-Account-Meta-Temp-URL-Key", self.temp_key)
        if "X-Account-Meta-Quota-Bytes" in headers and owner and not self.wrong("quotas for all"):
            return Answered(403)
        if not owner:
            self.account_quota = headers.get("X-Account-Meta-Quota-Bytes", "")
        return Answered(204)

    def container(self, method: str, account: str, box: str, headers: dict[str, str], query: dict[str, str]) -> Reply:
        key = account, box
        match method:
            case "PUT" | "POST":
                self.boxes.setdefault(key, {}).update(headers)
                self.held.setdefault(key, {})
                return Answered(201 if method == "PUT" else 204)
            case "GET":
                listed = [
                    {"name": name, "version_id": str(number), "is_latest": number == len(kept) - 1}
                    for name, kept in self.held[key].items()
                    for number in range(len(kept))
                ]
                return Answered(200, body=listed)
            case _:
                if any(self.held[key].values()):
                    return Answered(409)
                del self.boxes[key], self.held[key]
                return Answered(204)

    def object(
        self,
        method: str,
        account: str,
        box: str,
        name: str,
        headers: dict[str, str],
        query: dict[str, str],
        data: bytes,
    ) -> Reply:
        kept = self.held[account, box]
        match method:
            case "PUT":
                quota = self.boxes[account, box].get("X-Container-Meta-Quota-Bytes") or self.account_quota
                if quota and len(data) > int(quota) and not self.wrong("no quota"):
                    return Answered(413)
                if "multipart-manifest" in query:
                    parts = [one["path"].split("/")[-1] for one in text_of.loads(data)]
                    data = b"".join(kept[one][-1] for one in parts[: 1 if self.wrong("loses parts") else None])
                versioned = self.boxes[account, box].get("X-Versions-Enabled") == "true" and not self.wrong(
                    "one version"
                )
                kept[name] = [*(kept.get(name, []) if versioned else []), data]
                if "X-Delete-After" in headers:
                    self.looks = 3
                return Answered(201)
            case "GET":
                if name == "brief" and not self.wrong("keeps for ever"):
                    self.looks -= 1
                    if self.looks <= 0:
                        kept.pop(name, None)
                if name not in kept:
                    return Answered(404)
                content = kept[name][int(query.get("version-id", -1))]
                if found := re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("Range", "")):
                    return Answered(206, content[int(found[1]) : int(found[2]) + 1])
                return Answered(200, b"other" if self.wrong("changes") and len(content) == objects.SIZE else content)
            case _:
                kept.pop(name, None)
                return Answered(204)

    def s3(self, method: str, url: urllib.parse.SplitResult, headers: dict[str, str], data: bytes) -> Reply:
        now = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
        for access, (secret, project) in self.keys.items():
            wanted = objects.signed(method, url.geturl(), data, (access, secret), "R", now)
            if wanted == headers or self.wrong("any signature"):
                if self.wrong("no s3"):
                    return Answered(500)
                _, box, *name = url.path.split("/")
                if not name:
                    self.container("PUT", project, box, {}, {})
                    return Answered(200)
                answer = self.object(method, project, box, name[0], {}, {}, data)
                return Answered(200, answer.content)
        return Answered(403)

    def raw(self, account: str, box: str, name: str) -> bytes:
        content = self.held[account.removeprefix("AUTH_"), box][name][-1]
        return content if self.wrong("clear") else bytes(255 - one for one in content)

    def prove(self) -> list[str]:
        return objects.prove(self.bench(), self.raw, self.forgotten.add)


def test_an_object_store_that_does_what_it_must_passes_and_nothing_is_left() -> None:
    cloud = Proxy()
    assert "what storage nodes keep is encrypted" in cloud.prove()
    assert cloud.is_empty() and not cloud.boxes and not cloud.keys and len(cloud.forgotten) == 2


def test_what_lies_on_disks_is_not_told_where_nobody_can_look() -> None:
    cloud = Proxy()
    assert len(objects.prove(cloud.bench(), lambda *_: None, lambda _: None)) == 4


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("changes", "an object of the policy gold is not what was stored: 5 bytes in place of 100000"),
        ("loses parts", "a large object of the policy gold is not what was stored"),
        ("clear", "in clear text"),
        ("one version", "an object that was written twice has 1 versions"),
        ("lends for ever", "with a temporary URL after its time an object answers HTTP 200, not 401"),
        ("keeps for ever", "an object goes after its time: not within 3 s"),
        ("open", "with a temporary URL with another key an object answers HTTP 200, not 401"),
        ("readers write", "who may read an object writes it"),
        ("no quota", "PUT /small/not of sw-owner-.* gives HTTP 201, not 413"),
        ("quotas for all", "who owns an account sets its quota"),
        ("no s3", "PUT /bucket by S3 gives HTTP 500, not 200"),
        ("any signature", "with a wrong signature S3 answers HTTP 200, not 403"),
    ],
)
def test_an_object_store_that_fails_is_found(fault: str, said: str) -> None:
    cloud = Proxy(fault)
    with pytest.raises(ProofError, match=said):
        cloud.prove()
    assert cloud.is_empty() and not cloud.boxes and not cloud.keys


def test_signatures_are_those_of_the_standard() -> None:
    """The example of the signing process: GET of a bucket's life cycle."""
    key = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    now = datetime.datetime(2013, 5, 24, tzinfo=datetime.UTC)
    headers = objects.signed("GET", "https://examplebucket.s3.amazonaws.com/?lifecycle=", b"", key, "us-east-1", now)
    assert headers["Authorization"].endswith("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")


class Rings:
    """The libraries of a proxy's host: two storage nodes, of which the first does not answer."""

    class ClientException(Exception):
        """What the client raises."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    def Ring(self, directory: str, ring_name: str) -> Any:
        if ring_name == "none":
            raise OSError("no ring")
        return SimpleNamespace(get_nodes=lambda *place: (7, ["dead", "alive"]))

    def direct_get_object(self, node: str, part: int, *place: str) -> tuple[dict[str, str], bytes]:
        if node == "dead" or place[-1] == "gone":
            raise self.ClientException("not there")
        return {}, b"kept"

    def direct_delete_account(self, node: str, part: int, account: str) -> None:
        if node == "dead":
            raise self.ClientException("not there")
        self.deleted.append(account)


def test_storage_nodes_are_asked_where_the_host_is_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert objects.raw("AUTH_a", "box", "one") is None
    objects.forget("AUTH_a")
    library: Any = Rings()
    monkeypatch.setitem(sys.modules, "swift.common.ring", library)
    monkeypatch.setitem(sys.modules, "swift.common.direct_client", library)
    assert objects.raw("AUTH_a", "box", "one") == b"kept"
    objects.forget("AUTH_a")
    assert library.deleted == ["AUTH_a"]
    with pytest.raises(ProofError, match="no storage node gives what it keeps of an object: not there"):
        objects.raw("AUTH_a", "box", "gone")
    assert isinstance(Proxy().bench(), Bench)
