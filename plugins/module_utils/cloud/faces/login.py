"""What the modules have in common: options of the login, masking of secrets, and how a result or an error is handed
over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.converge import Options, converge
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.document import secrets_of
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean

LOGIN_OPTIONS: dict[str, dict[str, Any]] = {
    "cloud": {"type": "str"},
    "auth": {"type": "dict", "no_log": True},
    "auth_type": {"type": "str"},
    "region_name": {"type": "str"},
    "interface": {"type": "str", "default": "public", "choices": ["public", "internal", "admin"]},
    "validate_certs": {"type": "bool", "default": True, "aliases": ["verify"]},
    "ca_cert": {"type": "path", "aliases": ["cacert"]},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path"},
    "api_timeout": {"type": "float", "default": 60},
    "endpoint_overrides": {"type": "dict", "default": {}},
}
RUN_OPTIONS: dict[str, dict[str, Any]] = {
    "parallel": {"type": "int", "default": 8},
    "wait": {"type": "bool", "default": True},
    "timeout": {"type": "float", "default": 600},
    "replace": {"type": "bool", "default": False},
}


def login_of(arguments: dict[str, Any]) -> Login:
    """The login that a module's arguments describe."""
    return Login(
        cloud=arguments["cloud"] or "",
        auth=arguments["auth"] or {},
        auth_type=arguments["auth_type"] or "",
        region_name=arguments["region_name"] or "",
        interface=arguments["interface"],
        validate_certs=arguments["validate_certs"],
        ca_cert=arguments["ca_cert"] or "",
        client_cert=arguments["client_cert"] or "",
        client_key=arguments["client_key"] or "",
        timeout=arguments["api_timeout"],
        endpoint_overrides=arguments["endpoint_overrides"],
    )


# What of a login is no secret. All else is: plug-ins for logins have ever more names for what proves who one is.
HARMLESS = re.compile(
    r"auth_url|username|system_scope|(.*_)?(name|id)|auth_type|auth_methods|protocol|identity_provider|.*_endpoint"
)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list | tuple):
        return [text for one in value for text in _texts(one)]
    return [] if value is None or isinstance(value, bool) else [str(value)]


def secret_words(auth: Mapping[str, Any], document: Any) -> set[str]:
    """The secrets of a login and a document, and no more: marked as a whole, every name in them would be masked."""
    words = {text for key, value in auth.items() if not HARMLESS.fullmatch(key) for text in _texts(value) if text}
    return words | secrets_of(document)


def mask(module: AnsibleModule, document: Any) -> None:
    """Mask what is secret of a module's login and document."""
    words = secret_words(module.params["auth"] or {}, document)
    if module.params["client_key"]:
        words.add(str(module.params["client_key"]))
    module.no_log_values.clear()
    module.no_log_values.update(words)


def finish(module: AnsibleModule, document: Any, options: Options) -> None:
    """Apply a document and end the module."""
    mask(module, document)
    result, failure = converge(login_of(module.params), document, options)
    for warning in result.pop("warnings"):
        module.warn(clean(warning))
    if failure is not None:
        module.fail_json(msg=str(failure), **result)
    module.exit_json(**result)


def run_cloud_state() -> None:
    """Entry point of the module cloud_state."""
    module = AnsibleModule(
        argument_spec={
            **LOGIN_OPTIONS,
            **RUN_OPTIONS,
            "document": {"type": "dict", "required": True, "no_log": True},
            "defaults": {
                "type": "dict",
                "options": {
                    "project": {"type": "raw"},
                    "domain": {"type": "raw"},
                    "tags": {"type": "list", "elements": "str"},
                },
            },
            "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
            "owner": {"type": "str"},
            "prune": {"type": "str", "default": "none", "choices": ["none", "owned"]},
            "ledger": {"type": "path"},
        },
        supports_check_mode=True,
    )
    arguments = module.params
    options = Options(
        state=arguments["state"],
        owner=arguments["owner"] or "",
        prune=arguments["prune"],
        replace=arguments["replace"],
        ledger=arguments["ledger"] or "",
        parallel=arguments["parallel"],
        wait=arguments["wait"],
        timeout=arguments["timeout"],
        check=module.check_mode,
        defaults=arguments["defaults"],
    )
    finish(module, arguments["document"], options)
