"""OVN's databases: whom they serve, and how each chassis gets the name of its host, behind a closed door."""

from __future__ import annotations

import datetime
import json
import subprocess
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.pki import authority
from ansible_collections.stackwright.cloud.tests.role_variables import component, variables
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns

SCRIPT = "/usr/local/lib/stackwright/ovn-chassis-names"
FORMER = "7b1c3f0e"
NOW = datetime.datetime.now(datetime.UTC)


class Databases:
    """OVN's databases with one chassis of the former name; ``log`` keeps what is done to them."""

    def __init__(self, stand_ins: StandIns, name: str = FORMER) -> None:
        self.log: list[str] = []
        self.tables = {
            "Chassis": f"{name},compute1",
            "Encap": "encap-1",
            "Gateway_Chassis": f"row-1,lrp-2_{name}",
            "HA_Chassis": "row-2",
        }
        self.remotes = "ptcp:6642:192.0.2.11\npunix:/run/ovn/ovnsb_db.sock"
        self.fails = ""
        stand_ins.add("ovn-sbctl", self.control)
        stand_ins.add("ovn-nbctl", self.control)
        stand_ins.add("ovn-appctl", self.server)

    def control(self, call: Call) -> Said:
        words = [word for word in call.words if not word.startswith("--")]
        if words[0] in ("list", "find"):
            return Said(self.tables[words[1]] + "\n")
        self.log.append(" ".join(words))
        return Said(status=1 if words[1] == self.fails else 0)

    def server(self, call: Call) -> Said:
        words = call.words[2:]
        if words == ["ovsdb-server/list-remotes"]:
            return Said(self.remotes + "\n")
        self.log.append(" ".join(words))
        return Said()


@pytest.fixture
def databases(stand_ins: StandIns) -> Databases:
    return Databases(stand_ins)


def rename(directory: Path) -> subprocess.CompletedProcess[str]:
    script = directory / "names"
    script.write_text(component("ovn", "central")["files"][SCRIPT]["content"].replace("[ -S ", "[ -e "))
    (directory / "ovnsb_db.sock").touch()
    return subprocess.run(["/bin/sh", script, directory], capture_output=True, text=True, check=False)


def test_a_chassis_is_renamed_in_every_table_and_keeps_its_bindings(tmp_path: Path, databases: Databases) -> None:
    done = rename(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert databases.log == [
        "ovsdb-server/remove-remote ptcp:6642:192.0.2.11",
        "pause",
        f"set Chassis {FORMER} name=compute1 set Chassis_Private {FORMER} name=compute1",
        "set Encap encap-1 chassis_name=compute1",
        "set Gateway_Chassis row-1 chassis_name=compute1 name=lrp-2_compute1",
        "set HA_Chassis row-2 chassis_name=compute1",
        "resume",
    ]


def test_a_chassis_of_its_hosts_name_is_left_alone(tmp_path: Path, databases: Databases) -> None:
    databases.tables["Chassis"] = "compute1,compute1"
    assert rename(tmp_path).returncode == 0
    assert databases.log == []


def test_northd_goes_on_where_a_change_is_refused_and_the_step_fails(tmp_path: Path, databases: Databases) -> None:
    databases.fails = "Gateway_Chassis"
    assert rename(tmp_path).returncode != 0
    assert databases.log[-1] == "resume"
    assert not any("HA_Chassis" in line for line in databases.log)


def test_databases_have_no_port_for_clear_text_and_bind_chassis_to_their_role() -> None:
    files = component("ovn", "central")["files"]
    remotes = {
        name: json.loads(files[f"/etc/ovn/{name}.json"]["content"])["remotes"] for name in ("northbound", "southbound")
    }
    ports = {port: given.get("role") for one in remotes.values() for port, given in one.items() if "punix" not in port}
    assert ports == {
        "pssl:6641:192.0.2.11": None,
        "pssl:6642:192.0.2.11": "ovn-controller",
        "pssl:16642:192.0.2.11": None,
    }
    assert "insecure" not in files["/etc/default/ovn-central"]["content"]


def test_programs_that_forget_no_authority_while_they_run_are_restarted_where_others_are_trusted() -> None:
    def trusting(role: str, name: str, path: str) -> tuple[str, set[str]]:
        again = variables()["stackwright_secrets"] | {"pki_authority": authority.text_of(authority.new(NOW))}
        facts = {"services_facts": {"datapath": "system"}}
        found = [component(role, name, **facts, **more)["files"][path] for more in ({}, {"stackwright_secrets": again})]
        return found[0]["content"] != found[1]["content"], set(found[0]["units"])

    assert trusting("ovn", "central", "/etc/default/ovn-central")[0]
    assert trusting("ovn", "host", "/etc/default/ovn-host") == (True, {"ovn-controller"})
