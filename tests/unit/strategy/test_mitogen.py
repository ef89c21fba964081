"""The opt-in strategy is Mitogen's where that is installed, and says what to do where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
STAND_IN = {
    "__init__.py": "",
    "loaders.py": "from ansible.plugins.loader import strategy_loader\n",
    "strategy.py": "class StrategyMixin:\n    def run(self, *a, **k):\n        print('through Mitogen')\n        "
    "return super().run(*a, **k)\n",
}


def run(path: Path) -> subprocess.CompletedProcess[str]:
    """Run one task with the strategy; ``path`` is searched for Python packages first."""
    environment = {
        **os.environ,
        "ANSIBLE_STRATEGY": "stackwright.cloud.mitogen",
        "PYTHONPATH": str(path),
        "ANSIBLE_CONFIG": str(path / "ansible.cfg"),
        "LC_ALL": "C.UTF-8",
    }
    (path / "ansible.cfg").touch()
    command = [BIN / "ansible", "localhost", "-c", "local", "-m", "ansible.builtin.debug", "-a", "msg=well"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_tasks_run_through_mitogen(tmp_path: Path) -> None:
    (tmp_path / "ansible_mitogen").mkdir()
    for name, text in STAND_IN.items():
        (tmp_path / "ansible_mitogen" / name).write_text(text)
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "through Mitogen" in done.stdout
    assert "well" in done.stdout


def test_missing_mitogen_is_said_with_what_to_do(tmp_path: Path) -> None:
    # a package without modules hides an installed one
    (tmp_path / "ansible_mitogen").mkdir()
    (tmp_path / "ansible_mitogen" / "__init__.py").touch()
    done = run(tmp_path)
    assert done.returncode != 0
    assert "requirements-mitogen.txt" in done.stderr + done.stdout
    assert (Path(__file__).parents[3] / "requirements-mitogen.txt").exists()
