"""Connection to a cloud's APIs with credentials that stay in memory."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import authorities, progress

# openstacksdk and keystoneauth have a root of exceptions each; those of requests are OSErrors
API_ERRORS: tuple[type[Exception], ...]
# a catalogue without the service that is asked for
MISSING_ERRORS: tuple[type[Exception], ...]
openstack: Any
try:
    openstack = importlib.import_module("openstack")
    _login = importlib.import_module("keystoneauth1.exceptions")
    API_ERRORS = (OSError, openstack.exceptions.SDKException, _login.ClientException)
    MISSING_ERRORS = (_login.EndpointNotFound,)
except ImportError:
    openstack = None
    API_ERRORS, MISSING_ERRORS = (OSError,), ()

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
    "cloud": {"type": "str"},
    "auth": {"type": "dict", "options": AUTH},
    "region_name": {"type": "str"},
    "interface": {"type": "str", "default": "public", "choices": ["public", "internal", "admin"]},
    "ca_cert": {"type": "path"},
}


class SdkError(Exception):
    """An API cannot be used; the text says what was being done, where, what went wrong and what to do."""


def first_line(error: BaseException) -> str:
    """First non-empty line of an error's text, or its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def place(arguments: dict[str, Any]) -> str:
    """Where a login goes to: the address of the identity service, or the name of the cloud."""
    return (
        f"cloud {arguments['cloud']}" if arguments.get("cloud") else str((arguments.get("auth") or {}).get("auth_url"))
    )


def connect(arguments: dict[str, Any]) -> Any:
    """Connect with the arguments of :data:`ARGUMENTS` and fetch a token.

    A login of ``clouds.yaml`` is read where ``cloud`` names one; no other file and no environment variable is.

    Raises :class:`SdkError` when openstacksdk is missing, the identity service does not answer or refuses.
    """
    named, auth = arguments.get("cloud") or "", arguments.get("auth") or {}
    if not named and not auth:
        raise SdkError("there is no login: give auth, or cloud with the name of one in clouds.yaml")
    if openstack is None:
        raise SdkError(
            "openstacksdk is not installed for this Python; use the project's virtual environment, or set verify_from "
            "to a host with the package python3-openstacksdk"
        )
    try:
        given = {
            "auth": auth,
            "region_name": arguments.get("region_name"),
            "cacert": authorities.as_file(arguments.get("ca_cert") or ""),
        }
        cloud = openstack.connect(
            cloud=named or None,
            **{name: value for name, value in given.items() if value},
            interface=arguments.get("interface"),
            load_yaml_config=bool(named),
            load_envvars=False,
            app_name="stackwright",
        )
        # the cloud's own addresses: a proxy that the environment names for the world outside does not know them
        cloud.session.session.trust_env = False
        cloud.authorize()
    except API_ERRORS as error:
        raise SdkError(
            f"cannot get a token for user {auth.get('username')} from {place(arguments)}: {first_line(error)}. "
            "Check that keystone answers there and that the password in the inventory is the one in the cloud."
            if not named
            else f"cannot get a token from {place(arguments)}: {first_line(error).rstrip('.')}. Check its "
            f"entry in clouds.yaml."
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
