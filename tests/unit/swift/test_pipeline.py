"""The pipeline of the object store's proxies is checked and spelled with its sections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.stackwright.cloud.plugins.filter import swift_affinity, swift_pipeline
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import kinds
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import pipeline

DEFAULTS = yaml.safe_load((Path(__file__).resolve().parents[3] / "roles/swift/defaults/main.yml").read_text())
USUAL: list[str] = DEFAULTS["swift_pipeline"]


def without(*names: str) -> list[str]:
    return [one for one in USUAL if one not in names]


def spelled(given: Any) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = swift_pipeline.FilterModule().filters()["swift_pipeline"](given)
    return found


def test_the_usual_pipeline_is_right_and_spelled_in_one_line() -> None:
    assert pipeline.fault(USUAL) is None
    assert spelled(USUAL)["pipeline:main"]["pipeline"].split() == USUAL
    # everything that there is may stand there at once, but for the other two keymasters
    assert pipeline.fault([one for one in pipeline.ORDER if one not in pipeline.KEYMASTERS[1:]]) is None


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ("proxy-server", "is no list"),
        ([*USUAL, "sol"], "'sol' is no middleware"),
        (without("authtoken"), "'authtoken' is missing"),
        (without("s3token"), "'s3api' is there without 's3token'"),
        (without("copy"), "'versioned_writes' is there without 'copy'"),
        (without("keymaster"), "encryption goes with exactly one"),
        (without("encryption"), "encryption goes with exactly one"),
        ([USUAL[1], USUAL[0], *USUAL[2:]], "'catch_errors' stands behind 'gatekeeper'"),
        (
            [*without("tempurl")[:-2], "tempurl", "proxy-logging", "proxy-server"],
            "'tempurl' stands behind 'encryption'",
        ),
        ([*USUAL[:2], "gatekeeper", *USUAL[2:]], "'gatekeeper' stands there too often"),
    ],
)
def test_a_wrong_pipeline_is_told(given: Any, cause: str) -> None:
    fault = kinds.KINDS["middleware"].test
    assert fault is not None
    found = fault({})(given)
    assert found is not None and cause in found[0] and found[1]
    with pytest.raises(AnsibleFilterError, match="swift_pipeline: "):
        spelled(given)


def test_each_middleware_has_a_section_with_the_name_of_its_program() -> None:
    found = spelled(USUAL)
    assert found["filter:container-quotas"] == {"use": "egg:swift#container_quotas"}
    assert found["filter:cache"] == {"use": "egg:swift#memcache"}
    # what it encrypts with stands in a file of its own
    assert found["filter:keymaster"]["keymaster_config_path"] == "/etc/swift/keymaster.conf"
    # these are no programs of the object store, or no filters
    assert not {"filter:authtoken", "filter:proxy-server"} & set(found)


def test_policies_say_where_they_are_read_and_written_first() -> None:
    policies = [{"index": 0, "name": "gold", "read_affinity": "r1=100", "write_affinity": "r1"}, {"index": 1}]
    assert swift_affinity.FilterModule().filters()["swift_affinity"](policies) == {
        "proxy-server:policy:0": {"read_affinity": "r1=100", "write_affinity": "r1", "sorting_method": "affinity"}
    }
    with pytest.raises(AnsibleFilterError, match="swift_affinity"):
        swift_affinity.FilterModule().filters()["swift_affinity"]([5])
