"""Rings as data: what the inventory says, judged against what is kept, computed, and kept again."""

from __future__ import annotations

import copy
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.common import archives
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import builder, layout, report, rings, store
from ansible_collections.stackwright.cloud.plugins.modules import swift_rings
from ansible_collections.stackwright.cloud.tests.unit.swift.library import RingBuilder

Run = Callable[..., dict[str, Any]]
HOUR = 3600
# The library's clock stands at this hour whenever partitions move.
MOVED = 1000 * HOUR
LATER = MOVED + 2 * HOUR
HASH = rings.fingerprint("before", "behind")


def settings(hosts: int = 4, devices: int = 2, **more: Any) -> dict[str, Any]:
    """Hosts in two regions with devices each, a replicated policy and one of erasure coding."""
    return {
        "part_power": 6,
        "replicas": 3,
        "min_part_hours": 1,
        "overload": 0.1,
        "policies": [
            {"index": 0, "name": "gold", "default": True},
            {"index": 1, "name": "ec21", "type": "erasure_coding", "ec_type": "flat_xor_hd_3", "data": 2, "parity": 1},
        ],
        "hosts": {
            f"object{number}": {
                "region": 1 + number % 2,
                "zone": number,
                "address": f"192.0.2.{number}",
                "replication_address": f"198.51.100.{number}",
                "devices": {f"d{one}": {"weight": 100} for one in range(1, devices + 1)},
            }
            for number in range(1, hosts + 1)
        },
        **more,
    }


def causes(given: dict[str, Any]) -> list[str]:
    return [str(one) for one in layout.read(given).problems]


class Cluster:
    """A cluster's rings from one run to the next, with the stand-in for the library."""

    def __init__(self, directory: Path) -> None:
        self.store = store.Store(directory / "kept")
        self.directory = directory

    def run(self, given: dict[str, Any], now: float = LATER, step: float = 100) -> dict[str, builder.Computed]:
        """One run; problems are an assertion's."""
        wanted = layout.read(given)
        record = self.store.record()
        found = rings.judge(wanted, record, HASH, step, now)
        problems = [*wanted.problems, *(one for each in found for one in each.problems)]
        assert not problems, [str(one) for one in problems]
        computed = {}
        for one in found:
            if one.due:
                ring = wanted.rings[one.ring]
                request = {**one.__dict__, "name": one.ring}
                request |= {key: getattr(ring, key) for key in ("part_power", "replicas", "min_part_hours", "overload")}
                computed[one.ring] = builder.compute(RingBuilder, request, self.store.builder(one.ring))
        new = {name: builder.save(one, name, self.directory) for name, one in computed.items() if one.changed}
        packed = self.directory / "rings.tar"
        with tarfile.open(packed, "w") as archive:
            for name in new:
                for suffix in ("builder", "ring.gz"):
                    archive.add(self.directory / f"{name}.{suffix}", f"{name}.{suffix}")
        policies = {
            str(one.index): {"name": one.name, "type": one.kind, "parity": one.parity} for one in wanted.policies
        }
        quiet = {name: {**record["rings"][name], "unsettled": False} for name in set(computed) - set(new)}
        self.store.take(packed, store.succeed(record, {**quiet, **new}, HASH, policies), new)
        return computed

    def refusals(self, given: dict[str, Any], now: float = LATER, hash_id: str = HASH, step: float = 100) -> list[str]:
        found = rings.judge(layout.read(given), self.store.record(), hash_id, step, now)
        return [str(one) for each in found for one in each.problems]

    def devices(self, ring: str = "object") -> dict[str, Any]:
        found: dict[str, Any] = self.store.record()["rings"][ring]["devices"]
        return found


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """A cluster whose rings exist."""
    made = Cluster(tmp_path)
    made.run(settings())
    return made


def test_a_new_cluster_gets_a_ring_for_accounts_containers_and_each_policy(cluster: Cluster) -> None:
    record = cluster.store.record()
    assert set(record["rings"]) == {"account", "container", "object", "object-1"}
    first = cluster.devices("account")["object1/d1"]
    assert (first["ip"], first["replication_ip"], first["region"], first["zone"]) == ("192.0.2.1", "198.51.100.1", 2, 1)
    assert sum(one["parts"] for one in cluster.devices().values()) == 3 * 64
    assert not [*cluster.store.problems(record)]


def test_a_second_run_has_nothing_to_do(cluster: Cluster) -> None:
    before = cluster.store.record()
    assert cluster.run(settings()) == {}
    assert cluster.store.record() == before


def test_a_host_more_moves_one_replica_of_a_partition_and_says_what_share(cluster: Cluster) -> None:
    computed = cluster.run(settings(5))["object"]
    told = computed.told
    assert 15 <= told["share"] <= 35
    assert told["devices"]["object5/d1"]["had"] == 0 and told["devices"]["object5/d1"]["leaving"] == 0
    arriving = sum(one["arriving"] for one in told["devices"].values())
    assert arriving == sum(one["leaving"] for one in told["devices"].values()) == told["moved"] > 0
    assert all(one["has"] == one["had"] + one["arriving"] - one["leaving"] for one in told["devices"].values())


def test_partitions_wait_for_their_hours_and_settings_do_not(cluster: Cluster) -> None:
    wanted = layout.read(settings(5, overload=0.2))
    found = rings.judge(wanted, cluster.store.record(), HASH, 100, MOVED + HOUR / 2)
    assert [one["do"] for one in found[0].operations] == ["overload"]
    assert not found[0].rebalance and found[0].waits == HOUR // 2
    assert "in 30 minutes" in report.waiting(found)[0] and "add object5/d1" in report.waiting(found)[0]


def test_weights_go_step_by_step_and_a_run_that_was_cut_off_goes_on(cluster: Cluster) -> None:
    grown = settings(5)
    weights = []
    for _ in range(5):
        cluster.run(grown, step=30)
        weights.append(cluster.devices()["object5/d1"]["weight"])
    assert weights == [30, 60, 90, 100, 100]


def test_a_device_is_drained_by_steps_and_then_taken_out(cluster: Cluster) -> None:
    drained = settings(5)
    cluster.run(drained)
    drained["hosts"]["object5"]["devices"]["d2"]["drain"] = True
    weights = []
    for _ in range(3):
        cluster.run(drained, step=50)
        weights.append(cluster.devices()["object5/d2"]["weight"])
    assert weights == [50, 0, 0]
    assert cluster.devices()["object5/d2"]["parts"] == 0
    del drained["hosts"]["object5"]["devices"]["d2"]
    cluster.run(drained)
    assert "object5/d2" not in cluster.devices()


@pytest.mark.parametrize("weight", [100, 0])
def test_a_device_with_data_is_not_taken_out(cluster: Cluster, weight: float) -> None:
    record = cluster.store.record()
    record["rings"]["object"]["devices"]["object4/d2"]["weight"] = weight
    cluster.store.keep(record)
    wanted = settings()
    del wanted["hosts"]["object4"]["devices"]["d2"]
    told = [one for one in cluster.refusals(wanted) if one.startswith("ring object (")]
    assert len(told) == 1 and "object4/d2" in told[0] and "24 partitions" in told[0] and "drain: true" in told[0]
    assert ("although its weight is zero" in told[0]) == (weight == 0)


def test_a_lost_disk_is_replaced_at_once(cluster: Cluster) -> None:
    wanted = settings()
    wanted["hosts"]["object2"]["devices"]["d1"]["lost"] = True
    cluster.run(wanted, now=MOVED + 1)
    assert "object2/d1" not in cluster.devices()
    assert sum(one["parts"] for one in cluster.devices().values()) == 3 * 64


def test_more_than_one_replica_of_a_partition_in_motion_is_refused(cluster: Cluster) -> None:
    wanted = settings(6)
    cluster.run(wanted)
    for host in ("object1", "object2", "object3"):
        for device in wanted["hosts"][host]["devices"].values():
            device["lost"] = True
    with pytest.raises(builder.RingError, match=r"replicas would move at once.*object1/d1.*one failure domain"):
        cluster.run(wanted)


def test_motion_counts_by_replica_and_partition() -> None:
    def table(*rows: list[int]) -> list[Any]:
        return [builder.array("H", row) for row in rows]

    moves = builder.motion(table([0, 0], [1, 1]), table([0, 2], [1, 2]))
    assert (moves.moved, moves.most, moves.arriving, moves.leaving) == (2, 2, {2: 2}, {0: 1, 1: 1})
    # a third replica is one in motion, one that is given up is none
    assert builder.motion(table([0], [1]), table([0], [1], [2])).most == 1
    assert builder.motion(table([0], [1]), table([0])).moved == 0


def test_an_address_changes_and_nothing_moves(cluster: Cluster) -> None:
    wanted = settings()
    wanted["hosts"]["object1"]["address"] = "192.0.2.77"
    computed = cluster.run(wanted)
    assert {one.told["moved"] for one in computed.values()} == {0}
    assert cluster.devices()["object1/d1"]["ip"] == "192.0.2.77"
    assert cluster.run(wanted) == {}


def test_a_device_moves_to_another_zone_and_region(cluster: Cluster) -> None:
    wanted = settings()
    wanted["hosts"]["object1"] |= {"zone": 9, "region": 1}
    cluster.run(wanted)
    assert (cluster.devices()["object1/d2"]["zone"], cluster.devices()["object1/d2"]["region"]) == (9, 1)


def test_replicas_change_by_one(cluster: Cluster) -> None:
    computed = cluster.run(settings(replicas=4))["account"]
    assert computed.told["moved"] == 64
    assert cluster.store.record()["rings"]["account"]["replicas"] == 4
    assert "would have 2" in cluster.refusals(settings(replicas=2))[0]


def test_a_replica_less_moves_nothing(cluster: Cluster) -> None:
    cluster.run(settings(replicas=2))
    assert cluster.store.record()["rings"]["account"]["replicas"] == 2


BAD: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda given: given.update(part_power=7), "its part power is 6 and would become 7"),
    (lambda given: given["policies"].pop(), "policy 1 (ec21) is missing"),
    (lambda given: given["policies"][1].update(name="silver"), "index 1 was policy ec21 and is called silver now"),
    (
        lambda given: given["policies"].__setitem__(1, {"index": 1, "name": "silver"}),
        "index 1 was policy ec21 (erasure_coding) and is silver (replication) now",
    ),
    (lambda given: given["policies"][1].update(data=1, parity=2), "index 1 was policy ec21"),
]


@pytest.mark.parametrize(("spoil", "cause"), BAD)
def test_what_would_lose_data_is_refused(cluster: Cluster, spoil: Callable[[dict[str, Any]], Any], cause: str) -> None:
    wanted = settings()
    spoil(wanted)
    told = cluster.refusals(wanted)
    assert any(cause in one for one in told), told


def test_another_hash_is_refused_with_everything_else_at_once(cluster: Cluster) -> None:
    told = cluster.refusals(settings(part_power=7), hash_id=rings.fingerprint("before", "other"))
    assert len(told) == 5 and "all data would be lost" in told[0] and "swift_hash_prefix" in told[0]
    assert HASH not in "".join(told)


def test_a_policy_may_be_renamed_with_its_old_name_and_deprecated(cluster: Cluster) -> None:
    wanted = settings()
    wanted["policies"][1] |= {"name": "cold", "aliases": ["ec21"], "deprecated": True}
    assert cluster.refusals(wanted) == []


WRONG: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda given: given.update(policies=[]), "is no list of storage policies"),
    (lambda given: given["policies"].append(5), "is no mapping"),
    (lambda given: given["policies"][0].update(colour="red"), "unknown key 'colour'"),
    (lambda given: given["policies"][0].update(index="0"), "needs an index"),
    (lambda given: given["policies"][1].update(index=0), "index 0 is used twice"),
    (lambda given: given["policies"][0].update(index=2), "there is no policy of index 0"),
    (lambda given: given["policies"][1].update(name="GOLD"), "'GOLD' is another policy's as well"),
    (lambda given: given["policies"][1].update(name="account"), "is the name of a ring"),
    (lambda given: given["policies"][1].update(type="mirror"), "neither replication nor erasure_coding"),
    (lambda given: given["policies"][1].pop("ec_type"), "needs ec_type, data and parity"),
    (lambda given: given["policies"][1].update(replicas=3), "erasure coding has no replicas"),
    (lambda given: given["policies"][0].update(replicas=0), "0 replicas is out of range"),
    (lambda given: given["policies"][0].update(part_power=40), "part_power 40 is out of range"),
    (lambda given: given["policies"][0].update(deprecated=True), "is deprecated and the default"),
    (lambda given: given["policies"][1].update(default=True), "gold, ec21 are all the default"),
    (lambda given: given["policies"][0].pop("default"), "none of them is the default"),
    (lambda given: given["hosts"]["object1"].update(address="192.0.2.2"), "have the same address 192.0.2.2"),
    (lambda given: given["hosts"]["object1"].update(devices={}), "has no devices"),
    (lambda given: given["hosts"]["object1"].update(region=0), "0 is no number from 1 on"),
    (lambda given: given["hosts"]["object1"]["devices"].update(d1=1), "is no mapping"),
    (lambda given: given["hosts"]["object1"]["devices"]["d1"].update(wieght=1), "Did you mean 'weight'"),
    (lambda given: given["hosts"]["object1"]["devices"]["d1"].update(weight=-1), "weight -1 is no number"),
    (lambda given: given["hosts"]["object1"]["devices"]["d1"].update(rings=["golf"]), "no ring or policy 'golf'"),
    (lambda given: given["hosts"]["object1"]["devices"].update({"a/b": {}}), "is no name of a directory"),
    (lambda given: given["hosts"]["object1"]["devices"]["d1"].update(label="a"), "others plain directories"),
    (
        lambda given: [one.update(label="a") for one in given["hosts"]["object1"]["devices"].values()],
        "object1/d1, object1/d2 are one disk, label a, under several names",
    ),
    (
        lambda given: [
            one.update(uuid="7e")
            for host in ("object1", "object2")
            for one in [given["hosts"][host]["devices"].pop("d2") and given["hosts"][host]["devices"]["d1"]]
        ],
        "object1/d1, object2/d1 are one disk, uuid 7e",
    ),
    (lambda given: given["hosts"]["object1"]["devices"]["d1"].update(label="a", uuid="b"), "by label and uuid"),
    (lambda given: given.update(replicas=9), "9 replicas need as many devices, and 8 have a weight"),
]


@pytest.mark.parametrize(("spoil", "cause"), WRONG)
def test_what_is_wrong_in_the_inventory_is_told(spoil: Callable[[dict[str, Any]], Any], cause: str) -> None:
    wanted = settings()
    spoil(wanted)
    told = causes(wanted)
    assert any(cause in one for one in told), told


def test_all_of_it_is_told_at_once() -> None:
    wanted = settings()
    wanted["policies"][0]["colour"] = "red"
    wanted["hosts"]["object1"]["zone"] = None
    wanted["hosts"]["object2"]["devices"]["d1"]["weight"] = "much"
    assert len(causes(wanted)) == 3


def test_what_the_loss_of_a_zone_takes_is_told() -> None:
    assert layout.read(settings()).notes == []
    notes = layout.read(settings(2)).notes
    assert any("ring object-1: 3 replicas in 2 hosts: with one host up to 2 of them are gone" in one for one in notes)
    assert not any(one.startswith("ring account") for one in notes)


def test_a_device_carries_the_rings_it_names() -> None:
    wanted = settings()
    wanted["hosts"]["object1"]["devices"]["d1"]["rings"] = ["account", "ec21"]
    found = layout.read(wanted)
    carrying = {name for name, ring in found.rings.items() if "object1/d1" in [one.key for one in ring.devices]}
    assert carrying == {"account", "object-1"}


def test_builders_are_backed_up_and_only_so_many_are_kept(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BACKUPS", 2)
    before = cluster.store.builder("object").read_bytes()
    cluster.run(settings(5))
    (backup,) = (cluster.store.directory / "backups").iterdir()
    assert (backup / "object.builder").read_bytes() == before
    assert json.loads((backup / "record.json").read_text())["rings"]["object"]["version"] == 8
    for hosts in (6, 7):
        cluster.run(settings(hosts))
    assert len([*(cluster.store.directory / "backups").iterdir()]) == 2


def test_a_builder_that_is_not_the_kept_one_is_told(cluster: Cluster) -> None:
    cluster.store.builder("object").write_bytes(b"older")
    cluster.store.ring("account").unlink()
    told = [str(one) for one in cluster.store.problems(cluster.store.record())]
    assert len(told) == 2
    assert any("object.builder: is not the one that was kept with version 8" in one for one in told)
    assert any("account.ring.gz: is missing" in one for one in told)


@pytest.mark.parametrize(("text", "cause"), [("{", "cannot be read"), ('{"format": 7}', "is of format 7")])
def test_a_record_that_cannot_be_used_is_told(tmp_path: Path, text: str, cause: str) -> None:
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(store.StoreError, match=cause):
        store.Store(tmp_path).record()


def test_what_does_not_come_back_whole_changes_nothing(cluster: Cluster) -> None:
    record = cluster.store.record()
    before = {one.name: one.read_bytes() for one in cluster.store.directory.glob("*.*")}
    wrong = copy.deepcopy(record)
    wrong["rings"]["object"]["ring_md5"] = "0" * 32
    with pytest.raises(store.StoreError, match="did not come back whole"):
        cluster.store.take(cluster.directory / "rings.tar", wrong, ["object"])
    (cluster.directory / "torn.tar").write_bytes(b"torn")
    with pytest.raises(store.StoreError, match="cannot be read"):
        cluster.store.take(cluster.directory / "torn.tar", record, ["object"])
    assert {one.name: one.read_bytes() for one in cluster.store.directory.glob("*.*")} == before


def test_the_difference_shows_devices_that_change(cluster: Cluster) -> None:
    old = cluster.store.record()["rings"]
    wanted = settings()
    wanted["hosts"]["object1"]["devices"]["d1"]["weight"] = 50
    computed = cluster.run(wanted)
    shown = report.diff(old, {"object": computed["object"].record})
    assert "object r2z1 object1/d1 192.0.2.1 weight 100 partitions 24" in shown["before"]
    assert "object r2z1 object1/d1 192.0.2.1 weight 50 partitions" in shown["after"]


def test_many_operations_are_told_in_few_lines(cluster: Cluster) -> None:
    found = rings.judge(layout.read(settings(20)), cluster.store.record(), HASH, 100, LATER)
    lines = report.changes(found, {})
    assert "ring object: and 20 more" in lines
    assert sum("python3-swift is installed" in one for one in lines) == 4


def request(name: str, **more: Any) -> dict[str, Any]:
    places = [settings()["hosts"][f"object{number}"] for number in range(1, 5)]
    adding = [
        {"do": "add", "key": f"object{n}/d1", "device": {**place_of(one), "weight": 100, "meta": f"object{n}/d1"}}
        for n, one in enumerate(places, 1)
    ]
    shape = {"part_power": 5, "replicas": 3, "min_part_hours": 1, "overload": 0.1}
    return {"name": name, "new": True, "operations": adding, "rebalance": True, **shape, **more}


def place_of(host: dict[str, Any]) -> dict[str, Any]:
    return {
        "region": host["region"],
        "zone": host["zone"],
        "ip": host["address"],
        "port": 6200,
        "replication_ip": host["replication_address"],
        "replication_port": 6200,
        "device": "d1",
    }


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swift_rings, "LIBRARY", "ansible_collections.stackwright.cloud.tests.unit.swift.library")


@pytest.mark.usefixtures("library")
def test_the_module_computes_on_a_host_and_hands_builders_and_rings_back(run_module: Run, tmp_path: Path) -> None:
    result = tmp_path / "rings.tar"
    answer = run_module(swift_rings, request=[request("object")], result=str(result))
    assert answer["altered"] == ["object"] and answer["told"]["object"]["moved"] == 96
    with tarfile.open(result) as packed:
        assert sorted(packed.getnames()) == ["object.builder", "object.ring.gz"]
        archives.extract_all(packed, str(tmp_path))
    assert builder.md5(tmp_path / "object.ring.gz") == answer["records"]["object"]["ring_md5"]
    assert run_module(swift_rings, describe=["object"], archive=str(result))["records"]["object"]["version"] == 4


@pytest.mark.usefixtures("library")
def test_in_check_mode_it_tells_and_writes_nothing(run_module: Run, tmp_path: Path) -> None:
    answer = run_module(swift_rings, check=True, request=[request("object")], result=str(tmp_path / "rings.tar"))
    assert answer["told"]["object"]["moved"] == 96 and not [*tmp_path.iterdir()]


@pytest.mark.usefixtures("library")
def test_all_rings_that_cannot_be_computed_are_told(run_module: Run, tmp_path: Path) -> None:
    wanted = [request("object", replicas=5), request("account"), request("container", replicas=6)]
    answer = run_module(swift_rings, request=wanted, result=str(tmp_path / "rings.tar"))
    assert answer["failed"] and len(answer["problems"]) == 2 and not [*tmp_path.iterdir()]
    assert "ring object could not be computed: ValueError: Replica count of 5" in answer["msg"]


def test_a_host_without_the_library_says_so(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swift_rings, "LIBRARY", "swift_that_is_not_there.ring")
    answer = run_module(swift_rings, request=[request("object")])
    assert answer["library"] is False and "python3-swift is not there" in answer["msg"]


def test_operations_on_devices_that_are_not_there_are_refused(cluster: Cluster) -> None:
    operation = {"do": "set", "id": 0, "key": "a/b", "to": {"ip": "192.0.2.9"}}
    path = cluster.store.builder("object")
    found = RingBuilder.load(str(path))
    found.devs[0] = None
    with pytest.raises(builder.RingError, match="no device number 0"):
        builder._rename(found, operation)
