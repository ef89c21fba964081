"""Documentation of the action of the same name; nothing here runs on a target."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stig_report
short_description: Writes the reports of a hardening audit for all hosts at once
version_added: 0.1.0
description:
  - Reads the findings documents of all hosts of the play and writes one HTML page, JSON, JUnit XML and SARIF 2.1.0 for
    the fleet, and the findings, XCCDF 1.2, ARF 1.1 and the STIG Viewer checklists C(.ckl) and C(.cklb) for each host.
  - Compares each host with its newest kept audit and says what is new, still open and fixed.
  - Prints a short summary and then fails, after everything is written, when open findings reach O(fail_on) or when a
    host was not audited. A waived finding is neither passed nor open.
  - Runs once on the control node. Files and directories are readable by their owner only.
author:
  - The Stackwright developers
options:
  hosts:
    description: The hosts that were to be audited. By default those of the play, failed and unreachable ones included.
    type: list
    elements: str
  variable:
    description: The variable of each host that holds its findings document, or the registered result of
      M(stackwright.cloud.stig).
    type: str
    default: __hardening_result
  failure_variable:
    description: The variable of a host that tells why it has no findings, shown in the reports.
    type: str
    default: hardening_failure
  source:
    description:
      - A directory with findings documents, C(<host>.json) each, to read instead of the variables of the hosts.
      - Without O(hosts), every document in it is reported.
    type: path
  directory:
    description:
      - Gets C(reports/), replaced as a whole, and C(history/), the audits to compare with.
      - Without it, C(.stackwright/audit/<name of the inventory>) in the directory that C(ansible-playbook) runs in.
    type: path
  formats:
    description: What to write.
    type: list
    elements: str
    choices: [html, json, junit, sarif, findings, xccdf, arf, ckl, cklb]
    default: [html, json, junit, sarif, findings, xccdf, arf, ckl, cklb]
  fail_on:
    description:
      - The lowest severity whose open findings fail the task. With V(none) findings never do.
      - A host that was not audited fails the task in any case.
    type: str
    choices: [high, medium, low, none]
    default: none
  keep:
    description: How many audits the history keeps.
    type: int
    default: 10
  summary_only:
    description: Whether to print the summary and judge, and to write nothing; neither reports nor history are touched.
    type: bool
    default: false
  reference:
    description:
      - The official STIG, the "manual XCCDF" of its archive. The checklists then carry its vulnerability numbers, rule
        identifiers, CCIs and texts, so that other tools can merge them. Without it they carry the STIG identifiers.
    type: path
attributes:
  check_mode:
    description: The summary and the threshold work as usual; nothing is written.
    support: full
  diff_mode:
    description: Reports are results, not configuration.
    support: none
  idempotent:
    description: Every call is a new audit in the history. The task never reports a change, since no host changes.
    support: none
"""

EXAMPLES = r"""
- name: Write the reports of the audit and fail on findings of high severity
  stackwright.cloud.stig_report:
    fail_on: high
  run_once: true

- name: Make a checklist with the official identifiers from findings that were collected elsewhere
  stackwright.cloud.stig_report:
    source: /srv/audits/today
    directory: /srv/audits/report
    formats: [ckl, cklb, html]
    reference: U_CAN_Ubuntu_24-04_LTS_STIG_Manual-xccdf.xml
"""

RETURN = r"""
reports:
  description: The directory of the reports.
  type: str
  returned: always
paths:
  description: The files for the fleet, by format. Those of a host are in C(hosts/<host>/).
  type: dict
  returned: always
summary:
  description: The lines that were printed.
  type: list
  elements: str
  returned: always
totals:
  description: Counts over all hosts.
  type: dict
  returned: always
  contains:
    hosts:
      description: How many hosts were audited.
      type: int
    not_audited:
      description: How many were not.
      type: int
    statuses:
      description: Findings by status.
      type: dict
    open:
      description: Open findings (failed, or that could not be checked) by severity.
      type: dict
    changes:
      description: Findings by what changed since the earlier audit.
      type: dict
failure:
  description: Why the audit fails; empty when it does not.
  type: str
  returned: always
"""
