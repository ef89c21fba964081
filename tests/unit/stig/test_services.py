"""The site's time sources stay, and only where there are none is one named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import catalogue, services
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host

Put = Callable[[str, str], Path]
SPEC = {"type": "time_sources", "maxpoll": 16, "server": "ntp.example.org"}
DIRECTIVES = "confdir /etc/chrony/conf.d\nsourcedir /run/chrony-dhcp\nsourcedir /etc/chrony/sources.d\n"
SHIPPED = "pool 2.debian.pool.ntp.org iburst\n"


def mended(host: Host) -> None:
    """The check fails, passes after the remedy, and a second remedy changes nothing."""
    assert not services.check_time_sources(host, SPEC).ok
    services.fix_time_sources(host, SPEC)
    assert services.check_time_sources(host, SPEC).ok
    before = host.mutations
    services.fix_time_sources(host, SPEC)
    assert host.mutations == before


def test_sources_of_the_site_stay_wherever_they_are(host: Host, put: Put) -> None:
    put("/etc/chrony/chrony.conf", f"{DIRECTIVES}server 10.137.164.1 iburst prefer\npeer 10.0.0.8  # our twin\n")
    put("/etc/chrony/conf.d/site.conf", "server 10.0.0.9 iburst key 3 nts\nserver 10.0.0.7 maxpoll 20 minpoll 4\n")
    put("/etc/chrony/sources.d/site.sources", "pool ntp2.site.example iburst\n")
    mended(host)
    assert host.text("/etc/chrony/chrony.conf") == (
        f"{DIRECTIVES}server 10.137.164.1 iburst prefer maxpoll 16\npeer 10.0.0.8 maxpoll 16  # our twin\n"
    )
    site = "server 10.0.0.9 iburst key 3 nts maxpoll 16\nserver 10.0.0.7 minpoll 4 maxpoll 16\n"
    assert host.text("/etc/chrony/conf.d/site.conf") == site
    assert host.text("/etc/chrony/sources.d/site.sources") == "pool ntp2.site.example iburst maxpoll 16\n"


@pytest.mark.parametrize(
    ("config", "dhcp"),
    [("refclock PHC /dev/ptp0 poll 2\n", ""), ("Server 10.0.0.1 maxpoll 6\n", ""), ("", "server 10.0.0.2 iburst\n")],
)
def test_clock_or_server_that_is_there_is_enough(host: Host, put: Put, config: str, dhcp: str) -> None:
    put("/etc/chrony/chrony.conf", DIRECTIVES + config)
    put("/run/chrony-dhcp/eth0.sources", dhcp)
    assert services.check_time_sources(host, SPEC).ok


def test_own_source_beside_the_distributions_keeps_both(host: Host, put: Put) -> None:
    put("/etc/chrony/chrony.conf", DIRECTIVES + SHIPPED)
    put("/etc/chrony/conf.d/a.conf", "server 10.0.0.1 maxpoll 10\n")
    mended(host)
    assert host.text("/etc/chrony/chrony.conf") == f"{DIRECTIVES}pool 2.debian.pool.ntp.org iburst maxpoll 16\n"


@pytest.mark.parametrize(
    ("timesyncd", "names"),
    [
        ("[Time]\n#NTP=\n", ["ntp.example.org"]),
        ("[Time]\nNTP=10.0.0.1 10.0.0.2\n", ["10.0.0.1", "10.0.0.2"]),
        ("[Time]\nNTP=10.0.0.1\nNTP=\nNTP = 10.0.0.3\n", ["10.0.0.3"]),
    ],
)
def test_where_nobody_chose_a_source_timesyncds_or_the_parameter_counts(
    host: Host, put: Put, timesyncd: str, names: list[str]
) -> None:
    put("/etc/chrony/chrony.conf", DIRECTIVES + SHIPPED)
    put("/etc/systemd/timesyncd.conf", timesyncd)
    mended(host)
    lines = (host.text("/etc/chrony/chrony.conf") or "").split("\n")
    assert [one for one in lines if one.startswith("server")] == [f"server {one} iburst maxpoll 16" for one in names]
    assert f"# {SHIPPED.strip()}" in lines


@pytest.mark.parametrize("path", ["/etc/ntpsec/ntp.conf", "/etc/ntp.conf", "/etc/openntpd/ntpd.conf"])
def test_servers_of_the_program_that_chrony_replaces_stay(host: Host, put: Put, path: str) -> None:
    put("/etc/chrony/chrony.conf", DIRECTIVES + SHIPPED)
    put(path, "server 10.0.0.5 iburst\npool 0.debian.pool.ntp.org iburst\nserver 127.127.1.0\n# server 10.9.9.9\n")
    mended(host)
    lines = (host.text("/etc/chrony/chrony.conf") or "").split("\n")
    assert [one for one in lines if one.startswith("server")] == ["server 10.0.0.5 iburst maxpoll 16"]


def test_dormant_directory_of_chrony_is_neither_read_nor_brought_to_life(host: Host, put: Put) -> None:
    put("/etc/chrony/chrony.conf", "driftfile /var/lib/chrony/drift\n")
    put("/etc/chrony/conf.d/old.conf", "server 10.9.9.9\n")
    mended(host)
    assert list(host.overlay) == ["/etc/chrony/chrony.conf"]
    assert "confdir" not in (host.text("/etc/chrony/chrony.conf") or "")


def test_file_that_must_not_be_there_is_removed(host: Host, put: Put) -> None:
    put("/etc/cron.deny", "eve\n")
    spec = {"type": "absent", "paths": ["/etc/cron.deny", "/etc/at.deny"]}
    assert services.check_absent(host, spec).evidence[0].where == "/etc/cron.deny"
    services.fix_absent(host, spec)
    assert services.check_absent(host, spec).ok


RSYSLOG = next(
    one
    for control in catalogue.load().controls.values()
    for one in control.get("resources", [])
    if one["type"] == "included"
)


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("$IncludeConfig /etc/rsyslog.d/*.conf\n", True),
        ('include(file="/etc/rsyslog.d/*.conf" mode="optional")\n', True),
        ("#$IncludeConfig /etc/rsyslog.d/*.conf\n", False),
        ("$IncludeConfig /etc/rsyslog.d/1*.conf\n", False),
        ('module(load="imuxsock")\n', False),
    ],
)
def test_only_the_own_file_of_a_dormant_directory_is_included(host: Host, put: Put, text: str, ok: bool) -> None:
    put("/etc/rsyslog.conf", text)
    put("/etc/rsyslog.d/99-dormant.conf", "*.* @@192.0.2.9\n")
    assert services.check_included(host, RSYSLOG).ok == ok
    if not ok:
        services.fix_included(host, RSYSLOG)
        assert services.check_included(host, RSYSLOG).ok
        assert "*" not in (host.text("/etc/rsyslog.conf") or "").removeprefix(text)


def test_every_program_with_rights_of_others_has_an_audit_rule(host: Host, put: Put) -> None:
    for name, mode in (("usr/bin/su", 0o4755), ("opt/tool", 0o2755), ("home/eve/mine", 0o4755), ("usr/bin/ls", 0o755)):
        put(f"/{name}", "").chmod(mode)
    fields = "-F perm=x -F auid>=1000 -F auid!=unset"
    put("/etc/audit/rules.d/a.rules", f"-a always,exit -F path=/usr/bin/su {fields} -F key=su\n")
    spec = {"type": "audit_privileged", "key": "others"}
    check = services.check_privileged(host, spec)
    assert [one.expected for one in check.evidence] == [f"-a always,exit -F path=/opt/tool {fields} -F key=others"]
    services.fix_privileged(host, spec)
    assert services.check_privileged(host, spec).ok
    before = host.mutations
    services.fix_privileged(host, spec)
    assert host.mutations == before


def test_host_without_such_programs_needs_no_rule(host: Host) -> None:
    assert services.check_privileged(host, {"key": "others"}).ok
