"""What this host offers is detected, and what is missing is said plainly."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import host
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError


def test_only_a_sole_unified_hierarchy_counts_as_v2(tmp_path: Path) -> None:
    (tmp_path / "unified").mkdir()
    (tmp_path / "unified/cgroup.controllers").touch()
    assert host.cgroup_version(tmp_path) == "v1"
    (tmp_path / "cgroup.controllers").touch()
    assert host.cgroup_version(tmp_path) == "v2"


@pytest.mark.parametrize(
    ("cgroups", "available", "chosen"),
    [("v1", ["crun", "runc"], "runc"), ("v2", ["crun", "runc"], "crun"), ("v2", ["runc"], "runc")],
)
def test_the_runtime_fits_the_hierarchy(cgroups: str, available: list[str], chosen: str) -> None:
    assert host.choose_runtime(cgroups, available) == chosen


def test_crun_alone_does_not_do_for_v1() -> None:
    with pytest.raises(LabError, match=r"cgroup v1: runc is not installed.*tools/setup"):
        host.choose_runtime("v1", ["crun"])


def test_missing_programs_are_named_by_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.shutil, "which", lambda name: None if name in ("podman", "ssh") else f"/bin/{name}")
    with pytest.raises(LabError, match="not installed: openssh-client, podman"):
        host.detect()


def test_words_for_systemd_only_on_v1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host.shutil, "which", lambda name: f"/bin/{name}")
    assert host.detect(tmp_path).words == host.LEGACY_WORDS
    (tmp_path / "cgroup.controllers").touch()
    assert host.detect(tmp_path).words == ()


@pytest.mark.parametrize(
    ("files", "rendered"), [(20000, "nofile=20000:20000"), (-1, "nofile=1048576:1048576"), (2**30, "nofile=1048576:")]
)
def test_limits_are_the_hosts_own_but_not_absurd(files: int, rendered: str) -> None:
    assert rendered in host.containers_conf(host.Host("v2", "crun", (), files, 4096))


def test_processes_stay_within_what_podman_keeps_for_itself() -> None:
    assert host.most_processes(96365, 32768) == 32768
    assert host.most_processes(4096, 32768) == 4096
    assert host.most_processes(-1, 32768) == 32768


def test_a_local_resolver_is_passed_over() -> None:
    stub = "nameserver 127.0.0.53\noptions edns0\n"
    real = "# made\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver 192.0.2.2\nnameserver junk\n"
    assert host.nameservers({"stub": stub, "real": real}) == ["192.0.2.1", "192.0.2.2"]
    assert host.nameservers({"stub": stub}) == []


def test_overlapping_routes_are_named() -> None:
    routes = [{"dst": "default", "dev": "eth0"}, {"dst": "10.137.0.0/16", "dev": "vpn0"}, {"dst": "10.9.0.0/24"}]
    assert host.conflicting_routes(["10.137.88.0/24"], routes) == [
        "10.137.88.0/24 overlaps the route to 10.137.0.0/16 on vpn0"
    ]


def test_machines_that_this_host_cannot_let_watch_their_files_are_refused(tmp_path: Path) -> None:
    limit = tmp_path / "max_user_instances"
    limit.write_text("128\n")
    host.check_inotify(2, host.inotify_limit(limit), 100)
    with pytest.raises(LabError) as caught:
        host.check_inotify(4, host.inotify_limit(limit), 100)
    assert "fs.inotify.max_user_instances is 128, 100 are in use" in str(caught.value)
    assert "sysctl -w fs.inotify.max_user_instances=512" in str(caught.value)


def test_inotify_instances_are_counted_over_all_processes(tmp_path: Path) -> None:
    for process, targets in {
        "1": ["anon_inode:inotify", "/dev/null"],
        "77": ["anon_inode:inotify", "anon_inode:inotify"],
        "x": ["anon_inode:inotify"],
    }.items():
        descriptors = tmp_path / process / "fd"
        descriptors.mkdir(parents=True)
        for number, target in enumerate(targets):
            (descriptors / str(number)).symlink_to(target)
    assert host.inotify_instances(tmp_path) == 3
