"""Keeps objects in the object store, as a client of its proxies, and says whether all of them are still what they were.

objects.py put NUMBER     so many more objects in each policy
objects.py check          every object that was ever put, read and compared; exit status 1 when one is not
objects.py load SECONDS   reads for so long and counts what failed

No request is made a second time. The login lies as JSON in the file that OBJECTS_LOGIN names.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import sys
import threading
import time
from typing import Any

import swiftclient

KEPT = pathlib.Path("/var/tmp/objects.json")
POLICIES = ("gold", "ec22")
WORKERS = 4
SHOWN = 20
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


def store(kept: dict[str, str], number: int, pool: concurrent.futures.Executor) -> list[str]:
    """Store so many more objects in each policy; return what went wrong."""
    for policy in POLICIES:
        connection().put_container(policy, headers={"X-Storage-Policy": policy})
    first = len(kept) // len(POLICIES)
    paths = [f"{policy}/object-{first + one}" for one in range(number) for policy in POLICIES]
    found = dict(zip(paths, pool.map(put, paths), strict=True))
    kept |= {path: checksum for path, (checksum, _) in found.items() if checksum}
    KEPT.write_text(json.dumps(kept))
    return [wrong for _, wrong in found.values() if wrong]


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
        else:
            order, until = random.Random(1), begun + float(sys.argv[2]) if verb == "load" else 0.0
            while not done or time.monotonic() < until:
                paths = order.sample(sorted(kept), 100) if until else sorted(kept)
                failed += filter(None, pool.map(lambda path: get(path, kept[path]), paths))
                done += len(paths)
    rate = round(done / (time.monotonic() - begun), 1)
    print(json.dumps({"done": done, "failed": failed[:SHOWN], "failures": len(failed), "rate": rate}))
    return 1 if failed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
