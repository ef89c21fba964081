"""The block storage service makes volumes in their project, and takes them away."""

from __future__ import annotations

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.bench import Bench, ProofError

SERVICE = "block-storage"


def prove(bench: Bench) -> list[str]:
    """Make a volume of a GiB, and remove it.

    :raises ProofError: the service fails.
    """
    with bench.tenant("other") as other, bench.tenant("owner") as owner:
        wanted = {"name": bench.name("volume"), "size": 1}
        made = owner.need(SERVICE, "POST", "/volumes", 202, json={"volume": wanted}).body["volume"]
        path = f"/volumes/{made['id']}"

        def settled() -> str:
            state = str(owner.need(SERVICE, "GET", path, 200).body["volume"]["status"])
            return state if state in ("available", "error") else ""

        try:
            if bench.wait("a volume is made or fails", settled) != "available":
                raise ProofError("a volume is not made; see the logs of cinder-scheduler and cinder-volume")
            other.client.refused(SERVICE, "GET", path, "a project sees another one's volume")
        finally:
            owner.ask(SERVICE, "DELETE", path)
        bench.wait("a volume is removed", lambda: owner.ask(SERVICE, "GET", path).status == 404)
    return ["a volume is made, shown to its project alone, and removed"]
