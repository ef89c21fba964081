"""Option definitions come from the service's own generator, once for each state of the host's packages."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import options
from ansible_collections.stackwright.cloud.plugins.modules import configuration as module
from ansible_collections.stackwright.cloud.tests.stand_ins import Said, StandIns


def option(name: str, kind: str = "string value", **more: Any) -> dict[str, Any]:
    """An option as the generator prints it: its name may have dashes, its destination has underscores."""
    return {"name": name, "dest": name.replace("-", "_"), "type": kind, "choices": [], "min": None, "max": None, **more}


ANSWER = {
    "options": {
        "DEFAULT": {
            "opts": [
                option("debug", "boolean value"),
                option("bind-port", "port value"),
                option("ratio", "floating point value", min=0.5, max=16),
                option("workers", "integer value", min=1),
                option("log-format", choices=[["json", "one line each"], [None, "none"]]),
                option("hosts", "list value"),
            ]
        }
    },
    "deprecated_options": {
        "DEFAULT": [{"name": "old-port", "replacement_group": "DEFAULT", "replacement_name": "bind-port"}]
    },
}


@pytest.fixture
def generator(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A generator that prints ANSWER, and dpkg's database beside it."""
    status = tmp_path / "status"
    status.write_text("one package\n")
    monkeypatch.setattr(options, "GENERATOR", stand_ins.add("oslo-config-generator", Said(json.dumps(ANSWER))))
    monkeypatch.setattr(options.dpkg, "STATUS", str(status))
    monkeypatch.setattr(options, "CACHE_DIRECTORY", str(tmp_path / "cache"))
    return status


def load() -> options.Definitions:
    definitions = options.load(["nova.conf", "oslo.log"])
    assert definitions is not None
    return definitions


def test_generator_is_asked_once_until_a_package_changes(generator: Path, stand_ins: StandIns) -> None:
    first = load()
    assert stand_ins.lines() == ["oslo-config-generator --format json --namespace nova.conf --namespace oslo.log"]
    assert load() == first
    assert len(stand_ins.calls) == 1
    generator.write_text("two packages\n")
    assert load() == first
    assert len(stand_ins.calls) == 2
    # what was kept for the former packages is not kept for ever
    assert len(list((generator.parent / "cache").iterdir())) == 1


def test_other_namespaces_have_definitions_of_their_own(generator: Path, stand_ins: StandIns) -> None:
    load()
    stand_ins.add(
        "oslo-config-generator", Said(json.dumps({"options": {"glance_store": {"opts": [option("default_store")]}}}))
    )
    other = options.load(["glance.conf"])
    assert other is not None and list(other.sections) == ["glance_store"]
    assert "debug" in load().sections["DEFAULT"]


@pytest.mark.parametrize("kept", ["", "[]", '{"sections": {}}', '{"DEFAULT": {"debug": ["boolean value"]}}', "STATE"])
def test_what_another_release_kept_is_fetched_anew(generator: Path, stand_ins: StandIns, kept: str) -> None:
    first = load()
    (cached,) = (generator.parent / "cache").iterdir()
    if kept == "STATE":
        kept = json.dumps(
            {
                "packages": json.loads(cached.read_text())["packages"],
                "sections": {"DEFAULT": {"debug": ["boolean value"]}},
            }
        )
    cached.write_text(kept)
    assert load() == first
    assert len(stand_ins.calls) == 2


def test_host_without_a_generator_has_nothing_to_check_against(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(options, "GENERATOR", str(tmp_path / "none"))
    assert options.load(["nova.conf"]) is None


def test_host_without_dpkg_is_asked_too(generator: Path) -> None:
    generator.unlink()
    assert "DEFAULT" in load().sections


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            Said(status=1, errors="Traceback ...\nRuntimeError: namespace nova.conf unknown\n"),
            "oslo-config-generator failed for nova.conf: Traceback ... RuntimeError: namespace nova.conf unknown",
        ),
        (
            Said("WARNING: something else\n"),
            "oslo-config-generator's answer for nova.conf is not the JSON it prints otherwise",
        ),
        (
            Said('{"options": {"DEFAULT": []}}'),
            "oslo-config-generator's answer for nova.conf is not the JSON it prints otherwise",
        ),
    ],
)
def test_generator_that_fails_stops_the_transaction_with_its_words(
    generator: Path, stand_ins: StandIns, run_module: Callable[..., dict[str, Any]], said: Said, told: str
) -> None:
    stand_ins.add("oslo-config-generator", said)
    path = generator.parent / "nova.conf"
    answer = run_module(
        module, files={str(path): {"options": {"DEFAULT": {"debug": True}}, "definitions": ["nova.conf"]}}
    )
    assert answer["failed"]
    assert answer["msg"].startswith(f"The configuration could not be applied: {told}")
    assert not path.exists() and not os.path.exists(options.CACHE_DIRECTORY)


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("bind_port", 9696, ""),
        ("bind-port", 65536, "must be a port number from 0 to 65535"),
        ("ratio", "1.5", ""),
        ("ratio", "much", "must be a number"),
        ("ratio", 0.25, "must be at least 0.5"),
        ("workers", 0, "must be at least 1"),
        ("workers", "2.5", "must be an integer"),
        ("debug", "On", ""),
        ("log_format", "", ""),
        ("log_format", "xml", "must be one of 'json', ''"),
        ("hosts", ["a", "b"], ""),
        ("old_port", 9696, ""),
    ],
)
def test_values_are_held_against_types_bounds_and_choices(generator: Path, name: str, value: Any, wrong: str) -> None:
    errors, _ = options.check("/etc/n.conf", {"DEFAULT": {name: value}}, load(), [])
    assert errors == ([f"/etc/n.conf: [DEFAULT] {name} = {value}: {wrong}"] if wrong else [])


def test_each_line_of_a_list_is_checked(generator: Path) -> None:
    errors, _ = options.check("/etc/n.conf", {"DEFAULT": {"workers": [1, "x", 0]}}, load(), [])
    assert [error.rsplit(": ", 1)[1] for error in errors] == ["must be an integer", "must be at least 1"]


def test_misspelling_that_resembles_nothing_is_told_without_a_guess(generator: Path) -> None:
    data = {"DEFAULT": {"zzz": 1}, "qqq": {"x": 1}}
    errors, _ = options.check("/etc/n.conf", data, load(), [])
    assert errors == [
        "/etc/n.conf: section [DEFAULT] has no option 'zzz'",
        "/etc/n.conf: the service has no section [qqq]",
    ]
