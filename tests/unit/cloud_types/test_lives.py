"""What every type promises: made as planned, unchanged after, changed in place or anew, pruned by its owner,
removed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_PLURAL, TYPES

from .conftest import KEY, LAN, WAN, Desk


@dataclass
class Life:
    """One type: an entry, what is changed in place and what only anew, what it stands on, and another's object of its
    name."""

    plural: str
    entry: dict[str, Any]
    change: dict[str, Any] = field(default_factory=dict)
    anew: dict[str, Any] = field(default_factory=dict)
    needs: dict[str, list[Any]] = field(default_factory=dict)
    stored: str = ""
    foreign: dict[str, Any] = field(default_factory=dict)
    # Requests of a run that finds nothing to do.
    calls: int = 2
    # Whether an export tells of it; the data of objects are no part of a document.
    exported: bool = True

    @property
    def kind(self) -> str:
        """The simulator's name of the type."""
        return self.stored or BY_PLURAL[self.plural].name

    @property
    def title(self) -> str:
        """What messages call it."""
        identity = BY_PLURAL[self.plural].identity
        return " ".join(str(self.entry[key]) for key in identity if key in self.entry)

    @property
    def label(self) -> str:
        """Type and title."""
        return f"{BY_PLURAL[self.plural].name.replace('_', ' ')} {self.title}"

    def document(self, **more: Any) -> dict[str, list[Any]]:
        return {**self.needs, self.plural: [{**self.entry, **more}]}


VOLUME = {"volumes": [{"name": "data", "size": 1}]}
LIVES = [
    Life(
        "flavors",
        {
            "name": "f",
            "ram": 512,
            "vcpus": 1,
            "disk": 2,
            "extra_specs": {"hw:cpu_policy": "dedicated", "quota:x": 1},
            "public": False,
            "access": ["admin"],
            "rxtx_factor": 2,
        },
        {"description": "Small", "extra_specs": {"hw:cpu_policy": "shared"}, "access": ["service"]},
        {"ram": 1024},
        foreign={"name": "other", "ram": 1, "vcpus": 1, "_access": set()},
        calls=4,
    ),
    Life(
        "keypairs",
        {"name": "k", "public_key": f"{KEY} me@here"},
        {},
        {"public_key": KEY.replace("Dumm", "Donn")},
        foreign={"id": "x/other", "name": "other", "user_id": "x", "public_key": KEY},
    ),
    Life(
        "aggregates",
        {"name": "a", "availability_zone": "east", "hosts": ["compute-1"], "metadata": {"ssd": True, "rack": "1"}},
        {"availability_zone": "west", "hosts": ["compute-2"], "metadata": {"ssd": "false"}},
        foreign={"name": "other"},
    ),
    Life(
        "server_groups",
        {"name": "g", "policy": "anti-affinity", "max_servers_per_host": 2},
        {},
        {"max_servers_per_host": 3},
        foreign={"name": "other", "policy": "affinity", "project_id": "x"},
    ),
    Life(
        "volume_qos_specs",
        {"name": "q", "consumer": "front-end", "specs": {"read_iops_sec": 100, "write_iops_sec": 50}},
        {"consumer": "both", "specs": {"read_iops_sec": 200}},
        foreign={"name": "other"},
    ),
    Life(
        "volume_types",
        {
            "name": "t",
            "public": False,
            "access": ["admin"],
            "extra_specs": {"volume_backend_name": "a", "b": "c"},
            "encryption": {"provider": "luks", "cipher": "aes-xts-plain64", "key_size": 256},
            "qos": "fast",
        },
        {
            "description": "Fast",
            "extra_specs": {"volume_backend_name": "b"},
            "access": ["service"],
            "encryption": {"provider": "luks", "key_size": 512},
            "qos": "slow",
        },
        needs={"volume_qos_specs": [{"name": "fast", "specs": {"x": 1}}, {"name": "slow", "specs": {"x": 2}}]},
        foreign={"name": "other", "_access": set()},
        calls=6,
    ),
    Life(
        "volumes",
        {"name": "v", "size": 2, "type": "__DEFAULT__", "metadata": {"a": "1", "b": "2"}, "bootable": True},
        {"size": 3, "type": "ssd", "description": "Data", "metadata": {"a": 2}, "bootable": False, "read_only": True},
        {"availability_zone": "east"},
        needs={"volume_types": ["ssd"]},
        foreign={"name": "v", "os-vol-tenant-attr:tenant_id": "x"},
        calls=3,
    ),
    Life(
        "snapshots",
        {"name": "s", "volume": "data", "metadata": {"a": "1"}},
        {"description": "Before", "metadata": {"b": "2"}},
        {"volume": "more"},
        needs={"volumes": [*VOLUME["volumes"], {"name": "more", "size": 1}]},
        calls=3,
        foreign={"name": "s", "volume_id": "x", "os-extended-snapshot-attributes:project_id": "x"},
    ),
    Life(
        "backups",
        {"name": "b", "volume": "data", "metadata": {"a": "1"}, "incremental": False},
        {"description": "Before", "metadata": {"b": "2"}},
        {"volume": "more"},
        needs={"volumes": [*VOLUME["volumes"], {"name": "more", "size": 1}]},
        calls=3,
        foreign={"name": "b", "volume_id": "x", "os-backup-project-attr:project_id": "x"},
    ),
    Life(
        "images",
        {
            "name": "i",
            "disk_format": "raw",
            "url": "http://127.0.0.1:9/i",
            "download": "cloud",
            "visibility": "shared",
            "members": ["service"],
            "properties": {"hw_disk_bus": "scsi", "os_distro": "debian"},
            "tags": ["a"],
            "min_ram": 64,
        },
        {
            "min_disk": 1,
            "hidden": True,
            "protected": False,
            "members": [],
            "tags": ["b", "c"],
            "properties": {"hw_disk_bus": None, "os_distro": "alpine", "hw_rng_model": "virtio"},
        },
        {"url": "http://127.0.0.1:9/j"},
        foreign={"name": "other", "owner": "x"},
        calls=4,
    ),
    Life(
        "servers",
        {
            "name": "s",
            "flavor": "small",
            "image": "debian",
            "networks": [
                {"network": LAN, "tag": "inner"},
                {"network": WAN, "fixed_ips": [{"ip_address": "10.1.0.20"}, {"ip_address": "10.1.0.21"}]},
                {"network": LAN, "port_security": False},
            ],
            "keypair": "me",
            "user_data": "#!/bin/sh\n",
            "metadata": {"role": "web", "x": "y"},
            "tags": ["a"],
            "volumes": [{"volume": "data"}],
            "power": "started",
            "config_drive": False,
            "availability_zone": "nova",
            "server_group": "g",
            "hostname": "web",
            "trusted_image_certificates": ["c"],
        },
        {
            "flavor": "big",
            "description": "Web",
            "metadata": {"role": "db"},
            "tags": ["b"],
            "locked": True,
            "power": "stopped",
            "hostname": "db",
            "networks": [
                {"network": WAN, "fixed_ip": "10.1.0.50", "tag": "outer"},
                {"network": WAN, "fixed_ips": [{"ip_address": "10.1.0.21"}], "security_groups": ["apart"]},
            ],
            "volumes": [{"volume": "more"}],
        },
        {"keypair": "you"},
        needs={
            "keypairs": [{"name": "me", "public_key": KEY}, {"name": "you", "public_key": KEY}],
            "volumes": [*VOLUME["volumes"], {"name": "more", "size": 1}],
            "server_groups": [{"name": "g", "policy": "affinity"}],
            "security_groups": ["apart"],
        },
        foreign={"name": "s", "tenant_id": "x", "flavor": {"id": "small"}},
        calls=10,
    ),
    Life(
        "object_containers",
        {
            "name": "c",
            "read_acl": ".r:*",
            "metadata": {"Color": "red", "size": 3},
            "quota_bytes": 1000,
            "temp_url_key": "k1",
        },
        {
            "read_acl": "",
            "write_acl": "web:alice",
            "metadata": {"color": "blü"},
            "quota_bytes": -1,
            "quota_objects": 5,
            "versions": True,
            "temp_url_key": "",
        },
        stored="container",
        foreign={"name": "c", "account": "AUTH_x", "headers": {}},
        calls=3,
    ),
    Life(
        "objects",
        {
            "name": "a/b c.txt",
            "container": "c",
            "content": "one",
            "content_type": "text/plain",
            "metadata": {"color": "red"},
        },
        {"content": "two", "metadata": {"color": "blue"}},
        needs={"object_containers": ["c", "d"]},
        foreign={"name": "a/b c.txt", "container": "x"},
        calls=4,
        exported=False,
    ),
    Life(
        "zones",
        {"name": "example.org.", "email": "a@example.org", "ttl": 300},
        {"email": "b@example.org", "ttl": 600, "description": "Sites"},
        {"type": "SECONDARY", "masters": ["192.0.2.1"]},
        foreign={"name": "example.net.", "project_id": "x", "email": "x"},
    ),
    Life(
        "recordsets",
        {"name": "www.example.org.", "type": "A", "zone": "example.org.", "records": ["192.0.2.1", "192.0.2.2"]},
        {"records": ["192.0.2.3"], "ttl": 60, "description": "Web"},
        needs={"zones": [{"name": "example.org.", "email": "a@example.org"}]},
        calls=3,
        foreign={
            "name": "www.example.net.",
            "type": "A",
            "project_id": "x",
            "records": [],
            "zone_id": "x",
            "zone_name": "y",
        },
    ),
    Life(
        "stacks",
        {
            "name": "st",
            "parameters": {"size": 1, "big": True, "zones": ["a", "b"]},
            "tags": ["a"],
            "timeout_mins": 5,
            "environment": {"parameter_defaults": {"x": 1}},
            "rollback": True,
            "template": {
                "heat_template_version": "2018-08-31",
                "resources": {},
                "parameters": {
                    "size": {"type": "number"},
                    "big": {"type": "boolean"},
                    "zones": {"type": "comma_delimited_list"},
                },
            },
        },
        {
            "parameters": {"size": 2, "big": False, "zones": ["a"]},
            "tags": ["b"],
            "timeout_mins": 6,
            "rollback": False,
            "environment": {"parameter_defaults": {"x": 2}},
            "template": {
                "heat_template_version": "2018-08-31",
                "resources": {"r": {"type": "OS::Heat::None"}},
                "parameters": {
                    "size": {"type": "number"},
                    "big": {"type": "boolean"},
                    "zones": {"type": "comma_delimited_list"},
                },
            },
        },
        foreign={"stack_name": "st", "project": "x", "stack_status": "CREATE_COMPLETE"},
        calls=6,
    ),
]


@pytest.fixture(params=LIVES, ids=lambda life: life.plural)
def life(request: pytest.FixtureRequest, desk: Desk) -> Life:
    """One type after the other, in a cloud where all takes a while and somebody else has objects, too."""
    life: Life = request.param
    desk.cloud.polls_until_ready = 2
    desk.cloud.put(life.kind, **life.foreign)
    return life


def count(desk: Desk, life: Life) -> int:
    # A zone has records of its own.
    return len([found for found in desk.cloud.all(life.kind) if found.get("type") not in ("SOA", "NS")])


def test_it_is_made_as_planned_and_then_unchanged(desk: Desk, life: Life) -> None:
    before = count(desk, life)
    planned = desk.run(life.document(), check=True)
    assert desk.cloud.writes() == []
    done = desk.run(life.document())
    assert done["changes"] == planned["changes"]
    assert f"create {life.label}" in done["changes"]
    assert count(desk, life) == before + 1
    again = desk.run(life.document())
    assert (again["changes"], desk.cloud.writes()) == ([], [])
    # One request to log in, one for each type or part of it.
    assert again["calls"] <= life.calls


def test_it_is_changed_in_place_as_planned(desk: Desk, life: Life) -> None:
    desk.run(life.document())
    made = desk.run(life.document(), check=True)["ids"][life.plural][life.title]
    if not life.change:
        return
    planned = desk.run(life.document(**life.change), check=True)
    assert desk.cloud.writes() == []
    done = desk.run(life.document(**life.change))
    (change,) = done["plan"]
    assert (change["action"], change["id"]) == ("update", made)
    assert set(change["after"]) == set(change["before"]) == {k for k in life.change if k in change["after"]}
    assert set(life.change) - set(change["after"]) <= {"protected"}
    assert planned["plan"] == done["plan"]
    again = desk.run(life.document(**life.change))
    assert (again["changes"], desk.cloud.writes()) == ([], [])


def test_what_cannot_change_in_place_needs_leave(desk: Desk, life: Life) -> None:
    if not life.anew:
        return
    desk.run(life.document())
    number = count(desk, life)
    error = desk.refuse(life.document(**life.anew))
    assert error["path"] == f"{life.plural}[0].{next(iter(life.anew))}"
    assert "replace: true" in error["mend"]
    assert desk.cloud.writes() == []
    done = desk.run(life.document(**life.anew), replace=True)
    (change,) = done["plan"]
    assert change["action"] == "replace"
    assert change["reason"]
    assert count(desk, life) == number
    assert desk.run(life.document(**life.anew))["changes"] == []


def test_prune_takes_only_its_own(desk: Desk, life: Life) -> None:
    before = count(desk, life)
    desk.run(life.document())
    pruned = desk.run({**life.needs, "roles": ["reader"]}, prune="owned")
    assert [line.split(" (")[0] for line in pruned["changes"]] == [f"delete {life.label}"]
    assert count(desk, life) == before
    assert desk.run({**life.needs, "roles": ["reader"]}, prune="owned")["changes"] == []


def test_it_is_removed_with_all_that_it_stands_on(desk: Desk, life: Life) -> None:
    before = count(desk, life)
    desk.run(life.document())
    planned = desk.run(life.document(), state="absent", check=True)
    assert desk.cloud.writes() == []
    assert desk.run(life.document(), state="absent")["changes"] == planned["changes"]
    assert count(desk, life) == before
    assert desk.run(life.document(), state="absent")["changes"] == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_is_cut_off_is_finished_without_duplicates(desk: Desk, life: Life, when: str) -> None:
    before = count(desk, life)
    desk.run(life.needs)
    skip = 0
    # Cut the connection at one write after the other, until a run comes through.
    while True:
        desk.cloud.fault(method="write", skip=skip, times=0, drop=when)
        _, failure = desk.apply(life.document())
        desk.cloud.heal()
        desk.run(life.document())
        assert count(desk, life) == before + 1
        assert desk.run(life.document())["changes"] == []
        desk.run(life.document(), state="absent")
        desk.run(life.needs)
        assert count(desk, life) == before
        if failure is None:
            break
        assert failure.problems[0].where == f"{life.plural}[0]"
        skip += 1
    assert skip


@pytest.mark.parametrize("status", [400, 409, 413, 500])
def test_a_refusal_names_entry_resource_and_cause(desk: Desk, life: Life, status: int) -> None:
    desk.run(life.needs)
    desk.cloud.fault(method="write", times=0, status=status, message="The disk is full of sand.")
    error = desk.refuse(life.document())
    assert error["path"] == f"{life.plural}[0]"
    assert error["resource"] == life.label
    assert f"answered {status}: The disk is full of sand." in error["cause"]
    desk.cloud.heal()
    desk.run(life.document())


def test_every_type_of_these_services_has_a_life() -> None:
    services = {"compute", "image", "block-storage", "orchestration", "object-store", "dns"}
    named = {life.plural for life in LIVES}
    assert {kind.plural for kind in TYPES if kind.service in services} - named == {"object_accounts"}
