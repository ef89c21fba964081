"""Machines of somebody's own, and somebody who follows docs/your-own-machines.md on them to the letter.

    newcomer.py machine NAME IMAGE DEFINITION    makes a machine as an installer leaves it
    newcomer.py follow DEFINITION                runs the page's commands; what the reader edits or types is in EDITS
    and TYPED

DEFINITION is lab_definition in JSON, of which only networks and addresses are used.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
STATE = CHECKOUT / ".stackwright" / "own-machines"
COPY = STATE / "checkout"
PAGE = "docs/your-own-machines.md"
USER = "debian"
DOMAIN = "example.org"
FENCE = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# The commands of these sections are for later days, and proved elsewhere.
FOLLOWED = ("# Your own machines", "## First project")


def run(command: list[str], given: str | None = None, **options: Any) -> str:
    """Run a program to its end; on failure say what it said."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=2400, **options)
    if done.returncode:
        raise SystemExit(
            f"{' '.join(command[:6])} ended with {done.returncode}:\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        )
    return done.stdout


def podman(definition: dict[str, Any], *words: str, given: str | None = None) -> str:
    """Run podman with the settings under which this host runs such containers at all."""
    settings = Path(definition["state_directory"]) / "containers.conf"
    return run(["podman", *words], given, env={**os.environ, "CONTAINERS_CONF": str(settings)})


def password() -> str:
    """What sudo asks for on the machines; made once, never shown."""
    path = STATE / "password"
    if not path.exists():
        STATE.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(12))
    return path.read_text()


# What an installer does: names in the way of Debian's, a user in group sudo who is asked for a password, no account of
# ours.
INSTALL = r"""
set -eu
userdel --remove operator
rm -f /etc/sudoers.d/operator
useradd --create-home --shell /bin/bash --groups sudo USER
chpasswd
printf '127.0.0.1\tlocalhost\n127.0.1.1\tNAME.DOMAIN\tNAME\n\n::1 localhost ip6-localhost ip6-loopback\n' >/etc/hosts
install -d -m 700 -o USER -g USER /home/USER/.ssh
printf '%s\n' 'KEY' >/home/USER/.ssh/authorized_keys
chown USER: /home/USER/.ssh/authorized_keys
ssh-keygen -A
# it gave up at boot, for want of keys
systemctl reset-failed ssh.service
systemctl restart ssh
# what the image keeps back so that it boots quietly
if [ -e /var/lib/stackwright-lab/enabled.tar ]; then
  tar -C / -xf /var/lib/stackwright-lab/enabled.tar
  systemctl daemon-reload
fi
rm -rf /var/lib/stackwright-lab
"""


def machine(name: str, image: str, definition: dict[str, Any]) -> None:
    """Make one machine; an earlier one of this name goes."""
    STATE.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = STATE / "id_ed25519"
    try:
        # the machines are made side by side; one of them makes the key
        os.mkdir(STATE / "key", 0o700)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(STATE / "key" / "id_ed25519")])
        for half in ("id_ed25519.pub", "id_ed25519"):
            shutil.move(STATE / "key" / half, STATE / half)
        password()
        (STATE / "key" / "made").touch()
    except FileExistsError:
        until(lambda: (STATE / "key" / "made").exists(), "the key of the newcomer is there")
    container = f"stackwright-own-{name}"
    podman(definition, "rm", "--force", "--ignore", "--time", "20", container)
    words = [
        "run",
        "--detach",
        "--name",
        container,
        "--hostname",
        name,
        "--systemd",
        "always",
        "--privileged",
        "--no-hosts",
        "--stop-timeout",
        "20",
    ]
    wanted = ("management", "external") if name.startswith("compute") else ("management",)
    for role, network in definition["networks"].items():
        if role in wanted:
            words += [
                "--network",
                f"{network['name']}:ip={definition['machines'][name]['addresses'][role]},interface_name={network['interface']}",
            ]
    for label, value in {
        "stackwright.lab": definition["name"],
        "stackwright.lab.directory": definition["state_directory"],
    }.items():
        words += ["--label", f"{label}={value}"]
    legacy = ["systemd.unified_cgroup_hierarchy=0", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"]
    podman(
        definition, *words, image, "/sbin/init", *([] if Path("/sys/fs/cgroup/cgroup.controllers").exists() else legacy)
    )
    ready = ["podman", "exec", container, "systemctl", "is-system-running"]
    until(
        lambda: (
            subprocess.run(ready, capture_output=True, text=True, check=False).stdout.strip() in ("running", "degraded")
        ),
        f"{name} has booted",
    )
    text = INSTALL
    for word, value in (
        ("USER", USER),
        ("NAME", name),
        ("DOMAIN", DOMAIN),
        ("KEY", key.with_suffix(".pub").read_text().strip()),
    ):
        text = text.replace(word, value)
    for scheme in ("http", "https"):
        # the way to the mirror is this host's
        proxy = run(["apt-config", "dump", "--format", "%v", f"Acquire::{scheme}::Proxy"])
        if proxy:
            text = f"""echo 'Acquire::{scheme}::Proxy "{proxy}";' >>/etc/apt/apt.conf.d/90proxy\n{text}"""
    podman(definition, "exec", "--interactive", container, "sh", "-c", text, given=f"{USER}:{password()}\n")


def until(holds: Any, what: str) -> None:
    """Wait a minute and a half until something holds."""
    deadline = time.monotonic() + 90
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"it never came about that {what}")
        time.sleep(0.3)


def blocks(page: str) -> list[str]:
    """The shell commands of the sections that a newcomer follows, block for block."""
    found: list[str] = []
    for section in re.split(r"^(?=#{1,2} )", page, flags=re.MULTILINE):
        if section.startswith(FOLLOWED):
            found += ["".join(line.strip() + "\n" for line in block.splitlines()) for block in FENCE.findall(section)]
    return found


def edit(definition: dict[str, Any]) -> None:
    """What the page tells the reader to edit: the addresses, and what this network has."""
    mine = COPY / "inventories" / "mine"
    addresses = {name: one["addresses"]["management"] for name, one in definition["machines"].items()}
    hosts = mine / "hosts.yml"
    text = hosts.read_text()
    # one hypervisor is enough here
    text = text[: text.index("        compute2:")]
    text = text.replace("192.0.2.11", addresses["controller1"]).replace("192.0.2.21", addresses["compute1"])
    text = re.sub(r" *# This host's end of the tunnels.*\n *ovn_tunnel_address: .*\n", "", text)
    hosts.write_text(text)
    external = definition["networks"]["external"]
    pool = list(ipaddress.ip_network(external["cidr"]).hosts())
    main = mine / "group_vars" / "all" / "main.yml"
    text = main.read_text().replace("192.0.2.11", addresses["controller1"])
    for old, new in (
        ("203.0.113.0/24", external["cidr"]),
        ("203.0.113.100", str(pool[199])),
        ("203.0.113.199", str(pool[229])),
    ):
        text = text.replace(old, new)
    text = re.sub(r"203\.0\.113\.1\b", external["gateway"], text)
    # what this reader's machine needs besides: a key and known hosts of its own, and sizes for a small machine
    text += (
        f"\nansible_ssh_private_key_file: {STATE}/id_ed25519\n"
        f"ansible_ssh_common_args: -o IdentitiesOnly=yes -o UserKnownHostsFile={STATE}/known_hosts\n"
        "stackwright_workers: 1\nstackwright_database_pool_size: 2\nmariadb_buffer_pool_mb: "
        "128\nmemcached_memory_mb: 64\n"
        "nova_api_workers: 2\nneutron_api_workers: 2\nbase_journal_size: 200M\n"
        # one hypervisor has no tunnels, which would need this much
        "neutron_underlay_mtu: 1558\n"
    )
    main.write_text(text)
    for group in ("controller", "compute"):
        path = mine / "group_vars" / f"{group}.yml"
        text = re.sub(r"(preflight_memory_minimum_mb): \d+", r"\1: 1024", path.read_text())
        text = re.sub(r"(preflight_disk_minimum_mb): \d+", r"\1: 4096", text)
        text = re.sub(r"(nova_reserved_host_memory_mb): \d+", r"\1: 512", text)
        path.write_text(
            text.replace("ovn_external_interface: eth2", f"ovn_external_interface: {external['interface']}")
        )
    for address in addresses.values():
        with (STATE / "known_hosts").open("a") as stream:
            stream.write(run(["ssh-keyscan", "-t", "ed25519", address]))


def follow(definition: dict[str, Any]) -> None:
    """Run the page's blocks in one shell after the other, as somebody does who comes back the next day."""
    shutil.rmtree(COPY, ignore_errors=True)
    (STATE / "known_hosts").unlink(missing_ok=True)
    listed = (
        run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=CHECKOUT).splitlines()
        if (CHECKOUT / ".git").exists()
        else None
    )
    for name in listed or [
        str(path.relative_to(CHECKOUT))
        for path in CHECKOUT.rglob("*")
        if not {".venv", ".stackwright"} & set(path.parts)
    ]:
        source, target = CHECKOUT / name, COPY / name
        if source.is_file() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    guest = CHECKOUT / ".stackwright" / "guest"
    if guest.is_dir():
        # it costs a minute to build, and other scenarios have
        shutil.copytree(guest, COPY / ".stackwright" / "guest")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "MOLECULE_", "STACKWRIGHT_", "OS_", "LC_", "LANG"))
    }
    environment |= {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": "/tmp/own-machines-cp",
    }
    done: list[tuple[str, float]] = []
    before = "set -e\n"
    for block in blocks((COPY / PAGE).read_text()):
        begun = time.monotonic()
        # a reader's password goes where the page asks for it
        given = password() if "encrypt_string" in block else ""
        print(f"$ {block}", flush=True)
        script = (
            before + ("[ ! -e .venv/bin/activate ] || . .venv/bin/activate\n" if done else "") + exports(done) + block
        )
        said = run(["bash", "-c", script], given, cwd=COPY, env=environment)
        print(said[-3000:], flush=True)
        done.append((block, time.monotonic() - begun))
        if "cp -r inventories/small" in block:
            edit(definition)
    (STATE / "done.json").write_text(
        json.dumps([{"block": block, "seconds": round(seconds, 1)} for block, seconds in done], indent=1)
    )
    for block, seconds in done:
        print(f"{seconds:6.1f} s  {block.splitlines()[0]}")


def exports(done: list[tuple[str, float]]) -> str:
    """What earlier blocks exported is in the reader's shell still."""
    return "".join(f"{line}\n" for block, _seconds in done for line in block.splitlines() if line.startswith("export "))


if __name__ == "__main__":
    if sys.argv[1] == "machine":
        machine(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))
    else:
        follow(json.loads(sys.argv[2]))
