"""Looks at the host it runs on and reports what is there. Reads only; the judgement is made elsewhere.

Runs on the target, where only the distribution's Python exists; kept to what Python 3.8 understands, so that a host
that is too old can still say so.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import host as ceph
from ansible_collections.stackwright.cloud.plugins.module_utils.host import arp, database
from ansible_collections.stackwright.cloud.plugins.module_utils.host.sockets import LISTEN
from ansible_collections.stackwright.cloud.plugins.module_utils.host.sockets import decode as _decode
from ansible_collections.stackwright.cloud.plugins.module_utils.host.sockets import holders as _holders
from ansible_collections.stackwright.cloud.plugins.module_utils.host.sockets import unit_of as _unit

# What every file that the configuration transaction writes for a service says in its first lines.
MARK, MARK_WITHIN = "Written by Stackwright", 200
# Certificates of the cloud's authorities, where an earlier run wrote them.
TRUSTED = "/etc/ssl/stackwright/ca.pem"
PROGRAM_SECONDS = 30  # that a program of the host may take


def observe(wanted: dict[str, Any]) -> dict[str, Any]:
    """Everything that the judge needs to know of this host.

    :param wanted: `ports` (numbers), `units` (names), `others` (services that are not to be here, with their units and
        files), `names` (to resolve), `peers` (mappings with address and port), `mirror` (whether to ask the package
        sources), `sources` (their lines, instead of the host's own), `storage` (where Ceph is looked at: `paths` of
        disks, `matches` that describe some), `database` (whether it is looked at what a database server keeps),
        `timeout` (seconds of one attempt).
    """
    timeout = float(wanted.get("timeout") or 5)
    carried = _addresses()
    mirrors = _mirrors(wanted.get("sources") or []) if wanted.get("mirror") else []
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        peers = [
            pool.submit(_connect, str(one["address"]), int(one["port"]), timeout) for one in wanted.get("peers", [])
        ]
        servers = {url: pool.submit(_ask, url, timeout) for url in mirrors}
        names = {name: pool.submit(_resolve, name) for name in wanted.get("names", [])}
        result = {
            "user": os.geteuid(),
            "hostname": socket.gethostname(),
            "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
            "init": _read("/proc/1/comm").strip(),
            "os": _os_release(),
            "memory_mb": _memory_mb(),
            "disk_free_mb": _disk_free_mb("/var"),
            "interfaces": sorted(path.name for path in _glob("/sys/class/net", "*")),
            "addresses": sorted({address for _interface, address in carried}),
            "carried": carried,
            "default_routes": _default_routes(),
            "listeners": _listeners(set(wanted.get("ports", []))),
            "installed_units": [unit for unit in wanted.get("units", []) if _has_unit(unit)],
            "others": _running(wanted.get("others") or {}),
            "kvm": Path("/dev/kvm").exists(),
            "hosts_rewritten": _hosts_rewritten(),
            "authorities": _authorities(),
            "virtual": _virtual(wanted["virtual"], carried) if wanted.get("virtual") else {},
            "database": database.look() if wanted.get("database") else {},
            "storage": ceph.look(**wanted["storage"]) if wanted.get("storage") else {},
            "modules": {name: _has_module(name) for name in ("openvswitch", "geneve")},
            "peers": [one.result() for one in peers],
            "mirrors": {url: one.result() for url, one in servers.items()},
            "names": {name: one.result() for name, one in names.items()},
        }
    result["time"] = time.time()
    return result


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _glob(directory: str, pattern: str) -> list[Path]:
    """The entries in order; none where the directory is absent or closed, or changes underneath."""
    try:
        return sorted(Path(directory).glob(pattern))
    except OSError:
        return []


def _os_release() -> dict[str, str]:
    fields = {}
    for line in _read("/etc/os-release").splitlines():
        key, _, value = line.partition("=")
        fields[key.strip()] = value.strip().strip("'\"")
    return {key: fields.get(key, "") for key in ("ID", "VERSION_ID", "PRETTY_NAME")}


def _hosts_rewritten(root: str = "") -> str:
    """The file that lets cloud-init write /etc/hosts anew at each boot; empty where none does."""
    cloud = Path(root + "/etc/cloud")
    if not cloud.is_dir() or (cloud / "cloud-init.disabled").exists():
        return ""
    found = ""
    instance = Path(root + "/var/lib/cloud/instance/cloud-config.txt")
    for path in [cloud / "cloud.cfg", *_glob(str(cloud / "cloud.cfg.d"), "*.cfg"), instance]:
        # the last word counts
        for value in re.findall(r"(?m)^\s*manage_etc_hosts:\s*['\"]?(\w+)", _read(str(path))):
            found = str(path) if value.lower() in ("true", "template") else ""
    return found


def _authorities(path: str = TRUSTED) -> list[str]:
    """Fingerprints (SHA-256) of the cloud's certificate authorities that this host trusts."""
    form = r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----"
    found = []
    for text in re.findall(form, _read(path)):
        try:
            found.append(hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest())
        except ValueError:
            continue
    return found


def _memory_mb() -> int:
    """Memory of the machine, or what a control group leaves of it."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    sizes = [int(found.group(1)) * 1024] if found else []
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = _read(path).strip()
        if text.isdigit():
            sizes.append(int(text))
    return min(sizes) // 2**20 if sizes else 0


def _disk_free_mb(path: str) -> int:
    try:
        state = os.statvfs(path)
    except OSError:
        return 0
    return state.f_bavail * state.f_frsize // 2**20


def _addresses() -> list[list[str]]:
    """Every address with its interface, which is empty where it is not known."""
    command = shutil.which("ip") or "/usr/sbin/ip"
    try:
        output = subprocess.run(
            [command, "-o", "address", "show"], stdout=subprocess.PIPE, check=True, timeout=PROGRAM_SECONDS
        ).stdout.decode()
        found = re.findall(r"^\d+:\s+([^\s@:]+)\S*\s+inet6? ([0-9a-fA-F.:]+)", output, re.MULTILINE)
    except (OSError, subprocess.SubprocessError):
        # Without iproute2: the kernel's own table of local IPv4 addresses.
        found = [("", one) for one in re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", _read("/proc/net/fib_trie"))]
    return [list(one) for one in sorted(set(found))]


def _virtual(wanted: dict[str, Any], carried: list[list[str]]) -> dict[str, Any]:
    """Who answers for the addresses that load balancers are to carry, and which virtual routers are alive beside; the
    networks of the host's own address."""
    own = str(wanted["own"])
    interface = next((name for name, address in carried if address == own and name), "")
    text = _output([shutil.which("ip") or "/usr/sbin/ip", "-o", "-4", "address", "show"])
    networks = [f"{own}/{length}" for length in re.findall(rf"inet {re.escape(own)}/(\d+)", text)]
    try:
        heard = arp.ask(interface, own, [*wanted["addresses"], *wanted["members"]])
    except OSError:  # without the address there is no interface, which is told as such
        heard = arp.Heard()
    return {
        "networks": networks,
        "answers": {address: sorted(links) for address, links in heard.answers.items()},
        "routers": {str(number): sorted(senders) for number, senders in heard.routers.items()},
    }


def _default_routes() -> list[str]:
    """Interfaces of IPv4's default routes."""
    rows = [line.split() for line in _read("/proc/net/route").splitlines()[1:]]
    return sorted({row[0] for row in rows if len(row) > 7 and row[1] == row[7] == "00000000"})


def _listeners(ports: Any) -> list[dict[str, Any]]:
    """Who listens on these ports: address, port, process, unit. Naming the process takes root."""
    sockets: dict[str, tuple[str, int]] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _read(table).splitlines()[1:]:
            fields = line.split()
            encoded, _, number = fields[1].partition(":")
            if fields[3] == LISTEN and int(number, 16) in ports:
                sockets[fields[9]] = (_decode(encoded), int(number, 16))
    holders = _holders(set(sockets)) if sockets else {}
    found = []
    for inode, (address, port) in sorted(sockets.items(), key=lambda item: item[1][::-1]):
        process = holders.get(inode)
        entry: dict[str, Any] = {"address": address, "port": port, "process": "", "unit": ""}
        if process:
            entry["process"] = _read(f"/proc/{process}/comm").strip()
            entry["unit"] = _unit(_read(f"/proc/{process}/cgroup"))
        found.append(entry)
    return found


def _has_unit(unit: str) -> bool:
    directories = (
        "/etc/systemd/system",
        "/run/systemd/generator.late",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
    )
    return any(Path(one, unit + ".service").exists() for one in directories)


def _running(others: dict[str, Any]) -> dict[str, list[str]]:
    """Units that run of services whose files were written here: a daemon of another origin is none of ours."""
    found = {}
    for service, one in others.items():
        if any(MARK in _read(path)[:MARK_WITHIN] for path in one["files"]):
            running = [unit for unit in one["units"] if _output(["systemctl", "is-active", unit]).strip() == "active"]
            if running:
                found[service] = running
    return found


def _has_module(name: str) -> bool:
    release = os.uname().release
    if Path("/sys/module", name).is_dir():
        return True
    pattern = re.compile(rf"/{name}\.ko")
    return any(pattern.search(_read(f"/lib/modules/{release}/{table}")) for table in ("modules.dep", "modules.builtin"))


def _resolve(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, None))
    except (OSError, UnicodeError):
        return False


def _connect(address: str, port: int, timeout: float) -> dict[str, Any]:
    """`reason` is empty when the connection comes about, otherwise why it does not; `refused` says that the machine
    itself answered no."""
    try:
        socket.create_connection((address, port), timeout).close()
    except OSError as error:
        return {"reason": _reason(error, timeout), "refused": isinstance(error, ConnectionRefusedError)}
    return {"reason": "", "refused": False}


def _reason(error: Any, timeout: float) -> str:
    if isinstance(error, socket.timeout):
        return f"no answer within {timeout:g} seconds"
    return (getattr(error, "strerror", None) or str(error)).lower()


def _mirrors(lines: list[str]) -> list[str]:
    """One release file of every package source: of the given lines, or of what APT is set up with."""
    if not lines:
        lines = _read("/etc/apt/sources.list").splitlines()
        for path in _glob("/etc/apt/sources.list.d", "*.list"):
            lines += _read(str(path)).splitlines()
    urls = set()
    for line in lines:
        match = re.match(r"\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", line)
        if match:
            urls.add(_release(match.group(1), match.group(2)))
    for path in _glob("/etc/apt/sources.list.d", "*.sources"):
        for stanza in re.split(r"\n\s*\n", _read(str(path))):
            urls |= _stanza(stanza)
    return sorted(urls)


def _stanza(text: str) -> set[str]:
    """The release files of one stanza in deb822 format."""
    unfolded = re.sub(r"\n[ \t]+", " ", re.sub(r"(?m)^#.*\n?", "", text))
    fields = {
        key.strip().lower(): value.split() for key, _, value in (line.partition(":") for line in unfolded.splitlines())
    }
    if "deb" not in fields.get("types", []) or (fields.get("enabled") or ["yes"])[0].lower() in ("no", "false", "0"):
        return set()
    return {_release(uri, suite) for uri in fields.get("uris", []) for suite in fields.get("suites", [])}


def _release(uri: str, suite: str) -> str:
    if suite.endswith("/"):  # a flat repository
        return f"{uri.rstrip('/')}/{suite.lstrip('./')}InRelease"
    return f"{uri.rstrip('/')}/dists/{suite}/InRelease"


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, timeout=PROGRAM_SECONDS
        ).stdout.decode()
    except (OSError, subprocess.SubprocessError):
        return ""


def _proxy(scheme: str) -> str | None:
    found = re.search(r'"([^"]*)"', _output(["apt-config", "dump", f"Acquire::{scheme}::Proxy"]))
    return found.group(1) if found and found.group(1) not in ("", "DIRECT") else None


def _ask(url: str, timeout: float) -> dict[str, Any]:
    """`reason` is empty when the server has the file, otherwise what it, or the way to it, answers; `answered` tells
    the two apart."""
    scheme = url.split(":", 1)[0]
    if scheme not in ("http", "https"):  # a directory or a disc, which APT itself will look at
        return {"reason": "", "answered": True}
    proxy = _proxy(scheme)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({scheme: proxy} if proxy else {}))
    try:
        opener.open(urllib.request.Request(url, method="HEAD"), timeout=timeout).close()
    except urllib.error.HTTPError as error:
        if error.code in (401, 403, 405):  # there, but not for a bare HEAD request
            return {"reason": "", "answered": True}
        return {"reason": f"HTTP status {error.code}", "answered": True}
    except urllib.error.URLError as error:
        return {"reason": _reason(error.reason, timeout), "answered": False}
    except (OSError, ValueError) as error:
        return {"reason": _reason(error, timeout), "answered": False}
    except http.client.HTTPException as error:  # a server of another kind, or an address that is none
        return {"reason": f"no HTTP answer ({type(error).__name__})", "answered": False}
    return {"reason": "", "answered": True}
