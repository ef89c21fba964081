"""What a compute node's machine can really do: run guests with KVM, switch packets in the kernel, confine guests."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile

from ansible_collections.stackwright.cloud.plugins.module_utils.service.open_vswitch import kernel_has_datapath

ANSWER = "/var/lib/stackwright/compute-probe.json"
QEMU = "/usr/bin/qemu-system-x86_64"

# A boot sector; before it, the firmware has already been through protected mode. It writes 0x2a to the debug exit port: mov al,0x2a; mov dx,0xf4; out dx,al; hlt
BOOT_SECTOR = bytes([0xB0, 0x2A, 0xBA, 0xF4, 0x00, 0xEE, 0xF4]).ljust(510, b"\x00") + b"\x55\xaa"
# QEMU ends with (value << 1) | 1
PROVED = (0x2A << 1) | 1


def boots(accelerator: str, timeout: float = 20) -> bool:
    """Whether a guest that consists of one boot sector runs to its end under the accelerator (kvm or tcg)."""
    if not os.path.exists(QEMU) or (accelerator == "kvm" and not os.path.exists("/dev/kvm")):
        return False
    with tempfile.NamedTemporaryFile(suffix=".img") as disk:
        disk.write(BOOT_SECTOR)
        disk.flush()
        # guests get the host's processor model: a machine may run older models and still fail with that one
        command = [QEMU, "-accel", accelerator, "-cpu", "host" if accelerator == "kvm" else "max", "-m", "64", "-display", "none", "-nodefaults", "-no-reboot"]
        command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
        command += ["-drive", f"file={disk.name},format=raw,if=floppy,readonly=on", "-boot", "a"]
        try:
            return subprocess.run(command, capture_output=True, timeout=timeout, check=False).returncode == PROVED
        except subprocess.TimeoutExpired:
            return False


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        return stream.read().strip()


def security_module() -> bool:
    """Whether AppArmor can confine guests here."""
    return os.path.exists("/sys/kernel/security/apparmor/profiles")


def answer(again: bool) -> dict[str, object]:
    """Probe, or return the answer that was found since the machine was started and QEMU last changed."""
    state = os.stat(QEMU).st_mtime_ns if os.path.exists(QEMU) else 0
    key = f"{boot_id()} {state} {hashlib.sha256(BOOT_SECTOR).hexdigest()[:8]} host"
    if not again:
        try:
            with open(ANSWER, encoding="utf-8") as stream:
                known = json.load(stream)
            if known.get("key") == key:
                return dict(known)
        except (OSError, ValueError):
            pass
    found: dict[str, object] = {
        "key": key,
        "kvm": boots("kvm"),
        "datapath": "system" if kernel_has_datapath() else "netdev",
        "security_module": security_module(),
    }
    if state:
        os.makedirs(os.path.dirname(ANSWER), mode=0o755, exist_ok=True)
        with open(ANSWER, "w", encoding="utf-8") as stream:
            json.dump(found, stream)
    return found
