"""The same 100 resources by ``cloud_state`` and by the collection openstack.cloud: create, unchanged, update of 10,
delete.

Run: ``python tests/bench/cloud_state/bench.py`` against a simulated cloud, where API calls are counted on the server's
side, or ``... --cloud NAME`` against one of clouds.yaml, where names that begin with "bench-" are made and removed.

A project holds a user with a role, a quota, two networks with a subnet each, a router and a security group with ten
rules: ten resources. Both run the way operators run them, ansible-playbook in a process of its own. The rival gets a
virtual environment of its own, made once, with an SDK that it runs with, and gives each group its rules in one task,
which is kind to it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
RIVAL = ROOT / ".stackwright" / "bench" / "openstack.cloud"
ANSIBLE, CORE, SDK = "ansible==12.3.0", "ansible-core==2.19.14", "openstacksdk==4.5.0"
SIMULATOR = "ansible_collections.stackwright.cloud.tests.cloud_simulator"
PHASES = ("create", "unchanged", "update", "delete")
PER_PROJECT = 10
Task = dict[str, Any]


@dataclass
class Cost:
    """What one run took. ``busy`` is the share of the machine's processors that worked, ``calls`` -1 where nobody
    counts them."""

    wall: float
    cpu: float
    busy: float
    calls: int


def processor_times() -> tuple[int, int]:
    """Ticks that the processors worked, and all their ticks, since the machine started (proc_stat(5))."""
    times = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(times) - times[3] - times[4], sum(times)


def rules(number: int) -> list[Task]:
    """Ten rules."""
    return [
        {"direction": "ingress", "protocol": "tcp", "port_range_min": port, "port_range_max": port,
         "remote_ip_prefix": f"10.{number}.0.0/16", "ethertype": "IPv4"}
        for port in range(8000, 8010)
    ]  # fmt: skip


def document(projects: int, mtu: int) -> dict[str, list[Task]]:
    """What cloud_state gets."""
    names = [f"bench-{n}" for n in range(projects)]
    return {
        "projects": [{"name": name, "domain": "default"} for name in names],
        "users": [{"name": name, "domain": "default", "password": "Bench-pass-1"} for name in names],
        "role_assignments": [{"role": "member", "user": name, "project": name} for name in names],
        "quotas": [{"project": name, "cores": 8, "networks": 9} for name in names],
        "networks": [
            {"name": f"{name}-{part}", "project": name, "mtu": mtu if part == "a" else 1400}
            for name in names
            for part in "ab"
        ],
        "subnets": [
            {"name": f"{name}-{part}", "network": f"{name}-{part}", "project": name, "cidr": f"10.{n}.{p}.0/24"}
            for n, name in enumerate(names)
            for p, part in enumerate("ab")
        ],
        "routers": [{"name": name, "project": name, "interfaces": [f"{name}-a", f"{name}-b"]} for name in names],
        "security_groups": [
            {"name": name, "project": name, "default_egress": False, "rules": rules(n)} for n, name in enumerate(names)
        ],
    }


def ours(projects: int, phase: str, ledger: Path) -> list[Task]:
    """One task."""
    mtu = 1300 if phase in ("update", "delete") else 1400
    arguments = {
        "document": document(projects, mtu),
        "owner": "bench",
        "ledger": str(ledger),
        "state": "absent" if phase == "delete" else "present",
    }
    return [{"name": phase, "stackwright.cloud.cloud_state": arguments, "register": "done"},
            {"name": "Tell the calls", "ansible.builtin.debug": {"msg": "calls={{ done.calls }}"}}]  # fmt: skip


def theirs(projects: int, phase: str) -> list[Task]:
    """A task for each kind, looping over the projects."""
    mtu = 1300 if phase in ("update", "delete") else 1400
    state = "absent" if phase == "delete" else "present"
    name, number = "bench-{{ item }}", list(range(projects))

    def task(module: str, **arguments: Any) -> Task:
        return {"name": module, f"openstack.cloud.{module}": arguments, "loop": number}

    group = {"security_group_rules": "{{ rules | from_yaml }}"} if state == "present" else {}
    made = [
        task("project", name=name, domain="default", state=state),
        task(
            "identity_user",
            name=name,
            domain="default",
            password="Bench-pass-1",
            update_password="on_create",
            state=state,
        ),
        task("role_assignment", role="member", user=name, project=name, state=state),
        task("quota", name=name, cores=8, network=9, state="present"),
        *(
            task(
                "network",
                name=f"{name}-{p}",
                project=name,
                state=state,
                **({"mtu": mtu if p == "a" else 1400} if state == "present" else {}),
            )
            for p in "ab"
        ),
        *(
            task(
                "subnet",
                name=f"{name}-{p}",
                network=f"{name}-{p}",
                project=name,
                cidr=f"10.{{{{ item }}}}.{i}.0/24",
                state=state,
            )
            for i, p in enumerate("ab")
        ),
        task("router", name=name, project=name, state=state, interfaces=[f"{name}-a", f"{name}-b"]),
        {
            **task("security_group", name=name, project=name, state=state, **group),
            "vars": {
                "rules": yaml.safe_dump(rules(0))
                .replace("10.0.0.0/16", "10.{{ item }}.0.0/16")
                .replace("ethertype", "ether_type")
            },
        },
    ]
    if phase == "update":
        return [made[4]]
    if phase == "delete":
        # What goes with its project or user needs no task.
        return [made[index] for index in (9, 8, 6, 7, 4, 5, 1, 0)]
    return made


def rival() -> Path:
    """The rival's virtual environment, made when it is not there yet."""
    if (RIVAL / "ready").is_file():
        return RIVAL
    print(f"making {RIVAL} ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(RIVAL)], check=True)
    pip = [str(RIVAL / "bin" / "pip"), "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "install", CORE, SDK], check=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*pip, "download", "--no-deps", "--only-binary=:all:", "-d", folder, ANSIBLE], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as packed:
            wanted = [n for n in packed.namelist() if n.startswith("ansible_collections/openstack/cloud/")]
            packed.extractall(RIVAL / "collections", wanted)
    (RIVAL / "ready").touch()
    return RIVAL


class Bench:
    """Runs playbooks against one cloud and reads what they cost."""

    def __init__(self, folder: Path, cloud: str, simulator: subprocess.Popen[str] | None) -> None:
        self.folder, self.cloud, self.simulator = folder, cloud, simulator
        (folder / "ansible.cfg").write_text("[defaults]\nnocows = true\n")

    def counted(self) -> int:
        """Calls that the simulated cloud answered since the last time; -1 for a real one."""
        if self.simulator is None:
            return -1
        assert self.simulator.stdin is not None and self.simulator.stdout is not None
        self.simulator.stdin.write("\n")
        self.simulator.stdin.flush()
        return int(json.loads(self.simulator.stdout.readline())["calls"])

    def play(self, tasks: list[Task], binary: Path, **environment: str) -> tuple[Cost, str]:
        """Run tasks on localhost."""
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": str(binary.parent / "python")},
            "environment": {"OS_CLOUD": self.cloud},
            "tasks": tasks,
        }
        (self.folder / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
        keep = {
            k: v for k, v in os.environ.items() if not k.startswith(("OS_", "ANSIBLE_")) or k == "OS_CLIENT_CONFIG_FILE"
        }
        keep |= {
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_NOCOLOR": "1",
            **environment,
        }
        self.counted()
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        worked, ticks = processor_times()
        done = subprocess.run(
            [str(binary), str(self.folder / "play.yml")], env=keep, capture_output=True, text=True, cwd=self.folder
        )
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        worked, ticks = (now - then for now, then in zip(processor_times(), (worked, ticks), strict=True))
        if done.returncode:
            sys.exit(f"The playbook failed:\n{(done.stdout + done.stderr)[-3000:]}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Cost(wall, cpu, worked / max(ticks, 1), self.counted()), done.stdout


def ratio(one: float, other: float) -> str:
    """How many times the other took."""
    return f"{other / one:6.1f}x" if one > 0 and other >= 0 else "      -"


def main() -> int:
    """Measure every phase once for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cloud", default="", help="cloud of a clouds.yaml file; a simulated one by default")
    parser.add_argument("--projects", type=int, default=10, help="how many projects, of ten resources each")
    parser.add_argument("--ours-only", action="store_true", help="leave the rival out")
    given = parser.parse_args()
    environment = None if given.ours_only else rival()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        simulator = None
        if not given.cloud:
            command = [sys.executable, "-m", SIMULATOR]
            simulator = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            assert simulator.stdin is not None and simulator.stdout is not None
            stack.callback(simulator.stdin.close)
            (folder / "clouds.yaml").write_text(yaml.safe_dump(json.loads(simulator.stdout.readline())))
            os.environ["OS_CLIENT_CONFIG_FILE"] = str(folder / "clouds.yaml")
        bench = Bench(folder, given.cloud or "simulated", simulator)
        print(f"{given.projects * PER_PROJECT} resources; wall and CPU in seconds, how busy the machine was, API calls")
        print(f"{'':10} {'cloud_state':>29} {'openstack.cloud':>29} {'ratios of wall, CPU, calls':>28}")
        told: dict[str, Cost] = {}
        for phase in PHASES:
            mine, said = bench.play(
                ours(given.projects, phase, folder / "ledger"), Path(sys.executable).parent / "ansible-playbook"
            )
            if mine.calls < 0:
                mine.calls = int(said.split("calls=", 1)[1].split('"', 1)[0])
            told[phase] = mine
            show(phase, mine, None)
        # The names are the same, so each works on a cloud that the other has cleared.
        if environment is not None:
            paths = {"ANSIBLE_COLLECTIONS_PATH": str(environment / "collections")}
            for phase, mine in told.items():
                other, _ = bench.play(theirs(given.projects, phase), environment / "bin" / "ansible-playbook", **paths)
                show(phase, mine, other)
    return 0


def show(phase: str, mine: Cost, other: Cost | None) -> None:
    """Print one phase."""
    left = f"{mine.wall:8.1f} {mine.cpu:7.1f} {mine.busy:4.0%} {mine.calls:7}"
    if other is None:
        print(f"{phase:10} {left}", flush=True)
        return
    right = f"{other.wall:8.1f} {other.cpu:7.1f} {other.busy:4.0%} {other.calls if other.calls >= 0 else '-':>7}"
    shares = " ".join(ratio(getattr(mine, name), getattr(other, name)) for name in ("wall", "cpu", "calls"))
    print(f"{phase:10} {left} {right} {shares}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
