"""A small Debian-like tree and a host whose programs are functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host

FILES = {
    "etc/os-release": 'ID=debian\nVERSION_ID="13"\n',
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nops:x:1000:1000::/home/ops:/bin/bash\n",
    "etc/group": "root:x:0:\nadm:x:4:\nsudo:x:27:ops\nops:x:1000:\n",
    "etc/shadow": "root:*:20000:0:99999:7:::\nops:!:20000:0:99999:7:::\n",
    "etc/login.defs": "# UMASK is explained here\nUMASK\t\t022\nPASS_MAX_DAYS\t99999\n",
    "var/lib/dpkg/status": "Package: openssh-server\nStatus: install ok installed\nVersion: 1:10\n\n",
}


class Programs:
    """Stands for the host's programs: each call is kept, and answered by prefix."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.answers: dict[str, tuple[int, str]] = {}

    def __call__(self, argv: list[str]) -> tuple[int, str]:
        self.calls.append(argv)
        return next((one for key, one in self.answers.items() if " ".join(argv).startswith(key)), (0, ""))


@pytest.fixture
def programs() -> Programs:
    return Programs()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path


@pytest.fixture
def host(root: Path, programs: Programs) -> Host:
    return Host(str(root), run=programs)


@pytest.fixture
def put(root: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    return write
