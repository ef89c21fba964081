"""How the authority, or the keys of all certificates, are replaced: steps, of which each leaves the cloud with
certificates that all its hosts accept."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping

from ansible_collections.stackwright.cloud.plugins.module_utils.pki import authority
from ansible_collections.stackwright.cloud.plugins.module_utils.pki.authority import Authorities

Step = Callable[[Authorities, datetime.datetime], Authorities]


def _join(known: Authorities, now: datetime.datetime) -> Authorities:
    return known if len(known.trusted) > 1 else authority.joined(known, now)


def _switch(known: Authorities, now: datetime.datetime) -> Authorities:
    return known if known.issues == len(known.trusted) - 1 else authority.switched(known, now)


def _retire(known: Authorities, now: datetime.datetime) -> Authorities:
    if known.issues != len(known.trusted) - 1:
        raise authority.AuthorityError("the newest authority issues nothing yet, so the former cannot be retired")
    return authority.retired(known)


STEPS: Mapping[str, tuple[Step, str]] = {
    "keys": (authority.renewed, "all certificates are issued anew, with other keys"),
    "join": (_join, "a second authority is trusted, and issues nothing yet"),
    "switch": (_switch, "the second authority issues; the former is trusted still"),
    "retire": (_retire, "the former authority is not trusted any more"),
}
"""What each step does, and what is so after it. Those of an authority's replacement find out whether they are done."""


def step(text: str, name: str, now: datetime.datetime) -> str:
    """The secret after a step.

    :raises AuthorityError: the secret is none, or the step cannot be done.
    """
    known = authority.read(text)
    after = STEPS[name][0](known, now)
    return text if after == known else authority.text_of(after)
