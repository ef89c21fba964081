"""Arguments of modules never lie in a file, on the control node either."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_local_module_gets_its_arguments_through_a_pipe(tmp_path: Path, pipelining: bool) -> None:
    """The module itself looks for files that hold its arguments. Without the setting, there is one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "STACKWRIGHT_"))}
    environment = {
        **kept,
        "ANSIBLE_REMOTE_TMP": str(tmp_path / "remote"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.memory",
        "LC_ALL": "C.UTF-8",
        **({} if pipelining else {"ANSIBLE_PIPELINING": "false"}),
    }
    words = ["grep", "-rl", "hunter22", str(tmp_path)]
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible"),
            "localhost",
            "-i",
            "localhost,",
            "-c",
            "local",
            "-m",
            "ansible.builtin.command",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            "-a",
            " ".join(words),
        ],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    found = [line for line in done.stdout.splitlines() if "AnsiballZ" in line and str(tmp_path) in line]
    assert bool(found) != pipelining, done.stdout + done.stderr
