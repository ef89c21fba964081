"""Read 20,000 ports and 5,000 servers of a simulated cloud through the engine's session; print time and memory.

Run: ``python tests/bench/cloud_state/memory.py``. Ends with 1 when the lists are incomplete or 300 MB are exceeded.
The cloud runs in a process of its own, so that only the reader's memory counts.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login

PORTS, SERVERS, LIMIT = 20_000, 5_000, 300.0
SIMULATOR = "ansible_collections.stackwright.cloud.tests.cloud_simulator"


def megabytes() -> float:
    """Greatest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Measure once."""
    command = [sys.executable, "-m", SIMULATOR, "--ports", str(PORTS), "--servers", str(SERVERS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdin is not None and simulator.stdout is not None
        auth = json.loads(simulator.stdout.readline())["clouds"]["simulated"]["auth"]
        cloud = Cloud(Login(auth=auth, auth_type="password", region_name="RegionOne"))
        before, began, cpu = megabytes(), time.monotonic(), time.process_time()
        ports = list(cloud.pages("network", "/ports", "ports"))
        servers = list(cloud.pages("compute", "/servers/detail", "servers"))
        wall, cpu = time.monotonic() - began, time.process_time() - cpu
        simulator.stdin.close()
    print(f"{len(ports)} ports and {len(servers)} servers in {wall:.2f} s wall, {cpu:.2f} s CPU, {cloud.calls} calls")
    print(f"memory: {before:.0f} MB before, {megabytes():.0f} MB at most (limit {LIMIT:.0f} MB)")
    return int((len(ports), len(servers)) != (PORTS, SERVERS) or megabytes() > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
