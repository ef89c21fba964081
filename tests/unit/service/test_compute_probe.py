"""What a compute node can do is proved by doing it, and found out once for each start of the machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import compute_probe, open_vswitch
from ansible_collections.stackwright.cloud.plugins.modules import compute_probe as module
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns

Run = Callable[..., dict[str, Any]]


class Kernel:
    """A kernel with Open vSwitch and Geneve, or without; keeps what was made and not removed."""

    def __init__(self, *lacks: str) -> None:
        self.lacks, self.made = lacks, set[str]()

    def __call__(self, call: Call) -> Said:
        if call.name == "modprobe":
            return Said()
        verb, name = ("add", "swprobe") if call.name == "ovs-dpctl" and call.words[0] == "add-dp" else ("del", "swprobe")
        if call.name == "ip":
            verb, name = call.words[1], call.words[2]
        if verb == "del":
            return Said() if name in self.made and not self.made.discard(name) else Said(status=1)
        if call.name in self.lacks or name in self.made:
            return Said(status=1, errors="File exists" if name in self.made else "Address family not supported")
        self.made.add(name)
        return Said()


@pytest.fixture
def kernel(stand_ins: StandIns) -> Callable[..., Kernel]:
    def put(*lacks: str) -> Kernel:
        kernel = Kernel(*lacks)
        for program in ("modprobe", "ovs-dpctl", "ip"):
            stand_ins.add(program, kernel)
        return kernel

    return put


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine whose emulator is not installed, and where nothing is remembered."""
    monkeypatch.setattr(compute_probe, "ANSWER", str(tmp_path / "kept" / "answer.json"))
    monkeypatch.setattr(compute_probe, "QEMU", str(tmp_path / "none"))
    monkeypatch.setattr(compute_probe, "boot_id", lambda: "first boot")
    return tmp_path


@pytest.mark.parametrize(
    ("lacks", "datapath"), [([], "system"), (["ovs-dpctl"], "netdev"), (["ip"], "netdev"), (["ovs-dpctl", "ip"], "netdev")]
)
def test_kernel_must_switch_and_tunnel_and_keeps_nothing_of_the_probe(kernel: Callable[..., Kernel], run_module: Run, lacks: list[str], datapath: str) -> None:
    present = kernel(*lacks)
    assert run_module(module)["datapath"] == datapath
    assert present.made == set()


def test_what_an_interrupted_probe_left_proves_nothing_against_the_kernel(kernel: Callable[..., Kernel]) -> None:
    present = kernel()
    present.made = {"swprobe", "swprobe-gnv"}
    assert open_vswitch.kernel_has_datapath()
    assert present.made == set()


def test_host_whose_packages_are_still_to_come_is_probed_without_a_fault(run_module: Run, monkeypatch: pytest.MonkeyPatch, machine: Path) -> None:
    monkeypatch.setenv("PATH", str(machine))
    answer = run_module(module, check=True)
    assert (answer["kvm"], answer["datapath"]) == (False, "netdev")
    # nothing is remembered of a host that has no emulator yet
    assert not os.path.exists(compute_probe.ANSWER)


@pytest.fixture
def emulator(kernel: Callable[..., Kernel], stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> Callable[[Said], None]:
    """An emulator on a machine with /dev/kvm, which reads its disk and then does what it is told to."""
    kernel()

    def put(said: Said) -> None:
        def run(call: Call) -> Said:
            (drive,) = [word for word in call.words if word.startswith("file=")]
            disk = Path(drive.removeprefix("file=").split(",")[0]).read_bytes()
            assert len(disk) == 512 and disk.endswith(b"\x55\xaa")
            return said

        monkeypatch.setattr(compute_probe, "QEMU", stand_ins.add("qemu-system-x86_64", run))

    exists = os.path.exists
    monkeypatch.setattr("os.path.exists", lambda path: path == "/dev/kvm" or exists(path))
    return put


def test_only_a_guest_that_ran_to_its_end_proves_kvm(emulator: Callable[[Said], None], run_module: Run) -> None:
    emulator(Said(status=compute_probe.PROVED))
    assert run_module(module)["kvm"] is True
    # the emulator ends well when its machine is switched off, which proves no guest
    for said in (Said(), Said(status=1, errors="KVM internal error. Suberror: 1")):
        emulator(said)
        assert run_module(module, again=True)["kvm"] is False


def test_guest_that_hangs_is_no_proof(emulator: Callable[[Said], None]) -> None:
    emulator(Said(hangs=True))
    assert compute_probe.boots("kvm", timeout=0.3) is False


def test_answer_is_kept_until_the_machine_starts_anew_or_the_emulator_changes(
    emulator: Callable[[Said], None], run_module: Run, stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator(Said(status=compute_probe.PROVED))
    first = run_module(module)
    asked = len(stand_ins.calls)
    assert run_module(module) == first
    assert len(stand_ins.calls) == asked
    emulator(Said(status=1))
    assert run_module(module) == first
    os.utime(compute_probe.QEMU, (1, 1))
    assert run_module(module)["kvm"] is False
    emulator(Said(status=compute_probe.PROVED))
    assert run_module(module)["kvm"] is False
    monkeypatch.setattr(compute_probe, "boot_id", lambda: "second boot")
    assert run_module(module)["kvm"] is True


def test_answer_that_cannot_be_read_is_found_anew(emulator: Callable[[Said], None], run_module: Run) -> None:
    emulator(Said(status=compute_probe.PROVED))
    run_module(module)
    Path(compute_probe.ANSWER).write_text('{"key": ')
    assert run_module(module)["kvm"] is True


def test_boot_is_told_by_the_kernels_own_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert compute_probe.boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
