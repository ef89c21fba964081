"""Servers: groups interface by interface, what moves between servers, user data in base64, and what a new one takes
over."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.export import Choice, Exporter, render
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.info import gather, wishes_of
from ansible_collections.stackwright.cloud.tests.reading import read

from .conftest import Desk

WEB = {"security_groups": [{"name": "web", "rules": [{"protocol": "tcp", "port_range_min": 80}]}, "db"]}
BINARY = gzip.compress(b"#cloud-config\n" + bytes(range(256)) * 2, mtime=0)


def server(**more: Any) -> dict[str, Any]:
    return {"servers": [{"name": "u", "flavor": "small", "image": "debian", **more}]}


def groups(desk: Desk, **wanted: Any) -> list[str]:
    names = {group["id"]: group["name"] for group in desk.cloud.all("security_group")}
    return sorted(names[ident] for ident in desk.one("port", **wanted)["security_groups"])


@pytest.mark.parametrize("port", [{}, {"security_groups": ["web"]}])
def test_every_interface_has_the_groups_of_the_server(desk: Desk, port: dict[str, Any]) -> None:
    document = {
        **WEB,
        "ports": [{"name": "bare", "network": "wan", **port}],
        **server(networks=[{"network": "lan"}, {"port": "bare"}], security_groups=["web"]),
    }
    desk.run(document)
    ident = desk.one("server", name="u")["id"]
    assert [groups(desk, id=one["id"]) for one in desk.cloud.find("port", device_id=ident)] == [["web"], ["web"]]
    assert not desk.run(document)["changed"]
    # One that lost its groups, or has others too, is put right.
    for held in ([], [desk.one("security_group", name="db")["id"], desk.one("security_group", name="web")["id"]]):
        desk.one("port", name="bare")["security_groups"] = held
        assert desk.run(document)["changed"]
        assert groups(desk, name="bare") == ["web"]


def test_an_interface_that_comes_later_gets_the_groups(desk: Desk) -> None:
    document = {**WEB, **server(networks=[{"network": "lan"}], security_groups=["web"])}
    desk.run(document)
    document["ports"] = [{"name": "late", "network": "wan"}]
    document["servers"][0]["networks"] = [{"network": "lan"}, {"port": "late"}]
    desk.run(document)
    assert groups(desk, name="late") == ["web"]
    assert not desk.run(document)["changed"]


@pytest.mark.parametrize("port", [{"security_groups": []}, {"security_groups": ["db"]}, {"port_security": False}])
def test_a_port_that_says_otherwise_than_the_server_is_refused(desk: Desk, port: dict[str, Any]) -> None:
    error = desk.refuse(
        {
            **WEB,
            "ports": [{"name": "bare", "network": "wan", **port}],
            **server(networks=[{"network": "lan"}, {"port": "bare"}], security_groups=["web"]),
        }
    )
    assert error["path"] == "servers[0].networks[1].port"
    assert "the port bare" in error["cause"]
    assert not desk.cloud.writes()


def test_a_port_and_a_volume_move_from_server_to_server(desk: Desk) -> None:
    def two(*places: int, locked: bool = False) -> dict[str, Any]:
        extra = {"networks": [{"network": "lan"}, {"port": "p"}], "volumes": [{"volume": "v"}]}
        none: dict[str, Any] = {"networks": [{"network": "lan"}], "volumes": []}
        base = {"flavor": "small", "image": "debian", "locked": locked}
        return {
            "ports": [{"name": "p", "network": "wan"}],
            "volumes": [{"name": "v", "size": 1}],
            "servers": [{"name": f"s{n}", **base, **(extra if n in places else none)} for n in (1, 2)],
        }

    for locked in (False, True):
        desk.run(two(1, locked=locked))
        desk.run(two(2, locked=locked))
        second = desk.one("server", name="s2")
        assert desk.one("port", name="p")["device_id"] == second["id"]
        assert desk.one("volume", name="v")["attachments"][0]["server_id"] == second["id"]
        assert {one["locked"] for one in desk.cloud.all("server")} == {locked}
        assert not desk.run(two(2, locked=locked))["changed"]


# User data -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["one line", "76 columns", "64 columns", "a line end", "a key of its own"])
def test_what_is_in_base64_already_is_not_encoded_again(desk: Desk, how: str) -> None:
    text = base64.b64encode(BINARY).decode()
    if how in ("76 columns", "64 columns"):
        width = int(how[:2])
        text = "".join(f"{text[start : start + width]}\n" for start in range(0, len(text), width))
    elif how == "a line end":
        text += "\n"
    document = server(**{"user_data_base64" if how == "a key of its own" else "user_data": text})
    desk.run(document)
    assert base64.b64decode(desk.one("server", name="u")["_user_data"], validate=True) == BINARY
    assert not desk.run(document)["changed"]


@pytest.mark.parametrize(
    "text", ["#!/bin/sh\necho hi\n", "cafe\nbabe\n", "cafe babe", "#cloud-config\n", "words\nof four\n"]
)
def test_text_is_encoded_once(desk: Desk, text: str) -> None:
    desk.run(server(user_data=text))
    assert base64.b64decode(desk.one("server", name="u")["_user_data"]).decode() == text
    assert not desk.run(server(user_data=text))["changed"]


@pytest.mark.parametrize(
    ("data", "path", "words"),
    [
        ({"user_data_base64": "not base64!"}, "user_data_base64", "not base64"),
        ({"user_data": "x", "user_data_base64": "eA=="}, "user_data_base64", "said twice"),
        ({"user_data": "#" * 60000}, "user_data", "the compute service takes 65535"),
    ],
)
def test_user_data_that_cannot_work_are_refused(desk: Desk, data: dict[str, str], path: str, words: str) -> None:
    error = desk.refuse(server(**data))
    assert (error["path"], words in error["cause"]) == (f"servers[0].{path}", True)


# Export and info -----------------------------------------------------------------------------------------------------
WHOLE = {
    **WEB,
    "ports": [{"name": "bare", "network": "wan"}],
    "volumes": [{"name": "data", "size": 1}],
    **server(networks=[{"network": "lan"}, {"port": "bare"}], security_groups=["web"], volumes=[{"volume": "data"}]),
}


def test_info_tells_interfaces_and_groups(desk: Desk) -> None:
    desk.run(WHOLE)
    (found,) = gather(Cloud(desk.login), wishes_of(["servers"]), details=True)["servers"]
    inner = next(port for port in desk.cloud.find("port", device_id=found["id"]) if not port["name"])
    address = inner["fixed_ips"][0]["ip_address"]
    assert found["networks"] == [{"network": "lan", "fixed_ip": address}, {"port": "bare"}]
    assert found["security_groups"] == ["web"]
    assert found["availability_zone"] == "nova"


def exported(desk: Desk) -> dict[str, Any]:
    text = render(Exporter(Cloud(desk.login), Choice()).export())
    document: dict[str, Any] = read(text)["cloud_state_document"]
    return document


def test_an_export_holds_all_of_a_server_and_makes_the_same(desk: Desk) -> None:
    desk.run(WHOLE, owner="")
    document = exported(desk)
    (entry,) = document["servers"]
    assert {"port": "bare"} in entry["networks"]
    assert [e["network"] for e in entry["networks"] if "network" in e] == ["lan"]
    assert (entry["security_groups"], entry["volumes"]) == (["web"], [{"volume": "data"}])
    assert "availability_zone" not in entry
    assert not desk.run(document, owner="")["changed"]
    for kind in ("server", "port", "security_group", "volume"):
        for ident in list(desk.cloud.objects[kind]):
            if desk.cloud.objects[kind][ident].get("name") != "default":
                del desk.cloud.objects[kind][ident]
    desk.cloud.objects["volume_attachment"].clear()
    desk.run(document, owner="")
    assert exported(desk) == document


def test_a_server_with_a_boot_volume_is_exported_with_it(desk: Desk) -> None:
    document = {
        "volumes": [{"name": "root", "size": 2, "image": "debian"}],
        "servers": [{"name": "u", "flavor": "small", "boot_volume": "root", "networks": [{"network": "lan"}]}],
    }
    desk.run(document, owner="")
    entry = exported(desk)["servers"][0]
    assert entry["boot_volume"] == "root"
    assert not desk.run(exported(desk), owner="")["changed"]


def test_rules_of_a_default_group_are_exported_when_they_were_changed(desk: Desk) -> None:
    desk.run({"security_groups": ["g"]}, owner="")
    assert [entry["name"] for entry in exported(desk)["security_groups"]] == ["g"]
    desk.run({"security_groups": [{"name": "default", "rules": [{"protocol": "tcp", "port_range_min": 22}]}]}, owner="")
    held = exported(desk)
    assert [entry["name"] for entry in held["security_groups"]] == ["default", "g"]
    assert not desk.run(held, owner="")["changed"]


@pytest.mark.parametrize(
    "subnet",
    [{"cidr": "203.0.113.77/32", "gateway_ip": "203.0.113.1"}, {"cidr": "2001:db8::/64", "gateway_ip": "fe80::1"}],
)
def test_a_subnet_with_a_gateway_outside_is_exported(desk: Desk, subnet: dict[str, Any]) -> None:
    desk.run({"networks": ["n"], "subnets": [{"name": "s", "network": "n", "dhcp": False, **subnet}]}, owner="")
    document = exported(desk)
    assert [entry["gateway_ip"] for entry in document["subnets"] if entry.get("name") == "s"] == [subnet["gateway_ip"]]
    assert not desk.run(document, owner="")["changed"]


# Replacing -----------------------------------------------------------------------------------------------------------


def test_what_is_made_anew_takes_over_what_the_entry_leaves_out(desk: Desk) -> None:
    flavor = {
        "name": "f",
        "flavor_id": "f-77",
        "ram": 64,
        "vcpus": 1,
        "disk": 1,
        "swap": 16,
        "ephemeral": 1,
        "public": False,
        "description": "keep me",
        "extra_specs": {"hw_rng:allowed": "True"},
        "access": ["admin"],
    }
    desk.run({"flavors": [flavor]})
    (line,) = desk.run({"flavors": [{"name": "f", "ram": 128, "vcpus": 1}]}, replace=True)["changes"]
    assert line.startswith("replace flavor f: ram 64 -> 128")
    held = desk.one("flavor", name="f")
    assert {
        k: held[k] for k in ("id", "ram", "disk", "swap", "description", "extra_specs", "OS-FLV-EXT-DATA:ephemeral")
    } == {
        "id": "f-77",
        "ram": 128,
        "disk": 1,
        "swap": 16,
        "description": "keep me",
        "extra_specs": {"hw_rng:allowed": "True"},
        "OS-FLV-EXT-DATA:ephemeral": 1,
    }
    assert held["_access"] == {desk.cloud.admin_project}
    assert not desk.run({"flavors": [{**flavor, "ram": 128}]})["changed"]


def test_what_hangs_on_the_change_is_told_as_lost(desk: Desk) -> None:
    subnet = {"name": "s", "network": "n", "cidr": "10.7.0.0/24"}
    more = {"gateway_ip": "10.7.0.9", "dns_nameservers": ["10.7.0.3"], "tags": ["a"]}
    desk.run({"networks": ["n"], "subnets": [{**subnet, **more}]})
    document = {"networks": ["n"], "subnets": [{**subnet, "cidr": "10.8.0.0/24"}]}
    planned = desk.run(document, replace=True, check=True)["changes"]
    assert desk.run(document, replace=True)["changes"] == planned
    assert "gateway_ip 10.7.0.9 is lost" in planned[0]
    held = desk.one("subnet", name="s")
    assert (held["gateway_ip"], held["dns_nameservers"], "a" in held["tags"]) == ("10.8.0.1", ["10.7.0.3"], True)
    assert desk.run(document)["changes"] == []


def test_a_zone_cannot_be_taken_from_an_aggregate_in_place(desk: Desk) -> None:
    desk.run(
        {"aggregates": [{"name": "a", "availability_zone": "z", "hosts": ["compute-1"], "metadata": {"ssd": "true"}}]}
    )
    document = {"aggregates": [{"name": "a", "availability_zone": ""}]}
    assert "cannot take a zone" in desk.refuse(document)["cause"]
    desk.run(document, replace=True)
    held = desk.one("aggregate", name="a")
    assert (held["hosts"], held["metadata"]["ssd"], held["metadata"].get("availability_zone")) == (
        ["compute-1"],
        "true",
        None,
    )
    assert not desk.run(document)["changed"]


def test_a_protected_image_is_refused_in_the_plan(desk: Desk) -> None:
    desk.cloud.find("image", name="alpine")[0]["protected"] = True
    error = desk.refuse({"images": [{"name": "alpine", "state": "absent"}]})
    assert "protected" in error["cause"]
    assert not desk.cloud.writes()


# Interfaces that say more ---------------------------------------------------------------------------------------------
APART: dict[str, Any] = {
    "network": "wan",
    "fixed_ips": [{"ip_address": "10.1.0.20"}, {"subnet": "more", "ip_address": "10.2.0.20"}],
    "security_groups": ["db"],
}
MORE = {"subnets": [{"name": "more", "network": "wan", "cidr": "10.2.0.0/24"}]}


def apart(*networks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**WEB, **MORE, **server(networks=list(networks), **{"security_groups": ["web"], **more})}


def told(desk: Desk, network: str) -> tuple[list[str], list[str], bool]:
    """Groups, addresses and port security of the server's only interface in a network."""
    ident = desk.one("server", name="u")["id"]
    (port,) = desk.cloud.find("port", device_id=ident, network_id=desk.one("network", name=network)["id"])
    return (
        groups(desk, id=port["id"]),
        sorted(ip["ip_address"] for ip in port["fixed_ips"]),
        port["port_security_enabled"],
    )


def written(desk: Desk) -> list[tuple[str, str]]:
    return [(call.method, call.type) for call in desk.cloud.writes()]


def test_an_interface_has_groups_and_addresses_of_its_own_from_the_beginning(desk: Desk) -> None:
    document = apart({"network": "lan"}, APART, {"network": "wan", "fixed_ip": "10.1.0.30", "port_security": False})
    planned = desk.run(document, check=True)["changes"]
    assert not desk.cloud.writes()
    assert desk.run(document)["changes"] == planned
    # Nothing is set after the boot: no packet meets other groups.
    assert ("PUT", "port") not in written(desk)
    ident = desk.one("server", name="u")["id"]
    found = {
        tuple(ip["ip_address"] for ip in port["fixed_ips"]): (
            groups(desk, id=port["id"]),
            port["port_security_enabled"],
        )
        for port in desk.cloud.find("port", device_id=ident)
    }
    assert found.pop(("10.1.0.20", "10.2.0.20")) == (["db"], True)
    assert found.pop(("10.1.0.30",)) == ([], False)
    assert list(found.values()) == [(["web"], True)]
    assert (desk.run(document)["changes"], desk.cloud.writes()) == ([], [])
    desk.run(document, state="absent")
    assert not desk.cloud.all("port")


def test_interfaces_of_one_network_keep_their_groups_in_any_order(desk: Desk) -> None:
    networks = [
        {"network": "lan"},
        {"network": "lan", "security_groups": ["db"]},
        {"network": "lan", "port_security": False},
    ]
    desk.run(apart(*networks))
    assert sorted(groups(desk, id=port["id"]) for port in desk.cloud.all("port")) == [[], ["db"], ["web"]]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]):
        assert desk.run(apart(*(networks[place] for place in order)))["changes"] == []


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ({"security_groups": ["web", "db"]}, (["db", "web"], ["10.1.0.20", "10.2.0.20"], True)),
        ({"security_groups": []}, ([], ["10.1.0.20", "10.2.0.20"], True)),
        ({"fixed_ips": [{"ip_address": "10.1.0.20"}]}, (["db"], ["10.1.0.20"], True)),
        ({"security_groups": [], "port_security": False}, ([], ["10.1.0.20", "10.2.0.20"], False)),
        ({"security_groups": None}, (["web"], ["10.1.0.20", "10.2.0.20"], True)),
    ],
)
def test_a_change_touches_only_the_port_that_differs(desk: Desk, change: dict[str, Any], after: Any) -> None:
    desk.run(apart({"network": "lan"}, APART))
    kept = {port["id"] for port in desk.cloud.all("port")}
    document = apart({"network": "lan"}, {**APART, **change})
    planned = desk.run(document, check=True)
    done = desk.run(document)
    assert (done["plan"], written(desk)) == (planned["plan"], [("PUT", "port")])
    assert told(desk, "wan") == after
    assert told(desk, "lan")[0] == ["web"]
    assert {port["id"] for port in desk.cloud.all("port")} == kept
    assert not desk.run(document)["changes"]
    # And back, also from a port without security.
    desk.run(apart({"network": "lan"}, {**APART, "port_security": True}))
    assert told(desk, "wan") == (["db"], ["10.1.0.20", "10.2.0.20"], True)


def test_other_groups_of_the_server_leave_an_interface_with_its_own_alone(desk: Desk) -> None:
    desk.run(apart({"network": "lan"}, APART))
    document = apart({"network": "lan"}, APART, security_groups=["web", "db"])
    (line,) = desk.run(document)["changes"]
    assert "networks" not in line
    assert written(desk) == [("PUT", "port")]
    assert (told(desk, "lan")[0], told(desk, "wan")[0]) == (["db", "web"], ["db"])


@pytest.mark.parametrize("more", [{}, {"security_groups": None}])
def test_an_interface_that_comes_later_has_its_own_at_once_and_leaves_nothing(desk: Desk, more: dict[str, Any]) -> None:
    plain, late = apart({"network": "lan"}, **more), apart({"network": "lan"}, APART, **more)
    desk.run(plain)
    desk.run(late)
    assert written(desk) == [("POST", "port"), ("POST", "server_interface")]
    assert told(desk, "wan") == (["db"], ["10.1.0.20", "10.2.0.20"], True)
    assert not desk.run(late)["changes"]
    desk.run(plain)
    assert len(desk.cloud.all("port")) == 1
    assert not desk.run(plain)["changes"]


def test_an_interface_without_groups_of_its_own_has_those_of_the_server(desk: Desk) -> None:
    desk.run(apart({"network": "wan", "fixed_ips": APART["fixed_ips"]}))
    assert ("PUT", "port") not in written(desk)
    assert told(desk, "wan")[0] == ["web"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("later", [False, True])
def test_ports_of_a_run_that_is_cut_off_do_not_stay(desk: Desk, when: str, later: bool) -> None:
    document, begin = apart({"network": "lan"}, APART), apart({"network": "lan"})
    desk.run({**WEB, **MORE})
    skip, failure = 0, True
    while failure:
        if later:
            desk.run(begin)
        desk.cloud.fault(method="write", skip=skip, times=0, drop=when)
        failure = desk.apply(document)[1] is not None
        desk.cloud.heal()
        desk.run(document)
        assert len(desk.cloud.all("port")) == 2
        assert not desk.run(document)["changes"]
        desk.run(server(state="absent"))
        assert not desk.cloud.all("port")
        skip += 1
    assert skip > 2


@pytest.mark.parametrize("later", [False, True])
def test_a_refusal_of_the_compute_service_leaves_no_port(desk: Desk, later: bool) -> None:
    desk.run({**WEB, **MORE, **(apart({"network": "lan"}) if later else {})})
    before = len(desk.cloud.all("port"))
    fault = desk.cloud.fault(method="POST", service="compute", status=403, times=0, message="Quota exceeded.")
    assert "Quota exceeded" in desk.refuse(apart({"network": "lan"}, APART))["cause"]
    assert fault
    assert len(desk.cloud.all("port")) == before


def test_a_server_that_fails_is_made_anew_with_its_interfaces(desk: Desk) -> None:
    desk.cloud.fail_next["server"] = 1
    document = apart({"network": "lan"}, APART)
    assert "ERROR" in desk.refuse(document)["cause"].upper()
    # The compute service lets go of ports that it was given.
    for port in desk.cloud.all("port"):
        if not port.get("_own"):
            port |= {"device_id": "", "device_owner": ""}
    desk.run(document)
    assert told(desk, "wan")[0] == ["db"]
    assert len(desk.cloud.all("port")) == 2


def test_a_port_of_somebody_else_stays(desk: Desk) -> None:
    desk.run(apart({"network": "lan"}, APART))
    made = desk.one("port", network_id=desk.one("network", name="wan")["id"])
    others = [("mine", desk.cloud.admin_project), (made["description"], "x")]
    for description, project in others:
        desk.cloud.put("port", network_id=made["network_id"], project_id=project, description=description, fixed_ips=[])
    desk.run(server(state="absent"))
    assert sorted(port["description"] for port in desk.cloud.all("port")) == sorted(
        description for description, _ in others
    )


def test_addresses_move_between_interfaces_of_two_servers(desk: Desk) -> None:
    def two(first: list[str], second: list[str]) -> dict[str, Any]:
        base = {"flavor": "small", "image": "debian"}
        return {
            "servers": [
                {
                    **base,
                    "name": name,
                    "networks": [{"network": "lan", "fixed_ips": [{"ip_address": a} for a in those]}],
                }
                for name, those in (("s1", first), ("s2", second))
            ]
        }

    desk.run(two(["10.0.0.20", "10.0.0.21"], ["10.0.0.30", "10.0.0.31"]))
    document = two(["10.0.0.20", "10.0.0.30"], ["10.0.0.21", "10.0.0.31"])
    desk.run(document)
    assert not desk.run(document)["changes"]


def test_groups_come_and_go_with_the_interfaces_that_have_them(desk: Desk) -> None:
    def document(*wanted: Any, group: str) -> dict[str, Any]:
        own = {"network": "wan", "security_groups": [group]}
        entry = server(networks=[{"network": "lan"}, {"network": "lan"}, own], security_groups=["web"])
        return {"security_groups": [{"name": "web"}, *wanted], **entry}

    desk.run(document("one", group="one"))
    assert told(desk, "wan")[0] == ["one"]
    second = document({"name": "one", "state": "absent"}, "two", group="two")
    desk.run(second)
    assert told(desk, "wan")[0] == ["two"]
    assert not desk.run(second)["changes"]


@pytest.mark.parametrize(
    ("element", "path", "words"),
    [
        ({"port": "bare", "security_groups": ["db"]}, "security_groups", "has its own groups"),
        ({"port": "bare", "fixed_ips": [{"subnet": "more"}]}, "fixed_ips", "has its own addresses"),
        ({"port": "bare", "port_security": True}, "port_security", "has its own port security"),
        ({**APART, "fixed_ip": "10.1.0.20"}, "fixed_ips", "said twice"),
        ({**APART, "port_security": False}, "security_groups", "has no groups"),
        ({**APART, "fixed_ips": []}, "fixed_ips", "needs an address"),
        ({**APART, "fixed_ips": [{}]}, "fixed_ips[0]", "A subnet or an address"),
        ({**APART, "fixed_ips": [{"ip_address": "10.1"}]}, "fixed_ips[0].ip_address", "no address"),
        ({**APART, "fixed_ips": [{"subnet": "more", "ip_address": "10.1.0.5"}]}, "fixed_ips[0].ip_address", "outside"),
        ({**APART, "security_groups": ["none"]}, "security_groups[0]", "no security group 'none'"),
    ],
)
def test_an_interface_that_cannot_be_is_refused(desk: Desk, element: dict[str, Any], path: str, words: str) -> None:
    error = desk.refuse({"ports": [{"name": "bare", "network": "wan"}], **apart({"network": "lan"}, element)})
    assert (error["path"], words in error["cause"]) == (f"servers[0].networks[1].{path}", True), error
    assert error["mend"] or "A subnet" in words
    assert not desk.cloud.writes()


@pytest.mark.parametrize("own", [APART, {**APART, "security_groups": []}, {"network": "wan", "port_security": False}])
def test_an_export_tells_interfaces_that_differ_and_makes_the_same(desk: Desk, own: dict[str, Any]) -> None:
    desk.run(apart({"network": "lan"}, {"network": "lan"}, own), owner="")
    document = exported(desk)
    (entry,) = document["servers"]
    (shown,) = [element for element in entry["networks"] if element["network"] == "wan"]
    assert entry["security_groups"] == ["web"]
    assert [sorted(element) for element in entry["networks"] if element["network"] == "lan"] == [
        ["fixed_ip", "network"]
    ] * 2
    assert shown.items() >= {key: value for key, value in own.items() if key != "fixed_ips"}.items()
    assert [ip["ip_address"] for ip in shown.get("fixed_ips", [])] == [
        ip["ip_address"] for ip in own.get("fixed_ips", [])
    ]
    assert not desk.run(document, owner="")["changed"]
    desk.run(server(state="absent"), owner="")
    assert not desk.cloud.all("port")
    desk.run(document, owner="")
    assert exported(desk) == document


def test_an_export_tells_groups_of_interfaces_beside_those_of_named_ports(desk: Desk) -> None:
    ports = [{"name": name, "network": "wan", "security_groups": [name]} for name in ("web", "db")]
    networks = [{"port": "web"}, {"port": "db"}, {"network": "lan", "security_groups": ["web"]}]
    desk.run({**WEB, "ports": ports, **server(networks=networks)}, owner="")
    document = exported(desk)
    (entry,) = document["servers"]
    assert "security_groups" not in entry
    assert [element["security_groups"] for element in entry["networks"] if "network" in element] == [["web"]]
    assert not desk.run(document, owner="")["changed"]
