"""Reading what Ansible reads: YAML in which texts may be marked as what tenants wrote."""

from __future__ import annotations

from typing import Any

import yaml


class Reader(yaml.SafeLoader):
    """A loader that knows the mark and takes the text."""


Reader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def read(text: str) -> Any:
    """The value that a text stands for."""
    return yaml.load(text, Loader=Reader)
