"""Volumes, snapshots, backups and their types; containers, objects and accounts: what each refuses and survives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.export import Choice, Exporter
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types import compute, object_store

from .conftest import Desk

DATA = {"name": "data", "size": 2}


def volume(**more: Any) -> dict[str, Any]:
    return {"volumes": [{**DATA, **more}]}


def test_a_volume_only_grows(desk: Desk) -> None:
    desk.run(volume())
    error = desk.refuse(volume(size=1))
    assert error["cause"] == "A volume only grows: size is 2, wanted 1."
    assert error["path"] == "volumes[0].size"
    assert desk.cloud.writes() == []


def test_an_attached_volume_grows_too(desk: Desk) -> None:
    desk.cloud.polls_until_ready = 1
    desk.run(volume())
    desk.one("volume", name="data")["status"] = "in-use"
    desk.run(volume(size=4))
    found = desk.one("volume", name="data")
    assert (found["size"], found["status"]) == (4, "in-use")


def test_growth_that_the_backend_fails_is_told(desk: Desk) -> None:
    desk.cloud.polls_until_ready = 1
    desk.run(volume())
    desk.cloud.fail_next["extend"] = 1
    assert "its state became error_extending" in desk.refuse(volume(size=4))["cause"]


def test_used_up_quota_is_told_as_such(desk: Desk) -> None:
    desk.cloud.extra["volume_quotas"] = {desk.cloud.admin_project: {"gigabytes": 2}}
    desk.run(volume())
    error = desk.refuse(volume(size=4))
    assert "answered 413: gigabytes quota exceeded" in error["cause"]
    assert "raise it" in error["mend"]


def test_a_type_that_needs_a_migration_says_so(desk: Desk) -> None:
    types = {"volume_types": ["ssd"]}
    desk.run({**types, **volume()})
    desk.cloud.fail_next["retype"] = 1
    error = desk.refuse({**types, **volume(type="ssd")})
    assert "the retype was refused: it still has type __DEFAULT__" in error["cause"]
    assert "retype_migration: on-demand" in error["mend"]
    done = desk.run({**types, **volume(type="ssd", retype_migration="on-demand")})
    assert done["changes"] == ["update volume data: type __DEFAULT__ -> ssd"]


def test_a_volume_that_failed_is_made_anew_by_its_owner(desk: Desk) -> None:
    desk.cloud.fail_next["volume"] = 1
    # the state alone does not say why
    assert (
        "became error: schedule allocate volume: Could not find any available weighted backend"
        in desk.refuse(volume())["cause"]
    )
    assert desk.run(volume())["changes"] == ["replace volume data (it failed when it was made, state error)"]
    assert desk.one("volume", name="data")["status"] == "available"


def test_a_volume_in_use_is_not_removed(desk: Desk) -> None:
    desk.run(volume())
    desk.one("volume", name="data")["status"] = "in-use"
    error = desk.refuse(volume(), state="absent")
    assert "but is in-use" in error["cause"]


def test_a_volume_on_its_way_back_is_waited_for(desk: Desk) -> None:
    desk.run(volume())
    found = desk.one("volume", name="data")
    found |= {"status": "detaching", "_settle": [2, "status", "available"]}
    desk.run(volume(), state="absent")
    assert desk.cloud.all("volume") == []


def test_copies_are_made_in_order(desk: Desk) -> None:
    wanted = {
        "volumes": [{"name": "copy", "source": "data"}, {"name": "back", "snapshot": "snap", "size": 3}, DATA],
        "snapshots": [{"name": "snap", "volume": "data"}],
    }
    desk.cloud.polls_until_ready = 1
    desk.run(wanted)
    assert (desk.one("volume", name="copy")["size"], desk.one("volume", name="back")["size"]) == (2, 3)
    assert desk.run(wanted)["changes"] == []


def test_the_snapshot_of_an_attached_volume_needs_no_force(desk: Desk) -> None:
    desk.run(volume())
    desk.one("volume", name="data")["status"] = "in-use"
    snapshot = {"snapshots": [{"name": "snap", "volume": "data"}]}
    assert desk.run(snapshot)["changes"] == ["create snapshot snap"]
    backup = {"name": "b", "volume": "data"}
    assert "must be available" in desk.refuse({"backups": [backup]})["cause"]
    assert desk.run({"backups": [{**backup, "force": True}]})["changes"] == ["create backup b"]


@pytest.mark.parametrize("polls", [0, 1, 3])
def test_all_that_is_made_of_one_volume_waits_for_its_turn(desk: Desk, polls: int) -> None:
    desk.cloud.polls_until_ready = polls
    wanted = {
        "volumes": [{"name": "data", "size": 1}, {"name": "copy", "source": "data"}],
        "backups": [{"name": "one", "volume": "data"}, {"name": "two", "volume": "data"}],
        "snapshots": [{"name": "one", "volume": "data"}, {"name": "two", "volume": "data"}],
    }
    assert len(desk.run(wanted)["changes"]) == 6
    assert desk.run(wanted)["changes"] == []


def test_the_reason_of_a_failed_backup_has_no_trace(desk: Desk) -> None:
    wanted = {**volume(), "backups": [{"name": "b", "volume": "data"}]}
    desk.run(wanted)
    desk.one("backup").update(status="error", fail_reason="no room\nTraceback (")
    assert desk.run(wanted)["changes"] == ["replace backup b (it failed when it was made, state error: no room)"]


def test_what_cannot_be_made_of_a_volume_is_told_at_once(desk: Desk) -> None:
    desk.run(volume())
    desk.one("volume", name="data")["status"] = "error"
    error = desk.refuse({"snapshots": [{"name": "s", "volume": "data"}]})
    assert "current status is: error" in error["cause"]
    assert len([call for call in desk.cloud.writes() if call.type == "snapshot"]) == 1


def test_the_encryption_of_a_type_is_exported(desk: Desk) -> None:
    wanted = {"provider": "luks", "key_size": 256, "control_location": "front-end"}
    desk.run({"volume_types": [{"name": "secret", "encryption": wanted}, "plain"]})
    found = Exporter(Cloud(desk.login), Choice(types=frozenset({"volume_type"}))).export()
    assert found.document["volume_types"] == [
        {"name": "plain", "public": True},
        {"name": "secret", "public": True, "encryption": wanted},
    ]
    assert desk.run(found.document)["changes"] == []


def test_a_type_in_use_keeps_its_specs(desk: Desk) -> None:
    desk.run({"volume_types": ["ssd"], **volume(type="ssd")})
    error = desk.refuse({"volume_types": [{"name": "ssd", "extra_specs": {"a": "b"}}]})
    assert "Volume Type is currently in use" in error["cause"]


def test_encryption_of_a_type_is_taken_back(desk: Desk) -> None:
    luks = {"provider": "luks", "key_size": 256}
    desk.run({"volume_types": [{"name": "secret", "encryption": luks}]})
    assert desk.one("volume_type", name="secret")["_encryption"]["control_location"] == "front-end"
    plain = {"volume_types": [{"name": "secret", "encryption": {}}]}
    assert desk.run(plain)["changes"] == ["update volume type secret: encryption {'provider': 'luks'} -> {}"]
    assert desk.run(plain)["changes"] == []


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        (volume(size=None), "volumes[0].size", "'size' is missing"),
        (volume(size=0), "volumes[0].size", "less than 1 GiB"),
        (volume(image="debian", source="x"), "volumes[0].source", "one source"),
        ({"volume_types": [{"name": "t", "access": ["admin"]}]}, "volume_types[0].access", "public type"),
        (
            {"volume_types": [{"name": "t", "encryption": {"cypher": "x"}}]},
            "volume_types[0].encryption.cypher",
            "Known",
        ),
        ({"volume_types": [{"name": "t", "encryption": {"cipher": "x"}}]}, "volume_types[0].encryption", "provider"),
        ({"flavors": [{"name": "f", "ram": 0, "vcpus": 1}]}, "flavors[0].ram", "0 is less than 1"),
        ({"flavors": [{"name": "f", "ram": 1, "vcpus": 1, "access": ["admin"]}]}, "flavors[0].access", "public flavor"),
        (
            {"keypairs": [{"name": "k", "public_key": "-----BEGIN PRIVATE KEY-----"}]},
            "keypairs[0].public_key",
            "private",
        ),
        ({"keypairs": [{"name": "k", "public_key": "AAAA"}]}, "keypairs[0].public_key", "a type and a text"),
        (
            {"server_groups": [{"name": "g", "policy": "affinity", "max_servers_per_host": 1}]},
            "server_groups[0].max_servers_per_host",
            "only with the policy anti-affinity",
        ),
        ({"object_containers": ["a/b"]}, "object_containers[0].name", "no name of a container"),
        ({"objects": [{"name": "o", "container": "c"}]}, "objects[0]", "Exactly one of file and content"),
        (
            {"object_containers": [{"name": "c", "metadata": {"a_b": "x"}}]},
            "object_containers[0].metadata.a_b",
            "Write a-b.",
        ),
        ({"object_accounts": [{"metadata": {"a b": "x"}}]}, "object_accounts[0].metadata.a b", "no key of metadata"),
        (
            {"objects": [{"name": "o", "container": "c", "content": "", "metadata": {"a": "x "}}]},
            "objects[0].metadata.a",
            "no blanks around it",
        ),
        ({"object_accounts": [{"state": "absent"}]}, "object_accounts[0].state", "cannot be removed"),
    ],
)
def test_wrong_entries_are_refused_before_any_change(desk: Desk, document: Any, path: str, words: str) -> None:
    error = desk.refuse(document)
    assert error["path"] == path
    assert words in f"{error['cause']} {error['mend']}"
    assert desk.cloud.writes() == []


# The object store ----------------------------------------------------------------------------------------------------


def test_a_file_is_stored_whole_and_compared_by_its_checksum(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "site.tar"
    file.write_bytes(b"x" * 3000000)
    wanted = {"object_containers": ["c"], "objects": [{"name": "site", "container": "c", "file": str(file)}]}
    desk.run(wanted)
    assert desk.one("object", name="site")["bytes"] == 3000000
    assert desk.run(wanted)["changes"] == []
    file.write_bytes(b"y")
    assert desk.run(wanted)["plan"][0]["before"]["file"].startswith("md5 ")
    file.unlink()
    error = desk.refuse(wanted)
    assert (error["path"], "No such file" in error["cause"]) == ("objects[0].file", True)
    desk.run({"objects": [{**wanted["objects"][0], "state": "absent"}]})
    assert desk.refuse(wanted)["cause"] == f"There is no file {file}."


def test_a_change_of_data_keeps_what_the_document_leaves_out(desk: Desk) -> None:
    entry = {"name": "a", "container": "c", "content": "1", "metadata": {"k": "v"}, "content_type": "text/css"}
    desk.run({"object_containers": ["c"], "objects": [entry]})
    desk.one("object", name="a")["headers"]["x-delete-at"] = "99"
    desk.run({"objects": [{"name": "a", "container": "c", "content": "2"}]})
    desk.run({"objects": [{"name": "a", "container": "c", "content": "2", "content_type": "text/html"}]})
    found = desk.one("object", name="a")
    assert found["data"] == b"2"
    assert found["headers"] == {"x-object-meta-k": "v", "x-delete-at": "99"}


def test_data_that_were_damaged_on_the_way_are_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "_digest", lambda values: "0" * 32)
    error = desk.refuse({"object_containers": ["c"], "objects": [{"name": "a", "container": "c", "content": "1"}]})
    assert "answered 422: The ETag does not match the data." in error["cause"]


def test_what_the_service_writes_otherwise_is_no_change(desk: Desk) -> None:
    held = {"name": "c", "read_acl": ".referrer:*, .rlistings", "metadata": {"Own": "x", "none": ""}, "versions": True}
    entry = {
        "name": "o",
        "container": "c",
        "content": "1",
        "content_type": "text/plain; charset=utf-8",
        "metadata": {"none": ""},
    }
    plain = {"name": "p", "container": "c", "content": "1", "content_type": "text/plain; charset=utf-8"}
    wanted = {"object_containers": [held], "objects": [entry, plain]}
    desk.run(wanted)
    assert desk.one("container")["headers"]["x-container-read"] == ".r:*,.rlistings"
    assert desk.run(wanted)["changes"] == []


def test_earlier_versions_of_objects_go_with_their_container(desk: Desk) -> None:
    entry = {"name": "o", "container": "c"}
    for content in ("1", "2"):
        desk.run({"object_containers": [{"name": "c", "versions": True}], "objects": [{**entry, "content": content}]})
    desk.run({"objects": [{**entry, "content": "2"}]}, state="absent")
    assert "earlier versions" in desk.refuse({"object_containers": ["c"]}, state="absent")["cause"]
    desk.run({"object_containers": [{"name": "c", "purge": True}]}, state="absent")
    assert desk.cloud.all("container") == desk.cloud.all("object") == []


def test_a_container_is_removed_with_its_objects_only_with_leave(desk: Desk) -> None:
    desk.run({"object_containers": ["c"]})
    container = desk.one("container", name="c")
    for number in range(3):
        desk.cloud.put(
            "object", container=container["id"], name=f"o {number}", bytes=0, hash="", content_type="", last_modified=""
        )
    error = desk.refuse({"object_containers": [{"name": "c", "state": "absent"}]})
    assert "it holds objects" in error["cause"] and "purge: true" in error["mend"]
    desk.run({"object_containers": [{"name": "c", "state": "absent", "purge": True}]})
    assert desk.cloud.all("container") == desk.cloud.all("object") == []


def test_long_listings_are_followed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "PAGE", 2)
    monkeypatch.setattr(compute, "GROUP_PAGE", 2)
    desk.cloud.page_size = 2
    wanted = {
        "object_containers": [f"c{n}" for n in range(5)],
        "objects": [{"name": f"o{n}", "container": "c0", "content": "x"} for n in range(5)],
        "server_groups": [{"name": f"g{n}", "policy": "affinity"} for n in range(5)],
        "keypairs": [{"name": f"k{n}", "public_key": "ssh-ed25519 AAAA"} for n in range(5)],
        "volumes": [{"name": f"v{n}", "size": 1} for n in range(5)],
        "zones": [{"name": f"z{n}.org.", "email": "a@b.org"} for n in range(5)],
        "images": [{"name": f"i{n}", "visibility": "private"} for n in range(5)],
    }
    desk.run(wanted)
    assert desk.run(wanted)["changes"] == []


def test_the_account_keeps_what_others_set(desk: Desk) -> None:
    account = f"AUTH_{desk.cloud.admin_project}"
    desk.cloud.extra["accounts"] = {account: {"x-account-meta-foreign": "1", "x-account-meta-old": "1"}}
    wanted = {
        "object_accounts": [{"metadata": {"Team": "web", "old": None}, "temp_url_key": "Key-1", "quota_bytes": 9}]
    }
    result = desk.run(wanted)
    held = desk.cloud.extra["accounts"][account]
    assert held == {
        "x-account-meta-foreign": "1",
        "x-account-meta-team": "web",
        "x-account-meta-temp-url-key": "Key-1",
        "x-account-meta-quota-bytes": "9",
    }
    assert "Key-1" not in json.dumps(result)
    assert desk.run(wanted)["changes"] == []
    assert desk.run(wanted, state="absent")["changes"] == []


# Other projects ------------------------------------------------------------------------------------------------------


def test_what_belongs_to_another_project_is_made_and_found_there(desk: Desk) -> None:
    shop = desk.cloud.put("project", name="shop", domain_id="default", parent_id="default")["id"]
    desk.cloud.grant("member", desk.cloud.admin_user, project=shop)
    wanted: dict[str, Any] = {
        "volumes": [{**DATA, "project": "shop"}, DATA],
        "server_groups": [{"name": "g", "policy": "affinity", "project": "shop"}],
        "object_containers": [{"name": "c", "project": "shop", "read_acl": ".r:*"}],
        "objects": [{"name": "o", "container": "c", "content": "1", "project": "shop"}],
        "servers": [{"name": "s", "flavor": "small", "image": "debian", "networks": [], "project": "shop"}],
        "zones": [{"name": "shop.org.", "email": "a@shop.org", "project": "shop"}],
        "recordsets": [
            {"name": "shop.org.", "type": "A", "zone": "shop.org.", "records": ["192.0.2.1"], "project": "shop"}
        ],
        "stacks": [{"name": "st", "template": {"heat_template_version": "2018-08-31"}, "project": "shop"}],
    }
    desk.run(wanted)
    assert {v["os-vol-tenant-attr:tenant_id"] for v in desk.cloud.all("volume")} == {shop, desk.cloud.admin_project}
    assert desk.one("server")["tenant_id"] == desk.one("stack")["project"] == desk.one("zone")["project_id"] == shop
    assert desk.one("container")["account"] == f"AUTH_{shop}"
    assert desk.run(wanted)["changes"] == []
    pruned = desk.run({"projects": ["shop"]}, prune="owned")
    assert len(pruned["changes"]) == 9
    assert desk.cloud.all("volume") == desk.cloud.all("object") == desk.cloud.all("server") == []


def test_objects_whose_identifiers_are_names_are_told_apart(desk: Desk) -> None:
    wanted = {
        "regions": ["same"],
        "keypairs": [{"name": "same", "public_key": "ssh-ed25519 AAAA"}],
        "object_containers": ["same"],
    }
    desk.run(wanted)
    assert len(desk.run({}, prune="owned")["changes"]) == 3
    assert (
        not desk.cloud.find("region", id="same") and not desk.cloud.all("keypair") and not desk.cloud.all("container")
    )


def test_a_project_without_a_role_is_told(desk: Desk) -> None:
    desk.cloud.put("project", name="shop", domain_id="default", parent_id="default")
    error = desk.refuse({"volumes": [{**DATA, "project": "shop"}]})
    assert error["path"] == "volumes[0]"
    assert "Give the login's user a role in that project" in error["mend"]


@pytest.mark.parametrize(
    ("document", "service"),
    [
        (volume(), "block-storage"),
        ({"images": [{"name": "i"}]}, "image"),
        ({"flavors": [{"name": "f", "ram": 1, "vcpus": 1}]}, "compute"),
        ({"stacks": [{"name": "s", "template": {}}]}, "orchestration"),
        ({"object_containers": ["c"]}, "object-store"),
        ({"zones": [{"name": "a.org.", "email": "x@a.org"}]}, "dns"),
    ],
)
def test_what_the_cloud_does_not_offer_is_refused_before_any_change(desk: Desk, document: Any, service: str) -> None:
    for kind in list(desk.cloud.all("service")):
        if kind["type"] in (service, "volumev3"):
            desk.cloud.objects["service"].pop(kind["id"])
            for endpoint in desk.cloud.find("endpoint", service_id=kind["id"]):
                desk.cloud.objects["endpoint"].pop(endpoint["id"])
    error = desk.refuse({"projects": ["new"], **document})
    assert f"offers no service of type {service}" in error["cause"]
    assert error["path"].startswith(next(iter(document)))
    assert desk.cloud.writes() == []


def test_a_type_is_complete_before_a_volume_of_it_is_made(desk: Desk) -> None:
    kind = {"name": "gold", "extra_specs": {"tier": "one"}, "encryption": {"provider": "luks"}, "qos": "fast"}
    desk.run({
        "volume_qos_specs": [{"name": "fast", "specs": {"total_iops_sec": 5}}],
        "volume_types": [kind],
        "volumes": [{**DATA, "type": "gold"}],
    })  # fmt: skip
    made = [
        call.path.rsplit("/", 1)[-1] for call in desk.cloud.calls if call.service == "volume" and call.method != "GET"
    ]
    assert made[-1] == "volumes" and {"extra_specs", "encryption"} < set(made)
