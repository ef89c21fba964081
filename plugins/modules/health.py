#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Ansible module: wait until a host's endpoints, ports and units are healthy."""

from __future__ import annotations

DOCUMENTATION = r"""
module: health
short_description: Wait until endpoints, ports and systemd units of a host are healthy
version_added: 0.1.0
description:
  - Does any number of checks on the host in parallel and repeats them until all pass in the same round, or until
    nothing more came up for O(timeout) seconds.
  - A unit is healthy when systemd calls it active and has done so for O(settle) seconds. One that systemd had to
    restart
    must stay active for O(settle_restarted) seconds, so that a unit that keeps crashing does not pass between two
    crashes.
  - A stopped unit that an active socket starts when somebody connects counts as healthy.
  - A unit that is missing, masked, stopped or failed for good ends the waiting at once.
  - A failure names every failed check with its last cause, and quotes the journal of the unit concerned.
author:
  - The Stackwright developers
options:
  checks:
    description: The checks. Each holds O(checks[].url), O(checks[].port), O(checks[].command) or O(checks[].unit).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name in messages; the URL, address or unit otherwise.
        type: str
      url:
        description: HTTP or HTTPS address to fetch, from the host itself. Redirects and proxies are not followed.
        type: str
      status:
        description: HTTP status codes that count as healthy. Any from 200 to 399 when left out.
        type: list
        elements: int
      contains:
        description: Text that the body of an HTTP answer, or the answer of a TCP server, must contain.
        type: str
      send:
        description: Text that a TCP server is sent before it is listened to for O(checks[].contains).
        type: str
      ca:
        description: File with the certificate authorities that may vouch for an HTTPS server; the system's otherwise.
        type: path
      certificate:
        description: File with the certificate that a server has to show over TLS, and no other.
        type: path
      client:
        description:
          - Directory with C(certificate.pem) and C(key.pem), by which a TCP server is asked over TLS. Needs
            O(checks[].ca).
        type: path
      host:
        description: Host name or address of a TCP check.
        type: str
        default: 127.0.0.1
      port:
        description: TCP port that must accept a connection and, with O(checks[].contains), answer on it.
        type: int
      command:
        description:
          - Command and arguments that look themselves, without a shell. Exit status 0 is well; 3 says that something is
            missing that is there twice, so that it serves all the same; any other, that it does not. What it prints is
            told.
        type: list
        elements: str
      unit:
        description:
          - systemd unit that must be active. C(.service) may be left out.
          - Beside O(checks[].url), O(checks[].port) or O(checks[].command), the unit whose journal explains a failure.
        type: str
      log:
        description: Log file of the service, whose last lines explain a failure beside the journal.
        type: path
      timeout:
        description: Seconds one try of this check may take.
        type: float
        default: 5
  units:
    description: Names of further units that must be active.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds that go by without anything coming up that had not been up before, until the waiting is given up. V(0)
        tries once.
    type: float
    default: 60
  interval:
    description: Seconds between two rounds.
    type: float
    default: 1
  settle:
    description: Seconds a unit must have been active.
    type: float
    default: 2
  settle_restarted:
    description: Seconds a unit must have been active that systemd has restarted since it was last started on purpose.
    type: float
    default: 15
attributes:
  check_mode:
    description: Reads only, so it does the same in check mode.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Wait until the image service answers
  stackwright.cloud.health:
    timeout: 120
    checks:
      - unit: glance-api
      - name: image API
        url: https://203.0.113.10:9292/healthcheck
        status: [200]
        unit: glance-api
      - name: database
        host: 203.0.113.10
        port: 3306
"""

RETURN = r"""
checks:
  description: Every check with its outcome.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check.
      type: str
    kind:
      description: V(http), V(tcp), V(command) or V(unit).
      type: str
    target:
      description: URL, address, command or unit.
      type: str
    ok:
      description: Whether it passed in the last round.
      type: bool
    cause:
      description: Why it failed; empty when it passed.
      type: str
    evidence:
      description: Last lines of the journal of the unit concerned.
      type: list
      elements: str
    degraded:
      description: What is missing although it passed; empty otherwise.
      type: str
degraded:
  description: What is missing although everything serves, a sentence each.
  returned: always
  type: list
  elements: str
rounds:
  description: How often the checks were repeated.
  returned: always
  type: int
seconds:
  description: How long it took.
  returned: always
  type: float
summary:
  description: What was found, for people.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.stackwright.cloud.plugins.module_utils.service import face
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import phases


def main() -> None:
    """Entry point."""
    face.run(phases.MORE["health"])


if __name__ == "__main__":
    main()
