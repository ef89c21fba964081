"""From a document and a cluster's answers to commands."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import document, plan
from ansible_collections.stackwright.cloud.plugins.module_utils.common import cephx
from cluster import KEY, SAID, said


def planned(
    answers: dict[str, Any] | None = None, keys: dict[str, str] | None = None, **data: Any
) -> list[plan.Action]:
    return plan.plan(document.read(data, keys), plan.State(answers or said()))


def told(actions: list[plan.Action]) -> list[str]:
    return [f"{one.about}: {one.before} -> {one.after}" for one in actions]


def faults(answers: dict[str, Any] | None = None, **data: Any) -> list[str]:
    with pytest.raises(document.DocumentError) as caught:
        planned(answers, **data)
    return [str(one) for one in caught.value.problems]


def commands(actions: list[plan.Action]) -> list[list[str]]:
    return [[str(command) for command in wave] for wave in plan.waves(actions)]


def test_only_what_the_document_is_about_is_asked_in_one_trip() -> None:
    assert [one.prefix for one in plan.questions(document.read({"flags": {"noout": True}}))] == ["osd dump"]
    assert plan.questions(document.read({})) == []


@pytest.mark.parametrize(
    ("pools", "expected"),
    [
        ([], ["pool .mgr:  -> replicated", "pool .mgr: application:  -> mgr"]),
        ([{"pool_name": ".mgr", "application_metadata": {}}], ["pool .mgr: application:  -> mgr"]),
        ([{"pool_name": ".mgr", "application_metadata": {"mgr": {}}}], []),
    ],
)
def test_the_managers_pool_is_finished_when_a_manager_was_ended_while_it_made_it(
    pools: list[dict[str, Any]], expected: list[str]
) -> None:
    answers = said(osd_dump={**SAID["osd dump"], "pools": pools})
    assert told(planned(answers, modules={"iostat": True})) == expected
    assert planned(answers, flags={"noout": True}) == []


def test_a_cluster_that_is_as_described_is_left_alone() -> None:
    assert (
        planned(
            settings={"osd": {"osd_memory_target": "1G"}, "osd/host:ceph1": {"osd-max-backfills": 2.0}},
            flags={"noout": True, "noscrub": False},
            modules={"iostat": True, "prometheus": False, "balancer": True, "influx": False},
            pools={
                "images": {
                    "size": 3,
                    "min_size": 2,
                    "pg_num": 8,
                    "autoscale": "off",
                    "rule": "replicated_rule",
                    "application": "rbd",
                    "compression": "aggressive",
                    "quota_objects": 0,
                    "bulk": False,
                }
            },
            users={"client.images": {"caps": {"mon": "profile rbd"}}, "client.gone": {"state": "absent"}},
            keys={"client.images": KEY},
            locations={"ceph1": {"root": "default"}, "ceph9": {"root": "default"}},
        )
        == []
    )


def test_settings_are_set_changed_and_removed() -> None:
    actions = planned(
        settings={"osd": {"osd_memory_target": "2G", "debug_ms": 0}, "osd/host:ceph1": {"osd_max_backfills": None}}
    )
    assert told(actions) == [
        "setting osd osd_memory_target: 1073741824 -> 2147483648",
        "setting osd debug_ms:  -> 0",
        "setting osd/host:ceph1 osd_max_backfills: 2 -> ",
    ]
    assert commands(actions) == [
        [
            "ceph config set osd osd_memory_target 2147483648",
            "ceph config set osd debug_ms 0",
            "ceph config rm osd/host:ceph1 osd_max_backfills",
        ]
    ]


def test_an_option_that_no_daemon_knows_is_refused_with_the_nearest() -> None:
    assert faults(settings={"osd": {"osd_memory_traget": 1, "mgr/dashboard/ssl": False}}) == [
        "settings.osd (osd_memory_traget): the cluster's daemons know no such option. Did you mean 'osd_memory_target'?"
    ]


def test_flags_modules_and_mutes() -> None:
    actions = planned(
        flags={"noout": False, "noscrub": True}, modules={"restful": False, "prometheus": True}, muted=["MON_DISK_LOW"]
    )
    assert commands(actions) == [
        [
            "ceph osd unset noout",
            "ceph osd set noscrub",
            "ceph mgr module disable restful",
            "ceph mgr module enable prometheus",
            "ceph health mute MON_DISK_LOW True",
        ]
    ]
    paused = said()
    paused["osd dump"]["flags_set"] += ["pauserd", "pausewr"]
    assert commands(planned(paused, flags={"pause": False})) == [["ceph osd unset pause"]]


def test_modules_that_are_not_there_or_always_on() -> None:
    assert faults(modules={"promethius": True, "balancer": False}) == [
        "modules (promethius): the managers have no such module. Did you mean 'prometheus'?",
        "modules (balancer): this module is always on.",
    ]


def test_a_pool_is_made_in_two_waves_behind_its_rule() -> None:
    actions = planned(
        erasure_profiles={"two_and_one": {"k": 2, "m": 1}},
        rules={
            "wide": {"failure_domain": "osd", "device_class": "hdd"},
            "pieces": {"type": "erasure", "profile": "two_and_one"},
        },
        pools={
            "volumes": {
                "size": 3,
                "pg_num": 8,
                "autoscale": "off",
                "rule": "wide",
                "application": "rbd",
                "min_size": 2,
            },
            "archive": {
                "type": "erasure",
                "profile": "two_and_one",
                "rule": "pieces",
                "overwrites": True,
                "quota_bytes": 1000,
            },
        },
    )
    assert commands(actions) == [
        ["ceph osd erasure-code-profile set two_and_one k=2 m=1"],
        [
            "ceph osd crush rule create-replicated wide default osd hdd",
            "ceph osd crush rule create-erasure pieces two_and_one",
        ],
        [
            "ceph osd pool create volumes replicated 8 off 3 wide",
            "ceph osd pool create archive erasure two_and_one pieces",
        ],
        [
            "ceph osd pool set volumes min_size 2",
            "ceph osd pool application enable volumes rbd",
            "ceph osd pool set archive allow_ec_overwrites true",
            "ceph osd pool set-quota archive max_bytes 1000",
        ],
    ]


def test_a_pool_is_changed_its_size_first() -> None:
    actions = planned(
        pools={
            "images": {"size": 2, "min_size": 1, "compression": "none", "target_size_ratio": 0.2, "application": "rgw"}
        }
    )
    assert [[str(one) for one in wave] for wave in plan.waves(actions)] == [
        ["ceph osd pool set images size 2"],
        [
            "ceph osd pool set images min_size 1",
            "ceph osd pool set images compression_mode none",
            "ceph osd pool set images target_size_ratio 0.2",
            "ceph osd pool application enable images rgw",
        ],
    ]


def test_the_autoscaler_keeps_the_number_that_it_chose() -> None:
    assert planned(pools={"images": {"pg_num": 64, "autoscale": "on"}})[0].about == "pool images: autoscale"
    assert len(planned(pools={"images": {"pg_num": 64, "autoscale": "on"}})) == 1


def test_a_hundred_pools_and_users_take_no_more_waves_than_one() -> None:
    many = {f"pool{number}": {"application": "rbd", "pg_num": 1, "size": 2} for number in range(100)}
    users = {f"client.c{number}": {"caps": {"mon": "profile rbd"}} for number in range(100)}
    actions = planned(pools=many, users=users)
    assert [len(wave) for wave in plan.waves(actions)] == [1, 100, 100]
    assert len(plan.questions(document.read({"pools": many}))) == 3


def test_what_cannot_be_changed_is_refused() -> None:
    assert faults(
        erasure_profiles={"default": {"k": 4, "m": 2}},
        rules={"replicated_rule": {"failure_domain": "rack"}, "pieces": {"type": "erasure", "profile": "none"}},
        pools={
            "images": {"type": "erasure", "profile": "default"},
            "more": {"rule": "fsat"},
            "much": {"type": "erasure", "profile": "three"},
        },
    ) == [
        "erasure_profiles (default): the cluster has it with k 2: data written so could not be read otherwise. "
        "Give the other profile another name.",
        "(rule replicated_rule): the cluster has it as host below default, not rack below default; a rule cannot be "
        "changed. Give the other rule another name, and the pools that.",
        "(rule pieces): there is no erasure profile 'none'.",
        "(pool 'images'): the cluster has it as replicated, which cannot be changed. "
        "Make a pool of another name and move the data.",
        "(pool 'more'): there is no rule 'fsat'. Known: pieces, replicated_rule.",
        "(pool 'much'): there is no erasure profile 'three'.",
        "(pool 'images'): its 6 pieces (k + m) need as many places of the kind host below default; 3 have OSDs. "
        "Add hosts or OSDs, or ask for fewer; a smaller failure domain keeps several on one host.",
    ]


@pytest.mark.parametrize(
    "data",
    [
        {"pools": {"p": {"size": 4}}},
        {"pools": {"p": {"size": 2, "rule": "racks"}}, "rules": {"racks": {"failure_domain": "rack"}}},
        {"pools": {"p": {"size": 2, "rule": "fast"}}, "rules": {"fast": {"device_class": "ssd"}}},
        {"pools": {"p": {"size": 2, "rule": "far"}}, "rules": {"far": {"root": "elsewhere"}}},
        {"pools": {"p": {"type": "erasure", "profile": "q"}}, "erasure_profiles": {"q": {"k": 3, "m": 1}}},
        {
            "pools": {"p": {"type": "erasure", "profile": "q"}},
            "erasure_profiles": {"q": {"k": 2, "m": 1, "crush_failure_domain": "rack"}},
        },
    ],
)
def test_more_copies_than_places_are_refused(data: dict[str, Any]) -> None:
    (fault,) = faults(**data)
    assert "need as many places" in fault


def test_places_are_counted_as_the_hosts_will_stand() -> None:
    racks = {f"ceph{number}": {"root": "default", "rack": f"r{number}"} for number in (1, 2, 3)}
    actions = planned(
        locations=racks, rules={"racks": {"failure_domain": "rack"}}, pools={"p": {"size": 3, "rule": "racks"}}
    )
    assert commands(actions)[0] == [
        f"ceph osd crush move ceph{number} rack=r{number} root=default" for number in (1, 2, 3)
    ]
    racks["ceph3"]["rack"] = "r1"
    (fault,) = faults(
        locations=racks, rules={"racks": {"failure_domain": "rack"}}, pools={"p": {"size": 3, "rule": "racks"}}
    )
    assert "rack below default; 2 have OSDs" in fault
    assert faults(locations={"ceph1": {"shelf": "s1"}}) == [
        "locations.ceph1: there is no kind of place 'shelf'. Known: host, osd, rack, root."
    ]


def test_placement_groups_beyond_the_limit_are_refused() -> None:
    assert "265 each, and 250 are the limit" in faults(pools={"p": {"pg_num": 256, "size": 3}})[0]
    assert planned(pools={"p": {"pg_num": 256, "size": 3}}, settings={"global": {"mon_max_pg_per_osd": 300}})
    lower = said(config_dump=[{"section": "global", "name": "mon_max_pg_per_osd", "value": "10", "mask": ""}])
    assert "10 are the limit" in faults(lower, pools={"p": {"pg_num": 8, "size": 3}})[0]


def test_users_share_one_command_and_no_key_is_shown() -> None:
    other = cephx.new_key()
    actions = planned(
        users={
            "client.images": {"caps": {"mon": "profile rbd", "osd": "profile rbd pool=images"}},
            "client.new": {"caps": {"mon": "allow r"}},
            "client.rotated": {"caps": {"mon": "allow r"}},
            "client.old": {"state": "absent"},
        },
        keys={"client.rotated": other},
        answers=said(
            auth_ls={
                "auth_dump": [
                    {"entity": "client.images", "key": KEY, "caps": {"mon": "profile rbd"}},
                    {"entity": "client.rotated", "key": KEY, "caps": {"mon": "allow r"}},
                    {"entity": "client.old", "key": KEY, "caps": {"mon": "allow r"}},
                ]
            }
        ),
    )
    (wave,) = plan.waves(actions)
    assert [one.prefix for one in wave] == ["auth rm", "auth import"]
    text = wave[1].data.decode()
    assert f'[client.images]\n  key = {KEY}\n  caps mon = "profile rbd"\n' in text
    assert f"[client.rotated]\n  key = {other}\n" in text
    assert "[client.new]\n  key = AQ" in text
    assert not any(key in line for line in told(actions) for key in (KEY, other))
    assert "user client.rotated: mon allow r; the former key -> mon allow r; another key" in told(actions)
