"""Compares one hardening call with a playbook of one task per check, on a host that is already hardened.

    python tests/bench/hardening/bench.py -i INVENTORY [--limit HOST]

The playbook is generated from the same catalogue (lineinfile, file, package_facts, service_facts, command) and runs in check
mode, so it changes nothing. Prints CPU seconds of the whole machine, wall seconds and the ratios; needs an otherwise idle one.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import catalogue

OURS = [
    {"hosts": "all", "gather_facts": False, "tasks": [{"stackwright.cloud.stig": {"mode": "MODE"}, "become": True}]}
]


def tasks_for(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The tasks that a playbook of one task per check would have for a resource."""
    kind = spec["type"]
    if kind == "option":
        line = (
            spec["key"] if spec.get("flag") else f"{spec['key']}{spec.get('separator', ' = ')}{spec.get('value', '')}"
        )
        return [
            {
                "ansible.builtin.lineinfile": {
                    "path": spec["file"],
                    "regexp": f"^{spec['key']}",
                    "line": line,
                    "create": True,
                }
            }
        ]
    if kind == "line" and "present" in spec:
        return [{"ansible.builtin.lineinfile": {"path": spec["file"], "line": spec["present"], "create": True}}]
    if kind == "sshd":
        arguments = {
            "path": "/etc/ssh/sshd_config",
            "regexp": f"^{spec['option']}",
            "line": f"{spec['option']} {spec['value']}",
        }
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
    controls = catalogue.resolve(catalogue.load())
    tasks = [
        {**task, "become": True, "ignore_errors": True, "changed_when": False}
        for control in controls
        for spec in control["resources"]
        for task in tasks_for(spec)
    ]
    return [{"hosts": "all", "gather_facts": False, "tasks": tasks}]


def machine_cpu() -> float:
    """CPU seconds that the machine has worked since it was started."""
    fields = Path("/proc/stat").read_text("ascii").split("\n")[0].split()[1:9]
    busy = sum(int(one) for at, one in enumerate(fields) if at not in (3, 4))
    return busy / 100


def measure(name: str, play: list[dict[str, Any]], arguments: list[str]) -> tuple[float, float]:
    """Run a play and print what it took: CPU seconds of the machine and wall seconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as target:
        yaml.safe_dump(play, target)
        target.flush()
        cpu, wall = machine_cpu(), time.monotonic()
        subprocess.run(["ansible-playbook", target.name, *arguments], check=False, stdout=subprocess.DEVNULL)
        cpu, wall = machine_cpu() - cpu, time.monotonic() - wall
    print(f"{name:<30} {cpu:8.1f} CPU s {wall:8.1f} s")
    return cpu, wall


def ours(mode: str) -> list[dict[str, Any]]:
    """The play with the one call."""
    return yaml.safe_load(yaml.safe_dump(OURS).replace("MODE", mode))  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-i", "--inventory", required=True)
    parser.add_argument("--limit", default="all")
    given = parser.parse_args()
    arguments = ["-i", given.inventory, "--limit", given.limit]
    measure("enforce", ours("enforce"), arguments)
    unchanged = measure("enforce, unchanged", ours("enforce"), arguments)
    audit = measure("audit", ours("audit"), arguments)
    many = measure("a task per check, unchanged", many_tasks(), [*arguments, "--check"])
    print(f"unchanged enforce / audit      {unchanged[0] / audit[0]:8.2f}")
    print(f"task per check / audit         {many[0] / audit[0]:8.1f} in CPU {many[1] / audit[1]:8.1f} in time")


if __name__ == "__main__":
    main()
