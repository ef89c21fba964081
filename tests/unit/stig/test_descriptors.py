"""Root works on what it saw, never on what somebody puts in its place: directories, links and names of other
accounts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import engine, files, journal
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host

Put = Callable[[str, str], Path]
NOBODY = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has other accounts' directories to be careful in")


def begin(root: Path) -> journal.Journal:
    one = journal.Journal("20260101T000000000000Z", str(root))
    one.begin({"time": "t", "profile": "stig"})
    return one


def undo(one: journal.Journal) -> list[str]:
    return one.undo(tool=lambda argv: (0, ""))


def theirs(*paths: Path) -> None:
    for path in paths:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


@pytest.fixture
def service(root: Path, put: Put) -> Path:
    """A directory of a service below /var/log, with a log that everybody can read; /etc/shadow is closed."""
    put("/bin/tool", "#!/bin/sh\n").chmod(0o755)
    log = put("/var/log/svc/d/tool", "log\n")
    theirs(root / "var/log/svc", root / "var/log/svc/d", log)
    (root / "etc/shadow").chmod(0o640)
    return root / "var/log/svc"


LOGS = {"type": "permissions", "paths": ["/var/log"], "recursive": True, "kind": "file", "forbid": "0137"}


def mend(root: Path, swap: Callable[[], None], spec: dict[str, Any] | None = None) -> list[str]:
    """Plan the mending of the logs, let the service swap something, and carry the plan out."""
    host = Host(str(root), run=lambda argv: (0, ""))
    files.fix_permissions(host, spec or LOGS)
    swap()
    return host.commit(begin(root))


def test_mode_is_not_set_through_a_directory_that_became_a_link(root: Path, service: Path) -> None:
    (service / "d/tool").chmod(0o4757)

    def swap() -> None:
        os.rename(service / "d", service / "was")
        (service / "d").symlink_to("/bin")
        theirs(service / "d")

    assert mend(root, swap) == [
        "/var/log/svc/d/tool could not be read: d on the way is a link that another account can change"
    ]
    assert (root / "bin/tool").stat().st_mode & 0o7777 == 0o755


def test_mode_is_not_set_on_a_file_that_took_the_place_of_the_one_seen(root: Path, service: Path) -> None:
    def swap() -> None:
        os.unlink(service / "d/tool")
        os.link(root / "bin/tool", service / "d/tool")

    (told,) = mend(root, swap)
    assert told == "/var/log/svc/d/tool could not be written: it was replaced while it was looked at"
    assert (root / "bin/tool").stat().st_mode & 0o7777 == 0o755


def test_second_name_of_a_program_is_not_closed_in_a_directory_of_a_service(root: Path, service: Path) -> None:
    os.link(root / "bin/tool", service / "tool")
    told = mend(root, lambda: None)
    assert told == ["/var/log/svc/tool could not be written: it has another name, perhaps in a directory of the system"]
    assert (root / "bin/tool").stat().st_mode & 0o7777 == 0o755
    # what could be closed is
    assert (service / "d/tool").stat().st_mode & 0o777 == 0o640


def test_mode_is_made_of_the_one_that_is_there_and_runs_nothing_as_its_owner(root: Path, service: Path) -> None:
    assert mend(root, lambda: (service / "d/tool").chmod(0o6777)) == []
    assert (service / "d/tool").stat().st_mode & 0o7777 == 0o640


def test_owner_is_not_given_through_a_swapped_directory(root: Path, service: Path) -> None:
    spec = {"type": "permissions", "paths": ["/var/log"], "recursive": True, "kind": "file", "owner": ["root"]}

    def swap() -> None:
        os.rename(service / "d", service / "was")
        (service / "d").symlink_to("/etc")
        (service / "was/shadow").write_text("")

    assert mend(root, swap, spec)
    assert (root / "etc/shadow").stat().st_uid == 0


def test_rollback_gives_nobody_the_systems_files(root: Path, service: Path) -> None:
    """The service's own file was closed; its directory is a link to /etc when that is taken back."""
    log = service / "shadow"
    log.write_text("")
    log.chmod(0o666)
    theirs(log)
    one = begin(root)
    host = Host(str(root), run=lambda argv: (0, ""))
    host.set_meta("/var/log/svc/shadow", mode=0o640, uid=0)
    host.commit(one)
    os.rename(service, root / "var/log/was")
    service.symlink_to("/etc")
    theirs(service)
    assert undo(one) == [
        "/var/log/svc/shadow stays as it is, since svc on the way is a link that another account can change. "
        f"What was there before is mode 0666, owner {NOBODY}, group {NOBODY}."
    ]
    found = (root / "etc/shadow").stat()
    assert (found.st_uid, found.st_mode & 0o777) == (0, 0o640)


def test_rollback_gives_nobody_a_file_that_took_the_place_of_his(root: Path, service: Path) -> None:
    one = begin(root)
    host = Host(str(root), run=lambda argv: (0, ""))
    host.set_meta("/var/log/svc/d/tool", mode=0o640, uid=0)
    host.commit(one)
    os.unlink(service / "d/tool")
    os.link(root / "etc/shadow", service / "d/tool")
    undo(one)
    found = (root / "etc/shadow").stat()
    assert (found.st_uid, found.st_mode & 0o777) == (0, 0o640)


def test_rollback_removes_nothing_through_a_link(root: Path, service: Path) -> None:
    one = begin(root)
    one.add([{"kind": "file", "group": "files", "path": "/var/log/svc/d/passwd", "before": {"type": "absent"}}])
    os.rename(service / "d", service / "was")
    (service / "d").symlink_to("/etc")
    theirs(service / "d")
    assert "link that another account can change" in undo(one)[0]
    assert (root / "etc/passwd").exists()


def test_rollback_refuses_directories_of_accounts_that_were_not_there(root: Path, service: Path) -> None:
    one = begin(root)
    host = Host(str(root), run=lambda argv: (0, ""))
    host.write("/srv/site/made.conf", "ours\n")
    host.commit(one)
    theirs(root / "srv/site")
    told = undo(one)
    assert any(f"the directory site on the way belongs to account {NOBODY}" in one for one in told)
    assert (root / "srv/site/made.conf").read_text() == "ours\n"


def test_new_file_is_nobody_elses(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can write the directory cannot foretell the name, and what he puts in its place is not taken."""
    place = root / "etc/neutron"
    place.mkdir()
    theirs(place)
    names: list[str] = []
    real = os.open

    def watched(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_CREAT and str(path).startswith(".stackwright-"):
            assert flags & os.O_EXCL and flags & os.O_NOFOLLOW
            names.append(str(path))
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", watched)
    for _ in range(2):
        journal.write_atomically(f"{place}/neutron.conf", b"secret\n", 0o600, 0, 0, owners=[NOBODY])
    assert len(set(names)) == 2
    monkeypatch.setattr(journal.secrets, "token_hex", lambda size: "0" * 16)
    (place / ".stackwright-0000000000000000").write_text("EVIL")
    with pytest.raises(FileExistsError):
        journal.write_atomically(f"{place}/neutron.conf", b"newer\n", 0o600, 0, 0, owners=[NOBODY])
    assert (place / "neutron.conf").read_text() == "secret\n"
    with pytest.raises(journal.Refused, match=f"neutron on the way belongs to account {NOBODY}"):
        journal.write_atomically(f"{place}/neutron.conf", b"newer\n", 0o600, 0, 0)


def test_links_of_root_on_the_way_are_followed_and_stay_below_the_root(root: Path, put: Put) -> None:
    put("/usr/lib/x/y", "text\n")
    (root / "lib").symlink_to("/usr/lib")
    (root / "usr/lib/up").symlink_to("../../../../../../usr/lib")
    for path in ("/lib/x/y", "/usr/lib/up/x/y"):
        with journal.opened(path, root=str(root)) as place:
            assert journal.read_at(place) == b"text\n"
            assert (place.owners, place.shared) == (set(), False)
    (root / "usr/lib/loop").symlink_to("loop")
    with pytest.raises(journal.Refused), journal.opened("/usr/lib/loop/x", root=str(root)):
        pass


def test_sticky_directories_of_everybody_are_shared_but_their_links_are_roots(root: Path) -> None:
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "tmp/mine").mkdir()
    (root / "tmp/link").symlink_to("mine")
    theirs(root / "tmp/link")
    with pytest.raises(journal.Refused), journal.opened("/tmp/link/x", root=str(root)):
        pass
    with journal.opened("/tmp/mine/x", root=str(root)) as place:
        assert not place.owners


def test_users_of_a_host_cannot_have_the_rollback_touch_what_they_made_while_packages_came(root: Path) -> None:
    """A user changes his file's mode while apt runs and puts a link to /etc in the place of his directory later."""
    home = root / "home/eve"
    home.mkdir(parents=True)
    (home / "shadow").write_text("")
    theirs(home, home / "shadow")
    (root / "etc/shadow").chmod(0o640)

    def run(argv: list[str]) -> tuple[int, str]:
        if "-s" in argv:
            return 0, "Inst aide (1)\n"
        if argv[0] == "apt-get":
            (home / "shadow").chmod(0o666)
            (home / "guard").write_text("")
            (root / "var/lib/dpkg/status").open("a").write(
                "Package: aide\nStatus: install ok installed\nVersion: 1\n\n"
            )
        return 0, ""

    control = {
        "id": "A",
        "rule": "a",
        "severity": "low",
        "waiver": None,
        "resources": [{"type": "package", "present": ["aide"]}],
    }
    engine.carry_out({"mode": "enforce", "controls": [control]}, Host(str(root), run=run))
    os.rename(home, root / "home/was")
    home.symlink_to("/etc")
    (root / "etc/guard").write_text("the system's")
    engine.carry_out({"mode": "rollback", "controls": []}, Host(str(root), run=run))
    assert ((root / "etc/shadow").stat().st_uid, (root / "etc/shadow").stat().st_mode & 0o777) == (0, 0o640)
    assert (root / "etc/guard").exists()
