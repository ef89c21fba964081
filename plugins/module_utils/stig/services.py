"""Resources of services that keep what the site chose: time sources, and files that must not be there."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass

from ansible_collections.stackwright.cloud.plugins.module_utils.stig import files, system
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.findings import Evidence
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, show
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.resource import Check, Resource, Spec, judged

CHRONY_CONFIG = "/etc/chrony/chrony.conf"
TIMESYNCD_CONFIG = "/etc/systemd/timesyncd.conf"
SOURCE = re.compile(r"^\s*(server|pool|peer|refclock)\s+(\S+)(.*)$", re.IGNORECASE)
POLL = re.compile(r"\s+maxpoll\s+(-?\d+)\b", re.IGNORECASE)
# What Debian's package ships: nobody's choice.
SHIPPED = re.compile(r"^\s*(pool|server)\s+\S*\.debian\.pool\.ntp\.org\s+iburst\s*$")


@dataclass
class Source:
    """A line that names a source of time."""

    path: str
    at: int
    kind: str
    text: str

    @property
    def shipped(self) -> bool:
        """Whether it is the distribution's own line."""
        return bool(SHIPPED.match(self.text))

    def polled(self, most: int) -> bool:
        """Whether it says how seldom at most it is asked, and not more seldom than 2**`most` seconds. A clock is not
        asked."""
        found = POLL.search(self.text)
        return self.kind == "refclock" or (found is not None and int(found[1]) <= most)


def chrony_files(host: Host) -> list[str]:
    """The files that chronyd takes its sources from: chrony.conf and what its directives name, dormant ones not
    (chrony.conf(5))."""
    found: list[str] = []

    def read(path: str) -> None:
        if path in found or len(found) > 200:
            return
        found.append(path)
        for line in (host.text(path) or "").split("\n"):
            words = line.split()
            if len(words) < 2 or words[0][0] in "#!;%":
                continue
            directive = words[0].lower()
            if directive == "include":
                for name in host.glob(words[1]) if re.search(r"[*?[]", words[1]) else [words[1]]:
                    read(name)
            elif directive in ("confdir", "sourcedir"):
                suffix = "conf" if directive == "confdir" else "sources"
                for directory in words[1:]:
                    for name in host.glob(f"{directory.rstrip('/')}/*.{suffix}"):
                        read(name)

    read(CHRONY_CONFIG)
    return found


def time_sources(host: Host) -> list[Source]:
    """Every source that chronyd has, those that DHCP brought included."""
    return [
        Source(path, at, match[1].lower(), line)
        for path in chrony_files(host)
        for at, line in enumerate((host.text(path) or "").split("\n"))
        if (match := SOURCE.match(line))
    ]


def former_servers(host: Host) -> list[str]:
    """The servers that the site gave the program which chrony takes the place of: systemd-timesyncd, ntpsec, ntp or
    openntpd.

    A package that has to go leaves its configuration behind. Servers that Debian wrote there are nobody's choice.
    """
    found: list[str] = []
    for path in [TIMESYNCD_CONFIG, *host.glob("/etc/systemd/timesyncd.conf.d/*.conf")]:
        for value in re.findall(r"^[ \t]*NTP[ \t]*=[ \t]*(.*?)[ \t]*$", host.text(path) or "", re.MULTILINE):
            found = found + value.split() if value else []
    for path in ("/etc/ntpsec/ntp.conf", "/etc/ntp.conf", "/etc/openntpd/ntpd.conf"):
        found += re.findall(r"^[ \t]*(?:server|pool|peer|servers)[ \t]+(\S+)", host.text(path) or "", re.MULTILINE)
    return [
        one
        for one in dict.fromkeys(found)
        if not one.endswith(".debian.pool.ntp.org") and not one.startswith("127.127.")
    ]


def _transient(path: str) -> bool:
    return path.startswith("/run/")


def check_time_sources(host: Host, spec: Spec) -> Check:
    """chronyd has sources that somebody chose, and each says how seldom at most it is asked."""
    most = int(spec["maxpoll"])
    sources = time_sources(host)
    chosen = [one for one in sources if not one.shipped]
    if not chosen:
        found = f"only Debian's own {sources[0].text.split()[1]}" if sources else "no source"
        return judged(False, "a time source of the site", found, CHRONY_CONFIG)
    bad = [one for one in sources if not one.polled(most) and not _transient(one.path)]
    evidence = [
        Evidence(f"maxpoll {most} or less", show(" ".join(one.text.split())), f"{one.path}:{one.at + 1}")
        for one in bad or sources
    ]
    return Check(not bad, evidence)


def fix_time_sources(host: Host, spec: Spec) -> None:
    """Append the limit to the site's own lines and leave everything else of them. Name a server only where there is
    none."""
    most = int(spec["maxpoll"])
    sources = time_sources(host)
    chosen = [one for one in sources if not one.shipped]
    for one in sources:
        if one.polled(most) or _transient(one.path) or (one.shipped and not chosen):
            continue
        lines = (host.text(one.path) or "").split("\n")
        body, mark, comment = re.match(r"^(.*?)(\s*)([#!].*)?$", lines[one.at]).groups()  # type: ignore[union-attr]
        limited = f"{POLL.sub('', body).rstrip()} maxpoll {most}"
        lines[one.at] = limited + (f"{mark or ' '}{comment}" if comment else "")
        host.write(one.path, "\n".join(lines))
    if not chosen:
        names = former_servers(host) or [str(spec["server"])]
        lines = (host.text(CHRONY_CONFIG) or "").rstrip("\n").split("\n")
        for one in sources:
            if one.path == CHRONY_CONFIG:
                lines[one.at] = f"# {lines[one.at]}"
            else:
                other = (host.text(one.path) or "").split("\n")
                other[one.at] = f"# {other[one.at]}"
                host.write(one.path, "\n".join(other))
        lines += [f"server {name} iburst maxpoll {most}" for name in names]
        host.write(CHRONY_CONFIG, "\n".join(lines).lstrip("\n") + "\n")
    host.activate("chrony")


def check_absent(host: Host, spec: Spec) -> Check:
    """None of the paths exists."""
    there = [one for one in spec["paths"] if host.stat(one) is not None]
    return Check(not there, [Evidence("no such file", "it is there", one) for one in there]
                 or [Evidence("no such file", "none", " ".join(spec["paths"]))])  # fmt: skip


def fix_absent(host: Host, spec: Spec) -> None:
    """Remove the files; what is no file is for people."""
    for one in spec["paths"]:
        host.remove(one)


def _includes(host: Host, spec: Spec) -> list[str]:
    return re.findall(spec["match"], host.text(spec["main"]) or "", re.MULTILINE)


def check_included(host: Host, spec: Spec) -> Check:
    """The main file of a program includes the file that other resources write: otherwise nobody reads it."""
    found = _includes(host, spec)
    ok = host.text(spec["main"]) is None or any(fnmatch.fnmatchcase(spec["path"], one) for one in found)
    expected = f"{spec['path']} is included"
    return judged(ok, expected, show(", ".join(found)) or "nothing is included", spec["main"])


def fix_included(host: Host, spec: Spec) -> None:
    """Include that one file: the others of its directory are dormant, and what they would do nobody asked for."""
    text = host.text(spec["main"]) or ""
    host.write(spec["main"], f"{text.rstrip(chr(10))}\n{spec['line']}\n")
    if "activate" in spec:
        host.activate(spec["activate"])


PRIVILEGED = {"type": "permissions", "paths": ["/"], "recursive": True, "kind": "file", "forbid": "6000"}
PROGRAMS = ("/usr/", "/opt/")


def privileged_rules(host: Host, spec: Spec) -> list[str]:
    """An audit rule for each program that has the set-user or set-group bit."""
    found = sorted(path for path, _ in files.violations(host, PRIVILEGED).found if path.startswith(PROGRAMS))
    fields = f"-F perm=x -F auid>=1000 -F auid!=unset -F key={spec['key']}"
    return [f"-a always,exit -F path={path} {fields}" for path in found if not re.search(r"[^\w./+@:-]", path)]


def check_privileged(host: Host, spec: Spec) -> Check:
    """augenrules compiles a rule for each such program."""
    rules = privileged_rules(host, spec)
    if not rules:
        return judged(
            True, "a rule for each program with others' rights", "there is no such program", " ".join(PROGRAMS)
        )
    return system.check_audit(host, {"rules": rules})


def fix_privileged(host: Host, spec: Spec) -> None:
    """Add the rules that are missing."""
    system.fix_audit(host, {"rules": privileged_rules(host, spec)})


TYPES = {
    "audit_privileged": Resource(check_privileged, fix_privileged, {"key": str}, ("key",)),
    "time_sources": Resource(
        check_time_sources, fix_time_sources, {"maxpoll": int, "server": str}, ("maxpoll", "server")
    ),
    "included": Resource(
        check_included, fix_included, {"main": str, "path": str, "match": str, "line": str, "activate": str},
        ("main", "path", "match", "line"),
    ),
    "absent": Resource(check_absent, fix_absent, {"paths": list}, ("paths",)),
}  # fmt: skip
