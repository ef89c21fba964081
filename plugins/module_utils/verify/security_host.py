"""Security checks that a host answers by itself: modes, effective options, processes, answers of services, contents of
databases.

A check is data: ``check``, ``service``, ``title``, ``mend``, ``services`` (the host's services that it is for), and one
of the kinds below with its particulars. What is proved is the effect wherever there is one to see.
"""

from __future__ import annotations

import grp
import http.client
import os
import pwd
import re
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from glob import glob
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.stackwright.cloud.plugins.module_utils.host import systemd
from ansible_collections.stackwright.cloud.plugins.module_utils.service import databases, messaging
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import served, vnc
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.security import Row, SecurityError

Found = tuple[bool, str]
"""Whether the check passes, and what was found, in words."""

NOBODY = 65534
PROC = "/proc"
SHADOW = "/etc/shadow"
NO_SHELLS = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false")
REQUEST_SECONDS = 20
SHOWN = 4


def _names(paths: Iterable[str]) -> str:
    """A few paths by name and how many more there are."""
    listed = sorted(paths)
    return ", ".join(listed[:SHOWN]) + (f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")


def _owner(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def expand(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """Paths and patterns as the paths that exist, and the plain paths that do not."""
    found: list[str] = []
    missing: list[str] = []
    for path in paths:
        matched = glob(path)
        found += matched
        if not matched and not set(path) & set("*?["):
            missing.append(path)
    return sorted(set(found)), missing


def check_files(given: Mapping[str, Any]) -> Found:
    """Owners, groups and modes of files: ``paths``, ``owners``, ``groups``, and ``forbid``, the octal bits that none
    may have."""
    found, missing = expand(given["paths"])
    if missing:
        return False, f"missing: {_names(missing)}"
    forbidden = int(given.get("forbid", "0"), 8)
    wrong, seen = [], set()
    for path in found:
        info = os.stat(path)
        owner, group, mode = _owner(info.st_uid), _group(info.st_gid), stat.S_IMODE(info.st_mode)
        described = f"{owner}:{group} {mode:04o}"
        seen.add(described)
        if (
            (given.get("owners") and owner not in given["owners"])
            or (given.get("groups") and group not in given["groups"])
            or mode & forbidden
        ):
            wrong.append(f"{path} {described}")
    if wrong:
        return False, _names(wrong)
    return True, f"{len(found)} of {', '.join(sorted(seen))}" if found else "nothing there yet"


def check_age(given: Mapping[str, Any], now: Callable[[], float] = time.time) -> Found:
    """How long ago the newest of ``paths`` was written: at most ``most`` seconds."""
    found, _ = expand(given["paths"])
    if not found:
        return False, "nothing there"
    age = max(0.0, now() - max(os.stat(path).st_mtime for path in found))
    return age <= float(given["most"]), f"the newest of {len(found)} is {age / 3600:.1f} h old"


def read_options(text: str) -> dict[tuple[str, str], str]:
    """Options of a file in oslo.config's dialect, by section and name; of a repeated one the last value."""
    values: dict[tuple[str, str], str] = {}
    section, last = "DEFAULT", None
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith(("#", ";")):
            last = None if not stripped else last
            continue
        if line[0].isspace() and last:
            values[last] += "\n" + stripped
        elif stripped.startswith("[") and stripped.endswith("]"):
            section, last = stripped[1:-1], None
        elif match := re.match(r"([^=:\s][^=:]*?)\s*[=:]\s*(.*)\Z", stripped):
            last = (section, match[1])
            values[last] = match[2]
    return values


def started(unit: str) -> float:
    """When a unit was last started, in seconds since the epoch; 0 where it does not run."""
    try:
        return systemd.since(systemd.show([unit], ["ActiveEnterTimestamp"])[unit])
    except systemd.UnitsError:
        return 0.0


def check_option(given: Mapping[str, Any]) -> Found:
    """The value that a running service has for an option.

    ``files`` are read in order, the last value counts, ``default`` where none has it. ``values`` are the good ones,
    ``without`` are words that it must not hold, ``least`` and ``most`` bound a number. The ``unit`` must have been
    started since the files were written: otherwise it runs with something else.
    """
    found, missing = expand(given["files"])
    if missing:
        return False, f"missing: {_names(missing)}"
    section, name = given.get("section", "DEFAULT"), given["option"]
    value = str(given.get("default", ""))
    newest = 0.0
    for path in found:
        with open(path, encoding="utf-8", errors="replace") as stream:
            value = read_options(stream.read()).get((section, name), value)
        newest = max(newest, os.stat(path).st_mtime)
    shown = f"[{section}] {name} = {value or '(empty)'}"
    # systemd tells whole seconds
    if given.get("unit") and started(given["unit"]) + 1 < newest:
        return (
            False,
            f"{shown}, but {given['unit']} does not run with it: it was not started since the file was written",
        )
    return judge_value(value, given), shown


def judge_value(value: str, given: Mapping[str, Any]) -> bool:
    """Whether a value is not empty where it must be ``filled``, is one of ``values``, holds none of ``without``, and
    lies between ``least`` and ``most``."""
    if given.get("filled") and not value:
        return False
    if "values" in given and value.lower() not in [str(one).lower() for one in given["values"]]:
        return False
    if any(word in re.split(r"[\s,\[\]]+", value) for word in given.get("without", [])):
        return False
    if "least" in given or "most" in given:
        if not re.fullmatch(r"-?\d+", value):
            return False
        return int(given.get("least", value)) <= int(value) <= int(given.get("most", value))
    return True


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any, **more: Any) -> None:
        return None


def check_request(given: Mapping[str, Any]) -> Found:
    """One answer over HTTP: ``url`` with ``headers``; ``status`` that are good; ``answer_headers`` (name to pattern)
    that it must have; ``cookies`` (name to attributes that it must have); ``contains`` and ``without``, patterns for
    the body and all headers."""
    request = urllib.request.Request(given["url"], headers=dict(given.get("headers", {})))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    try:
        with opener.open(request, timeout=REQUEST_SECONDS) as answer:
            status, headers, body = answer.status, answer.headers, answer.read(1 << 20).decode(errors="replace")
    except urllib.error.HTTPError as error:
        status, headers, body = error.code, error.headers, error.read(1 << 20).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return False, f"{given['url']} does not answer: {error}"
    wrong = []
    if given.get("status") and status not in given["status"]:
        wrong.append(f"HTTP {status}")
    kept = [f"HTTP {status}"]
    for name, pattern in given.get("answer_headers", {}).items():
        value = headers.get(name) or ""
        (kept if re.search(pattern, value, re.IGNORECASE) else wrong).append(f"{name}: {value or '(missing)'}")
    cookies = {one.partition("=")[0].strip(): one for one in headers.get_all("Set-Cookie") or []}
    for name, attributes in given.get("cookies", {}).items():
        lacking = [one for one in attributes if one.lower() not in cookies.get(name, "").lower()]
        (wrong if lacking else kept).append(
            f"cookie {name} {'without ' + ', '.join(lacking) if lacking else 'with ' + ', '.join(attributes)}"
        )
    whole = f"{headers}\n{body}"
    wrong += [f"the answer lacks {pattern}" for pattern in given.get("contains", []) if not re.search(pattern, whole)]
    wrong += [
        f"the answer holds {match[0]}" for pattern in given.get("without", []) if (match := re.search(pattern, whole))
    ]
    return not wrong, "; ".join(wrong or kept)


def processes(pattern: str) -> list[tuple[int, str]]:
    """Process identifiers and owners of the processes whose command line matches."""
    found = []
    for entry in os.listdir(PROC):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"{PROC}/{entry}/cmdline", "rb") as stream:
                command = stream.read().replace(b"\0", b" ").decode(errors="replace").strip()
            owner = _owner(os.stat(f"{PROC}/{entry}").st_uid)
        except OSError:
            continue
        if command and re.search(pattern, command):
            found.append((int(entry), owner))
    return found


def check_process(given: Mapping[str, Any]) -> Found:
    """Owners of running processes: ``pattern`` of the command line, ``users`` that may own them, ``needed`` if one must
    run."""
    found = processes(given["pattern"])
    if not found:
        return not given.get("needed"), "no such process runs"
    owners = sorted({owner for _, owner in found})
    return not set(owners) - set(given["users"]), f"{len(found)} processes of {', '.join(owners)}"


def check_accounts(given: Mapping[str, Any]) -> Found:
    """Accounts of services: ``names`` that exist here have no password that could be typed, and no shell but for those
    that are ``with_shell``."""
    wrong, seen = [], []
    with open(SHADOW, encoding="utf-8", errors="replace") as stream:
        hashes = dict(line.split(":")[:2] for line in stream if line.count(":") >= 2)
    for name in given["names"]:
        try:
            shell = pwd.getpwnam(name).pw_shell
        except KeyError:
            continue
        seen.append(name)
        if shell not in NO_SHELLS and name not in given.get("with_shell", []):
            wrong.append(f"{name} has the shell {shell or '(the default one)'}")
        if not hashes.get(name, "!").startswith(("!", "*")):
            wrong.append(f"{name} has a password")
    return not wrong, "; ".join(wrong) or f"{', '.join(seen)}: no shell, no password"


def _opened(path: str) -> bool:
    """Whether this process can open a file or list a directory."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def as_nobody(paths: list[str]) -> list[str]:
    """The paths that an account without any rights can open: a child without privileges tries each."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writer, bytes(_opened(path) for path in paths))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        told = stream.read()
    os.waitpid(child, 0)
    if len(told) != len(paths):
        raise SecurityError("the attempt to read files without rights broke off")
    return [path for path, opened in zip(paths, told, strict=True) if opened]


def check_unreadable(given: Mapping[str, Any], attempt: Callable[[list[str]], list[str]] = as_nobody) -> Found:
    """What no ordinary account can open: ``paths``, tried as nobody."""
    found, missing = expand(given["paths"])
    if missing:
        return False, f"missing: {_names(missing)}"
    opened = attempt(found) if found else []
    return not opened, f"nobody reads {_names(opened)}" if opened else f"nobody is refused {len(found)} paths"


def check_query(given: Mapping[str, Any]) -> Found:
    """What a ``statement`` finds in the local database: no row, or only rows that are among ``rows``."""
    with databases.session() as connection, connection.cursor() as cursor:
        cursor.execute(given["statement"])
        found = [" ".join(str(value) for value in row) for row in cursor.fetchall()]
    unwanted = [row for row in found if row not in given.get("rows", [])]
    return not unwanted, _names(unwanted) if unwanted else given.get("said", _names(found) or "none")


def check_messaging(given: Mapping[str, Any]) -> Found:
    """Rights in the message queue: each user has a virtual host of its own, called after it, and no rights in others;
    one that is called after another, such as ``nova_compute``, has some of the rights in that one's."""
    present = messaging.read()
    rights = {(one["user"], one["vhost"]): one for one in present.get("permissions", [])}
    permissions = sorted(rights)
    shared = {pair for pair in permissions if pair[0].startswith(f"{pair[1][1:]}_") and pair[1] != "/"}
    wrong = [
        f"{user} may use {vhost}" for user, vhost in permissions if vhost != f"/{user}" and (user, vhost) not in shared
    ]
    wrong += [
        f"{user} may {what} everything in {vhost}"
        for user, vhost in sorted(shared)
        for what in ("configure", "write", "read")
        if rights[user, vhost][what] == messaging.ALL
    ]
    wrong += [f"the user {one['name']} exists" for one in present.get("users", []) if one["name"] == "guest"]
    return not wrong, _names(wrong) if wrong else ", ".join(
        f"{user} in {vhost}" for user, vhost in permissions
    ) or "no users"


def check_clear_text(given: Mapping[str, Any]) -> Found:
    """That a server at ``host`` and ``port`` refuses clients which do not encrypt; ``protocol`` as `served` has it.

    One that is ``mutual`` refuses those without a certificate, too; ``ca`` is the file of who vouches for it.
    """
    place = served.place_of({"service": given["protocol"], "ca": "", **given, "port": int(given["port"])})
    said = served.takes_too_many(place)
    return not said, said or f"refused at {place.host}:{place.port}"


CONSOLE = "stackwright-console-check"
# A machine that never runs, and has nothing but a console as libvirt gives one to guests.
MACHINE = """<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>16</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices><graphics type='vnc' autoport='yes' listen='{address}'/></devices>
</domain>
"""


def _virsh(*words: str, given: str = "") -> str:
    done = subprocess.run(
        ["virsh", "-q", "-c", "qemu:///system", *words], input=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SecurityError(f"virsh {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def _console(guest: str) -> tuple[str, int] | None:
    """Address and port of a running guest's console; None where it has none."""
    parts = urlsplit(_virsh("domdisplay", guest, "--type", "vnc"))
    return (parts.hostname or "127.0.0.1", 5900 + (parts.port or 0)) if parts.scheme == "vnc" else None


def check_consoles(given: Mapping[str, Any]) -> Found:
    """That consoles of guests serve nobody without TLS and a certificate: those of all that run here, and that of a
    machine which is made for it, at the ``address`` where guests get theirs."""
    known = _virsh("list", "--name").split()
    if CONSOLE not in known:
        _virsh("create", "--paused", "--file", "/dev/stdin", given=MACHINE.format(name=CONSOLE, **given))
    try:
        wrong, guests = [], [*{*known, CONSOLE}]
        for guest in guests:
            place = _console(guest)
            if place and (said := vnc.serves_strangers(*place)):
                wrong.append(f"{guest}: {said}")
    except vnc.VncError as error:
        raise SecurityError(str(error)) from error
    finally:
        _virsh("destroy", CONSOLE)
    return not wrong, _names(wrong) if wrong else f"refused by {len(guests)} consoles"


KINDS: dict[str, Callable[[Mapping[str, Any]], Found]] = {
    "files": check_files,
    "age": check_age,
    "option": check_option,
    "request": check_request,
    "process": check_process,
    "accounts": check_accounts,
    "unreadable": check_unreadable,
    "query": check_query,
    "messaging": check_messaging,
    "clear_text": check_clear_text,
    "consoles": check_consoles,
}
KEYS = {"check", "service", "services", "title", "mend", "open"}


@dataclass(frozen=True)
class Check:
    """One entry of the catalogue."""

    check: str
    service: str
    title: str
    kind: str
    given: Mapping[str, Any]
    services: tuple[str, ...] = ()
    mend: str = ""

    def row(self, host: str) -> Row:
        """Do the check here. What cannot be looked at counts as failed, with the reason as its value."""
        if self.kind == "open":
            return Row(self.check, self.service, self.title, "not done yet", "open", str(self.given["open"]), host)
        try:
            passed, value = KINDS[self.kind](self.given)
        except (OSError, databases.DatabaseError, messaging.MessagingError, SecurityError) as error:
            passed, value = False, f"cannot be looked at: {error}"
        return Row(
            self.check,
            self.service,
            self.title,
            value,
            "passed" if passed else "failed",
            "" if passed else self.mend,
            host,
        )


def check_of(data: Mapping[str, Any]) -> Check:
    """Read one entry of the catalogue.

    :raises SecurityError: it has no kind or more than one, or a key is missing or unknown.
    """
    name = data.get("check", "(without a name)")
    kinds = [kind for kind in (*KINDS, "open") if kind in data]
    if len(kinds) != 1:
        raise SecurityError(f"check {name}: give exactly one of {', '.join((*KINDS, 'open'))}")
    if unknown := sorted(set(data) - KEYS - set(kinds)):
        raise SecurityError(f"check {name}: unknown key {unknown[0]!r}")
    if lacking := [key for key in ("check", "service", "title") if not data.get(key)]:
        raise SecurityError(f"check {name}: {lacking[0]} is missing")
    kind = kinds[0]
    return Check(
        check=data["check"],
        service=data["service"],
        title=data["title"],
        kind=kind,
        given=data if kind == "open" else (data[kind] or {}),
        services=tuple(data.get("services") or [data["service"]]),
        mend=data.get("mend", ""),
    )


def rows(checks: Iterable[Mapping[str, Any]], services: Iterable[str], host: str) -> list[Row]:
    """Do the checks that are for one of the host's services (``role`` or ``role.component``)."""
    here = set(services)
    return [one.row(host) for one in map(check_of, checks) if here & set(one.services)]
