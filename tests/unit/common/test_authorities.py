"""Certificates as a file, for as long as a process lives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.stackwright.cloud.plugins.module_utils.common import authorities

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def test_a_path_stays_what_it_is_and_a_text_becomes_a_file() -> None:
    assert authorities.as_file("/etc/ca.pem") == "/etc/ca.pem" and authorities.as_file("") == ""
    path = authorities.as_file(PEM)
    assert Path(path).read_text() == PEM and authorities.as_file(PEM) == path


def test_the_file_ends_with_the_process(tmp_path: Path) -> None:
    script = (
        "from ansible_collections.stackwright.cloud.plugins.module_utils.common import authorities\n"
        f"print(authorities.as_file({PEM!r}))"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    assert done.stdout.startswith(str(tmp_path)) and list(tmp_path.iterdir()) == []
