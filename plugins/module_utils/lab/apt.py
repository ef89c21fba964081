"""Package sources: what this host's apt uses, translated to the release of the machines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError

KEYRINGS = ("/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp")
POCKETS = ("", "-updates", "-security")
# What of the host's apt configuration is about reaching the mirror. The rest is the host's own business.
TRANSPORT = re.compile(
    r"^Acquire::(?:(?:http|https)::(?:Proxy|Verify-Peer|Verify-Host|Timeout|User-Agent)(?:::[^ ]+)?"
    r"|ForceIPv[46]|Retries|Check-Valid-Until|Check-Date)$",
    re.IGNORECASE,
)
OPTION = re.compile(r'^(?P<name>[^ "]+) "(?P<value>.*)";$')


@dataclass(frozen=True)
class Source:
    """One package source: a mirror, a suite and its components."""

    uri: str
    suite: str
    components: tuple[str, ...]


def parse_one_line(text: str) -> list[tuple[Source, str]]:
    """Parse the traditional format; each source comes with its signed-by option (or an empty string)."""
    found = []
    for line in text.splitlines():
        line = line.split("#", 1)[0].strip()
        match = re.match(r"^deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<rest>.+)$", line)
        if not match:
            continue
        words = match["rest"].split()
        if len(words) < 3:
            continue
        options = dict(word.split("=", 1) for word in (match["options"] or "").split() if "=" in word)
        found.append((Source(words[0].rstrip("/"), words[1], tuple(words[2:])), options.get("signed-by", "")))
    return found


def parse_deb822(text: str) -> list[tuple[Source, str]]:
    """Parse the format with fields; each source comes with its Signed-By field (or an empty string)."""
    found = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t") and name:
                fields[name] += " " + line.strip()
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = tuple(fields.get("components", "").split())
                found.append((Source(uri.rstrip("/"), suite, components), fields.get("signed-by", "")))
    return found


def resolve_mirror(uri: str) -> str:
    """Return the first mirror of a mirror list in a file; other addresses come back unchanged."""
    for scheme in ("mirror+file:", "mirror+file://"):
        if uri.startswith(scheme):
            path = Path("/" + uri[len("mirror+file:") :].lstrip("/"))
            try:
                lines = path.read_text(encoding="utf-8").split("\n")
            except OSError:
                return uri
            for line in lines:
                if line.strip() and not line.startswith("#"):
                    return line.split()[0].rstrip("/")
    return uri


def translate(entries: Iterable[tuple[Source, str]], codename: str, suite: str) -> list[Source]:
    """Pick the distribution's own sources out of a host's and name them for another release.

    Args:
        entries: What the parsers returned.
        codename: The host's release, for example ``bookworm``.
        suite: The machines' release, for example ``trixie``.

    Returns:
        At most one source per pocket (main, updates, security), the main one first; empty when there is no main one.
    """
    found: dict[str, Source] = {}
    for source, signer in entries:
        uri = resolve_mirror(source.uri)
        if "main" not in source.components or urlsplit(uri).scheme not in ("http", "https", "file"):
            continue
        if signer and "debian-archive" not in signer and "BEGIN PGP" not in signer:
            continue
        for pocket in POCKETS:
            if source.suite in (f"{codename}{pocket}", f"stable{pocket}", f"oldstable{pocket}"):
                found.setdefault(pocket, Source(uri, f"{suite}{pocket}", ("main",)))
    return [found[pocket] for pocket in POCKETS if pocket in found] if "" in found else []


def host_sources(suite: str, root: Path = Path("/")) -> list[Source]:
    """Return the sources for a release, taken from the apt configuration of the host under ``root``.

    Raises:
        LabError: The host has no source of its distribution.
    """
    release = dict(
        line.split("=", 1) for line in (root / "etc/os-release").read_text(encoding="utf-8").splitlines() if "=" in line
    )
    codename = release.get("VERSION_CODENAME", "").strip('"')
    entries: list[tuple[Source, str]] = []
    apt = root / "etc/apt"
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    for path in lists:
        if path.is_file():
            entries += parse_one_line(path.read_text(encoding="utf-8", errors="replace"))
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        entries += parse_deb822(path.read_text(encoding="utf-8", errors="replace"))
    sources = translate(entries, codename, suite)
    if not sources:
        raise LabError(
            f"Looking for package sources in {apt}",
            f"no source there offers {codename or 'this release'} main of Debian",
            "Set lab_apt_sources, for example [{uri: ..., suite: trixie, components: [main]}]",
        )
    return sources


def given_sources(entries: Iterable[Mapping[str, object]]) -> list[Source]:
    """Return the sources that the variable lab_apt_sources names; the first one must be the release itself."""
    found = []
    for entry in entries:
        components = entry.get("components") or ["main"]
        if not entry.get("uri") or not entry.get("suite") or not isinstance(components, list):
            raise LabError("Reading lab_apt_sources", f"{entry} lacks uri or suite", "Give uri, suite and components")
        found.append(Source(str(entry["uri"]).rstrip("/"), str(entry["suite"]), tuple(str(c) for c in components)))
    return found


def render_sources(sources: Iterable[Source], keyring: str = KEYRINGS[0]) -> str:
    """Return the sources as the content of a deb822 file."""
    return "\n".join(
        f"Types: deb\nURIs: {source.uri}\nSuites: {source.suite}\n"
        f"Components: {' '.join(source.components)}\nSigned-By: {keyring}\n"
        for source in sources
    )


def transport_options(dump: str) -> dict[str, str]:
    """Return the options about reaching mirrors (proxies, checks, patience) from the output of `apt-config dump`."""
    options = {}
    for line in dump.splitlines():
        match = OPTION.match(line)
        if match and match["value"] and TRANSPORT.match(match["name"]):
            options[match["name"]] = match["value"]
    return options


def render_options(options: Mapping[str, str], gateway: str = "") -> str:
    """Return options as the content of an apt.conf.d file.

    A proxy on the host's loopback is reached by way of ``gateway``, the host's address in the machines' network.
    """
    lines = []
    for name, value in sorted(options.items()):
        if gateway and urlsplit(value).hostname in ("localhost", "127.0.0.1", "::1"):
            value = re.sub(r"//(localhost|127\.0\.0\.1|\[::1\])", f"//{gateway}", value)
        lines.append(f'{name} "{value}";\n')
    return "".join(lines)
