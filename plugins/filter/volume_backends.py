"""The filter volume_backends."""

from __future__ import annotations

DOCUMENTATION = r"""
name: volume_backends
short_description: What the back ends of the block storage service come to
description: Works C(cinder_backends) out to options of C(cinder.conf), packages, and directories to be mounted.
author: The Stackwright developers (@stackwright)
options:
  _input: {description: "Back ends by their names, as in C(cinder_backends).", type: dict, required: true}
"""

EXAMPLES = r"""
sections: "{{ (cinder_backends | stackwright.cloud.volume_backends).options }}"
"""

RETURN = r"""
_value:
  description: The C(names), the C(options) by section, C(packages), C(mounts), pairs of a directory and its place, and
    C(ceph_pools).
  type: dict
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.stackwright.cloud.plugins.module_utils.service import volume_backends


def work_out(backends: Any) -> dict[str, Any]:
    """The back ends worked out, as plain data."""
    try:
        found = asdict(volume_backends.worked_out(backends))
    except volume_backends.BackendError as error:
        raise AnsibleFilterError(f"volume_backends: {error}") from None
    return {**found, "mounts": [list(pair) for pair in found["mounts"]]}


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Its name and function."""
        return {"volume_backends": work_out}
