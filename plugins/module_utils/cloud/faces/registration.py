"""Services registered with the identity service by the host that carries them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.converge import Options, converge
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.login import secret_words
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean

NO_PROXY = ("no_proxy", "NO_PROXY")


@contextlib.contextmanager
def _without_proxy() -> Iterator[None]:
    """The host's environment may name a proxy, which does not know the cloud's own addresses."""
    before = {name: os.environ.get(name) for name in NO_PROXY}
    os.environ |= dict.fromkeys(NO_PROXY, "*")
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def register(
    auth: Mapping[str, Any], document: Mapping[str, Any], check: bool, ca_cert: str = ""
) -> tuple[set[str], dict[str, Any], str]:
    """Bring the identity service to a document.

    :param auth: the administrator's login.
    :param ca_cert: who vouches for the identity service; the system's own list otherwise.
    :returns: what must not be shown, what was done (as ``cloud_state`` tells it), and why that failed, or nothing.
    """
    # The catalogue is what is written here: it may name no identity service yet, or an outdated address.
    login = Login(auth=auth, ca_cert=ca_cert, endpoint_overrides={"identity": str(auth["auth_url"])})
    with _without_proxy():
        result, failure = converge(login, document, Options(check=check))
    result["warnings"] = [clean(warning) for warning in result["warnings"]]
    return secret_words(auth, document), result, str(failure or "")
