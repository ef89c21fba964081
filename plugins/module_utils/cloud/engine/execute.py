"""Carry out a plan: independent changes side by side, dependent ones in order, ownership recorded as they happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.blame import explain
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.change import Change
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.plan import Planner
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.reading import intent_key
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.references import dependencies
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import (
    ApiError,
    CloudError,
    Problem,
    unforeseen,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import (
    apply_field,
    create_object,
    delete_object,
    is_mark,
    mark_tag,
    set_tags,
    settle_object,
    update_object,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    LABELS,
    TOKEN_SCOPE,
    Field,
    Item,
    Operation,
    canonical,
    holders,
    read_field,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.common import steps

# Keys that hold an address which only one object of a network can have.
ADDRESSES = ("ip_address", "fixed_ip")


Step = steps.Step[Item]


def run_steps(
    todo: list[Step], parallel: int, told: Callable[[ApiError, Item], Problem] | None = None
) -> list[Problem]:
    """Run steps as their predecessors finish. A failure stops what depends on it, not the rest; all causes are
    returned.

    ``told`` makes a refusal of a service a problem.
    """
    outcome = steps.run(todo, parallel)
    problems: list[Problem] = []
    for step, error in outcome.failed:
        item = step.about
        if isinstance(error, ApiError):
            problems.append(told(error, item) if told else error.problem(item.path, item.label))
        elif isinstance(error, CloudError):
            problems += error.problems
        else:
            problems.append(unforeseen(error, item.path, item.label))
    circle = ("It waits for itself through other entries.", "Remove one of the references.")
    return problems + [step.about.problem(*circle) for step in outcome.circle]


class Executor:
    """Carries out the changes of one plan."""

    def __init__(
        self,
        cloud: Cloud,
        planner: Planner,
        *,
        parallel: int = 8,
        wait: bool = True,
        timeout: float = 600.0,
    ) -> None:
        self.cloud, self.ledger, self.owner = cloud, planner.reader.ledger, planner.reader.owner
        self.planner = planner
        self.identity, self.compare = planner.references.identity_of, planner.compare
        self.contested: dict[Item, frozenset[tuple[str, str]]] = {}
        # Updates whose old name another object gets.
        self.renamed: list[Change] = []
        # Updates that have given up what they had to.
        self.released: set[Item] = set()
        self.parallel, self.wait, self.timeout = parallel, wait, timeout
        self.finished: list[Change] = []

    def adopt(self, planner: Planner) -> None:
        """Put the ownership mark on what a run made before it was cut off, and settle its intents.

        :raises ApiError: the mark cannot be set.
        """
        for kind, raw, key in planner.reader.adopted:
            if kind.mark == "tags" and mark_tag(self.owner) not in (raw.get("tags") or []):
                op = Operation(self.cloud, kind, {}, raw=raw, owner=self.owner)
                raw["tags"] = set_tags(op, [tag for tag in raw.get("tags") or [] if not is_mark(tag)], owned=True)
            self.ledger.write("made", kind.name, str(raw[kind.id_key]))
            self.ledger.write("dropped", kind.name, key)
        for name, key in planner.reader.stale:
            self.ledger.write("dropped", name, key)

    def run(self, changes: list[Change]) -> None:
        """Do all changes: what is removed or given up, then what is to be there, then removals that were still in use.

        :raises CloudError: with every cause; what does not depend on a failure is done all the same.
        """
        problems: list[Problem] = []
        kept = [change for change in changes if change.action in ("create", "update", "replace")]
        removals = [change for change in changes if change.action == "delete"]
        late = self._late(removals, kept)
        early = [change for change in removals if change not in late]
        early += [change for change in kept if change.action == "replace"]
        self.contested = {change.item: claims(change.item) for change in kept}
        self.renamed = [change for change in kept if change.action == "update" and gives_name(change.item, kept)]
        for phase in (self._room_steps(early, kept), self._steps(kept, changes), self._delete_steps(late)):
            problems += run_steps(phase, self.parallel, lambda error, item: explain(error, item, self.planner))
            if problems:
                raise CloudError(*problems)

    def _late(self, removals: list[Change], kept: list[Change]) -> list[Change]:
        """Removals of objects that something kept still uses until it is updated, and what these lie in."""
        used: set[tuple[str, str]] = set()
        for change in kept:
            if change.action == "update":
                used |= current_refs(change.item)
        late: list[Change] = []
        while True:
            more = [change for change in removals if change not in late and change.item.key in used]
            if not more:
                return late
            late += more
            for change in more:
                used |= current_refs(change.item)

    def _delete_steps(self, changes: list[Change]) -> list[Step]:
        steps = {change.item.key: Step(change.item, lambda change=change: self._delete(change)) for change in changes}  # type: ignore[misc]
        for change in changes:
            for used in current_refs(change.item, of_its_own=False):
                if used in steps and used != change.item.key:
                    steps[used].after.append(steps[change.item.key])
            for step in steps.values():
                if step.about.type.name in change.item.type.uses:
                    step.after.append(steps[change.item.key])
                # What had to be there first goes last: the role in the project that something is removed in, say.
                elif change.item.type.before and change.item.type.before(change.item, step.about):
                    steps[change.item.key].after.append(step)
        return list(steps.values())

    def _room_steps(self, removals: list[Change], kept: list[Change]) -> list[Step]:
        """Removals and what updates give up, in one order: nothing is taken before it is free."""
        gone = self._delete_steps(removals)
        free = [
            Step(change.item, lambda change=change: self._release(change))  # type: ignore[misc]
            for change in kept
            if change.action == "update" and (change.item.type.release or change in self.renamed)
        ]
        for step in free:
            used = current_refs(step.about)
            for other in (*gone, *free):
                if (other is not step and other.about.type.name in step.about.type.uses) or (
                    other in gone and other.about.key in used
                ):
                    other.after.append(step)
        for step in gone:
            for other in free:
                if other.about.type.name in step.about.type.uses:
                    other.after.append(step)
        return [*gone, *free]

    def _release(self, change: Change) -> None:
        item = change.item
        op = self._operation(item)
        others = (claims for other, claims in self.contested.items() if other is not item)
        op.contested = frozenset().union(*others)
        if item.type.release:
            item.type.release(op, frozenset(change.fields))
        if change in self.renamed:
            name = f"{item.current['name'][:40]} {item.id[:8]}" if item.current else ""
            update_object(op, {"name": name})
            op.raw["name"] = name
        item.current = op.raw
        if op.written:
            self.released.add(item)

    def _still(self, change: Change) -> list[str]:
        """The fields of an update that are not as wanted yet."""
        item = change.item
        if item not in self.released:
            return change.fields
        found = []
        for name in change.fields:
            declared = item.type.field(name)
            before, after = (0, 1) if declared.write_only else self.compare(item, declared, item.resolved[name])
            if before != after:
                found.append(name)
        return found

    def _steps(self, kept: list[Change], changes: list[Change]) -> list[Step]:
        make: dict[Item, Step] = {}
        parts: dict[Item, Step] = {}
        for change in kept:
            make[change.item] = Step(change.item, lambda change=change: self._make(change))  # type: ignore[misc]
            parts[change.item] = Step(
                change.item,
                lambda change=change: self._parts(change),  # type: ignore[misc]
                [make[change.item]],
            )
        for item, step in make.items():
            step.after += [make[other] for other in dependencies(item) if other in make and other is not item]
            for other in parts:
                needed = other.type.name in item.type.after or (other.type.before and other.type.before(other, item))
                if needed and other is not item:
                    step.after.append(parts[other])
            parts[item].after += [
                make[other] for other in dependencies(item, parts=True) if other in make and other is not item
            ]
        last: dict[tuple[str, Any], Step] = {}
        for item, step in make.items():
            if item.type.in_turn:
                shared = item.resolved.get(item.type.in_turn)
                turn = (item.type.name, shared if isinstance(shared, (Item, str)) else None)
                step.behind += [last[turn]] if turn in last else []
                last[turn] = step
        return [*make.values(), *parts.values()]

    def _operation(self, item: Item) -> Operation:
        values = {name: _ids(value) for name, value in item.resolved.items()}
        scope = ""
        if item.type.scoped:
            scope = str(values.get(TOKEN_SCOPE) or read_field(item.type.field(TOKEN_SCOPE), item.current or {}) or "")
        return Operation(
            self.cloud,
            item.type,
            values,
            raw=dict(item.current or {}),
            owner=self.owner,
            wait=self.wait,
            timeout=self.timeout,
            scope=scope,
        )

    def _make(self, change: Change) -> None:
        item = change.item
        op = self._operation(item)
        if change.action == "update":
            update_object(op, {name: op.values[name] for name in self._still(change)})
            return
        op.raw = {}
        # By now everything that the identity refers to has an identifier.
        key = intent_key(self.identity(item.type, op.values))
        # What the service made is not this document's to prune.
        owned = bool(self.owner) and not change.by_itself
        if owned:
            self.ledger.write("intent", item.type.name, key)
        try:
            item.current = create_object(op)
        except ApiError as error:
            # Refused at once, nothing was made. After a server error, or half way, the next run has to look.
            if owned and 400 <= error.status < 500 and not op.written:
                self.ledger.write("dropped", item.type.name, key)
            raise
        item.id = str(item.current[item.type.id_key])
        if owned:
            if item.type.mark != "tags" or item.type.born_marked:
                self.ledger.write("made", item.type.name, item.id)
            else:
                set_tags(self._operation(item), list(op.values.get("tags") or []), owned=True)
                self.ledger.write("made", item.type.name, item.id)
            self.ledger.write("dropped", item.type.name, key)
        item.current = settle_object(self._operation(item))

    def _parts(self, change: Change) -> None:
        item = change.item
        op = self._operation(item)
        made = change.action != "update"
        for declared in item.type.fields:
            if declared.apply is None or declared.name not in op.values:
                continue
            if not made and declared.name not in change.fields:
                continue
            if made and self.owner and not change.by_itself and declared.name == LABELS and item.type.mark == "tags":
                continue
            before = read_field(declared, op.raw)
            after = canonical(declared, op.values[declared.name])
            if declared.compare:
                before, after = declared.compare(op.raw, op.values[declared.name], op.values)
            if declared.write_only or before != after:
                apply_field(op, declared, before, after)
        self.finished.append(change)

    def _delete(self, change: Change) -> None:
        op = self._operation(change.item)
        delete_object(op)
        if (change.item.type.name, change.item.id) in self.ledger.owned:
            self.ledger.write("gone", change.item.type.name, change.item.id)
        if change.action == "delete":
            self.finished.append(change)


def gives_name(item: Item, kept: list[Change]) -> bool:
    """Whether another entry gets the name that an object has, where the service allows each only once."""
    if not item.type.unique_names or item.current is None:
        return False
    held = item.current.get("name")
    wanted = [
        other.resolved.get("name")
        for other in (change.item for change in kept)
        if other.type is item.type and other is not item
    ]
    return item.resolved.get("name", held) != held and held in wanted


def claims(item: Item) -> frozenset[tuple[str, str]]:
    """What an entry is to have: types and identifiers of what it refers to, and the addresses that it names."""
    found: set[tuple[str, str]] = set()

    def note(declared: Field, value: Any) -> None:
        if isinstance(value, str) and value:
            if declared.ref:
                found.add((declared.ref, value))
            elif declared.name in ADDRESSES:
                found.add(("address", value))

    for name, value in item.resolved.items():
        for declared, one in _parts(item.type.field(name), _ids(value)):
            note(declared, one)
    return frozenset(found)


def _parts(declared: Field, value: Any) -> Iterator[tuple[Field, Any]]:
    """The single values of a field, through lists and the keys of their elements, each with what declares it."""
    if isinstance(value, list):
        for element in value:
            yield from _parts(declared, element)
    elif isinstance(value, dict) and declared.keys:
        for key in declared.keys:
            if key.name in value:
                yield from _parts(key, value[key.name])
    else:
        yield declared, value


def current_refs(item: Item, of_its_own: bool = True) -> set[tuple[str, str]]:
    """Types and identifiers of what the present object refers to.

    Without ``of_its_own``, what its parts refer to among objects of its own type is left out: two may do so mutually,
    and the services let such parts go with either.
    """
    if item.current is None:
        return set()
    found: set[tuple[str, str]] = set()
    for declared in item.type.fields:
        if not any(holder.ref for holder in holders(declared)):
            continue
        for holder, value in _parts(declared, read_field(declared, item.current)):
            if holder.ref and (of_its_own or not declared.apply or holder.ref != item.type.name):
                found.add((holder.ref, str(value)))
    return found


def _ids(value: Any) -> Any:
    if isinstance(value, Item):
        return value.id
    if isinstance(value, list):
        return [_ids(element) for element in value]
    if isinstance(value, dict):
        return {key: _ids(element) for key, element in value.items()}
    return value
