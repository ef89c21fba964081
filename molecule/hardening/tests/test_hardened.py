"""A hardened host answers as it should, through its own programs."""

from __future__ import annotations

import json
import os
import pathlib
import runpy


def test_sshd_offers_approved_ciphers_only(host):
    offered = dict(line.split(" ", 1) for line in host.check_output("sshd -T").splitlines() if " " in line)
    assert set(offered["ciphers"].split(",")) == {
        "aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes128-ctr",
    }  # fmt: skip
    assert offered["x11forwarding"] == "no"


PASSWORD = "Qz7#vLm92!xKpW4t"


def become(host, password):
    """Log in as the probe through PAM, from an account that has to give the password; return whether it succeeded."""
    tried = host.run("printf '%%s\\n' %s | setpriv --reuid=nobody --regid=nogroup --clear-groups su probe -c 'id -un'", password)
    return tried.rc == 0 and tried.stdout.strip() == "probe"


def test_account_locks_after_three_failures(host):
    host.check_output("id probe >/dev/null 2>&1 || useradd probe")
    host.check_output("printf 'probe:%%s\\n' %s | chpasswd", PASSWORD)
    host.check_output("faillock --user probe --reset")
    try:
        assert become(host, PASSWORD)
        assert [become(host, f"wrong-{number}") for number in range(3)] == [False] * 3
        assert not become(host, PASSWORD), "the right password opens an account that is locked"
        host.check_output("faillock --user probe --reset")
        assert become(host, PASSWORD)
    finally:
        host.check_output("faillock --user probe --reset && userdel probe")


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
