"""A simulated cloud, and Ansible run as operators run it: a process that packs the module and starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator

# The fixture `run_module`.
Run = Callable[..., dict[str, Any]]
ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent


@dataclass
class Played:
    """What a playbook run printed, and the results of its tasks in order."""

    code: int
    output: str
    results: list[dict[str, Any]]


@dataclass
class Desk:
    """An operator's desk: a directory with a clouds.yaml for a simulated cloud."""

    cloud: CloudSimulator
    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.write_clouds(self.cloud.clouds)
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "ANSIBLE_"))}
        self.environment = {
            **keep,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.path),
            "XDG_STATE_HOME": str(self.path / "state"),
            "OS_CLIENT_CONFIG_FILE": str(self.path / "clouds.yaml"),
            "ANSIBLE_CONFIG": str(self.path / "ansible.cfg"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
        }
        (self.path / "ansible.cfg").write_text("[defaults]\n")

    def write_clouds(self, clouds: dict[str, Any]) -> None:
        """Write the clouds.yaml anew."""
        (self.path / "clouds.yaml").write_text(yaml.safe_dump(clouds))

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the virtual environment."""
        return subprocess.run(
            [str(BIN / words[0]), *words[1:]],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
        )

    def play(self, *tasks: dict[str, Any], flags: tuple[str, ...] = ()) -> Played:
        """Run tasks on localhost against the simulated cloud. A task that fails ends the play."""
        results = self.path / "results.json"
        results.unlink(missing_ok=True)
        registered = [{**task, "register": f"result_{number}"} for number, task in enumerate(tasks)]
        names = ", ".join(f"result_{number} | default({{}})" for number in range(len(tasks)))
        keep = {
            "ansible.builtin.copy": {
                "dest": str(results),
                "mode": "0600",
                "content": f"{{{{ [{names}] | to_json }}}}",
            },
            "check_mode": False,
            "diff": False,
            "no_log": True,
        }
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable},
            "module_defaults": {"group/stackwright.cloud.cloud": {"cloud": "simulated"}},
            "tasks": [{"block": registered, "always": [keep]}],
        }
        (self.path / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
        ran = self.command("ansible-playbook", "play.yml", *flags)
        answers = json.loads(results.read_text()) if results.is_file() else []
        return Played(ran.returncode, ran.stdout + ran.stderr, answers)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk with a cloud that nobody has used yet."""
    with CloudSimulator() as cloud:
        yield Desk(cloud, tmp_path)
