"""Compares hardening in one call with a playbook of one task per check, on a fresh unprivileged container over SSH.

    .venv/bin/python tests/bench/hardening/bench.py [--fleet 200] [--skip-tasks]

The playbook is generated from the same catalogue (lineinfile, find, apt, command, copy under the built-in strategy) and
runs in check mode on the hardened host, so it changes nothing. CPU seconds are those of the control node's processes
and of the container, by their own accounts, so that other work on the machine does not count; wall seconds want an
otherwise idle machine. `--fleet` runs playbooks/audit.yml, reports included, for that many names of the container, and
prints what it takes the control node.
"""

from __future__ import annotations

import argparse
import json
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
ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
CONTAINER = "stackwright-bench-hardening-hardened1"
# AIDE asks for capabilities that an unprivileged container does not have.
ONE_CALL = {"mode": "MODE", "parameters": {"sudo_members": ["operator"]}, "exclude": ["UBTU-24-100110"]}
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
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT, cwd=ROOT
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
    """MB that the processes of a playbook take, each page counted once; modules on their hosts are not the control
    node's."""
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
    """Audit many names of the container, write all reports, and print what that costs the control node."""
    peak = 0

    def watch(pid: int) -> None:
        def sample() -> None:
            nonlocal peak
            while os.path.exists(f"/proc/{pid}/smaps_rollup"):
                peak = max(peak, memory_of(pid))
                time.sleep(1)

        threading.Thread(target=sample, daemon=True).start()

    argv = [str(ROOT / ".venv/bin/ansible-inventory"), "-i", str(INVENTORY), "--host", "hardened1"]
    described = subprocess.run(argv, capture_output=True, text=True, check=True, env=ENVIRONMENT, cwd=ROOT)
    found = json.loads(described.stdout).items()
    connection = {key: value for key, value in found if key.startswith("ansible_") and key != "ansible_local"}
    hosts = {f"host{number:03}": {} for number in range(size)}
    own = {"hardening_parameters": ONE_CALL["parameters"], "hardening_exclude": ONE_CALL["exclude"]}
    variables = {**connection, **own}
    with tempfile.TemporaryDirectory() as directory:
        inventory = Path(directory, "inventory.yml")
        inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": variables}}), "utf-8")
        there, here, wall = container_cpu(), own_cpu(), time.monotonic()
        # The names share one connection, and sshd lets ten sessions into it.
        arguments = ["-i", str(inventory), "--forks", "8", "-e", f"audit_directory={directory}/audit"]
        run_play([{"import_playbook": str(ROOT / "playbooks/audit.yml")}], arguments, watch)
        wall = time.monotonic() - wall
        here, there = own_cpu() - here, container_cpu() - there
        reports = sum(one.stat().st_size for one in Path(directory, "audit").rglob("*") if one.is_file()) >> 20
    print(
        f"fleet of {size}: control node {peak} MB, {here / size:.2f} CPU s per host, {reports} MB of reports; "
        f"host {there / size:.2f} CPU s each; {wall:.0f} s"
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
                f"task per check / our enforce   {many[0] / unchanged[0]:8.1f} in CPU "
                f"{many[1] / unchanged[1]:8.1f} in time"
            )
        if given.fleet:
            fleet(given.fleet)
    finally:
        run_play([{"import_playbook": f"{play}/lab_clean.yml"}], lab)


if __name__ == "__main__":
    main()
