"""What a compute node's machine can really do: run guests with KVM, switch packets in the kernel, confine guests."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from ansible_collections.stackwright.cloud.plugins.module_utils.host import files
from ansible_collections.stackwright.cloud.plugins.module_utils.service import probe_guest
from ansible_collections.stackwright.cloud.plugins.module_utils.service.open_vswitch import kernel_has_datapath
from ansible_collections.stackwright.cloud.plugins.module_utils.service.probe_guest import Hardware, Outcome

ANSWER = "/var/lib/stackwright/compute-probe.json"
DEVICE = "/dev/kvm"
QEMU = "/usr/bin/qemu-system-x86_64"
# What decides how guests run, besides kernel, processor and emulator: its firmware, libvirt and its driver.
DECIDING = (
    "/usr/share/seabios/bios-256k.bin",
    "/usr/lib/x86_64-linux-gnu/libvirt.so.0",
    "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so",
)
SECTOR_SECONDS = 15.0
SYSTEM_SECONDS = 60.0

# Returns the test guest's image and what its console says when its user space is there.
Guest = Callable[[], tuple[Path, str]]


class ProbeError(Exception):
    """Nothing could be found out about KVM; the text says why and what to set."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"whether guests run with KVM on this machine cannot be found out: {cause}. Set "
            f"nova_virt_type to kvm or qemu for this "
            "host (kvm where it is known to run guests), or mend the cause and run again."
        )


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        return stream.read().strip()


def processor() -> str:
    """What the kernel tells of the first processor: model, microcode, abilities. A machine may be moved to another
    without a new start."""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
        first = stream.read().split("\n\n")[0]
    return "\n".join(
        line for line in first.splitlines() if re.match(r"vendor_id|cpu family|model|stepping|microcode|flags", line)
    )


def security_module() -> bool:
    """Whether AppArmor can confine guests here."""
    return os.path.exists("/sys/kernel/security/apparmor/profiles")


def key(hardware: Hardware) -> str:
    """Stands for all that the answer on KVM depends on."""
    parts = [boot_id(), processor(), str(hardware), hashlib.sha256(probe_guest.SECTOR).hexdigest()]
    for path in (QEMU, probe_guest.RUNNER, *DECIDING, DEVICE):
        try:
            state = os.stat(path)
        except OSError:
            parts.append(f"{path} -")
        else:
            parts.append(f"{path} {state.st_rdev or state.st_mtime_ns} {state.st_mode:o} {state.st_gid}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def run_sector(virt_type: str, hardware: Hardware) -> Outcome:
    """Run the small system that fills one boot sector."""
    with tempfile.NamedTemporaryFile(suffix=".img") as disk:
        disk.write(probe_guest.SECTOR.ljust(1 << 20, b"\0"))
        disk.flush()
        return probe_guest.boot(virt_type, hardware, Path(disk.name), "raw", probe_guest.SECTOR_SAYS, SECTOR_SECONDS)


def kvm(hardware: Hardware, guest: Guest) -> tuple[bool, str]:
    """Whether guests run with KVM, and by what it was told.

    First a system in one boot sector, a quick no; then the test guest's kernel and user space. A guest that fails is a
    no only if the same one runs without KVM: otherwise the fault is not KVM's.

    :raises ProbeError: it cannot be found out.
    """
    if not os.path.exists(DEVICE):
        return False, f"there is no {DEVICE}"
    if not os.path.exists(probe_guest.RUNNER):
        raise ProbeError(f"{probe_guest.RUNNER} of the package libvirt-daemon-driver-qemu is not there")
    found = run_sector("kvm", hardware)
    if not found.came_up:
        emulated = run_sector("qemu", hardware)
        if not emulated.came_up:
            raise ProbeError(f"no guest runs at all, with KVM ({found.cause}) or without it ({emulated.cause})")
        return False, f"a boot sector that runs without KVM fails with it: {found.cause}"
    try:
        image, says = guest()
    except Exception as error:
        raise ProbeError(f"the test guest cannot be made: {error}") from None
    found = probe_guest.boot("kvm", hardware, image, "qcow2", says, SYSTEM_SECONDS)
    if found.came_up:
        return True, "the test guest ran"
    emulated = probe_guest.boot("qemu", hardware, image, "qcow2", says, SYSTEM_SECONDS)
    if not emulated.came_up:
        raise ProbeError(f"the test guest does not run, with KVM ({found.cause}) or without it ({emulated.cause})")
    return False, f"the test guest runs without KVM and fails with it: {found.cause}"


def remembered(name: str, present: str) -> object:
    """The answer of this name that was found under the same key; ``None`` if there is none."""
    try:
        with open(ANSWER, encoding="utf-8") as stream:
            known = json.load(stream)[name]
        return known["answer"] if known["key"] == present else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(name: str, present: str, answer: object) -> None:
    """Keep an answer beside the others."""
    try:
        with open(ANSWER, encoding="utf-8") as stream:
            known = dict(json.load(stream))
    except (OSError, ValueError, TypeError):
        known = {}
    known[name] = {"key": present, "answer": answer}
    files.replace(ANSWER, json.dumps(known), 0o644)


def kvm_answer(hardware: Hardware, guest: Guest, again: bool) -> tuple[bool, str]:
    """Probe, or return the answer that was found since anything that it depends on changed.

    :raises ProbeError: it cannot be found out.
    """
    if not os.path.exists(QEMU):
        return False, "QEMU is not installed"
    present = key(hardware)
    known = None if again else remembered("kvm", present)
    if isinstance(known, list) and len(known) == 2:
        return bool(known[0]), str(known[1])
    works, told_by = kvm(hardware, guest)
    remember("kvm", present, [works, told_by])
    return works, told_by


def datapath(wanted: str, again: bool) -> str:
    """The datapath of Open vSwitch: as wanted, or with ``auto`` that of the kernel where it has all that is needed."""
    if wanted != "auto":
        return wanted
    control = shutil.which("ovs-dpctl")
    present = f"{boot_id()} {control}"
    known = None if again else remembered("datapath", present)
    if known in ("system", "netdev"):
        return str(known)
    found = "system" if kernel_has_datapath() else "netdev"
    if control:
        remember("datapath", present, found)
    return found
