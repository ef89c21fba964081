"""Clean text for the formats of reports: markup and file names."""

from __future__ import annotations

import hashlib
import re
from xml.sax.saxutils import escape

from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import LONGEST, clean, clean_data

__all__ = ["LONGEST", "clean", "clean_data", "file_name", "xml", "xml_attribute"]

_UNSAFE_NAME = re.compile(r"[^A-Za-z0-9._-]")


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
