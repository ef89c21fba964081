"""What unit tests of several topics share: modules run in this process, and stand-ins for a host's programs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.stackwright.cloud.tests import environment
from ansible_collections.stackwright.cloud.tests import stand_ins as programs

environment.leave_the_user_out()


@pytest.fixture
def stand_ins(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[programs.StandIns]:
    """Stand-ins for programs, found first on the search path."""
    # the path of a socket may have 107 bytes, which is less than a test's own directory often takes
    with programs.stand_ins(tmp_path_factory.mktemp("programs")) as present:
        monkeypatch.setenv("PATH", f"{present.directory / 'bin'}{os.pathsep}{os.environ['PATH']}")
        yield present


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Runs a module's ``main`` (or another function that ends as modules do) in this process; returns its answer."""

    def run(module: ModuleType | Callable[[], None], check: bool = False, **options: Any) -> dict[str, Any]:
        main = module.main if isinstance(module, ModuleType) else module
        # Once another test has loaded Ansible's own side into this process, warnings would go to its display.
        on_host = mock.patch("ansible.module_utils._internal.is_controller", False)
        arguments = {"_ansible_check_mode": check, **options}
        with on_host, patch_module_args(arguments), pytest.raises(SystemExit):
            main()
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    return run
