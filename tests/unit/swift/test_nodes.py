"""What hosts of the object store have, and how rings reach them."""

from __future__ import annotations

import os
import pwd
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.action import swift_node as action
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import nodes
from ansible_collections.stackwright.cloud.plugins.module_utils.swift.builder import md5
from ansible_collections.stackwright.cloud.plugins.module_utils.swift.rings import fingerprint
from ansible_collections.stackwright.cloud.plugins.modules import swift_node

Run = Callable[..., dict[str, Any]]
HASH = fingerprint("before", "behind")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host's directories: `swift` for rings and `node` for devices; `source` lies on the control node."""
    for name in ("swift", "node/d1", "source"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("account", "object"):
        (tmp_path / "source" / f"{name}.ring.gz").write_bytes(f"{name} 1".encode())
    return tmp_path


def rings_of(host: Path) -> dict[str, str]:
    return {one.name: md5(one) for one in (host / "source").iterdir()}


def packed(host: Path) -> str:
    with tarfile.open(host / "rings.tar", "w") as archive:
        for one in (host / "source").iterdir():
            archive.add(one, one.name)
    return str(host / "rings.tar")


def options(host: Path, state: str, **more: Any) -> dict[str, Any]:
    places = {"directory": str(host / "swift"), "devices_directory": str(host / "node"), "source": str(host / "source")}
    return {"state": state, "rings": rings_of(host), **places, **more}


def present(host: Path) -> list[str]:
    return sorted(one.name for one in (host / "swift").iterdir())


def test_a_host_without_rings_gets_them_at_once(host: Path, run_module: Run) -> None:
    first = run_module(swift_node, **options(host, "staged"))
    assert first["lacking"] == ["account.ring.gz", "object.ring.gz"] and not first["changed"]
    answer = run_module(swift_node, **options(host, "staged", archive=packed(host)))
    assert answer["changed"] and present(host) == ["account.ring.gz", "object.ring.gz"]
    again = run_module(swift_node, **options(host, "staged"))
    assert not again["changed"] and again["rings"] == rings_of(host) and again["lacking"] == []


def test_a_host_with_rings_gets_new_ones_beside_them_and_then_all_at_once(host: Path, run_module: Run) -> None:
    run_module(swift_node, **options(host, "staged", archive=packed(host)))
    before = rings_of(host)
    (host / "source" / "object.ring.gz").write_bytes(b"object 2")
    staged = run_module(swift_node, **options(host, "staged", archive=packed(host)))
    assert staged["changed"] and nodes.look(host / "swift", host, [])["rings"] == before
    foretold = run_module(swift_node, check=True, **options(host, "current"))
    assert foretold["changes"] == [f"object.ring.gz becomes {rings_of(host)['object.ring.gz']}"]
    answer = run_module(swift_node, **options(host, "current"))
    assert answer["changes"] == foretold["changes"]
    assert f"object.ring.gz {before['object.ring.gz']}\n" in answer["diff"]["before"]
    assert nodes.look(host / "swift", host, [])["rings"] == rings_of(host)
    assert present(host) == ["account.ring.gz", "object.ring.gz"]
    assert not run_module(swift_node, **options(host, "current"))["changed"]


def test_a_ring_that_arrives_torn_is_not_taken_into_use(host: Path, run_module: Run) -> None:
    archive = packed(host)
    (host / "source" / "object.ring.gz").write_bytes(b"another")
    answer = run_module(swift_node, **options(host, "staged", archive=archive))
    assert answer["failed"] and "object.ring.gz arrived with another checksum" in answer["msg"]
    assert not (host / "swift" / "object.ring.gz").exists()
    (host / "source" / "more.ring.gz").write_bytes(b"more")
    answer = run_module(swift_node, **options(host, "staged", archive=archive))
    assert "more.ring.gz did not arrive" in answer["msg"]


def test_a_ring_that_was_not_laid_down_is_missed(host: Path, run_module: Run) -> None:
    answer = run_module(swift_node, **options(host, "current"))
    assert answer["failed"] and "account.ring.gz, object.ring.gz is not the ring that was computed" in answer["msg"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("[swift-hash]\nswift_hash_path_prefix = before\nswift_hash_path_suffix = behind\n", HASH),
        ("[swift-hash]\nswift_hash_path_suffix = changeme\nswift_hash_path_prefix = changeme\n", ""),
        ("[storage-policy:0]\nname = gold\n", ""),
        ("no section\n", "unreadable"),
    ],
)
def test_the_hash_is_known_by_its_fingerprint(host: Path, run_module: Run, text: str, seen: str) -> None:
    (host / "swift" / "swift.conf").write_text(text)
    answer = run_module(swift_node, **options(host, "seen"))
    assert answer["hash"] == seen and "before" not in str(answer["hash"])


def test_devices_are_looked_at(host: Path) -> None:
    (host / "node" / "d1" / "objects").mkdir()
    (host / "node" / "d3").mkdir()
    (host / "node" / "d3" / "lost+found").mkdir()
    (host / "node" / "d4").write_text("")
    seen = nodes.look(host / "swift", host / "node", ["d1", "d2", "d3", "d4"])["devices"]
    mine = pwd.getpwuid(os.geteuid()).pw_name
    assert seen["d1"] == {"exists": True, "mounted": False, "owner": mine, "data": True}
    assert not seen["d2"]["exists"] and not seen["d3"]["data"] and seen["d4"]["error"] == "Not a directory"


def test_an_account_without_a_name_is_a_number() -> None:
    assert nodes._name(4_000_000) == "4000000"


def judged(
    rings: dict[str, str] | None = None,
    hash_id: str = "",
    device: dict[str, Any] | None = None,
    disks: tuple[str, ...] = (),
) -> list[str]:
    seen = {"object1": {"rings": rings or {}, "hash": hash_id, "devices": {"d1": device} if device else {}}}
    record = {"rings": {"object": {"version": 7, "history": ["old", "new"]}}}
    return [str(one) for one in nodes.judge(seen, record, HASH, {"object1": disks})]


def test_a_host_that_fits_has_no_problem() -> None:
    own = {"exists": True, "mounted": True, "owner": "swift", "data": True}
    # a host that was away has an old ring
    assert judged({"object.ring.gz": "old"}, HASH, own, ("d1",)) == []
    assert judged(device={"exists": False, "error": "No such file or directory"}) == []
    assert judged(device={**own, "owner": "root", "data": False}) == []


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"hash_id": fingerprint("before", "other")}, "another hash prefix or suffix"),
        ({"rings": {"object.ring.gz": "foreign"}}, "version 7 is the newest here"),
        ({"rings": {"object-1.ring.gz": "foreign"}}, "nothing is kept of a ring object-1"),
        ({"device": {"exists": True, "mounted": False, "owner": "root", "data": True}}, "belongs to root"),
        ({"device": {"exists": True, "error": "Input/output error"}}, "cannot be read: Input/output error"),
        (
            {"device": {"exists": True, "mounted": False, "owner": "swift", "data": True}, "disks": ("d1",)},
            "it lies on the root disk",
        ),
    ],
)
def test_what_forbids_a_change_is_told(given: dict[str, Any], cause: str) -> None:
    told = judged(**given)
    assert len(told) == 1 and cause in told[0] and "object1" in told[0]


class Action(action.ActionModule):
    """The action with a host that is this machine."""

    def __init__(self, run: Run, here: Path, arguments: dict[str, Any], check: bool = False) -> None:
        self.run_module, self.here, self.calls, self.check = run, here, 0, check
        self._task = SimpleNamespace(args=arguments, check_mode=check)
        self._connection = SimpleNamespace(_shell=SimpleNamespace(join_path=os.path.join))

    def _make_tmp_path(self, remote_user: str | None = None) -> str:
        return str(self.here)

    def _transfer_file(self, local_path: str, remote_path: str) -> None:
        Path(remote_path).write_bytes(Path(local_path).read_bytes())

    def _execute_module(self, **call: Any) -> dict[str, Any]:
        self.calls += 1
        return self.run_module(swift_node, check=self.check, **call["module_args"])


@pytest.fixture
def act(host: Path, run_module: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[dict[str, Any], int]]:
    """Runs the action; returns its answer and how often the host was called."""
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_: {})

    def run(state: str, check: bool = False) -> tuple[dict[str, Any], int]:
        one = Action(run_module, host, options(host, state), check)
        return one.run(), one.calls

    return run


def test_the_action_brings_rings_to_a_host_that_lacks_them_only(
    host: Path, act: Callable[..., tuple[dict[str, Any], int]]
) -> None:
    assert act("staged", check=True)[1] == 1 and present(host) == []
    answer, calls = act("staged")
    assert answer["changed"] and calls == 2
    assert nodes.look(host / "swift", host, [])["rings"] == rings_of(host)
    assert act("staged")[1] == act("current")[1] == 1
