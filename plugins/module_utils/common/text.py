"""Text that others wrote, made safe to show: tenants, hosts, guests and APIs may put anything into what they say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

LONGEST = 20_000
"""Characters of one text that are shown."""

# Control characters, lone surrogates, characters that reorder or hide text, and what XML 1.0 does not allow (section
# 2.2).
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\ufffe\uffff\U000e0000-\U000e007f]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_COLOR = re.compile(r"\x1b\[[\d;]*m")


def _visible(match: re.Match[str]) -> str:
    number = ord(match[0])
    if 0xD800 <= number <= 0xDFFF:
        return "\ufffd"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def clean(value: str, longest: int = LONGEST) -> str:
    """`value` as text that every format can hold and every screen can show.

    Invalid UTF-8 becomes U+FFFD, control and reordering characters become visible escapes, line feeds and tabs stay.
    What is longer than `longest` characters is cut, and says so.
    """
    text = str.__str__(value)
    if len(text) > longest:
        text = f"{text[:longest]}... ({len(text) - longest} more characters)"
    return _UNSAFE.sub(_visible, text) if _UNSAFE.search(text) else text


def one_line(value: str, longest: int = LONGEST) -> str:
    """Clean text for a place that has room for one line: line feeds and tabs become visible as well."""
    return clean(value, longest).replace("\n", "\\n").replace("\t", "\\t")


def clean_painted(text: str, longest: int = LONGEST) -> str:
    """Clean text for a terminal in which colors (SGR sequences) stay: for what is painted already and was cleaned
    before."""
    parts = _COLOR.split(text)
    if len(parts) == 1:
        return clean(text, longest)
    colors = [*_COLOR.findall(text), ""]
    return "".join(clean(part, longest) + color for part, color in zip(parts, colors, strict=True))


def whole_text(data: Any) -> Any:
    """JSON data in which lone surrogates are U+FFFD: JSON can spell them, and no file, terminal or further answer can
    hold them."""
    if isinstance(data, str):
        return _SURROGATE.sub("\ufffd", data)
    if isinstance(data, dict):
        return {whole_text(name): whole_text(value) for name, value in data.items()}
    return [whole_text(one) for one in data] if isinstance(data, list) else data


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
