"""A hardened node keeps its services, before and after they are started anew, and tells what it leaves open for
them."""

from __future__ import annotations

import json
import pathlib

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]


def test_nothing_is_open_but_what_the_profile_leaves_open(host):
    audit = host.ansible("stackwright.cloud.stig", "profile=openstack-controller", become=True)
    findings = {one["id"]: one for one in audit["document"]["findings"]}
    left = {
        key: (one["detail"], one["evidence"]) for key, one in findings.items() if one["status"] in ("fail", "error")
    }
    assert left == {}
    files = ROOT / "roles/hardening/files"
    profiles, kinds = (
        yaml.safe_load((files / f"{name}.yml").read_text("utf-8")) for name in ("profiles", "deviations")
    )
    reasons = [one for kind in profiles["openstack-controller"]["deviations"] for one in kinds[kind]]
    deviations = {control: one["reason"] for one in reasons for control in one["controls"]}
    waived = {key for key, one in findings.items() if one["status"] == "waived"}
    assert waived & set(deviations), "the profile's deviations waive nothing"
    for control, reason in deviations.items():
        assert findings[control]["status"] in ("waived", "pass", "not_applicable", "not_testable")
        if findings[control]["status"] == "waived":
            assert findings[control]["waiver"]["reason"] == reason


@pytest.mark.parametrize("unit", ["mariadb", "rabbitmq-server", "memcached", "keystone"])
def test_services_start_under_the_hardened_rules(host, unit):
    assert host.run("systemctl restart %s", unit).rc == 0
    assert host.service(unit).is_running


def test_logs_that_come_into_being_anew_are_closed(host):
    logs = "find /var/log -type f ! -path '/var/log/journal/*' ! -name '[bw]tmp' ! -name lastlog"
    host.check_output(f"{logs} -delete")
    for command in (
        "systemctl restart mariadb rabbitmq-server memcached keystone rsyslog",
        "apt-get --quiet --yes reinstall tzdata",
        "systemd-run --quiet --wait --property=UMask=0 touch /var/log/keystone/second.log",
        "systemd-run --quiet --wait --property=UMask=0 mkdir /var/log/made",
        "systemd-run --quiet --wait --property=UMask=0 touch /var/log/made/first.log",
    ):
        host.check_output(command)
    found = set(host.check_output(f"{logs} -print").split())
    assert found >= {"/var/log/dpkg.log", "/var/log/apt/history.log", "/var/log/syslog", "/var/log/made/first.log"}
    assert host.check_output(f"{logs} -perm /0137 -print") == ""


def test_shared_services_answer(host):
    assert json.loads(host.check_output("mariadb --batch --skip-column-names -e 'SELECT 1'")) == 1
    assert "RabbitMQ" in host.check_output("rabbitmqctl --quiet status")
