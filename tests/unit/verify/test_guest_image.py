"""The test guest's image: its parts are what the formats ask for, and its name stands for its content."""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import guest_image
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.guest_image import BuildError, Package
from ansible_collections.stackwright.cloud.plugins.modules import guest_image as module
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns

TEXTS = {"init": "#!/bin/busybox sh\n", "udhcpc": "#!/bin/sh\n"}


def read_cpio(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Members of a "newc" archive: mode and content by path."""
    members: dict[str, tuple[int, bytes]] = {}
    place = 0
    while True:
        assert archive[place : place + 6] == b"070701"
        fields = [int(archive[place + 6 + 8 * n : place + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[place + 110 : place + 109 + name_size].decode()
        place += -(-(110 + name_size) // 4) * 4
        if name == "TRAILER!!!":
            return members
        members[name] = (mode, archive[place : place + size])
        place += -(-size // 4) * 4


def read_qcow2(image: bytes) -> bytes:
    """Disk in a qcow2 image, read by its tables."""
    bits, size = struct.unpack(">IQ", image[20:32])
    l1_size, l1_place = struct.unpack(">IQ", image[36:48])
    cluster = 1 << bits
    disk = bytearray(size)
    for number in range(l1_size):
        (l2_place,) = struct.unpack(">Q", image[l1_place + 8 * number :][:8])
        l2_place &= (1 << 62) - 1
        for entry in range(cluster // 8):
            (place,) = struct.unpack(">Q", image[l2_place + 8 * entry :][:8])
            if place:
                start = (number * cluster // 8 + entry) * cluster
                place &= (1 << 62) - 1
                disk[start : start + cluster] = image[place : place + cluster]
    return bytes(disk)


def test_qcow2_holds_the_disk_and_leaves_out_zeros() -> None:
    disk = b"a" * 70000 + b"\0" * 600000 + b"end"
    image = guest_image.qcow2(disk)
    assert read_qcow2(image).rstrip(b"\0") == disk
    assert image[:8] == b"QFI\xfb\0\0\0\x03"
    # header, two refcount clusters, L1, L2, two clusters at the start and one at the end
    assert len(image) == (5 + 3) * 65536


def test_every_cluster_of_qcow2_is_counted_once() -> None:
    image = guest_image.qcow2(b"x" * 300000)
    (block,) = struct.unpack(">Q", image[65536:65544])
    counts = struct.unpack(">32768H", image[block : block + 65536])
    assert list(counts[: len(image) // 65536]) == [1] * (len(image) // 65536)
    assert set(counts[len(image) // 65536 :]) == {0}


def test_cpio_has_parents_before_files_and_keeps_modes() -> None:
    members = read_cpio(guest_image.cpio({"etc/x/y": (0o640, b"text"), "lib": (0o120777, b"usr/lib")}))
    names = list(members)
    assert names.index("etc") < names.index("etc/x") < names.index("etc/x/y")
    assert members["etc/x/y"] == (0o100640, b"text")
    assert members["lib"] == (0o120777, b"usr/lib")
    assert members["etc"][0] == 0o40755


def test_partition_table_has_one_active_partition() -> None:
    table = guest_image.partition_table(4096, b"\xeb" * 500)
    assert len(table) == 512
    assert table[510:] == b"\x55\xaa"
    assert table[446] == 0x80
    assert struct.unpack("<II", table[454:462]) == (2048, 4096)
    assert table[:440] == b"\xeb" * 440


def kernel_module(depends: str) -> bytes:
    return b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0vermagic=6\0"


def kernel_tree(root: Path, builtin: str = "") -> Path:
    place = root / "lib/modules/6.0/kernel"
    place.mkdir(parents=True)
    (place / "virtio.ko").write_bytes(kernel_module(""))
    (place / "virtio-pci.ko.xz").write_bytes(lzma.compress(kernel_module("virtio")))
    (place / "virtio_blk.ko.gz").write_bytes(gzip.compress(kernel_module("virtio,virtio-pci")))
    (place.parent / "modules.builtin").write_text(builtin)
    return place.parent


def test_modules_come_in_load_order_and_decompressed(tmp_path: Path) -> None:
    tree = kernel_tree(tmp_path, "kernel/drivers/net/virtio_net.ko\n")
    modules = guest_image.collect_modules(tree, ["virtio_blk", "virtio_net", "absent"])
    assert list(modules) == ["virtio", "virtio_pci", "virtio_blk"]
    assert all(data.startswith(b"\x7fELF") for data in modules.values())


def test_kernel_without_a_needed_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="has no module virtio_net"):
        guest_image.collect_modules(kernel_tree(tmp_path), ["virtio_blk", "virtio_net"])
    (tmp_path / "none").mkdir()
    with pytest.raises(BuildError, match="there is none below"):
        guest_image.collect_modules(tmp_path / "none", ["virtio_net"])


def unpacked(root: Path) -> Path:
    """A directory as the unpacked packages leave it, with small stand-ins."""
    kernel_tree(root, "virtio_net.ko\n")
    for path, data in {
        "bin/busybox": b"\x7fELF static",
        "usr/sbin/dropbear": b"\x7fELF\0libz.so.1\0libc.so.6\0libnot.so.9\0",
        "usr/bin/dropbearkey": b"\x7fELF\0libc.so.6\0",
        "usr/sbin/dhcpcd": b"\x7fELF\0libc.so.6\0",
        "usr/lib/x86_64-linux-gnu/libz.so.1": b"\x7fELF\0libc.so.6\0",
        "usr/lib/x86_64-linux-gnu/libc.so.6": b"\x7fELF\0ld-linux-x86-64.so.2\0",
        "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": b"\x7fELF",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def test_initramfs_has_programs_libraries_scripts_and_no_password(tmp_path: Path) -> None:
    members = read_cpio(gzip.decompress(guest_image.initramfs(unpacked(tmp_path), TEXTS)))
    assert members["init"] == (0o100755, TEXTS["init"].encode())
    assert {
        "usr/lib/libz.so.1",
        "usr/lib/libc.so.6",
        "lib64/ld-linux-x86-64.so.2",
        "bin/busybox",
        "usr/sbin/dhcpcd",
    } <= set(members)
    assert members["modules/order"][1] == b"virtio.ko\nvirtio_pci.ko\nvirtio_blk.ko\n"
    assert b"interface eth1\nia_na 1\n" in members["etc/dhcpcd.conf"][1]
    assert members["etc/passwd"][1].startswith(b"root:*:")
    assert b"dropbear -F -s " in members["etc/inittab"][1]


def test_missing_program_is_named(tmp_path: Path) -> None:
    (unpacked(tmp_path) / "usr/sbin/dropbear").unlink()
    with pytest.raises(BuildError, match="hold no file dropbear"):
        guest_image.initramfs(tmp_path, TEXTS)


def test_key_changes_with_every_input() -> None:
    packages = [Package("a_1.deb", "SHA256:1"), Package("b_1.deb", "SHA256:2")]
    key = guest_image.content_key(packages, TEXTS)
    assert key == guest_image.content_key(list(packages), dict(TEXTS))
    assert len(key) == 12
    assert key != guest_image.content_key([packages[0], Package("b_1.deb", "SHA256:3")], TEXTS)
    assert key != guest_image.content_key(packages, TEXTS | {"init": "other"})


def test_uris_are_parsed_in_a_stable_order() -> None:
    text = (
        "'http://mirror/z_2.deb' z_2_amd64.deb 100 SHA256:0abc\nNotice: something\n"
        "'http://mirror/a.deb' a_1.deb 5 MD5Sum:ff\n"
    )
    assert guest_image.parse_uris(text) == [Package("a_1.deb", "MD5Sum:ff"), Package("z_2_amd64.deb", "SHA256:0abc")]


class Apt:
    """Stands in for the programs; remembers what was run."""

    def __init__(self, kernel: str = "linux-image-6.0-cloud", missing: str = "") -> None:
        self.kernel, self.missing = kernel, missing
        self.commands: list[list[str]] = []

    def __call__(self, command: Sequence[str], doing: str, cwd: Any = None, env: Any = None) -> str:
        self.commands.append(list(command))
        if command[0] == "apt-cache":
            if command[-1] == guest_image.KERNEL:
                return f"{guest_image.KERNEL}\n  Depends: {self.kernel}\n" if self.kernel else ""
            return "dropbear-bin\n  Depends: libc6\n<virtual>\nlibc6\ndhcpcd-base\n  Depends: libc6\n"
        names = [name for name in command[3:] if name != self.missing]
        return "".join(f"'http://m/{name}.deb' {name}.deb 1 SHA256:{len(name):02x}\n" for name in names)


def test_image_is_built_once_and_older_ones_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_image, "run", Apt())
    built: list[Path] = []

    def build(names: Sequence[str], texts: dict[str, str], target: Path) -> None:
        built.append(target)
        target.write_bytes(b"image")

    monkeypatch.setattr(guest_image, "build", build)
    directory = tmp_path / "guest"
    path, changed = guest_image.ensure_image(directory, TEXTS, dry_run=True)
    assert (changed, built, directory.exists()) == (True, [], False)
    directory.mkdir()
    (directory / "stackwright-guest-000000000000.qcow2").write_bytes(b"old")
    (directory / ".guest-interrupted").mkdir()
    (directory / "notes.txt").write_text("mine")
    assert guest_image.ensure_image(directory, TEXTS) == (path, True)
    assert guest_image.ensure_image(directory, TEXTS) == (path, False)
    assert built == [path]
    assert sorted(entry.name for entry in directory.iterdir()) == [".lock", "notes.txt", path.name]


@pytest.mark.parametrize("apt", [Apt(kernel=""), Apt(missing="mtools")])
def test_stale_package_lists_are_told(apt: Apt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_image, "run", apt)
    with pytest.raises(BuildError, match=r"cannot find the packages of the test guest: .* Run apt-get update"):
        guest_image.ensure_image(tmp_path, TEXTS)


def test_failing_program_is_named_with_its_words() -> None:
    with pytest.raises(BuildError, match=r"cannot do that: python3 -c .* ended with status 3: no space left"):
        guest_image.run(
            ["python3", "-c", "import sys; print('no space left', file=sys.stderr); sys.exit(3)"], "do that"
        )
    with pytest.raises(BuildError, match="no-such-program is not installed"):
        guest_image.run(["no-such-program"], "do that")


class Machine:
    """A Debian machine whose apt downloads, whose dpkg-deb unpacks, and whose mtools and syslinux write to a disk."""

    def __init__(self, programs: StandIns, **more: bytes) -> None:
        self.programs, self.more = programs, more
        self.drives: dict[str, list[str]] = {}
        for name in ("apt-cache", "apt-get", "dpkg-deb", "mtools", "syslinux"):
            programs.add(name, self)
        for name in ("mformat", "mcopy"):
            programs.answers[name] = self

    def __call__(self, call: Call) -> Said:
        match call.name, call.words:
            case "apt-cache", [*_, last]:
                return Said(
                    f"{last}\n  Depends: linux-image-6.0-cloud\n"
                    if last == guest_image.KERNEL
                    else "dropbear-bin\n  Depends: libc6\nlibc6\ndhcpcd-base\n"
                )
            case "apt-get", ["download", "--print-uris", *names]:
                return Said("".join(f"'http://m/{name}.deb' {name}.deb 1 SHA256:{len(name):02x}\n" for name in names))
            case "apt-get", ["download", *_]:
                (Path(call.directory) / "linux.deb").touch()
            case "dpkg-deb", ["-x", _, root]:
                unpacked(Path(root))
                for path, data in {
                    "boot/vmlinuz-6.0": b"kernel",
                    "usr/lib/MBR/mbr.bin": b"boot code",
                    **self.more,
                }.items():
                    if data:
                        (Path(root) / path).parent.mkdir(parents=True, exist_ok=True)
                        (Path(root) / path).write_bytes(data)
                for name in ("mtools", "syslinux"):
                    shutil.copy(self.programs.directory / "bin" / name, Path(root, "usr/bin", name))
            case "mformat", ["-i", drive, *_]:
                self.drives[drive] = ["formatted"]
            case "syslinux", ["--offset", offset, "--install", disk]:
                self.drives[f"{disk}@@{offset}"].append("bootable")
            case "mcopy", ["-m", "-i", drive, *names, "::/"]:
                # -m takes the time of each file over into the image
                assert {Path(call.directory, name).stat().st_mtime for name in names} == {guest_image.MTIME}
                disk, offset = drive.split("@@")
                with open(disk, "r+b") as stream:
                    stream.seek(int(offset))
                    stream.write(b"".join(Path(call.directory, name).read_bytes() for name in names))
                assert call.environment["SOURCE_DATE_EPOCH"] == str(guest_image.MTIME)
                self.drives[drive] += names
        return Said()


def test_image_is_built_out_of_packages_and_the_second_run_downloads_nothing(
    tmp_path: Path, stand_ins: StandIns, run_module: Any
) -> None:
    machine = Machine(stand_ins)
    given = {"directory": str(tmp_path / "guest"), **TEXTS}
    assert run_module(module, check=True, **given)["changed"] and not (tmp_path / "guest").exists()
    answer = run_module(module, **given)
    (drive,) = machine.drives
    assert machine.drives[drive] == ["formatted", "bootable", "vmlinuz", "initrd.gz", "syslinux.cfg"]
    disk = read_qcow2(Path(answer["path"]).read_bytes())
    assert disk.startswith(b"boot code") and disk[510:512] == b"\x55\xaa"
    start = guest_image.PARTITION_START * guest_image.SECTOR
    assert disk[start:].startswith(b"kernel\x1f\x8b") and guest_image.BOOT.encode() in disk[start:]
    stand_ins.calls.clear()
    assert run_module(module, **given) == {**answer, "changed": False, "seconds": mock.ANY}
    assert not any("download -q" in line or "dpkg-deb" in line for line in stand_ins.lines())
    # nothing but the image and its lock is left
    assert sorted(entry.name for entry in (tmp_path / "guest").iterdir()) == [".lock", Path(answer["path"]).name]


def test_image_of_the_same_inputs_is_the_same_to_the_byte(tmp_path: Path, stand_ins: StandIns, run_module: Any) -> None:
    Machine(stand_ins)
    first, second = (
        Path(run_module(module, directory=str(tmp_path / name), **TEXTS)["path"]).read_bytes() for name in ("a", "b")
    )
    assert first == second


@pytest.mark.parametrize(
    ("program", "said", "told"),
    [
        (
            "dpkg-deb",
            Said(status=2, errors="dpkg-deb: error: not a Debian archive"),
            r"cannot unpack linux\.deb: dpkg-deb -x .*not a Debian archive",
        ),
        (
            "mformat",
            Said(status=1, errors="No space left on device"),
            "cannot make the test guest's file system: mformat .*No space left",
        ),
        ("dpkg-deb", Said(), "the kernel package holds no boot/vmlinuz"),
    ],
)
def test_build_that_fails_is_told_and_leaves_nothing(
    tmp_path: Path, stand_ins: StandIns, run_module: Any, program: str, said: Said, told: str
) -> None:
    Machine(stand_ins)
    stand_ins.answers[program] = lambda call: said
    answer = run_module(module, directory=str(tmp_path / "guest"), **TEXTS)
    assert answer["failed"] and re.search(told, answer["msg"]), answer["msg"]
    assert [entry.name for entry in (tmp_path / "guest").iterdir()] == [".lock"]


def test_directory_that_cannot_be_written_is_named(tmp_path: Path, stand_ins: StandIns, run_module: Any) -> None:
    Machine(stand_ins)
    (tmp_path / "file").touch()
    answer = run_module(module, directory=str(tmp_path / "file/guest"), **TEXTS)
    assert f"cannot write the test guest to {tmp_path}/file/guest: Not a directory" in answer["msg"]


def test_packages_without_their_tools_are_refused(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    with pytest.raises(BuildError, match="hold no mtools or no syslinux"):
        guest_image.write_disk(tmp_path, tmp_path, b"", b"")
    (tmp_path / "kernelless").mkdir()
    for name in ("busybox", "dropbear", "dropbearkey", "dhcpcd"):
        (tmp_path / "kernelless" / name).write_bytes(b"\x7fELF")
    with pytest.raises(BuildError, match="holds no lib/modules directory"):
        guest_image.initramfs(tmp_path / "kernelless", TEXTS)


def test_program_that_does_not_end_is_given_up(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins.add("apt-get", Said(hangs=True))
    real = subprocess.run
    monkeypatch.setattr("subprocess.run", lambda *words, **more: real(*words, **{**more, "timeout": 0.3}))
    with pytest.raises(BuildError, match=r"cannot do that: apt-get did not end within 600 s"):
        guest_image.run(["apt-get", "download"], "do that")


def test_disk_that_one_block_of_counts_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_image, "CLUSTER_BITS", 9)
    with pytest.raises(BuildError, match="needs more than one refcount block"):
        guest_image.qcow2(b"x" * 512 * 300)
