"""Every machine of the lab is a machine of its own that Ansible can work on."""

from __future__ import annotations

import contextlib
import ipaddress
import subprocess


def test_systemd_is_up_with_nothing_failed(host):
    assert host.check_output("systemctl is-system-running") == "running"


def test_the_login_is_an_ordinary_user_with_sudo(host):
    with host.sudo("operator"):
        assert host.check_output("id -un") == "operator"
        assert host.check_output("sudo -n id -u") == "0"


def test_the_manager_of_an_account_outlives_its_last_logout(host):
    """Without that, a login that comes while the manager is being ended may wait for two minutes."""
    delay = (
        "get-property org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager UserStopDelayUSec"
    )
    assert host.check_output(f"busctl {delay}") == f"t {2**64 - 1}"


def test_identity_is_not_shared(host):
    mine = host.check_output("cat /etc/machine-id")
    key = host.check_output("cat /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    variables = host.ansible.get_variables()
    known = {}
    with open(variables["ansible_ssh_common_args"].split('"')[1], encoding="utf-8") as lines:
        for line in lines:
            names, _kind, pinned = line.split()
            known[names.split(",")[1]] = pinned
    assert len(mine) == 32
    assert known[variables["inventory_hostname"]] == key
    assert len(set(known.values())) == len(known) == 3


def test_addresses_are_those_of_the_inventory(host):
    variables = host.ansible.get_variables()
    assert variables["lab_management_address"] in host.interface("eth0").addresses
    assert variables["lab_tunnel_address"] in host.interface("eth1").addresses


def test_the_provider_interface_is_up_without_an_address(host):
    assert [a for a in host.interface("eth2").addresses if ":" not in a] == []
    assert "state UP" in host.check_output("ip link show eth2")


def test_only_the_management_network_leads_out(host):
    routes = host.check_output("ip -4 route").splitlines()
    defaults = [route for route in routes if route.startswith("default")]
    assert len(defaults) == 1
    assert " dev eth0" in defaults[0]


def test_the_tunnel_network_connects_the_machines(host):
    variables = host.ansible.get_variables()
    for machine in variables["lab_definition"]["machines"].values():
        assert host.run(f"ping -c 1 -W 5 {machine['addresses']['tunnel']}").rc == 0


def test_names_and_packages_come_from_ordinary_files(host):
    mounts = host.check_output("cat /proc/self/mounts")
    for path in ("/etc/hosts", "/etc/resolv.conf"):
        assert f" {path} " not in mounts
    assert not host.file("/usr/sbin/policy-rc.d").exists
    assert host.file("/etc/apt/sources.list.d/debian.sources").contains("Signed-By")
    assert ipaddress.ip_address(host.check_output("awk '/^nameserver/ {print $2; exit}' /etc/resolv.conf"))


def test_the_release_is_the_chosen_one(host):
    wanted = {"full": "13", "plain": "12"}[host.ansible.get_variables()["inventory_hostname"].rstrip("0123456789")]
    assert host.system_info.release.split(".")[0] == wanted


def test_a_boot_touches_no_setting_of_the_hosts_kernel(host):
    assert "--prefix=/net" in host.check_output("systemctl show systemd-sysctl.service -p ExecStart")


def test_preloaded_packages_are_enabled_and_were_not_started(host):
    if not host.ansible.get_variables()["inventory_hostname"].startswith("full"):
        assert not host.package("memcached").is_installed
        return
    service = host.service("memcached")
    assert service.is_enabled
    # full1 was stopped and started by the side effect: enabled services start at the second boot, as anywhere.
    assert service.is_running == (host.ansible.get_variables()["inventory_hostname"] == "full1")
    assert not host.file("/var/lib/stackwright-lab/enabled.tar").exists


def local(*command, given=None, check=True):
    return subprocess.run(command, input=given, capture_output=True, text=True, check=check)


@contextlib.contextmanager
def neighbour():
    """A machine beside this one, which sends what it has for the lab through this one: the words that run a program on
    it."""
    name = "stackwright-next"
    local("ip", "netns", "add", name)
    try:
        local("ip", "link", "add", "sw-next", "type", "veth", "peer", "name", "eth0", "netns", name)
        local("ip", "address", "add", "198.18.77.1/24", "dev", "sw-next")
        local("ip", "link", "set", "sw-next", "up")
        inside = ["ip", "netns", "exec", name]
        local(*inside, "ip", "address", "add", "198.18.77.2/24", "dev", "eth0")
        local(*inside, "ip", "link", "set", "eth0", "up")
        local(*inside, "ip", "route", "add", "default", "via", "198.18.77.1")
        yield inside
    finally:
        local("ip", "netns", "delete", name)


def test_neighbours_of_the_control_node_do_not_get_in(host):
    variables = host.ansible.get_variables()
    table = "stackwright_lab_" + variables["lab_name"].replace("-", "_")
    network = variables["lab_definition"]["networks"]["management"]["cidr"]

    def dropped():
        """How many packets the lab's own rule dropped: this machine may drop some by rules of its own as well,
        later."""
        lines = local("nft", "list", "table", "inet", table).stdout.splitlines()
        (rule,) = [line for line in lines if f"ip daddr {network} " in line]
        return int(rule.split("counter packets ")[1].split()[0])

    script = f"import socket; socket.create_connection(('{variables['lab_management_address']}', 22), timeout=3)"
    before = dropped()
    with neighbour() as inside:
        assert local(*inside, "python3", "-c", script, check=False).returncode != 0
    assert dropped() > before
