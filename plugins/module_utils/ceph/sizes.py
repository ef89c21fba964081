"""Sizes of disks as the inventory writes them."""

from __future__ import annotations

import re

SUFFIXES = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def bytes_of(text: str) -> int:
    """The bytes of a size such as ``10G``.

    :raises ValueError: it is none.
    """
    found = re.match(r"(\d+)([KMGT]?)(?:I?B)?\Z", text.strip().upper())
    if not found or not int(found.group(1)):
        raise ValueError(f"{text!r} is no size such as 10G")
    return int(found.group(1)) << SUFFIXES[found.group(2)]
