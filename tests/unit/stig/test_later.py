"""A rollback never takes what came after the run: packages, data, accounts, passwords and files that people changed
since."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import engine, journal
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host

Put = Callable[[str, str], Path]


def control(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"id": "A", "rule": "a", "severity": "medium", "waiver": None, "resources": list(resources)}


def enforce(root: Path, run: Any, *resources: dict[str, Any]) -> dict[str, Any]:
    request = {"mode": "enforce", "profile": "stig", "controls": [control(*resources)]}
    return engine.carry_out(request, Host(str(root), run=run))


def rollback(root: Path, run: Any, check_mode: bool = False) -> dict[str, Any]:
    return engine.carry_out({"mode": "rollback", "controls": [], "check_mode": check_mode}, Host(str(root), run=run))


# ---------------------------------------------------------------- texts


@pytest.mark.parametrize(
    ("left", "before", "now", "merged"),
    [
        # ours is at the beginning, theirs at the end
        (
            "Include x\nPort 22\n",
            "Port 22\n",
            "Include x\nPort 22\nMatch User backup\n  X11Forwarding no\n",
            "Port 22\nMatch User backup\n  X11Forwarding no\n",
        ),
        # ours was changed, theirs is right beside it
        ("a\n# b\n", "a\nb\n", "a\n# b\nc\n", "a\nb\nc\n"),
        ("a\nours\n", "a\n", "a\nours\ntheirs\n", "a\ntheirs\n"),
        ("a\nours\n", "a\n", "a\ntheirs\nours\n", "a\ntheirs\n"),
        # theirs is what ours is taken back to
        ("a\n# b\nc\n", "a\nb\nc\n", "a\nb\nc\nd\n", "a\nb\nc\nd\n"),
    ],
)
def test_own_lines_go_and_those_that_came_later_stay(left: str, before: str, now: str, merged: str) -> None:
    assert journal.merge_lines(left.encode(), before.encode(), now.encode()).decode() == merged


@pytest.mark.parametrize(
    ("left", "before", "now"),
    [
        ("a 1\n", "a 0\n", "a 2\n"),  # the very line was changed
        ("a\nb\n", "a\nours gone\nb\n", "a\ntheirs\nb\n"),  # both belong in the same place
        ("a\nours 1\nours 2\n", "a\n", "a\nours 1\ntheirs\nours 2\n"),  # theirs is in the middle of ours
        ("\0a\n", "b\n", "\0c\n"),
    ],
)
def test_what_cannot_be_told_apart_is_not_guessed(left: str, before: str, now: str) -> None:
    with pytest.raises(journal.Unclear):
        journal.merge_lines(left.encode(), before.encode(), now.encode())


def test_file_that_was_edited_since_keeps_the_edit_and_loses_the_hardening(root: Path, programs: Any) -> None:
    defs = root / "etc/login.defs"
    before = defs.read_text()
    enforce(
        root, programs, {"type": "option", "file": "/etc/login.defs", "key": "UMASK", "value": "077", "separator": "\t"}
    )
    defs.write_text(defs.read_text() + "ENCRYPT_METHOD YESCRYPT\n")
    done = rollback(root, programs)
    assert done["kept"] == [] and done["problems"] == []
    assert defs.read_text() == before + "ENCRYPT_METHOD YESCRYPT\n"


@pytest.mark.parametrize("check_mode", [True, False])
def test_file_that_was_changed_where_the_hardening_changed_it_stays_and_is_named(
    root: Path, programs: Any, check_mode: bool
) -> None:
    defs = root / "etc/login.defs"
    enforce(
        root, programs, {"type": "option", "file": "/etc/login.defs", "key": "UMASK", "value": "077", "separator": "\t"}
    )
    defs.write_text(defs.read_text().replace("UMASK\t077", "UMASK\t027"))
    now = defs.read_text()
    (told,) = rollback(root, programs, check_mode)["kept"]
    assert defs.read_text() == now
    assert told.startswith(
        "/etc/login.defs stays as it is, since it was changed since, where the hardening had changed it. "
    )
    blob = root / told.rpartition("What was there before is in ")[2].rstrip(".").lstrip("/")
    assert "UMASK\t\t022" in blob.read_text()
    # what was left alone was left for good: the next rollback has nothing to do
    assert len(rollback(root, programs)["rolled_back"]) == check_mode


def test_made_file_goes_but_for_what_was_added_to_it(root: Path, programs: Any) -> None:
    banner, rules = root / "etc/issue.net", root / "etc/extra.conf"
    texts = [{"type": "content", "file": f"/etc/{one.name}", "text": "ours\n"} for one in (banner, rules)]
    enforce(root, programs, *texts)
    rules.write_text("ours\ntheirs\n")
    assert rollback(root, programs)["kept"] == []
    assert not banner.exists() and rules.read_text() == "theirs\n"


def test_directory_that_holds_what_came_later_stays(root: Path, programs: Any) -> None:
    enforce(root, programs, {"type": "content", "file": "/etc/new/ours.conf", "text": "ours\n"})
    (root / "etc/new/theirs.conf").write_text("theirs\n")
    assert rollback(root, programs)["kept"] == [
        "/etc/new stays as it is, since it holds what came later. What was there before is nothing."
    ]
    assert [one.name for one in (root / "etc/new").iterdir()] == ["theirs.conf"]


def test_mode_and_owner_go_back_each_by_itself(root: Path, programs: Any) -> None:
    path = root / "etc/group"
    path.chmod(0o664)
    enforce(root, programs, {"type": "permissions", "paths": ["/etc/group"], "forbid": "0133"})
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o600)
    assert rollback(root, programs)["kept"] == [
        "/etc/group stays as it is, since its mode was changed since. What was there before is mode "
        "0664, owner 0, group 0."
    ]
    assert path.stat().st_mode & 0o777 == 0o600


def test_file_that_was_removed_since_does_not_come_back(root: Path, programs: Any) -> None:
    enforce(
        root, programs, {"type": "option", "file": "/etc/login.defs", "key": "UMASK", "value": "077", "separator": "\t"}
    )
    (root / "etc/login.defs").unlink()
    (told,) = rollback(root, programs)["kept"]
    assert told.startswith(
        "/etc/login.defs stays as it is, since it was removed since. What was there before is in /var/lib/"
    )
    assert not (root / "etc/login.defs").exists()


def test_check_mode_tells_and_shows_what_a_rollback_of_several_runs_does(root: Path, programs: Any) -> None:
    runs = []
    for value in ("077", "027"):
        option = {"type": "option", "file": "/etc/login.defs", "key": "UMASK", "value": value, "separator": "\t"}
        runs.append(enforce(root, programs, option)["document"]["run_id"])
    text = (root / "etc/login.defs").read_text()
    request = {"mode": "rollback", "controls": [], "run_id": runs[0]}
    told = engine.carry_out({**request, "check_mode": True}, Host(str(root), run=programs))
    assert (told["rolled_back"], told["kept"], told["problems"]) == ([runs[1], runs[0]], [], [])
    assert told["changes"] == ["/etc/login.defs is restored"]
    assert "UMASK\t027" in told["diff"][0]["before"] and "UMASK\t\t022" in told["diff"][-1]["after"]
    assert (root / "etc/login.defs").read_text() == text


# ---------------------------------------------------------------- accounts

PASSWD = (
    "root:x:0:0:root:/root:/bin/bash\nops:x:1000:1000::/home/ops:/bin/bash\n"
    "former:x:1001:1001::/home/former:/bin/bash\n"
)
SHADOW = (
    "root:$y$root:20000:0:99999:7:::\nops:$y$old:20000:0:99999:7:::\n"
    "former:$y$f:20000:0:99999:7:::\nempty::20000:0:99999:7:::\n"
)
GROUP = "root:x:0:\nsudo:x:27:ops,former,other\nops:x:1000:\nformer:x:1001:\n"


def test_accounts_and_passwords_that_came_later_stay(root: Path, put: Put, programs: Any) -> None:
    put("/etc/passwd", PASSWD)
    put("/etc/shadow", SHADOW)
    put("/etc/group", GROUP)
    put("/etc/gshadow", "sudo:*::ops,former,other\n")
    enforce(
        root, programs, {"type": "account", "check": "root_locked"}, {"type": "account", "check": "no_empty_passwords"},
        {"type": "account", "check": "administrators", "users": ["ops"]},
    )  # fmt: skip
    assert "root:!$y$root:" in (root / "etc/shadow").read_text()
    assert "sudo:x:27:ops\n" in (root / "etc/group").read_text()
    # useradd alice, passwd ops, userdel former, gpasswd -a alice sudo
    put(
        "/etc/passwd",
        PASSWD.replace("former:x:1001:1001::/home/former:/bin/bash\n", "alice:x:1002:1002::/home/alice:/bin/sh\n"),
    )
    text = (root / "etc/shadow").read_text()
    text = text.replace("ops:$y$old:20000", "ops:$y$new:20700").replace(
        "former:$y$f:20000:0:99999:7:::\n", "alice:$y$a:20700:0:60:7:::\n"
    )
    put("/etc/shadow", text)
    put("/etc/group", "root:x:0:\nsudo:x:27:ops,alice\nops:x:1000:\nalice:x:1002:\n")
    put("/etc/gshadow", "sudo:*::ops,alice\nalice:!::\n")
    assert rollback(root, programs)["kept"] == []
    assert (root / "etc/passwd").read_text() == PASSWD.replace(
        "former:x:1001:1001::/home/former:/bin/bash\n", "alice:x:1002:1002::/home/alice:/bin/sh\n"
    )
    shadow = dict(line.split(":", 1) for line in (root / "etc/shadow").read_text().splitlines())
    assert shadow["root"].startswith("$y$root:") and shadow["empty"].startswith(":")
    assert shadow["ops"].startswith("$y$new:20700:") and shadow["alice"].startswith("$y$a:") and "former" not in shadow
    # those whom the hardening took out come back, and who came later stays in
    assert "sudo:x:27:ops,alice,former,other\n" in (root / "etc/group").read_text()
    assert "alice:x:1002:\n" in (root / "etc/group").read_text()


def test_password_that_was_set_where_the_hardening_had_locked_stays_and_is_named(
    root: Path, put: Put, programs: Any
) -> None:
    put("/etc/shadow", SHADOW)
    enforce(root, programs, {"type": "account", "check": "root_locked"})
    put("/etc/shadow", (root / "etc/shadow").read_text().replace("root:!$y$root:", "root:$y$newer:"))
    (told,) = rollback(root, programs)["kept"]
    assert "/etc/shadow stays as it is, since root: field 2 was changed since" in told
    assert "root:$y$newer:" in (root / "etc/shadow").read_text()


def test_table_that_is_none_is_left_alone() -> None:
    with pytest.raises(journal.Unclear):
        journal.merge_table(
            "/etc/passwd", b"a:x:1:1::/:/bin/sh\n", b"a:x:0:1::/:/bin/sh\n", b"a:x:1:1::/:/bin/sh\n+::::::\nb\n"
        )


# ---------------------------------------------------------------- packages


class Machine:
    """dpkg and apt of a small host: a package brings a configuration file, a directory with data, a unit and an
    account."""

    def __init__(self, root: Path) -> None:
        self.root, self.calls = root, list[str]()
        self.depends: dict[str, str] = {}
        (root / "var/lib/dpkg/info").mkdir(parents=True, exist_ok=True)

    def _status(self) -> dict[str, str]:
        text = (self.root / "var/lib/dpkg/status").read_text()
        return {one.split("\n")[0].removeprefix("Package: "): one for one in text.strip().split("\n\n")}

    def _write(self, status: dict[str, str]) -> None:
        (self.root / "var/lib/dpkg/status").write_text("".join(f"{one}\n\n" for one in status.values()))

    def install(self, *names: str) -> None:
        status = self._status()
        for name in names:
            depends = f"\nDepends: {self.depends[name]}" if name in self.depends else ""
            status[name] = f"Package: {name}\nStatus: install ok installed\nVersion: 1{depends}"
            unit = f"/usr/lib/systemd/system/{name}.service"
            for path, text in (
                (f"etc/{name}.conf", f"{name}\n"),
                (f"var/lib/{name}/data", "empty\n"),
                (unit.lstrip("/"), "[Service]\n"),
            ):
                (self.root / path).parent.mkdir(parents=True, exist_ok=True)
                (self.root / path).write_text(text)
            info = self.root / "var/lib/dpkg/info"
            (info / f"{name}.list").write_text(
                f"/.\n/etc\n/etc/{name}.conf\n/var/lib/{name}\n/usr\n/usr/lib\n/usr/lib/systemd\n/usr/lib/systemd/system\n{unit}\n"
            )
            (info / f"{name}.conffiles").write_text(f"/etc/{name}.conf\n")
            with (self.root / "etc/passwd").open("a") as table:
                table.write(f"_{name}:x:{200 + len(status)}:65534::/:/usr/sbin/nologin\n")
        self._write(status)

    def remove(self, *names: str, purge: bool) -> None:
        status = self._status()
        for name in names:
            status.pop(name)
            for kind in ("list", "conffiles"):
                (self.root / f"var/lib/dpkg/info/{name}.{kind}").unlink()
            (self.root / f"usr/lib/systemd/system/{name}.service").unlink()
            if purge:
                (self.root / f"etc/{name}.conf").unlink(missing_ok=True)
        self._write(status)

    def __call__(self, argv: list[str]) -> tuple[int, str]:
        names = argv[argv.index("install") + 1 :] if "install" in argv else []
        if "-s" in argv:
            return 0, "".join(f"Inst {one} (1)\n" for one in names)
        self.calls.append(" ".join(argv if argv[0] != "apt-get" else ["apt-get", *names]))
        if names:
            self.install(*names)
        elif argv[0] == "dpkg":
            self.remove(*argv[3:], purge=argv[1] == "--purge")
        return 0, ""


AIDE = {"type": "package", "present": ["aide", "ufw"]}


def test_only_the_packages_of_the_run_go_and_the_data_of_others_stay(root: Path) -> None:
    machine = Machine(root)
    machine.install("nano")
    before = (root / "etc/passwd").read_text()
    enforce(root, machine, AIDE)
    machine.install("postgresql")
    (root / "var/lib/postgresql/data").write_text("a table\n")
    machine.remove("nano", purge=True)
    done = rollback(root, machine)
    assert (done["problems"], done["kept"]) == ([], [])
    assert [one for one in machine.calls if one.startswith(("dpkg", "apt-get"))] == [
        "apt-get aide ufw",
        "dpkg --purge --force-depends aide ufw",
    ]
    assert sorted(Host(str(root)).packages) == ["openssh-server", "postgresql"]
    assert (root / "var/lib/postgresql/data").read_text() == "a table\n"
    assert (root / "etc/postgresql.conf").exists() and not (root / "etc/aide.conf").exists()
    assert (root / "etc/passwd").read_text() == before + "_postgresql:x:205:65534::/:/usr/sbin/nologin\n"


def test_untouched_host_is_restored_byte_for_byte(root: Path) -> None:
    def tree() -> dict[str, tuple[int, bytes]]:
        paths = [
            one
            for one in root.rglob("*")
            if "stackwright" not in one.parts and "info" not in one.parts and one.is_file()
        ]
        return {str(one): (one.stat().st_mode, one.read_bytes()) for one in paths}

    machine = Machine(root)
    before = tree()
    enforce(root, machine, AIDE, {"type": "option", "file": "/etc/aide.conf", "key": "x", "value": "1"})
    assert tree() != before
    (root / "var/lib/aide/queue").write_text("what the program keeps while it runs")
    assert rollback(root, machine)["kept"] == []
    assert tree() == before
    assert "systemctl stop aide.service ufw.service" in machine.calls


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_directory_of_a_program_that_goes_stays_where_people_have_put_files(root: Path) -> None:
    machine = Machine(root)
    enforce(root, machine, AIDE)
    (root / "var/lib/aide/mine").write_text("mine\n")
    os.chown(root / "var/lib/aide/mine", 1000, 1000)
    assert rollback(root, machine)["kept"] == [
        "/var/lib/aide stays as it is, since it holds files of account 1000. What was there before is nothing."
    ]
    assert (root / "var/lib/aide/mine").exists() and not (root / "var/lib/ufw").exists()


def test_package_that_something_needs_by_now_stays_and_is_named(root: Path) -> None:
    machine = Machine(root)
    machine.depends = {"site-tools": "libc6 | libd, aide (>= 1) | tripwire"}
    enforce(root, machine, AIDE)
    machine.install("site-tools")
    done = rollback(root, machine)
    assert done["kept"] == ["The package aide stays, since site-tools needs it."]
    assert "dpkg --purge --force-depends ufw" in machine.calls
    assert (root / "etc/aide.conf").exists() and "aide" in Host(str(root)).packages
    # the accounts of what stays are needed, too
    assert "_aide:" in (root / "etc/passwd").read_text()


def test_dependency_that_another_package_satisfies_keeps_nothing(root: Path, put: Put) -> None:
    def stanza(name: str, **fields: str) -> str:
        return f"Package: {name}\nStatus: install ok installed\n" + "".join(
            f"{key.replace('_', '-')}: {value}\n" for key, value in fields.items()
        )

    put(
        "/var/lib/dpkg/status",
        "\n".join(
            [
                stanza("chrony", Provides="time-daemon", Depends="libedit2"),
                stanza("libedit2"),
                stanza("ntpsec", Provides="time-daemon (= 1)"),
                stanza("base", Depends="time-daemon, adduser"),
                stanza("mail", Pre_Depends="spool:any"),
                stanza("spool", Depends="libspool"),
                stanza("libspool"),
            ]
        ),
    )
    names = {"chrony", "libedit2", "spool", "libspool"}
    assert journal.needed(str(root), names) == {"spool": "mail", "libspool": "spool"}
    assert journal.needed(str(root), names | {"ntpsec"}) == {
        "chrony": "base",
        "libedit2": "chrony",
        "spool": "mail",
        "libspool": "spool",
    }


def test_configuration_that_was_changed_since_stays_when_its_package_goes(root: Path) -> None:
    machine = Machine(root)
    enforce(root, machine, AIDE)
    (root / "etc/aide.conf").write_text("aide\nsite\n")
    done = rollback(root, machine)
    assert done["kept"] == [
        "The configuration of package aide stays, since /etc/aide.conf was changed since the run.",
        "/etc/aide.conf stays as it is, since the hardening made it, and it was changed since. What was "
        "there before is nothing.",
    ]
    assert "dpkg --remove --force-depends aide" in machine.calls and "dpkg --purge --force-depends ufw" in machine.calls
    assert (root / "etc/aide.conf").read_text() == "aide\nsite\n"


def test_files_of_configuration_that_no_package_touched_are_none_of_the_rollbacks(root: Path, put: Put) -> None:
    machine = Machine(root)
    certificate = put("/etc/letsencrypt/live/x/fullchain.pem", "old\n")
    hosts = put("/etc/hosts", "127.0.0.1 localhost\n")
    enforce(root, machine, AIDE)
    certificate.write_text("renewed\n")
    hosts.write_text("127.0.0.1 localhost\n192.0.2.1 site\n")
    assert rollback(root, machine)["kept"] == []
    assert (certificate.read_text(), hosts.read_text()) == ("renewed\n", "127.0.0.1 localhost\n192.0.2.1 site\n")


def test_what_users_and_services_do_during_the_installation_is_not_the_packages_doing(root: Path) -> None:
    machine = Machine(root)
    for place in ("home/ops", "var/lib/mysql", "srv"):
        (root / place).mkdir(parents=True)
    (root / "home/ops/mine").write_text("1\n")

    def run(argv: list[str]) -> tuple[int, str]:
        if argv[0] == "apt-get" and "-s" not in argv:
            (root / "home/ops/mine").chmod(0o640)
            for path in ("home/ops/fresh", "var/lib/mysql/ibdata1", "srv/site.db"):
                (root / path).write_text("data\n")
        return machine(argv)

    enforce(root, run, AIDE)
    assert rollback(root, machine)["kept"] == []
    assert all(
        (root / path).read_text() == "data\n" for path in ("home/ops/fresh", "var/lib/mysql/ibdata1", "srv/site.db")
    )
    assert (root / "home/ops/mine").stat().st_mode & 0o777 == 0o640


def test_run_that_was_cut_off_in_the_middle_of_the_installation_leads_back(root: Path) -> None:
    machine = Machine(root)
    before = (root / "etc/passwd").read_text()

    class Dead(BaseException):
        pass

    def run(argv: list[str]) -> tuple[int, str]:
        done = machine(argv)
        if argv[0] == "apt-get" and "-s" not in argv:
            raise Dead
        return done

    with pytest.raises(Dead):
        enforce(root, run, AIDE)
    machine.install("postgresql")
    assert rollback(root, machine)["problems"] == []
    assert sorted(Host(str(root)).packages) == ["openssh-server", "postgresql"]
    assert not (root / "etc/aide.conf").exists() and before in (root / "etc/passwd").read_text()
