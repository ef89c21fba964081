"""Every type: made, exported, and its export changes nothing; the everyday module agrees with the document."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.export import (
    Choice,
    Export,
    Exporter,
    render,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import TYPES
from ansible_collections.stackwright.cloud.tests.reading import read
from ansible_collections.stackwright.cloud.tests.unit.cloud import test_lives as network_and_identity
from ansible_collections.stackwright.cloud.tests.unit.cloud_types import test_lives as others
from ansible_collections.stackwright.cloud.tests.unit.cloud_types.conftest import Desk, desk
from ansible_collections.stackwright.cloud.tests.unit.cloud_types.test_lives import Life

__all__ = ["desk"]
LIVES = [
    *network_and_identity.LIVES,
    *others.LIVES,
    Life(
        "quotas",
        {"project": "p", "cores": 7, "networks": 5, "injected_files": 3},
        {"cores": 9, "injected_file_path_bytes": 99},
        needs={"projects": ["p"]},
    ),
    Life("object_accounts", {"metadata": {"a": "b"}}, {"metadata": {"a": "c"}}),
    Life(
        "role_assignments", {"role": "reader", "user": "u", "project": "p"}, needs={"projects": ["p"], "users": ["u"]}
    ),
]
CATALOGUE = ("regions", "services", "endpoints")


def test_no_type_is_missing_here() -> None:
    assert {life.plural for life in LIVES} == {kind.plural for kind in TYPES if not kind.singleton}


def export(desk: Desk, **choice: Any) -> Export:
    return Exporter(Cloud(desk.login, sleep=lambda _: None), Choice(**choice)).export()


@pytest.mark.parametrize("life", [life for life in LIVES if life.exported], ids=lambda life: life.plural)
@pytest.mark.parametrize("changed", [False, True])
def test_the_export_of_each_type_changes_nothing(desk: Desk, life: Life, changed: bool) -> None:
    desk.run(life.document(), owner="")
    if changed:
        desk.run(life.document(**life.change), owner="")
    system = life.plural in CATALOGUE
    found = export(desk, system=system)
    assert life.plural in found.document
    text = render(found)
    again = desk.run(read(text)["cloud_state_document"], owner="")
    assert (again["changed"], again["changes"]) == (False, [])
    assert not desk.cloud.writes()
    assert render(export(desk, system=system)) == text
    assert found.by_id == []
