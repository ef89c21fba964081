"""Text from hosts, made safe to show: evidence may hold anything a host has in its files, names and command output."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

LONGEST = 20_000

# Control characters, lone surrogates, characters that reorder text, and what XML 1.0 does not allow (section 2.2).
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufffe\uffff]"
)
_UNSAFE_NAME = re.compile(r"[^A-Za-z0-9._-]")


def _visible(match: re.Match[str]) -> str:
    number = ord(match[0])
    if 0xD800 <= number <= 0xDFFF:
        return "\ufffd"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def clean(value: str) -> str:
    """`value` as text that every format can hold and every screen can show.

    Invalid UTF-8 becomes U+FFFD, control and reordering characters become visible escapes, line feeds and tabs stay.
    What is longer than `LONGEST` characters is cut, and says so.
    """
    text = str.__str__(value)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}... ({len(text) - LONGEST} more characters)"
    return _UNSAFE.sub(_visible, text) if _UNSAFE.search(text) else text


def clean_data(data: Any, seen: dict[str, str] | None = None) -> Any:
    """JSON data with every text cleaned, and equal texts kept once in memory."""
    kept: dict[str, str] = {} if seen is None else seen
    if isinstance(data, str):
        text = kept.get(data)
        if text is None:
            text = kept[str.__str__(data)] = clean(data)
        return text
    if isinstance(data, Mapping):
        return {clean_data(name, kept): clean_data(value, kept) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [clean_data(one, kept) for one in data]
    if data is None or isinstance(data, bool):
        return data
    return int(data) if isinstance(data, int) else float(data) if isinstance(data, float) else clean(str(data))


def xml(value: str) -> str:
    """Clean text, escaped for XML content and for attributes in double quotes."""
    return escape(value, {'"': "&quot;"})


def xml_attribute(value: str) -> str:
    """Clean text, escaped for an attribute so that line feeds and tabs survive (XML 1.0, section 3.3.3)."""
    return escape(value, {'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})


def file_name(host: str) -> str:
    """A file name for a host: the name where it is harmless, otherwise made harmless and kept distinct by a digest."""
    if not _UNSAFE_NAME.search(host) and not host.startswith(".") and 0 < len(host) <= 100:
        return host
    digest = hashlib.sha256(host.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_UNSAFE_NAME.sub('_', host)[:80].lstrip('.') or 'host'}-{digest}"
