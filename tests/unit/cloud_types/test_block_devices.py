"""Block devices of servers: made as listed, found again as far as the service tells, and never silently another."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.export import Choice, Exporter, render
from ansible_collections.stackwright.cloud.tests.reading import read

from .conftest import LAN, Desk

NEEDS: dict[str, Any] = {
    "volumes": [{"name": "data", "size": 1}, {"name": "more", "size": 1}],
    "snapshots": [{"name": "snap", "volume": "data"}],
    "volume_types": ["fast"],
}
DEVICES: list[dict[str, Any]] = [
    {"image": "debian", "boot_index": 0, "size": 5, "volume_type": "fast", "delete_on_termination": True},
    {"source": "blank", "size": 2, "tag": "scratch", "disk_bus": "scsi", "device_type": "disk"},
    {"source": "blank", "size": 3, "delete_on_termination": True},
    {"snapshot": "snap", "size": 4, "tag": "restored"},
    {"volume": "more", "boot_index": 1},
    {"source": "blank", "destination": "local", "size": 1},
]


def document(devices: list[dict[str, Any]], **server: Any) -> dict[str, Any]:
    return {
        **NEEDS,
        "servers": [
            {"name": "s", "flavor": "small", "networks": [{"network": LAN}], "block_devices": devices, **server}
        ],
    }


def test_devices_are_made_as_listed_and_then_unchanged(desk: Desk) -> None:
    desk.cloud.polls_until_ready = 2
    planned = desk.run(document(DEVICES), check=True)
    assert desk.run(document(DEVICES))["changes"] == planned["changes"]
    held = {one["volumeId"]: one for one in desk.cloud.all("volume_attachment")}
    volumes = {ident: desk.one("volume", id=ident) for ident in held}
    assert sorted(
        (volumes[i]["size"], one["tag"], one["delete_on_termination"]) for i, one in held.items() if one["tag"]
    ) == [
        (2, "scratch", False),
        (4, "restored", False),
    ]
    (root,) = [volumes[i] for i, one in held.items() if one["device"] == "/dev/vda"]
    assert (root["size"], root["volume_type"], root["volume_image_metadata"]["image_name"]) == (5, "fast", "debian")
    assert len(held) == 5
    again = desk.run(document(DEVICES))
    assert (again["changes"], desk.cloud.writes()) == ([], [])


def test_an_image_stays_what_it_boots_from_where_no_device_is(desk: Desk) -> None:
    wanted = document([{"source": "blank", "size": 2}], image="debian")
    desk.run(wanted)
    assert desk.one("server", name="s")["image"]
    assert [one["device"] for one in desk.cloud.all("volume_attachment")] == ["/dev/vdb"]
    assert desk.run(wanted)["changes"] == []


@pytest.mark.parametrize(
    ("number", "change"),
    [
        (0, {"size": 6}),
        (0, {"image": "alpine"}),
        (0, {"volume_type": "__DEFAULT__"}),
        (1, {"size": 9}),
        (1, {"tag": "other"}),
        (4, {"volume": "data"}),
    ],
)
def test_what_cannot_change_is_refused_or_replaced(desk: Desk, number: int, change: dict[str, Any]) -> None:
    desk.run(document(DEVICES))
    other = [{**one, **change} if place == number else one for place, one in enumerate(DEVICES)]
    error = desk.refuse(document(other))
    assert error["path"] == "servers[0].block_devices"
    assert "belong to the server from the start" in error["cause"] and "replace: true" in error["mend"]
    assert desk.cloud.writes() == []
    before = desk.one("server", name="s")["id"]
    desk.run(document(other), replace=True)
    assert desk.one("server", name="s")["id"] != before
    assert desk.run(document(other))["changes"] == []


def test_how_long_a_device_lives_can_change(desk: Desk) -> None:
    desk.run(document(DEVICES))
    other = [{**DEVICES[0], "delete_on_termination": False}, *DEVICES[1:]]
    (line,) = desk.run(document(other))["changes"]
    assert line.startswith("update server s: block_devices ")
    assert desk.run(document(other))["changes"] == []
    root = next(one for one in desk.cloud.all("volume_attachment") if one["device"] == "/dev/vda")
    assert root["delete_on_termination"] is False
    desk.run({"servers": [{"name": "s", "state": "absent"}]})
    assert desk.one("volume", id=root["volumeId"])


def test_further_volumes_come_and_go_beside_them(desk: Desk) -> None:
    devices = [DEVICES[0], DEVICES[1]]
    both = document(devices, volumes=[{"volume": "data"}])
    desk.run({**both, "snapshots": []})
    assert len(desk.cloud.all("volume_attachment")) == 3
    assert desk.run({**both, "snapshots": []})["changes"] == []
    other = document(devices, volumes=[{"volume": "more"}])
    desk.run({**other, "snapshots": []})
    names = {desk.one("volume", id=one["volumeId"])["name"] for one in desk.cloud.all("volume_attachment")}
    assert names == {"", "more"}
    assert desk.run({**other, "snapshots": []})["changes"] == []


@pytest.mark.parametrize(
    ("devices", "more", "key", "text"),
    [
        ([{"size": 1}], {}, "block_devices[0]", "Exactly one of image, volume and snapshot"),
        ([{"image": "debian", "volume": "data"}], {}, "block_devices[0]", "Exactly one of"),
        ([{"source": "blank", "volume": "data"}], {}, "block_devices[0].source", "does not fit"),
        ([{"source": "image"}], {}, "block_devices[0].source", "does not fit"),
        ([{"image": "debian", "boot_index": 0}], {}, "block_devices[0].size", "needs a size"),
        ([{"volume": "data", "boot_index": 0, "size": 5}], {}, "block_devices[0].size", "has its own"),
        (
            [{"volume": "data", "destination": "local"}],
            {"image": "debian"},
            "block_devices[0].destination",
            "no disk of the host",
        ),
        (
            [{"volume": "data", "boot_index": 0}, {"volume": "more", "boot_index": 0}],
            {},
            "block_devices[1].boot_index",
            "taken",
        ),
        ([{"volume": "data"}], {}, "block_devices", "nothing to boot from"),
        ([{"volume": "data", "boot_index": 0}], {"boot_volume": "more"}, "boot_volume", "already"),
        ([{"volume": "data", "bus": "scsi"}], {"image": "debian"}, "block_devices[0].bus", "Did you mean 'disk_bus'?"),
    ],
)
def test_what_the_service_would_refuse_is_told_before(
    desk: Desk, devices: list[dict[str, Any]], more: dict[str, Any], key: str, text: str
) -> None:
    result, failure = desk.apply(document(devices, **more))
    assert failure is not None
    found = {error["path"]: f"{error['cause']} {error['mend']}" for error in result["errors"]}
    assert text in found[f"servers[0].{key}"]
    assert not desk.cloud.writes()


def test_info_and_export_tell_what_other_keys_could_not(desk: Desk) -> None:
    desk.run(document(DEVICES), owner="")
    found = Exporter(Cloud(desk.login, sleep=lambda _: None), Choice()).export()
    (server,) = found.document["servers"]
    assert [(one.get("boot_index"), one.get("tag")) for one in server["block_devices"]].count((0, None)) == 1
    assert {one.get("tag") for one in server["block_devices"]} == {None, "scratch", "restored"}
    assert "boot_volume" not in server and "volumes" not in server
    assert desk.run(read(render(found))["cloud_state_document"], owner="")["changes"] == []
