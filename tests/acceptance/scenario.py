"""Acceptance tests of a scenario's cloud, for the tests that Molecule runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTEST = ("-m", "pytest", "--import-mode=importlib", "--no-cov", "-q", "-s", "-p", "no:randomly")
SECONDS = 1800
SHOWN = 8000


def resource_types_converge(scenario: str) -> str:
    """Run every resource type that the catalogue of a scenario's cloud offers against it, which must succeed.

    :return: what was printed: figures, and the types that were left out.
    """
    done = subprocess.run(
        [sys.executable, *PYTEST, "tests/acceptance/cloud_state"],
        cwd=ROOT,
        env={**os.environ, "STACKWRIGHT_INVENTORY": f"molecule/{scenario}/inventory"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-SHOWN:]
    return done.stdout
