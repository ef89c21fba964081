"""Run the simulated cloud as a process of its own: prints the login as JSON, then serves until its input ends."""

from __future__ import annotations

import argparse
import json
import sys

from . import CloudSimulator


def main() -> None:
    """Serve, with so many ports and servers to begin with."""
    parser = argparse.ArgumentParser(prog="cloud_simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; a free one by default")
    parser.add_argument("--ports", type=int, default=0, help="network ports to begin with")
    parser.add_argument("--servers", type=int, default=0, help="servers to begin with")
    parser.add_argument("--page-size", type=int, default=1000)
    given = parser.parse_args()
    cloud = CloudSimulator(port=given.port)
    cloud.page_size = given.page_size
    cloud.fill(given.ports, given.servers)
    with cloud:
        print(json.dumps(cloud.clouds), flush=True)
        # Each line on the input asks for the number of calls since the last one.
        for _ in sys.stdin:
            print(json.dumps({"calls": len(cloud.calls), "writes": len(cloud.writes())}), flush=True)
            cloud.forget_calls()


if __name__ == "__main__":
    main()
