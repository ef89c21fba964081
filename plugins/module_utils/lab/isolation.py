"""Nobody beside this host gets into a lab through it: an nftables table of the lab's own that drops what is forwarded
to its networks.

podman lets this host forward packets, so without it every neighbour with a route reaches the machines, whose passwords
are examples.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.lab.definition import Lab
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.podman import run

DOING = "Keeping neighbours out of the lab's networks"
REMEDY = "Run tools/setup; see nft list ruleset on this host"


def table(name: str) -> str:
    """The name of a lab's table, for which nftables takes no hyphens."""
    return "stackwright_lab_" + re.sub(r"[^a-z0-9]", "_", name.lower())


def rules(lab: Lab, networks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The rules as nftables lists them.

    :param networks: the networks that exist, as podman describes them: what comes in through their bridges is the lab's
        own.
    """
    bridges = sorted(
        str(networks[one.name]["network_interface"]) for one in lab.networks.values() if one.name in networks
    )
    own = "{ " + ", ".join(f'"{one}"' for one in bridges) + " }"
    return [
        f"iifname != {own} ip daddr {one.cidr} ct state != {{ established, related }} counter drop"
        for one in lab.networks.values()
    ]


def text(name: str, lines: list[str]) -> str:
    """The table as nftables reads it."""
    body = "".join(f"    {line}\n" for line in ["type filter hook forward priority filter - 5; policy accept;", *lines])
    return f"table inet {name}\ndelete table inet {name}\ntable inet {name} {{\n  chain forward {{\n{body}  }}\n}}\n"


def listing(name: str) -> list[str]:
    """The rules that the kernel has in a table, comparable with :func:`rules`; none where there is no table."""
    try:
        done = subprocess.run(["nft", "-s", "list", "table", "inet", name], capture_output=True, text=True, check=False)
    except OSError:
        return []
    return [_ordered(line.strip()) for line in done.stdout.splitlines() if " daddr " in line]


def _ordered(line: str) -> str:
    """A rule with its sets in alphabetical order, those of one element as it stands: the kernel has an order of its
    own."""

    def ordered(match: re.Match[str]) -> str:
        elements = sorted(set(match[1].split(", ")))
        return "{ " + ", ".join(elements) + " }" if len(elements) > 1 else elements[0]

    return re.sub(r"\{ ([^}]*) \}", ordered, line)


def bring(lab: Lab, networks: Mapping[str, Mapping[str, Any]], check_mode: bool) -> bool:
    """Load the lab's table where it differs; tells whether it did.

    Raises:
        LabError: nftables is missing or refuses.
    """
    name, wanted = table(lab.name), rules(lab, networks)
    if listing(name) == [_ordered(line) for line in wanted]:
        return False
    if not check_mode:
        run(["nft", "-f", "-"], DOING, data=text(name, wanted).encode(), remedy=REMEDY)
    return True


def exists(lab: Lab) -> bool:
    """Tell whether the lab's table is loaded."""
    return bool(listing(table(lab.name)))


def remove(lab: Lab) -> None:
    """Take the lab's table away.

    Raises:
        LabError: nftables refuses.
    """
    if exists(lab):
        run(["nft", "delete", "table", "inet", table(lab.name)], "Removing the lab's packet filter", remedy=REMEDY)
