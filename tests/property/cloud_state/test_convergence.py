"""Any document against any starting state, over real sockets: what convergence promises."""

from __future__ import annotations

import copy
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.converge import Options, converge
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import CloudError
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Document = dict[str, list[dict[str, Any]]]
Snapshot = dict[tuple[str, str], Any]

NAMES = st.sampled_from(["amber", "birch", "cedar"])
# One type for each name: with several, a reference by name alone is ambiguous, which is an error of its own.
SERVICES = {"amber": "dns", "birch": "key-manager", "cedar": "load-balancer"}
TEXTS = st.sampled_from(["", "one", "two", "a: b, [c]", "ünïcode"])
TYPES = ("domain", "project", "user", "group", "role", "region", "service", "endpoint")
# A handful, drawn anew in every run of `make unit`, which prints the seed; HYPOTHESIS_EXAMPLES=200 for a long look.
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "8"))
quick = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def some(required: dict[str, Any], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An entry with its required keys and any of the optional ones."""
    return st.fixed_dictionaries(required, optional=optional)


def unique(entries: st.SearchStrategy[dict[str, Any]], *keys: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Up to three entries, no two with the same identity."""
    return st.lists(entries, max_size=3, unique_by=lambda e: tuple(str(e.get(k)) for k in keys))


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A document of identity resources that refer only to each other and to what every cloud has."""
    flags = st.booleans()
    document: Document = {
        "domains": draw(unique(some({"name": NAMES}, description=TEXTS, enabled=st.just(True)), "name")),
        "regions": draw(unique(some({"name": NAMES}, description=TEXTS), "name")),
        "roles": draw(unique(some({"name": NAMES}, description=TEXTS), "name")),
        "services": draw(unique(some({"name": NAMES}, description=TEXTS), "name")),
    }
    for service in document["services"]:
        service["type"] = SERVICES[service["name"]]
    domains = ["Default", *(d["name"] for d in document["domains"])]
    place = {"name": NAMES, "domain": st.sampled_from(domains)}
    tags = st.lists(st.sampled_from(["x", "y", "z"]), unique=True)
    document["projects"] = draw(unique(some(place, description=TEXTS, enabled=flags, tags=tags), "name", "domain"))
    document["groups"] = draw(unique(some(place, description=TEXTS), "name", "domain"))
    document["users"] = draw(
        unique(some(place, description=TEXTS, enabled=flags, password=st.just("pw")), "name", "domain")
    )
    if document["services"]:
        wanted = some(
            {
                "service": st.sampled_from([s["name"] for s in document["services"]]),
                "url": st.sampled_from(["http://a", "http://b"]),
                "interface": st.sampled_from(["public", "internal"]),
                "region": st.just("RegionOne"),
            }
        )
        document["endpoints"] = draw(unique(wanted, "service", "interface"))
    roles = ["member", *(r["name"] for r in document["roles"])]
    if document["users"] and document["projects"]:
        user = st.sampled_from(document["users"]).map(lambda u: {"name": u["name"], "domain": u["domain"]})
        project = st.sampled_from(document["projects"]).map(lambda p: {"name": p["name"], "domain": p["domain"]})
        wanted = some({"role": st.sampled_from(roles), "user": user, "project": project})
        document["role_assignments"] = draw(unique(wanted, "role", "user", "project"))
    return {key: entries for key, entries in document.items() if entries}


class Desk:
    """A simulated cloud and a ledger; runs documents against them without ever waiting."""

    def __init__(self, cloud: CloudSimulator, folder: str) -> None:
        self.cloud = cloud
        self.login = Login(auth=cloud.login["auth"], auth_type="password", region_name=cloud.region)
        self.options = Options(owner="shop", ledger=f"{folder}/ledger")

    def try_run(self, document: Document, **options: Any) -> tuple[dict[str, Any], CloudError | None]:
        self.cloud.forget_calls()
        connect: Callable[[Login], Cloud] = lambda login: Cloud(login, sleep=lambda _: None)  # noqa: E731
        return converge(self.login, copy.deepcopy(document), replace(self.options, **options), connect)

    def run(self, document: Document, **options: Any) -> dict[str, Any]:
        result, failure = self.try_run(document, **options)
        assert failure is None, failure
        return result

    def snapshot(self) -> Snapshot:
        """Everything that is in the cloud, by type and identifier."""
        cloud = self.cloud
        found: Snapshot = {(kind, key): copy.deepcopy(o) for kind in TYPES for key, o in cloud.objects[kind].items()}
        return found | {("role_assignment", "/".join(map(str, g))): g for g in cloud.extra["assignments"]}

    def duplicates(self) -> list[Any]:
        """Names that are there twice in one place."""
        seen = Counter(
            (
                kind,
                o.get("name"),
                o.get("domain_id"),
                o.get("type"),
                o.get("url"),
                o.get("service_id"),
                o.get("interface"),
            )
            for kind in TYPES
            for o in self.cloud.all(kind)
            if kind != "region"
        )
        return [key for key, count in seen.items() if count > 1]


@contextmanager
def desk() -> Iterator[Desk]:
    with CloudSimulator() as cloud, tempfile.TemporaryDirectory() as folder:
        yield Desk(cloud, folder)


def empty(result: dict[str, Any]) -> bool:
    """Whether a run found nothing to do."""
    return not result["changed"] and not result["plan"] and set(result["summary"]) <= {"unchanged"}


@quick
@given(before=documents(), wanted=documents())
def test_the_second_run_is_empty(before: Document, wanted: Document) -> None:
    with desk() as there:
        there.run(before, owner="")
        there.run(wanted, replace=True)
        assert empty(there.run(wanted, replace=True))
        assert not there.cloud.writes()
        assert not there.duplicates()


@quick
@given(before=documents(), wanted=documents())
def test_the_plan_equals_the_effect(before: Document, wanted: Document) -> None:
    with desk() as there:
        there.run(before, owner="")
        old = there.snapshot()
        planned = there.run(wanted, replace=True, check=True)
        assert not there.cloud.writes()
        assert there.snapshot() == old
        done = there.run(wanted, replace=True)
        assert sorted(done["changes"]) == sorted(planned["changes"])
        # Identifiers are known only afterwards.
        assert [{**c, "id": ""} for c in done["plan"]] == [{**c, "id": ""} for c in planned["plan"]]
        new = there.snapshot()
        effect = Counter(("create", kind) for kind, key in new.keys() - old.keys())
        effect += Counter(("delete", kind) for kind, key in old.keys() - new.keys())
        # An ownership mark is no change of what the document describes.
        strip = lambda o: {k: v for k, v in o.items() if k != "tags"} if isinstance(o, dict) else o  # noqa: E731
        effect += Counter(("update", k[0]) for k in new.keys() & old.keys() if strip(new[k]) != strip(old[k]))
        told: Counter[tuple[str, str]] = Counter()
        for change in done["plan"]:
            if change["action"] == "replace":
                told += Counter({("create", change["type"]): 1, ("delete", change["type"]): 1})
            elif change["action"] != "update" or set(change["after"]) - {"tags"}:
                told[(change["action"], change["type"])] += 1
        assert told == effect


@quick
@given(foreign=documents(), first=documents(), second=documents())
def test_prune_takes_its_own_and_nothing_else(foreign: Document, first: Document, second: Document) -> None:
    with desk() as there:
        there.run(foreign, owner="")
        others = set(there.snapshot())
        there.run(first, replace=True)
        there.run(second, replace=True, prune="owned")
        assert others <= set(there.snapshot())
        assert empty(there.run(second, replace=True, prune="owned"))
        there.run({}, prune="owned")
        assert set(there.snapshot()) == others


def break_writes(there: Desk, how: str, skip: int) -> None:
    """Let all writes after the first ones fail: refused, put off, or cut before or after they were done."""
    order: dict[str, Any] = {"error": {"status": 500}, "busy": {"status": 503, "retry_after": 0}}.get(
        how, {"drop": how}
    )
    there.cloud.fault(method="write", skip=skip, times=0, **order)


@quick
@given(wanted=documents(), skip=st.integers(0, 12), how=st.sampled_from(["before", "after", "error", "busy"]))
def test_an_interrupted_run_is_finished_without_duplicates(wanted: Document, skip: int, how: str) -> None:
    with desk() as there, desk() as calm:
        break_writes(there, how, skip)
        _, failure = there.try_run(wanted)
        if failure is not None:
            assert all(problem.cause for problem in failure.problems)
        there.cloud.heal()
        there.run(wanted)
        assert not there.duplicates()
        assert empty(there.run(wanted))
        calm.run(wanted)
        assert Counter(k for k, _ in there.snapshot()) == Counter(k for k, _ in calm.snapshot())


@pytest.mark.parametrize("kind", ["projects", "roles", "groups"])
def test_what_was_made_when_the_connection_broke_is_owned(kind: str) -> None:
    with desk() as there:
        fresh = set(there.snapshot())
        there.cloud.fault(method="POST", path=f"/v3/{kind}", drop="after")
        document: Document = {kind: [{"name": "amber", "description": "one"}]}
        assert there.try_run(document)[1] is not None
        there.run(document)
        there.run({}, prune="owned")
        assert set(there.snapshot()) == fresh


def test_a_mapping_picks_one_of_two_services_of_a_name() -> None:
    with desk() as there:
        there.cloud.put("service", name="amber", type="dns")
        there.run(
            {
                "services": [{"name": "amber", "type": "key-manager"}],
                "endpoints": [
                    {
                        "service": {"name": "amber", "type": "key-manager"},
                        "interface": "public",
                        "url": "http://a",
                        "region": "RegionOne",
                    }
                ],
            }
        )
        made = there.cloud.find("service", type="key-manager")[0]
        assert there.cloud.find("endpoint", url="http://a")[0]["service_id"] == made["id"]


@pytest.mark.parametrize("count", [5, 50])
def test_an_unchanged_run_asks_by_type_not_by_resource(count: int) -> None:
    document = {"projects": [{"name": f"p{n}", "domain": "Default"} for n in range(count)],
                "users": [{"name": f"u{n}", "domain": "Default"} for n in range(count)]}  # fmt: skip
    with desk() as there:
        there.run(document)
        assert empty(there.run(document))
        assert len(there.cloud.calls) <= 6


@quick
@given(wanted=documents(), kind=st.sampled_from(["429", "503", "expired"]))
def test_a_busy_or_forgetful_cloud_changes_nothing_about_the_result(wanted: Document, kind: str) -> None:
    with desk() as there:
        if kind == "expired":
            there.run({})
            there.cloud.fault(method="write", skip=1, times=1, status=401)
        else:
            there.cloud.fault(path="/v3/(?!auth).", skip=2, times=2, status=int(kind), retry_after=0)
        there.run(wanted)
        assert empty(there.run(wanted))
