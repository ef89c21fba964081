"""The filter database_url."""

from __future__ import annotations

DOCUMENTATION = r"""
name: database_url
short_description: The URL of a database with a login
description: Spells a URL that SQLAlchemy reads back as it was meant, whatever characters the password has.
author: The Stackwright developers (@stackwright)
positional: user, hosts, database
options:
  _input: {description: The password., type: str, required: true}
  user: {description: The user., type: str, required: true}
  hosts: {description: "The address, with a port where it is another than the driver's.", type: raw, required: true}
  database: {description: The database., type: str, default: ""}
  options: {description: "What follows the question mark. By default, the character set is utf8mb4.", type: dict}
  driver: {description: "SQLAlchemy's name of the dialect and its driver.", type: str, default: mysql+pymysql}
  port: {description: The port., type: str, default: ""}
  ca: {description: "File with the authorities that vouch for the server; with it, the driver speaks TLS.", type: str,
    default: ""}
"""

EXAMPLES = r"""
connection: "{{ 'p@ss/w:rd' | stackwright.cloud.database_url('nova', '192.0.2.10', 'nova') }}"
# mysql+pymysql://nova:p%40ss%2Fw%3Ard@192.0.2.10/nova?charset=utf8mb4
"""

RETURN = r"""
_value: {description: The URL., type: str}
"""

from collections.abc import Callable

from ansible_collections.stackwright.cloud.plugins.module_utils.service import urls
from ansible_collections.stackwright.cloud.plugins.plugin_utils.filters import told_of_password


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Its name and function."""
        return {"database_url": told_of_password("database_url", urls.database_url)}
