"""A compute node is taken out of a cloud: no new servers, none left on it, and then nothing that remembers it.

Nova's, Neutron's and Placement's APIs are asked for what they hold of the host; its own services are stopped by others,
between the two phases. Every step may be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.agents import MICROVERSIONS, short
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.cloud import SdkError

REASON = "is being removed"
VERSION = MICROVERSIONS["compute"]


@dataclass
class Known:
    """What the cloud holds of a host: entries as the APIs list them."""

    services: list[dict[str, Any]] = field(default_factory=list)
    servers: list[dict[str, Any]] = field(default_factory=list)
    agents: list[dict[str, Any]] = field(default_factory=list)
    providers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The names under which it is known."""
        return sorted({str(one["host"]) for one in self.services})


class Removal:
    """Asks and changes through an openstacksdk connection."""

    def __init__(self, cloud: Any, host: str, check_mode: bool) -> None:
        self.cloud, self.host, self.check_mode = cloud, host, check_mode
        self.changes: list[str] = []

    def look(self) -> Known:
        """What the cloud holds of the host now."""
        listed = self._list(self.cloud.compute, "/os-services?binary=nova-compute", "services", VERSION)
        known = Known(services=[one for one in listed if short(one["host"]) == short(self.host)])
        for name in known.names:
            path = f"/servers/detail?all_tenants=1&host={quote(name)}"
            known.servers += self._list(self.cloud.compute, path, "servers", VERSION)
        listed = self._list(self.cloud.network, "/agents", "agents")
        known.agents = [one for one in listed if short(str(one.get("host"))) == short(self.host)]
        listed = self._list(self.cloud.placement, "/resource_providers", "resource_providers")
        known.providers = [one for one in listed if short(one["name"]) == short(self.host)]
        return known

    def drain(self) -> None:
        """Take the host out of scheduling, and refuse to go on while it has servers.

        :raises SdkError: servers are on it.
        """
        known = self.look()
        for service in known.services:
            if service["status"] != "disabled":
                self._write(
                    f"disable nova-compute on {service['host']}",
                    "put",
                    f"/os-services/{service['id']}",
                    {"status": "disabled", "disabled_reason": REASON},
                )
        if known.servers:
            listed = ", ".join(f"{one['name']} ({one['id']})" for one in known.servers[:10])
            more = f" and {len(known.servers) - 10} more" if len(known.servers) > 10 else ""
            raise SdkError(
                f"{self.host} still has {len(known.servers)} servers: {listed}{more}. It gets no new "
                f"ones now. Move them with openstack "
                "server migrate, or delete them, then run this again. To keep the host: openstack "
                "compute service set --enable "
                f"{known.names[0]} nova-compute"
            )

    def forget(
        self, timeout: float, sleep: Callable[[float], None] = time.sleep, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Remove what the cloud holds of the host, once its services are down.

        :param timeout: seconds in which Nova has to notice that nova-compute has stopped.
        :raises SdkError: it still runs, or has servers.
        """
        deadline = now() + timeout
        while True:
            known = self.look()
            up = [one["host"] for one in known.services if one["state"] == "up"]
            if not up or self.check_mode:
                break
            if now() > deadline:
                raise SdkError(
                    f"nova-compute on {up[0]} still reports itself after {timeout:.0f} s. Stop it there "
                    f"first: it would register anew."
                )
            sleep(2)
        if known.servers:
            self.drain()
        for service in known.services:
            self._write(f"forget nova-compute on {service['host']}", "delete", f"/os-services/{service['id']}")
        for agent in known.agents:
            self._write(
                f"forget {agent['binary']} on {agent['host']}",
                "delete",
                f"/agents/{agent['id']}",
                of=self.cloud.network,
            )
        # Nova removes it along with its service, unless that had been gone before.
        left = self.look().providers if known.services and not self.check_mode else known.providers
        for provider in left:
            path = f"/resource_providers/{provider['uuid']}"
            self._write(f"forget the resource provider {provider['name']}", "delete", path, of=self.cloud.placement)

    def _list(self, api: Any, path: str, key: str, version: str | None = None) -> list[dict[str, Any]]:
        answer = api.get(path, microversion=version) if version else api.get(path)
        if answer.status_code != 200:
            raise SdkError(f"cannot list {key}: HTTP {answer.status_code}: {' '.join(answer.text.split())[:200]}")
        return list(answer.json()[key])

    def _write(self, line: str, verb: str, path: str, body: dict[str, Any] | None = None, of: Any = None) -> None:
        self.changes.append(line)
        if self.check_mode:
            return
        api = of or self.cloud.compute
        options: dict[str, Any] = {} if body is None else {"json": body}
        if api is self.cloud.compute:
            options["microversion"] = VERSION
        answer = getattr(api, verb)(path, **options)
        # what somebody else removed meanwhile is gone as well
        if answer.status_code >= 400 and not (verb == "delete" and answer.status_code == 404):
            raise SdkError(f"cannot {line}: HTTP {answer.status_code}: {' '.join(answer.text.split())[:300]}")
