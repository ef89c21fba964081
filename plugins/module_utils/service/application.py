"""All phases of a host in one go, each told what the ones before it found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible_collections.stackwright.cloud.plugins.module_utils.common import progress
from ansible_collections.stackwright.cloud.plugins.module_utils.service.phases import Context, Phase, PhaseError, Result

# What registers services on this host.
REGISTRATION_PACKAGE = "python3-openstacksdk"
# What one call has to know of an earlier one.
REMEMBERED = ("turn", "missing", "restart", "reload", "foretold", "early_foretold")


@dataclass(frozen=True)
class Part:
    """One phase of one host. :param title: what is made true, for people."""

    phase: str
    title: str
    arguments: Mapping[str, Any]


@dataclass
class Application:
    """The phases of a host, done one after the other until one fails.

    ``assumed`` is what the later phases take the machine for, where they depend on it. ``parts`` holds what each said,
    its secrets masked; ``facts`` what was found out; ``turn`` the units and the health checks of components that are
    restarted host by host, where such a restart is due.
    """

    phases: Mapping[str, Phase]
    check: bool = False
    warn: Callable[[str], None] = lambda text: None
    assumed: Mapping[str, Any] | None = None
    parts: list[Result] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    turn: dict[str, list[Any]] = field(default_factory=lambda: {"units": [], "health": []})
    secrets: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    restart: list[str] = field(default_factory=list)
    reload: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    foretold: bool = False
    early_foretold: bool = False

    @property
    def memory(self) -> dict[str, Any]:
        """What a later call needs to know, where the phases are done in several."""
        return {**{name: getattr(self, name) for name in REMEMBERED}, "held": sorted(self.held)}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on after an earlier call."""
        for name in (name for name in REMEMBERED if name in memory):
            setattr(self, name, memory[name])
        self.held = set(memory.get("held", []))

    @property
    def changed(self) -> bool:
        """Whether any phase changed anything, or would."""
        return any(part.get("changed") for part in self.parts)

    def run(self, parts: Sequence[Part]) -> bool:
        """Do all phases.

        :returns: whether they came to their end: not so where the machine is other than the rest was planned for.
        :raises PhaseError: one failed; it is the last of ``parts``.
        """
        try:
            for part in parts:
                if self._leaves_out(part):
                    continue
                progress.tell_on_host(part.title)
                self._do(part)
                if part.phase == "facts" and self.assumed not in (None, self.facts):
                    return False
        finally:
            progress.tell_on_host("")
        return True

    def _leaves_out(self, part: Part) -> bool:
        """In check mode, what depends on what is not done: units that would start do not answer yet."""
        if not self.check:
            return False
        if part.phase == "health":
            return self.foretold
        return part.phase == "registration" and (self.early_foretold or REGISTRATION_PACKAGE in self.missing)

    def _do(self, part: Part) -> None:
        phase, begun = self.phases[part.phase], time.monotonic()
        own: set[str] = set()
        given = self._arguments(part)
        if given is None:
            return
        told: Result = {"title": part.title}
        try:
            checked = ArgumentSpecValidator(phase.spec).validate(given)
            own |= checked._no_log_values
            if checked.error_messages:
                raise PhaseError(f"{part.title}: arguments that are none: {'; '.join(checked.error_messages)}")
            context = Context(self.check, own.update, lambda text: self.warn(str(remove_values(text, own))))
            result = phase.run(checked.validated_parameters, context)
        except PhaseError as error:
            told |= remove_values({**error.result, "failed": True}, own)
            raise PhaseError(**{key: value for key, value in told.items() if key not in ("title", "failed")}) from error
        finally:
            self.secrets |= own
            told["took"] = round(time.monotonic() - begun, 1)
            self.parts.append(told)
        result.pop("invocation", None)
        self._heed(part, result)
        told |= remove_values(result, own)

    def _arguments(self, part: Part) -> dict[str, Any] | None:
        """What a phase is asked, with what came out of those before it; None where nothing is left to ask."""
        given = dict(part.arguments)
        if part.phase == "files":
            given["packages_pending"] = bool(self.missing)
        elif part.phase == "units":
            given["restart"], given["reload"] = self.restart, self.reload
            given["held"] = [unit["name"] for unit in given["units"] if unit.get("rolling")]
            given["units"] = [_without(unit, "rolling") for unit in given["units"]]
        elif part.phase == "health":
            later = [check for check in given["checks"] if check.get("rolling") in self.held]
            self.turn["health"] += [_without(check, "rolling") for check in later]
            given["checks"] = [_without(check, "rolling") for check in given["checks"] if check not in later]
            if later and not given["checks"]:
                return None
        return given

    def _heed(self, part: Part, result: Result) -> None:
        """Keep what later phases need to know."""
        if part.phase == "packages":
            self.missing = result["missing"]
        elif part.phase == "facts":
            names = ("kvm", "datapath", "security_module")
            self.facts = {name: result[name] for name in names if name in result}
        elif part.phase == "files":
            self.restart, self.reload = result["restart"], result.get("reload", [])
        elif part.phase == "units":
            self.foretold = bool(result["changed"])
            self.early_foretold = self.early_foretold or self.foretold
            waiting = result.pop("held", [])
            due = [unit for unit in part.arguments["units"] if unit["name"] in waiting]
            self.held |= {unit["rolling"] for unit in due}
            self.turn["units"] += [_without(unit, "rolling") for unit in due]


def _without(entry: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}


def parts_of(given: Iterable[Mapping[str, Any]]) -> list[Part]:
    """The phases as a module's arguments describe them."""
    return [Part(one["phase"], one["title"], one["arguments"]) for one in given]
