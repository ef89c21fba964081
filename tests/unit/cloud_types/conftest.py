"""A simulated cloud in which nothing waits, and the two ways to apply a document to it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.converge import Options, converge
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDummyDummyDummyDummyDummyDummyDummyDummy0AA"
LAN, WAN = (f"00000000-000{number}-4000-8000-000000000000" for number in (0, 1))


@dataclass
class Desk:
    """A simulated cloud with a login and a ledger."""

    cloud: CloudSimulator
    options: Options
    login: Login

    def apply(self, document: Any, **options: Any) -> tuple[dict[str, Any], Any]:
        """Apply a document; the result and the failure, if any."""
        self.cloud.forget_calls()
        return converge(
            self.login,
            copy.deepcopy(document),
            replace(self.options, **options),
            lambda login: Cloud(login, sleep=lambda _: None),
        )

    def run(self, document: Any, **options: Any) -> dict[str, Any]:
        """Apply a document that must succeed."""
        result, failure = self.apply(document, **options)
        assert failure is None, failure
        return result

    def refuse(self, document: Any, **options: Any) -> dict[str, str]:
        """Apply a document that must fail; the first error."""
        result, failure = self.apply(document, **options)
        assert failure is not None, result["changes"]
        return result["errors"][0]

    def one(self, kind: str, **wanted: Any) -> dict[str, Any]:
        """The only object of a type that fits."""
        (found,) = self.cloud.find(kind, **wanted)
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A simulated cloud with a flavor, an image and a network, and a document's owner."""
    with CloudSimulator() as cloud:
        cloud.put("flavor", id="small", name="small", ram=512, vcpus=1, disk=1, _access=set())
        cloud.put("flavor", id="big", name="big", ram=1024, vcpus=2, disk=1, _access=set())
        for number, name in enumerate(("debian", "alpine")):
            cloud.put("image", name=name, id=f"0000000{number}-0002-4000-8000-000000000000", status="active",
                      owner=cloud.admin_project, visibility="public", disk_format="raw", container_format="bare",
                      size=4, os_hash_algo="sha512", os_hash_value="0" * 128)  # fmt: skip
        for name, ident, block in (("lan", LAN, "10.0.0"), ("wan", WAN, "10.1.0")):
            cloud.put("network", name=name, id=ident, project_id=cloud.admin_project)
            cloud.put("subnet", network_id=ident, cidr=f"{block}.0/24", ip_version=4, gateway_ip=f"{block}.1",
                      project_id=cloud.admin_project,
                      allocation_pools=[{"start": f"{block}.10", "end": f"{block}.99"}])  # fmt: skip
        login = Login(auth=cloud.login["auth"], auth_type="password", region_name=cloud.region)
        yield Desk(cloud, Options(owner="shop", ledger=str(tmp_path / "ledger"), timeout=5), login)
