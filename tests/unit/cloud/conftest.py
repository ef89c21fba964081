"""A simulated cloud that nobody has used yet, and the two ways to apply a document to it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.converge import Options, converge
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import CloudError
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator


@dataclass
class Desk:
    """A simulated cloud with a login and a ledger. Pauses are noted and not made."""

    cloud: CloudSimulator
    options: Options
    login: Login
    pauses: list[float]

    def apply(self, document: Any, **options: Any) -> tuple[dict[str, Any], CloudError | None]:
        """Apply a document; the result and the failure, if any."""
        self.cloud.forget_calls()
        return converge(
            self.login,
            copy.deepcopy(document),
            replace(self.options, **options),
            lambda login: Cloud(login, sleep=self.pauses.append),
        )

    def run(self, document: Any, **options: Any) -> dict[str, Any]:
        """Apply a document that must succeed."""
        result, failure = self.apply(document, **options)
        assert failure is None, failure
        return result

    def refuse(self, document: Any, **options: Any) -> list[dict[str, str]]:
        """Apply a document that must fail; its errors."""
        result, failure = self.apply(document, **options)
        assert failure is not None, result["changes"]
        errors: list[dict[str, str]] = result["errors"]
        return errors

    def one(self, kind: str, **wanted: Any) -> dict[str, Any]:
        """The only object of a type that fits."""
        (found,) = self.cloud.find(kind, **wanted)
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk with a document's owner."""
    with CloudSimulator() as cloud:
        login = Login(auth=cloud.login["auth"], auth_type="password", region_name=cloud.region)
        yield Desk(cloud, Options(owner="shop", ledger=str(tmp_path / "ledger"), timeout=5), login, [])
