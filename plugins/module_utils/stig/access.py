"""Resources that decide who gets in: sshd, the SSH client, PAM stacks, sudo rules and accounts."""

from __future__ import annotations

import fnmatch
import os
import re
import time
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.stig.findings import Evidence
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host, HostError, show
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.resource import (
    Check,
    Resource,
    Spec,
    accepted,
    judged,
    wanted,
)

SSHD_CONFIG = "/etc/ssh/sshd_config"
SSH_CONFIG = "/etc/ssh/ssh_config"
SSH_DROPIN = "/etc/ssh/ssh_config.d/00-stackwright-hardening.conf"
OURS = "# Written by Stackwright's hardening; the first value that sshd or ssh reads counts.\n"
LISTS = ("allowgroups", "allowusers", "denygroups", "denyusers")  # printed a line per name
# What no Match block names, unless it is for everybody.
NO_CONNECTION = "user=nobody,host=host.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=65535,rdomain=none"
PAM_DIRECTORY = "/etc/pam.d"


# ---------------------------------------------------------------- ssh


@dataclass(frozen=True)
class Setting:
    """One setting of sshd as it reads it: where it stands, its keyword in small letters, its value, the Match block
    around it."""

    path: str
    at: int
    keyword: str
    value: str
    match: str


def ssh_words(line: str) -> tuple[str, list[str]]:
    """Keyword and arguments of a line as sshd takes them apart (sshd_config(5)): a blank or one ``=`` after the
    keyword, double or single quotes around arguments, a comment after ``#``. An empty keyword is an empty line or a
    comment.
    """
    found = re.match(r"[ \t\f\r]*\"?([^\s=\"#]+)\"?[ \t\f\r]*=?[ \t\f\r]*(.*)$", line)
    if found is None:
        return "", []
    words, rest = [], found[2].rstrip()
    while rest and rest[0] != "#":
        token = re.match(r"(?:\"([^\"]*)\"|'([^']*)'|([^\s\"']+))\s*", rest)
        if token is None:  # a quote that does not end: sshd refuses the line
            words.append(rest)
            break
        words.append(next(one for one in token.groups() if one is not None))
        rest = rest[token.end() :]
    return found[1].lower(), words


def sshd_settings(host: Host) -> list[Setting]:
    """Every setting in the order in which sshd reads it, included files where they are included, dormant ones not at
    all."""
    found: list[Setting] = []

    def read(path: str, match: str, depth: int) -> None:
        inside = match  # a Match block ends with its file
        for at, line in enumerate((host.text(path) or "").split("\n")):
            keyword, words = ssh_words(line)
            if keyword == "match":
                inside = match if [one.lower() for one in words] == ["all"] else " ".join(words)
            elif keyword == "include":
                for word in words if depth < 16 else []:
                    pattern = word if word.startswith("/") else f"/etc/ssh/{word}"
                    for name in host.glob(pattern) if any(one in pattern for one in "*?[") else [pattern]:
                        read(name, inside, depth + 1)
            elif keyword:
                found.append(Setting(path, at, keyword, " ".join(words), inside))

    read(SSHD_CONFIG, "", 0)
    return found


def connection_for(host: Host, match: str) -> str:
    """A connection that a Match block takes, as the argument of ``sshd -C``: its first pattern of each kind, made
    literal.

    Empty for a block that cannot be met so, as one that only negates.
    """
    values = {
        "user": "nobody",
        "host": "host.invalid",
        "addr": "192.0.2.1",
        "laddr": "192.0.2.2",
        "lport": "22",
        "rdomain": "none",
    }
    kinds = {"user": "user", "host": "host", "address": "addr", "localaddress": "laddr", "localport": "lport",
             "rdomain": "rdomain"}  # fmt: skip
    words = re.sub(r"(\w)=", r"\1 ", match).split()
    for kind, patterns in zip(words[::2], words[1::2], strict=False):
        pattern = next((one for one in patterns.split(",") if one and not one.startswith("!")), "")
        literal = re.sub(r"[*?]", "x" if "addr" not in kind.lower() else "1", pattern.partition("/")[0])
        if kind.lower() == "group":
            literal = _member(host, literal)
            values["user"] = literal
        elif kind.lower() in kinds:
            values[kinds[kind.lower()]] = literal
        if not literal:
            return ""
    return ",".join(f"{key}={value}" for key, value in values.items() if value)


def _member(host: Host, group: str) -> str:
    lines = [one.split(":") for one in (host.text("/etc/group") or "").splitlines() if one.count(":") == 3]
    fields = next((one for one in lines if one[0] == group), None)
    if fields is None:
        return ""
    members = [one for one in fields[3].split(",") if one] + [one[0] for one in host.users() if one[3] == fields[2]]
    return next(iter(members), "")


def sshd_dump(host: Host) -> tuple[int, str]:
    """What ``sshd -T`` ends with and prints, also where a Match block asks for a port or an address, without which it
    refuses."""
    code, output = host.run(["sshd", "-T"])
    if code and "connection test specification" in output:
        return host.run(["sshd", "-T", "-C", NO_CONNECTION])
    return code, output


def effective(host: Host, program: str, connection: str = "") -> dict[str, str]:
    """The settings that `sshd -T` or `ssh -G` derive from all their files.

    :param connection: for sshd the connection that is asked for, as ``sshd -C`` takes it.
    :raises HostError: when the program refuses its configuration.
    """

    def ask() -> dict[str, str]:
        argv = ["sshd", "-T"] if program == "sshd" else ["ssh", "-G", "-F", SSH_CONFIG, "host.invalid"]
        argv += ["-C", connection] if connection else []
        code, output = sshd_dump(host) if argv == ["sshd", "-T"] else host.run(argv)
        if code == 127:
            raise HostError(f"{program} is not installed")
        if code:
            raise HostError(f"{' '.join(argv)} refuses the configuration: {output.strip()[-300:]}")
        values: dict[str, str] = {}
        for line in output.splitlines():
            key, _, value = line.partition(" ")
            key = key.lower()
            if key in LISTS and key in values:
                values[key] += f" {value.strip()}"
            values.setdefault(key, value.strip())
        return values

    return host.cached(f"effective {program} {connection}", ask)  # type: ignore[no-any-return]


def connections(host: Host) -> list[str]:
    """The connections that stand for the Match blocks of sshd's configuration, each as ``sshd -C`` takes it."""
    blocks = dict.fromkeys(one.match for one in sshd_settings(host) if one.match)
    return [one for one in dict.fromkeys(connection_for(host, block) for block in blocks) if one]


def remember_sshd(host: Host) -> None:
    """Keep what sshd does before its first planned change, for :func:`unasked`."""
    if "sshd" in host.notes:
        return
    try:
        asked = {"": effective(host, "sshd"), **{one: effective(host, "sshd", one) for one in connections(host)}}
    except HostError:  # it is refused already, so there is nothing to compare with
        asked = {}
    host.notes["sshd"] = asked
    host.notes.setdefault("sshd options", set())


def unasked(host: Host) -> list[str]:
    """What sshd's new files change although no control asked for it, a phrase each; for all users and for each Match
    block."""
    wanted = host.notes.get("sshd options", set())
    found = []
    for connection, before in host.notes.get("sshd", {}).items():
        try:
            after = effective(host, "sshd", connection)
        except HostError:  # sshd -t tells it
            continue
        found += [
            f"{name} {show(before.get(name, 'not set'))} becomes {show(after.get(name, 'not set'))}"
            + (f" for {connection}" if connection else "")
            for name in sorted(set(before) | set(after))
            if name not in wanted and before.get(name) != after.get(name)
        ]
    return found


def _ssh_accepted(found: str, spec: Spec) -> bool:
    if spec.get("subset"):  # a list of algorithms: only approved ones, at least one
        names = [one for one in found.split(",") if one]
        return bool(names) and set(names) <= set(str(spec["value"]).split(","))
    return accepted("prohibit-password" if found.casefold() == "without-password" else found, spec)


def check_sshd(host: Host, spec: Spec) -> Check:
    """The daemon's effective setting, for everybody and for the connections that Match blocks name."""
    option, key = spec["option"], spec["option"].lower()
    if "openssh-server" not in host.packages:
        return Check(
            True, [Evidence(f"{option} {wanted(spec)}", "openssh-server is not installed", "dpkg")], applicable=False
        )
    found = effective(host, "sshd").get(key, "not set")
    found = "prohibit-password" if found == "without-password" else found  # its older name, which sshd -T prints
    evidence = [Evidence(f"{option} {wanted(spec)}", f"{option} {show(found)}", "sshd -T")]
    ok = _ssh_accepted(found, spec)
    settings = [one for one in sshd_settings(host) if one.keyword == key]
    if ok and spec.get("explicit") and not any(one.path == SSHD_CONFIG and not one.match for one in settings):
        ok = False
        place = settings[0].path if settings else "no file"
        evidence.append(Evidence(f"{option} {wanted(spec)} in {SSHD_CONFIG}", f"set in {place}", SSHD_CONFIG))
    for one in settings:
        if one.match and not _ssh_accepted(one.value, spec):
            ok = False
            evidence.append(
                Evidence(
                    f"{option} {wanted(spec)}",
                    f"{option} {show(one.value)} in a Match block",
                    f"{one.path}:{one.at + 1}",
                )
            )
    for connection in connections(host) if ok else []:
        try:
            value = effective(host, "sshd", connection).get(key, "not set")
        except HostError:  # a pattern that is no name, which the files were read for
            continue
        if not _ssh_accepted(value, spec):
            ok = False
            evidence.append(
                Evidence(f"{option} {wanted(spec)}", f"{option} {show(value)}", f"sshd -T -C {show(connection)}")
            )
    note = ""
    if ok and "best" in spec and not accepted(found, {"value": spec["best"]}):
        note = f"{option} {found} is kept for the account that Ansible comes in with"
    return Check(ok, evidence, note)


def _silence(host: Host, places: dict[str, list[int]]) -> None:
    """Turn lines into comments: path and line indexes."""
    for path, lines_at in places.items():
        lines = (host.text(path) or "").split("\n")
        for at in lines_at:
            lines[at] = f"# {lines[at]}"
        host.write(path, "\n".join(lines))


def fix_sshd(host: Host, spec: Spec) -> None:
    """Set the option at the head of sshd_config, where it is read first, and turn contrary values into comments.

    No other file is included for it: one that sshd does not read may hold settings that were never meant to be in
    force.
    """
    option = spec["option"]
    remember_sshd(host)
    host.notes.setdefault("sshd options", set()).add(option.lower())
    try:
        found = effective(host, "sshd").get(option.lower(), "")
    except HostError:  # it refuses its configuration, perhaps because of this very option
        found = ""
    places: dict[str, list[int]] = {}
    for one in sshd_settings(host):
        if one.keyword == option.lower() and not _ssh_accepted(one.value, spec):
            places.setdefault(one.path, []).append(one.at)
    _silence(host, places)
    settings = [one for one in sshd_settings(host) if one.keyword == option.lower() and not one.match]
    stands = any(one.path == SSHD_CONFIG for one in settings)
    if not stands and (not _ssh_accepted(found, spec) or spec.get("explicit")):
        text = host.text(SSHD_CONFIG) or ""
        head, rest = (OURS, text.removeprefix(OURS)) if text.startswith(OURS) else (OURS, text)
        host.write(SSHD_CONFIG, f"{head}{option} {spec['value']}\n{rest}")
    host.activate("sshd")


def check_ssh_client(host: Host, spec: Spec) -> Check:
    """The client's effective setting for a host without an entry of its own."""
    option = spec["option"]
    found = effective(host, "ssh").get(option.lower(), "not set")
    return judged(
        _ssh_accepted(found, spec), f"{option} {wanted(spec)}", f"{option} {show(found)}", f"ssh -G -F {SSH_CONFIG}"
    )


def fix_ssh_client(host: Host, spec: Spec) -> None:
    """Set the option for all hosts in a drop-in of our own that is read first; other dormant drop-ins stay so."""
    option = spec["option"]
    for path in [SSH_CONFIG, *host.glob("/etc/ssh/ssh_config.d/*.conf")]:
        lines = (host.text(path) or "").split("\n")
        bad = [
            at
            for at, (keyword, words) in enumerate(map(ssh_words, lines))
            if keyword == option.lower() and not _ssh_accepted(" ".join(words), spec)
        ]
        _silence(host, {path: bad} if bad else {})
    text = host.text(SSH_DROPIN) or OURS + "Host *\n"
    pattern = re.compile(rf"^[ \t]*{re.escape(option)}[ \t=].*\n", re.MULTILINE | re.IGNORECASE)
    host.write(SSH_DROPIN, pattern.sub("", text) + f"{option} {spec['value']}\n", mode=0o644)
    main = host.text(SSH_CONFIG) or ""
    keyword, words = next((one for one in map(ssh_words, main.split("\n")) if one[0]), ("", []))
    if keyword != "include" or not any(fnmatch.fnmatchcase(SSH_DROPIN, one) for one in words):
        host.write(SSH_CONFIG, f"Include {SSH_DROPIN}\n{main}")


# ---------------------------------------------------------------- PAM


@dataclass
class PamLine:
    """One rule of a stack: where it stands, its type, control, module and arguments."""

    path: str
    at: int
    type: str
    control: str
    module: str
    args: list[str]

    @property
    def jumps(self) -> dict[str, str]:
        """The actions of a bracketed control by return value; empty for the simple words."""
        return dict(one.split("=", 1) for one in self.control.strip("[]").split() if "=" in one)


PAM_LINE = re.compile(r"^\s*-?(auth|account|password|session)\s+(\[[^\]]*\]|\S+)\s+(\S+)\s*(.*?)\s*$")


def pam_file(host: Host, path: str) -> list[PamLine]:
    """The rules of one file, in order, with @include and include lines as they stand."""
    found = []
    for at, line in enumerate((host.text(path) or "").split("\n")):
        if match := PAM_LINE.match(line.split("#", 1)[0]):
            found.append(PamLine(path, at, match[1], match[2], match[3].rsplit("/", 1)[-1], match[4].split()))
    return found


def _stack(host: Host, spec: Spec) -> tuple[str, list[PamLine]]:
    path = f"{PAM_DIRECTORY}/{spec['stack']}"
    if host.text(path) is None:
        raise HostError(f"{path} does not exist: is libpam-runtime installed?")
    return path, [one for one in pam_file(host, path) if one.type == spec["kind"]]


def _first(lines: list[PamLine], module: str, needs: list[str] | None = None) -> int | None:
    for at, one in enumerate(lines):
        if one.module == module and all(arg in one.args for arg in needs or []):
            return at
    return None


def _is_final(line: PamLine) -> bool:
    return line.module == "pam_deny.so"


def check_pam(host: Host, spec: Spec) -> Check:
    """A module stands in the stack, before or after others as asked, with the arguments asked and none forbidden."""
    path, lines = _stack(host, spec)
    module = spec["module"]
    expected = f"{spec['kind']} {spec.get('control', '')} {module} {' '.join(spec.get('args', []))}".replace("  ", " ")
    if "forbidden" in spec:
        bad = [one for one in lines if one.module == module and spec["forbidden"] in one.args]
        evidence = [
            Evidence(f"{module} without {spec['forbidden']}", " ".join(one.args), f"{path}:{one.at + 1}") for one in bad
        ]
        return Check(not bad, evidence or [Evidence(f"{module} without {spec['forbidden']}", "not there", path)])
    at = _first(lines, module, spec.get("needs"))
    if at is None:
        return judged(False, expected.strip(), "not in the stack", path)
    line = lines[at]
    where = f"{path}:{line.at + 1}"
    found = f"{line.type} {line.control} {line.module} {' '.join(line.args)}"
    for other in spec.get("before", []):
        place = _first(lines, other)
        if place is not None and place < at:
            return judged(False, f"{module} before {other}", "it stands after it", where)
    for other in spec.get("after", []):
        place = _first(lines, other)
        if place is not None and place > at:
            return judged(False, f"{module} after {other}", "it stands before it", where)
    if "control" in spec and line.control != spec["control"]:
        return judged(False, expected, found, where)
    for arg in spec.get("args", []):
        name, _, value = str(arg).partition("=")
        own = next((one.partition("=")[2] for one in line.args if one.partition("=")[0] == name), None)
        if own is None or not _argument_accepted(own, value, spec):
            return judged(False, expected, found, where)
    surplus = [one for one in line.args if one in spec.get("without", [])]
    return judged(not surplus, expected, found, where)


def _argument_accepted(found: str, value: str, spec: Spec) -> bool:
    if spec.get("compare") in ("min", "max"):
        try:
            return int(found) >= int(value) if spec["compare"] == "min" else int(found) <= int(value)
        except ValueError:
            return False
    return found == value


def insert_pam(text: str, at: int, line: str, kind: str) -> str:
    """`text` with `line` inserted before line index `at`; jumps of the same type across that place grow by one."""
    lines = text.split("\n")
    rules = [one for one in _numbered(lines) if one[1] == kind]
    for position, (index, _, control) in enumerate(rules):
        if index >= at or not control.startswith("["):
            continue

        def grow(match: re.Match[str], position: int = position) -> str:
            target = position + int(match[2]) + 1
            crosses = target >= len(rules) or rules[target][0] >= at
            # A jump that ended exactly at the place still lands on the old rule, so it grows as well.
            return f"{match[1]}={int(match[2]) + 1}" if crosses else match[0]

        changed = re.sub(r"(\w+)=(\d+)", grow, control)
        lines[index] = lines[index].replace(control, changed, 1)
    return "\n".join([*lines[:at], line, *lines[at:]])


def remove_pam(text: str, at: int, kind: str) -> str:
    """`text` without line index `at`; jumps across it shrink by one."""
    lines = text.split("\n")
    rules = [one for one in _numbered(lines) if one[1] == kind]
    for position, (index, _, control) in enumerate(rules):
        if index >= at or not control.startswith("["):
            continue

        def shrink(match: re.Match[str], position: int = position) -> str:
            target = position + int(match[2]) + 1
            crosses = target >= len(rules) or rules[target][0] > at
            return f"{match[1]}={int(match[2]) - 1}" if crosses and int(match[2]) > 1 else match[0]

        lines[index] = lines[index].replace(control, re.sub(r"(\w+)=(\d+)", shrink, control), 1)
    return "\n".join([*lines[:at], *lines[at + 1 :]])


def _numbered(lines: list[str]) -> list[tuple[int, str, str]]:
    found = []
    for at, line in enumerate(lines):
        if match := PAM_LINE.match(line.split("#", 1)[0]):
            found.append((at, match[1], match[2]))
    return found


def _with_arguments(line: str, spec: Spec) -> str:
    body, _, comment = line.partition("#")
    words = body.rstrip().split()
    for arg in spec.get("args", []):
        name = str(arg).partition("=")[0]
        words = [one for one in words if one.partition("=")[0] != name] + [str(arg)]
    words = [one for one in words if one not in spec.get("without", [])]
    return " ".join(words) + (f"  #{comment}" if comment else "")


def fix_pam(host: Host, spec: Spec) -> None:
    """Set the arguments in place, or take the module out and put it back where it belongs."""
    if check_pam(host, spec).ok:
        return
    path, lines = _stack(host, spec)
    text = host.text(path) or ""
    raw = text.split("\n")
    module, kind = spec["module"], spec["kind"]
    if "forbidden" in spec:
        for one in lines:
            if one.module == module:
                raw[one.at] = re.sub(rf"\s+{re.escape(spec['forbidden'])}(?=\s|$)", "", raw[one.at])
        host.write(path, "\n".join(raw))
        return
    at = _first(lines, module, spec.get("needs"))
    if at is not None and ("control" not in spec or lines[at].control == spec["control"]):
        raw[lines[at].at] = _with_arguments(raw[lines[at].at], spec)
        host.write(path, "\n".join(raw))
        if check_pam(host, spec).ok:
            return
        text = "\n".join(raw)
    if "control" not in spec:
        raise HostError(f"{path}: {module} is not in the stack. Install the package that brings it and run again.")
    if at is not None:
        text = remove_pam(text, lines[at].at, kind)
    host.write(path, text)
    _, lines = _stack(host, spec)
    args = [*spec.get("needs", []), *(one for one in spec.get("args", []) if one not in spec.get("needs", []))]
    rule = f"{kind}\t{spec['control']}\t{module} {' '.join(map(str, args))}".rstrip()
    host.write(path, insert_pam(text, _place(lines, text, spec), rule, kind))


def _place(lines: list[PamLine], text: str, spec: Spec) -> int:
    if "before" in spec:
        places = [lines[at].at for at in (_first(lines, one) for one in spec["before"]) if at is not None]
        if places:
            return min(places)
    if "after" in spec:
        final = next((one.at for one in lines if _is_final(one)), None)
        places = [lines[at].at + 1 for at in (_first(lines, one) for one in spec["after"]) if at is not None]
        if places:
            return final if final is not None and final >= max(places) else max(places)
    if spec.get("at") == "start" and lines:
        return lines[0].at
    return lines[-1].at + 1 if lines else len(text.rstrip("\n").split("\n"))


# ---------------------------------------------------------------- sudo


@dataclass
class SudoLine:
    """A logical line of sudo's rules: file, first and last line index, text with continuations joined and comments
    gone."""

    path: str
    start: int
    end: int
    text: str

    @property
    def is_rule(self) -> bool:
        """Whether it grants something: neither an alias nor a setting."""
        return not re.match(r"(Defaults|(User|Runas|Host|Cmnd|Cmd)_Alias)\b", self.text)

    @property
    def users(self) -> list[str]:
        """Whom a rule is for, a setting with a scope of users holds for, or nobody."""
        if not self.is_rule:
            scope = re.match(r"Defaults:(\S+(?:\s*,\s*\S+)*)\s", self.text)
            return re.split(r"\s*,\s*", scope[1]) if scope else []
        head = re.match(r'(?:"[^"]*"|\\.|[^\s,"])+(?:\s*,\s*(?:"[^"]*"|\\.|[^\s,"])+)*', self.text)
        return [one.strip('"') for one in re.split(r"\s*,\s*", head[0])] if head else []


def _without_comment(text: str) -> str:
    """A line of sudoers without its comment: ``#`` begins one unless digits follow, which make a number of an
    account."""
    quoted = False
    for at, sign in enumerate(text):
        if sign == '"':
            quoted = not quoted
        escaped = at > 0 and text[at - 1] == "\\"
        if sign == "#" and not quoted and not escaped and not re.match(r"#-?\d", text[at:]):
            return text[:at]
    return text


def sudo_files(host: Host) -> list[str]:
    """The files sudo reads: sudoers and what it includes (names with a dot or a tilde at the end are skipped, as sudo
    does)."""
    return list(dict.fromkeys(["/etc/sudoers", *(one.path for one in _sudo_read(host))]))


def sudo_lines(host: Host) -> list[SudoLine]:
    """The logical lines in the order in which sudo reads them, which decides: the last rule that fits a user counts."""
    return [one for one in _sudo_read(host) if one.text]


def _sudo_read(host: Host) -> list[SudoLine]:
    found: list[SudoLine] = []
    seen: list[str] = []

    def read(path: str) -> None:
        if path in seen or len(seen) > 500:
            return
        seen.append(path)
        found.append(SudoLine(path, 0, 0, ""))  # a file without a rule is read as well
        lines = (host.text(path) or "").split("\n")
        at = 0
        while at < len(lines):
            start, text = at, lines[at]
            at += 1
            include = re.match(r'\s*[#@](includedir|include)\s+(?:"([^"]+)"|((?:\\.|\S)+))', text)
            if include:
                target = include[2] or re.sub(r"\\(.)", r"\1", include[3])
                target = target.replace("%h", os.uname().nodename.partition(".")[0])
                target = target if target.startswith("/") else f"{path.rpartition('/')[0]}/{target}"
                for name in _sudo_directory(host, target) if include[1] == "includedir" else [target]:
                    read(name)
                continue
            text = _without_comment(text)
            # A comment ends with its line; only what is no comment goes on behind a backslash.
            while text.endswith("\\") and at < len(lines):
                text = text[:-1] + _without_comment(lines[at])
                at += 1
            if text.strip():
                found.append(SudoLine(path, start, at - 1, text.strip()))

    read("/etc/sudoers")
    return found


def _sudo_directory(host: Host, target: str) -> list[str]:
    return [one for one in host.glob(f"{target.rstrip('/')}/*") if "." not in one.rsplit("/", 1)[1] and one[-1] != "~"]


def sudo_aliases(lines: list[SudoLine]) -> dict[str, list[str]]:
    """The members of every alias by its name, whatever its kind."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if kind := re.match(r"(?:User|Runas|Host|Cmnd|Cmd)_Alias\s+(.*)", line.text):
            for name, members in re.findall(r"([A-Z][A-Z0-9_]*)\s*=\s*((?:[^:=\\]|\\.)*)", kind[1]):
                found[name] = [one.strip() for one in members.split(",")]
    return found


def expanded(names: list[str], aliases: dict[str, list[str]], depth: int = 0) -> list[str]:
    """Names with every alias replaced by its members."""
    found: list[str] = []
    for name in names:
        found += expanded(aliases[name], aliases, depth + 1) if name in aliases and depth < 16 else [name]
    return found


def _is_user(host: Host, name: str, user: str) -> bool:
    """Whether a name of sudo's rules is this account: its name, number, group, group's number, or everybody."""
    fields = next((one for one in host.users() if one[0] == user), [user, "x", "", "", "", "", ""])
    if name.startswith("%"):
        group = name.lstrip("%:")
        lines = [one.split(":") for one in (host.text("/etc/group") or "").splitlines() if one.count(":") == 3]
        return any(
            (one[0] == group or f"#{one[2]}" == group) and (user in one[3].split(",") or fields[3] == one[2])
            for one in lines
        )
    return name in (user, f"#{fields[2]}", "ALL")


def _sudo_kept(host: Host, spec: Spec) -> list[SudoLine]:
    """The lines by which the accounts of `except_users` come to root and that have to stay.

    The last rule that fits an account decides. Of the rules that fit it through a group, an alias or ALL, which give
    the same to others, only the one that decides stays; those that name the account stay all.
    """
    lines = sudo_lines(host)
    aliases = sudo_aliases(lines)
    kept: list[SudoLine] = []
    for user in [str(one) for one in spec.get("except_users", [])]:
        fitting = [one for one in lines if user in one.users]
        decides = [
            one
            for one in lines
            if one.is_rule
            and any(_is_user(host, name, user) for name in expanded(one.users, aliases))
            and re.search(r"\bALL\s*$", one.text)
        ]
        kept += [one for one in fitting + decides[-1:] if one not in kept]
        kept += [
            one
            for one in lines
            if not one.is_rule and any(_is_user(host, name, user) for name in expanded(one.users, aliases))
        ]
    return kept


def _for_everybody(line: SudoLine, aliases: dict[str, list[str]]) -> bool:
    """Whether a rule lets everybody do everything as root, said directly or by aliases."""
    rule = re.match(r"(?P<users>[^=]+?)\s+(?P<hosts>\S+(?:\s*,\s*\S+)*)\s*=\s*(?P<rest>.*)$", line.text)
    if not line.is_rule or rule is None:
        return False
    rest = re.match(r"(?:\((?P<runas>[^):]*)(?::[^)]*)?\)\s*)?(?:[A-Z_]+\s*:\s*)*(?P<commands>.*)$", rule["rest"])
    names = expanded(line.users, aliases)
    runas = [one.strip() for one in (rest["runas"] if rest and rest["runas"] else "root").split(",")]
    commands = [one.strip() for one in (rest["commands"] if rest else "").split(",")]
    return (
        "ALL" in names
        and "ALL" in expanded(commands, aliases)
        and bool({"ALL", "root", "#0"} & set(expanded(runas, aliases)))
    )


def _sudo_bad(host: Host, spec: Spec) -> list[SudoLine]:
    pattern = re.compile(spec["absent"])
    lines = sudo_lines(host)
    if spec.get("everybody"):
        aliases = sudo_aliases(lines)
        return [one for one in lines if _for_everybody(one, aliases)]
    kept = _sudo_kept(host, spec)
    return [one for one in lines if pattern.search(one.text) and one not in kept]


def without_arguments(rule: str) -> str:
    """A rule of sudo as a finding shows it: programs without their arguments, among which a site may have put a
    password."""
    users, equals, commands = rule.partition("=")
    if not equals or rule.startswith("Defaults"):
        return rule
    shown = []
    for one in re.split(r"(?<!\\),(?![^()]*\))", commands):
        found = re.match(r"(\s*(?:\([^)]*\)\s*)?(?:[A-Z_]+\s*:\s*|\w+=\S+\s+)*!*\s*(?:\\.|[^\s\\])+)(\s+\S.*)?$", one)
        shown.append(f"{found[1]} ..." if found and found[2] else one)
    return f"{users}{equals}{','.join(shown)}"


def check_sudoers(host: Host, spec: Spec) -> Check:
    """No rule of sudo matches the pattern, apart from those that the accounts excepted by name need."""
    if not host.exists("/etc/sudoers"):
        return Check(True, [Evidence("no such rule", "sudo is not installed", "/etc/sudoers")], applicable=False)
    bad = _sudo_bad(host, spec)
    expected = "no rule that gives everybody everything" if spec.get("everybody") else f"no rule with {spec['absent']}"
    evidence = [Evidence(expected, show(without_arguments(one.text)), f"{one.path}:{one.start + 1}") for one in bad]
    kept = [
        one
        for one in sudo_lines(host)
        if not spec.get("everybody") and one not in bad and re.search(spec["absent"], one.text)
    ]
    note = ""
    if kept and not bad:
        names = ", ".join(sorted({show(name) for one in kept for name in one.users or ["all"]}))
        places = ", ".join(f"{one.path}:{one.start + 1}" for one in kept)
        note = (
            f"kept for {names} ({places}): the account that Ansible comes in with has no password to give to sudo, or "
            "parameter sudo_without_password names it"
        )
    return Check(not bad, evidence or [Evidence(expected, note or "none", "/etc/sudoers")], note)


def fix_sudoers(host: Host, spec: Spec) -> None:
    """Take the word out of the rule (`strike`), or turn the whole rule into a comment."""
    for one in _sudo_bad(host, spec):
        lines = (host.text(one.path) or "").split("\n")
        for at in range(one.start, one.end + 1):
            lines[at] = re.sub(spec["strike"], "", lines[at]) if "strike" in spec else f"# {lines[at]}"
        if re.fullmatch(r"\s*Defaults\S*\s*", lines[one.start]):  # a setting without anything set is no setting
            lines[one.start] = f"# {lines[one.start]}"
        host.write(one.path, "\n".join(lines))


@dataclass
class SudoSetting:
    """One setting of a Defaults line: its place, its scope (empty for everybody), its name, its value, and the text
    that says it."""

    line: SudoLine
    scope: str
    name: str
    value: str
    text: str


def sudo_settings(host: Host) -> list[SudoSetting]:
    """The settings of sudo in their order; the value of a switch is ``on`` or ``off``."""
    found = []
    for line in sudo_lines(host):
        head = re.match(r"Defaults([@:!>]\S+(?:\s*,\s*\S+)*)?\s+(.*)$", line.text)
        if head is None:
            continue
        for text in re.findall(r'(?:"[^"]*"|\\.|[^",\\])+', head[2]):
            one = re.match(r"\s*(!*)\s*(\w+)\s*(?:[-+]?=\s*(.*?))?\s*$", text)
            if one:
                switch = "off" if len(one[1]) % 2 else "on"
                value = switch if one[3] is None or switch == "off" else one[3].strip('"')
                found.append(SudoSetting(line, head[1] or "", one[2], value, text.strip()))
    return found


def _contrary(host: Host, spec: Spec) -> list[SudoSetting]:
    return [one for one in sudo_settings(host) if one.name == spec["name"] and not accepted(one.value, spec)]


def check_sudo_default(host: Host, spec: Spec) -> Check:
    """sudo's setting has the value for everybody, and no line says otherwise for some."""
    if not host.exists("/etc/sudoers"):
        return Check(True, [Evidence("the setting", "sudo is not installed", "/etc/sudoers")], applicable=False)
    expected = f"Defaults {spec['name']} {wanted(spec)}"
    bad = [
        Evidence(expected, show(f"Defaults{one.scope} {one.text}"), f"{one.line.path}:{one.line.start + 1}")
        for one in _contrary(host, spec)
    ]
    good = [
        one for one in sudo_settings(host) if one.name == spec["name"] and not one.scope and accepted(one.value, spec)
    ]
    if not good:
        bad.append(Evidence(expected, "not set", "/etc/sudoers"))
    seen = [Evidence(expected, show(one.text), f"{one.line.path}:{one.line.start + 1}") for one in good]
    return Check(not bad, bad or seen)


def fix_sudo_default(host: Host, spec: Spec) -> None:
    """Strike what says otherwise, and set it in sudoers itself."""
    for one in _contrary(host, spec):
        lines = (host.text(one.line.path) or "").split("\n")
        text = re.escape(one.text)
        for at in range(one.line.start, one.line.end + 1):
            lines[at] = re.sub(rf",\s*{text}(?=\s*(?:,|$|\\))|{text}\s*(?:,\s*|$)", "", lines[at], count=1)
        if re.fullmatch(r"\s*Defaults\S*\s*", lines[one.line.start]):
            lines[one.line.start] = f"# {lines[one.line.start]}"
        host.write(one.line.path, "\n".join(lines))
    if not any(one.name == spec["name"] and not one.scope for one in sudo_settings(host)):
        value = str(spec["value"])
        text = (
            spec["name"]
            if value == "on"
            else f"!{spec['name']}"
            if value == "off"
            else f"{spec['name']}={_quoted(value)}"
        )
        lines = (host.text("/etc/sudoers") or "").split("\n")
        own = [one.end for one in sudo_lines(host) if one.path == "/etc/sudoers" and re.match(r"Defaults\s", one.text)]
        at = own[-1] + 1 if own else 0
        host.write("/etc/sudoers", "\n".join([*lines[:at], f"Defaults {text}", *lines[at:]]))


def _quoted(value: str) -> str:
    return value if re.fullmatch(r"\d+", value) else f'"{value}"'


# ---------------------------------------------------------------- accounts


def shadow(host: Host) -> list[list[str]]:
    """The lines of /etc/shadow as lists of nine fields."""
    return [one.split(":") for one in (host.text("/etc/shadow") or "").splitlines() if one.count(":") == 8]


def _set_password(host: Host, user: str, value: str) -> None:
    lines = []
    for line in (host.text("/etc/shadow") or "").split("\n"):
        fields = line.split(":")
        if fields[0] == user and len(fields) == 9:
            fields[1] = value
        lines.append(":".join(fields))
    host.write("/etc/shadow", "\n".join(lines))


def _no_empty_passwords(host: Host, spec: Spec) -> Check:
    empty = [one[0] for one in shadow(host) if one[1] == ""]
    return Check(
        not empty,
        [Evidence("a password or a lock", f"account {show(one)} has an empty password", "/etc/shadow") for one in empty]
        or [Evidence("no account with an empty password", "none", "/etc/shadow")],
    )


def _lock_empty(host: Host, spec: Spec) -> None:
    for one in shadow(host):
        if one[1] == "":
            _set_password(host, one[0], "!")


def _unique_uids(host: Host, spec: Spec) -> Check:
    owners: dict[str, list[str]] = {}
    for one in host.users():
        owners.setdefault(one[2], []).append(one[0])
    twice = {number: names for number, names in owners.items() if len(names) > 1}
    return Check(
        not twice,
        [
            Evidence("one account per number", f"{n}: {', '.join(map(show, names))}", "/etc/passwd")
            for n, names in twice.items()
        ]
        or [Evidence("one account per number", f"{len(owners)} accounts, all different", "/etc/passwd")],
    )


def _root_locked(host: Host, spec: Spec) -> Check:
    found = next((one[1] for one in shadow(host) if one[0] == "root"), "no entry")
    locked = found.startswith(("!", "*"))
    return judged(locked, "root's password is locked", "locked" if locked else "a password is set", "/etc/shadow")


def _lock_root(host: Host, spec: Spec) -> None:
    found = next((one[1] for one in shadow(host) if one[0] == "root"), "")
    if not found.startswith(("!", "*")):
        _set_password(host, "root", f"!{found}")


def _administrators(host: Host, spec: Spec) -> Check:
    line = next((one for one in (host.text("/etc/group") or "").splitlines() if one.startswith("sudo:")), "sudo:::")
    members = [one for one in line.split(":")[3].split(",") if one]
    allowed = [str(one) for one in spec.get("users", [])]
    surplus = [one for one in members if one not in allowed]
    return Check(
        not surplus,
        [Evidence("only the accounts of hardening parameter sudo_members", show(one), "/etc/group") for one in surplus]
        or [Evidence("only known administrators in group sudo", ", ".join(members) or "nobody", "/etc/group")],
    )


def _restrict_administrators(host: Host, spec: Spec) -> None:
    allowed = [str(one) for one in spec.get("users", [])]
    for path in ("/etc/group", "/etc/gshadow"):
        lines = []
        for line in (host.text(path) or "").split("\n"):
            fields = line.split(":")
            if fields[0] == "sudo" and len(fields) == 4:
                fields[3] = ",".join(one for one in fields[3].split(",") if one in allowed)
            lines.append(":".join(fields))
        host.write(path, "\n".join(lines))


def _temporary_expire(host: Host, spec: Spec) -> Check:
    names = [str(one) for one in spec.get("users", [])]
    bad = [one[0] for one in shadow(host) if one[0] in names and one[7] in ("", "-1")]
    return Check(
        not bad,
        [Evidence("an expiry date", f"temporary account {show(one)} never expires", "/etc/shadow") for one in bad]
        or [
            Evidence(
                "every temporary account expires", ", ".join(names) or "no temporary accounts named", "/etc/shadow"
            )
        ],
    )


def _expire_temporary(host: Host, spec: Spec) -> None:
    names = [str(one) for one in spec.get("users", [])]
    lines = []
    for line in (host.text("/etc/shadow") or "").split("\n"):
        fields = line.split(":")
        if fields[0] in names and len(fields) == 9 and fields[7] in ("", "-1"):
            fields[7] = str(int(time.time()) // 86400 + int(spec.get("days", 3)))
        lines.append(":".join(fields))
    host.write("/etc/shadow", "\n".join(lines))


def _people(host: Host) -> list[list[str]]:
    """The accounts that have a password to log in with."""
    return [one for one in shadow(host) if one[1] and one[1][0] not in "!*"]


def _number(text: str, default: int) -> int:
    return int(text) if re.fullmatch(r"-?\d+", text) else default


def _password_life(host: Host, spec: Spec) -> Check:
    least, most = int(spec["min"]), int(spec["max"])
    bad = [
        one for one in _people(host) if _number(one[3], 0) < least or not 0 < _number(one[4], 99999) <= most
    ]  # fmt: skip
    expected = f"changed after {least} to {most} days"
    return Check(
        not bad,
        [Evidence(expected, f"{show(one[0])}: {one[3] or 'none'} to {one[4] or 'none'}", "/etc/shadow") for one in bad]
        or [Evidence(expected, f"so for all {len(_people(host))} accounts with a password", "/etc/shadow")],
    )


def _limit_password_life(host: Host, spec: Spec) -> None:
    least, most = int(spec["min"]), int(spec["max"])
    today = int(time.time()) // 86400
    lines, late = [], []
    bad = {one[0] for one in _people(host)}
    for line in (host.text("/etc/shadow") or "").split("\n"):
        fields = line.split(":")
        if fields[0] in bad and len(fields) == 9:
            if today - _number(fields[2], today) > most - 7 and not 0 < _number(fields[4], 99999) <= most:
                late.append(fields[0])  # it would end now or within days: whoever logs in by a key would be shut out
            else:
                fields[3] = fields[3] if _number(fields[3], 0) >= least else str(least)
                fields[4] = fields[4] if 0 < _number(fields[4], 99999) <= most else str(most)
        lines.append(":".join(fields))
    host.write("/etc/shadow", "\n".join(lines))
    if late:
        raise HostError(
            f"the password of {', '.join(map(show, late))} is as old as that, and the account would be shut out: "
            "have it changed first, then harden again"
        )


ACCOUNT_CHECKS: dict[str, Any] = {
    "no_empty_passwords": (_no_empty_passwords, _lock_empty),
    "unique_uids": (_unique_uids, None),
    "root_locked": (_root_locked, _lock_root),
    "administrators": (_administrators, _restrict_administrators),
    "password_life": (_password_life, _limit_password_life),
    "temporary_expire": (_temporary_expire, _expire_temporary),
}


def check_account(host: Host, spec: Spec) -> Check:
    """One of the account conditions of `ACCOUNT_CHECKS`."""
    return ACCOUNT_CHECKS[spec["check"]][0](host, spec)  # type: ignore[no-any-return]


def fix_account(host: Host, spec: Spec) -> None:
    """The remedy of the condition, where there is a safe one."""
    fix = ACCOUNT_CHECKS[spec["check"]][1]
    if fix is None:
        raise HostError("which of the accounts is to keep its number is for people to decide")
    fix(host, spec)


SSH_FIELDS = {
    "option": str, "value": (str, int), "allowed": list, "min": (int, str), "max": (int, str), "subset": bool,
    "explicit": bool, "best": str,
}  # fmt: skip
TYPES = {
    "sshd": Resource(check_sshd, fix_sshd, SSH_FIELDS, ("option", "value"), "sshd"),
    "ssh_client": Resource(check_ssh_client, fix_ssh_client, SSH_FIELDS, ("option", "value")),
    "pam": Resource(
        check_pam,
        fix_pam,
        {
            "stack": str,
            "kind": str,
            "module": str,
            "control": str,
            "args": list,
            "needs": list,
            "without": list,
            "forbidden": str,
            "before": list,
            "after": list,
            "at": str,
            "compare": str,
        },
        ("stack", "kind", "module"),
        "pam",
    ),
    "sudoers": Resource(
        check_sudoers,
        fix_sudoers,
        {"absent": str, "strike": str, "except_users": list, "everybody": bool},
        ("absent",),
        "sudo",
    ),
    "account": Resource(
        check_account,
        fix_account,
        {"check": str, "users": list, "days": int, "min": int, "max": int},
        ("check",),
        "account",
    ),
    "sudo_default": Resource(
        check_sudo_default,
        fix_sudo_default,
        {"name": str, "value": (str, int), "allowed": list, "min": (int, str), "max": (int, str)},
        ("name", "value"),
        "sudo",
    ),
}
