"""Nobody beside this host gets into a lab through it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import isolation
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.definition import Lab, resolve


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return resolve({"name": "my-lab", "network": "10.137.88.0/22", "groups": {"compute": {}}}, "lab.yml", tmp_path, {})


def networks(lab: Lab) -> dict[str, dict[str, Any]]:
    return {one.name: {"network_interface": f"podman{number}"} for number, one in enumerate(lab.networks.values())}


def test_rules_leave_the_labs_own_traffic_and_replies_alone(lab: Lab) -> None:
    first = isolation.rules(lab, networks(lab))[0]
    assert first == (
        'iifname != { "podman0", "podman1", "podman2" } ip daddr 10.137.88.0/24 ct state != { '
        "established, related } counter drop"
    )
    assert isolation.table(lab.name) == "stackwright_lab_my_lab"


@pytest.mark.skipif(not shutil.which("nft") or os.geteuid() != 0, reason="loading a table takes nft and root")
def test_kernel_lists_the_rules_as_they_are_compared(lab: Lab) -> None:
    text = isolation.text("stackwright_lab_my_lab", isolation.rules(lab, networks(lab)))
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", "nft -f - && nft -s list table inet stackwright_lab_my_lab"],
        input=text, capture_output=True, text=True, check=True,
    )  # fmt: skip
    listed = [isolation._ordered(line.strip()) for line in done.stdout.splitlines() if " daddr " in line]
    assert listed == [isolation._ordered(line) for line in isolation.rules(lab, networks(lab))]
