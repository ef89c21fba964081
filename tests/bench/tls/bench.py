"""Compares calls of the identity API with TLS with such without, side by side on a controller.

    .venv/bin/python tests/bench/tls/bench.py [--inventory inventories/lab] [--pairs 200]

Beside the running service, a further uWSGI with the service's own configuration listens on the controller's loopback
twice: with TLS, and without. It serves nobody else, and is gone afterwards. The calls are made in pairs, each kind
first in turn, so that what else the machine does falls on both. Every call has a connection of its own, as clients
have, since the APIs close it behind each answer. Prints the medians of both in milliseconds, their difference and
their ratio, for a page that asks nobody and for a token that is validated, as each call of another API has it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def main() -> int:
    """Run the measurement on the first controller, and print what it says."""
    parser = argparse.ArgumentParser(description="API calls with TLS against calls without")
    parser.add_argument("--inventory", default="inventories/lab")
    parser.add_argument("--pairs", type=int, default=200)
    asked = parser.parse_args()
    # the administrator's password goes into the environment of the one process that logs in
    play = [
        {
            "hosts": "controller[0]",
            "gather_facts": False,
            "become": True,
            "roles": ["stackwright.cloud.stackwright"],
            "tasks": [
                {
                    "name": "Calls are measured",
                    "ansible.builtin.script": {
                        "cmd": f"{Path(__file__).with_name('on_host.py')} {asked.pairs}",
                        "executable": "python3",
                    },
                    "environment": {"BENCH_PASSWORD": "{{ stackwright_administrator.password }}"},
                    "no_log": True,
                    "register": "measured",
                },
                {"name": "What was measured", "ansible.builtin.debug": {"msg": "{{ measured.stdout_lines }}"}},
            ],
        }
    ]
    path = ROOT / ".stackwright" / "bench-tls.yml"
    path.write_text(json.dumps(play))
    try:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        command = [str(ROOT / ".venv/bin/ansible-playbook"), "--inventory", asked.inventory, str(path)]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    finally:
        path.unlink()


if __name__ == "__main__":
    sys.exit(main())
