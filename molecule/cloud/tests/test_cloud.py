"""What an operator may rely on beyond the boot test: bind addresses, private files, units that stay down."""

from __future__ import annotations

import json

import pytest

APIS = {
    "Keystone": 5000,
    "Glance": 9292,
    "Placement": 8778,
    "Nova": 8774,
    "metadata": 8775,
    "Neutron": 9696,
    "Horizon": 80,
    "noVNC": 6080,
}


def group(host):
    return host.ansible.get_variables()["lab_definition"]["machines"][host.backend.get_hostname()]["group"]


@pytest.fixture
def controller(host):
    if group(host) != "controller":
        return None
    return host


def test_apis_listen_on_the_management_address_only(controller):
    if controller is None:
        return
    address = controller.ansible.get_variables()["lab_management_address"]
    for name, port in APIS.items():
        listening = controller.check_output(f"ss -H -l -t -n 'sport = :{port}'").splitlines()
        assert {line.split()[3] for line in listening} == {f"{address}:{port}"}, name


def test_addresses_in_the_catalogue_are_there_once_and_are_the_right_ones(controller):
    if controller is None:
        return
    variables = controller.ansible.get_variables()
    auth = {
        "identity": {
            "methods": ["password"],
            "password": {
                "user": {
                    "name": "glance",
                    "domain": {"id": "default"},
                    "password": controller.ansible("debug", "msg={{ stackwright_secrets.glance_identity }}", become=False)["msg"],
                }
            },
        },
        "scope": {"project": {"name": "service", "domain": {"id": "default"}}},
    }
    script = (
        "import sys, urllib.request as u\n"
        f"r = u.Request('http://{variables['lab_management_address']}:5000/v3/auth/tokens', sys.argv[1].encode(),\n"
        "    {'Content-Type': 'application/json'})\n"
        "print(u.urlopen(r).read().decode())\n"
    )
    token = json.loads(controller.check_output("python3 -c %s %s", script, json.dumps({"auth": auth})))["token"]
    seen = {
        (service["type"], endpoint["interface"]): endpoint["url"]
        for service in token["catalog"]
        for endpoint in service["endpoints"]
    }
    assert sum(len(service["endpoints"]) for service in token["catalog"]) == len(seen)
    for kind, port in (("image", 9292), ("placement", 8778), ("compute", 8774), ("network", 9696)):
        for interface in ("internal", "public"):
            assert f"//{variables['lab_management_address']}:{port}" in seen[kind, interface], (kind, interface)


def test_nothing_failed(host):
    assert host.check_output("systemctl list-units --failed --plain --no-legend") == ""


def test_files_with_secrets_are_not_for_everybody(host):
    found = host.check_output(
        "grep -rlE '^[a-z_]*(password|secret|connection|transport_url) *= *[^ ]' /etc/keystone /etc/glance /etc/placement /etc/nova /etc/neutron"
        " --include=*.conf --include=*.ini 2>/dev/null | xargs -r stat -c '%a %n' | grep -v '0 ' || true"
    )
    assert found == ""


def test_the_previous_generation_of_a_file_is_kept(host):
    assert host.check_output("find /var/lib/stackwright/generations -name nova.conf | head -1").endswith(
        "/etc/nova/nova.conf"
    )
