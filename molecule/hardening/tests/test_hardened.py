"""A hardened host answers as it should, through its own programs."""

from __future__ import annotations

import json
import os
import pathlib
import runpy

import pytest


def test_sshd_offers_approved_ciphers_only(host):
    offered = dict(line.split(" ", 1) for line in host.check_output("sshd -T").splitlines() if " " in line)
    assert set(offered["ciphers"].split(",")) == {
        "aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes128-ctr",
    }  # fmt: skip
    assert offered["x11forwarding"] == "no"


PASSWORD = "Qz7#vLm92!xKpW4t"
# Names that no earlier run had: sssd knows accounts for a while after they are gone.
PROBE, STRANGER, FINN = (f"{name}{os.getpid()}" for name in ("probe", "stranger", "finn"))


ACCOUNTS = (
    "passwd passwd- group group- shadow shadow- gshadow gshadow- subuid subuid- subgid subgid- "
    "security/opasswd security/opasswd.old"
)


@pytest.fixture
def accounts(host):
    """Accounts may be made and removed: their files, back-ups included, are as before afterwards, as the rollback will
    compare them."""
    host.check_output(f"cd /etc && tar --numeric-owner -cpf /run/accounts.tar $(ls -d {ACCOUNTS} 2>/dev/null)")
    yield
    host.check_output("cd /etc && tar --numeric-owner -xpf /run/accounts.tar")
    host.check_output(
        f"cd /etc && for one in {ACCOUNTS}; do tar -tf /run/accounts.tar $one >/dev/null 2>&1 || rm -f $one; done"
    )
    host.check_output("rm /run/accounts.tar")


def become(host, password, name=PROBE):
    """Log in as the account through PAM, from an account that has to give the password; return whether it succeeded."""
    tried = host.run(
        "printf '%%s\\n' %s | setpriv --reuid=nobody --regid=nogroup --clear-groups su %s -c 'id -un'", password, name
    )
    return tried.rc == 0 and tried.stdout.strip() == name


def test_account_locks_after_three_failures(host, accounts):
    host.check_output(f"useradd {PROBE}")
    host.check_output("gpasswd -a nobody root")  # su asks for membership since the hardening
    host.check_output(f"printf '{PROBE}:%%s\\n' %s | chpasswd", PASSWORD)
    host.check_output(f"faillock --user {PROBE} --reset")
    try:
        assert become(host, PASSWORD)
        assert [become(host, f"wrong-{number}") for number in range(3)] == [False] * 3
        assert not become(host, PASSWORD), "the right password opens an account that is locked"
        host.check_output(f"faillock --user {PROBE} --reset")
        assert become(host, PASSWORD)
    finally:
        host.check_output(f"faillock --user {PROBE} --reset && userdel {PROBE} && gpasswd -d nobody root")


def test_only_members_of_a_group_use_su(host, accounts):
    host.check_output(f"useradd {STRANGER} && printf '{STRANGER}:%%s\\n' %s | chpasswd", PASSWORD)
    try:
        assert not become(host, PASSWORD, STRANGER)
        host.check_output("gpasswd -a nobody root")
        assert become(host, PASSWORD, STRANGER)
    finally:
        host.check_output(f"userdel {STRANGER}")


def change(host, old, new):
    """Have the user change its password itself; returns whether that was accepted. The limit of one change a day is put
    aside."""
    host.check_output(f"chage -d 2026-01-01 -M -1 {FINN}")
    done = host.run(
        f"printf '%%s\\n' %s %s %s %s %s %s %s | runuser -u {FINN} -- passwd", old, new, new, new, new, new, new
    )
    return done.rc == 0


def test_users_change_their_passwords_and_weak_or_former_ones_are_refused(host, accounts):
    host.check_output(f"useradd -m {FINN} && printf '{FINN}:%%s\\n' %s | chpasswd", PASSWORD)
    try:
        before = host.check_output(f"getent shadow {FINN}").split(":")[1]
        for weak in ("Sunshine2024!", "aaaaBBBB1111!!!!", "alllowercaseletters"):
            assert not change(host, PASSWORD, weak), weak
        assert host.check_output(f"getent shadow {FINN}").split(":")[1] == before
        assert change(host, PASSWORD, "Wr8!tnBq31?zLcVe9")
        assert host.check_output(f"getent shadow {FINN}").split(":")[1].startswith("$6$rounds=100000$")
        assert not change(host, "Wr8!tnBq31?zLcVe9", PASSWORD), "a former password is taken again"
    finally:
        host.run(f"userdel -r {FINN}")  # it tells of the mail that there is none


def test_no_unit_is_left_failed_by_what_the_hardening_brought(host):
    brought = {
        "sssd.service",
        "sssd-nss.socket",
        "sssd-pam.socket",
        "pkcs11-eventmgr.service",
        "rsyslog.service",
        "fail2ban.service",
    }
    failed = host.check_output("systemctl list-units --failed --plain --no-legend").splitlines()
    assert not {one.split()[0] for one in failed} & brought
    assert host.check_output("systemctl is-active rsyslog.service fail2ban.service").split() == ["active", "active"]


def test_values_of_the_network_hold_after_interfaces_come_anew(host):
    assert host.check_output("sysctl -n net.ipv4.conf.all.accept_redirects") == "0"
    listed = host.check_output("/usr/lib/systemd/systemd-sysctl --cat-config")
    for key in (
        "net.ipv4.conf.all.accept_redirects",
        "net.ipv6.conf.default.accept_redirects",
        "net.ipv4.conf.*.secure_redirects",
    ):
        assert f"\n{key} = 0\n" in listed
    host.check_output("ip link add name proof0 type veth peer name proof1")
    try:
        host.check_output(
            "/usr/lib/systemd/systemd-sysctl --prefix=/net/ipv4/conf/proof0 --prefix=/net/ipv6/conf/proof0"
        )
        for family in ("ipv4", "ipv6"):
            assert host.check_output(f"cat /proc/sys/net/{family}/conf/proof0/accept_redirects") == "0"
        assert host.check_output("cat /proc/sys/net/ipv4/conf/proof0/secure_redirects") == "0"
    finally:
        host.check_output("ip link del proof0")


def test_kernel_that_the_container_shares_is_as_it_was():
    before = json.loads(pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "kernel.json").read_text("utf-8"))
    program = runpy.run_path(str(pathlib.Path(__file__).resolve().parents[1] / "kernel.py"))
    after = program["settings"]()
    assert len(before) > 200
    assert {key: after.get(key) for key in before} == before


def test_values_for_the_kernel_are_on_disk_all_the_same(host):
    assert "kernel.dmesg_restrict = 1" in host.check_output("cat /etc/sysctl.d/99-zz-stackwright-hardening.conf")


def test_no_timer_and_no_unit_of_the_boot_waits_to_undo_anything(host):
    assert "stackwright-undo" not in host.check_output("systemctl list-timers --all --no-legend")
    assert host.run("ls /etc/systemd/system/stackwright-undo-*").rc != 0
    assert host.run("ls /var/lib/stackwright/hardening/*/unproved").rc != 0


def test_journal_of_the_run_is_complete_and_closed(host):
    runs = host.check_output("ls -d /var/lib/stackwright/hardening/2*").splitlines()
    head = json.loads(host.file(f"{runs[0]}/run.json").content_string)
    assert head["state"] == "done"
    assert host.file(runs[0]).mode == 0o700
