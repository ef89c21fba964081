"""The proofs log in with what they are given and nothing else, and say where and why a login fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import cloud as login
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import guest_shell, health
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator
from ansible_collections.stackwright.cloud.tests.stand_ins import Said, StandIns


@pytest.fixture
def arguments() -> Iterator[dict[str, Any]]:
    with CloudSimulator() as cloud:
        yield {"auth": {**cloud.login["auth"]}, "region_name": cloud.region, "interface": "public"}


def test_login_takes_nothing_from_files_or_the_environment(
    arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_USERNAME", "somebody-else")
    monkeypatch.setenv("OS_CLOUD", "no-such-cloud")
    # a proxy for the world outside, which nobody answers at
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    connected = login.connect(arguments)
    assert connected.session.auth.get_access(connected.session).username == arguments["auth"]["username"]


@pytest.mark.parametrize(
    ("change", "told"),
    [({"password": "wrong"}, "401"), ({"auth_url": "http://127.0.0.1:9/v3"}, "Unable to establish connection")],
)
def test_login_that_fails_names_user_place_and_cause(
    arguments: dict[str, Any], change: dict[str, str], told: str
) -> None:
    arguments["auth"] |= change
    with pytest.raises(login.SdkError) as error:
        login.connect(arguments)
    text = str(error.value)
    assert text.startswith(
        f"cannot get a token for user {arguments['auth']['username']} from {arguments['auth']['auth_url']}: "
    )
    assert told in text and "the password in the inventory" in text
    assert "\n" not in text and arguments["auth"]["password"] not in text


def test_login_of_a_file_is_used_where_it_is_named(
    arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry = {"auth": arguments["auth"], "region_name": arguments["region_name"]}
    (tmp_path / "clouds.yaml").write_text(json.dumps({"clouds": {"mine": entry}}))
    monkeypatch.setattr("openstack.config.loader.CONFIG_FILES", [str(tmp_path / "clouds.yaml")])
    connected = login.connect({"cloud": "mine", "auth": None, "interface": "public"})
    assert connected.session.auth.get_access(connected.session).username == arguments["auth"]["username"]
    with pytest.raises(login.SdkError, match=r"cannot get a token from cloud yours: .*Check its entry in clouds.yaml"):
        login.connect({"cloud": "yours", "auth": None, "interface": "public"})


def test_no_login_at_all_is_told() -> None:
    with pytest.raises(login.SdkError, match="there is no login: give auth, or cloud"):
        login.connect({"cloud": None, "auth": None})


def test_python_without_the_sdk_is_told_where_to_go(arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "openstack", None)
    with pytest.raises(login.SdkError, match=r"openstacksdk is not installed for this Python.*set verify_from"):
        login.connect(arguments)


def test_steps_keep_what_was_found_and_what_went_wrong() -> None:
    times = iter((0.0, 1.5, 2.0, 12.0))
    steps = login.Steps(lambda: next(times))
    steps.run("network", lambda: "lan")
    with pytest.raises(KeyboardInterrupt):
        steps.run("server", lambda: (_ for _ in ()).throw(KeyboardInterrupt()))
    assert steps.lines() == ["   1.5 s  network: lan", "  10.0 s  FAILED: server: KeyboardInterrupt"]
    assert [one["ok"] for one in steps.done] == [True, False]


def test_programs_that_are_missing_hang_or_fail_are_answers(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert guest_shell.run_program(["no-such-program"], 5) == guest_shell.Answer(
        127, "", "no-such-program is not installed on the machine that runs the test"
    )
    stand_ins.add("ssh", Said(hangs=True))
    assert guest_shell.run_program(["ssh"], 0.3) == guest_shell.Answer(124, "", "no end within 0.3 s")
    stand_ins.add("cat", lambda call: Said(call.given.upper(), 3, "e"))
    assert guest_shell.run_program(["cat"], 20, "given") == guest_shell.Answer(3, "GIVEN", "e")
    stand_ins.add("ping", Said("3 packets transmitted"))
    assert guest_shell.ping("192.0.2.1").status == 0
    assert stand_ins.lines("ping") == ["ping -n -c 3 -i 0.3 -W 2 192.0.2.1"]
    assert health.run_command(["no-such-program"]) == (127, "no-such-program: not installed")
    stand_ins.add("systemctl", Said("out\n", 3, "err\n"))
    assert health.run_command(["systemctl", "x"]) == (3, "out\nerr\n")


def test_key_that_cannot_be_made_is_told(stand_ins: StandIns, tmp_path: Any) -> None:
    stand_ins.add("ssh-keygen", Said(status=1, errors="Saving key failed: No space left on device\n"))
    with pytest.raises(OSError, match="ssh-keygen cannot make a key pair: Saving key failed: No space left on device"):
        guest_shell.Shell(tmp_path).make_key("x")


def test_guest_is_reached_through_another_one(tmp_path: Any) -> None:
    words = guest_shell.Shell(tmp_path).command("10.0.0.5", "true", jump="192.0.2.7")
    (proxy,) = (word for word in words if word.startswith("ProxyCommand="))
    assert "-W %h:%p" in proxy.replace("'", "") and "root@192.0.2.7" in proxy and "StrictHostKeyChecking=yes" in proxy
    assert words[-2:] == ["root@10.0.0.5", "true"]
