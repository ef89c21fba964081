"""A cluster whose daemons just started is ready some seconds later."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.session import CephError, Command, Session

LOOK_AGAIN_SECONDS = 1.0


def wait(
    session: Session,
    seconds: float,
    osds: Collection[int] = (),
    manager: bool = False,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until OSDs are up, and then, where it is asked for, until a manager leads and says which modules it has.

    :param seconds: for each of the two.
    :raises CephError: something is lacking still.
    """

    def missing_osds() -> str:
        up = {int(one["osd"]) for one in session.ask(Command("osd dump"))["osds"] if one.get("up")}
        missing = [f"osd.{one}" for one in sorted(set(osds) - up)]
        if not missing:
            return ""
        return f"{', '.join(missing)} did not come up within {seconds:g} s: see journalctl -u ceph-osd@N on their hosts"

    def missing_manager() -> str:
        seen: dict[str, Any] = session.ask(Command("mgr dump"))
        if seen.get("available") and seen.get("available_modules"):
            return ""
        return f"no manager led within {seconds:g} s: see journalctl -u ceph-mgr@HOST on their hosts"

    for missing in ([missing_osds] if osds else []) + ([missing_manager] if manager else []):
        end = now() + seconds
        while lacking := missing():
            if now() > end:
                raise CephError(lacking)
            sleep(LOOK_AGAIN_SECONDS)
