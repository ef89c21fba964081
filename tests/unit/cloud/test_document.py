"""Everything that is wrong with a document is told at once, before the cloud is asked."""

from __future__ import annotations

import math
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.document import parse, secrets_of
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import CloudError


@pytest.mark.parametrize(
    ("document", "path", "told"),
    [
        (["projects"], "document", "The document is not a mapping of resource types to lists."),
        ({"projetcs": []}, "projetcs", "Unknown resource type 'projetcs'. Did you mean 'projects'?"),
        ({"projects": {"name": "a"}}, "projects", "A list is wanted, this is a mapping."),
        ({"projects": [7]}, "projects[0]", "A mapping is wanted, this is a number."),
        (
            {"projects": [{"name": "a", "state": "gone"}]},
            "projects[0].state",
            "The state is present or absent, not 'gone'.",
        ),
        ({"projects": [{}]}, "projects[0]", "The key 'name' is missing."),
        (
            {"projects": [{"name": "a", "enabld": True}]},
            "projects[0].enabld",
            "Unknown key 'enabld'. Did you mean 'enabled'?",
        ),
        (
            {"projects": [{"name": "a", "enabled": "maybe"}]},
            "projects[0].enabled",
            "True or false is wanted, not 'maybe'.",
        ),
        (
            {"projects": [{"name": True}]},
            "projects[0].name",
            "Text is wanted, this is the boolean True: put it in quotes.",
        ),
        ({"projects": [{"name": ["a"]}]}, "projects[0].name", "One value of type str is wanted, this is a list."),
        ({"projects": ["a", "a"]}, "projects[1]", "The same resource as projects[0]. Remove one of the two."),
        ({"flavors": [{"name": "f", "vcpus": "two", "ram": 1}]}, "flavors[0].vcpus", "A number is wanted, not 'two'."),
        # what would be cut off, or is no number at all
        ({"flavors": [{"name": "f", "vcpus": 1.5, "ram": 1}]}, "flavors[0].vcpus", "A number is wanted, not '1.5'."),
        (
            {"flavors": [{"name": "f", "vcpus": math.inf, "ram": 1}]},
            "flavors[0].vcpus",
            "A number is wanted, not 'inf'.",
        ),
        ({"flavors": [{"name": "f", "vcpus": True, "ram": 1}]}, "flavors[0].vcpus", "A number is wanted, not 'True'."),
        (
            {"subnets": [{"name": "s", "network": "n", "cidr": "10.0.0.0/24", "allocation_pools": ["10.0.0.5"]}]},
            "subnets[0].allocation_pools",
            "Its elements are mappings with the keys start, end.",
        ),
        (
            {
                "subnets": [
                    {"name": "s", "network": "n", "cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.5"}]}
                ]
            },
            "subnets[0].allocation_pools[0]",
            "The key 'end' is missing.",
        ),
        (
            {"subnets": [{"name": "s", "network": "n", "cidr": "10.0.0.0/24", "dns_nameservers": [{"a": 1}]}]},
            "subnets[0].dns_nameservers",
            "Its elements are plain values.",
        ),
        (
            {"subnets": [{"name": "s", "network": "n", "cidr": "10.0.0.0/24", "dns_nameservers": 1.5}]},
            "subnets[0].dns_nameservers",
            "A list is wanted, this is float.",
        ),
        (
            {"servers": [{"name": "s", "flavor": "f", "image": "i", "metadata": "x"}]},
            "servers[0].metadata",
            "A mapping is wanted, this is text.",
        ),
        (
            {"quotas": [{"project": "p", "state": "absent"}]},
            "quotas[0].state",
            "A quota cannot be removed. Set its keys instead.",
        ),
    ],
)
def test_fault_is_told_with_its_place(document: Any, path: str, told: str) -> None:
    with pytest.raises(CloudError) as error:
        parse(document)
    assert any(
        problem.where == path and told in f"{problem.cause} {problem.mend}" for problem in error.value.problems
    ), error.value


def test_all_faults_are_told_together() -> None:
    with pytest.raises(CloudError) as error:
        parse({"users": [{"name": "a", "enabled": "x"}, 5], "projcts": []})
    assert [problem.where for problem in error.value.problems] == ["users[0].enabled", "users[1]", "projcts"]


def test_short_forms_and_empty_values_are_understood() -> None:
    items = parse({"projects": ["a", {"name": "b", "description": None, "enabled": "no"}], "users": None})
    assert [item.values for item in items] == [{"name": "a"}, {"name": "b", "enabled": False}]
    (item,) = parse({"flavors": [{"name": "f", "vcpus": "2", "ram": 512.0}]})
    assert (item.values["vcpus"], item.values["ram"]) == (2, 512)
    # what is to go needs no more than its identity
    (gone,) = parse({"flavors": [{"id": "7"}]}, absent=True)
    assert gone.absent and gone.wanted_id == "7"


def test_secrets_are_found_in_documents_that_are_not_sound() -> None:
    document = {
        "users": [
            {"name": "eve", "password": "one", "update_password": "always"},
            "bob",
            {"password": {"deep": ["two", None]}},
        ],
        "no_such_type": [{"my_secret": "three"}],
        "projects": "x",
    }
    assert secrets_of(document) == {"one", "two", "three"}
    assert secrets_of(["users"]) == set()
