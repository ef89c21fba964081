"""Verification of a running cloud tells the truth: it passes when all is well, and names what is not.

Needs a deployed cloud, by default that of inventories/lab:

    pytest tests/acceptance/test_verify.py
    STACKWRIGHT_INVENTORY=inventories/small pytest tests/acceptance/test_verify.py
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator

import pytest
from running import on, run, start


def verify(*extra: str, boot: bool = False) -> tuple[int, str]:
    """Run the verify playbook, patient for a few seconds only."""
    variables = ["verify_health_timeout=5", "verify_agents_timeout=40", f"verify_boot={str(boot).lower()}", *extra]
    return run("ansible-playbook", "playbooks/verify.yml", *(word for one in variables for word in ("-e", one)))


@contextlib.contextmanager
def unit_stopped(hosts: str, unit: str) -> Iterator[None]:
    """The unit is stopped for the duration of the block."""
    on(hosts, "systemctl", "stop", unit)
    try:
        yield
    finally:
        on(hosts, "systemctl", "start", unit)


@contextlib.contextmanager
def unit_frozen(hosts: str, unit: str) -> Iterator[None]:
    """The unit's processes stand still, while systemd calls it active."""
    on(hosts, "systemctl", "kill", "--signal=SIGSTOP", unit)
    try:
        yield
    finally:
        on(hosts, "systemctl", "kill", "--signal=SIGCONT", unit)


@pytest.fixture(scope="module", autouse=True)
def healthy_cloud() -> Iterator[None]:
    """The cloud is well before the faults and after them."""
    status, output = verify("verify_agents_timeout=120")
    assert status == 0, output
    yield
    status, output = verify("verify_health_timeout=60", "verify_agents_timeout=120")
    assert status == 0, output


def test_stopped_metadata_agent_is_named() -> None:
    with unit_stopped("compute[0]", "neutron-ovn-metadata-agent"):
        status, output = verify()
    assert status != 0
    assert "neutron-ovn-metadata-agent.service: inactive (dead)" in output


def test_stopped_api_is_named_with_its_address() -> None:
    with unit_stopped("controller[0]", "placement-api"):
        status, output = verify()
    assert status != 0
    assert "placement-api.service: inactive (dead)" in output
    assert ":8778" in output
    assert "connection refused" in output


def test_hanging_compute_service_is_named_although_it_counts_as_up() -> None:
    with unit_frozen("compute[0]", "nova-compute"):
        time.sleep(31)  # older than a healthy heartbeat, younger than what nova calls down
        status, output = verify("verify_agents_timeout=5")
    assert status != 0
    assert "nova-compute on " in output
    assert "last heartbeat" in output


def test_hanging_ovn_controller_is_named() -> None:
    with unit_frozen("compute[0]", "ovn-controller"):
        status, output = verify()
    assert status != 0
    assert "ovn-controller on " in output
    assert "no answer" in output


def test_hanging_metadata_agent_is_named() -> None:
    with unit_frozen("compute[0]", "neutron-ovn-metadata-agent"):
        status, output = verify()
    assert status != 0
    # Neutron's listing tells it first when the heartbeat was not fresh to begin with.
    assert re.search(r"neutron-ovn-metadata-agent on \S+: (no answer|.*last heartbeat)", output), output


def test_boot_test_that_is_killed_leaves_nothing_that_stops_the_next() -> None:
    """SIGKILL of everything in the middle; what it left is removed by the next run, which passes."""
    process = start("ansible-playbook", "playbooks/verify.yml")
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if "boots, reaches, rebuilds and deletes" in line:
            break
    else:
        pytest.fail(f"the boot test was never begun: {seen}")
    time.sleep(20)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    status, output = verify(boot=True)
    assert status == 0, output


def test_guest_that_is_paused_behind_novas_back_is_named_within_seconds() -> None:
    """Nova goes on to call it ACTIVE; libvirt's reason and what to do stand in the failure."""
    process = start("ansible-playbook", "playbooks/verify.yml")
    deadline = time.monotonic() + 300
    domain = None
    while domain is None and process.poll() is None and time.monotonic() < deadline:
        domain = re.search(r"instance-[0-9a-f]{8}", on("compute[0]", "virsh", "list", "--name"))
    assert domain is not None, "the boot test started no guest"
    on("compute[0]", "virsh", "suspend", domain[0])
    paused = time.monotonic()
    output, _ = process.communicate(timeout=300)
    # the removal of everything made is in it
    assert time.monotonic() - paused < 90
    assert process.returncode != 0
    assert re.search(r"does not run: its hypervisor says (paused|not running), although Nova says ACTIVE", output), (
        output
    )
    assert f"({domain[0]}) is paused (user)" in output
    assert f"virsh resume {domain[0]}" in output
    status, output = verify(boot=True)
    assert status == 0, output
