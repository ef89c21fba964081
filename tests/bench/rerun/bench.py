"""Compares an unchanged run of site.yml by a former commit with one by this checkout, on one lab, in pairs.

    .venv/bin/python tests/bench/rerun/bench.py FORMER [--pairs 3]

FORMER is a checkout of the former commit, with its own .venv, whose lab runs and was deployed by it. This checkout runs
on the same lab from a directory of its own, with the lab's state, inventory and vault of the other one. Where it would
change anything there, which check mode tells beforehand, nothing is run.

In a pair the two run one after the other, each first in turn, so that what else the machine does falls on both. CPU
seconds are those of the control node's processes. Prints, of each pair and in the middle, the ratio of wall and CPU
seconds, and each tree's remote tasks by host.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
# What belongs to the lab, and not to the tree that is measured.
OF_LAB = (".stackwright", "inventories")


@dataclass(frozen=True)
class Run:
    """What an unchanged run took, in seconds, and its remote tasks by host."""

    wall: float
    cpu: float
    tasks: dict[str, int]


def cpu() -> float:
    """CPU seconds of the processes that this program has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def beside(former: Path, directory: Path) -> Path:
    """This checkout with the other one's lab: links to all that is ours, copies of what is the lab's."""
    for one in ROOT.iterdir():
        if one.name not in (*OF_LAB, "tools", "ansible.cfg", ".git"):
            (directory / one.name).symlink_to(one)
    # a program finds its checkout by its own path, and Ansible the state by that of its configuration
    shutil.copytree(ROOT / "tools", directory / "tools")
    shutil.copy(ROOT / "ansible.cfg", directory)
    for name in OF_LAB:
        shutil.copytree(former / name, directory / name, symlinks=True, ignore=shutil.ignore_patterns("types"))
    return directory


def run(tree: Path, programs: Path, *arguments: str) -> Run:
    """Run site.yml of a tree once; end the program where it fails, or finds anything to change."""
    begun, before = time.monotonic(), cpu()
    done = subprocess.run(
        [str(programs / ".venv/bin/ansible-playbook"), "playbooks/site.yml", *arguments],
        cwd=tree,
        env={**os.environ, "LC_ALL": "C.UTF-8", "ANSIBLE_CONFIG": str(tree / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    wall, used = time.monotonic() - begun, cpu() - before
    if done.returncode:
        sys.exit(f"site.yml of {programs} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    last: dict[str, Any] = json.loads((tree / ".stackwright/log/last.json").read_text("utf-8"))
    changed = [f"{one['host']}: {one['task']}: {one['what']}" for one in last["changed_tasks"]]
    if changed:
        sys.exit(f"site.yml of {programs} changed something:\n" + "\n".join(changed))
    return Run(wall, used, {host: counts["remote_tasks"] for host, counts in last["hosts"].items()})


def told(name: str, one: Run) -> str:
    """One line for a run."""
    tasks = ", ".join(f"{host} {count}" for host, count in one.tasks.items() if host != "localhost")
    return f"{name:<8} {one.wall:6.1f} s {one.cpu:6.1f} CPU s   remote tasks: {tasks}"


def ratio(pair: dict[str, Run], key: str) -> float:
    """This tree's seconds by the former's."""
    found: float = getattr(pair["this"], key) / getattr(pair["former"], key)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("former", type=Path, help="checkout of the former commit")
    parser.add_argument("--pairs", type=int, default=3)
    given = parser.parse_args()
    former = given.former.resolve()
    with tempfile.TemporaryDirectory(prefix="stackwright-rerun-") as directory:
        ours = beside(former, Path(directory))
        trees = {"former": (former, former), "this": (ours, ROOT)}
        for tree in trees.values():
            run(*tree, "--check")
        pairs: list[dict[str, Run]] = []
        for number in range(given.pairs):
            order = list(trees) if number % 2 == 0 else list(reversed(trees))
            pair = {name: run(*trees[name]) for name in order}
            pairs.append(pair)
            for name in trees:
                print(told(name, pair[name]))
            print(f"ratio    {ratio(pair, 'wall'):6.2f}   {ratio(pair, 'cpu'):6.2f}", flush=True)
    wall, used = (statistics.median(ratio(pair, key) for pair in pairs) for key in ("wall", "cpu"))
    print(f"median   {wall:6.2f} of the time, {used:.2f} of the CPU seconds, {len(pairs)} pairs")


if __name__ == "__main__":
    main()
