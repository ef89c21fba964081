"""What a host carries by its groups, as the playbooks work it out of the kinds of nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

CHECKOUT = Path(__file__).resolve().parents[3]
NODES = {
    "controller": {"roles": ["infrastructure", "controller"]},
    "compute": {"roles": ["compute"]},
    "storage": {"roles": ["ceph"]},
    "later": {},
}


def worked_out(tmp_path: Path, host: str, *, expressions: dict[str, Any], **given: Any) -> dict[str, Any]:
    """Expressions of a playbook, for a host of an inventory in which some hosts have no ansible_host."""
    inventory = {
        "controller": {
            "hosts": {"controller1": {"ansible_host": "10.9.9.1", "stackwright_management_address": "10.9.0.11"}}
        },
        "compute": {
            "hosts": {
                "compute1": {"stackwright_management_address": "10.9.0.21"},
                "compute2": {"ansible_host": "10.9.0.22"},
            }
        },
        "storage": {"hosts": {"storage1": {"stackwright_management_address": "10.9.0.31"}}},
        "later": {"hosts": {"spare1": {"ansible_host": "10.9.0.99"}}},
    }
    source = tmp_path / "hosts.yml"
    source.write_text(yaml.safe_dump({"all": {"children": inventory}}), encoding="utf-8")
    loader = DataLoader()
    manager = InventoryManager(loader=loader, sources=[str(source)])
    variables = VariableManager(loader=loader, inventory=manager)
    values: dict[str, Any] = {}
    for part in ("defaults", "vars"):
        values |= loader.load_from_file(
            str(CHECKOUT / "roles" / "stackwright" / part / "main.yml"), trusted_as_template=True
        )
    known = variables.get_vars(host=manager.get_host(host))
    templar = Templar(loader, variables={**values, **given, **known, "hostvars": HostVars(manager, variables, loader)})
    return {name: templar.template(trust_as_template(text)) for name, text in expressions.items()}


def base() -> dict[str, Any]:
    play = yaml.safe_load((CHECKOUT / "playbooks" / "base.yml").read_text(encoding="utf-8"))[0]
    given: dict[str, Any] = next(role["vars"] for role in play["roles"] if role["role"].endswith(".base"))
    return given


def test_every_host_of_every_kind_is_in_the_hosts_file_also_without_ansible_host(tmp_path: Path) -> None:
    found = worked_out(tmp_path, "compute1", expressions={"hosts": base()["base_hosts"]}, stackwright_nodes=NODES)
    assert found["hosts"] == {
        "controller1": "10.9.0.11",
        "compute1": "10.9.0.21",
        "compute2": "10.9.0.22",
        "storage1": "10.9.0.31",
    }


def test_host_carries_what_its_groups_say(tmp_path: Path) -> None:
    ask = {
        "carried": "{{ stackwright_carried }}",
        "carriers": "{{ stackwright_carriers }}",
        "filter": base()["base_filter_roles"],
    }
    found = worked_out(tmp_path, "controller1", expressions=ask, stackwright_nodes=NODES)
    assert found["carried"] == ["infrastructure", "controller"]
    assert found["filter"] == found["carriers"]
    assert found["carriers"] == {
        "controller": ["base", "base.time", "pki", "infrastructure", "controller"],
        "compute": ["base", "base.time", "pki", "compute"],
        "storage": ["base", "base.time", "pki", "ceph"],
    }
    assert worked_out(tmp_path, "spare1", expressions=ask, stackwright_nodes=NODES)["carried"] == []


def test_products_own_kinds_are_those_that_plays_use(tmp_path: Path) -> None:
    found = worked_out(
        tmp_path, "compute1", expressions={"carried": "{{ stackwright_carried }}", "hosts": "{{ stackwright_hosts }}"}
    )
    assert found == {"carried": ["compute"], "hosts": ["controller1", "compute1", "compute2"]}


def test_peers_are_the_hosts_that_carry_the_apis(tmp_path: Path) -> None:
    defaults = DataLoader().load_from_file(
        str(CHECKOUT / "roles" / "preflight" / "defaults" / "main.yml"), trusted_as_template=True
    )
    assert worked_out(tmp_path, "compute1", expressions={"peers": defaults["preflight_peers"]})["peers"] == [
        "controller1"
    ]
