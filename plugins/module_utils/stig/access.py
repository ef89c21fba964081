"""Resources that decide who gets in: sshd, the SSH client, PAM stacks, sudo rules and accounts."""

from __future__ import annotations

import re
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
SSHD_DROPIN = "/etc/ssh/sshd_config.d/00-stackwright-hardening.conf"
SSH_CONFIG = "/etc/ssh/ssh_config"
SSH_DROPIN = "/etc/ssh/ssh_config.d/00-stackwright-hardening.conf"
OURS = "# Written by Stackwright's hardening; the first value that sshd or ssh reads counts.\n"
LISTS = ("allowgroups", "allowusers", "denygroups", "denyusers")  # printed a line per name
PAM_DIRECTORY = "/etc/pam.d"


# ---------------------------------------------------------------- ssh


def effective(host: Host, program: str) -> dict[str, str]:
    """The settings that `sshd -T` or `ssh -G` derive from all their files.

    :raises HostError: when the program refuses its configuration.
    """

    def ask() -> dict[str, str]:
        argv = ["sshd", "-T"] if program == "sshd" else ["ssh", "-G", "-F", SSH_CONFIG, "host.invalid"]
        code, output = host.run(argv)
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

    return host.cached(f"effective {program}", ask)  # type: ignore[no-any-return]


def match_overrides(host: Host, option: str) -> list[tuple[str, int, str]]:
    """Occurrences of an sshd option inside Match blocks: file, line index, value."""
    found = []
    for path in [SSHD_CONFIG, *host.glob("/etc/ssh/sshd_config.d/*.conf")]:
        inside = False
        for at, line in enumerate((host.text(path) or "").split("\n")):
            words = line.split(None, 1)
            if not words or words[0].startswith("#"):
                continue
            if words[0].lower() == "match":
                inside = words[1:] != ["all"]
            elif inside and words[0].lower() == option.lower() and len(words) > 1:
                found.append((path, at, words[1].strip().strip('"')))
    return found


def _ssh_accepted(found: str, spec: Spec) -> bool:
    if spec.get("subset"):  # a list of algorithms: only approved ones, at least one
        names = [one for one in found.split(",") if one]
        return bool(names) and set(names) <= set(str(spec["value"]).split(","))
    return accepted(found, spec)


def check_sshd(host: Host, spec: Spec) -> Check:
    """The daemon's effective setting, and no Match block that says otherwise."""
    option = spec["option"]
    if "openssh-server" not in host.packages:
        return Check(
            True, [Evidence(f"{option} {wanted(spec)}", "openssh-server is not installed", "dpkg")], applicable=False
        )
    found = effective(host, "sshd").get(option.lower(), "not set")
    evidence = [Evidence(f"{option} {wanted(spec)}", f"{option} {show(found)}", "sshd -T")]
    ok = _ssh_accepted(found, spec)
    if ok and spec.get("explicit") and not _stands(host, option):
        ok = False
        evidence.append(Evidence(f"{option} {wanted(spec)} in a file", "only sshd's default", SSHD_CONFIG))
    for path, at, value in match_overrides(host, option):
        if not _ssh_accepted(value, spec):
            ok = False
            evidence.append(
                Evidence(f"{option} {wanted(spec)}", f"{option} {show(value)} in a Match block", f"{path}:{at + 1}")
            )
    return Check(ok, evidence)


def _stands(host: Host, option: str) -> bool:
    """Whether a file sets the option outside comments: a default may change with the next release."""
    pattern = re.compile(rf"^[ \t]*{re.escape(option)}[ \t=]", re.MULTILINE | re.IGNORECASE)
    return any(
        pattern.search(host.text(one) or "") for one in [SSHD_CONFIG, *host.glob("/etc/ssh/sshd_config.d/*.conf")]
    )


def _silence(host: Host, paths: list[str], spec: Spec) -> None:
    """Turn the option's contrary values into comments, in every file: any of them may be read before ours."""
    pattern = re.compile(rf"^[ \t]*{re.escape(spec['option'])}[ \t=]+(.*?)[ \t]*$", re.IGNORECASE)
    for path in paths:
        lines = (host.text(path) or "").split("\n")
        for at, line in enumerate(lines):
            match = pattern.match(line)
            if match and not _ssh_accepted(match[1].strip('"'), spec):
                lines[at] = f"# {line}"
        host.write(path, "\n".join(lines))


def _set_first(host: Host, main: str, dropin: str, include: str, option: str, value: str, opening: str) -> None:
    text = host.text(dropin) or OURS + opening
    pattern = re.compile(rf"^[ \t]*{re.escape(option)}[ \t=].*\n", re.MULTILINE | re.IGNORECASE)
    host.write(dropin, pattern.sub("", text) + f"{option} {value}\n", mode=0o644)
    lines = (host.text(main) or "").split("\n")
    first = next((one.split() for one in lines if one.strip() and not one.lstrip().startswith("#")), [])
    if [one.lower() for one in first[:1]] != ["include"] or include not in first:
        host.write(main, f"Include {include}\n" + "\n".join(lines))


def fix_sshd(host: Host, spec: Spec) -> None:
    """Set the option in a drop-in that is read first, and turn contrary values in Match blocks into comments."""
    option = spec["option"]
    _silence(host, [SSHD_CONFIG, *host.glob("/etc/ssh/sshd_config.d/*.conf")], spec)
    try:
        found = effective(host, "sshd").get(option.lower(), "")
    except HostError:  # it refuses its configuration, perhaps because of this very option
        found = ""
    if not _ssh_accepted(found, spec) or (spec.get("explicit") and not _stands(host, option)):
        _set_first(host, SSHD_CONFIG, SSHD_DROPIN, "/etc/ssh/sshd_config.d/*.conf", option, str(spec["value"]), "")
    host.activate("sshd")


def check_ssh_client(host: Host, spec: Spec) -> Check:
    """The client's effective setting for a host without an entry of its own."""
    option = spec["option"]
    found = effective(host, "ssh").get(option.lower(), "not set")
    return judged(
        _ssh_accepted(found, spec), f"{option} {wanted(spec)}", f"{option} {show(found)}", f"ssh -G -F {SSH_CONFIG}"
    )


def fix_ssh_client(host: Host, spec: Spec) -> None:
    """Set the option for all hosts in a drop-in that is read first."""
    _silence(host, [SSH_CONFIG, *host.glob("/etc/ssh/ssh_config.d/*.conf")], spec)
    _set_first(
        host, SSH_CONFIG, SSH_DROPIN, "/etc/ssh/ssh_config.d/*.conf", spec["option"], str(spec["value"]), "Host *\n"
    )  # fmt: skip


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


def sudo_files(host: Host) -> list[str]:
    """The files sudo reads: sudoers and what it includes (names with a dot or a tilde are skipped, as sudo does)."""
    found, queue = [], ["/etc/sudoers"]
    while queue:
        path = queue.pop(0)
        if path in found:
            continue
        found.append(path)
        for kind, target in re.findall(r"^[#@](includedir|include)\s+(\S+)", host.text(path) or "", re.MULTILINE):
            target = target if target.startswith("/") else f"/etc/{target}"
            if kind == "include":
                queue.append(target)
            else:
                queue += [
                    one for one in host.glob(f"{target}/*") if "." not in one.rsplit("/", 1)[1] and one[-1] != "~"
                ]
    return found


def sudo_lines(host: Host) -> list[tuple[str, int, int, str]]:
    """Logical lines: file, first and last line index, text with continuations joined and comments gone."""
    found = []
    for path in sudo_files(host):
        lines = (host.text(path) or "").split("\n")
        at = 0
        while at < len(lines):
            start, text = at, lines[at]
            while text.endswith("\\") and at + 1 < len(lines):
                at += 1
                text = text[:-1] + lines[at]
            at += 1
            if text.strip() and not text.lstrip().startswith(("#", "@")):
                found.append((path, start, at - 1, text.split(" #")[0].strip()))
    return found


def _sudo_bad(host: Host, spec: Spec) -> list[tuple[str, int, int, str]]:
    pattern = re.compile(spec["absent"])
    kept = [str(one) for one in spec.get("except_users", [])]
    return [
        one
        for one in sudo_lines(host)
        if pattern.search(one[3]) and one[3].split()[0] not in kept
    ]  # fmt: skip


def check_sudoers(host: Host, spec: Spec) -> Check:
    """No rule of sudo matches the pattern, apart from those of the accounts excepted by name."""
    if not host.exists("/etc/sudoers"):
        return Check(True, [Evidence("no such rule", "sudo is not installed", "/etc/sudoers")], applicable=False)
    bad = _sudo_bad(host, spec)
    expected = f"no rule with {spec['absent']}"
    evidence = [Evidence(expected, show(text), f"{path}:{start + 1}") for path, start, _, text in bad]
    kept = [one for one in sudo_lines(host) if one not in bad and re.search(spec["absent"], one[3])]
    note = ""
    if kept and not bad:
        names = ", ".join(sorted({one[3].split()[0] for one in kept}))
        note = f"kept for {names}, the account that Ansible comes in with and that has no password to give to sudo"
    return Check(not bad, evidence or [Evidence(expected, note or "none", "/etc/sudoers")], note)


def fix_sudoers(host: Host, spec: Spec) -> None:
    """Take the word out of the rule (`strike`), or turn the whole rule into a comment."""
    for path, start, end, _ in _sudo_bad(host, spec):
        lines = (host.text(path) or "").split("\n")
        for at in range(start, end + 1):
            lines[at] = re.sub(spec["strike"], "", lines[at]) if "strike" in spec else f"# {lines[at]}"
        host.write(path, "\n".join(lines))


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
    import time

    names = [str(one) for one in spec.get("users", [])]
    lines = []
    for line in (host.text("/etc/shadow") or "").split("\n"):
        fields = line.split(":")
        if fields[0] in names and len(fields) == 9 and fields[7] in ("", "-1"):
            fields[7] = str(int(time.time()) // 86400 + int(spec.get("days", 3)))
        lines.append(":".join(fields))
    host.write("/etc/shadow", "\n".join(lines))


ACCOUNT_CHECKS: dict[str, Any] = {
    "no_empty_passwords": (_no_empty_passwords, _lock_empty),
    "unique_uids": (_unique_uids, None),
    "root_locked": (_root_locked, _lock_root),
    "administrators": (_administrators, _restrict_administrators),
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
    "explicit": bool,
}  # fmt: skip
TYPES = {
    "sshd": Resource(check_sshd, fix_sshd, SSH_FIELDS, ("option", "value"), "sshd"),
    "ssh_client": Resource(check_ssh_client, fix_ssh_client, SSH_FIELDS, ("option", "value")),
    "pam": Resource(
        check_pam, fix_pam,
        {"stack": str, "kind": str, "module": str, "control": str, "args": list, "needs": list, "without": list,
         "forbidden": str, "before": list, "after": list, "at": str, "compare": str},
        ("stack", "kind", "module"), "pam",
    ),
    "sudoers": Resource(
        check_sudoers, fix_sudoers, {"absent": str, "strike": str, "except_users": list}, ("absent",), "sudo"
    ),
    "account": Resource(check_account, fix_account, {"check": str, "users": list, "days": int}, ("check",), "account"),
}  # fmt: skip
