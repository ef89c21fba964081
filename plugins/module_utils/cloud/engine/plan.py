"""The plan: what the document asks for against what the cloud holds. Reads only."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.change import (
    BY_ITSELF,
    HIDDEN,
    Change,
    Loss,
    hide,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.ledger import Ledger
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.reader import Reader, needed_names
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.reading import Reading, default_of
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.references import References, dependencies
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import (
    ApiError,
    CloudError,
    ensure_stop,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    LABELS,
    MARK,
    Field,
    Item,
    canonical,
    read_field,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_NAME, TYPES


class Planner:
    """Works out the changes of one document for one cloud. Types ask it what ``Plan`` offers."""

    def __init__(
        self,
        cloud: Cloud,
        items: list[Item],
        ledger: Ledger | None = None,
        *,
        owner: str = "",
        prune: bool = False,
        replace: bool = False,
        parallel: int = 8,
    ) -> None:
        self.cloud, self.items, self.replace = cloud, items, replace
        self.reader = Reader(cloud, items, ledger or Ledger(), owner=owner, prune=prune, parallel=parallel)
        self.references = References(self.reader)
        self.problems = self.references.problems
        self.warnings: list[str] = []

    @property
    def state(self) -> Reading:
        """What was read of the cloud."""
        return self.reader.state

    @property
    def own(self) -> Mapping[str, list[Item]]:
        """The document's entries by type."""
        return self.reader.own

    def target(self, item: Item, name: str) -> Any:
        """What a field refers to: the identifier of an object that stays, or the entry of one that is to be made."""
        return self.references.target(item, name)

    def value_of(self, kind: str, place: Any, name: str) -> Any:
        """A field of an object, given by entry or identifier, as it will be; None if that is not known."""
        return self.references.value_of(kind, place, name)

    def leaves(self, kind: str, ident: str) -> bool:
        """Whether an object is about to be removed."""
        return self.references.leaves(kind, ident)

    def plan(self) -> list[Change]:
        """The changes, in the order of the document, removals last.

        :raises CloudError: with every problem of the document against this cloud.
        """
        self.reader.read()
        self.references.match()
        self.references.resolve(self)
        if self.problems:
            raise CloudError(*dict.fromkeys(self.problems))
        ordered = self._ordered()
        changes = {item: self._change(item) for item in ordered}
        for name, items in self.own.items():
            validate = BY_NAME[name].validate
            present = [item for item in items if not item.absent]
            if validate and present:
                self.problems += validate(self, present)
        if self.problems:
            raise CloudError(*dict.fromkeys(self.problems))
        result = [changes[item] for item in self.items]
        if self.reader.prune:
            result += self._pruned()
        for change in result:
            if change.action in ("delete", "replace") and change.item.type.kept_by and change.item.current:
                kept = change.item.type.kept_by(change.item.current)
                self.problems += [change.item.problem(*kept)] if kept else []
        if self.problems:
            raise CloudError(*dict.fromkeys(self.problems))
        self._tell_orphans(result)
        self._prove(result)
        return result

    def _tell_orphans(self, changes: list[Change]) -> None:
        """Say what a removal leaves behind."""
        for kind in TYPES:
            gone = {
                change.item.id: change
                for change in changes
                if change.item.type is kind and change.action in ("delete", "replace")
            }
            left = kind.leaves_behind(self, list(gone)) if gone and kind.leaves_behind else {}
            for ident, those in left.items():
                change = gone[ident]
                change.reason = "; ".join(filter(None, [change.reason, f"leaves behind {', '.join(those)}"]))

    def _prove(self, changes: list[Change]) -> None:
        """Turn what is not as wanted into updates, where that can only be tried out: once for each."""
        doubtful = [
            (change, declared)
            for change in changes
            if change.action in ("unchanged", "update") and change.item.current is not None and not change.item.absent
            for declared in change.item.type.fields
            if declared.proved and change.item.values.get(declared.name)
        ]

        def tried(pair: tuple[Change, Field]) -> bool | str | None:
            change, declared = pair
            assert declared.proved
            try:
                return declared.proved(self, change.item)
            except ApiError as error:
                raise CloudError(error.problem(change.item.path, change.item.label)) from error

        # The service takes its time for each, on purpose.
        with concurrent.futures.ThreadPoolExecutor(max(1, self.reader.parallel)) as pool:
            for (change, declared), found in zip(doubtful, pool.map(tried, doubtful), strict=True):
                if isinstance(found, str):
                    self.warnings.append(found)
                elif found is False:
                    change.action = "update"
                    change.fields.append(declared.name)
                    change.before[declared.name], change.after[declared.name] = "(another)", HIDDEN

    def _ordered(self) -> list[Item]:
        """Entries after those they refer to.

        :raises CloudError: entries refer to each other in a circle.
        """
        done: dict[Item, int] = {}
        order: list[Item] = []

        def visit(item: Item, trail: list[Item]) -> None:
            if done.get(item) == 2:
                return
            if done.get(item) == 1:
                circle = [*trail[trail.index(item) :], item]
                raise CloudError(
                    item.problem(
                        f"Entries refer to each other in a circle: {' -> '.join(other.path for other in circle)}.",
                        "Remove one of these references.",
                    )
                )
            done[item] = 1
            for other in dependencies(item):
                visit(other, [*trail, item])
            done[item] = 2
            order.append(item)

        for item in self.items:
            visit(item, [])
        return order

    def _change(self, item: Item) -> Change:
        if item.absent:
            return (
                Change("delete", item, before=self._shown(item))
                if item.current is not None and not item.type.permanent
                else Change("unchanged", item)
            )
        if item.current is None:
            found = item.type.check_new(self.references.idents(item)) if item.type.check_new else []
            self.problems += [item.problem(cause, mend, key) for key, cause, mend in found]
            if item.type.comes_by_itself and item.type.comes_by_itself(self.references.idents(item)):
                after = {name: value for name, value in self._wanted(item).items() if name not in item.type.identity}
                return Change("create", item, list(after), after=after, reason=BY_ITSELF, by_itself=True)
            return Change("create", item, after=self._wanted(item))
        change = Change("unchanged", item)
        fixed: list[str] = []
        reasons: list[str] = []
        for name, value in item.resolved.items():
            declared = item.type.field(name)
            if declared.write_only or (name in item.type.identity and not item.wanted_id):
                continue
            try:
                before, after = self.compare(item, declared, value)
            except ApiError as error:
                self.problems.append(error.problem(f"{item.path}.{name}", item.label))
                continue
            if before == after:
                continue
            change.fields.append(name)
            change.before[name] = hide(before) if declared.secret else self.named(declared, before)
            change.after[name] = hide(after) if declared.secret else self.named(declared, after)
            why = declared.fixed(item.current, before, after, self.references.idents(item)) if declared.fixed else ""
            if why:
                reasons.append(why)
            if why or declared.immutable:
                fixed.append(name)
        for name in item.type.identity:
            target = item.resolved.get(name)
            if isinstance(target, Item) and target in self.references.replaced:
                fixed.append(name)
                change.fields.append(name)
        broken = item.type.broken(item.current) if item.type.broken else None
        if broken:
            change.action, change.reason = "replace", broken[0]
            self.references.replaced.add(item)
            # What failed when this document made it holds nothing that could be lost.
            if not self.replace and (broken[1] or not self.reader.is_owned(item.type, item.current)):
                self.problems.append(
                    item.problem(
                        ensure_stop(f"{broken[0][0].upper()}{broken[0][1:]}"),
                        "Set replace: true to make it anew, or mend it.",
                    )
                )
            return change
        if not change.fields:
            return change
        change.action = "update"
        if fixed:
            change.action = "replace"
            self._carry_over(item, change)
            change.reason = "; ".join(reasons) or f"{', '.join(fixed)} cannot be changed in place"
            self.references.replaced.add(item)
            if not self.replace:
                self.problems.append(
                    item.problem(
                        f"{change.reason[0].upper()}{change.reason[1:]}: "
                        + ", ".join(
                            f"{name} is {change.before.get(name)!r}, wanted {change.after.get(name)!r}"
                            for name in fixed
                        )
                        + ".",
                        "Set replace: true to remove and make it anew, or take the old value.",
                        fixed[0],
                    )
                )
        return change

    def _carry_over(self, item: Item, change: Change) -> None:
        """Give the new object what the old one has and the entry leaves out; note what hangs on the change and is
        lost."""
        assert item.current is not None
        if not self.replace:
            return
        item.current = self.reader.in_full(item) or item.current
        for declared in item.type.fields:
            hidden = (declared.secret or declared.write_only) and not declared.read
            if declared.name in item.resolved or hidden or declared.name in item.type.derived:
                continue
            value = read_field(declared, item.current)
            if declared.name == LABELS and value:
                value = [tag for tag in value if not tag.startswith(MARK)]
            if isinstance(value, dict):
                value = {key: element for key, element in value.items() if not key.startswith(MARK)}
            if value in (None, "", [], {}) or value in (declared.default, default_of(declared.default, self.cloud)):
                continue
            if declared.name in item.type.not_carried:
                change.lost[declared.name] = self.named(declared, value)
            elif (
                declared.export or declared.secret or declared.key == item.type.id_key
            ) and value not in declared.unsaid:
                item.resolved[declared.name] = self._as_entries(declared, value)

    def _as_entries(self, declared: Field, value: Any) -> Any:
        """A value of the cloud for a new object: entries for what the document has, nothing of what leaves."""
        if isinstance(value, list):
            found = [self._as_entries(declared, element) for element in value]
            return [element for element in found if element is not None]
        if isinstance(value, dict) and declared.keys:
            parts = {key.name: self._as_entries(key, value[key.name]) for key in declared.keys if key.name in value}
            return {name: part for name, part in parts.items() if part is not None}
        if not declared.ref or not isinstance(value, str):
            return value
        if self.leaves(declared.ref, value):
            return None
        return next((entry for entry in self.own[declared.ref] if entry.id == value), value)

    def compare(self, item: Item, declared: Field, value: Any) -> tuple[Any, Any]:
        """A field's present and wanted value, in one form."""
        assert item.current is not None
        if declared.compare:
            return declared.compare(item.current, self.references.ident(value), self.references.idents(item))
        before = read_field(declared, item.current)
        after = canonical(declared, self.references.ident(value))
        if declared.kind == "dict":
            if declared.merge:
                before = {key: (before or {}).get(key) for key in after}
            elif isinstance(before, dict):
                before = {key: element for key, element in before.items() if not key.startswith(MARK)}
        if declared.name == LABELS and isinstance(before, list):
            before = [tag for tag in before if not tag.startswith(MARK)]
        if before is None and after in ("", [], {}):
            before = after
        return before, after

    def review(self, changes: list[Change]) -> list[Loss]:
        """Read again what was written, and compare it with what was asked for. Entries hold what the cloud holds
        afterwards.

        Services answer well to much that they do not keep, or keep otherwise.

        :raises CloudError: a listing is refused.
        """
        self.references.replaced.clear()
        written = [change for change in changes if change.item.current is not None and self._comparable(change.item)]
        for change in written:
            if change.action != "update":
                kind, raw = change.item.type, change.item.current
                assert raw is not None
                others = [
                    other for other in self.state.objects.get(kind.name, []) if other[kind.id_key] != raw[kind.id_key]
                ]
                self.state.put(kind, [*others, raw])
        # What is told of an object may have come with the change of another: a port's server, say.
        told = [
            item for item in self.items if changes and item.type.tells and item.current is not None and not item.absent
        ]
        again = list(dict.fromkeys([*(change.item for change in written), *told]))
        names = needed_names(again, False)
        self.reader.list_all({kind: names[kind] for kind in {item.type.name for item in again}})
        for item in told:
            item.current = self.state.by_id[item.type.name].get(item.id, item.current)
        return [loss for change in written for loss in self._lost(change)]

    @staticmethod
    def _comparable(item: Item) -> list[str]:
        """Fields of an entry that the service could keep otherwise than asked."""
        if not item.type.reread:
            return []
        return [
            name
            for name in item.resolved
            if item.type.field(name).reread
            and not item.type.field(name).write_only
            and (name not in item.type.identity or item.wanted_id)
        ]

    def _lost(self, change: Change) -> list[Loss]:
        item = change.item
        raw = self.state.by_id[item.type.name].get(item.id)
        if raw is None:
            return []
        item.current = raw
        found = []
        for name in self._comparable(item):
            declared = item.type.field(name)
            before, after = self.compare(item, declared, item.resolved[name])
            if before != after:
                shown = [HIDDEN if declared.secret else self.named(declared, side) for side in (after, before)]
                found.append(Loss(change, name, *shown))
        return found

    def named(self, declared: Field, value: Any) -> Any:
        """A value with names for ids, for people."""
        if isinstance(value, Item):
            return value.title
        if isinstance(value, list):
            if declared.keys:
                return [
                    {
                        key.name: self.named(key, element[key.name])
                        for key in declared.keys
                        if isinstance(element, dict) and element.get(key.name) is not None
                    }
                    for element in value
                ]
            return [self.named(declared, element) for element in value]
        return self.state.name_of(declared.ref, value) if declared.ref and isinstance(value, str) else value

    def _wanted(self, item: Item) -> dict[str, Any]:
        return {
            name: hide(value)
            if item.type.field(name).secret
            else self.named(item.type.field(name), self.references.ident(value))
            for name, value in item.resolved.items()
        }

    def _shown(self, item: Item) -> dict[str, Any]:
        assert item.current is not None
        values = {
            declared.name: (declared, read_field(declared, item.current))
            for declared in item.type.fields
            if not declared.secret
        }
        return {
            name: self.named(declared, value)
            for name, (declared, value) in values.items()
            if value not in (None, "", [], {})
        }

    def described(self, item: Item) -> dict[str, Any]:
        """An entry as it is after the run, or would be after a check: its identifier and its fields without secrets."""
        values = self._shown(item) if item.current is not None else {}
        wanted = {
            name: value
            for name, value in self._wanted(item).items()
            if not item.type.field(name).secret and not item.type.field(name).write_only
        }
        return {"id": item.id, **values, **wanted}

    def _pruned(self) -> list[Change]:
        claimed = {(item.type.name, item.id) for item in self.items}
        result = []
        for kind in TYPES:
            for raw in self.state.objects.get(kind.name, []) if kind.mark and not kind.singleton else []:
                ident = str(raw[kind.id_key])
                if (kind.name, ident) in claimed or not self.reader.is_owned(kind, raw):
                    continue
                values = {
                    name: self.named(kind.field(name), read_field(kind.field(name), raw)) for name in kind.identity
                }
                item = Item(kind, "(pruned)", values, absent=True, current=raw, id=ident)
                result.append(Change("delete", item, before=self._shown(item), reason="no longer in the document"))
        return result
