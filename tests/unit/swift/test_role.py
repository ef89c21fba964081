"""What the role gives proxies and storage nodes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.tests.role_variables import component

PROXY = "/etc/swift/proxy-server.conf"
STORAGE = ("account", "container", "object")


def proxy(**variables: Any) -> dict[str, Any]:
    options: dict[str, Any] = component("swift", "proxy", **variables)["files"][PROXY]["options"]
    return options


def test_the_identity_service_judges_signatures_behind_its_own_middleware() -> None:
    options = proxy()
    order = options["pipeline:main"]["pipeline"].split()
    # authtoken takes away what anybody before it says of users
    assert order.index("s3api") < order.index("authtoken") < order.index("s3token") < order.index("keystoneauth")
    # which it does for services that log in only
    assert {"username", "password", "auth_url", "auth_uri"} <= set(options["filter:s3token"])
    assert options["filter:keystoneauth"]["allow_names_in_acls"] is False
    assert options["filter:authtoken"]["paste.filter_factory"].startswith("keystonemiddleware.")


def test_the_root_secret_lies_on_proxies_alone_in_a_file_of_its_own() -> None:
    files = component("swift", "proxy")["files"]
    keymaster = files["/etc/swift/keymaster.conf"]
    secret = keymaster["options"]["keymaster"]["encryption_root_secret"]
    assert (keymaster["group"], keymaster["mode"]) == ("swift", "0640")
    assert [path for path, one in files.items() if secret in str(one)] == ["/etc/swift/keymaster.conf"]
    for name in STORAGE:
        assert secret not in str(component("swift", name)["files"])


def test_another_keymaster_has_its_own_options() -> None:
    order = ["kms_keymaster" if one == "keymaster" else one for one in proxy()["pipeline:main"]["pipeline"].split()]
    files = component("swift", "proxy", swift_pipeline=order, swift_keymaster_options={"key_id": "k"})["files"]
    assert files["/etc/swift/keymaster.conf"]["options"] == {"kms_keymaster": {"key_id": "k"}}


def test_policies_are_read_first_where_they_say() -> None:
    policies = [{"index": 0, "name": "gold", "default": True, "read_affinity": "r1=100"}]
    assert proxy(swift_policies=policies)["proxy-server:policy:0"]["read_affinity"] == "r1=100"
    assert not [section for section in proxy() if section.startswith("proxy-server:")]


@pytest.mark.parametrize(("policies", "state"), [(1, "stopped"), (2, "started")])
def test_there_is_nothing_to_reconcile_with_one_policy(policies: int, state: str) -> None:
    given = [{"index": number, "name": f"p{number}", "default": not number} for number in range(policies)]
    units = {one["name"]: one for one in component("swift", "container", swift_policies=given)["units"]}
    assert units["swift-container-reconciler"]["state"] == state


def test_storage_nodes_share_what_has_expired() -> None:
    peers = ["a", "b", "object3"]
    files = component("swift", "object", swift_peers=peers, inventory_hostname="object3")["files"]
    expirer = files["/etc/swift/object-expirer.conf"]["options"]["object-expirer"]
    assert (expirer["processes"], expirer["process"]) == (3, 2)


@pytest.mark.parametrize("name", STORAGE)
def test_every_daemon_has_a_section_that_is_not_empty(name: str) -> None:
    """One that is empty is none to the service, whose daemon then ends over and over."""
    options = component("swift", name)["files"][f"/etc/swift/{name}-server.conf"]["options"]
    assert [section for section, content in options.items() if not content] == []


@pytest.mark.parametrize("section", ["account-replicator", "container-replicator", "container-sharder"])
@pytest.mark.parametrize("apart", [{}, {"swift_replication_address": "198.51.100.31"}])
def test_daemons_of_databases_know_the_address_that_rings_have_for_copies(section: str, apart: dict[str, str]) -> None:
    """They know no ``ring_ip``: with another address they find no device of theirs, copy nothing, and end well."""
    kind = section.split("-")[0]
    options = component("swift", kind, **apart)["files"][f"/etc/swift/{kind}-server.conf"]["options"]
    assert options[section]["bind_ip"] == apart.get("swift_replication_address", options["DEFAULT"]["bind_ip"])
    assert options["DEFAULT"]["bind_ip"] == "192.0.2.11"
