"""Keeps objects on the storage nodes as a proxy would, and says whether all of them are still what they were.

objects.py put NUMBER     so many more objects, each to all of its nodes that answer, to two of three at least
objects.py check          every object that was ever put, read and compared; exit status 1 when one is not
objects.py load SECONDS   reads for so long and counts what failed
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import itertools
import json
import pathlib
import random
import sys
import time
from typing import Any

from swift.common.direct_client import direct_get_object, direct_put_object
from swift.common.exceptions import ClientException
from swift.common.ring import Ring
from swift.common.utils import Timestamp

KEPT = pathlib.Path("/var/tmp/objects.json")
ACCOUNT, CONTAINER = "AUTH_proof", "kept"
FAULTS = (ClientException, OSError, EOFError)
WITH_TIME = {"conn_timeout": 5, "response_timeout": 20}


def put(ring: Any, name: str) -> str:
    """Store an object; return its checksum."""
    content = random.Random(name).randbytes(2000 + int(name) * 37 % 40000)
    part, nodes = ring.get_nodes(ACCOUNT, CONTAINER, name)
    stored, faults = 0, []
    headers = {"X-Timestamp": Timestamp.now().internal, "Content-Type": "application/octet-stream"}
    for node in itertools.islice(itertools.chain(nodes, ring.get_more_nodes(part)), 6):
        try:
            place = (node, part, ACCOUNT, CONTAINER, name)
            direct_put_object(*place, content, content_length=len(content), headers=dict(headers), **WITH_TIME)
            stored += 1
        except FAULTS as error:
            faults.append(f"{node['meta']}: {error}")
        if stored == 3:
            break
    assert stored >= 2, (name, faults)
    return hashlib.sha256(content).hexdigest()


def get(ring: Any, name: str) -> str:
    """Read an object from the first of its nodes that gives it whole; return its checksum, or what went wrong."""
    part, nodes = ring.get_nodes(ACCOUNT, CONTAINER, name)
    faults = []
    for node in itertools.chain(nodes, ring.get_more_nodes(part)):
        try:
            found, content = direct_get_object(node, part, ACCOUNT, CONTAINER, name, **WITH_TIME)
        except FAULTS as error:
            faults.append(f"{node['meta']}: {error}")
            continue
        # a reader compares, as proxies' clients do
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == found["etag"].strip('"'):
            return hashlib.sha256(content).hexdigest()
        faults.append(f"{node['meta']}: gives something else")
    return "; ".join(faults)


def main() -> int:
    """Do what was asked."""
    ring = Ring("/etc/swift", ring_name="object")
    kept: dict[str, str] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    verb, started, failed, done = sys.argv[1], time.monotonic(), [], 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        if verb == "put":
            names = [str(len(kept) + one) for one in range(int(sys.argv[2]))]
            kept |= dict(zip(names, pool.map(lambda name: put(ring, name), names), strict=True))
            KEPT.write_text(json.dumps(kept))
            done = len(names)
        else:
            until = started + float(sys.argv[2]) if verb == "load" else 0.0
            order = random.Random(1)
            while not done or time.monotonic() < until:
                names = order.sample(sorted(kept), 50) if until else sorted(kept)
                for name, found in zip(names, pool.map(lambda name: get(ring, name), names), strict=True):
                    failed += [f"{name}: {found}"] if found != kept[name] else []
                done += len(names)
    rate = round(done / (time.monotonic() - started), 1)
    print(json.dumps({"done": done, "failed": failed, "rate": rate}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
