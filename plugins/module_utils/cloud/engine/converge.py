"""The whole way from module arguments to a result, without Ansible."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.change import Change
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.document import parse
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.execute import Executor
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.ledger import Ledger, default_path
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.plan import Planner
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import (
    ApiError,
    CloudError,
    Problem,
    as_result,
    unforeseen,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import Item

# The shortest tags that a service takes have 60 characters.
OWNER = re.compile(r"[A-Za-z0-9._-]{1,40}")


@dataclass(frozen=True)
class Options:
    """How a document is applied."""

    state: str = "present"
    owner: str = ""
    prune: str = "none"
    replace: bool = False
    ledger: str = ""
    parallel: int = 8
    wait: bool = True
    timeout: float = 600.0
    check: bool = False
    # Whether the result holds each resource as it is afterwards.
    describe: bool = False
    # What entries take that they leave out, where the document has no defaults of its own.
    defaults: Any = None


def converge(
    login: Login, document: Any, options: Options, connect: Callable[[Login], Cloud] = Cloud
) -> tuple[dict[str, Any], CloudError | None]:
    """Apply a document. Returns the module's result, and the error that ended it, if one did."""
    started = time.monotonic()
    changes: list[Change] = []
    executor: Executor | None = None
    cloud: Cloud | None = None
    planner: Planner | None = None
    failure: CloudError | None = None
    warnings: list[str] = []
    try:
        items = parse(document, absent=options.state == "absent", defaults=options.defaults)
        if options.prune == "owned" and not options.owner:
            raise CloudError(Problem("prune: owned needs to know whose resources.", "Set the option owner.", "prune"))
        cloud = connect(login)
        ledger = Ledger()
        if options.owner and not OWNER.fullmatch(options.owner):
            what = (
                f"'{options.owner}' cannot be an owner: it becomes part of tags, which services keep short "
                f"and divide by commas."
            )
            raise CloudError(Problem(what, "Take up to 40 letters, digits, dots, dashes and underscores.", "owner"))
        if options.owner:
            ledger = Ledger.load(options.ledger or default_path(options.owner, cloud.auth_url))
        planner = Planner(
            cloud,
            items,
            ledger,
            owner=options.owner,
            prune=options.prune == "owned",
            replace=options.replace,
            parallel=options.parallel,
        )
        changes = planner.plan()
        warnings = planner.warnings
        if not options.check:
            executor = Executor(
                cloud,
                planner,
                parallel=options.parallel,
                wait=options.wait,
                timeout=options.timeout,
            )
            executor.adopt(planner)
            executor.run([change for change in changes if change.action != "unchanged"])
            look_again(planner, executor, changes, options.wait)
    except CloudError as error:
        failure = error
    except ApiError as error:
        failure = CloudError(error.problem())
    except Exception as error:
        failure = CloudError(unforeseen(error))
    real = [change for change in changes if change.action != "unchanged"]
    done = real if options.check or (executor and failure is None) else executor.finished if executor else []
    result = {
        "changed": bool(done),
        "plan": [change.as_dict() for change in real],
        "changes": [change.line for change in done],
        "summary": dict(Counter(change.word for change in changes)),
        "ids": _ids(changes),
        "resources": told(planner, changes) if planner and failure is None else {},
        "calls": cloud.calls if cloud else 0,
        "seconds": round(time.monotonic() - started, 3),
        "warnings": warnings,
        "diff": _diff(done),
        "errors": [as_result(problem) for problem in failure.problems] if failure else [],
    }
    if options.describe and planner and failure is None:
        result["described"] = [
            {**told_of(planner, change.item), **planner.described(change.item)}
            for change in changes
            if not change.item.absent
        ]
    return result, failure


def look_again(planner: Planner, executor: Executor, changes: list[Change], wait: bool) -> None:
    """Compare what the services kept with what was asked for. An update of which nothing was kept is no change.

    :raises CloudError: with all that was not kept.
    """
    written = [
        change
        for change in changes
        if change.action in ("create", "update", "replace")
        and (wait or not (change.item.type.settle or change.item.type.ready))
    ]
    losses = planner.review(written)
    for change in written:
        lost = {loss.name for loss in losses if loss.change is change}
        if change.action == "update" and lost >= set(change.fields):
            executor.finished.remove(change)
    if losses:
        raise CloudError(*(loss.problem for loss in losses))


def _ids(changes: list[Change]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for change in changes:
        item: Item = change.item
        if item.id and not item.absent:
            found.setdefault(item.type.plural, {})[item.title] = item.id
    return found


def told(planner: Planner, changes: list[Change]) -> dict[str, dict[str, dict[str, Any]]]:
    """What later tasks need of every entry, by type and name; by all its names where one does not tell entries
    apart."""
    items = [change.item for change in changes if not change.item.absent]
    names = Counter((item.type.plural, str(item.values.get("name"))) for item in items)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for item in items:
        name = str(item.values.get("name"))
        alone = "name" in item.values and names[(item.type.plural, name)] == 1
        found.setdefault(item.type.plural, {})[name if alone else item.title] = told_of(planner, item)
    return found


def told_of(planner: Planner, item: Item) -> dict[str, Any]:
    """The identifier of an entry's object, empty as long as there is none, and what the service gave it."""
    more = item.type.tells(item.current, planner) if item.type.tells and item.current and item.id else {}
    return {"id": item.id, **more}


def _diff(changes: list[Change]) -> dict[str, Any]:
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for change in changes:
        if change.word != "create":
            before[change.item.label] = change.before
        if change.action != "delete":
            after[change.item.label] = change.after
    return {"before": before, "after": after}
