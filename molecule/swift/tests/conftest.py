"""Tests run on the hosts that they are about, and on no others: none is skipped, and one without a host is an error."""

from __future__ import annotations

import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "of(name): the host or group that a test is about")


def concerned(item):
    """Whether a test is about the host that it is to run on."""
    own = item.callspec.params["_testinfra_host"].ansible.get_variables()
    return all(mark.args[0] in (own["inventory_hostname"], *own["group_names"]) for mark in item.iter_markers("of"))


def pytest_collection_modifyitems(config, items):
    kept = [item for item in items if concerned(item)]
    lost = {item.originalname for item in items} - {item.originalname for item in kept}
    if lost:
        raise pytest.UsageError(f"no host of this scenario is what these are about: {', '.join(sorted(lost))}")
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
