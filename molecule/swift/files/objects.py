"""Keeps objects in the object store, as a client of its proxies, and says whether all of them are still what they were.

objects.py put NUMBER     so many more objects in each policy; the first time accounts with a container each as well, so
                          many that every device has some of their databases, which no later request touches
objects.py check          every object that was ever put, read and compared; exit status 1 when one is not
objects.py load FILE      reads until there is such a file and counts what failed
objects.py settle SECONDS waits until every server that the rings name for it has its copy or fragment of every object,
                          and every database of accounts and containers

No request is made a second time. The login lies as JSON in the file that OBJECTS_LOGIN names.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import http.client
import json
import os
import pathlib
import random
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import swiftclient
from swift.common.ring import Ring
from swift.common.storage_policy import POLICIES as STORED

KEPT = pathlib.Path("/var/tmp/objects.json")
POLICIES = ("gold", "ec22")
# A device has three eighths of the partitions: that it has none of these is less likely than one in a million.
ACCOUNTS = tuple(f"AUTH_objects-{number}" for number in range(32))
CONTAINER = "listing"
WORKERS = 4
SHOWN = 20
PAUSE = 2.0
LOCAL = threading.local()


def connection() -> Any:
    """A connection of this thread's own."""
    if not hasattr(LOCAL, "made"):
        login = json.loads(pathlib.Path(os.environ["OBJECTS_LOGIN"]).read_text())
        LOCAL.made = swiftclient.Connection(
            authurl=login["auth_url"],
            user=login["username"],
            key=login["password"],
            auth_version="3",
            os_options={key: login[key] for key in ("project_name", "project_domain_name", "user_domain_name")},
            retries=0,
            timeout=60,
        )
    return LOCAL.made


def put(path: str) -> tuple[str, str]:
    """Store an object; return its checksum, or what went wrong."""
    content = f"clear text of {path} ".encode() + random.Random(path).randbytes(200 + sum(path.encode()) * 37 % 40000)
    try:
        connection().put_object(*path.split("/"), content)
    except (swiftclient.ClientException, OSError) as error:
        return "", f"{path}: {error}"
    return hashlib.sha256(content).hexdigest(), ""


def get(path: str, wanted: str) -> str:
    """Read an object; return what went wrong."""
    try:
        found = hashlib.sha256(connection().get_object(*path.split("/"))[1]).hexdigest()
    except (swiftclient.ClientException, OSError) as error:
        return f"{path}: {error}"
    return "" if found == wanted else f"{path} is not what it was"


def spread() -> None:
    """Make the accounts and their containers, as the reseller's administrator."""
    url, token = connection().get_auth()
    for name in ACCOUNTS:
        swiftclient.put_container(f"{url.rpartition('/')[0]}/{name}", token, CONTAINER)


def store(kept: dict[str, str], number: int, pool: concurrent.futures.Executor) -> list[str]:
    """Store so many more objects in each policy; return what went wrong."""
    if not kept:
        spread()
    for policy in POLICIES:
        connection().put_container(policy, headers={"X-Storage-Policy": policy})
    first = len(kept) // len(POLICIES)
    paths = [f"{policy}/object-{first + one}" for one in range(number) for policy in POLICIES]
    found = dict(zip(paths, pool.map(put, paths), strict=True))
    kept |= {path: checksum for path, (checksum, _) in found.items() if checksum}
    KEPT.write_text(json.dumps(kept))
    return [wrong for _, wrong in found.values() if wrong]


@dataclasses.dataclass(frozen=True)
class Copy:
    """A copy that a server has to have. ``fragment`` is the number of one of an object that is kept in fragments."""

    address: tuple[str, int]
    path: str
    policy: int = 0
    fragment: int | None = None


def copies(kept: dict[str, str]) -> Iterator[Copy]:
    """Every copy of what was put, where the rings say."""
    account = connection().get_auth()[0].rsplit("/", 1)[-1]
    rings = {name: Ring("/etc/swift", ring_name=name) for name in ("account", "container")}

    def each(ring: Any, *path: str) -> Iterator[tuple[dict[str, Any], tuple[str, int], str]]:
        part, nodes = ring.get_nodes(*path)
        for node in nodes:
            yield node, (node["ip"], node["port"]), "/".join(["", node["device"], str(part), *path])

    for name in (account, *ACCOUNTS):
        for _, address, place in each(rings["account"], name):
            yield Copy(address, place)
    for name in ACCOUNTS:
        for _, address, place in each(rings["container"], name, CONTAINER):
            yield Copy(address, place)
    for name in POLICIES:
        policy = STORED.get_by_name(name)
        ring = Ring("/etc/swift", ring_name=policy.ring_name)
        for _, address, place in each(rings["container"], account, name):
            yield Copy(address, place)
        for path in kept:
            if path.startswith(f"{name}/"):
                for node, address, place in each(ring, account, *path.split("/")):
                    coded = node["index"] if policy.policy_type == "erasure_coding" else None
                    yield Copy(address, place, int(policy), coded)


def lacking(copy: Copy) -> str:
    """Ask a server for its copy; return what is wrong."""
    asked = vars(LOCAL).setdefault("servers", {})
    server = asked.setdefault(copy.address, http.client.HTTPConnection(*copy.address, timeout=30))
    try:
        server.request("HEAD", copy.path, headers={"X-Backend-Storage-Policy-Index": str(copy.policy)})
        answer = server.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        server.close()
        return f"{copy.address[0]}{copy.path}: {error}"
    if answer.status // 100 != 2:
        return f"{copy.address[0]}{copy.path}: HTTP {answer.status}"
    has = {one for found in json.loads(answer.headers.get("X-Backend-Fragments") or "{}").values() for one in found}
    return "" if copy.fragment in (None, *has) else f"{copy.address[0]}{copy.path}: fragments {sorted(has)}"


def settle(kept: dict[str, str], seconds: float, pool: concurrent.futures.Executor) -> tuple[int, list[str]]:
    """Wait for every copy; return how many there are, and what is wrong in the end."""
    waiting = list(copies(kept))
    done, until = len(waiting), time.monotonic() + seconds
    while True:
        said = dict(zip(waiting, pool.map(lacking, waiting), strict=True))
        waiting = [one for one, wrong in said.items() if wrong]
        if not waiting or time.monotonic() > until:
            return done, [said[one] for one in waiting]
        time.sleep(PAUSE)


def main() -> int:
    """Do what was asked."""
    kept: dict[str, str] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    verb, begun = sys.argv[1], time.monotonic()
    failed: list[str] = []
    done = 0
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        if verb == "put":
            number = int(sys.argv[2])
            failed, done = store(kept, number, pool), number * len(POLICIES)
        elif verb == "settle":
            done, failed = settle(kept, float(sys.argv[2]), pool)
        else:
            order, end = random.Random(1), pathlib.Path(sys.argv[2]) if verb == "load" else None
            while not done or (end and not end.exists()):
                paths = order.sample(sorted(kept), 100) if end else sorted(kept)
                failed += filter(None, pool.map(lambda path: get(path, kept[path]), paths))
                done += len(paths)
    rate = round(done / (time.monotonic() - begun), 1)
    print(json.dumps({"done": done, "failed": failed[:SHOWN], "failures": len(failed), "rate": rate}))
    return 1 if failed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
