"""Every resource type against a running cloud: planned, made, found unchanged, changed, and removed without a trace.

`make acceptance` runs it against the lab, and the scenario `optional-services` in the gate. Both log in as the cloud's
administrator: STACKWRIGHT_INVENTORY names the inventory. Another login is taken where STACKWRIGHT_CLOUD names one in a
clouds.yaml file:

    STACKWRIGHT_CLOUD=mine STACKWRIGHT_INTERFACE=internal pytest --import-mode=importlib tests/acceptance/cloud_state

It writes only to what it makes under a name of its own. Types whose service the cloud's catalogue lacks are left out,
and named in the output (-s shows it, with the figures).
"""

from __future__ import annotations

import copy
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import running
import yaml
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.converge import Options, converge
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_PLURAL

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOZPR6BRU2LvW0nn8cK4C+5O7oBlE0Dd5lvVbbWz4Jt0"
# What the second document says otherwise, by type.
CHANGES: dict[str, dict[str, Any]] = {
    "projects": {"description": "Changed", "tags": ["acceptance", "changed"]},
    "groups": {"description": "Changed"},
    "roles": {"description": "Changed"},
    "regions": {"description": "Changed"},
    "services": {"description": "Changed"},
    "endpoints": {"url": "http://127.0.0.1/two"},
    "flavors": {"description": "Changed", "extra_specs": {"quota:disk_write_iops_sec": 600}},
    "aggregates": {"metadata": {"shelf": "two", "row": "three"}},
    "images": {
        "min_disk": 0,
        "tags": ["changed"],
        "properties": {"os_distro": "alpine", "hw_rng_model": None},
        "members": [],
    },
    "networks": {"description": "Changed"},
    "subnets": {"dns_nameservers": ["192.0.2.54"]},
    "security_groups": {"description": "Changed", "rules": [{"direction": "ingress", "protocol": "icmp"}]},
    "ports": {"description": "Changed"},
    "routers": {"description": "Changed", "interfaces": []},
    "subnet_pools": {"description": "Changed", "default_prefix_length": 27},
    "servers": {
        "description": "Changed",
        "metadata": {"purpose": "changed"},
        "tags": ["changed"],
        "power": "stopped",
        "locked": True,
    },
    "volume_qos_specs": {"specs": {"total_iops_sec": 600}, "consumer": "both"},
    "volume_types": {
        "description": "Changed",
        "extra_specs": {"note": "changed"},
        "access": [],
        "qos": "",
        "encryption": {"provider": "luks", "cipher": "aes-xts-plain64", "key_size": 512},
    },
    "volumes": {
        "size": 2,
        "description": "Changed",
        "metadata": {"purpose": "changed"},
        "bootable": False,
        "read_only": True,
    },
    "snapshots": {"description": "Changed", "metadata": {"purpose": "changed"}},
    "backups": {"description": "Changed", "metadata": {"purpose": "changed"}},
    "quotas": {"volumes": 6, "gigabytes": 60},
    "object_containers": {"read_acl": "", "metadata": {"purpose": "changed"}, "quota_bytes": -1, "temp_url_key": ""},
    "objects": {"content": "two", "content_type": "text/html", "metadata": {"purpose": "changed"}},
    "stacks": {
        "parameters": {"length": 9, "words": ["three"]},
        "environment": {"resource_registry": {"Own::Thing": "OS::Heat::RandomString"}},
        "tags": ["changed"],
        "timeout_mins": 6,
        "rollback": True,
    },
    "zones": {"ttl": 600, "email": "other@example.org", "description": "Changed"},
    "recordsets": {"records": ["192.0.2.2"], "ttl": 120, "description": "Changed"},
}


@dataclass
class Bench:
    """A running cloud, the document for it, and what was measured."""

    login: Login
    cloud: Cloud
    options: dict[str, Any]
    document: dict[str, Any]
    figures: list[str] = field(default_factory=list)

    def lacks(self, *documents: dict[str, Any]) -> list[str]:
        """The services that documents need and the catalogue does not offer, which is told."""
        plurals = {plural for document in documents for plural in document} & set(BY_PLURAL)
        services = {BY_PLURAL[plural].service for plural in plurals}
        found = sorted(one for one in services if not self.cloud.endpoint(one))
        if found:
            print(f"left out, the catalogue does not offer it: {', '.join(found)}")
        return found

    def run(self, document: dict[str, Any], what: str, **options: Any) -> dict[str, Any]:
        """Apply a document that must succeed."""
        started = time.monotonic()
        result, failure = converge(self.login, copy.deepcopy(document), Options(**{**self.options, **options}))
        line = f"{what}: {time.monotonic() - started:.2f} s, {result['calls']} calls, {result['summary']}"
        self.figures.append(line)
        print(line)
        assert failure is None, failure
        return result

    def changed(self) -> dict[str, Any]:
        """The document with every type's first entry changed."""
        document = copy.deepcopy(self.document)
        for plural, change in CHANGES.items():
            if plural in document:
                document[plural][0] |= change
        return document


def filled(value: Any, words: dict[str, Any]) -> Any:
    """A value with its {words} filled in; a text that is one word alone may become anything."""
    if isinstance(value, dict):
        return {filled(key, words): filled(element, words) for key, element in value.items()}
    if isinstance(value, list):
        return [filled(element, words) for element in value]
    if not isinstance(value, str):
        return value
    for word, filling in words.items():
        if value == f"{{{word}}}":
            return filling
        value = value.replace(f"{{{word}}}", str(filling))
    return value


def login_of(folder: Path) -> Login:
    """The login that the environment names, or the administrator's of the inventory under test."""
    if "STACKWRIGHT_CLOUD" in os.environ:
        return Login(cloud=os.environ["STACKWRIGHT_CLOUD"], interface=running.INTERFACE)
    return running.administrator(folder)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The cloud of the environment. What is left of a run that failed is removed."""
    folder = tmp_path_factory.mktemp("cloud")
    login = login_of(folder)
    cloud = Cloud(login)
    disk = folder / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    token = f"acceptance-{secrets.token_hex(3)}"
    parts = yaml.safe_load((Path(__file__).parent / "document.yml").read_text())
    networks = [{"port": token}] if "ports" in BY_PLURAL and cloud.endpoint("network") else []
    words = {"token": token, "password": secrets.token_urlsafe(12), "key": KEY, "file": str(disk), "networks": networks,
             "own": cloud.project_name}  # fmt: skip
    document: dict[str, Any] = {}
    for part, lists in filled(parts, words).items():
        needs = ("compute", "image") if part == "servers" else (part,)
        if all(cloud.endpoint(service) for service in needs):
            document |= {plural: entries for plural, entries in lists.items() if plural in BY_PLURAL}
        else:
            print(f"left out, the catalogue does not offer it: {part}")
    options = {"owner": token, "ledger": str(folder / "ledger"), "timeout": 900.0}
    found = Bench(login, cloud, options, document)
    yield found
    converge(login, document, Options(**options, state="absent"))
    print("\n".join(found.figures))


def names(result: dict[str, Any], action: str) -> set[tuple[str, str]]:
    """Type and path of the changes of one kind."""
    return {(change["type"], change["path"]) for change in result["plan"] if change["action"] == action}


def everything(document: dict[str, Any]) -> set[tuple[str, str]]:
    """Type and path of all entries."""
    return {
        (BY_PLURAL[plural].name, f"{plural}[{n}]") for plural, entries in document.items() for n in range(len(entries))
    }


def test_the_plan_writes_nothing(bench: Bench) -> None:
    planned = bench.run(bench.document, "plan", check=True)
    assert names(planned, "create") == everything(bench.document)
    assert names(bench.run(bench.document, "plan again", check=True), "create") == everything(bench.document)


def test_what_was_planned_is_made(bench: Bench) -> None:
    planned = bench.run(bench.document, "plan", check=True)
    assert bench.run(bench.document, "create")["changes"] == planned["changes"]


def test_the_second_run_changes_nothing(bench: Bench) -> None:
    result = bench.run(bench.document, "unchanged")
    assert result["changes"] == []


def test_changes_are_made_as_planned(bench: Bench) -> None:
    document = bench.changed()
    planned = bench.run(document, "plan of changes", check=True)
    assert names(planned, "update") == {
        (BY_PLURAL[plural].name, f"{plural}[0]") for plural in CHANGES if plural in document
    }
    assert bench.run(document, "update")["plan"] == planned["plan"]
    assert bench.run(document, "unchanged after the update")["changes"] == []


def test_prune_leaves_nothing(bench: Bench) -> None:
    pruned = bench.run({"roles": ["member"]}, "prune", prune="owned")
    # a quota is its project's, and nobody's own
    owned = [entry for entry in everything(bench.document) if entry[0] != "quota"]
    assert names(pruned, "delete") and len(pruned["plan"]) == len(owned)
    rest = bench.run(bench.document, "plan after the removal", check=True)
    assert names(rest, "create") == everything(bench.document)


def test_everything_is_removed_by_name(bench: Bench) -> None:
    bench.run(bench.document, "create again")
    bench.run(bench.document, "remove", state="absent")
    rest = bench.run(bench.document, "plan after the removal", check=True)
    assert names(rest, "create") == everything(bench.document)


def test_what_stays_lets_go_of_what_leaves(bench: Bench) -> None:
    token = bench.options["owner"]
    net, port, group = f"{token}-net", f"{token}-port", f"{token}-group"

    def subnets(*ranges: int) -> list[dict[str, Any]]:
        return [{"name": f"{token}-{n}", "network": net, "cidr": f"10.253.{n}.0/24"} for n in ranges]

    before = {
        "networks": [net],
        "subnets": subnets(1, 2),
        "security_groups": [group],
        "ports": [{"name": port, "network": net, "fixed_ips": [{"subnet": f"{token}-1"}], "security_groups": [group]}],
        "routers": [{"name": f"{token}-router", "interfaces": [f"{token}-1", f"{token}-2"]}],
    }
    after = {
        "networks": [net],
        "subnets": subnets(2, 3),
        "ports": [{"name": port, "network": net}, {"name": f"{port}-new", "network": net}],
        "routers": [f"{token}-router"],
    }
    if bench.lacks(before):
        return
    bench.run(before, "create what refers to each other")
    planned = bench.run(after, "plan of letting go", check=True, prune="owned")
    assert names(planned, "update") == {("port", "ports[0]"), ("router", "routers[0]")}
    assert bench.run(after, "let go", prune="owned")["changes"] == planned["changes"]
    assert bench.run(after, "unchanged after letting go", prune="owned")["changes"] == []
    bench.run({"roles": ["member"]}, "prune", prune="owned")


def test_metadata_of_an_account_comes_and_goes(bench: Bench) -> None:
    if "objects" not in bench.document:
        # the service was left out, and that was told
        return
    for value in ("ein Wort", "zwei Wörter", None):
        accounts = {"object_accounts": [{"metadata": {bench.options["owner"]: value}}]}
        planned = bench.run(accounts, f"plan of the account's metadata {value}", check=True)
        assert names(planned, "update") == {("object_account", "object_accounts[0]")}
        assert bench.run(accounts, "write the account's metadata")["changes"] == planned["changes"]
        assert bench.run(accounts, "unchanged")["changes"] == []


SITUATIONS = yaml.safe_load((Path(__file__).parent / "situations.yml").read_text())


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_services_rewrite_is_planned_kept_and_then_unchanged(bench: Bench, tmp_path: Path, situation: str) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    words = {"token": f"{bench.options['owner']}-{list(SITUATIONS).index(situation)}", "file": str(disk)}
    documents = filled(SITUATIONS[situation], words)
    if bench.lacks(*documents):
        return
    try:
        for number, document in enumerate(documents):
            planned = bench.run(document, f"{situation}, plan {number + 1}", check=True)
            assert planned["changes"] or number
            done = bench.run(document, f"{situation}, apply {number + 1}")
            assert done["changes"] == planned["changes"]
            again = bench.run(document, f"{situation}, again {number + 1}")
            assert (again["changes"], again["resources"]) == ([], done["resources"])
    finally:
        bench.run(documents[-1], f"{situation}, removal", state="absent")
    assert bench.run(documents[-1], f"{situation}, rest", state="absent")["changes"] == []
