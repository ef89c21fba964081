"""Builds the test guest: a small qcow2 disk that boots a Debian kernel, answers SSH and reports on its serial console.

Nothing is installed and no privilege is needed: the packages are downloaded with the machine's own apt, unpacked into a
temporary directory and used from there. The file's name carries a hash of everything that goes in, so that an unchanged
image is not built twice and a changed one is never mistaken for the old.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import lzma
import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.stackwright.cloud.plugins.module_utils.common import progress
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files

# Raised when the layout of the image changes without a change of its inputs.
FORMAT = 1
KERNEL = "linux-image-cloud-amd64"
CLOSED_OVER = ("dropbear-bin", "dhcpcd-base")
SINGLE = ("busybox-static", "syslinux", "syslinux-common", "mtools")
MODULES = (
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "virtio_net",
    "virtio_rng",
    "ata_piix",
    "ahci",
    "sr_mod",
    "isofs",
    "button",
    "evdev",
)
INITTAB = """\
::respawn:/usr/sbin/dropbear -F -s -r /etc/dropbear/host_key
::respawn:/bin/acpid -f -l /run/acpid.log
::shutdown:/bin/sync
"""
# Addresses of the second interface, by DHCPv6 alone: advertisements are the kernel's, and nothing is run.
DHCPCD = """\
ipv6only
noipv6rs
nodev
persistent
duid ll
script /bin/true
interface eth1
ia_na 1
"""
BOOT = """\
DEFAULT guest
PROMPT 0
SERIAL 0 115200
LABEL guest
  KERNEL /vmlinuz
  INITRD /initrd.gz
  APPEND console=tty0 console=ttyS0,115200 loglevel=4 random.trust_cpu=on no_timer_check edd=off panic=10
"""
SECTOR = 512
PARTITION_START = 2048
MTIME = 946684800  # 2000-01-01, the time stamp of every file in the image
CLUSTER_BITS = 16


class BuildError(Exception):
    """The image cannot be built; the text says what was being done, what went wrong and what to do."""


@dataclass(frozen=True)
class Package:
    """A package as apt would download it: file name and checksum."""

    file: str
    checksum: str


def run(command: Sequence[str], doing: str, cwd: str | Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run ``command`` and return its standard output; raise :class:`BuildError` that says what was being done."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C", **(env or {})},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=600,
            check=False,
        )
    except FileNotFoundError:
        raise BuildError(
            f"cannot {doing}: {command[0]} is not installed. The test guest is built on a Debian machine: set "
            "verify_from to one, or verify_guest_image to a ready image."
        ) from None
    except subprocess.TimeoutExpired:
        raise BuildError(f"cannot {doing}: {command[0]} did not end within 600 s") from None
    if done.returncode:
        last = " ".join(done.stderr.split())[-400:]
        raise BuildError(f"cannot {doing}: {' '.join(command[:3])} ended with status {done.returncode}: {last}")
    return done.stdout


def parse_uris(text: str) -> list[Package]:
    """Parse ``apt-get download --print-uris`` ('URI' FILE SIZE HASH:VALUE) into packages sorted by file name."""
    packages = []
    for line in text.splitlines():
        match = re.match(r"'[^']+' (\S+) \d+ (\S+:[0-9a-f]+)", line)
        if match:
            packages.append(Package(match.group(1), match.group(2)))
    return sorted(packages, key=lambda package: package.file)


def plan_packages() -> tuple[list[str], list[Package]]:
    """Names of all packages needed, and what apt would download for them, from the machine's own sources."""
    doing = "find the packages of the test guest"
    flags = [
        f"--no-{kind}"
        for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances", "pre-depends")
    ]
    tree = run(["apt-cache", "depends", "--recurse", *flags, "--important", *CLOSED_OVER], doing)
    closure = sorted({line for line in tree.splitlines() if re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", line)})
    kernel = re.findall(r"Depends: (linux-image-\S+)", run(["apt-cache", "depends", "--important", KERNEL], doing))
    if not kernel or not set(CLOSED_OVER) <= set(closure):
        raise BuildError(
            f"cannot {doing}: apt knows no {' or '.join((KERNEL, *CLOSED_OVER))}. Run apt-get update, then try again."
        )
    names = [kernel[0], *closure, *SINGLE]
    with tempfile.TemporaryDirectory() as empty:  # apt leaves out what lies in the working directory already
        packages = parse_uris(run(["apt-get", "download", "--print-uris", *names], doing, cwd=empty))
    if len(packages) != len(names):
        raise BuildError(f"cannot {doing}: apt offers {len(packages)} of {len(names)} files. Run apt-get update.")
    return names, packages


def content_key(packages: Sequence[Package], texts: dict[str, str]) -> str:
    """Twelve hexadecimal digits that stand for all inputs: packages, scripts, layout."""
    digest = hashlib.sha256(f"{FORMAT}\n{INITTAB}\n{DHCPCD}\n{BOOT}\n{MODULES}\n".encode())
    for package in packages:
        digest.update(f"{package.file} {package.checksum}\n".encode())
    for name in sorted(texts):
        digest.update(f"{name}\n{texts[name]}\n".encode())
    return digest.hexdigest()[:12]


def module_name(path: str) -> str:
    """Name of a kernel module file, with the underscores that dependencies use."""
    return Path(path).name.split(".ko")[0].replace("-", "_")


def read_module(path: Path) -> bytes:
    """Content of a kernel module, decompressed."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return gzip.decompress(data)
    return data


def module_dependencies(data: bytes) -> list[str]:
    """Names after ``depends=`` in a module's .modinfo section."""
    found = re.search(rb"\0depends=([a-zA-Z0-9_,-]*)\0", data)
    return [name.replace("-", "_") for name in found.group(1).decode().split(",") if name] if found else []


def collect_modules(kernel_dir: Path, wanted: Sequence[str]) -> dict[str, bytes]:
    """The wanted modules and all they need, in load order. What is built into the kernel is left out.

    Raises :class:`BuildError` when a wanted module is neither there nor built in.
    """
    files = {module_name(path.name): path for path in kernel_dir.rglob("*.ko*")}
    builtin: set[str] = set()
    if (listing := kernel_dir / "modules.builtin").is_file():
        builtin = {module_name(line) for line in listing.read_text(encoding="utf-8").split()}
    if not files and not builtin:
        raise BuildError(f"cannot collect the guest's kernel modules: there is none below {kernel_dir}")
    loaded: dict[str, bytes] = {}

    def load(name: str) -> None:
        if name in loaded or name in builtin or name not in files:
            return
        data = read_module(files[name])
        for needed in module_dependencies(data):
            load(needed)
        loaded[name] = data

    for name in wanted:
        load(name)
    needed = {"virtio_pci", "virtio_blk", "virtio_net"} - set(loaded) - builtin
    if needed:
        raise BuildError(f"cannot build the test guest: the kernel package has no module {', '.join(sorted(needed))}")
    return loaded


def cpio_entry(number: int, path: str, mode: int, data: bytes) -> bytes:
    """One member of a "newc" archive; ``mode`` includes the file type."""
    name = path.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, MTIME if number else 0, len(data), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % value for value in fields)
    padded = header + name
    padded += b"\0" * (-len(padded) % 4)
    return padded + data + b"\0" * (-len(data) % 4)


def cpio(files: dict[str, tuple[int, bytes]]) -> bytes:
    """A "newc" archive with every parent directory; ``files`` maps a path to its permissions and content.

    Permissions with the symbolic link type (0o120777) make a link whose target is the content.
    """
    directories = {"dev", "proc", "sys", "run", "tmp", "root", "var", "var/log"}
    for path in files:
        while "/" in path:
            path = path.rsplit("/", 1)[0]
            directories.add(path)
    members = [(path, 0o40755, b"") for path in sorted(directories)]
    members += [
        (path, mode if mode > 0o7777 else 0o100000 | mode, data) for path, (mode, data) in sorted(files.items())
    ]
    body = b"".join(cpio_entry(number + 1, *member) for number, member in enumerate(members))
    return body + cpio_entry(0, "TRAILER!!!", 0, b"")


def shared_libraries(program: bytes) -> list[str]:
    """Names of shared libraries mentioned in an ELF file's string table (a superset of what it needs)."""
    return sorted(
        {name.decode() for name in re.findall(rb"(?<=\0)(?:lib|ld-)[A-Za-z0-9_.+-]*\.so\.[0-9]+(?=\0)", program)}
    )


def files_by_name(root: Path) -> dict[str, Path]:
    """The first path below ``root`` for each last part, of regular files and links to one."""
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        if path.name not in found and path.is_file():
            found[path.name] = path
    return found


def read_file(known: Mapping[str, Path], name: str) -> bytes:
    """Content of the file ``name``; raises :class:`BuildError` when there is none."""
    path = known.get(name)
    if path is None:
        raise BuildError(f"cannot build the test guest: the downloaded packages hold no file {name}")
    return path.read_bytes()


def initramfs(root: Path, texts: dict[str, str]) -> bytes:
    """The guest's whole root file system, gzip-compressed. ``texts`` holds the scripts ``init`` and ``udhcpc``."""
    known = files_by_name(root)
    files: dict[str, tuple[int, bytes]] = {
        "init": (0o755, texts["init"].encode()),
        "etc/udhcpc.script": (0o755, texts["udhcpc"].encode()),
        "etc/dhcpcd.conf": (0o644, DHCPCD.encode()),
        "etc/inittab": (0o644, INITTAB.encode()),
        "etc/passwd": (0o644, b"root:*:0:0:root:/root:/bin/sh\n"),
        "etc/group": (0o644, b"root:x:0:\n"),
        "etc/shells": (0o644, b"/bin/sh\n"),
        "etc/acpi/PWRF/00000080": (0o755, b"#!/bin/sh\nexec poweroff\n"),
        "bin/busybox": (0o755, read_file(known, "busybox")),
    }
    for name, place in (("dropbear", "usr/sbin"), ("dropbearkey", "usr/bin"), ("dhcpcd", "usr/sbin")):
        files[f"{place}/{name}"] = (0o755, read_file(known, name))
    waiting = [name for _, data in list(files.values()) for name in shared_libraries(data)]
    while waiting:
        name = waiting.pop()
        target = "lib64/" + name if name.startswith("ld-linux-x86-64") else "usr/lib/" + name
        path = known.get(name)
        if target in files or path is None:
            continue
        files[target] = (0o755, path.read_bytes())
        waiting += shared_libraries(files[target][1])
    files["lib"] = (0o120777, b"usr/lib")
    kernel_dirs = [*root.glob("lib/modules/*"), *root.glob("usr/lib/modules/*")]
    if not kernel_dirs:
        raise BuildError("cannot build the test guest: the kernel package holds no lib/modules directory")
    modules = collect_modules(kernel_dirs[0], MODULES)
    files["modules/order"] = (0o644, "".join(f"{name}.ko\n" for name in modules).encode())
    files |= {f"modules/{name}.ko": (0o644, data) for name, data in modules.items()}
    return gzip.compress(cpio(files), compresslevel=6, mtime=0)


def partition_table(sectors: int, boot_code: bytes) -> bytes:
    """Master boot record with one active FAT16 (LBA) partition of ``sectors`` sectors."""
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x0E, b"\xfe\xff\xff", PARTITION_START, sectors)
    return boot_code[:440].ljust(440, b"\0") + b"SWGT\0\0" + entry + b"\0" * 48 + b"\x55\xaa"


def qcow2(raw: bytes) -> bytes:
    """Turn a raw disk into a qcow2 (version 3) image; clusters of zeros take no room.

    Layout after the specification in QEMU's docs/interop/qcow2.txt: header, refcount table, refcount block, L1 table,
    L2 tables, data. Sized for disks below 2 GiB (one refcount block, 16 bit counts).
    """
    cluster = 1 << CLUSTER_BITS
    raw += b"\0" * (-len(raw) % cluster)
    per_l2 = cluster // 8
    used = [index for index in range(len(raw) // cluster) if raw[index * cluster : (index + 1) * cluster].strip(b"\0")]
    l2_count = -(-len(raw) // (cluster * per_l2))
    first_data = 4 + l2_count
    total = first_data + len(used)
    if total > cluster // 2:
        raise BuildError("cannot write the qcow2 image: the disk needs more than one refcount block")
    copied = 1 << 63
    l2_tables = [0] * (l2_count * per_l2)
    for place, index in enumerate(used):
        l2_tables[index] = (first_data + place) * cluster | copied
    l1_table = [(4 + number) * cluster | copied for number in range(l2_count)]
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        b"QFI\xfb",
        3,
        0,
        0,
        CLUSTER_BITS,
        len(raw),
        0,
        l2_count,
        3 * cluster,
        cluster,
        1,
        0,
        0,
        0,
        0,
        0,
        4,
        104,
    )
    parts = [
        header.ljust(cluster, b"\0"),
        struct.pack(">Q", 2 * cluster).ljust(cluster, b"\0"),
        (b"\0\1" * total).ljust(cluster, b"\0"),
        struct.pack(f">{l2_count}Q", *l1_table).ljust(cluster, b"\0"),
        struct.pack(f">{len(l2_tables)}Q", *l2_tables),
    ]
    return b"".join(parts) + b"".join(raw[index * cluster : (index + 1) * cluster] for index in used)


def write_disk(root: Path, work: Path, kernel: bytes, initrd: bytes) -> bytes:
    """Raw disk: partition table, FAT file system with syslinux, kernel and initramfs. Uses the unpacked mtools."""
    tools = work / "tools"
    tools.mkdir()
    programs = files_by_name(root / "usr/bin")
    mtools, syslinux = programs.get("mtools"), programs.get("syslinux")
    if not mtools or not syslinux:
        raise BuildError("cannot build the test guest: the downloaded packages hold no mtools or no syslinux")
    for name in ("mformat", "mcopy", "mattrib", "mdir", "mmd", "mdel", "mmove"):
        (tools / name).symlink_to(mtools)
    env = {
        "PATH": f"{tools}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "SOURCE_DATE_EPOCH": str(MTIME),
        "TZ": "UTC",
        "TMPDIR": str(work),
        "MTOOLS_SKIP_CHECK": "1",
    }
    contents = {
        "vmlinuz": kernel,
        "initrd.gz": initrd,
        "syslinux.cfg": BOOT.encode(),
    }
    mebibyte = 1 << 20
    size = max(24, sum(map(len, contents.values())) * 11 // 10 // mebibyte + 3)
    sectors = size * mebibyte // SECTOR
    disk = work / "disk.raw"
    with disk.open("wb") as stream:
        stream.write(partition_table(sectors, read_file(files_by_name(root / "usr/lib"), "mbr.bin")))
        stream.truncate(PARTITION_START * SECTOR + size * mebibyte)
    drive = f"{disk}@@{PARTITION_START * SECTOR}"
    doing = "make the test guest's file system"
    layout = ["-T", str(sectors), "-h", "64", "-s", "32", "-H", str(PARTITION_START), "-N", "53574754", "-v", "GUEST"]
    run(["mformat", "-i", drive, *layout, "::"], doing, cwd=work, env=env)
    offset = str(PARTITION_START * SECTOR)
    run([str(syslinux), "--offset", offset, "--install", str(disk)], doing, cwd=work, env=env)
    for name, data in contents.items():
        (work / name).write_bytes(data)
        os.utime(work / name, (MTIME, MTIME))
    run(["mcopy", "-m", "-i", drive, *contents, "::/"], doing, cwd=work, env=env)
    return disk.read_bytes()


def build(names: Sequence[str], texts: dict[str, str], target: Path) -> None:
    """Download the packages ``names`` and write the image to ``target``, all or nothing."""
    with tempfile.TemporaryDirectory(prefix=".guest-", dir=target.parent) as directory:
        work = Path(directory)
        root = work / "root"
        root.mkdir()
        doing = "download the packages of the test guest"
        progress.tell("the test guest's packages are downloaded")
        run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *names], doing, cwd=work)
        for package in sorted(work.glob("*.deb")):
            run(["dpkg-deb", "-x", str(package), str(root)], f"unpack {package.name}")
        kernels = list(root.glob("boot/vmlinuz-*"))
        if not kernels:
            raise BuildError("cannot build the test guest: the kernel package holds no boot/vmlinuz")
        progress.tell("the test guest's disk is written")
        image = qcow2(write_disk(root, work, kernels[0].read_bytes(), initramfs(root, texts)))
        files.replace_own(target, image, 0o644)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, so that two runs do not build the same image at once."""
    with (directory / ".lock").open("w", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def remove_others(directory: Path, keep: Path) -> None:
    """Remove images of other content and what an interrupted build left."""
    for path in directory.glob("stackwright-guest-*.qcow2"):
        if path != keep:
            path.unlink()
    for path in directory.glob(".guest-*"):
        shutil.rmtree(path, ignore_errors=True)


def ensure_image(directory: Path, texts: dict[str, str], dry_run: bool = False) -> tuple[Path, bool]:
    """Make sure the image of the present inputs exists in ``directory``; return its path and whether it was missing."""
    names, packages = plan_packages()
    target = directory / f"stackwright-guest-{content_key(packages, texts)}.qcow2"
    if target.exists() or dry_run:
        return target, not target.exists()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with locked(directory):
            if target.exists():
                return target, False
            remove_others(directory, target)
            build(names, texts, target)
    except OSError as error:
        raise BuildError(f"cannot write the test guest to {directory}: {error.strerror or error}") from None
    return target, True
