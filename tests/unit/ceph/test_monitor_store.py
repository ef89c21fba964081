"""What monitors know: taken, gathered anew from OSDs, put back."""

from __future__ import annotations

import json
import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import monitor_store, osds
from ansible_collections.stackwright.cloud.plugins.module_utils.common import sealed
from ansible_collections.stackwright.cloud.plugins.module_utils.common.command import CommandTimeoutError
from ansible_collections.stackwright.cloud.plugins.modules import ceph_monitor_store as module
from cluster import KEY, Cluster

FSID = "89568ec8-0e1b-4e57-9a49-a09ff9b70ceb"
SECRET = "of the vault"
GIVEN = {"cluster": FSID, "passphrase": SECRET, "monitor": "ceph1"}
KEYS = f'[mon.]\n  key = {KEY}\n  caps mon = "allow *"\n[client.admin]\n  key = {KEY}\n'


@pytest.fixture(autouse=True)
def _umask_of_its_own() -> Iterator[None]:
    """The module sets it for its process, which is the tests' here."""
    known = os.umask(0o022)
    yield
    os.umask(known)


class Host:
    """A host whose directories lie below a temporary one; ``ran`` are the programs that ran, with their arguments."""

    def __init__(self, root: Path) -> None:
        self.root, self.ran, self.fails = root, list[list[str]](), ""

    def run(self, words: list[str], _seconds: float, *_more: Any) -> subprocess.CompletedProcess[str]:
        self.ran.append(words)
        if words[0] == self.fails:
            return subprocess.CompletedProcess(words, 3, "", "one\nthe cause\n")
        if "--mon-store-path" in words:
            number = words[words.index("--data-path") + 1].rpartition("-")[2]
            (Path(words[-1]) / "store.db").mkdir(exist_ok=True)
            (Path(words[-1]) / "store.db" / f"of-{number}").write_text(number)
        if words[0] == "monmaptool":
            Path(words[-1]).write_text("map")
        return subprocess.CompletedProcess(words, 0, "", "")

    def osd(self, number: int, cluster: str = FSID) -> None:
        home = self.root / "osd" / f"ceph-{number}"
        home.mkdir(parents=True)
        (home / "block").write_text("data")
        (home / "ceph_fsid").write_text(cluster)

    def monitor(self, text: str = "old") -> Path:
        store = self.root / "mon" / "ceph-ceph1" / "store.db"
        store.mkdir(parents=True)
        (store / "data").write_text(text)
        return store


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(tmp_path)
    (tmp_path / "mon").mkdir()
    own = pwd.getpwuid(os.geteuid())
    monkeypatch.setattr(sealed, "ROUNDS", 2)
    monkeypatch.setattr(osds, "DIRECTORY", str(tmp_path / "osd"))
    monkeypatch.setattr(monitor_store, "DIRECTORY", str(tmp_path / "mon"))
    monkeypatch.setattr(monitor_store, "GATHERED", str(tmp_path / "gathered"))
    monkeypatch.setattr(monitor_store, "ACCOUNT", own.pw_name)
    for function in ("gather", "join", "rebuild"):
        monkeypatch.setattr(getattr(monitor_store, function), "__defaults__", (found.run,))

    monkeypatch.setattr(module.systemd, "must", lambda *words, seconds: found.ran.append(["systemctl", *words]))
    return found


FILESYSTEM = {"id": 1, "mdsmap": {"fs_name": "files", "metadata_pool": 7, "data_pools": [8, 9]}}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    found = Cluster()
    found.said["osd dump"] |= {"epoch": 90}
    found.said["osd dump"]["pools"] += [{"pool": number, "pool_name": f"pool{number}"} for number in (7, 8, 9)]
    for number, pool in enumerate(found.said["osd dump"]["pools"]):
        pool.setdefault("pool", 100 + number)
    found.said |= {
        "config-key dump": {"mgr/dashboard/key": "secret", "config/osd/x": "1", "config-history/1/": "x"},
        "config-key ls": [],
        "fs dump": {"filesystems": [FILESYSTEM]},
        "mon dump": {"mons": []},
    }
    library = SimpleNamespace(Rados=lambda **_given: found, ObjectNotFound=KeyError, Error=ValueError)
    monkeypatch.setitem(sys.modules, "rados", library)
    return found


Run = Callable[..., dict[str, Any]]


def backed_up(host: Host, run_module: Run) -> str:
    path = str(host.root / "backup")
    assert run_module(module, phase="backup", target=path, **GIVEN)["changed"]
    return path


def test_a_back_up_lies_nowhere_in_clear(host: Host, cluster: Cluster, run_module: Run) -> None:
    assert run_module(module, check=True, phase="backup", target=str(host.root / "backup"), **GIVEN)["changed"]
    assert not (host.root / "backup").exists()
    path = backed_up(host, run_module)
    texts = sealed.unseal(path, SECRET)
    assert json.loads(texts["manifest"])["osdmap"] == 90
    assert f"key = {KEY}" in texts["keyring"]
    assert KEY.encode() not in Path(path).read_bytes()
    answer = run_module(module, phase="backup", target=str(host.root / "nowhere" / "backup"), **GIVEN)
    assert "No such file" in answer["msg"]


def test_a_store_is_gathered_from_host_to_host_and_a_monitor_begins_with_it(
    host: Host, cluster: Cluster, run_module: Run
) -> None:
    first, second = str(host.root / "first"), str(host.root / "second")
    host.osd(1)
    assert run_module(module, check=True, phase="gather", target=first, **GIVEN)["changed"]
    assert host.ran == []
    run_module(module, phase="gather", target=first, **GIVEN)
    (host.root / "osd" / "ceph-1").rename(host.root / "osd" / "ceph-2")
    run_module(module, phase="gather", source=first, target=second, **GIVEN)
    assert not (host.root / "gathered").exists()
    host.ran.clear()
    host.monitor("what is left")
    answer = run_module(module, phase="rebuild", source=second, address="192.0.2.1", keys=KEYS, **GIVEN)
    assert answer["changes"] == ["make the store of mon.ceph1 of what the OSDs know"]
    home = host.root / "mon" / "ceph-ceph1"
    assert sorted(one.name for one in (home / "store.db").iterdir()) == ["of-1", "of-2"]
    # the keyring on the disk is the monitors' alone
    assert "[mon.]" in (home / "keyring").read_text() and "client.admin" not in (home / "keyring").read_text()
    assert [words[0] for words in host.ran] == [
        "ceph-monstore-tool",
        "monmaptool",
        "ceph-mon",
        "ceph-kvstore-tool",
        "systemctl",
    ]
    assert "[v2:192.0.2.1:3300]" in host.ran[1]
    kept = [one for one in (host.root / "mon").iterdir() if one.name != "ceph-ceph1"]
    assert len(kept) == 1 and (kept[0] / "store.db" / "data").read_text() == "what is left"


def test_keys_of_a_back_up_are_taken_for_a_new_store(
    host: Host, cluster: Cluster, run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = backed_up(host, run_module), list[str]()
    monkeypatch.setattr(module.monitor_store, "rebuild", lambda *words: seen.append(words[4]))
    given = {"source": path, "backup": path, "keys": KEYS, "address": "192.0.2.1"}
    run_module(module, phase="rebuild", **given, **GIVEN)
    assert "[client.images]" in seen[0] and "[mon.]" in seen[0] and "[client.admin]" in seen[0]


def test_osds_stand_still_while_they_are_asked_and_another_clusters_are_not(host: Host, run_module: Run) -> None:
    target = str(host.root / "first")
    host.osd(1)
    run_module(module, phase="gather", target=target, **GIVEN)
    assert [words[0] for words in host.ran] == ["systemctl", "ceph-objectstore-tool"]
    assert host.ran[0][1:] == ["stop", "ceph-osd@1"]
    host.osd(2, "another")
    assert "osd.2 belongs to the cluster another" in run_module(module, phase="gather", target=target, **GIVEN)["msg"]


def test_what_a_program_says_in_the_end_is_told(host: Host, run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    host.osd(1)
    host.fails = "ceph-objectstore-tool"
    answer = run_module(module, phase="gather", target=str(host.root / "first"), **GIVEN)
    assert "asking osd.1 for the maps that it has: ceph-objectstore-tool ended with 3: one | the cause" in answer["msg"]

    def slow(words: list[str], seconds: float) -> Any:
        raise CommandTimeoutError(words, seconds, "")

    monkeypatch.setattr(monitor_store.gather, "__defaults__", (slow,))
    answer = run_module(module, phase="gather", target=str(host.root / "first"), **GIVEN)
    assert "did not end within" in answer["msg"]


def test_a_monitor_that_has_its_store_is_not_lost(host: Host, run_module: Run) -> None:
    store = host.monitor()
    assert "mon.ceph1 has its store" in run_module(module, phase="lost", **GIVEN)["msg"]
    (store / "data").unlink()
    store.rmdir()
    assert not run_module(module, phase="lost", **GIVEN)["changed"]
    (store.parent / "keyring").write_text("key")
    assert run_module(module, check=True, phase="lost", **GIVEN)["changed"]
    assert (store.parent / "keyring").exists()
    run_module(module, phase="lost", **GIVEN)
    assert not store.parent.exists()


def test_another_clusters_back_up_is_refused(host: Host, cluster: Cluster, run_module: Run) -> None:
    path = backed_up(host, run_module)
    given = {"phase": "restore", "source": path, **GIVEN}
    assert f"is of the cluster {FSID}, not of another" in run_module(module, **{**given, "cluster": "another"})["msg"]
    sealed.seal(path, SECRET, {"x": "y"})
    assert "is no back-up of Ceph's monitors" in run_module(module, **given)["msg"]


def test_what_the_cluster_lacks_is_given_back_and_the_rest_stays(host: Host, cluster: Cluster, run_module: Run) -> None:
    path = backed_up(host, run_module)
    given = {"phase": "restore", "source": path, **GIVEN}
    # a cluster that has the settings, and nothing else
    cluster.said |= {"auth ls": {"auth_dump": []}, "fs dump": {"filesystems": []}}
    told = run_module(module, check=True, **given)["changes"]
    assert told == [
        "give back the key of client.images",
        "give back stored value mgr/dashboard/key",
        "give back file system files",
        "give back pool pool9 of file system files",
    ]
    cluster.asked.clear()
    assert run_module(module, **given)["changes"] == told
    made = [one for one in cluster.asked if one["prefix"] == "fs new"]
    assert [(one["metadata"], one["data"], one["recover"]) for one in made] == [("pool7", "pool8", True)]
    cluster.said["config dump"] = []
    told = run_module(module, check=True, **given)["changes"]
    assert "give back setting osd/host:ceph1 osd_max_backfills" in told
    assert KEY not in json.dumps(told)


def joining(host: Host, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """One monitor answers, and another does not; how librados was called."""
    seen: list[dict[str, Any]] = []

    def library(**given: Any) -> Cluster:
        seen.append(given)
        return cluster

    names = SimpleNamespace(Rados=library, ObjectNotFound=KeyError, Error=ValueError)
    monkeypatch.setitem(sys.modules, "rados", names)
    monkeypatch.setattr(monitor_store, "LISTEN_SECONDS", 0.2)
    cluster.get_fsid = lambda: FSID  # type: ignore[attr-defined]
    cluster.answers["mon getmap"] = lambda *_given: (0, b"their map", "")
    return seen


def test_a_new_monitor_takes_the_map_of_those_that_it_joins(
    host: Host, cluster: Cluster, run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = joining(host, cluster, monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setattr(monitor_store, "PORT", listening.getsockname()[1])
        given = {"phase": "join", "others": {"ceph2": "127.0.0.1", "ceph3": "127.0.0.2"}, "keys": KEYS, **GIVEN}
        told = run_module(module, check=True, **given)
        assert told["changes"] == ["make the store of mon.ceph1, which joins ceph2"] and host.ran == []
        assert run_module(module, **given)["changes"] == told["changes"]
        assert host.ran[0][:4] == ["ceph-mon", "--mkfs", "-i", "ceph1"]
        assert (host.root / "mon" / "ceph-ceph1").is_dir() and not (host.root / "gathered").exists()
        assert (seen[0]["conffile"], seen[0]["conf"]["ms_mon_client_mode"]) == (None, "secure")
        cluster.get_fsid = lambda: "another"  # type: ignore[attr-defined]
        assert f"are of the cluster another, not of {FSID}" in run_module(module, **given)["msg"]
        cluster.get_fsid = lambda: FSID  # type: ignore[attr-defined]
        cluster.answers["mon getmap"] = lambda *_given: (-13, b"", "who are you")
        assert "do not tell who they are: who are you" in run_module(module, **given)["msg"]


def test_the_first_monitors_and_those_with_a_store_join_nobody(host: Host, run_module: Run) -> None:
    given = {"phase": "join", "keys": KEYS, **GIVEN}
    assert not run_module(module, **given, others={})["changed"]
    host.monitor()
    assert not run_module(module, **given, others={"ceph2": "127.0.0.1"})["changed"]


def test_monitors_let_in_a_manager_that_comes_to_a_cluster_before_it_starts(
    host: Host, cluster: Cluster, run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    joining(host, cluster, monkeypatch)
    host.monitor()
    caps = {"mon": "allow profile mgr"}
    users = {"mgr.ceph1": {"caps": caps}, "mgr.ceph4": {"caps": caps}}
    given = {"phase": "join", "users": users, "user_keys": dict.fromkeys(users, KEY), "address": "127.0.0.1", **GIVEN}
    cluster.said["auth ls"] = {"auth_dump": [{"entity": "mgr.ceph1", "key": KEY, "caps": caps}]}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setattr(monitor_store, "PORT", listening.getsockname()[1])
        assert run_module(module, check=True, **given)["changes"] == ["let mgr.ceph4 in"] and cluster.written == []
        assert run_module(module, **given)["changes"] == ["let mgr.ceph4 in"]
        assert [one["prefix"] for one in cluster.written] == ["auth import"]
        assert b"[mgr.ceph4]" in cluster.read[0] and b"mgr.ceph1" not in cluster.read[0]
        cluster.said["auth ls"]["auth_dump"].append({"entity": "mgr.ceph4", "key": KEY, "caps": caps})
        assert not run_module(module, **given)["changed"]
    # nobody answers: the monitors are started by what comes next
    assert not run_module(module, **given)["changed"]


def test_a_first_deployment_that_was_broken_off_goes_on(
    host: Host, cluster: Cluster, run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of three listens and waits for the others; two that listen and do not answer are a cluster in trouble."""
    joining(host, cluster, monkeypatch)

    def nobody() -> None:
        raise ValueError("timed out")

    monkeypatch.setattr(cluster, "connect", nobody)
    found = [{"ceph2": "127.0.0.1"}, {"ceph2": "127.0.0.1", "ceph3": "127.0.0.2"}]
    answers = iter(found)
    monkeypatch.setattr(monitor_store, "answering", lambda _others: next(answers))
    given = {"phase": "join", "others": found[1], "keys": KEYS, **GIVEN}
    assert not run_module(module, **given)["changed"]
    assert "logging in to the cluster as mon. failed" in run_module(module, **given)["msg"]
    assert host.ran == []
