"""A deployment that is cut off at any point is finished by the same command.

Makes the machines of inventories/lab anew, so nothing of an earlier lab is left:

    pytest tests/acceptance/test_interruption.py

Every run is cut off a while after it has begun a phase, in turn by SIGINT to the whole process group, as Ctrl-C does,
and by SIGKILL of the Ansible process, whose remote modules then go on for themselves. Each run goes a little further
than the last. In the end one undisturbed run, an unchanged one and the verification must pass.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time

from running import ROOT, play, start

# Phase and task to wait for, seconds to let the task run, signal; in the order of a deployment.
CUTS = [
    ("Base", "base : The packages of all", 0.5, signal.SIGKILL),
    ("Base", "The services' configuration is written", 0.3, signal.SIGINT),
    ("Infrastructure", "The services' configuration is written", 0.5, signal.SIGKILL),
    ("Infrastructure", "The services run", 1.0, signal.SIGKILL),
    ("Controller", "The services' databases exist", 0.3, signal.SIGKILL),
    ("Controller", "The services' databases exist", 0.4, signal.SIGINT),
    ("Controller", "The services may use the message queue", 0.5, signal.SIGKILL),
    ("Controller", "The services' schemas, keys and cells are current", 0.5, signal.SIGKILL),
    ("Controller", "The services' schemas, keys and cells are current", 4.0, signal.SIGINT),
    ("Controller", "The services' schemas, keys and cells are current", 8.0, signal.SIGKILL),
    ("Controller", "The services' schemas, keys and cells are current", 15.0, signal.SIGKILL),
    ("Controller", "The services run that others need to start", 1.0, signal.SIGKILL),
    ("Controller", "The identity service knows the services", 0.7, signal.SIGKILL),
    ("Controller", "The identity service knows the services", 1.0, signal.SIGINT),
    ("Controller", "The services run", 3.0, signal.SIGKILL),
    ("Compute", "Open vSwitch knows OVN", 0.5, signal.SIGKILL),
    ("Compute", "Open vSwitch knows OVN", 1.0, signal.SIGINT),
    ("Compute", "The compute nodes belong to the cell", 0.5, signal.SIGKILL),
]


def cut(phase: str, task: str, seconds: float, number: signal.Signals) -> str:
    """Run site.yml and cut it off in a task of a phase; return what it had printed."""
    process = start("ansible-playbook", "playbooks/site.yml")
    assert process.stdout is not None
    seen, reached = "", False
    for line in process.stdout:
        seen += line
        reached = reached or line.startswith(f"PLAY [{phase}]")
        if reached and line.startswith("TASK [") and task in line:
            break
    time.sleep(seconds)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.kill()
    process.stdout.close()
    process.wait(timeout=60)
    return seen


def changed(output: str) -> int:
    """Changes that the recap of a run counts."""
    return sum(int(count) for count in re.findall(r"changed=(\d+)", output))


def test_deployment_that_is_cut_off_everywhere_is_finished_by_the_same_command() -> None:
    subprocess.run([ROOT / "tools/vault-key", "create"], check=True, stdout=subprocess.DEVNULL)
    play("lab_clean")
    play("lab")
    play("secrets")
    for phase, task, seconds, number in CUTS:
        seen = cut(phase, task, seconds, number)
        print(f"{phase}: cut off by {number.name} {seconds} s into {task!r}")
        # What stopped before the place was a failure of its own: the cut must be what ended the run.
        assert "failed=1" not in seen and "fatal:" not in seen, seen
        assert task in seen, seen
    play("site")
    assert changed(play("site")) == 0
    play("verify")
