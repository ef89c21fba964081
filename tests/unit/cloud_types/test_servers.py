"""Servers: what can go wrong while one is made or changed, and what each change does to it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Login

from .conftest import KEY, LAN, WAN, Desk

WEB: dict[str, Any] = {"name": "web", "flavor": "small", "image": "debian", "networks": [{"network": LAN}]}


def document(**more: Any) -> dict[str, Any]:
    return {"servers": [{**WEB, **more}]}


def test_a_server_that_fails_is_reported_with_its_fault_and_made_anew_by_its_owner(desk: Desk) -> None:
    desk.cloud.polls_until_ready = 1
    desk.cloud.fail_next["server"] = 1
    error = desk.refuse(document())
    assert (error["path"], error["resource"]) == ("servers[0]", "server web")
    assert "its state became error: No valid host was found." in error["cause"]
    again = desk.run(document())
    assert again["changes"] == [
        "replace server web (it failed when it was made, state ERROR: No valid host was found.)"
    ]
    assert desk.one("server", name="web")["status"] == "ACTIVE"


def test_a_failed_server_of_unknown_origin_needs_leave(desk: Desk) -> None:
    desk.cloud.fail_next["server"] = 1
    desk.refuse(document(), owner="")
    error = desk.refuse(document(), owner="")
    assert error["cause"].startswith("It failed when it was made, state ERROR: No valid host")
    assert "replace: true" in error["mend"]
    assert desk.cloud.writes() == []
    assert desk.run(document(), owner="", replace=True)["changed"]


def test_a_server_that_ran_and_broke_is_never_made_anew_without_leave(desk: Desk) -> None:
    desk.run(document())
    desk.one("server", name="web")["status"] = "ERROR"
    error = desk.refuse(document())
    assert error["cause"] == "It is in state ERROR: No valid host was found."
    assert desk.cloud.writes() == []


def test_a_server_that_takes_too_long_is_reported_and_a_rerun_finishes(desk: Desk) -> None:
    desk.cloud.polls_until_ready = 10**9
    error = desk.refuse(document(power="stopped"), timeout=0.05)
    assert "still in state build after 0 seconds, not ACTIVE" in error["cause"]
    assert "Raise the option timeout" in error["mend"]
    desk.one("server", name="web")["_settle"][0] = 1
    desk.cloud.polls_until_ready = 0
    assert desk.run(document(power="stopped"))["changes"] == ["update server web: power build -> stopped"]
    assert desk.one("server", name="web")["status"] == "SHUTOFF"


def test_a_server_is_placed_on_the_host_that_is_named(desk: Desk) -> None:
    desk.run(document(host="compute-2"))
    assert desk.one("server", name="web")["OS-EXT-SRV-ATTR:host"] == "compute-2"
    assert not desk.run(document(host="compute-1"))["changed"]
    error = desk.refuse({"servers": [{**WEB, "name": "other", "host": "compute-7"}]})
    assert "Compute host compute-7 could not be found" in error["cause"]


def test_used_up_quota_is_told_as_such(desk: Desk) -> None:
    desk.cloud.extra["compute_quotas"] = {desk.cloud.admin_project: {"cores": 0}}
    error = desk.refuse(document())
    assert "answered 403: Quota exceeded for cores" in error["cause"]
    assert "raise it" in error["mend"]


def test_a_resize_keeps_the_server(desk: Desk) -> None:
    desk.cloud.polls_until_ready = 1
    first = desk.run(document())["ids"]["servers"]["web"]
    desk.run(document(flavor="big"))
    server = desk.one("server", name="web")
    assert (server["id"], server["status"], server["flavor"]["id"]) == (first, "ACTIVE", "big")


@pytest.mark.parametrize("power", ["paused", "suspended", "shelved"])
@pytest.mark.parametrize("change", [{"flavor": "big"}, {"image": "alpine", "rebuild": True}], ids=["resize", "rebuild"])
def test_a_server_that_takes_no_change_as_it_stands_goes_back_to_where_it_was(
    desk: Desk, power: str, change: dict[str, Any]
) -> None:
    desk.run(document(power=power))
    status = desk.one("server", name="web")["status"]
    desk.run(document(**change))
    assert desk.one("server", name="web")["status"] == status != "ACTIVE"
    assert not desk.run(document(power=power, **change))["changed"]
    desk.run(document(power="started", **change))
    assert desk.one("server", name="web")["status"] == "ACTIVE"


def test_a_resize_without_room_is_an_error(desk: Desk) -> None:
    desk.run(document())
    desk.cloud.fail_next["resize"] = 1
    error = desk.refuse(document(flavor="big"))
    assert "the resize did not take place" in error["cause"]
    desk.run(document(flavor="big"))
    assert desk.one("server", name="web")["flavor"]["id"] == "big"


def test_a_resize_that_was_cut_off_is_confirmed(desk: Desk) -> None:
    desk.run(document())
    desk.cloud.fault(method="POST", path="/action", skip=1, drop="before")
    desk.refuse(document(flavor="big"))
    assert desk.one("server", name="web")["status"] == "VERIFY_RESIZE"
    assert desk.run(document(flavor="big"))["changes"] == ["update server web: flavor big (not confirmed) -> big"]
    assert desk.one("server", name="web")["status"] == "ACTIVE"


def test_another_image_is_refused_unless_a_rebuild_is_allowed(desk: Desk) -> None:
    first = desk.run(document())["ids"]["servers"]["web"]
    error = desk.refuse(document(image="alpine"))
    assert error["cause"].startswith("The image changes only with rebuild: true, which erases the root disk")
    assert error["path"] == "servers[0].image"
    assert desk.run(document(image="alpine", rebuild=True))["changes"] == [
        "update server web: image 00000000-0002-4000-8000-000000000000 -> alpine"
    ]
    assert desk.one("server", name="web")["id"] == first


def test_key_and_user_data_come_with_a_rebuild(desk: Desk) -> None:
    keys = {"keypairs": [{"name": "me", "public_key": KEY}, {"name": "you", "public_key": KEY}]}
    desk.run({**keys, **document(keypair="me", user_data="one", admin_password="Pass-1")})
    wanted = {**keys, **document(keypair="you", user_data="two", rebuild=True, admin_password="Pass-2")}
    result = desk.run(wanted)
    assert result["changes"] == ["update server web: keypair me -> you, user_data (secret) -> (secret)"]
    assert "Pass-" not in json.dumps(result)
    server = desk.one("server", name="web")
    assert (server["key_name"], server["_user_data"]) == ("you", "dHdv")
    assert desk.run(wanted)["changes"] == []


def test_a_boot_volume_is_made_of_the_image_and_left_alone(desk: Desk) -> None:
    more = {
        "boot_volume_size": 3,
        "boot_volume_keep": True,
        "boot_volume_type": "__DEFAULT__",
        "volumes": [{"volume": "data", "device": "/dev/vdx"}],
    }
    wanted = {"volumes": [{"name": "data", "size": 1}], **document(**more)}
    desk.run(wanted)
    server = desk.one("server", name="web")
    assert server["image"] == ""
    assert [v["delete_on_termination"] for v in server["os-extended-volumes:volumes_attached"]] == [False, False]
    assert desk.run(wanted)["changes"] == []
    without = {"volumes": [{"name": "data", "size": 1}], **document(**{**more, "volumes": []})}
    desk.run(without)
    assert len(server["os-extended-volumes:volumes_attached"]) == 1
    assert desk.one("volume", name="data")["status"] == "available"


def test_a_server_boots_from_a_volume_that_outlives_it(desk: Desk) -> None:
    wanted = {
        "volumes": [{"name": "root", "size": 2, "image": "debian", "bootable": True}],
        "servers": [{"name": "web", "flavor": "small", "boot_volume": "root", "networks": []}],
    }
    desk.cloud.polls_until_ready = 2
    desk.run(wanted)
    assert desk.run(wanted)["changes"] == []
    desk.run({"servers": [{"name": "web", "state": "absent"}]})
    assert desk.one("volume", name="root")["status"] == "available"


def test_a_volume_that_failed_is_not_attached(desk: Desk) -> None:
    desk.run({"volumes": [{"name": "data", "size": 1}]})
    desk.run(document())
    desk.one("volume", name="data")["status"] = "error_attaching"
    error = desk.refuse(document(volumes=[{"volume": "data"}]))
    assert "its state is error_attaching" in error["cause"]


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        ("stopped", "started", "ACTIVE"),
        ("shelved", "started", "ACTIVE"),
        ("paused", "stopped", "SHUTOFF"),
        ("suspended", "shelved", "SHELVED_OFFLOADED"),
        ("stopped", "shelved", "SHELVED_OFFLOADED"),
        ("shelved", "paused", "PAUSED"),
        ("started", "suspended", "SUSPENDED"),
    ],
)
def test_power_goes_from_any_state_to_any(desk: Desk, before: str, after: str, status: str) -> None:
    desk.cloud.polls_until_ready = 1
    desk.run(document(power=before))
    assert desk.run(document(power=after))["changes"] == [f"update server web: power {before} -> {after}"]
    assert desk.one("server", name="web")["status"] == status
    assert desk.run(document(power=after))["changes"] == []


def test_a_rescued_server_is_started(desk: Desk) -> None:
    desk.run(document())
    desk.one("server", name="web")["status"] = "RESCUE"
    desk.run(document(power="started"))
    assert desk.one("server", name="web")["status"] == "ACTIVE"


def test_a_locked_server_is_changed_and_stays_locked(desk: Desk) -> None:
    desk.run(document(locked=True))
    member = desk.cloud.put("user", name="eve", domain_id="default", _password="pw")["id"]
    desk.cloud.grant("member", member, project=desk.cloud.admin_project)
    auth = {**desk.cloud.login["auth"], "username": "eve", "password": "pw"}
    desk.login = Login(auth=auth, auth_type="password", region_name=desk.cloud.region)
    desk.run(document(power="stopped"))
    server = desk.one("server", name="web")
    assert (server["status"], server["locked"]) == ("SHUTOFF", True)
    # Only administrators are told the user data: what is not told is not compared.
    assert desk.run(document(power="stopped", user_data="x"))["changes"] == []
    desk.run(document(), state="absent")
    assert desk.cloud.all("server") == []


def test_interfaces_follow_the_document(desk: Desk) -> None:
    port = desk.cloud.put("port", network_id=WAN, name="p", project_id=desk.cloud.admin_project, status="DOWN",
                          fixed_ips=[{"ip_address": "10.1.0.9", "subnet_id": "x"}], mac_address="fa:16:3e:00:00:01",
                          id="00000000-0000-4000-8000-0000000000aa")  # fmt: skip
    desk.run(document())
    wanted = document(networks=[{"network": LAN}, {"port": port["id"]}, {"network": LAN, "fixed_ip": "10.0.0.77"}])
    done = desk.run(wanted)
    assert done["plan"][0]["after"]["networks"][2] == {"network": "lan", "fixed_ip": "10.0.0.77"}
    assert port["device_id"] == desk.one("server", name="web")["id"]
    assert desk.run(wanted)["changes"] == []
    desk.run(document())
    assert port["device_id"] == ""
    assert len(desk.cloud.find("port", network_id=LAN)) == 1


def test_security_groups_are_added_and_taken(desk: Desk) -> None:
    first = desk.cloud.put("security_group", name="one", id="00000000-0000-4000-8000-0000000000c1",
                           project_id=desk.cloud.admin_project)["id"]  # fmt: skip
    other = desk.cloud.put("security_group", name="two", id="00000000-0000-4000-8000-0000000000c2",
                           project_id=desk.cloud.admin_project)["id"]  # fmt: skip
    desk.run(document(security_groups=[first]))
    (port,) = desk.cloud.find("port", network_id=LAN)
    port["security_groups"] = [first]
    done = desk.run(document(security_groups=[other]))
    assert done["plan"][0]["after"] == {"security_groups": ["two"]}
    assert [call.path for call in desk.cloud.writes()] == [f"/network/v2.0/ports/{port['id']}"]
    assert port["security_groups"] == [other]


def test_without_waiting_the_answer_is_enough(desk: Desk) -> None:
    desk.cloud.polls_until_ready = 10**9
    desk.run(document(), wait=False)
    assert desk.one("server", name="web")["status"] == "BUILD"
    assert desk.run(document(), wait=False)["changes"] == []


@pytest.mark.parametrize(
    ("entry", "path", "words"),
    [
        ({"image": None}, "servers[0]", "There is nothing to boot from."),
        ({"boot_volume": "a", "boot_volume_size": 1}, "servers[0].boot_volume_size", "boots from boot_volume already"),
        ({"boot_volume_keep": True}, "servers[0].boot_volume_keep", "has no boot volume"),
        ({"networks": [{"fixed_ip": "10.0.0.3"}]}, "servers[0].networks[0]", "Exactly one of network and port"),
        ({"networks": [{"port": "p", "fixed_ip": "10.0.0.3"}]}, "servers[0].networks[0].fixed_ip", "its own addresses"),
        ({"tags": ["a/b"]}, "servers[0].tags", "is no tag"),
        ({"power": "of"}, "servers[0].power", "'of' is not one of"),
        ({"flavor": "smal"}, "servers[0].flavor", "Did you mean 'small'?"),
        ({"image": "debain"}, "servers[0].image", "Did you mean 'debian'?"),
        ({"keypair": "me"}, "servers[0].keypair", "There is no keypair 'me'"),
    ],
)
def test_wrong_entries_are_refused_before_any_change(desk: Desk, entry: Any, path: str, words: str) -> None:
    error = desk.refuse(document(**entry))
    assert error["path"] == path
    assert words in f"{error['cause']} {error['mend']}"
    assert desk.cloud.writes() == []


def test_a_cloud_of_many_servers_is_asked_once_for_each_type(desk: Desk) -> None:
    desk.cloud.extra["compute_quotas"] = {desk.cloud.admin_project: {"instances": -1}}
    servers = [{**WEB, "name": f"web-{n}", "power": "started"} for n in range(12)]
    desk.run({"servers": servers})
    again = desk.run({"servers": servers})
    assert again["changes"] == []
    # Login, flavors, images, networks, servers, ports.
    assert again["calls"] <= 6


def test_a_server_and_all_that_it_stands_on_come_and_go_in_one_document(desk: Desk) -> None:
    desk.cloud.polls_until_ready = 2
    wanted = {
        "servers": [
            {
                "name": "web",
                "flavor": "tiny",
                "image": "debian",
                "keypair": "me",
                "networks": [{"port": "front"}, {"network": "back"}],
                "volumes": [{"volume": "data"}],
                "server_group": "apart",
            }
        ],
        "ports": [{"name": "front", "network": "front", "security_groups": ["web"]}],
        "networks": ["front", "back"],
        "subnets": [
            {"name": "front", "network": "front", "cidr": "10.7.0.0/24"},
            {"name": "back", "network": "back", "cidr": "10.8.0.0/24"},
        ],
        "security_groups": ["web"],
        "flavors": [{"name": "tiny", "ram": 64, "vcpus": 1, "extra_specs": {"hw:watchdog_action": "reset"}}],
        "keypairs": [{"name": "me", "public_key": KEY}],
        "volumes": [{"name": "data", "size": 1}],
        "server_groups": [{"name": "apart", "policy": "anti-affinity"}],
    }
    planned = desk.run(wanted, check=True)
    desk.cloud.fault(method="POST", path="os-extra_specs", delay=0.3)
    assert desk.run(wanted)["changes"] == planned["changes"]
    posted = [call.path.rsplit("/", 1)[-1] for call in desk.cloud.calls if call.method == "POST"]
    assert posted.index("os-extra_specs") < posted.index("servers")
    server = desk.one("server", name="web")
    assert desk.one("port", name="front")["device_id"] == server["id"]
    assert len(desk.cloud.find("port", device_id=server["id"])) == 2
    assert desk.run(wanted)["changes"] == []
    assert len(desk.run({"roles": ["reader"]}, prune="owned")["changes"]) == 11
    assert desk.cloud.all("server") == desk.cloud.find("network", name="back") == desk.cloud.all("volume") == []
