#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: configuration
short_description: Write all configuration files of a host as one transaction
description:
  - Renders, compares and validates every given file, and writes only if all of them are good.
  - Writes are atomic. What a transaction replaces is kept below C(/var/lib/stackwright/generations).
  - Options of OpenStack services are checked against the definitions that the installed service itself carries.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Compares and validates, and writes nothing."}
  diff_mode: {support: full, description: "Shows the difference of every file, secrets masked. Text that is not
    C(public) is counted only."}
  idempotent: {support: full, description: "A file that is as described is left alone."}
options:
  files:
    description:
      - What each path is to be. Keys are absolute paths.
      - Each value has one of C(content) (text), C(options) (section, option, value; a list or mapping is written as the
        option's type
        wants it where there are C(definitions)), C(link) (target), or C(hosts) (names and addresses, for a block in a
        file like
        C(/etc/hosts) whose other lines are left alone; C(lines) adds to it), and optionally C(state)
        (V(file), V(directory), V(link), V(absent)), C(owner), C(group), C(mode) (octal digits in quotes),
        C(units) (that read the file), C(public) (the text may be shown in differences), C(validate) (a command with
        C(%s) for the file), C(definitions) (namespaces of option definitions) and C(free_sections) (not checked).
    type: dict
    required: true
  secrets:
    description: Values that must not show in results, differences or logs, in whatever form a file holds them.
    type: list
    elements: str
    default: []
  packages_pending:
    description: The packages that own the files are not installed yet; only meaningful in check mode.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: The service is configured
  stackwright.cloud.configuration:
    files:
      /etc/nova/nova.conf:
        options: {DEFAULT: {debug: false}}
        definitions: [nova.conf, oslo.log]
        group: nova
        mode: "0640"
        units: [nova-api]
"""

RETURN = r"""
changed_files:
  description: Paths that were written or would be.
  type: list
  elements: str
  returned: always
restart:
  description: Units that read a changed file.
  type: list
  elements: str
  returned: always
generation:
  description: Directory that keeps what was replaced; empty if nothing was.
  type: str
  returned: success
problems:
  description: One sentence for each reason why nothing was written.
  type: list
  elements: str
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.service import configuration, masking


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "dict", "required": True},
            "secrets": {"type": "list", "elements": "str", "no_log": True, "default": []},
            "packages_pending": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
        no_log=True,
    )
    pending = module.params["packages_pending"] and module.check_mode
    secrets = module.params["secrets"]
    module.no_log_values.update(masking.words(secrets))
    # The arguments would be shown with -vvv, and hold every secret of the host.
    invocation = {
        "module_args": {"files": sorted(module.params["files"]), "packages_pending": module.params["packages_pending"]}
    }
    try:
        files = [configuration.from_data(path, data) for path, data in module.params["files"].items()]
        for file in files:
            module.no_log_values.update(masking.words(configuration.secrets_in(file)))
        outcome = configuration.apply(files, module.check_mode, pending)
    except configuration.ConfigurationError as error:
        module.fail_json(
            msg=f"The configuration was refused: {error.problems[0]}"
            + (f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""),
            problems=error.problems,
            hint="Correct the named files' options in the inventory (config overrides) and run again.",
            invocation=invocation,
        )
    except (ValueError, RuntimeError, OSError) as error:
        module.fail_json(msg=f"The configuration could not be applied: {error}", invocation=invocation)
    for file in outcome.files:
        module.no_log_values.update(masking.words(configuration.secrets_in(file)))
    texts = [
        configuration.shown(file, change, secrets) for file, change in zip(outcome.files, outcome.changes, strict=True)
    ]
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(
        changed=bool(outcome.changes),
        changed_files=[change.path for change in outcome.changes],
        restart=outcome.units,
        generation=outcome.generation,
        diff=[
            {
                "before_header": change.path,
                "after_header": change.path,
                "before": before,
                "after": after,
            }
            for change, (before, after) in zip(outcome.changes, texts, strict=True)
        ],
        invocation=invocation,
    )


if __name__ == "__main__":
    main()
