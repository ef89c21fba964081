"""What the tests may see of whoever runs them: nothing of the home, the shell's logins and settings, locale or time
zone."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time

# Settings of the tools that the tests start or load. What begins so is taken away.
OF_THE_SHELL = ("ANSIBLE_", "GIT_", "LC_", "MOLECULE_", "OS_", "PIP_", "SSH_", "STACKWRIGHT_", "UV_", "XDG_")
ALSO = ("LANG", "LANGUAGE", "PYTHONPATH", "all_proxy", "http_proxy", "https_proxy", "no_proxy")


def leave_the_user_out() -> None:
    """Give this process, and what it starts, an empty home of its own, UTF-8 and UTC.

    Called while a conftest is loaded, since Ansible and the SDK read some settings when they are imported.
    """
    for name in list(os.environ):
        if name.startswith(OF_THE_SHELL) or name in ALSO or name.lower() in ALSO:
            del os.environ[name]
    home = tempfile.mkdtemp(prefix="stackwright-tests-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ.update(HOME=home, LC_ALL="C.UTF-8", TZ="UTC")
    time.tzset()
