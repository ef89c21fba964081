"""Scrubs a placement group until that names an inconsistent object, repairs it, and sees the next scrub find none.

Use: scrub.py PG. Fails where the scrub finds nothing, or the repair does not end.
"""

import json
import subprocess
import sys
import time

group = sys.argv[1]


def ask(*words: str) -> object:
    done = subprocess.run(["ceph", *words, "--format", "json"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout) if done.stdout.strip() else None


def state() -> tuple[str, str]:
    found = ask("pg", group, "query")
    stats = found["info"]["stats"]
    return stats["state"], stats["last_deep_scrub_stamp"]


def until(order: str, wanted: bool) -> None:
    """Give an order until a deep scrub ended after it, and see whether the group is inconsistent then."""
    _, before = state()
    deadline = time.monotonic() + 120
    subprocess.run(["ceph", "pg", order, group], check=True)
    while time.monotonic() < deadline:
        now, stamp = state()
        if stamp != before and "scrubbing" not in now and "repair" not in now:
            if ("inconsistent" in now) is wanted:
                return
            sys.exit(f"after {order} the placement group is {now}")
        time.sleep(1)
    sys.exit(f"{order} of {group} did not end: {state()}")


until("deep-scrub", True)
print(json.dumps(ask("health", "detail")["checks"].get("OSD_SCRUB_ERRORS")))
until("repair", False)
until("deep-scrub", False)
