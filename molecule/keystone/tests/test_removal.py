"""What is left of a service that was added, taken off, added again and taken off (see removal.yml)."""

from __future__ import annotations


def test_it_is_stopped_and_let_in_no_more(host):
    unit = host.service("placement-api")
    assert not unit.is_running and not unit.is_enabled
    rules = host.check_output("nft list ruleset")
    assert "8778" not in rules and "5000" in rules
    assert host.check_output("ss -H -l -t -n 'sport = :8778'") == ""


def test_it_leaves_its_data_and_its_user(host):
    assert host.check_output("mariadb --skip-column-names --execute \"SHOW DATABASES LIKE 'placement'\"") == "placement"
    users = "SELECT name FROM keystone.local_user WHERE name = 'placement'"
    assert host.check_output(f'mariadb --skip-column-names --execute "{users}"') == "placement"
    assert host.file("/etc/placement/placement.conf").exists
