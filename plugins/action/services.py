"""Plans a host on the control node, and has the host do all of it in one call."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.stackwright.cloud.plugins.module_utils.host.watch import watched
from ansible_collections.stackwright.cloud.plugins.module_utils.service import course, derive, host_plan, host_view
from ansible_collections.stackwright.cloud.plugins.module_utils.service.course import Wishes
from ansible_collections.stackwright.cloud.plugins.module_utils.service.plan import PlanError
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import SpecificationError, plain

MODULE = "stackwright.cloud.services"
# The fact under which a host's machine is remembered: what was found out, by what was asked; so many questions.
REMEMBERED = "stackwright_machine"
KEPT = 4
TEXTS = {"type": "list", "elements": "str", "default": []}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "names": {**TEXTS, "elements": "raw"},
    "leader": {"type": "str"},
    "peers": TEXTS,
    "packages": TEXTS,
    "sources": {"type": "list", "elements": "str"},
    "facts": {"type": "dict", "default": {}},
    "elsewhere": {**TEXTS, "choices": ["databases", "messaging"]},
    "parallel": {"type": "int", "default": 2},
    "timeout": {"type": "int", "default": 300},
    "stage": {"type": "int", "default": 0},
    "memory": {"type": "dict", "default": {}},
    "turn": {"type": "dict"},
    "waiting": TEXTS,
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/services.py for the documentation."""

    _task: Any
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Plan, and do."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _, asked = self.validate_argument_spec(argument_spec=ARGUMENTS)
        if asked["turn"]:
            return result | self._turn(asked, variables)
        try:
            return result | self._apply(asked, variables)
        except (PlanError, SpecificationError) as error:
            return result | {"failed": True, "msg": str(error)}

    def _apply(self, asked: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        works, book = host_view.view(self._loader, variables), host_view.book(variables)
        packages, questions = set(asked["packages"]), dict[str, Any]()
        for term, component in book.services(asked["names"], works, "packages", "ceph", "facts"):
            packages.update(derive.packages(component, book.read(term)))
            questions |= plain(component.facts) if component.facts else {}
        facts = {**asked["facts"], **questions}
        wishes = Wishes(**{name: asked[name] for name in ("sources", "elsewhere", "parallel", "timeout")})
        before = course.first(sorted(packages), facts, wishes)
        remembered = dict(variables.get("ansible_facts", {}).get(REMEMBERED) or {})
        question = json.dumps(questions, sort_keys=True, default=str)
        assumed = remembered.get(question) if questions else None
        if asked["stage"]:
            return self._whole(asked, [], assumed, wishes, variables)
        if questions and assumed is None:
            outcome = self._call(before, variables)
            if outcome.get("failed"):
                return outcome
            assumed = outcome["facts"]
        outcome = self._whole(asked, before, assumed, wishes, variables)
        if not outcome.get("failed") and not outcome["done"]:
            # the machine is other than it was; asked again at once, it gives the answer that it keeps
            before = course.first(sorted(packages), {**facts, "again": False}, wishes)
            outcome = self._whole(asked, before, outcome["facts"], wishes, variables)
        if questions and outcome.get("facts"):
            told = outcome.setdefault("ansible_facts", {})
            told[REMEMBERED] = dict([*remembered.items(), (question, outcome["facts"])][-KEPT:])
        return outcome

    def _whole(
        self,
        asked: dict[str, Any],
        before: list[course.Part],
        assumed: dict[str, Any] | None,
        wishes: Wishes,
        variables: dict[str, Any],
    ) -> dict[str, Any]:
        """Plan for a machine, and have all of it done, or one stage where other hosts are at the same."""
        known = {**variables, "services_facts": assumed or {}}
        plan = host_plan.maker(self._loader, known).plan(asked["names"], asked["leader"])
        alone = len(asked["peers"]) < 2
        if alone:
            plan = course.without_turns(plan)
        stages = course.rest(plan, wishes, host_view.site(host_view.view(self._loader, variables)).variable)
        stages[0] = [*before, *stages[0]]
        if alone or not course.need_each_other(stages):
            outcome = self._call([part for stage in stages for part in stage], variables, assumed)
            return {**outcome, "left": self._left(plan, outcome)}
        outcome = self._call(stages[asked["stage"]], variables, assumed, asked["memory"])
        left = asked["memory"].get("left") or self._left(plan, outcome)
        memory = {**asked["memory"], **outcome.get("memory", {}), "left": left}
        turn = {"turn": memory["turn"]} if memory.get("turn", {}).get("units") else {}
        return {**outcome, **turn, "memory": memory, "left": left, "stages": len(stages)}

    @staticmethod
    def _left(plan: dict[str, Any], outcome: dict[str, Any]) -> list[str]:
        """What services leave behind that were taken off just now: units stopped, or the catalogue without them."""
        titles = (course.REGISTRATION, course.RUN)
        gone = any(part.get("changed") and part["title"] in titles for part in outcome.get("parts", []))
        return list(plan["removed"]) if gone else []

    def _turn(self, asked: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Restart what was held. Whoever waits for a turn after this one is named when that fails."""
        outcome = self._call(course.turn(asked["turn"], asked["timeout"]), variables)
        if outcome.get("failed") and asked["waiting"]:
            outcome["msg"] = (
                f"{outcome['msg']}\nNot restarted, since their turn is later: {', '.join(asked['waiting'])}"
            )
        return outcome

    def _call(
        self,
        parts: list[course.Part],
        variables: dict[str, Any],
        assumed: dict[str, Any] | None = None,
        memory: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        if not parts:
            return {"changed": False, "parts": [], "done": True}
        arguments = {"parts": parts, "memory": memory or {}}
        if assumed is not None:
            arguments["assumed"] = assumed
        with watched(self, str(variables.get("inventory_hostname", ""))):
            done: dict[str, Any] = self._execute_module(
                module_name=MODULE, module_args=arguments, task_vars=variables, wrap_async=False
            )
        done.pop("invocation", None)
        return done
