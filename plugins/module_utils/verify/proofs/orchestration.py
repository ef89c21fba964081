"""The orchestration service makes what a template describes, shows its outputs to its own project, and takes it
away."""

from __future__ import annotations

from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.bench import Bench, ProofError

SERVICE = "orchestration"
LETTERS = 12
TEMPLATE: dict[str, Any] = {
    "heat_template_version": "2018-08-31",
    "resources": {"word": {"type": "OS::Heat::RandomString", "properties": {"length": LETTERS}}},
    "outputs": {"word": {"value": {"get_attr": ["word", "value"]}}},
}


def prove(bench: Bench) -> list[str]:
    """Make a stack, read its output, and remove it.

    :raises ProofError: the service fails.
    """
    with bench.tenant("other") as other, bench.tenant("owner") as owner:
        wanted = {"stack_name": bench.name("stack"), "template": TEMPLATE, "timeout_mins": 5}
        made = owner.need(SERVICE, "POST", "/stacks", 201, json=wanted).body["stack"]["id"]
        path = f"/stacks/{wanted['stack_name']}/{made}"

        def settled() -> dict[str, Any] | None:
            stack: dict[str, Any] = owner.need(SERVICE, "GET", path, 200).body["stack"]
            return stack if not stack["stack_status"].endswith("IN_PROGRESS") else None

        def gone() -> bool:
            answer = owner.ask(SERVICE, "GET", path)
            return answer.status == 404 or answer.body["stack"]["stack_status"] == "DELETE_COMPLETE"

        try:
            stack = bench.wait("a stack is made or fails", settled)
            if stack["stack_status"] != "CREATE_COMPLETE":
                raise ProofError(f"a stack is not made: {stack['stack_status_reason']}")
            outputs = {one["output_key"]: str(one.get("output_value") or "") for one in stack.get("outputs", [])}
            if len(outputs.get("word", "")) != LETTERS:
                raise ProofError(f"the stack's word should have {LETTERS} letters, and its outputs are {outputs}")
            other.client.refused(SERVICE, "GET", path, "a project sees another one's stack")
        finally:
            owner.ask(SERVICE, "DELETE", path)
        bench.wait("a stack is removed", gone)
    return ["a stack is made, shown to its project alone, and removed"]
