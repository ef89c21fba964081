"""What a compute node can do is proved by doing it, and found out once for each start of the machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import (
    compute_probe,
    open_vswitch,
    packages,
    probe_guest,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.service.probe_guest import Hardware
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import guest_image, probe_image
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
        verb, name = (
            ("add", "swprobe") if call.name == "ovs-dpctl" and call.words[0] == "add-dp" else ("del", "swprobe")
        )
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
    monkeypatch.setattr(compute_probe, "DEVICE", str(tmp_path / "kvm"))
    monkeypatch.setattr(probe_guest, "RUNNER", str(tmp_path / "no-runner"))
    monkeypatch.setattr(probe_guest, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(probe_guest, "RUN", tmp_path / "run" / "libvirt")
    monkeypatch.setattr(compute_probe, "boot_id", lambda: "first boot")
    monkeypatch.setattr(compute_probe, "processor", lambda: "a processor")
    return tmp_path


@pytest.mark.parametrize(
    ("lacks", "datapath"),
    [([], "system"), (["ovs-dpctl"], "netdev"), (["ip"], "netdev"), (["ovs-dpctl", "ip"], "netdev")],
)
def test_kernel_must_switch_and_tunnel_and_keeps_nothing_of_the_probe(
    kernel: Callable[..., Kernel], run_module: Run, lacks: list[str], datapath: str
) -> None:
    present = kernel(*lacks)
    assert run_module(module)["datapath"] == datapath
    assert present.made == set()


def test_what_an_interrupted_probe_left_proves_nothing_against_the_kernel(kernel: Callable[..., Kernel]) -> None:
    present = kernel()
    present.made = {"swprobe", "swprobe-gnv"}
    assert open_vswitch.kernel_has_datapath()
    assert present.made == set()


def test_wanted_datapath_is_taken_and_told_to_the_other_hosts(kernel: Callable[..., Kernel], run_module: Run) -> None:
    kernel("ovs-dpctl")
    assert run_module(module, datapath="system", kvm=False)["ansible_facts"] == {"stackwright_datapath": "system"}
    assert run_module(module, kvm=False)["ansible_facts"] == {"stackwright_datapath": "netdev"}


def test_datapath_is_found_out_once(kernel: Callable[..., Kernel], run_module: Run, stand_ins: StandIns) -> None:
    kernel()
    run_module(module, kvm=False)
    asked = len(stand_ins.calls)
    assert run_module(module, kvm=False)["datapath"] == "system"
    assert len(stand_ins.calls) == asked
    run_module(module, kvm=False, again=True)
    assert len(stand_ins.calls) > asked


def test_host_whose_packages_are_still_to_come_is_probed_without_a_fault(
    run_module: Run, monkeypatch: pytest.MonkeyPatch, machine: Path
) -> None:
    monkeypatch.setenv("PATH", str(machine))
    answer = run_module(module, check=True)
    assert (answer["kvm"], answer["datapath"]) == (False, "netdev")
    assert "ansible_facts" not in answer
    # nothing is remembered of a host that has no emulator yet
    assert not os.path.exists(compute_probe.ANSWER)


BROKEN = """2026-11-26 22:43:13.108+0000: starting up libvirt version: 11.3.0
LC_ALL=C \\
/usr/bin/qemu-system-x86_64 \\
-name guest=stackwright-probe-kvm
KVM internal error. Suberror: 1
extra data[0]: 0x0000000000000000
emulation failure
EAX=00000010 EBX=00000000
"""


@dataclass
class Libvirt:
    """Starts guests as told: ``comes_up`` says for each kind of guest (kvm or qemu, sector or system) whether it
    does."""

    comes_up: dict[tuple[str, str], bool] = field(default_factory=dict)
    log: str = BROKEN
    started: list[tuple[str, str]] = field(default_factory=list)
    definition: str = ""

    def __call__(self, call: Call) -> Said:
        root = Path(call.words[call.words.index("-r") + 1])
        self.definition = Path(call.words[-1]).read_text()
        # Nova must get through to the daemon's socket afterwards
        assert probe_guest.RUN.stat().st_mode & 0o777 == 0o755
        # a login session may have a hard limit, which libvirt's default would try to lift
        assert "max_core = 0" in (root / "etc" / "qemu.conf").read_text()
        domain = Xml.fromstring(self.definition)
        disk = Path(str(domain.find("devices/disk/source").get("file")))  # type: ignore[union-attr]
        kind = "sector" if disk.read_bytes()[510:512] == b"\x55\xaa" else "system"
        one = (str(domain.get("type")), kind)
        self.started.append(one)
        if self.comes_up.get(one, True):
            console = Path(str(domain.find("devices/serial/source").get("path")))  # type: ignore[union-attr]
            says = probe_guest.SECTOR_SAYS if kind == "sector" else probe_image.SAYS
            console.write_bytes(b"SeaBIOS\r\n" + says.encode() + b"\r\n")
        else:
            (root / "log" / "qemu").mkdir(parents=True)
            (root / "log" / "qemu" / "probe.log").write_text(self.log)
            (root / "console").touch()
        return Said(hangs=True)


@pytest.fixture
def libvirt(
    kernel: Callable[..., Kernel], stand_ins: StandIns, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> Libvirt:
    """A machine with /dev/kvm, QEMU, libvirt, and a test guest that can be built."""
    kernel()
    (machine / "kvm").touch()
    (machine / "qemu").touch()
    image = machine / "guest.qcow2"
    image.write_bytes(b"QFI\xfb" + bytes(1024))
    monkeypatch.setattr(compute_probe, "QEMU", str(machine / "qemu"))
    monkeypatch.setattr(probe_image, "ensure_image", lambda directory, texts: (image, True))
    started = Libvirt()
    monkeypatch.setattr(probe_guest, "RUNNER", stand_ins.add("virt-qemu-run", started))
    return started


def test_kvm_is_proved_by_a_guest_of_its_own_kernel(libvirt: Libvirt, run_module: Run) -> None:
    answer = run_module(module)
    assert (answer["kvm"], answer["told_by"]) == (True, "the test guest ran")
    assert libvirt.started == [("kvm", "sector"), ("kvm", "system")]


def test_machine_without_the_device_needs_no_guest(libvirt: Libvirt, run_module: Run) -> None:
    os.unlink(compute_probe.DEVICE)
    answer = run_module(module)
    assert answer["kvm"] is False
    assert answer["told_by"] == f"there is no {compute_probe.DEVICE}"
    assert libvirt.started == []


@pytest.mark.parametrize("kind", ["sector", "system"])
def test_guest_that_fails_with_kvm_and_runs_without_it_is_a_no_with_qemus_words(
    libvirt: Libvirt, run_module: Run, kind: str
) -> None:
    libvirt.comes_up[("kvm", kind)] = False
    answer = run_module(module)
    assert answer["kvm"] is False
    assert answer["told_by"].endswith("fails with it: KVM internal error. Suberror: 1; emulation failure")
    assert libvirt.started[-1] == ("qemu", kind)


@pytest.mark.parametrize("kind", ["sector", "system"])
def test_guest_that_runs_in_no_way_is_no_answer_and_says_what_to_set(
    libvirt: Libvirt, run_module: Run, kind: str
) -> None:
    libvirt.comes_up |= {("kvm", kind): False, ("qemu", kind): False}
    answer = run_module(module)
    assert answer["failed"] is True
    assert "cannot be found out" in answer["msg"]
    assert "Set nova_virt_type to kvm or qemu for this host" in answer["msg"]
    assert not os.path.exists(compute_probe.ANSWER) or "kvm" not in Path(compute_probe.ANSWER).read_text()


def test_test_guest_that_cannot_be_built_is_no_answer_either(
    libvirt: Libvirt, run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[bool] = []

    def fails(directory: Path, texts: dict[str, str]) -> tuple[Path, bool]:
        raise guest_image.BuildError("apt knows no kernel")

    monkeypatch.setattr(probe_image, "ensure_image", fails)
    monkeypatch.setattr(packages, "update_lists", lambda: fetched.append(True))
    answer = run_module(module)
    assert "the test guest cannot be made: apt knows no kernel" in answer["msg"]
    assert fetched == [True]


def test_host_without_libvirts_runner_is_no_answer(libvirt: Libvirt, run_module: Run) -> None:
    os.unlink(probe_guest.RUNNER)
    assert "package libvirt-daemon-driver-qemu is not there" in run_module(module)["msg"]


def test_silent_guest_fails_at_its_limit(libvirt: Libvirt, tmp_path: Path) -> None:
    libvirt.comes_up[("kvm", "sector")], libvirt.log = False, ""
    (tmp_path / "disk").write_bytes(probe_guest.SECTOR)
    found = probe_guest.boot("kvm", Hardware(), tmp_path / "disk", "raw", "x", 0.3)
    assert found == probe_guest.Outcome(False, "its console is empty after 0.3 s")


def test_guest_that_libvirt_never_starts_is_given_up(
    libvirt: Libvirt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_ins: StandIns
) -> None:
    monkeypatch.setattr(probe_guest, "START_SECONDS", 0.3)
    monkeypatch.setattr(probe_guest, "RUNNER", stand_ins.add("virt-qemu-run", Said(hangs=True)))
    (tmp_path / "disk").write_bytes(probe_guest.SECTOR)
    found = probe_guest.boot("kvm", Hardware(), tmp_path / "disk", "raw", "x", 60)
    assert found.cause.startswith("libvirt started no guest within 0.3 s")


def test_qemu_that_gives_up_at_once_is_told_in_its_words(libvirt: Libvirt, tmp_path: Path) -> None:
    libvirt.comes_up[("kvm", "sector")] = False
    libvirt.log = (
        "2026-11-26T23:08:06.128979Z qemu-system-x86_64: error: failed to set MSR 0x10a to 0xc000069\n"
        "2026-11-26 23:08:06.161+0000: shutting down, reason=failed\n"
    )
    (tmp_path / "disk").write_bytes(probe_guest.SECTOR)
    found = probe_guest.boot("kvm", Hardware(), tmp_path / "disk", "raw", "x", 60)
    assert found.cause == "qemu-system-x86_64: error: failed to set MSR 0x10a to 0xc000069"


def test_domain_is_what_nova_would_define(libvirt: Libvirt, run_module: Run) -> None:
    run_module(module, cpu_mode="custom", cpu_models=["Skylake-Client"], machine="q35")
    domain = Xml.fromstring(libvirt.definition)
    assert domain.get("type") == "kvm"
    assert domain.find("os/type").get("machine") == "q35"  # type: ignore[union-attr]
    assert (domain.find("cpu").get("mode"), domain.findtext("cpu/model")) == ("custom", "Skylake-Client")  # type: ignore[union-attr]
    assert domain.find("devices/disk/target").get("bus") == "virtio"  # type: ignore[union-attr]
    assert Xml.fromstring(probe_guest.domain("qemu", Hardware(), Path("d"), "raw", Path("c"))).find("cpu") is None
    model = Xml.fromstring(probe_guest.domain("kvm", Hardware(), Path("d"), "raw", Path("c"))).find("cpu")
    assert model is not None
    assert model.get("mode") == "host-model"


def test_answer_is_kept_until_something_changes_that_it_depends_on(
    libvirt: Libvirt, run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_module(module)
    asked = len(libvirt.started)
    assert run_module(module) == first
    assert len(libvirt.started) == asked
    libvirt.comes_up[("kvm", "sector")] = False
    assert run_module(module)["kvm"] is True
    for change in (
        lambda: os.utime(compute_probe.QEMU, (1, 1)),
        lambda: os.chmod(compute_probe.DEVICE, 0o660),
        lambda: monkeypatch.setattr(compute_probe, "processor", lambda: "another"),
        lambda: monkeypatch.setattr(compute_probe, "boot_id", lambda: "second boot"),
    ):
        asked = len(libvirt.started)
        change()
        assert run_module(module)["kvm"] is False
        assert len(libvirt.started) > asked
    asked = len(libvirt.started)
    run_module(module, machine="q35")
    assert len(libvirt.started) > asked
    run_module(module, machine="q35", again=True)


def test_answer_that_cannot_be_read_is_found_anew(libvirt: Libvirt, run_module: Run) -> None:
    run_module(module)
    Path(compute_probe.ANSWER).write_text('{"kvm": ')
    assert run_module(module)["kvm"] is True
    Path(compute_probe.ANSWER).write_text('{"kvm": {"key": 7}}')
    assert run_module(module)["kvm"] is True


def test_boot_sector_is_whole() -> None:
    assert len(probe_guest.SECTOR) == 512
    assert probe_guest.SECTOR.endswith(b"\x55\xaa")
    # the places that the code names: its text, its tables of segments and interrupts
    for place, begins in ((0xAA, b"stackwright-probe"), (0xD0, bytes(8)), (0x100, bytes.fromhex("8b7c0800008e"))):
        assert probe_guest.SECTOR[place:].startswith(begins)


def test_what_programs_say_reaches_no_terminal_raw() -> None:
    hostile = "\x1b[31mKVM internal error\x07. Suberror: 1\x9b2J\n"
    assert probe_guest.said_by_qemu(hostile) == "KVM internal error. Suberror: 12J"
    assert len(probe_guest.clean("x" * 5000)) == 200


def test_boot_and_processor_are_told_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert compute_probe.boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert "flags" in compute_probe.processor()
    assert "MHz" not in compute_probe.processor()
