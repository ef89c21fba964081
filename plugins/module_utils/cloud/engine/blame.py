"""What a refusal of a service means for the document: names for identifiers, and whose doing it is."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import general_mend
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.plan import Planner
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError, Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import Item

IDENTIFIER = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b")
# What services say when a policy refuses; anything else that is forbidden is forbidden for another reason.
POLICY = re.compile(
    r"not authorized|unauthorized|policy|not permitted|insufficient (rights|privilege)|access denied", re.I
)
UNKNOWN = "The plan could not know this."


def explain(error: ApiError, item: Item, planner: Planner) -> Problem:
    """A refusal as a problem of the entry that was worked on."""
    names = {ident: label(ident, planner) for ident in IDENTIFIER.findall(error.message)}
    message = IDENTIFIER.sub(lambda found: names[found[0]] or found[0], error.message)
    told = ApiError(error.status, message, error.request, mend_of(error, item, planner, names))
    return told.problem(item.path, item.label)


def label(ident: str, planner: Planner) -> str:
    """Type, name and identifier of what was read or made; empty for anything else."""
    for kind, own in planner.own.items():
        if any(entry.id == ident for entry in own):
            title = next(entry.title for entry in own if entry.id == ident)
            return f"{kind.replace('_', ' ')} {title} ({ident})"
    for kind, known in planner.state.by_id.items():
        if ident in known:
            name = planner.state.name_of(kind, ident)
            return f"{kind.replace('_', ' ')} {name} ({ident})" if name != ident else ""
    return ""


def mend_of(error: ApiError, item: Item, planner: Planner, names: Iterable[str]) -> str:
    """What to do about a refusal. What somebody who knew more wrote stays."""
    if error.mend not in ("", general_mend(error.status, "")):
        return error.mend
    if error.status == 403 and "quota" not in error.message.lower() and not POLICY.search(error.message):
        return "The service refuses this for the reason that it gives, not for want of a role: mend that and run again."
    if error.status == 400 and not error.mend:
        return f"{UNKNOWN} Change the entry as the service says."
    if error.status != 409:
        return error.mend
    entries = [
        entry for own in planner.own.values() for entry in own if entry.id and entry.id in names and entry is not item
    ]
    if entries:
        paths = ", ".join(sorted(f"{entry.path} ({entry.label})" for entry in entries))
        return (
            f"In the way is what this document holds itself, {paths}: change or remove it first, in a run of its own."
        )
    foreign = [found for found in (label(ident, planner) for ident in names if ident != item.id) if found]
    if foreign:
        return f"In the way is {', '.join(foreign)}, of which the document says nothing: change it, or name it here."
    return (
        f"{UNKNOWN} In the way is something outside of the document, often what still uses this: change "
        f"that and run again."
    )
