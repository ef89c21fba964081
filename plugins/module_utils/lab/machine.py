"""One machine: its container's command line, the files that make it a machine of its own, and its way to `running`."""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import command as programs
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.definition import Lab, Machine
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.image import RESTORE
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.podman import Podman, locked, run

LABEL = "stackwright.lab"
GRACE = 20
# Seconds for a shared SSH connection to end.
CLOSING = 10
# Seconds in which a machine answers a question about itself.
ANSWER = 30.0
# What an ordinary machine lets its services do, for machines that do not get all privileges.
CAPABILITIES = ("AUDIT_WRITE", "NET_ADMIN", "NET_BROADCAST", "NET_RAW", "SYS_NICE", "SYS_PTRACE", "SYS_RESOURCE")
DEVICES = ("/dev/fuse", "/dev/kvm", "/dev/net/tun")
EXTERNAL_UNIT = """\
[Unit]
Description=Keep the provider interface free of addresses
Documentation=https://docs.openstack.org/neutron/latest/admin/ovn/routing.html
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/ip address flush dev {interface}
ExecStart=/usr/sbin/ip link set dev {interface} up

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Options:
    """What the operator chose for one machine."""

    suite: str
    privileged: bool
    volumes: tuple[str, ...]
    words: tuple[str, ...]

    def definition(self, lab: Lab, machine: Machine) -> dict[str, Any]:
        """Return everything that is fixed when the container is made."""
        return {
            "suite": self.suite,
            "privileged": self.privileged,
            "volumes": list(self.volumes),
            "addresses": {
                network.interface: f"{network.name} {machine.addresses[role]}" for role, network in lab.networks.items()
            },
        }


def container_labels(lab: Lab, machine: Machine, options: Options) -> dict[str, str]:
    """Return the labels that tell later runs whose container this is and how it was defined."""
    return {
        LABEL: lab.name,
        f"{LABEL}.directory": lab.state_directory,
        f"{LABEL}.definition": json.dumps(options.definition(lab, machine), sort_keys=True),
    }


def volume_name(machine: Machine, path: str) -> str:
    """Return the name of the volume that holds a machine's directory."""
    return f"{machine.container}{path.replace('/', '-')}"


def create_command(lab: Lab, machine: Machine, options: Options, image: str, devices: Sequence[str] = ()) -> list[str]:
    """Return podman's arguments that make a machine's container."""
    command = ["create", "--name", machine.container, "--hostname", machine.name, "--systemd", "always"]
    for role, network in lab.networks.items():
        command += ["--network", f"{network.name}:ip={machine.addresses[role]},interface_name={network.interface}"]
    # Name resolution is a matter of ordinary files, as on any machine, and not of files that podman mounts.
    command += ["--no-hosts", "--dns", "none", "--stop-timeout", str(GRACE)]
    if options.privileged:
        command += ["--privileged"]
    else:
        command += ["--security-opt", "seccomp=unconfined"]
        command += [f"--cap-add={capability}" for capability in CAPABILITIES]
        command += [f"--device={device}" for device in devices]
    for path in options.volumes:
        command += ["--volume", f"{volume_name(machine, path)}:{path}"]
    for key, value in container_labels(lab, machine, options).items():
        command += ["--label", f"{key}={value}"]
    return [*command, image, "/sbin/init", *options.words]


def drift(labels: Mapping[str, str], lab: Lab, machine: Machine, options: Options) -> list[str]:
    """Return a phrase for each thing in which an existing container differs from its definition."""
    try:
        before = json.loads(labels.get(f"{LABEL}.definition", "{}"))
    except ValueError:
        before = {}
    after = options.definition(lab, machine)
    return [f"{key} is {before.get(key)}, wanted {value}" for key, value in after.items() if before.get(key) != value]


def machine_files(
    lab: Lab, machine: Machine, user: str, keys: Mapping[str, str], nameservers: Sequence[str], apt_options: str
) -> dict[str, tuple[int, str]]:
    """Return the files that a machine gets before its first boot: {path: (mode, content)}.

    Args:
        lab: The lab.
        machine: The machine.
        user: The account that Ansible uses.
        keys: ``public`` (may log in), ``host`` (the machine's private host key), ``host_public``, ``machine_id``.
        nameservers: Addresses.
        apt_options: Content for apt's configuration about reaching the mirror.
    """
    external = lab.networks["external"].interface
    files = {
        "etc/machine-id": (0o444, keys["machine_id"] + "\n"),
        "etc/hosts": (
            0o644,
            "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
            f"{machine.addresses['management']} {machine.name}\n",
        ),
        "etc/resolv.conf": (0o644, "".join(f"nameserver {address}\n" for address in nameservers)),
        "etc/ssh/ssh_host_ed25519_key": (0o600, keys["host"]),
        "etc/ssh/ssh_host_ed25519_key.pub": (0o644, keys["host_public"]),
        f"home/{user}/.ssh/authorized_keys": (0o600, keys["public"]),
        "etc/systemd/system/stackwright-lab-external.service": (0o644, EXTERNAL_UNIT.format(interface=external)),
        # Where the control node has the first version of control groups, nobody tells systemd in a container that the
        # last process of an account has ended: ending its manager takes two minutes, in which a login waits.
        "etc/systemd/logind.conf.d/stackwright-lab.conf": (0o644, "[Login]\nUserStopDelaySec=infinity\n"),
    }
    if apt_options:
        files["etc/apt/apt.conf.d/91stackwright-lab"] = (0o644, apt_options)
    return files


def archive(files: Mapping[str, tuple[int, str]], links: Mapping[str, str], user: str) -> bytes:
    """Return files and symbolic links as a tar archive; what lies in the user's home belongs to the user (1000)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, (mode, content) in files.items():
            entry = tarfile.TarInfo(path)
            entry.mode, entry.size, entry.mtime = mode, len(content.encode()), int(time.time())
            if path.startswith(f"home/{user}/"):
                entry.uid = 1000
            tar.addfile(entry, io.BytesIO(content.encode()))
        for path, target in links.items():
            link = tarfile.TarInfo(path)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    return buffer.getvalue()


def make_key(path: Path, comment: str) -> None:
    """Make an SSH key pair unless both halves are there; half a pair left by an interruption is made again."""
    public = path.with_name(path.name + ".pub")
    if path.is_file() and public.is_file() and public.stat().st_size:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    public.unlink(missing_ok=True)
    run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
        f"Making the SSH key {path}",
    )


def machine_directory(lab: Lab, machine: Machine) -> Path:
    """Return where the lab keeps a machine's host key and its record."""
    return Path(lab.state_directory) / "machines" / machine.name


def read_record(lab: Lab, machine: Machine) -> dict[str, str]:
    """Return what was recorded when the machine was complete: {"id": container's id}; empty when it never was."""
    try:
        content = json.loads((machine_directory(lab, machine) / "record.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_atomically(path: Path, content: str, mode: int = 0o600) -> None:
    """Write a file so that it has either its old or its new content, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.replace_own(path, content, mode)


def write_known_hosts(lab: Lab) -> None:
    """Pin the host keys of all machines that have one."""
    state = Path(lab.state_directory)
    with locked(state / "known_hosts.lock", "Pinning the machines' host keys"):
        lines = []
        for machine in lab.machines.values():
            public = machine_directory(lab, machine) / "ssh_host_ed25519_key.pub"
            if public.is_file() and public.stat().st_size:
                kind, key = public.read_text(encoding="utf-8").split()[:2]
                lines.append(f"{machine.addresses['management']},{machine.name} {kind} {key}\n")
        content = "".join(lines)
        known = state / "known_hosts"
        if not known.is_file() or known.read_text(encoding="utf-8") != content:
            write_atomically(known, content)


def create(
    lab: Lab,
    machine: Machine,
    options: Options,
    image: str,
    user: str,
    nameservers: Sequence[str],
    apt_options: str,
    podman: Podman,
) -> None:
    """Make a machine's container with its own identity and start it.

    The record at the end says that it is complete. What never started holds nothing and may be made anew.

    Raises:
        LabError: podman refused.
    """
    directory = machine_directory(lab, machine)
    doing = f"Making machine {machine.name}"
    shutil.rmtree(directory, ignore_errors=True)
    make_key(directory / "ssh_host_ed25519_key", machine.name)
    devices = [device for device in DEVICES if Path(device).exists()]
    for path in options.volumes:
        volume = volume_name(machine, path)
        if not podman.succeeds("volume", "exists", volume):
            podman("volume", "create", "--label", f"{LABEL}={lab.name}", volume, doing=doing)
    podman(*create_command(lab, machine, options, image, devices), doing=doing)
    keys = {
        "public": (Path(lab.state_directory) / "id_ed25519.pub").read_text(encoding="utf-8"),
        "host": (directory / "ssh_host_ed25519_key").read_text(encoding="utf-8"),
        "host_public": (directory / "ssh_host_ed25519_key.pub").read_text(encoding="utf-8"),
        "machine_id": secrets.token_hex(16),
    }
    unit = "stackwright-lab-external.service"
    links = {f"etc/systemd/system/multi-user.target.wants/{unit}": f"/etc/systemd/system/{unit}"}
    files = machine_files(lab, machine, user, keys, nameservers, apt_options)
    data = archive(files, links, user)
    # podman 4 leaves its temporary directory behind.
    with tempfile.TemporaryDirectory(prefix="stackwright-") as temporary:
        podman("cp", "--archive=false", "-", f"{machine.container}:/", doing=doing, data=data, temporary=temporary)
    podman("start", machine.container, doing=f"Starting machine {machine.name}")
    container = podman("inspect", "--format", "{{.Id}}", machine.container, doing=doing).strip()
    write_atomically(directory / "record.json", json.dumps({"id": container, "image": image}) + "\n")


FIRST_BOOT = f"""
set -eu
[ -e {RESTORE} ] || exit 0
if [ -s /etc/iscsi/initiatorname.iscsi ] && command -v iscsi-iname >/dev/null; then
  printf 'InitiatorName=%s\\n' "$(iscsi-iname)" >/etc/iscsi/initiatorname.iscsi
fi
if [ -s /etc/nvme/hostnqn ]; then
  id=$(cat /proc/sys/kernel/random/uuid)
  printf '%s\\n' "$id" >/etc/nvme/hostid
  printf 'nqn.2014-08.org.nvmexpress:uuid:%s\\n' "$id" >/etc/nvme/hostnqn
fi
if [ -s /var/lib/rabbitmq/.erlang.cookie ]; then
  tr -d - </proc/sys/kernel/random/uuid | tr -d '\\n' >/var/lib/rabbitmq/.erlang.cookie
fi
tar -C / -xf {RESTORE}
systemctl daemon-reload
rm -f {RESTORE}
"""

# What a machine is before each action, for the diff.
BEFORE = {"": "running", "started": "stopped", "created": "absent", "recreated": "differently defined"}


def decide(lab: Lab, machine: Machine, options: Options, podman: Podman, recreate: bool) -> str:
    """Return what has to be done for a machine: nothing (empty), ``started``, ``created`` or ``recreated``.

    Raises:
        LabError: Its definition has changed and ``recreate`` is false.
    """
    container = podman.containers(lab.name).get(machine.container)
    # Without a record of this very container, its making was cut off, or the state was thrown away with its keys.
    if container is None or read_record(lab, machine).get("id") != container["id"]:
        return "created"
    differences = drift(container["labels"], lab, machine, options)
    if differences and not recreate:
        raise LabError(
            f"Comparing machine {machine.name} with its definition",
            "; ".join(differences),
            "Set lab_recreate: true to make it anew, losing what is on it, or undo the change",
        )
    if differences:
        return "recreated"
    return "" if container["state"] == "running" else "started"


def close_connections(directory: Path) -> None:
    """End the shared SSH connections whose sockets lie in a directory; their machines are gone or restarting."""
    if directory.is_dir():
        for socket in directory.iterdir():
            command = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "lab"]
            with contextlib.suppress(subprocess.TimeoutExpired):  # a connection that hangs ends with its machine
                subprocess.run(command, capture_output=True, check=False, timeout=CLOSING)


def login_command(lab: Lab, machine: Machine, user: str, command: str) -> list[str]:
    """Return the command line that logs in the way Ansible does and runs a command."""
    state = lab.state_directory
    return [
        "ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "IdentitiesOnly=yes",
        "-o", f'UserKnownHostsFile="{state}/known_hosts"', "-o", "StrictHostKeyChecking=yes",
        "-i", f"{state}/id_ed25519", f"{user}@{machine.addresses['management']}", command,
    ]  # fmt: skip


def wait_until_up(
    lab: Lab, machine: Machine, user: str, podman: Podman, patience: int, fresh: bool
) -> tuple[str, list[str]]:
    """Wait until a started machine has booted and lets its user in.

    Args:
        lab: The lab.
        machine: The machine.
        user: The account that logs in.
        podman: How to call podman.
        patience: Seconds.
        fresh: The machine has just been made, so nothing on it has a reason to start slowly. On others services may
            wait for other machines for as long as they like; a login is all that is asked of them.

    Returns:
        systemd's state (``running``, ``degraded`` or ``starting``) and the names of failed units.

    Raises:
        LabError: It did not come up; the message holds the last answer.
    """
    deadline = time.monotonic() + patience
    doing = f"Waiting for machine {machine.name} at {machine.addresses['management']}"
    remedy = f"Look at `podman exec {machine.container} journalctl -b`"
    enough: tuple[str, ...] = ("running", "degraded")
    if not fresh and not _exec(podman, machine, "ls", RESTORE).strip():
        enough = (*enough, "starting")
    while True:
        # Not `--wait`: systemd does not answer at all before its bus is there, and a job that hangs would hang this.
        state = _exec(podman, machine, "systemctl", "is-system-running").strip()
        if state in enough:
            break
        if time.monotonic() > deadline:
            jobs = _exec(podman, machine, "systemctl", "list-jobs", "--no-legend")
            raise LabError(doing, f"it is {state or 'silent'} after {patience} seconds, waiting for: {jobs}", remedy)
        time.sleep(0.3)
    if state != "starting":
        restore_enablement(machine, podman)
    while True:
        wrong = _login(lab, machine, user)
        if not wrong:
            break
        if time.monotonic() > deadline:
            raise LabError(doing, f"no login as {user}: {wrong}", remedy)
        time.sleep(0.3)
    failed = _exec(podman, machine, "systemctl", "list-units", "--failed", "--plain", "--no-legend")
    return state, [line.split()[0] for line in failed.splitlines() if line.split()]


def restore_enablement(machine: Machine, podman: Podman) -> None:
    """Finish the installation of preloaded packages on a machine that is up; nothing starts by that.

    Units are enabled, and what an installation makes once per machine (iSCSI initiator, NVMe host, Erlang cookie) is
    made anew, since machines from one image would share it.
    """
    podman("exec", machine.container, "/bin/sh", "-c", FIRST_BOOT, doing=f"Finishing {machine.name}'s installation")


def _login(lab: Lab, machine: Machine, user: str) -> str:
    """Log in and use sudo; return what went wrong, or nothing."""
    try:
        done = programs.run(login_command(lab, machine, user, "sudo -n true"), ANSWER)
    except programs.CommandTimeoutError as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr or f"status {done.returncode}"


def _exec(podman: Podman, machine: Machine, *command: str) -> str:
    """What a program in the machine prints; nothing when it does not end, which the caller asks again."""
    try:
        return programs.run(
            ["podman", "exec", machine.container, *command], ANSWER, {**os.environ, **podman.environment}
        ).stdout
    except programs.CommandTimeoutError:
        return ""
