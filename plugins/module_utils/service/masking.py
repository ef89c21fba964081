"""What of a configuration file may be shown: secrets are known by where they are declared, and what is not known is not
shown.

Three things say that a value is a secret: the service's own mark in its option definitions, the list of the operator's
secrets (vaulted values and ``stackwright_secrets``), and its place in a URL. Names that sound like secrets are only the
last net, for what has no definitions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "********"
# Shorter values would hide words that are no secrets, and are none that could be kept.
SHORTEST = 4

SOUNDS_SECRET = re.compile(
    r"pass(word|wd|phrase)?(_|-|$)|password|passwd|secret|token|credential|[_-]key$|^key$|hmac_keys|private",
    re.IGNORECASE,
)
_SECTION = re.compile(r"\s*\[(.+)\]\s*$")
_OPTION = re.compile(r"([^\s=:#;\[(][^=:]*?)(\s*[=:]\s*)(.*)$")
# Everything between the scheme and the last @ of the word: with several hosts, and with signs that should have been
# encoded.
_LOGIN = re.compile(r"(\w://)(\S.*@)")
_QUOTED_NAME = re.compile(r"""(["']?)([\w.-]+)\1(\s*(?:=>|[=:])\s*)(\S.*)$""")


def forms(value: str) -> set[str]:
    """A secret in every form in which files hold it: as it is, in URLs, in option files, in JSON and Python."""
    return {
        value,
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        value.replace("$", "$$"),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
    }


def words(values: Iterable[Any]) -> list[str]:
    """All forms of secrets, the longest first, so that none is hidden in part only."""
    found = {form for value in values for form in forms(str(value)) if len(form) >= SHORTEST}
    return sorted(found, key=lambda one: (-len(one), one))


def logins(text: str) -> set[str]:
    """Passwords in the URLs of a value, encoded and decoded; with several hosts those of each."""
    found: set[str] = set()
    for match in _LOGIN.finditer(text):
        for login in match[2][:-1].split(","):
            password = login.rpartition("@")[0].partition(":")[2] if "@" in login else login.partition(":")[2]
            found |= {password, unquote(password)}
        # Where signs were not encoded, the parts above are pieces; this is the whole.
        whole = match[2][:-1].partition(":")[2]
        found |= {whole} if "@" in whole or "," in whole else set()
    return {one for one in found if len(one) >= SHORTEST}


def _without_login(match: re.Match[str]) -> str:
    user, colon, _ = match[2][:-1].partition(":")
    if not colon:
        return match[0]
    kept = f"{user}:" if re.fullmatch(r"[^/@\s]*", user) else ""
    return f"{match[1]}{kept}{HIDDEN}@"


def hide(text: str, hidden: Iterable[str] = ()) -> str:
    """`text` without these words, logins of URLs, and values whose names sound like secrets in INI, YAML, JSON and
    Python."""
    for word in hidden:
        text = text.replace(word, HIDDEN)
    lines = []
    for line in text.splitlines(keepends=True):
        body = line.rstrip("\n")
        body = _LOGIN.sub(_without_login, body)
        match = _QUOTED_NAME.search(body)
        while match:
            if SOUNDS_SECRET.search(match[2]):
                body = f"{body[: match.start(4)]}{HIDDEN}"
                break
            match = _QUOTED_NAME.search(body, match.end(3))
        lines.append(body + line[len(line.rstrip("\n")) :])
    return "".join(lines)


def hide_options(text: str, secret: Callable[[str, str], bool], hidden: Iterable[str] = ()) -> str:
    """An option file without its secrets, continued lines included.

    :param secret: whether the option of a section may not be shown.
    """
    for word in hidden:
        text = text.replace(word, HIDDEN)
    section, covered = "", False
    lines = []
    for line in text.splitlines(keepends=True):
        body, end = line.rstrip("\n"), line[len(line.rstrip("\n")) :]
        head, option = _SECTION.match(body), _OPTION.match(body)
        if head:
            section, covered = head[1], False
        elif body[:1].isspace() and body.strip():
            body = f"  {HIDDEN}" if covered else _LOGIN.sub(_without_login, body)
        elif option:
            covered = secret(section, option[1].strip())
            body = f"{option[1]}{option[2]}{HIDDEN}" if covered and option[3] else _LOGIN.sub(_without_login, body)
        lines.append(body + end)
    return "".join(lines)


def count_only(text: str) -> str:
    """How long a text is, in place of it; what is said of a path's kind and attributes stays."""
    lines = text.splitlines(keepends=True)
    head = ""
    if lines and re.fullmatch(r"\([^()\n]*\)\n|-> [^\n]*\n?", lines[0]):
        head, lines = lines[0], lines[1:]
    return head + (f"(content of {len(lines)} lines, not shown)\n" if lines else "")
