"""Files of variables that Ansible never reads are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.common import vars_files


@pytest.mark.parametrize(
    ("files", "taken", "ignored"),
    [
        (["group_vars/all/secrets.yml", "group_vars/all.yml"], "group_vars/all", ["group_vars/all.yml"]),
        (
            ["group_vars/controller.yml", "group_vars/controller.yaml"],
            "group_vars/controller.yml",
            ["group_vars/controller.yaml"],
        ),
        (
            ["host_vars/web.example.org/a.yml", "host_vars/web.example.org.yml"],
            "host_vars/web.example.org",
            ["host_vars/web.example.org.yml"],
        ),
        (
            ["group_vars/x", "group_vars/x.yml", "group_vars/x.json"],
            "group_vars/x",
            ["group_vars/x.yml", "group_vars/x.json"],
        ),
        (["group_vars/all/main.yml", "group_vars/all/secrets.yml", "host_vars/a.yml", "host_vars/b.yml"], "", []),
    ],
)
def test_files_that_another_one_hides(tmp_path: Path, files: list[str], taken: str, ignored: list[str]) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("a: 1\n")
    found = vars_files.below([tmp_path, tmp_path])
    assert [(case.taken, case.ignored) for case in found] == (
        [(tmp_path / taken, tuple(tmp_path / one for one in ignored))] if taken else []
    )
    assert all(str(case.ignored[0]) in case.mend or "Keep one" in case.mend for case in found)
