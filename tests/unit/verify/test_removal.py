"""A compute node leaves the cloud only empty and stopped, and nothing that remembers it stays."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.cloud import SdkError
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.removal import Removal


class Response:
    def __init__(self, body: Any, status: int = 200) -> None:
        self.status_code, self.text = status, json.dumps(body)

    def json(self) -> Any:
        return json.loads(self.text)


class Cloud:
    """Nova, Neutron and Placement of a cloud with two compute nodes. Each client is the cloud itself with another
    name."""

    def __init__(self) -> None:
        self.services = {
            "uuid-1": {
                "id": "uuid-1",
                "host": "compute1",
                "binary": "nova-compute",
                "status": "enabled",
                "state": "up",
            },
            "uuid-2": {
                "id": "uuid-2",
                "host": "compute2.example.org",
                "binary": "nova-compute",
                "status": "enabled",
                "state": "up",
            },
        }
        self.servers: list[dict[str, str]] = []
        self.agents = {
            "agent-1": {"id": "agent-1", "host": "compute1", "binary": "ovn-controller"},
            "agent-2": {"id": "agent-2", "host": "compute2", "binary": "ovn-controller"},
        }
        self.providers = {
            "p-1": {"uuid": "p-1", "name": "compute1"},
            "p-2": {"uuid": "p-2", "name": "compute2.example.org"},
        }
        self.compute = self.network = self.placement = self
        self.writes: list[str] = []
        self.refusal = 0
        self.takes_provider = True

    def get(self, path: str, microversion: str | None = None) -> Response:
        listing = {
            "/os-services": ("services", self.services),
            "/agents": ("agents", self.agents),
            "/resource_providers": ("resource_providers", self.providers),
        }
        parts = urlsplit(path)
        if parts.path == "/servers/detail":
            assert "all_tenants=1" in parts.query and microversion
            return Response({"servers": [one for one in self.servers if f"host={one['host']}" in parts.query]})
        assert (microversion == "2.53") is (parts.path == "/os-services")
        key, entries = listing[parts.path]
        return Response({key: list(entries.values())})

    def put(self, path: str, json: dict[str, str], microversion: str) -> Response:
        self.writes.append(f"put {path}")
        self.services[path.rsplit("/", 1)[1]] |= json
        return Response({})

    def delete(self, path: str, microversion: str = "") -> Response:
        self.writes.append(f"delete {path}")
        if self.refusal:
            return Response({"message": "in use"}, self.refusal)
        name = path.rsplit("/", 1)[1]
        for entries in (self.services, self.agents, self.providers):
            entries.pop(name, None)
        if "os-services" in path and self.takes_provider:
            self.providers.pop(name.replace("uuid", "p"))
        return Response(None, 204)


def removal(cloud: Cloud, check_mode: bool = False) -> Removal:
    return Removal(cloud, "compute2", check_mode)


def forget(one: Removal, timeout: float = 10) -> list[float]:
    """The pauses that were made."""
    slept: list[float] = []
    one.forget(timeout, slept.append, lambda: sum(slept))
    return slept


def test_empty_host_gets_no_new_servers() -> None:
    cloud = Cloud()
    one = removal(cloud)
    one.drain()
    assert one.changes == ["disable nova-compute on compute2.example.org"]
    assert cloud.services["uuid-2"]["status"] == "disabled" and cloud.services["uuid-1"]["status"] == "enabled"
    again = removal(cloud)
    again.drain()
    assert again.changes == []


def test_host_with_servers_is_refused_by_their_names_and_gets_no_more() -> None:
    cloud = Cloud()
    cloud.servers = [{"id": f"id-{n}", "name": f"web{n}", "host": "compute2.example.org"} for n in range(12)]
    with pytest.raises(
        SdkError,
        match=r"compute2 still has 12 servers: web0 \(id-0\), .* and 2 more.* --enable compute2\.example\.org "
        r"nova-compute",
    ):
        removal(cloud).drain()
    assert cloud.services["uuid-2"]["status"] == "disabled"
    cloud.services["uuid-2"]["state"] = "down"
    with pytest.raises(SdkError, match="still has 12 servers"):
        forget(removal(cloud))
    assert not [line for line in cloud.writes if line.startswith("delete")]


def test_stopped_host_is_forgotten_by_all_three() -> None:
    cloud = Cloud()
    cloud.services["uuid-2"]["state"] = "down"
    one = removal(cloud)
    assert forget(one) == []
    assert one.changes == ["forget nova-compute on compute2.example.org", "forget ovn-controller on compute2"]
    assert (list(cloud.services), list(cloud.agents), list(cloud.providers)) == (["uuid-1"], ["agent-1"], ["p-1"])
    again = removal(cloud)
    forget(again)
    assert again.changes == []


def test_provider_that_was_left_behind_is_removed() -> None:
    cloud = Cloud()
    cloud.services["uuid-2"]["state"], cloud.takes_provider = "down", False
    forget(removal(cloud))
    assert list(cloud.providers) == ["p-1"]


def test_host_that_still_runs_is_waited_for_and_refused() -> None:
    cloud = Cloud()
    one = removal(cloud)
    with pytest.raises(SdkError, match=r"compute2\.example\.org still reports itself after 10 s"):
        forget(one)
    assert cloud.writes == []


def test_check_mode_tells_and_changes_nothing() -> None:
    cloud = Cloud()
    one = removal(cloud, check_mode=True)
    one.drain()
    forget(one)
    assert len(one.changes) == 4
    assert cloud.writes == []


def test_refusal_is_told_and_what_is_gone_already_is_none() -> None:
    cloud = Cloud()
    cloud.services["uuid-2"]["state"], cloud.refusal = "down", 409
    with pytest.raises(SdkError, match=r"cannot forget nova-compute on compute2\.example\.org: HTTP 409: .*in use"):
        forget(removal(cloud))
    cloud.refusal = 404
    forget(removal(cloud))
