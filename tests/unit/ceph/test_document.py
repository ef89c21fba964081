"""Documents of clusters, judged by themselves."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import document
from cluster import KEY


def faults(**data: Any) -> list[str]:
    with pytest.raises(document.DocumentError) as caught:
        document.read(data)
    return [str(one) for one in caught.value.problems]


def test_an_empty_document_asks_for_nothing() -> None:
    assert document.read({}) == document.Document()


def test_a_whole_document_is_read() -> None:
    found = document.read(
        {
            "settings": {"osd": {"osd_memory_target": "1G"}},
            "flags": {"noout": True},
            "erasure_profiles": {"two": {"k": 2, "m": 1}},
            "rules": {"fast": {"device_class": "ssd"}},
            "pools": {"images": {"size": "3", "application": "rbd"}, "archive": {"type": "erasure", "profile": "two"}},
            "users": {"client.images": {"caps": {"mon": "profile  rbd"}}},
            "locations": {"ceph1": {"root": "default", "rack": "r1"}},
        },
        {"client.images": KEY},
    )
    assert found.pools[0] == document.Pool("images", size=3, application="rbd")
    assert found.rules == (document.Rule("fast", device_class="ssd"),)
    assert found.users == (document.User("client.images", {"mon": "profile rbd"}, KEY),)
    assert KEY not in repr(found)


def test_unknown_keys_and_values_of_another_kind_are_told_at_once() -> None:
    assert faults(
        pool={},
        pools={"images": {"sise": 3}, "disks": 3, "more": {"size": "many", "bulk": "yes"}, "of all": {}},
        rules=["fast"],
        users={"client.images": {"caps": "all", "key": KEY}},
        flags=["noout"],
    ) == [
        "document: unknown key 'pool'. Did you mean 'pools'?",
        "flags: must be a mapping, not ['noout'].",
        "rules: must map names to what they are, not ['fast'].",
        "pools.images: unknown key 'sise'. Did you mean 'size'?",
        "pools.disks: must be a mapping, not 3.",
        "pools.more.size: 'many' is not a whole number.",
        "pools.more.bulk: 'yes' is not true or false.",
        "pools.of all: is no name of letters, digits, dots, hyphens and underscores.",
        "users.client.images.caps: 'all' is not a mapping.",
        "users.client.images: unknown key 'key'. Known: caps, state.",
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"settings": {"osd": 3}}, ["settings.osd: must map options to values, not 3."]),
        ({"locations": {"ceph1": "rack1"}}, ["locations.ceph1: must map kinds of places"]),
        ({"flags": {"noot": True}}, ["flags (noot): is no flag. Did you mean 'noout'?"]),
        ({"flags": {"noout": "yes"}}, ["flags.noout: 'yes' is not true or false."]),
        ({"erasure_profiles": {"p": {"k": 1, "m": 1}}}, ["erasure_profiles.p: needs k"]),
        ({"erasure_profiles": {"p": {"k": 2}}}, ["erasure_profiles.p: needs k"]),
        ({"pools": {"p": {"type": "raid"}}}, ["type 'raid' is neither replicated nor erasure."]),
        ({"pools": {"p": {"type": "erasure", "profile": "x", "size": 3}}}, ["has the size k + m of its profile"]),
        ({"pools": {"p": {"type": "erasure"}}}, ["needs a profile"]),
        ({"pools": {"p": {"size": 1}}}, ["size 1 is none from 2 to 10. One copy is lost with its disk."]),
        ({"pools": {"p": {"size": 2, "min_size": 3}}}, ["min_size 3 is above size 2"]),
        ({"pools": {"p": {"pg_num": 12}}}, ["pg_num 12 is no power of two"]),
        ({"pools": {"p": {"autoscale": "yes"}}}, ["autoscale 'yes' is none of on, off, warn. Quote on and off."]),
        ({"pools": {"p": {"compression": "gzip"}}}, ["compression 'gzip' is none of"]),
        ({"users": {"images": {"caps": {"mon": "allow r"}}}}, ["is no name such as client.images"]),
        ({"users": {"client.x": {"caps": {}}}}, ["has no capabilities"]),
        ({"users": {"client.x": {"caps": {"mom": "allow r"}}}}, ["capabilities for 'mom'. Did you mean 'mon'?"]),
        ({"users": {"client.x": {"state": "gone"}}}, ["state 'gone' is neither", "has no capabilities"][:1]),
    ],
)
def test_what_no_cluster_can_hold_is_refused(data: dict[str, Any], expected: list[str]) -> None:
    found = faults(**data)
    assert len(found) >= len(expected)
    assert all(part in said for part, said in zip(expected, found, strict=False))


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(document.DocumentError) as caught:
        document.read({"users": {"client.x": {"caps": {"mon": "allow r"}}}}, {"client.x": "swordfish"})
    assert "swordfish" not in str(caught.value)
    assert "its key is none of cephx" in str(caught.value)
