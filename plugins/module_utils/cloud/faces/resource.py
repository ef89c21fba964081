"""The everyday modules: one resource type each, with options derived from the type's declaration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.converge import Options, converge
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import Problem, as_result
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.login import (
    LOGIN_OPTIONS,
    RUN_OPTIONS,
    login_of,
    mask,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import Field, ResourceType
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_NAME, TYPES
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean

OWN_OPTIONS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "id": {"type": "str"},
}
TAKEN = {
    name
    for key, option in {**LOGIN_OPTIONS, **RUN_OPTIONS, **OWN_OPTIONS}.items()
    for name in (key, *option.get("aliases", ()))
}


def module_types() -> list[ResourceType]:
    """The types that have a module of their own."""
    return [kind for kind in TYPES if not kind.singleton]


def option_name(kind: ResourceType, declared: Field) -> str:
    """The module option for a field: its name, with the type in front where every module has an option of that name."""
    return f"{kind.name}_{declared.name}" if declared.name in TAKEN else declared.name


def option_of(declared: Field) -> dict[str, Any]:
    """How Ansible shall check a field. References are names, identifiers or mappings, so their type is raw."""
    option: dict[str, Any]
    if declared.kind in ("list", "set"):
        option = {"type": "list", "elements": "raw" if declared.ref else "dict" if declared.keys else "str"}
        if declared.keys:
            option["options"] = {
                key.name: {**option_of(key), **({"required": True} if key.required else {})} for key in declared.keys
            }
    else:
        option = {"type": "raw" if declared.ref else declared.kind}
    if declared.choices:
        option["choices"] = list(declared.choices)
    return {**option, "no_log": declared.secret}


def own_arguments(kind: ResourceType) -> dict[str, dict[str, Any]]:
    """The options of a type's module that come from its fields."""
    return {
        option_name(kind, declared): {
            **option_of(declared),
            **({"required": True} if declared.required and declared.name in kind.identity else {}),
        }
        for declared in kind.fields
    }


def wanted_when_present(kind: ResourceType) -> list[str]:
    """Options that only a removal may leave out."""
    return [option_name(kind, d) for d in kind.fields if d.required and d.name not in kind.identity]


def entry_of(kind: ResourceType, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The document entry for a module's arguments."""
    entry = {declared.name: arguments[option_name(kind, declared)] for declared in kind.fields}
    entry |= {"state": arguments["state"], "id": arguments["id"]}
    return {name: value for name, value in entry.items() if value is not None}


def told_by_option(kind: ResourceType, problem: Problem) -> Problem:
    """A problem with the option's name in place of a path in a document."""
    path = re.sub(rf"^{kind.plural}\[0\]\.?", "", problem.where)
    for declared in kind.fields:
        if re.match(rf"{declared.name}\b", path):
            path = option_name(kind, declared) + path.removeprefix(declared.name)
    return Problem(problem.cause, problem.mend, path, problem.about)


def run_resource(name: str) -> None:
    """Entry point of the module of one resource type."""
    kind = BY_NAME[name]
    module = AnsibleModule(
        argument_spec={**LOGIN_OPTIONS, **RUN_OPTIONS, **OWN_OPTIONS, **own_arguments(kind)},
        required_if=[("state", "present", wanted_when_present(kind))],
        supports_check_mode=True,
    )
    arguments = module.params
    document = {kind.plural: [entry_of(kind, arguments)]}
    mask(module, document)
    options = Options(
        replace=arguments["replace"],
        parallel=arguments["parallel"],
        wait=arguments["wait"],
        timeout=arguments["timeout"],
        check=module.check_mode,
        describe=True,
    )
    outcome, failure = converge(login_of(arguments), document, options)
    for warning in outcome["warnings"]:
        module.warn(clean(warning))
    result = {key: outcome[key] for key in ("changed", "changes", "calls", "seconds", "diff")}
    if failure is not None:
        problems = [told_by_option(kind, problem) for problem in failure.problems]
        module.fail_json(
            msg="\n".join(map(str, problems)), errors=[as_result(problem) for problem in problems], **result
        )
    resource: dict[str, Any] = next(iter(outcome["described"]), {})
    module.exit_json(id=resource.get("id", ""), resource=resource, **result)
