"""A guest as Nova starts them, run until its own system has said so on its console: the proof that a hypervisor works
here.

libvirt itself makes QEMU's command line of the domain, in a process of this module's own (``virt-qemu-run``), so that
the proof needs no running daemon and touches nothing of its domains.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

RUNNER = "/usr/bin/virt-qemu-run"
LOG_LINES = 3
# What libvirt finds out about QEMU takes it some seconds. It keeps that here, also for its daemon, and knows when it is
# outdated.
CACHE = Path("/var/cache/libvirt")
# QEMU cannot go on, whether it has ended or only paused the guest.
ENDED = re.compile(r"KVM internal error|kvm run failed|shutting down, reason=(?!destroyed)")
# The directory of the daemon's sockets: made by the runner it would be closed to Nova, and stay so.
RUN = Path("/run/libvirt")
# libvirt would lift the limit of core files, which root in a container may not, and hand output to a daemon.
CONFIGURATION = 'security_driver = "none"\nremember_owner = 0\nstdio_handler = "file"\nmax_core = 0\n'
# Seconds that libvirt may take until QEMU runs.
START_SECONDS = 240.0

# A whole small system in one boot sector. In real mode the firmware has read it from the disk; it enters protected
# mode, returns from an interrupt there, switches paging on, goes to user space, and has its kernel write a line to the
# serial port from there.
SECTOR_SAYS = "stackwright-probe: user space"
SECTOR = (
    bytes.fromhex(
        "fa31c08ed8"  # cli; xor ax,ax; mov ds,ax
        "660f0116107d660f011e167d"  # lgdt [0x7d10]; lidt [0x7d16]
        "0f20c00c010f22c0ea1e7c0800"  # cr0 |= 1: protected mode; jmp 8:0x7c1e
        "66b810008ed88ec08ed0bc00700000"  # ds, es, ss = 0x10; esp = 0x7000
        "cd00"  # int 0: pushes, pops, returns by iret
        "c7050010000087000000b8001000000f22d8"  # one page of 4 MiB, open to users, at 0x1000; cr3 = 0x1000
        "0f20e00c100f22e00f20c00d000000800f22c0eb00"  # cr4 |= large pages; cr0 |= paging
        "c7050420000000700000c705082000001000000066b828000f00d8"  # task state at 0x2000: stack for interrupts; ltr 0x28
        "6a2368006000006a026a1b68827c0000cf"  # iret to user space at 0x7c82, stack at 0x6000
        "beaa7c0000cd01ebfe"  # user space: esi = text; int 1
        "6061cf"  # interrupt 0: pusha; popa; iret
        "66b823008ed866bafd03eca82074fb66baf803ac84c07403eeebebcf"  # interrupt 1: writes the text at esi to port 0x3f8
    )
    + f"{SECTOR_SAYS}\r\n\0".encode().ljust(38, b"\0")
    + bytes.fromhex(
        "0000000000000000ffff0000009acf00ffff00000092cf00ffff000000facf00ffff000000f2cf006700002000890000"
    )  # segments
    + bytes.fromhex("8b7c0800008e00008e7c080000ee0000")  # the two interrupts
    + bytes.fromhex("2f00d07c00000f00007d0000")  # where both tables are
).ljust(510, b"\0") + b"\x55\xaa"


@dataclass(frozen=True)
class Hardware:
    """What Nova is told of guests' machines: ``[libvirt] cpu_mode``, ``cpu_models`` and the machine type."""

    cpu_mode: str = "host-model"
    cpu_models: tuple[str, ...] = ()
    machine: str = "pc"


@dataclass(frozen=True)
class Outcome:
    """Whether the guest came up; if not, why: what libvirt or QEMU said last, or that nothing came within the time."""

    came_up: bool
    cause: str = ""


def domain(virt_type: str, hardware: Hardware, disk: Path, disk_format: str, console: Path) -> str:
    """The domain as Nova defines it: machine, processor, clock, virtio disk, random numbers, serial console.

    After ``_get_guest_config`` of Nova's libvirt driver. Emulated guests (``qemu``) get no processor model, as the role
    sets it.
    """
    root = Xml.Element("domain", type=virt_type)

    def add(parent: Xml.Element, tag: str, text: str = "", **attributes: str) -> Xml.Element:
        child = Xml.SubElement(parent, tag, attributes)
        child.text = text or None
        return child

    add(root, "name", f"stackwright-probe-{virt_type}")
    add(root, "uuid", str(uuid.uuid4()))
    add(root, "memory", "192", unit="MiB")
    add(root, "vcpu", "1")
    system = add(root, "os")
    add(system, "type", "hvm", machine=hardware.machine)
    add(system, "boot", dev="hd")
    features = add(root, "features")
    for name in ("acpi", "apic"):
        add(features, name)
    add(features, "vmcoreinfo", state="on")
    clock = add(root, "clock", offset="utc")
    add(clock, "timer", name="pit", tickpolicy="delay")
    add(clock, "timer", name="rtc", tickpolicy="catchup")
    add(clock, "timer", name="hpet", present="no")
    if virt_type == "kvm" and hardware.cpu_mode != "none":
        if hardware.cpu_mode == "custom":
            processor = add(root, "cpu", mode="custom", match="exact")
            add(processor, "model", hardware.cpu_models[0] if hardware.cpu_models else "", fallback="allow")
        else:
            processor = add(
                root, "cpu", mode=hardware.cpu_mode, **({"match": "exact"} if hardware.cpu_mode == "host-model" else {})
            )
        add(processor, "topology", sockets="1", cores="1", threads="1")
    # a guest that stops is to be seen as it stopped
    for event, action in (("poweroff", "destroy"), ("reboot", "destroy"), ("crash", "destroy")):
        add(root, f"on_{event}", action)
    devices = add(root, "devices")
    drive = add(devices, "disk", type="file", device="disk")
    add(drive, "driver", name="qemu", type=disk_format)
    add(drive, "source", file=str(disk))
    add(drive, "target", dev="vda", bus="virtio")
    serial = add(devices, "serial", type="file")
    add(serial, "source", path=str(console))
    add(add(devices, "rng", model="virtio"), "backend", "/dev/urandom", model="random")
    add(devices, "memballoon", model="virtio")
    return Xml.tostring(root, encoding="unicode")


def clean(text: str, lines: int = LOG_LINES) -> str:
    """The last lines of what a program said, without control characters and time stamps, as one line."""
    kept = []
    for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines():
        line = re.sub(
            r"^\d{4}-\d\d-\d\d[ T][\d:.]+(?:\+0000|Z)?:?\s*(?:\d+: )?", "", "".join(c for c in line if " " <= c <= "~")
        ).strip()
        if line:
            kept.append(line[:200])
    return "; ".join(kept[-lines:])


def said_by_qemu(log: str) -> str:
    """The lines of a domain's log that tell of a fault; what libvirt writes itself, and registers' contents, are left
    out."""
    known = re.compile(
        r"KVM internal error|emulation failure|kvm run failed|hardware "
        r"error|[Ee]rror|[Ff]ail|cannot|not supported|denied"
    )
    return clean(
        "\n".join(
            line
            for line in log.splitlines()
            if known.search(line) and not re.match(r"LC_ALL=|-|EAX=|.*shutting down, reason=", line)
        )
    )


def read(path: Path) -> str:
    """Text of a file that another program writes; empty as long as there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def stop(runner: subprocess.Popen[bytes], root: Path) -> None:
    """End the guest by libvirt's own record of its process, then the runner."""
    for record in root.glob("run/qemu/*.pid"):
        with contextlib.suppress(ValueError, OSError):
            number = int(record.read_text(encoding="ascii"))
            if number != runner.pid and str(root).encode() in Path(f"/proc/{number}/cmdline").read_bytes():
                os.kill(number, signal.SIGKILL)
    runner.kill()
    runner.wait()


def boot(
    virt_type: str,
    hardware: Hardware,
    disk: Path,
    disk_format: str,
    says: str,
    limit: float,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Start a guest from a copy of ``disk`` and wait until it ``says`` this on its console, at most ``limit`` seconds
    from its start.

    Ends as soon as QEMU or libvirt report that the guest has stopped.
    """
    root = Path(tempfile.mkdtemp(prefix="stackwright-probe-", dir="/var/tmp"))
    try:
        # QEMU's own account must get through; libvirt hands it the files
        root.chmod(0o755)
        copy, console, definition = root / "disk", root / "console", root / "domain.xml"
        shutil.copyfile(disk, copy)
        CACHE.mkdir(parents=True, exist_ok=True)
        RUN.mkdir(parents=True, exist_ok=True)
        RUN.chmod(0o755)
        (root / "cache").symlink_to(CACHE)
        (root / "etc").mkdir()
        (root / "etc" / "qemu.conf").write_text(CONFIGURATION, encoding="utf-8")
        definition.write_text(domain(virt_type, hardware, copy, disk_format, console), encoding="utf-8")
        with (root / "runner.log").open("wb") as log:
            try:
                # QEMU's own account reads what libvirt writes, whatever a hardened host's umask is
                runner = subprocess.Popen(
                    [RUNNER, "-r", str(root), str(definition)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    umask=0o022,
                )
            except OSError as error:
                return Outcome(False, f"{RUNNER}: {error.strerror}")
        try:
            return watch(runner, root, console, says, limit, now, sleep)
        finally:
            stop(runner, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def watch(
    runner: subprocess.Popen[bytes],
    root: Path,
    console: Path,
    says: str,
    limit: float,
    now: Callable[[], float],
    sleep: Callable[[float], None],
) -> Outcome:
    """Wait for the guest's word, for its end, or for QEMU's report that it can no longer run."""
    begun = False
    end = now() + START_SECONDS
    while True:
        ended = runner.poll() is not None
        if says in read(console):
            return Outcome(True)
        if not begun and console.exists():
            begun, end = True, now() + limit
        log = "\n".join(read(path) for path in sorted(root.glob("log/qemu/*.log")))
        if ended or ENDED.search(log):
            return Outcome(
                False, said_by_qemu(log) or said_by_qemu(read(root / "runner.log")) or "the guest ended without a word"
            )
        if now() >= end and not begun:
            return Outcome(
                False, f"libvirt started no guest within {START_SECONDS:g} s: {clean(read(root / 'runner.log'))}"
            )
        if now() >= end:
            last = clean(read(console), 1)
            return Outcome(
                False, f"{f'its console says {last!r}' if last else 'its console is empty'} after {limit:g} s"
            )
        sleep(0.1)
