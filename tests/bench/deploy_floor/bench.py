"""Compares a first deployment with the bare installation of the same packages, on machines made anew for each.

    .venv/bin/python tests/bench/deploy_floor/bench.py

Prints the time of each phase, the ratio to the floor, what an unchanged second run costs, and the machines' memory at
rest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
INVENTORY = HERE / "inventory"


def play(playbook: Path, *arguments: str) -> float:
    """Run a playbook to its end; return its seconds."""
    begin = time.monotonic()
    command = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", str(INVENTORY), str(playbook), *arguments]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False)
    if done.returncode:
        sys.exit(f"{playbook.name} ended with {done.returncode}")
    return time.monotonic() - begin


def machines_anew() -> None:
    play(ROOT / "playbooks/lab_clean.yml")
    play(ROOT / "playbooks/lab.yml", "-e", "lab_preload=false")


def last() -> dict[str, object]:
    """Summary of the newest run."""
    found: dict[str, object] = json.loads((ROOT / ".stackwright/log/last.json").read_text(encoding="utf-8"))
    return found


def memory(host: str) -> int:
    """Memory in use on a machine, in MB, without the page cache: the sum of its processes' proportional shares."""
    script = "cat /proc/[0-9]*/smaps_rollup 2>/dev/null | awk '/^Pss:/ {s += $2} END {print int(s / 1024)}'"
    done = subprocess.run(
        ["podman", "exec", f"stackwright-bench-{host}", "sh", "-c", script], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def main() -> None:
    subprocess.run([str(ROOT / "tools/vault-key"), "create"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    machines_anew()
    floor = play(HERE / "floor.yml")
    machines_anew()
    play(ROOT / "playbooks/secrets.yml")
    first = play(ROOT / "playbooks/site.yml")
    phases = [(p["name"], p["seconds"]) for p in last()["phases"]]  # type: ignore[attr-defined]
    second = play(ROOT / "playbooks/site.yml")
    hosts: dict[str, dict[str, int]] = last()["hosts"]  # type: ignore[assignment]
    time.sleep(60)
    print(f"\nfloor (bare apt-get install)   {floor:7.0f} s")
    print(f"first site.yml                 {first:7.0f} s   {first / floor:5.2f} times the floor")
    for name, seconds in phases:
        print(f"  {name:<28} {seconds:7.0f} s")
    print(f"unchanged site.yml             {second:7.0f} s   1/{first / second:.0f} of the first")
    for host, counts in hosts.items():
        if host != "localhost":
            print(
                f"  {host:<28} {counts['remote_tasks']:7d} remote tasks, {counts['changed']} changed, "
                f"{memory(host)} MB at rest"
            )
    play(ROOT / "playbooks/lab_clean.yml")


if __name__ == "__main__":
    main()
