"""Security checks of a host prove what they say: each passes on the right state and fails on the wrong one."""

from __future__ import annotations

import getpass
import http.server
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from ansible_collections.stackwright.cloud.plugins.module_utils.service import databases, messaging
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import security_host as host
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.security import SecurityError
from ansible_collections.stackwright.cloud.plugins.modules import security_checks as module
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns

ME = getpass.getuser()
CATALOGUE = Path(__file__).parents[3] / "roles/verify/vars/security.yml"


def file(path: Path, text: str = "", mode: int = 0o640) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_mode_and_owner_are_judged_by_what_the_file_has(tmp_path: Path) -> None:
    path = file(tmp_path / "keystone.conf")
    good = {"paths": [f"{tmp_path}/*.conf"], "owners": [ME], "forbid": "0027"}
    assert host.check_files(good)[0]
    os.chmod(path, 0o644)
    passed, value = host.check_files(good)
    assert not passed and path in value and "0644" in value
    os.chmod(path, 0o640)
    assert not host.check_files({**good, "owners": ["keystone"]})[0]
    assert not host.check_files({**good, "groups": ["keystone"]})[0]


def test_path_that_is_missing_fails_and_a_pattern_may_find_nothing(tmp_path: Path) -> None:
    assert host.check_files({"paths": [f"{tmp_path}/absent"]}) == (False, f"missing: {tmp_path}/absent")
    assert host.check_files({"paths": [f"{tmp_path}/*.conf"]}) == (True, "nothing there yet")


def test_long_lists_are_cut(tmp_path: Path) -> None:
    for number in range(9):
        file(tmp_path / f"{number}.conf", mode=0o666)
    assert host.check_files({"paths": [f"{tmp_path}/*.conf"], "forbid": "0007"})[1].endswith("and 5 more")


def test_age_is_that_of_the_newest_file(tmp_path: Path) -> None:
    for name, age in (("0", 7200), ("1", 90000)):
        os.utime(file(tmp_path / name), (10**6 - age, 10**6 - age))
    given = {"paths": [f"{tmp_path}/*"]}
    assert host.check_age({**given, "most": 7300}, lambda: 10**6) == (True, "the newest of 2 is 2.0 h old")
    assert not host.check_age({**given, "most": 7100}, lambda: 10**6)[0]
    assert not host.check_age({"paths": [f"{tmp_path}/none/*"], "most": 1})[0]


def test_options_are_read_as_services_read_them() -> None:
    text = "debug = true\n# a = 1\n[auth]\nmethods = a,\n   b\nurl: http://x:1/\nempty =\nurl = last\n; b = 2\n"
    assert host.read_options(text) == {
        ("DEFAULT", "debug"): "true",
        ("auth", "methods"): "a,\nb",
        ("auth", "url"): "last",
        ("auth", "empty"): "",
    }


@pytest.mark.parametrize(
    ("value", "rule", "good"),
    [
        ("True", {"values": [True]}, True),
        ("false", {"values": [True]}, False),
        ("", {"values": [""]}, True),
        ("", {"filled": True}, False),
        ("[glance-direct,web-download]", {"without": ["web-download"]}, False),
        ("[glance-direct]", {"without": ["web-download"]}, True),
        ("114688", {"least": 1, "most": 114688}, True),
        ("114689", {"least": 1, "most": 114688}, False),
        ("many", {"most": 5}, False),
    ],
)
def test_values_of_options_are_judged(value: str, rule: dict[str, Any], good: bool) -> None:
    assert host.judge_value(value, rule) is good


def test_option_counts_only_when_the_service_was_started_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path / "a.conf", "[token]\nprovider = fernet\n")
    given = {"files": [path], "section": "token", "option": "provider", "values": ["fernet"], "unit": "keystone"}
    written = os.stat(path).st_mtime
    monkeypatch.setattr(host, "started", lambda unit: written + 5)
    assert host.check_option(given) == (True, "[token] provider = fernet")
    monkeypatch.setattr(host, "started", lambda unit: written - 60)
    passed, value = host.check_option(given)
    assert not passed and "keystone does not run with it" in value
    assert not host.check_option({**given, "files": [f"{tmp_path}/absent"]})[0]


def test_default_counts_where_no_file_has_the_option(tmp_path: Path) -> None:
    path = file(tmp_path / "a.conf")
    assert host.check_option({"files": [path], "option": "insecure_debug", "default": False, "values": [False]})[0]


class Page(http.server.BaseHTTPRequestHandler):
    """A service that believes a header of its clients."""

    headers_sent: ClassVar[dict[str, str]] = {
        "X-Frame-Options": "DENY",
        "Set-Cookie": "csrftoken=1; HttpOnly; SameSite=Lax",
    }

    def do_GET(self) -> None:  # the base class's name
        self.send_response(403 if self.path == "/closed" else 302 if self.path == "/moved" else 200)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.send_header("Location", "/")
        self.end_headers()
        self.wfile.write(f'{{"href": "http://{self.headers.get("X-Forwarded-Host", "own")}/"}}'.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def page() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_forged_header_that_comes_back_fails(page: str) -> None:
    given = {"url": f"{page}/", "without": [r"forged\.example"]}
    assert host.check_request(given) == (True, "HTTP 200")
    assert host.check_request({**given, "headers": {"X-Forwarded-Host": "forged.example"}}) == (
        False,
        "the answer holds forged.example",
    )


def test_status_headers_cookies_and_body_are_asked_for(page: str) -> None:
    good = {
        "status": [200],
        "answer_headers": {"X-Frame-Options": "^deny$"},
        "cookies": {"csrftoken": ["HttpOnly"]},
        "contains": ["own"],
    }
    assert host.check_request({"url": f"{page}/", **good})[0]
    for wrong in (
        {"status": [404]},
        {"answer_headers": {"Content-Security-Policy": "frame-ancestors"}},
        {"cookies": {"csrftoken": ["Secure"]}},
        {"contains": ["autocomplete"]},
    ):
        assert not host.check_request({"url": f"{page}/", **wrong})[0]
    assert host.check_request({"url": f"{page}/closed", "status": [403]})[0]
    # where it leads is not asked
    assert host.check_request({"url": f"{page}/moved", "status": [302]})[0]


def test_service_that_does_not_answer_fails() -> None:
    passed, value = host.check_request({"url": "http://127.0.0.1:9/"})
    assert not passed and "does not answer" in value


def test_processes_are_judged_by_their_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cmdline").write_bytes(b"haproxy\0-f\0/x/ovn-metadata-proxy/1.conf\0")
    (tmp_path / "self").mkdir()
    monkeypatch.setattr(host, "PROC", str(tmp_path))
    given = {"pattern": "haproxy.*ovn-metadata-proxy", "users": [ME]}
    assert host.check_process(given) == (True, f"1 processes of {ME}")
    assert not host.check_process({**given, "users": ["neutron"]})[0]
    assert host.check_process({"pattern": "nothing", "users": []})[0]
    assert not host.check_process({"pattern": "nothing", "users": [], "needed": True})[0]


def test_accounts_with_a_shell_or_a_password_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = type("Entry", (), {"pw_shell": "/usr/sbin/nologin"})
    monkeypatch.setattr(host.pwd, "getpwnam", lambda name: {"nova": entry}[name])
    monkeypatch.setattr(host, "SHADOW", file(tmp_path / "shadow", "nova:!*:1::\n"))
    assert host.check_accounts({"names": ["nova", "absent"]})[0]
    file(tmp_path / "shadow", "nova:$y$hash:1::\n")
    assert host.check_accounts({"names": ["nova"]}) == (False, "nova has a password")
    entry.pw_shell = "/bin/sh"
    file(tmp_path / "shadow", "nova:!:1::\n")
    assert host.check_accounts({"names": ["nova"]}) == (False, "nova has the shell /bin/sh")
    assert host.check_accounts({"names": ["nova"], "with_shell": ["nova"]})[0]


def test_file_that_nobody_can_read_passes_and_an_open_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid():
        # only root can take another account's part; what nobody has rights on is closed to this one as well
        for name in ("setgroups", "setgid", "setuid"):
            monkeypatch.setattr(os, name, lambda identity: None)
    for directory in [tmp_path, *tmp_path.parents[:-2]]:
        directory.chmod(0o755)
    closed, opened = file(tmp_path / "closed", mode=0), file(tmp_path / "open", mode=0o644)
    assert host.check_unreadable({"paths": [closed]}) == (True, "nobody is refused 1 paths")
    assert host.check_unreadable({"paths": [closed, opened]}) == (False, f"nobody reads {opened}")
    assert not host.check_unreadable({"paths": [f"{tmp_path}/gone"]})[0]
    # an open file below a closed directory is closed
    (tmp_path / "instances").mkdir()
    disk = file(tmp_path / "instances/disk", mode=0o666)
    assert host.as_nobody([disk]) == [disk]
    (tmp_path / "instances").chmod(0)
    assert host.as_nobody([disk]) == []
    (tmp_path / "instances").chmod(0o700)


def test_attempt_that_breaks_off_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(identity: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setgroups", refuse)
    with pytest.raises(SecurityError, match="broke off"):
        host.as_nobody(["/etc/passwd"])


def test_rows_that_a_statement_must_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection:
        rows: ClassVar[list[tuple[Any, ...]]] = []

        def __enter__(self) -> Connection:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def cursor(self) -> Connection:
            return self

        def execute(self, statement: str) -> None:
            pass

        def fetchall(self) -> list[tuple[Any, ...]]:
            return self.rows

    monkeypatch.setattr(databases, "session", Connection)
    assert host.check_query({"statement": "SELECT", "said": "each has one address"}) == (True, "each has one address")
    Connection.rows = [("nova", "%")]
    assert host.check_query({"statement": "SELECT"}) == (False, "nova %")
    Connection.rows = [(0,)]
    assert host.check_query({"statement": "SELECT", "rows": ["0"]})[0]


def test_rights_in_another_virtual_host_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    present: dict[str, Any] = {"permissions": [{"user": "nova", "vhost": "/nova"}], "users": [{"name": "nova"}]}
    monkeypatch.setattr(messaging, "read", lambda: present)
    assert host.check_messaging({}) == (True, "nova in /nova")
    present["permissions"].append({"user": "nova", "vhost": "/neutron"})
    assert host.check_messaging({}) == (False, "nova may use /neutron")
    present["permissions"].pop()
    present["users"].append({"name": "guest"})
    assert host.check_messaging({}) == (False, "the user guest exists")
    # a user that is called after another has some of the rights in that one's virtual host, never all
    some = {"user": "nova_compute", "vhost": "/nova", "configure": "^compute", "write": "^nova$", "read": "^compute"}
    present["users"], present["permissions"] = [], [some]
    assert host.check_messaging({}) == (True, "nova_compute in /nova")
    some["read"] = messaging.ALL
    assert host.check_messaging({}) == (False, "nova_compute may read everything in /nova")


CHECK = {"check": "Check-A-01", "service": "nova", "services": ["nova.api"], "title": "closed", "mend": "Run site.yml."}
Run = Callable[..., dict[str, Any]]


def test_only_checks_of_the_hosts_services_are_done(run_module: Run, tmp_path: Path) -> None:
    checks = [
        {**CHECK, "files": {"paths": [f"{tmp_path}/absent"]}},
        {**CHECK, "services": ["glance"], "files": {"paths": []}},
    ]
    answer = run_module(module, checks=checks, services=["nova.api"], host="controller1")
    (row,) = answer["rows"]
    assert not answer["changed"]
    assert (row["status"], row["host"], row["cause"]) == ("failed", "controller1", "Run site.yml.")


def test_open_check_is_neither_passed_nor_failed(run_module: Run) -> None:
    (row,) = run_module(module, checks=[{**CHECK, "open": "TLS is not there yet"}], services=["nova.api"], host="a")[
        "rows"
    ]
    assert (row["status"], row["cause"]) == ("open", "TLS is not there yet")


def test_what_cannot_be_looked_at_fails(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise messaging.MessagingError("the broker does not answer")

    monkeypatch.setattr(messaging, "read", refuse)
    (row,) = run_module(module, checks=[{**CHECK, "messaging": {}}], services=["nova.api"], host="a")["rows"]
    assert (row["status"], row["value"]) == ("failed", "cannot be looked at: the broker does not answer")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "give exactly one of"),
        ({"files": {"paths": []}, "open": "x"}, "give exactly one of"),
        ({"files": {"paths": []}, "titel": "x"}, "unknown key 'titel'"),
        ({"files": {"paths": []}, "title": ""}, "title is missing"),
    ],
)
def test_entry_that_is_wrong_is_refused(run_module: Run, change: dict[str, Any], told: str) -> None:
    with pytest.raises(SecurityError, match=told):
        host.check_of({**CHECK, **change})
    assert told in run_module(module, checks=[{**CHECK, **change}], services=[], host="a")["msg"]


def test_catalogue_is_sound_and_names_each_check_once_for_a_service() -> None:
    entries = yaml.safe_load(CATALOGUE.read_text())["__verify_security_checks"]
    checks = [host.check_of(entry) for entry in entries]
    names = [one.check for one in checks]
    assert len(names) == len(set(names)) > 50
    for one in checks:
        assert one.kind == "open" or one.mend, one.check
    guide = {
        "Identity": range(1, 9),
        "Dashboard": range(1, 12),
        "Compute": range(1, 6),
        "Neutron": range(1, 6),
        "Image": range(1, 5),
    }
    wanted = {f"Check-{area}-{number:02}" for area, numbers in guide.items() for number in numbers}
    assert wanted <= set(names)
    # nothing that is still to be done is called passed
    assert {one.check for one in checks if one.kind == "open"} == {"Check-Block-07"}


class Hypervisor:
    """libvirt with guests; ``served`` says whom a console serves that it should refuse."""

    def __init__(self, stand_ins: StandIns, guests: dict[str, str]) -> None:
        self.guests, self.served = guests, dict[int, str]()
        stand_ins.add("virsh", self.virsh)

    def virsh(self, call: Call) -> Said:
        words = call.words[3:]
        if words[0] == "list":
            return Said("".join(f"{name}\n" for name in self.guests))
        if words[0] == "create":
            assert "listen='192.0.2.31'" in call.given
            self.guests[host.CONSOLE] = "vnc://192.0.2.31:9"
        elif words[0] == "domdisplay":
            return Said(f"{self.guests[words[1]]}\n")
        else:
            del self.guests[words[1]]
        return Said()


def test_consoles_of_guests_and_of_a_machine_made_for_it_are_tried(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    hypervisor = Hypervisor(stand_ins, {"instance-1": "vnc://192.0.2.31:0", "instance-2": ""})
    monkeypatch.setattr(host.vnc, "serves_strangers", lambda address, port: hypervisor.served.get(port, ""))
    given = {"address": "192.0.2.31"}
    assert host.check_consoles(given) == (True, "refused by 3 consoles")
    hypervisor.served[5900] = "a client without TLS is offered none"
    assert host.check_consoles(given) == (False, "instance-1: a client without TLS is offered none")
    hypervisor.served[5909] = "a client without a certificate is served"
    assert f"{host.CONSOLE}: a client without a certificate is served" in host.check_consoles(given)[1]
    assert set(hypervisor.guests) == {"instance-1", "instance-2"}


def test_the_machine_made_for_its_console_goes_where_the_console_says_nonsense(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nonsense(address: str, port: int) -> str:
        raise host.vnc.VncError("the server hung up")

    hypervisor = Hypervisor(stand_ins, {})
    monkeypatch.setattr(host.vnc, "serves_strangers", nonsense)
    with pytest.raises(SecurityError, match="the server hung up"):
        host.check_consoles({"address": "192.0.2.31"})
    assert hypervisor.guests == {}
