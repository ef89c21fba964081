"""Differences of the hardening hide the text of files that the host's own accounts may not read."""

from __future__ import annotations

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.journal import is_secret


@pytest.mark.parametrize(
    ("path", "mode", "hidden"),
    [
        ("/etc/shadow", 0o640, True),
        ("/etc/shadow-", 0o644, True),
        ("/etc/gshadow-", 0o640, True),
        ("/etc/sssd/sssd.conf", 0o600, True),
        ("/etc/grub.d/41_stackwright-password", 0o755, True),
        ("/etc/sudoers.d/operators", 0o440, True),
        ("/etc/some-service.conf", 0o640, True),
        ("/etc/some-service.conf", 0o644, False),
        ("/etc/some-service.conf", None, False),
        ("/etc/ssh/sshd_config.d/10-own.conf", 0o600, False),
        ("/etc/audit/rules.d/a.rules", 0o640, False),
    ],
)
def test_what_is_closed_to_others_is_not_shown(path: str, mode: int | None, hidden: bool) -> None:
    assert is_secret(path, mode) is hidden


def test_the_difference_of_a_closed_file_tells_only_that_it_changes(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "etc").mkdir()
    for name, mode in (("closed", 0o640), ("open", 0o644)):
        (tmp_path / "etc" / name).write_text("word = before\n")
        (tmp_path / "etc" / name).chmod(mode)
    host = Host(str(tmp_path))
    for name in ("closed", "open"):
        host.write(f"/etc/{name}", "word = after\n")
    shown = {part["after_header"]: part for part in host.diff()}
    assert shown["/etc/closed"]["after"] == "(secret, changed)\n" and "word = after" in shown["/etc/open"]["after"]
