"""Files are replaced as a whole, through descriptors, and nothing is done through what belongs to others."""

import inspect
import os
import re
import stat
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import journal

PLUGINS = Path(__file__).parents[3] / "plugins"
SHARED = ["Place", "Refused", "_foreign", "_open_to_others", "opened", "look", "read_at", "write_at"]


@pytest.mark.parametrize("name", SHARED)
def test_the_program_that_is_copied_to_hosts_has_the_same_rules(name):
    assert inspect.getsource(getattr(journal, name)) == inspect.getsource(getattr(files, name))


def test_a_file_is_replaced_with_its_mode_and_missing_directories_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    files.replace(str(path), "one\n", 0o640)
    os.link(path, tmp_path / "handle")
    files.replace(str(path), b"two\n", 0o600)
    assert (path.read_text(), (tmp_path / "handle").read_text()) == ("two\n", "one\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_what_is_written_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    sync, rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda number: done.append("sync") or sync(number))
    monkeypatch.setattr(os, "rename", lambda *names, **more: done.append("rename") or rename(*names, **more))
    files.replace(str(tmp_path / "file"), "x")
    files.replace_own(tmp_path / "other", "x")
    assert done == ["sync", "rename", "sync"] * 2


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def full(*names, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="No space"):
        files.replace_own(path, "new")
    assert (path.read_text(), len(list(tmp_path.iterdir()))) == ("old", 1)


def test_a_link_at_the_path_is_replaced_and_never_followed(tmp_path):
    (tmp_path / "victim").write_text("kept")
    for number, write in enumerate((files.replace, files.replace_own)):
        link = tmp_path / f"link{number}"
        link.symlink_to(tmp_path / "victim")
        write(str(link), "new")
        assert (link.is_symlink(), link.read_text(), (tmp_path / "victim").read_text()) == (False, "new", "kept")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of others")
def test_a_directory_of_somebody_else_is_refused_on_a_host(tmp_path):
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 65534, 65534)
    with pytest.raises(files.Refused, match="belongs to account 65534"):
        files.replace(str(tmp_path / "theirs" / "file"), "secret")
    assert not list((tmp_path / "theirs").iterdir())


def test_own_links_lead_to_own_files(tmp_path):
    (tmp_path / "real").mkdir(mode=0o775)
    (tmp_path / "real").chmod(0o775)
    (tmp_path / "short").symlink_to("real")
    files.replace_own(tmp_path / "short" / "file", "x")
    assert (tmp_path / "real" / "file").read_text() == "x"


def test_drafts_have_names_that_can_be_found_again(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "rename", lambda *names, **more: None)
    files.replace_own(tmp_path / "file", "x")
    assert len(list(tmp_path.glob(files.DRAFTS))) == 1


def test_nobody_else_replaces_files():
    # The journal has its copies; Mitogen's and Podman's own files are not ours; a link is swapped where the
    # configuration is written, the last step of a host needs no disk, and apt's policy is moved away and back. A sealed
    # file is larger than memory may be, and the directory of a lost monitor is moved aside. The program for Keystone's
    # keys is copied to hosts by itself.
    allowed = {"files.py", "journal.py", "configuration.py", "progress.py", "packages.py"}
    allowed |= {"sealed.py", "monitor_store.py", "keystone_keys.py"}
    found = {
        file.name
        for file in PLUGINS.rglob("*.py")
        if re.search(r"os\.(replace|rename)\(|\.mkstemp\(|\.replace\((path|known|target)\)", file.read_text())
    }
    assert found <= allowed
