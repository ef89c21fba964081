# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)
"""Mitogen's linear strategy under this collection's name, so that one setting switches it on."""

from __future__ import annotations

DOCUMENTATION = r"""
name: mitogen
short_description: Runs tasks through Mitogen, where it is installed
version_added: 0.1.0
description:
  - Keeps one Python process on every host instead of starting one for each task.
  - An accelerator to opt in to with C(ANSIBLE_STRATEGY=stackwright.cloud.mitogen). Nothing depends on it, and
    ansible-core has
    announced that it will stop supporting third-party strategies.
author: The Stackwright developers
"""

from ansible.errors import AnsibleError

try:
    from ansible_mitogen import loaders
    from ansible_mitogen.strategy import StrategyMixin
except ImportError as error:
    raise AnsibleError(
        f"The strategy stackwright.cloud.mitogen needs Mitogen, which cannot be imported ({error}). Install it with "
        "'.venv/bin/python -m pip install --requirement requirements-mitogen.txt', or unset ANSIBLE_STRATEGY."
    ) from error


class StrategyModule(StrategyMixin, loaders.strategy_loader.get("linear", class_only=True)):  # type: ignore[misc]
    """ansible-core's linear strategy over Mitogen's connections."""
