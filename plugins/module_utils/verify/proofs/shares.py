"""The shared file system service keeps private share types for those who may use them, and schedules shares."""

from __future__ import annotations

from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.bench import Bench, ProofError, Tenant

SERVICE = "shared-file-system"
# From this version on URLs need no project. Source: Manila's history of API versions.
VERSION = {"X-OpenStack-Manila-API-Version": "2.60"}


def _pools(bench: Bench) -> list[dict[str, Any]]:
    """Pools of back ends that need no share servers, which a network of the project would have to reach."""
    listed = bench.admin.need(SERVICE, "GET", "/scheduler-stats/pools/detail", 200, headers=VERSION).body["pools"]
    return [one for one in listed if not one["capabilities"].get("driver_handles_share_servers")]


def _share(bench: Bench, owner: Tenant, kind: str, pools: list[dict[str, Any]]) -> str:
    """What becomes of a share: with a back end it is there in the end, without one the scheduler says so."""
    protocol = str(pools[0]["capabilities"].get("storage_protocol") or "NFS") if pools else "NFS"
    wanted = {"name": bench.name("share"), "share_proto": protocol.split("_")[0], "size": 1, "share_type": kind}
    made = owner.need(SERVICE, "POST", "/shares", 200, 202, json={"share": wanted}, headers=VERSION).body["share"]
    path = f"/shares/{made['id']}"

    def settled() -> str:
        state = str(owner.need(SERVICE, "GET", path, 200, headers=VERSION).body["share"]["status"])
        return state if state in ("available", "error") else ""

    def gone() -> bool:
        return owner.ask(SERVICE, "GET", path, headers=VERSION).status == 404

    try:
        state = bench.wait("a share is made or refused", settled)
        if pools and state != "available":
            raise ProofError(f"a share of {pools[0]['name']} is not made; see the log of manila-share")
        if not pools:
            told = owner.need(SERVICE, "GET", "/messages", 200, headers=VERSION).body["messages"]
            if made["id"] not in [one.get("resource_id") for one in told]:
                raise ProofError("a share for which there is no back end fails, and nobody tells its user why")
    finally:
        owner.ask(SERVICE, "DELETE", path, headers=VERSION)
    bench.wait("a share is removed", gone)
    return "a share is made and removed" if pools else "the scheduler says that no back end holds shares"


def prove(bench: Bench) -> list[str]:
    """Make a share type for one project, and ask for a share of it.

    :raises ProofError: the service fails.
    """
    pools = _pools(bench)
    access = {"driver_handles_share_servers": "False"}
    wanted = {"name": bench.name("type"), "share_type_access:is_public": False, "extra_specs": access}
    made = bench.admin.need(SERVICE, "POST", "/types", 200, 202, json={"share_type": wanted}, headers=VERSION).body
    kind = str(made["share_type"]["id"])
    try:
        with bench.tenant("other") as other, bench.tenant("owner") as owner:
            owner.client.refused(SERVICE, "GET", f"/types/{kind}", "a project sees a share type", headers=VERSION)
            grant = {"addProjectAccess": {"project": owner.project}}
            bench.admin.need(SERVICE, "POST", f"/types/{kind}/action", 202, json=grant, headers=VERSION)
            seen = owner.need(SERVICE, "GET", f"/types/{kind}", 200, headers=VERSION).body["share_type"]
            if seen["name"] != wanted["name"]:
                raise ProofError(f"a share type is named {seen['name']!r}, not {wanted['name']!r}")
            other.client.refused(SERVICE, "GET", f"/types/{kind}", "a project sees a share type", headers=VERSION)
            said = _share(bench, owner, kind, pools)
    finally:
        bench.admin.ask(SERVICE, "DELETE", f"/types/{kind}", headers=VERSION)
    return ["a share type is for those who may use it", said]
