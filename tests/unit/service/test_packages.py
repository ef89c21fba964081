"""The packages module run as a program against a package manager of our own that keeps dpkg's database in a file."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import packages
from ansible_collections.stackwright.cloud.plugins.modules import packages as module

# Keeps the database, refuses names that begin with "no-", and notes each call with whether services were held back.
APT = """#!/usr/bin/python3
import os, sys
root = {root!r}
words = [w for w in sys.argv[1:] if not w.startswith("-") and "::" not in w and "=" not in w]
held = os.path.exists(root + "/policy-rc.d")
with open(root + "/calls", "a") as calls:
    calls.write(("held " if held else "free ") + " ".join(words) + "\\n")
unknown = [w for w in words if w.startswith("no-")]
if unknown:
    sys.exit("E: Unable to locate package " + unknown[0])
if words[0] == "update":
    open(root + "/lists/mirror_Packages", "w").close()
    os.utime(root + "/lists")
elif "-s" in sys.argv and os.path.exists(root + "/newer"):
    print("".join("Inst " + w + " [1] (2 Debian:13/stable [amd64])\\n" for w in words[1:]) + "Inst new (3 Debian)\\n")
elif "-d" in sys.argv:
    pass
elif "-s" in sys.argv:
    print("".join("Inst " + w + " (1)\\n" for w in words[1:]))
elif words[0] == "install":
    known = open(root + "/status").read().replace("half-configured", "installed")
    for name in words[1:]:
        known += "Package: " + name + "\\nStatus: install ok installed\\nVersion: 1\\n\\n"
    open(root + "/status", "w").write(known)
"""


class Host:
    """A machine with a package manager; ``run`` runs the module on it."""

    def __init__(self, root: Path, run_module: Callable[..., dict[str, Any]]) -> None:
        self.root, self.run = root, functools.partial(run_module, module)
        self.status, self.policy, self.sources = root / "status", root / "policy-rc.d", root / "stackwright.list"
        for name in ("lists/partial", "updates"):
            (root / name).mkdir(parents=True)
        self.status.write_text("Package: base-files\nStatus: install ok installed\nVersion: 13\n\n")
        (root / "lock").touch()
        (root / "apt-get").write_text(APT.format(root=str(root)))
        (root / "apt-get").chmod(0o755)

    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: Callable[..., dict[str, Any]]) -> Iterator[Host]:
    host = Host(tmp_path, run_module)
    paths = {"STATUS": "status", "UPDATES": "updates", "LISTS": "lists", "LOCK": "lock", "SOURCES": "stackwright.list"}
    paths |= {"POLICY": "policy-rc.d", "POLICY_SAVED": "policy-rc.d.saved"}
    for name, path in paths.items():
        monkeypatch.setattr(packages.dpkg if hasattr(packages.dpkg, name) else packages, name, str(tmp_path / path))
    monkeypatch.setattr(packages, "APT", [str(tmp_path / "apt-get"), *packages.APT[1:]])
    monkeypatch.setattr(packages, "DPKG", [str(tmp_path / "apt-get"), "configure"])
    yield host


def test_missing_packages_are_installed_once_without_starting_services(host: Host) -> None:
    answer = host.run(names=["keystone", "base-files"])
    assert answer["changed"] and answer["added"] == answer["missing"] == ["keystone"]
    assert host.calls() == ["held update", "held install keystone"]
    assert not host.policy.exists()
    answer = host.run(names=["keystone", "base-files"])
    assert not answer["changed"]
    assert len(host.calls()) == 2


def test_services_may_start_when_asked_for(host: Host) -> None:
    host.run(names=["keystone"], start_services=True)
    assert host.calls() == ["free update", "free install keystone"]


def test_policy_of_the_host_is_put_back(host: Host) -> None:
    host.policy.write_text("theirs")
    host.run(names=["keystone"])
    assert host.policy.read_text() == "theirs"


def test_check_mode_tells_and_changes_nothing(host: Host) -> None:
    host.run(names=["first"])
    before = host.status.read_text()
    answer = host.run(check=True, names=["keystone"], sources=["deb http://mirror.example.org/debian trixie main"])
    assert answer["changed"] and answer["added"] == ["keystone"]
    assert host.status.read_text() == before
    assert not host.sources.exists()


def test_sources_are_written_and_the_lists_fetched_before_the_installation(host: Host) -> None:
    line = "deb http://mirror.example.org/debian trixie main"
    host.run(names=["first"])
    answer = host.run(names=["keystone"], sources=[line])
    assert host.sources.read_text() == f"{line}\n"
    assert answer["diff"][0]["after"] == f"{line}\n"
    assert host.calls()[2:] == ["held update", "held install keystone"]
    assert not host.run(names=["keystone"], sources=[line])["changed"]
    assert not host.run(names=["keystone"])["changed"]
    assert host.run(names=["keystone"], sources=[])["changed"]
    assert not host.sources.exists()


def test_what_was_left_half_done_is_finished_without_starting_services(host: Host) -> None:
    host.status.write_text("Package: nova-api\nStatus: install ok half-configured\n\n")
    answer = host.run(names=["nova-api"])
    assert answer["changed"]
    assert host.calls()[0] == "held configure"
    assert all(call.startswith("held ") for call in host.calls())
    assert not host.run(names=["nova-api"])["changed"]


def test_policy_that_a_killed_run_left_is_removed(host: Host) -> None:
    host.run(names=["keystone"])
    host.policy.write_text(packages.POLICY_TEXT)
    host.run(names=["keystone"])
    assert not host.policy.exists()


def test_package_manager_of_an_interrupted_run_is_waited_for(host: Host) -> None:
    order: list[str] = []

    def other() -> None:
        time.sleep(1)
        host.status.write_text("Package: keystone\nStatus: install ok installed\n\n")
        order.append("other ends")
        release()

    with held_by_another_process(host.root / "lock") as release:
        thread = threading.Thread(target=other)
        thread.start()
        answer = host.run(names=["keystone"])
        thread.join()
    assert order == ["other ends"]
    assert answer["added"] == [] and host.calls() == []


def test_package_manager_that_does_not_end_is_named(host: Host) -> None:
    with (
        held_by_another_process(host.root / "lock"),
        pytest.raises(packages.PackagesError, match="another package manager"),
    ):
        packages.wait_for_others(0)


def test_unknown_package_is_named_with_what_to_do(host: Host) -> None:
    answer = host.run(names=["no-such"])
    assert answer["failed"]
    assert answer["msg"] == "installing 1 packages failed: Unable to locate package no-such"
    assert "base_apt_sources" in answer["hint"]
    assert not host.policy.exists()


@contextlib.contextmanager
def held_by_another_process(path: Path) -> Iterator[Callable[[], None]]:
    """Another process holds the lock until what is returned is called, or the block ends."""
    hold = (
        "import fcntl, sys; f = open(sys.argv[1], 'ab'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', "
        "flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "held\n"
        yield process.stdin.close


def test_apt_that_does_not_end_is_ended_and_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "LISTS_SECONDS", 0.5)
    (host.root / "apt-get").write_text("#!/bin/sh\nsleep 60 & wait\n")
    with pytest.raises(
        packages.PackagesError, match=r"fetching the package lists failed: .* did not end within 0\.5 s"
    ) as caught:
        packages.update_lists()
    assert "The next run finishes what was begun" in caught.value.hint


def test_installation_tells_its_steps_while_it_runs_and_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(packages.progress, "tell_on_host", told.append)
    with packages._steps_told(3) as status, os.fdopen(os.dup(status), "w") as stream:
        stream.write("dlstatus:1:4.2:Retrieving file 1 of 9\ndlstatus:1:4.9:Retrieving file 1 of 9\nnonsense\n")
        stream.write("pmstatus:dpkg:50.5:Unpacking\npmconffile:x:y\npmstatus:a:b:c\n")
    assert told == ["downloading what 3 packages need, 4 %", "unpacking and configuring what 3 packages need, 50 %", ""]


def test_newest_versions_of_what_is_installed_are_fetched_and_installed_without_starting_services(host: Host) -> None:
    host.run(names=["ceph-mon"])
    before = host.status.read_text()
    same = host.run(names=["ceph-mon", "ceph-osd"], upgrade="install")
    assert (same["changed"], same["upgraded"]) == (False, [])
    (host.root / "newer").touch()
    told = [{"name": "ceph-mon", "before": "1", "after": "2"}]
    (host.root / "calls").unlink()
    for answer in (
        host.run(names=["ceph-mon", "ceph-osd"], upgrade="fetch", lists_valid_seconds=0),
        host.run(names=["ceph-mon", "ceph-osd"], upgrade="fetch", check=True),
    ):
        assert (answer["changed"], answer["upgraded"]) == (False, told)
    assert host.run(names=["ceph-mon"], upgrade="install", check=True)["changed"]
    assert host.status.read_text() == before
    answer = host.run(names=["ceph-mon", "ceph-osd"], upgrade="install")
    assert (answer["changed"], answer["changes"]) == (True, ["ceph-mon 2 in place of 1"])
    assert answer["diff"][0] | {"before": "ceph-mon 1\n", "after": "ceph-mon 2\n"} == answer["diff"][0]
    assert "free update" in host.calls()
    assert host.calls()[-1] == "held install ceph-mon"


def test_newest_versions_that_cannot_be_looked_for_are_told(host: Host) -> None:
    host.status.write_text("Package: no-mirror\nStatus: install ok installed\nVersion: 1\n\n")
    answer = host.run(names=["no-mirror"], upgrade="install")
    assert "looking for newer versions failed: Unable to locate" in answer["msg"]
    host.status.unlink()
    assert "package database" in host.run(names=["any"], upgrade="install")["msg"]
