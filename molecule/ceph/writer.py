"""Writes a small object again and again, and keeps the longest time that one write took: what a client feels.

Use: writer.py SECONDS. Prints JSON: the number of writes, and the longest in seconds. The last text must be there.
"""

import json
import sys
import time

import rados

begun, longest, count, text = time.monotonic(), 0.0, 0, b""
with rados.Rados(name="client.admin", conffile="/etc/ceph/ceph.conf") as cluster, cluster.open_ioctx("volumes") as pool:
    while time.monotonic() - begun < float(sys.argv[1]):
        before = time.monotonic()
        text = f"{count:08}".encode()
        # sixteen objects, so that each fault meets some of their placement groups
        pool.write_full(f"stall-{count % 16}", text)
        longest, count = max(longest, time.monotonic() - before), count + 1
        time.sleep(0.02)
    assert pool.read(f"stall-{(count - 1) % 16}") == text
json.dump({"writes": count, "longest": round(longest, 1)}, sys.stdout)
