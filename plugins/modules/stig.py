#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: stig
short_description: Audit, enforce or roll back STIG-style hardening in one call
description:
  - Judges a host against a catalogue of typed controls, brings it into line, or takes that back.
  - An action plug-in resolves catalogue, parameters and waivers on the control node; the host does the rest in one
    process.
  - Every change is journaled on the host under C(/var/lib/stackwright/hardening) before it is made.
  - Changes to sshd, PAM, accounts, sudo and the firewall hold only after a fresh login over the same path was proved. A
    timer on
    the host undoes them when the control node has gone away.
author: The Stackwright developers
attributes:
  check_mode: {support: full, description: "Audits, and says what an enforcement would change."}
  diff_mode: {support: full, description: "Shows the files before and after, and what is changed beside files."}
  idempotent: {support: full, description: "A host in line is left alone."}
options:
  mode:
    description: What to do.
    type: str
    choices: [audit, enforce, rollback]
    default: audit
  profile:
    description: Name of a profile of the catalogue.
    type: str
    default: stig
  add:
    description: Controls or tags to add to the profile.
    type: list
    elements: str
    default: []
  exclude:
    description: Controls or tags to leave out.
    type: list
    elements: str
    default: []
  parameters:
    description: Values in place of the STIG's own, by parameter name.
    type: dict
    default: {}
  waivers:
    description: Controls whose failure is accepted.
    type: list
    elements: dict
    default: []
    suboptions:
      control:
        description: Identifier of the control.
        type: str
        required: true
      hosts:
        description: Hosts, groups or patterns of them; all hosts when empty.
        type: list
        elements: str
        default: []
      reason:
        description: Why the failure is accepted.
        type: str
      owner:
        description: Who accepts it.
        type: str
      expires:
        description: Last day of the waiver, as in C(2026-12-31).
        type: str
  run:
    description: The run to go back before with O(mode=rollback); the newest when empty.
    type: str
    default: ''
  undo_after:
    description: Seconds after which the host undoes access changes that were not confirmed.
    type: int
    default: 180
  apt_wait:
    description: Seconds to wait for another program that holds the lock of dpkg.
    type: int
    default: 120
  with_controls:
    description: Whether to return the resolved controls as well, for tests and tools.
    type: bool
    default: false
  request:
    description: The resolved request; given by the action plug-in.
    type: dict
"""

EXAMPLES = r"""
- name: The host is judged against the whole STIG
  stackwright.cloud.stig:
    mode: audit
  register: audit

- name: The host is brought into line
  stackwright.cloud.stig:
    mode: enforce
    parameters:
      password_minlen: 16
    waivers:
      - control: UBTU-24-600030
        reason: Debian has no validated cryptographic module
        owner: security@example.org
        expires: "2027-06-30"

- name: The newest enforcement is taken back
  stackwright.cloud.stig:
    mode: rollback
"""

RETURN = r"""
document:
  description: The findings document; see plugins/module_utils/stig/findings.py.
  type: dict
  returned: success
controls:
  description: The controls with their parameters filled in.
  type: list
  elements: dict
  returned: when with_controls is set
problems:
  description: What could not be done, a sentence each.
  type: list
  elements: str
  returned: always
undone:
  description: Groups of access changes that were undone since no fresh login could be proved.
  type: list
  elements: str
  returned: when mode is enforce
kept:
  description:
    - What a rollback left alone, since somebody changed it after the run, with the reason and the place of the former
      content.
    - In check mode, what it would leave alone.
  type: list
  elements: str
  returned: when mode is rollback
changes:
  description: What a rollback did, or would do in check mode, a phrase each.
  type: list
  elements: str
  returned: when mode is rollback
rolled_back:
  description: The runs that were undone, or would be.
  type: list
  elements: str
  returned: when mode is rollback
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import engine, guard, host, journal, resource


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "mode": {"type": "str", "choices": ["audit", "enforce", "rollback"], "default": "audit"},
            "profile": {"type": "str", "default": "stig"},
            "add": {"type": "list", "elements": "str", "default": []},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "parameters": {"type": "dict", "default": {}},
            "waivers": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "control": {"type": "str", "required": True},
                    "hosts": {"type": "list", "elements": "str", "default": []},
                    "reason": {"type": "str"},
                    "owner": {"type": "str"},
                    "expires": {"type": "str"},
                },
            },
            "run": {"type": "str", "default": ""},
            "undo_after": {"type": "int", "default": 180},
            "apt_wait": {"type": "int", "default": 120},
            "with_controls": {"type": "bool", "default": False},
            "request": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    request = module.params["request"]
    if request is None:
        module.fail_json(
            msg="stig is called through its action plug-in, which resolves the catalogue; this call had none."
        )
    try:
        outcome = engine.carry_out({**request, "check_mode": module.check_mode})
    except (resource.EngineError, guard.GuardError, journal.JournalError, host.HostError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"Hardening stopped: {error.filename or 'a file'}: {error.strerror}. "
            "What was changed is in the journal; mode rollback takes it back."
        )
    if not module._diff:
        outcome.pop("diff")
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
