"""Compares hardening in one call with a playbook of one task per check, on a fresh unprivileged container over SSH.

    .venv/bin/python tests/bench/hardening/bench.py [--fleet 200] [--skip-tasks]

The playbook is generated from the same catalogue (lineinfile, find, apt, command, copy under the built-in strategy) and runs in check
mode on the hardened host, so it changes nothing. CPU seconds are those of the control node's processes and of the container, by
their own accounts, so that other work on the machine does not count; wall seconds want an otherwise idle machine.
`--fleet` audits that many names of this machine over local connections and prints the control node's memory and CPU.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import catalogue

ROOT = Path(__file__).resolve().parents[3]
INVENTORY = Path(__file__).resolve().parent / "inventory"
CONTAINER = "stackwright-bench-hardening-hardened1"
ONE_CALL = {"mode": "MODE", "parameters": {"sudo_members": ["operator"]}}
OURS = [{"hosts": "all", "gather_facts": False, "tasks": [{"stackwright.cloud.stig": ONE_CALL, "become": True}]}]


def tasks_for(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The tasks that a playbook of one task per check would have for a resource."""
    kind = spec["type"]
    if kind == "option":
        line = f"{spec['key']}{spec.get('separator', ' = ')}{spec.get('value', '')}"
        line = spec["key"] if spec.get("flag") else line
        arguments = {"path": spec["file"], "regexp": f"^{spec['key']}", "line": line, "create": True}
        return [{"ansible.builtin.lineinfile": arguments}]
    if kind == "line" and "present" in spec:
        return [{"ansible.builtin.lineinfile": {"path": spec["file"], "line": spec["present"], "create": True}}]
    if kind == "sshd":
        line = f"{spec['option']} {spec['value']}"
        arguments = {"path": "/etc/ssh/sshd_config", "regexp": f"^{spec['option']}", "line": line}
        return [{"ansible.builtin.lineinfile": arguments}]
    if kind == "audit":
        path = "/etc/audit/rules.d/stig.rules"
        return [{"ansible.builtin.lineinfile": {"path": path, "line": one, "create": True}} for one in spec["rules"]]
    if kind == "permissions":
        find = {"paths": spec["paths"], "recurse": bool(spec.get("recursive")), "file_type": spec.get("kind", "file")}
        return [{"ansible.builtin.find": find}]
    if kind == "package":
        state = "present" if "present" in spec else "absent"
        return [{"ansible.builtin.apt": {"name": spec.get("present", spec.get("absent")), "state": state}}]
    if kind == "unit":
        return [{"ansible.builtin.command": {"argv": ["systemctl", "is-enabled", spec["name"]]}, "check_mode": False}]
    if kind == "sysctl":
        return [{"ansible.builtin.command": {"argv": ["sysctl", "-n", spec["key"]]}, "check_mode": False}]
    if kind == "content":
        return [{"ansible.builtin.copy": {"dest": spec["file"], "content": spec["text"], "mode": "0644"}}]
    return [{"ansible.builtin.command": {"argv": ["true"]}, "check_mode": False}]


def many_tasks() -> list[dict[str, Any]]:
    """The playbook with a task per check."""
    tasks = [
        {**task, "become": True, "ignore_errors": True, "changed_when": False}
        for control in catalogue.resolve(catalogue.load())
        for spec in control["resources"]
        for task in tasks_for(spec)
    ]
    return [{"hosts": "all", "gather_facts": False, "tasks": tasks}]


def container_cpu() -> float:
    """CPU seconds that the container has used, by the account of its control group (version 1 or 2)."""
    found = subprocess.run(
        ["podman", "inspect", "-f", "{{.State.Pid}}", CONTAINER], capture_output=True, text=True, check=True
    )
    groups = Path(f"/proc/{found.stdout.strip()}/cgroup").read_text("ascii")
    if old := re.search(r"^\d+:(?:[^:]*,)?cpuacct(?:,[^:]*)?:(.*)$", groups, re.MULTILINE):
        return int(Path(f"/sys/fs/cgroup/cpuacct{old[1]}/cpuacct.usage").read_text("ascii")) / 1e9
    path = groups.strip().rpartition("::")[2].removesuffix("/init.scope")
    statistics = Path(f"/sys/fs/cgroup{path}/cpu.stat").read_text("ascii")
    return int(statistics.split()[1]) / 1e6


def own_cpu() -> float:
    """CPU seconds of the processes that this program has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_play(play: list[dict[str, Any]], arguments: list[str], watch: Any = None) -> None:
    """Run a play with the checkout's Ansible; its output is shown only when it fails."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as target:
        yaml.safe_dump(play, target)
        target.flush()
        argv = [str(ROOT / ".venv/bin/ansible-playbook"), target.name, *arguments]
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=ROOT
        ) as process:
            if watch:
                watch(process.pid)
            assert process.stdout is not None
            output = process.stdout.read().decode("utf-8", "replace")
        if process.returncode:
            sys.exit(f"The play ended with {process.returncode}:\n{output[-3000:]}")


def measure(name: str, play: list[dict[str, Any]], *arguments: str) -> tuple[float, float]:
    """Run a play on the container and print what it took: CPU seconds of both sides and wall seconds."""
    there, here, wall = container_cpu(), own_cpu(), time.monotonic()
    run_play(play, ["-i", str(INVENTORY), *arguments])
    wall = time.monotonic() - wall
    here, there = own_cpu() - here, container_cpu() - there
    print(
        f"{name:<30} {here + there:8.1f} CPU s (control node {here:6.1f}, host {there:6.1f}) {wall:8.1f} s", flush=True
    )
    return here + there, wall


def ours(mode: str) -> list[dict[str, Any]]:
    """The play with the one call."""
    return yaml.safe_load(yaml.safe_dump(OURS).replace("MODE", mode))  # type: ignore[no-any-return]


def memory_of(pid: int) -> int:
    """MB that the processes of a playbook take, each page counted once; modules on their hosts are not the control node's."""
    total = 0
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if b"ansible-playbook" in (directory / "cmdline").read_bytes() and os.getpgid(
                int(directory.name)
            ) == os.getpgid(pid):
                found = re.search(r"^Pss:\s+(\d+)", (directory / "smaps_rollup").read_text("ascii"), re.MULTILINE)
                total += int(found[1]) if found else 0
        except OSError:  # ended in the meantime
            continue
    return total >> 10


def fleet(size: int) -> None:
    """Audit many names of this machine and print what that costs the control node."""
    peak = 0

    def watch(pid: int) -> None:
        def sample() -> None:
            nonlocal peak
            while os.path.exists(f"/proc/{pid}/smaps_rollup"):
                peak = max(peak, memory_of(pid))
                time.sleep(1)

        threading.Thread(target=sample, daemon=True).start()

    with tempfile.NamedTemporaryFile("w", suffix=".yml") as inventory:
        hosts = {f"host{number:03}": {"ansible_connection": "local"} for number in range(size)}
        yaml.safe_dump({"all": {"hosts": hosts}}, inventory)
        inventory.flush()
        here, wall = own_cpu(), time.monotonic()
        run_play(ours("audit"), ["-i", inventory.name], watch)
        here, wall = own_cpu() - here, time.monotonic() - wall
    print(
        f"fleet of {size}: {peak} MB on the control node, {here / size:.2f} CPU s per host with the audit itself, {wall:.0f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fleet", type=int, default=0, metavar="HOSTS")
    parser.add_argument("--skip-tasks", action="store_true", help="leave out the playbook with a task per check")
    given = parser.parse_args()
    subprocess.run([str(ROOT / "tools/vault-key"), "create"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    lab = ["-i", str(INVENTORY)]
    play = str(ROOT / "playbooks")
    run_play([{"import_playbook": f"{play}/lab_clean.yml"}], lab)
    run_play([{"import_playbook": f"{play}/lab.yml"}], lab)
    try:
        measure("enforce", ours("enforce"))
        unchanged = measure("enforce, unchanged", ours("enforce"))
        audit = measure("audit", ours("audit"))
        print(f"unchanged enforce / audit      {unchanged[0] / audit[0]:8.2f}")
        if not given.skip_tasks:
            many = measure(f"{len(many_tasks()[0]['tasks'])} tasks, unchanged", many_tasks(), "--check")
            print(
                f"task per check / our enforce   {many[0] / unchanged[0]:8.1f} in CPU {many[1] / unchanged[1]:8.1f} in time"
            )
        if given.fleet:
            fleet(given.fleet)
    finally:
        run_play([{"import_playbook": f"{play}/lab_clean.yml"}], lab)


if __name__ == "__main__":
    main()
