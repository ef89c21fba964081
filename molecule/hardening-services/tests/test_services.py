"""A hardened node keeps its services, before and after they are started anew, and tells what it leaves open for them."""

from __future__ import annotations

import json
import pathlib

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]


def test_nothing_is_open_but_what_the_profile_leaves_open(host):
    audit = host.ansible("stackwright.cloud.stig", "profile=openstack-controller", become=True)
    findings = {one["id"]: one for one in audit["document"]["findings"]}
    left = {key: (one["detail"], one["evidence"]) for key, one in findings.items() if one["status"] in ("fail", "error")}
    assert left == {}
    profiles = yaml.safe_load((ROOT / "roles/hardening/files/profiles.yml").read_text("utf-8"))
    for control, reason in profiles["openstack-controller"]["deviations"].items():
        assert findings[control]["status"] in ("waived", "pass", "not_applicable", "not_testable")
        if findings[control]["status"] == "waived":
            assert findings[control]["waiver"]["reason"] == reason


@pytest.mark.parametrize("unit", ["mariadb", "rabbitmq-server", "memcached", "keystone"])
def test_services_start_under_the_hardened_rules(host, unit):
    assert host.run("systemctl restart %s", unit).rc == 0
    assert host.service(unit).is_running


def test_shared_services_answer(host):
    assert json.loads(host.check_output("mariadb --batch --skip-column-names -e 'SELECT 1'")) == 1
    assert "RabbitMQ" in host.check_output("rabbitmqctl --quiet status")
