"""Any document of compute, storage, image, stack and name resources against any starting state."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_NAME, BY_PLURAL
from ansible_collections.stackwright.cloud.tests.property.cloud_state.test_convergence import (
    NAMES,
    TEXTS,
    Desk,
    Document,
    Snapshot,
    break_writes,
    desk,
    empty,
    quick,
    some,
    unique,
)
from hypothesis import given
from hypothesis import strategies as st

# The simulator's type for each list of a document.
STORED = {
    "flavors": "flavor",
    "keypairs": "keypair",
    "aggregates": "aggregate",
    "server_groups": "server_group",
    "volume_qos_specs": "volume_qos",
    "volume_types": "volume_type",
    "volumes": "volume",
    "images": "image",
    "servers": "server",
    "object_containers": "container",
    "objects": "object",
    "zones": "zone",
    "recordsets": "recordset",
    "stacks": "stack",
}
# Our name of the type where the simulator has another.
TOLD = {"object_container": "container"}
KEYS = [f"ssh-ed25519 AAAA{letter}AAA" for letter in "BC"]
WORDS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["1", "x y", "ü"]), max_size=2)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A document whose entries refer to each other and to a flavor and an image that are there."""

    def names(plural: str) -> list[str]:
        return [entry["name"] for entry in document.get(plural, [])]

    def entries(plural: str, required: dict[str, Any], *keys: str, **optional: st.SearchStrategy[Any]) -> None:
        found = (
            draw(unique(some({"name": NAMES, **required}, **optional), *(keys or ("name",))))
            if plural in chosen
            else []
        )
        document[plural] = found

    document: Document = {}
    # Some of the types in each document, so that a run stays short.
    chosen = draw(st.sets(st.sampled_from(sorted(STORED)), min_size=3, max_size=6))
    flags = st.booleans()
    entries("flavors", {"ram": st.sampled_from([64, 128]), "vcpus": st.just(1)}, description=TEXTS, extra_specs=WORDS)
    entries("keypairs", {"public_key": st.sampled_from(KEYS)})
    hosts = st.lists(st.sampled_from(["compute-1", "compute-2"]), unique=True)
    entries("aggregates", {}, availability_zone=st.sampled_from(["", "east"]), metadata=WORDS, hosts=hosts)
    entries("server_groups", {"policy": st.sampled_from(["affinity", "anti-affinity"])})
    entries("volume_qos_specs", {}, consumer=st.sampled_from(["front-end", "both"]), specs=WORDS)
    qos = st.sampled_from(names("volume_qos_specs")) if names("volume_qos_specs") else st.nothing()
    entries(
        "volume_types", {}, description=TEXTS, extra_specs=WORDS, **({"qos": qos} if names("volume_qos_specs") else {})
    )
    types = st.sampled_from(["__DEFAULT__", *names("volume_types")])
    entries("volumes", {"size": st.just(1)}, description=TEXTS, metadata=WORDS, type=types, bootable=flags)
    tags = st.lists(st.sampled_from(["x", "y"]), unique=True)
    entries("images", {}, min_disk=st.integers(0, 1), hidden=flags, tags=tags, properties=WORDS,
            visibility=st.sampled_from(["private", "shared"]))  # fmt: skip
    flavors = st.sampled_from(["small", *names("flavors")])
    entries(
        "servers",
        {"flavor": flavors, "image": st.just("debian"), "networks": st.just([])},
        description=TEXTS,
        metadata=WORDS,
        tags=tags,
        locked=flags,
        power=st.sampled_from(["started", "stopped", "paused", "shelved"]),
    )
    free = draw(st.permutations(names("volumes")))
    for server, volume in zip(document["servers"], free, strict=False):
        server["volumes"] = [{"volume": volume}]
    entries(
        "object_containers",
        {},
        read_acl=st.sampled_from(["", ".r:*"]),
        metadata=WORDS,
        quota_objects=st.integers(-1, 1),
    )
    if document["object_containers"]:
        holder = st.sampled_from(names("object_containers"))
        entries("objects", {"container": holder, "content": TEXTS}, "name", "container", metadata=WORDS)
    zones = (
        draw(unique(some({"name": NAMES, "email": st.sampled_from(["a@b", "c@d"])}, ttl=st.integers(1, 2)), "name"))
        if "zones" in chosen
        else []
    )
    document["zones"] = [{**zone, "name": f"{zone['name']}.org."} for zone in zones]
    if zones:
        records = st.lists(st.sampled_from(["192.0.2.1", "192.0.2.2"]), unique=True, min_size=1)
        wanted = some(
            {"name": NAMES, "zone": st.sampled_from(names("zones")), "type": st.just("A"), "records": records}
        )
        found = draw(unique(wanted, "name", "zone"))
        document["recordsets"] = [{**entry, "name": f"{entry['name']}.{entry['zone']}"} for entry in found]
    template = st.sampled_from(["one", "two"]).map(
        lambda text: {"heat_template_version": "2018-08-31", "description": text}
    )
    entries("stacks", {"template": template}, tags=tags)
    return {key: found for key, found in document.items() if found}


@contextmanager
def world(polls: int = 0) -> Iterator[Desk]:
    """A simulated cloud with a flavor and an image, in which all takes so many looks."""
    with desk() as there:
        there.cloud.put("flavor", id="small", name="small", ram=32, vcpus=1, _access=set())
        there.cloud.put("image", name="debian", status="active", visibility="public", owner=there.cloud.admin_project)
        there.cloud.polls_until_ready = polls
        # Nothing sleeps: what takes this long would never come.
        there.options = replace(there.options, timeout=20)
        yield there


def snapshot(there: Desk) -> Snapshot:
    """What is in the cloud of these types, without what goes by itself: states and ownership marks."""

    def told(found: dict[str, Any]) -> dict[str, Any]:
        plain = {
            key: value for key, value in found.items() if key not in ("status", "_settle", "updated_at", "updated_time")
        }
        for key in ("metadata", "headers"):
            plain[key] = {k: v for k, v in (plain.get(key) or {}).items() if "stackwright" not in k}
        plain["tags"] = [tag for tag in plain.get("tags") or [] if "stackwright" not in tag]
        return {key: value for key, value in plain.items() if not key.startswith("stackwright")}

    return {
        (kind, key): copy.deepcopy(told(found))
        for kind in STORED.values()
        for key, found in there.cloud.objects[kind].items()
        if found.get("type") not in ("SOA", "NS")
    }


def duplicates(there: Desk) -> list[Any]:
    """Names that are there twice in one place."""
    seen = Counter(
        (kind, found.get("name") or found.get("stack_name"), found.get("container"), found.get("zone_id"))
        for (kind, _), found in snapshot(there).items()
    )
    return [key for key, count in seen.items() if count > 1]


@quick
@given(before=documents(), wanted=documents(), polls=st.integers(0, 1))
def test_the_second_run_is_empty(before: Document, wanted: Document, polls: int) -> None:
    with world(polls) as there:
        there.run(before, owner="")
        there.run(wanted, replace=True)
        assert empty(there.run(wanted, replace=True))
        assert not there.cloud.writes()
        assert not duplicates(there)


@quick
@given(before=documents(), wanted=documents())
def test_the_plan_equals_the_effect(before: Document, wanted: Document) -> None:
    with world() as there:
        there.run(before, owner="")
        old = snapshot(there)
        planned = there.run(wanted, replace=True, check=True)
        assert not there.cloud.writes()
        assert snapshot(there) == old
        done = there.run(wanted, replace=True)
        assert sorted(done["changes"]) == sorted(planned["changes"])
        new = snapshot(there)
        effect = Counter(("create", kind) for kind, key in new.keys() - old.keys())
        effect += Counter(("delete", kind) for kind, key in old.keys() - new.keys())
        told: Counter[tuple[str, str]] = Counter()
        for change in done["plan"]:
            kind = TOLD.get(change["type"], change["type"])
            for action in {"replace": ("create", "delete")}.get(change["action"], (change["action"],)):
                # A key pair keeps its name, and a flavor its number, and so their identifiers, when they are made anew.
                if action != "update" and (change["action"] != "replace" or kind not in ("keypair", "flavor")):
                    told[(action, kind)] += 1
        assert told == effect
        # What the plan does not name is as it was, but for volumes, which tell where they are attached.
        named = {STORED[change["path"].split("[")[0]] for change in done["plan"]} | {"volume", "server_group"}
        assert {k: v for k, v in new.items() if k[0] not in named} == {
            k: v for k, v in old.items() if k[0] not in named
        }


def apart(document: Document, taken: set[str]) -> Document:
    """A document without these types, and without what refers to them."""
    gone = taken & set(document)
    while gone:
        document = {plural: entries for plural, entries in document.items() if plural not in gone}
        fields = {
            plural: [key for f in BY_PLURAL[plural].fields for key in (f, *f.keys) if key.ref] for plural in document
        }
        gone = {plural for plural in document if {BY_NAME[key.ref].plural for key in fields[plural]} & taken}
        taken = taken | gone
    return document


@quick
@given(foreign=documents(), first=documents(), second=documents())
def test_prune_takes_its_own_and_nothing_else(foreign: Document, first: Document, second: Document) -> None:
    # What somebody else's server has attached could not be removed: nobody shares here.
    foreign = apart(foreign, {*first, *second})
    with world() as there:
        there.run(foreign, owner="")
        others = {(kind, found.get("name") or found.get("stack_name")) for (kind, _), found in snapshot(there).items()}
        there.run(first)
        there.run({}, prune="owned")
        left = {(kind, found.get("name") or found.get("stack_name")) for (kind, _), found in snapshot(there).items()}
        assert others == left
        there.run(second, replace=True)
        assert empty(there.run(second, replace=True, prune="owned"))


@quick
@given(wanted=documents(), skip=st.integers(0, 30), how=st.sampled_from(["before", "after", "error", "busy"]))
def test_an_interrupted_run_is_finished_without_duplicates(wanted: Document, skip: int, how: str) -> None:
    with world() as there, world() as calm:
        break_writes(there, how, skip)
        _, failure = there.try_run(wanted)
        if failure is not None:
            assert all(problem.where and problem.about for problem in failure.problems)
        there.cloud.heal()
        there.run(wanted)
        assert not duplicates(there)
        assert empty(there.run(wanted))
        calm.run(wanted)
        assert Counter(k for k, _ in snapshot(there)) == Counter(k for k, _ in snapshot(calm))
        there.run({}, prune="owned")
        assert {kind for kind, _ in snapshot(there)} <= {"flavor", "image", "volume_type"}
