"""A module that is one phase, or several: how arguments come in and results go out."""

from __future__ import annotations

from collections.abc import Iterable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.service.phases import Context, Phase, PhaseError


def context_of(module: AnsibleModule) -> Context:
    """How the module's phases are done."""

    def mask(values: Iterable[str]) -> None:
        module.no_log_values.update(values)

    return Context(module.check_mode, mask, module.warn)


def run(phase: Phase, secret: bool = False) -> None:
    """Be the module of one phase, and end. :param secret: the arguments are not for the host's log."""
    module = AnsibleModule(argument_spec=phase.spec, supports_check_mode=True, no_log=secret)
    try:
        result = phase.run(module.params, context_of(module))
    except PhaseError as error:
        module.fail_json(**error.result)
    module.exit_json(**result)
