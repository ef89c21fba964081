"""What the roles tell Neutron and Nova of guests' packets and hosts, worked out by Ansible from their own variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).resolve().parents[3]
ML2 = "/etc/neutron/plugins/ml2/ml2_conf.ini"


def worked_out(*names: str, **variables: Any) -> list[Any]:
    """Expressions with the roles' defaults and these variables."""
    known: dict[str, Any] = {"stackwright_management_address": "192.0.2.11", "ansible_facts": {}}
    for role in ("ovn", "neutron", "nova"):
        known |= DataLoader().load_from_file(
            str(ROOT / "roles" / role / "defaults" / "main.yml"), trusted_as_template=True
        )
    templar = Templar(loader=DataLoader(), variables=known | variables)
    return [templar.template(trust_as_template(name)) for name in names]


def neutron(option: str, **variables: Any) -> Any:
    """An option of ML2's configuration as section.name."""
    section, name = option.split(".")
    specification = yaml.safe_load((ROOT / "roles/neutron/vars/main.yml").read_text())["__neutron_specifications"]
    return worked_out(specification["server"]["files"][ML2]["options"][section][name], **variables)[0]


@pytest.mark.parametrize(
    ("datapaths", "answers"),
    [(["system"], True), (["netdev"], False), (["system", "netdev"], False), ([], True), (["auto"], True)],
)
def test_routers_answer_large_packets_only_where_no_datapath_would_drop_segments_for_it(
    datapaths: list[str], answers: bool
) -> None:
    assert neutron("ovn.ovn_emit_need_to_frag", ovn_host_datapaths=datapaths) is answers


@pytest.mark.parametrize(
    ("addresses", "version"),
    [(["192.0.2.31"], 4), (["fd00:51::1"], 6), (["192.0.2.31", "fd00:51::2"], 6), ([], 4)],
)
def test_tunnels_over_ipv6_leave_guests_less(addresses: list[str], version: int) -> None:
    assert int(neutron("ml2.overlay_ip_version", ovn_host_tunnel_addresses=addresses)) == version


@pytest.mark.parametrize(
    ("underlay", "given", "rendered"),
    [
        (1500, {}, "external:1500"),
        (1558, {}, "external:1500"),
        (9000, {}, "external:1500"),
        (1400, {}, "external:1400"),
        (9000, {"neutron_physical_network_mtus": {"external": 9000}}, "external:9000"),
    ],
)
def test_a_larger_network_below_does_not_make_provider_networks_larger(
    underlay: int, given: dict[str, Any], rendered: str
) -> None:
    assert neutron("ml2.physical_network_mtus", neutron_underlay_mtu=underlay, **given) == rendered


@pytest.mark.parametrize(("hosts", "allowed"), [(["compute1"], True), (["compute1", "compute2"], False), ([], False)])
def test_resized_servers_stay_on_the_only_compute_node(hosts: list[str], allowed: bool) -> None:
    assert worked_out("{{ nova_allow_resize_to_same_host }}", nova_compute_hosts=hosts) == [allowed]


def test_playbook_learns_of_all_compute_nodes_whatever_the_run_is_limited_to() -> None:
    (play,) = DataLoader().load_from_file(str(ROOT / "playbooks" / "controller.yml"), trusted_as_template=True)
    variables: dict[str, Any] = {
        "groups": {"compute": ["c1", "c2", "c3"]},
        "hostvars": {
            "c1": {"ansible_facts": {"stackwright_datapath": "system"}, "ovn_tunnel_address": "192.0.2.31"},
            "c2": {"ansible_facts": {"stackwright_datapath": "netdev"}, "ovn_tunnel_address": "fd00:51::2"},
            "c3": {"ansible_facts": {}},
        },
    }
    expressions = ("{{ ovn_host_datapaths }}", "{{ ovn_host_tunnel_addresses }}", "{{ nova_compute_hosts }}")
    found = worked_out(*expressions, **variables, **play["vars"])
    assert found == [["system", "netdev"], ["192.0.2.31", "fd00:51::2"], ["c1", "c2", "c3"]]
    # the lab's tunnel network carries what guests need to have the external network's MTU
    lab = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/cloud.yml").read_text())
    assert lab["neutron_underlay_mtu"] == "{{ lab_tunnel_mtu }}"
