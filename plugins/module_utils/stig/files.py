"""Resources that are files: options, lines, whole files, and permissions found by one walk."""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.stig.findings import Evidence
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import DEFAULT_ACL, Host, HostError, show
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.resource import (
    Check,
    Resource,
    Spec,
    accepted,
    judged,
    wanted,
)  # fmt: skip

MAX_EVIDENCE = 20
FOREIGN = {
    "proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "nfs", "nfs4", "cifs", "ceph", "fuse.ceph", "tracefs",
    "debugfs", "securityfs", "pstore", "bpf", "mqueue", "hugetlbfs", "configfs", "fusectl", "autofs", "binfmt_misc",
    "efivarfs", "overlayfs-images", "squashfs", "iso9660", "fuse.sshfs", "9p", "glusterfs",
}  # fmt: skip
# Data of services, not of the system: large, and their owners set the modes.
SKIPPED = (
    "/srv/node", "/var/lib/ceph/osd", "/var/lib/containers", "/var/lib/docker", "/var/lib/nova/instances",
    "/var/lib/glance/images", "/var/lib/lxcfs", "/var/lib/lxd", "/var/lib/kubelet", "/var/lib/stackwright",
)  # fmt: skip


# ---------------------------------------------------------------- options


def _option_pattern(spec: Spec) -> re.Pattern[str]:
    key = re.escape(spec["key"])
    if spec.get("flag"):
        return re.compile(rf"^[ \t]*{key}[ \t]*(?P<value>)$")
    if "=" in spec.get("separator", "="):
        return re.compile(rf"^[ \t]*{key}[ \t]*=[ \t]*(?P<value>.*?)[ \t]*$")
    return re.compile(rf"^[ \t]*{key}[ \t]+(?P<value>.*?)[ \t]*$")


def _in_section(lines: list[str], section: str | None) -> list[int]:
    """The indexes of the lines that belong to a section; all when there are no sections."""
    if section is None:
        return list(range(len(lines)))
    found, inside = [], False
    for at, line in enumerate(lines):
        if line.strip().startswith("["):
            inside = line.strip() == f"[{section}]"
        elif inside:
            found.append(at)
    return found


def _option_files(host: Host, spec: Spec) -> list[str]:
    """The files in the order the program reads them; the last value counts."""
    own = [spec["file"]]
    return [*own, *(one for one in host.glob(spec["dropins"]) if one not in own)] if "dropins" in spec else own


def _option_values(host: Host, spec: Spec) -> list[tuple[str, int, str]]:
    pattern = _option_pattern(spec)
    found = []
    for path in _option_files(host, spec):
        lines = (host.text(path) or "").split("\n")
        for at in _in_section(lines, spec.get("section")):
            if match := pattern.match(lines[at]):
                value = match["value"]
                if spec.get("comment", True):
                    value = re.sub(r"\s+#.*$", "", value)
                found.append((path, at, value.strip("\"'") if spec.get("unquote") else value))
    return found


def check_option(host: Host, spec: Spec) -> Check:
    """The value in force, which is the last one of the last file, must be an accepted one."""
    values = _option_values(host, spec)
    name = spec["key"] if spec.get("flag") else f"{spec['key']} = {wanted(spec)}"
    if not values:
        fallback = spec.get("default_ok", False)
        return judged(bool(fallback), name, "not set", spec["file"])
    path, at, value = values[0] if spec.get("first_wins") else values[-1]
    ok = bool(spec.get("flag")) or accepted(value, spec)
    where = f"{path}:{at + 1}"
    return judged(ok, name, spec["key"] if spec.get("flag") else f"{spec['key']} = {show(value)}", where)


def fix_option(host: Host, spec: Spec) -> None:
    """Set the option once in its file and take every other occurrence away, drop-ins included."""
    if check_option(host, spec).ok:
        return
    separator = spec.get("separator", " = ")
    value = str(spec.get("value", ""))
    value = f'"{value}"' if spec.get("quote") else value
    line = spec["key"] if spec.get("flag") else f"{spec['key']}{separator}{value}"
    values = _option_values(host, spec)
    by_path: dict[str, list[int]] = {}
    for path, at, _ in values:
        by_path.setdefault(path, []).append(at)
    for path, places in by_path.items():
        if path != spec["file"]:
            lines = (host.text(path) or "").split("\n")
            host.write(path, "\n".join(one for at, one in enumerate(lines) if at not in places))
    path = spec["file"]
    lines = (host.text(path) or "").split("\n")
    places = by_path.get(path, [])
    if places:
        lines[places[0]] = line
        lines = [one for at, one in enumerate(lines) if at not in places[1:]]
    else:
        lines = _with_new_option(lines, line, spec)
    host.write(path, "\n".join(lines).rstrip("\n") + "\n", mode=_mode(spec))
    _activate(host, spec)


def _with_new_option(lines: list[str], line: str, spec: Spec) -> list[str]:
    section = spec.get("section")
    if spec.get("at") == "start":  # a definition that later lines use
        return [line, *lines]
    commented = re.compile(rf"^[ \t]*[#;][ \t]*{re.escape(spec['key'])}\b")
    if section is not None and not any(one.strip() == f"[{section}]" for one in lines):
        return [*_trimmed(lines), f"[{section}]", line, ""]
    places = _in_section(lines, section)
    for at in places:
        if commented.match(lines[at]):
            return [*lines[: at + 1], line, *lines[at + 1 :]]
    if section is None:
        return [*_trimmed(lines), line, ""]
    start = next(at for at, one in enumerate(lines) if one.strip() == f"[{section}]")
    return [*lines[: start + 1], line, *lines[start + 1 :]]


def _trimmed(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def _mode(spec: Spec) -> int | None:
    return int(spec["mode"], 8) if "mode" in spec else None


def _activate(host: Host, spec: Spec) -> None:
    if "activate" in spec:
        host.activate(spec["activate"])


# ---------------------------------------------------------------- lines and whole files


def _line_files(host: Host, spec: Spec) -> list[str]:
    return [one for pattern in spec.get("files", [spec.get("file", "")]) for one in host.glob(pattern)]


def check_line(host: Host, spec: Spec) -> Check:
    """`present`: a line equal to it or matching `match` is in one of the files. `absent`: no line matches it."""
    if "absent" in spec:
        pattern = re.compile(spec["absent"])
        found = [
            Evidence(f"no line matching {spec['absent']}", show(line.strip()), f"{path}:{at}")
            for path in _line_files(host, spec)
            for at, line in enumerate((host.text(path) or "").split("\n"), 1)
            if pattern.search(line)
        ]
        return Check(
            not found, found[:MAX_EVIDENCE] or [Evidence(f"no line matching {spec['absent']}", "none", _where(spec))]
        )
    pattern = re.compile(spec["match"]) if "match" in spec else re.compile(re.escape(spec["present"]) + r"\s*$")
    for path in {*_line_files(host, spec), spec.get("file", "")} - {""}:
        for at, line in enumerate((host.text(path) or "").split("\n"), 1):
            if pattern.match(line):
                return judged(True, spec["present"], show(line.strip()), f"{path}:{at}")
    return judged(False, spec["present"], "no such line", _where(spec))


def _where(spec: Spec) -> str:
    return str(spec.get("file") or " ".join(spec.get("files", [])))


def fix_line(host: Host, spec: Spec) -> None:
    """Add the line at the end of the file (or at its `at: start`), or turn the unwanted lines into comments."""
    if check_line(host, spec).ok:
        return
    if "absent" in spec:
        pattern = re.compile(spec["absent"])
        for path in _line_files(host, spec):
            lines = (host.text(path) or "").split("\n")
            if any(pattern.search(one) for one in lines):
                host.write(path, "\n".join(f"# {one}" if pattern.search(one) else one for one in lines))
    else:
        lines = (host.text(spec["file"]) or "").split("\n")
        if "replaces" in spec:
            replaced = re.compile(spec["replaces"])
            lines = [one for one in lines if not replaced.match(one)]
        new = [spec["present"], *lines] if spec.get("at") == "start" else [*_trimmed(lines), spec["present"], ""]
        host.write(spec["file"], "\n".join(new).rstrip("\n") + "\n", mode=_mode(spec))
    _activate(host, spec)


def check_content(host: Host, spec: Spec) -> Check:
    """The file holds exactly the text."""
    text = host.text(spec["file"])
    first = show((text or "").strip().split("\n")[0][:80])
    found = "no file" if text is None else f"{len(text)} characters, beginning {first!r}"
    if text == spec["text"]:
        return judged(True, "the prescribed text", "the prescribed text", spec["file"])
    return judged(False, f"{len(spec['text'])} characters of prescribed text", found, spec["file"])


def fix_content(host: Host, spec: Spec) -> None:
    """Write the whole file."""
    host.write(spec["file"], spec["text"], mode=_mode(spec))
    _activate(host, spec)


# ---------------------------------------------------------------- permissions

# Tags of the entries in system.posix_acl_default (linux/posix_acl.h, acl(5)); each entry is a tag, a permission and an
# id.
ACL_HEAD, ACL_ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
ACL_USER_OBJ, ACL_GROUP_OBJ, ACL_MASK, ACL_OTHER = 0x01, 0x04, 0x10, 0x20
ACL_VERSION, ACL_NOBODY = 2, 0xFFFFFFFF


def limited_acl(acl: bytes | None, mode: int) -> bytes:
    """The default access control list of a directory in which no file comes into being with more than `mode`.

    Where a directory has such a list, the kernel takes it in place of every program's umask. Entries for single
    accounts stay, and directories made below inherit the list.
    """
    most = {one: bits | bits >> 2 & 1 for one, bits in ((ACL_GROUP_OBJ, mode >> 3 & 7), (ACL_OTHER, mode & 7))}
    entries = list(ACL_ENTRY.iter_unpack(acl[ACL_HEAD.size :])) if acl else []
    entries = entries or [(tag, 7, ACL_NOBODY) for tag in (ACL_USER_OBJ, ACL_GROUP_OBJ, ACL_OTHER)]
    masked = any(tag == ACL_MASK for tag, _, _ in entries)
    limits = {ACL_OTHER: most[ACL_OTHER], ACL_MASK if masked else ACL_GROUP_OBJ: most[ACL_GROUP_OBJ]}
    limited = [ACL_ENTRY.pack(tag, bits & limits.get(tag, 7), number) for tag, bits, number in entries]
    return ACL_HEAD.pack(ACL_VERSION) + b"".join(limited)


def default_acl(path: str) -> bytes | None:
    """The default access control list of a directory; None where it has none.

    :raises OSError: ENOTSUP where the file system keeps no such lists.
    """
    try:
        return os.getxattr(path, DEFAULT_ACL, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return None
        raise


@dataclass
class WalkRule:
    """A condition on everything below some directories, tested while walking."""

    root: str
    kind: str
    forbid: int
    require: int
    owners: frozenset[int] | None
    groups: frozenset[int] | None
    system_groups: bool
    name: re.Pattern[str] | None
    unless: re.Pattern[str] | None
    world_writable: bool
    new_files: int | None
    found: list[tuple[str, os.stat_result]] = field(default_factory=list)
    seen: int = 0

    def test(self, path: str, name: str, status: os.stat_result) -> None:
        """Keep what violates the condition."""
        kind = "directory" if stat.S_ISDIR(status.st_mode) else "file" if stat.S_ISREG(status.st_mode) else "other"
        if self.kind not in (kind, "any") or kind == "other":
            return
        if self.name is not None and not self.name.search(name):
            return
        if self.unless is not None and self.unless.search(path):
            return
        mode = stat.S_IMODE(status.st_mode)
        if self.world_writable and not mode & 0o002:
            return
        self.seen += 1
        special = bool(mode & 0o6000) and self.system_groups
        if (
            mode & self.forbid
            or mode & self.require != self.require
            or (self.owners is not None and status.st_uid not in self.owners)
            or (self.groups is not None and status.st_gid not in self.groups and not (special and status.st_gid < 1000))
            or (self.new_files is not None and not self._limits(path, self.new_files))
        ):
            self.found.append((path, status))

    def _limits(self, path: str, mode: int) -> bool:
        try:
            acl = default_acl(self.root + path)
        except OSError:  # gone, or a file system without such lists: its files are closed after the fact only
            return True
        return acl is not None and acl == limited_acl(acl, mode)


def _rule(host: Host, spec: Spec) -> WalkRule:
    def numbers(names: list[str] | None, look_up: Any) -> frozenset[int] | None:
        if names is None:
            return None
        return frozenset(one for one in (look_up(str(name)) for name in names) if one is not None)

    return WalkRule(
        root=host.root,
        kind=spec.get("kind", "file"),
        forbid=int(spec.get("forbid", "0"), 8),
        require=int(spec.get("require", "0"), 8),
        owners=numbers(spec.get("owner"), host.uid),
        groups=numbers(spec.get("group"), host.gid),
        system_groups=bool(spec.get("system_groups")),
        name=re.compile(spec["name"]) if "name" in spec else None,
        unless=re.compile(spec["unless"]) if "unless" in spec else None,
        world_writable=bool(spec.get("world_writable")),
        new_files=int(spec["new_files"], 8) if "new_files" in spec else None,
    )


def local_mounts(host: Host) -> tuple[set[str], set[str]]:
    """Mount points that a walk leaves out (other kernels' or services' file systems), and those mounted read-only."""
    left_out, read_only = set(), set()
    try:
        with open(host.root + "/proc/self/mountinfo", "rb") as source:
            lines = source.read().split(b"\n")
    except OSError:
        return set(), set()
    for line in lines:
        head, _, tail = line.partition(b" - ")
        fields, kind = head.split(b" "), tail.split(b" ")[0]
        if len(fields) < 6:
            continue
        point = os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda one: bytes([int(one[1], 8)]), fields[4]))
        if os.fsdecode(kind) in FOREIGN or (point.startswith(("/dev", "/sys", "/proc")) and point != "/"):
            left_out.add(point)
        if b"ro" in fields[5].split(b","):
            read_only.add(point)
    return left_out, read_only


def register(host: Host, specs: list[Spec]) -> None:
    """Announce all permission resources of a run, so that the first check walks for every one of them."""
    host.cached("walk specs", list).extend(specs)


def _key(spec: Spec) -> str:
    return repr(sorted(spec.items(), key=lambda one: one[0]))


def walk(host: Host) -> dict[str, WalkRule]:
    """Walk once over the file system for all announced resources.

    :returns: each resource's rule with what violates it, by the resource's key.
    """
    specs: list[Spec] = host.cached("walk specs", list)
    rules: dict[str, WalkRule] = {}
    starts: dict[str, list[WalkRule]] = {}
    for spec in specs:
        key = _key(spec)
        if key in rules:
            continue
        rule = rules[key] = _rule(host, spec)
        places = set()
        for pattern in spec["paths"]:
            for path in host.glob(pattern) if any(one in pattern for one in "*?[") else [pattern]:
                real = os.path.realpath(host.root + path)[len(host.root) :] or "/"
                if real not in places and os.path.exists(host.root + real):
                    places.add(real)
                    if spec.get("recursive", False):
                        starts.setdefault(real, []).append(rule)
                    else:
                        rule.test(real, os.path.basename(real), os.lstat(host.root + real))
    left_out, _ = local_mounts(host)
    skip = left_out | set(SKIPPED)
    done: set[str] = set()
    for start in sorted(starts):
        if start in done:
            continue
        for one in starts.get(start, []):
            one.test(start, os.path.basename(start), os.lstat(host.root + start))
        _descend(host.root, start, starts, skip, done)
    return rules


def _add(rules: list[WalkRule], more: list[WalkRule]) -> list[WalkRule]:
    """Add the rules that are not there yet: paths of one resource may lie in each other, or be links to each other
    (/bin)."""
    rules += [one for one in more if not any(one is other for other in rules)]
    return rules


def _descend(root: str, start: str, starts: dict[str, list[WalkRule]], skip: set[str], done: set[str]) -> None:
    above: list[WalkRule] = []
    for path, rules in starts.items():
        if path == "/" or f"{start}/".startswith(f"{path}/"):
            _add(above, rules)
    stack: list[tuple[str, list[WalkRule]]] = [(start, above)]
    while stack:
        directory, rules = stack.pop()
        if directory in done:
            continue
        done.add(directory)
        if not os.path.isdir(root + directory):
            continue
        for_files = [one for one in rules if one.kind in ("file", "any")]
        prefix = "" if directory == "/" else directory
        try:
            with os.scandir(root + directory) as entries:
                for entry in entries:
                    path = f"{prefix}/{entry.name}"
                    is_directory = entry.is_dir(follow_symlinks=False)
                    if is_directory:
                        if path in skip:
                            continue
                        below = _add(list(rules), starts[path]) if path in starts else rules
                        status = entry.stat(follow_symlinks=False)
                        for rule in below:
                            rule.test(path, entry.name, status)
                        stack.append((path, below))
                    elif for_files and entry.is_file(follow_symlinks=False):
                        status = entry.stat(follow_symlinks=False)
                        for rule in for_files:
                            rule.test(path, entry.name, status)
        except OSError:  # gone since it was listed, or not readable even for root
            continue


def violations(host: Host, spec: Spec) -> WalkRule:
    """The resource's rule after the walk."""
    rules: dict[str, WalkRule] = host.cached("walk", lambda: walk(host))
    if _key(spec) not in rules:
        register(host, [spec])
        rules.update(walk(host))
    return rules[_key(spec)]


def _expected(spec: Spec) -> str:
    parts = []
    if "forbid" in spec:
        parts.append(f"none of the mode bits {spec['forbid']}")
    if "require" in spec:
        parts.append(f"the mode bits {spec['require']}")
    if "new_files" in spec:
        parts.append(f"a default ACL that gives new files at most {spec['new_files']}")
    if "owner" in spec:
        parts.append("owner " + " or ".join(map(str, spec["owner"])))
    if "group" in spec:
        parts.append("group " + " or ".join(map(str, spec["group"])))
    return ", ".join(parts)


def check_permissions(host: Host, spec: Spec) -> Check:
    """Every file or directory of the resource has the modes, owners and groups."""
    rule = violations(host, spec)
    expected = _expected(spec)
    evidence = [
        Evidence(
            expected,
            f"mode {stat.S_IMODE(status.st_mode):04o}, owner {host.owner(status.st_uid)}, group "
            f"{host.group_name(status.st_gid)}",
            show(path),
        )
        for path, status in sorted(rule.found)[:MAX_EVIDENCE]
    ]
    if len(rule.found) > MAX_EVIDENCE:
        evidence.append(Evidence(expected, f"{len(rule.found) - MAX_EVIDENCE} more", " ".join(spec["paths"])))
    if not evidence:
        evidence = [Evidence(expected, f"so on all {rule.seen} looked at", " ".join(spec["paths"]))]
    return Check(not rule.found, evidence)


def fix_permissions(host: Host, spec: Spec) -> None:
    """Take the forbidden bits, add the required ones, and give what has a wrong owner to the first one named."""
    rule = violations(host, spec)
    for path, seen in rule.found:
        meta = host.stat(path)
        if meta is None:
            continue
        mode = meta.mode & ~rule.forbid | rule.require
        uid = gid = None
        if rule.owners is not None and meta.uid not in rule.owners:
            uid = next(iter(one for one in (host.uid(str(name)) for name in spec["owner"]) if one is not None), None)
        if (
            rule.groups is not None
            and meta.gid not in rule.groups
            and not (mode & 0o6000 and rule.system_groups and meta.gid < 1000)
        ):
            gid = next(iter(one for one in (host.gid(str(name)) for name in spec["group"]) if one is not None), None)
        acl = limited_acl(default_acl(host.root + path), rule.new_files) if rule.new_files is not None else None
        # The mode is made anew of the one that is there by then: whose file it is may have changed it, or the file
        # itself.
        host.set_meta(path, uid=uid, gid=gid, acl=acl, clear=rule.forbid, add=rule.require, was=seen)
    _activate(host, spec)


OPTION_FIELDS = {
    "file": str,
    "key": str,
    "value": (str, int),
    "separator": str,
    "section": str,
    "min": (int, str),
    "max": (int, str),
    "allowed": list,
    "flag": bool,
    "dropins": str,
    "default_ok": bool,
    "activate": str,
    "mode": str,
    "octal": bool,
    "quote": bool,
    "unquote": bool,
    "comment": bool,
    "first_wins": bool,
    "at": str,
}
TYPES = {
    "option": Resource(check_option, fix_option, OPTION_FIELDS, ("file", "key")),
    "line": Resource(
        check_line,
        fix_line,
        {
            "file": str,
            "files": list,
            "present": str,
            "match": str,
            "absent": str,
            "replaces": str,
            "at": str,
            "mode": str,
            "activate": str,
        },
    ),
    "content": Resource(
        check_content, fix_content, {"file": str, "text": str, "mode": str, "activate": str}, ("file", "text")
    ),
    "permissions": Resource(
        check_permissions,
        fix_permissions,
        {
            "paths": list,
            "recursive": bool,
            "kind": str,
            "forbid": str,
            "require": str,
            "owner": list,
            "group": list,
            "system_groups": bool,
            "name": str,
            "unless": str,
            "world_writable": bool,
            "new_files": str,
            "activate": str,
        },
        ("paths",),
    ),
}
__all__ = ["TYPES", "HostError", "register", "walk"]
