"""Connection to a cloud's APIs with credentials that stay in memory."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import progress

# openstacksdk and keystoneauth have a root of exceptions each; those of requests are OSErrors
API_ERRORS: tuple[type[Exception], ...]
openstack: Any
try:
    openstack = importlib.import_module("openstack")
    API_ERRORS = (
        OSError,
        openstack.exceptions.SDKException,
        importlib.import_module("keystoneauth1.exceptions").ClientException,
    )
except ImportError:
    openstack = None
    API_ERRORS = (OSError,)

AUTH: dict[str, Any] = {
    "auth_url": {"type": "str", "required": True},
    "username": {"type": "str", "required": True},
    # only the password: a whole dictionary that is not logged would blot out "admin" and "Default" in every message
    "password": {"type": "str", "required": True, "no_log": True},
    "project_name": {"type": "str", "required": True},
    "user_domain_name": {"type": "str", "default": "Default"},
    "project_domain_name": {"type": "str", "default": "Default"},
}
ARGUMENTS: dict[str, Any] = {
    "auth": {"type": "dict", "required": True, "options": AUTH},
    "region_name": {"type": "str"},
    "interface": {"type": "str", "default": "public", "choices": ["public", "internal", "admin"]},
    "ca_cert": {"type": "path"},
}


class CloudError(Exception):
    """An API cannot be used; the text says what was being done, where, what went wrong and what to do."""


def first_line(error: BaseException) -> str:
    """First non-empty line of an error's text, or its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def connect(arguments: dict[str, Any]) -> Any:
    """Connect with the arguments of :data:`ARGUMENTS` and fetch a token; no file or environment variable is read.

    Raises :class:`CloudError` when openstacksdk is missing, the identity service does not answer or refuses.
    """
    auth = arguments["auth"]
    where = auth.get("auth_url", "(no auth_url)")
    if openstack is None:
        raise CloudError(
            "openstacksdk is not installed for this Python; use the project's virtual environment, or set verify_from "
            "to a host with the package python3-openstacksdk"
        )
    try:
        cloud = openstack.connect(
            auth=auth,
            region_name=arguments.get("region_name"),
            interface=arguments.get("interface"),
            cacert=arguments.get("ca_cert"),
            load_yaml_config=False,
            load_envvars=False,
            app_name="stackwright",
        )
        # the cloud's own addresses: a proxy that the environment names for the world outside does not know them
        cloud.session.session.trust_env = False
        cloud.authorize()
    except API_ERRORS as error:
        raise CloudError(
            f"cannot get a token for user {auth.get('username')} from {where}: {first_line(error)}. "
            "Check that keystone answers there and that the password in the inventory is the one in the cloud."
        ) from None
    return cloud


class Steps:
    """Times named steps and keeps what each found, for the result and the summary."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.done: list[dict[str, Any]] = []

    def run(self, name: str, action: Callable[[], str | None]) -> None:
        """Do one step; its return value is the detail shown. An exception is recorded and passed on."""
        start = self._now()
        entry: dict[str, Any] = {"name": name, "ok": False, "seconds": 0.0, "detail": ""}
        self.done.append(entry)
        progress.tell(name)
        try:
            entry["detail"] = action() or ""
            entry["ok"] = True
        except BaseException as error:
            entry["detail"] = first_line(error)
            raise
        finally:
            entry["seconds"] = round(self._now() - start, 1)

    def lines(self) -> list[str]:
        """One line per step: time, name, detail."""
        return [
            f"{entry['seconds']:6.1f} s  {'' if entry['ok'] else 'FAILED: '}{entry['name']}"
            + (f": {entry['detail']}" if entry["detail"] else "")
            for entry in self.done
        ]
