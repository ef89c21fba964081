"""What of a configuration may be shown, and how lists and mappings are written for an option's type."""

from __future__ import annotations

import getpass
import grp
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import configuration, masking, options
from ansible_collections.stackwright.cloud.plugins.modules import configuration as module

OWNED = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}
RunModule = Callable[..., dict[str, Any]]


def option(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "dest": name.replace("-", "_"), "type": kind, "choices": [], "min": None, "max": None, **more}


DEFINITIONS = options.from_generator(
    {
        "options": {
            "DEFAULT": {
                "opts": [
                    option("transport_url", "string value", secret=True),
                    option("admin_token", "string value", secret=True),
                    option("token_ttl", "integer value"),
                    option("servers", "list value"),
                    option("backend", "multi valued", default=[]),
                    option("mappings", "dict value"),
                    option("debug", "boolean value"),
                    option("odd", "unknown value"),
                ]
            },
            "cache": {"opts": [option("backend_argument", "multi valued", default=[], secret=True)]},
            "placement": {"opts": [option("auth_type", "string value")]},
        },
        "deprecated_options": {
            "DEFAULT": [
                {"name": "old_token", "replacement_group": "DEFAULT", "replacement_name": "admin_token"},
                {"name": "old_servers", "replacement_group": "DEFAULT", "replacement_name": "servers"},
            ]
        },
    }
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(configuration, "GENERATIONS", str(tmp_path / "generations"))
    monkeypatch.setattr(options, "load", lambda namespaces: DEFINITIONS)
    return tmp_path


def ini(**sections: dict[str, Any]) -> dict[str, Any]:
    return {"options": sections, "definitions": ["nova.conf"], **OWNED}


@pytest.mark.parametrize(
    ("name", "value", "lines"),
    [
        ("servers", ["9.9.9.9", "149.112.112.112"], ["servers = 9.9.9.9,149.112.112.112"]),
        ("servers", [1, True], ["servers = 1,true"]),
        ("servers", [], ["servers ="]),
        ("servers", "a,b", ["servers = a,b"]),
        ("servers", None, []),
        ("old_servers", ["a", "b"], ["old_servers = a,b"]),
        ("backend", ["a,b", "c"], ["backend = a,b", "backend = c"]),
        ("backend", [], []),
        ("mappings", {"physnet1": "br-ex", "physnet2": "br-prov"}, ["mappings = physnet1:br-ex,physnet2:br-prov"]),
        ("mappings", {"a": "b:c", "d": False}, ["mappings = a:b:c,d:false"]),
        ("mappings", ["a:b", "c:d"], ["mappings = a:b,c:d"]),
        ("mappings", {}, ["mappings ="]),
        ("debug", False, ["debug = false"]),
    ],
)
def test_values_are_written_as_the_options_type_reads_them(root: Path, name: str, value: Any, lines: list[str]) -> None:
    path = root / "n.conf"
    files = [configuration.from_data(str(path), ini(DEFAULT={name: value}))]
    configuration.apply(files, check_mode=False)
    assert [line for line in path.read_text().splitlines() if " =" in line] == lines
    again = [configuration.from_data(str(path), ini(DEFAULT={name: value}))]
    assert not configuration.apply(again, check_mode=True).changes


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("servers", ["a,b"], "has an element with ',' in it"),
        ("servers", ["a", None], "no single value but nothing"),
        ("servers", [["a"]], "no single value but a list"),
        ("servers", {"a": 1}, "is given a mapping, but takes a list value"),
        ("mappings", {"a:b": 1}, "has an element with ':' in it"),
        ("mappings", {"a": {"b": 1}}, "no single value but a dict"),
        ("token_ttl", [1, 2], "is given a list, but takes an integer value"),
        ("debug", [True], "is given a list, but takes a boolean value"),
        ("odd", ["a"], "type that is not known: write its text"),
    ],
)
def test_what_an_option_cannot_hold_is_refused_with_its_place(
    root: Path, run_module: RunModule, name: str, value: Any, told: str
) -> None:
    answer = run_module(
        module, files={str(root / "n.conf"): ini(DEFAULT={name: value, "debug": value if name == "debug" else True})}
    )
    assert answer["failed"] and told in answer["msg"] and f"{root}/n.conf: [DEFAULT] {name} " in answer["msg"]
    assert not (root / "n.conf").exists()


def test_lists_of_options_that_keystoneauth_reads_and_of_sections_of_the_operators_own(root: Path) -> None:
    data = ini(placement={"valid_interfaces": ["internal", "public"]}, own={"servers": ["a", "b"]})
    configuration.apply(
        [configuration.from_data(str(root / "n"), {**data, "free_sections": ["own"]})], check_mode=False
    )
    text = (root / "n").read_text()
    assert "valid_interfaces = internal,public\n" in text and "servers = a,b\n" in text


SECRET_VALUES = {
    "transport_url": "rabbit://u1:First-Pw-1@h1:5672,u2:Second-Pw-2@h2:5672//",
    "admin_token": "plain-admin-token",
    "old_token": "older-admin-token",
}


def test_what_the_service_marks_as_secret_shows_nowhere(root: Path, run_module: RunModule) -> None:
    path = root / "n.conf"
    path.write_text(
        "[DEFAULT]\nadmin_token = rotated-away-1\n  and its second "
        "line\ntransport_url=rabbit://x:rotated-2@h\ntoken_ttl = 5\n"
    )
    files = {
        str(path): ini(
            DEFAULT={**SECRET_VALUES, "token_ttl": 7},
            cache={"backend_argument": ["url:redis://:Redis-Pw-3@h", "db:1"]},
            placement={"password": "Placement-Pw-4"},
            own={"connection": "mysql://n:Team/Night@Shift#2024:ok?@10.0.0.1/n"},
        )
    }
    answer = run_module(
        module,
        files={str(path): {**files[str(path)], "free_sections": ["own"]}},
        _ansible_diff=True,
        _ansible_verbosity=3,
    )
    shown = json.dumps(answer)
    words = (
        "First-Pw-1",
        "Second-Pw-2",
        "admin-token",
        "Redis-Pw-3",
        "Placement-Pw-4",
        "rotated",
        "second line",
        "Night",
        "Shift",
    )
    assert answer["changed"] and not [word for word in words if word in shown]
    assert "-token_ttl = 5" in "\n".join(f"-{line}" for line in answer["diff"][0]["before"].splitlines())
    assert "token_ttl = 7" in answer["diff"][0]["after"], "what merely sounds like a secret and is none is shown"
    assert answer["invocation"]["module_args"]["files"] == [str(path)]
    assert "Second-Pw-2" in path.read_text()


def test_a_rotated_secret_is_a_change_that_shows(root: Path, run_module: RunModule) -> None:
    path = root / "n.conf"
    run_module(module, files={str(path): ini(DEFAULT={"admin_token": "the first one"})})
    answer = run_module(module, files={str(path): ini(DEFAULT={"admin_token": "the second one"})})
    assert "what is not shown differs" in answer["diff"][0]["after"] and "second" not in json.dumps(answer)


def test_secrets_of_the_operator_are_hidden_in_every_form(root: Path, run_module: RunModule) -> None:
    secret = 'Ra"in$bow/un\\der@17'
    text = "\n".join(sorted(masking.forms(secret)))
    files = {
        str(root / "public"): {"content": f"a: {text}\nport: 80\n", "public": True, **OWNED},
        str(root / "uwsgi.ini"): {
            "options": {"uwsgi": {"env": f"X={secret}", "http": f"http://n:{secret}@h", "master": True}},
            **OWNED,
        },
        str(root / "bad"): {"content": secret, "validate": ["/bin/sh", "-c", 'cat "$0" >&2; exit 1', "%s"], **OWNED},
    }
    refused = run_module(module, files=files, secrets=[secret])
    assert refused["failed"] and "refuses it: ********" in refused["msg"]
    del files[str(root / "bad")]
    answer = run_module(module, files=files, secrets=[secret])
    shown = json.dumps(answer["diff"])
    assert "port: 80" in shown and "master = true" in shown
    assert not [form for form in masking.forms(secret) if json.dumps(form)[1:-1] in shown]


def test_text_of_files_is_counted_unless_the_role_says_that_it_is_public(root: Path, run_module: RunModule) -> None:
    (root / "a").write_text("PASSWORD = 'one'\nx\n")
    (root / "link").write_text("the former text\n")
    files = {
        str(root / "a"): {"content": "PASSWORD = 'two'\ny\n", **OWNED},
        str(root / "link"): {"link": "a"},
        str(root / "b"): {"content": "DAEMON_ARGS=--port 80\n", "public": True, **OWNED},
    }
    answer = run_module(module, files=files)
    shown = {entry["after_header"]: entry for entry in answer["diff"]}
    assert shown[str(root / "a")]["before"].endswith("(content of 2 lines, not shown)\n")
    assert "two" not in json.dumps(answer) and "former" not in json.dumps(answer)
    assert shown[str(root / "link")]["after"] == "-> a\n" and "--port 80" in shown[str(root / "b")]["after"]
    gone = run_module(module, files={str(root / "a"): {"state": "absent"}})
    assert "two" not in json.dumps(gone["diff"]) and gone["changed"]


@pytest.mark.parametrize(
    "line",
    [
        "password = hunter22",
        "    'PASSWORD': \"hunter22\",",
        '{"user": "x", "db_password": "hunter22"}',
        "ldap_bind_passwd: hunter22",
        "SECRET_KEY='hunter22'",
        "key => hunter22",
        "s3_store_secret_key=hunter22 # a = b",
        "x = https://user:hunter22@host/path",
        "hosts: amqp://a:other@h1,b:hunter22@h2",
    ],
)
def test_names_that_sound_secret_are_the_last_net(line: str) -> None:
    assert "hunter22" not in configuration.masked(line)


def test_harmless_lines_are_shown_as_they_are() -> None:
    text = "auth_url = http://x:5000/v3\nmail: ops@example.org\n# a: comment\nuser=nova\n"
    assert configuration.masked(text) == text


def test_problems_do_not_quote_secrets(root: Path, run_module: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = options.from_generator({"options": {"DEFAULT": {"opts": [option("pin", "integer value", secret=True)]}}})
    monkeypatch.setattr(options, "load", lambda namespaces: wrong)
    answer = run_module(module, files={str(root / "n"): ini(DEFAULT={"pin": "no number"})})
    assert answer["failed"] and "must be an integer" in answer["msg"] and "no number" not in json.dumps(answer)


def test_value_of_a_name_that_only_sounds_secret_is_not_taken_out_of_everything(
    root: Path, run_module: RunModule
) -> None:
    """Where no definitions say what is a secret, a line may be hidden by its name, and no other line for its value."""
    path = root / "uwsgi.ini"
    path.write_text("#fatal_deprecations = false\npassword_expires = false\n")
    entry = {
        "options": {"uwsgi": {"password_expires": False, "service_token_roles": "service", "master": True}},
        **OWNED,
    }
    answer = run_module(module, files={str(path): entry}, _ansible_diff=True)
    assert "#fatal_deprecations = false\n" in answer["diff"][0]["before"]
    assert "password_expires = ********\n" in answer["diff"][0]["before"]
