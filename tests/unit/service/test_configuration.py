"""A configuration transaction writes everything or nothing, and says truthfully what it does."""

from __future__ import annotations

import getpass
import grp
import os
import re
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import configuration, options

OWNER = getpass.getuser()
GROUP = grp.getgrgid(os.getgid()).gr_name


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(configuration, "GENERATIONS", str(tmp_path / "generations"))
    return tmp_path


def entry(path, **data):
    return configuration.from_data(str(path), {"owner": OWNER, "group": GROUP, **data})


def test_ini_has_a_line_for_each_element_and_none_for_nothing():
    text = configuration.render_ini({"DEFAULT": {"a": True, "b": [1, 2], "c": None}, "empty": {"d": None}})
    assert text.split("\n\n", 1)[1] == "[DEFAULT]\na = true\nb = 1\nb = 2\n"


def test_a_file_is_written_with_its_mode_and_a_second_run_changes_nothing(root):
    files = [entry(root / "etc/a.conf", options={"DEFAULT": {"x": 1}}, mode="0640", units=["u"])]
    first = configuration.apply(files, check_mode=False)
    assert (root / "etc/a.conf").stat().st_mode & 0o7777 == 0o640
    assert first.units == ["u"]
    assert configuration.apply(files, check_mode=False).changes == []
    assert [path.name for path in (root / "etc").iterdir()] == ["a.conf"]


def test_check_mode_tells_the_change_and_writes_nothing(root):
    outcome = configuration.apply([entry(root / "a", content="new\n")], check_mode=True)
    assert [(change.before, change.after) for change in outcome.changes] == [("", "new\n")]
    assert not (root / "a").exists()


def test_a_wrong_mode_alone_is_a_change(root):
    (root / "a").write_text("same\n")
    (root / "a").chmod(0o666)
    change = configuration.compare(entry(root / "a", content="same\n", mode="0600"))
    assert change is not None
    assert "0666" in change.before
    assert "0600" in change.after


def test_nothing_is_written_when_one_file_is_refused(root):
    files = [
        entry(root / "good", content="good\n"),
        entry(root / "bad", content="bad\n", validate=["/bin/false", "%s"]),
    ]
    with pytest.raises(configuration.ConfigurationError, match="/bin/false refuses it"):
        configuration.apply(files, check_mode=False)
    assert not (root / "good").exists()


def test_what_is_replaced_is_kept(root):
    (root / "a").write_text("old\n")
    outcome = configuration.apply([entry(root / "a", content="new\n")], check_mode=False)
    kept = outcome.generation + str(root / "a")
    assert Path(kept).read_text(encoding="utf-8") == "old\n"
    assert os.stat(outcome.generation).st_mode & 0o777 == 0o700


def test_links_directories_and_removals(root):
    (root / "gone").write_text("x")
    files = [
        entry(root / "dir", state="directory", mode="0750"),
        entry(root / "link", link="dir"),
        entry(root / "gone", state="absent"),
    ]
    configuration.apply(files, check_mode=False)
    assert (root / "dir").stat().st_mode & 0o777 == 0o750
    assert os.readlink(root / "link") == "dir"
    assert not (root / "gone").exists()
    assert configuration.apply(files, check_mode=False).changes == []


def test_a_directory_in_the_place_of_a_file_is_refused(root):
    (root / "a").mkdir()
    with pytest.raises(configuration.ConfigurationError, match="is a directory on this host"):
        configuration.apply([entry(root / "a", content="x")], check_mode=False)


def test_shown_texts_hide_secrets_that_were_rotated_away():
    shown = configuration.masked("password = hunter2\nconnection = mysql+pymysql://nova:hunter2@db/nova\nauth_url = http://x\n")
    assert "hunter2" not in shown
    assert "auth_url = http://x" in shown


def test_contradictions_in_an_entry_are_named():
    with pytest.raises(ValueError, match="unknown key 'contnt'; did you mean 'content'"):
        configuration.from_data("/a", {"contnt": ""})
    with pytest.raises(ValueError, match="exactly one of"):
        configuration.from_data("/a", {"content": "", "options": {}})
    with pytest.raises(ValueError, match=r"\[DEFAULT\] x must be a value"):
        configuration.from_data("/a", {"options": {"DEFAULT": {"x": {}}}})


DEFINITIONS = options.from_generator(
    {
        "options": {
            "api": {
                "opts": [
                    {"name": "max_limit", "dest": "max_limit", "type": "integer value", "min": 0, "max": 100, "choices": []},
                    {"name": "auth_strategy", "dest": "auth_strategy", "type": "string value", "choices": [["keystone", None]]},
                ]
            },
            "DEFAULT": {"opts": [{"name": "debug", "dest": "debug", "type": "boolean value", "choices": []}]},
            "placement": {"opts": [{"name": "auth_type", "dest": "auth_type", "type": "string value", "choices": []}]},
        },
        "deprecated_options": {
            "DEFAULT": [{"name": "osapi_max_limit", "replacement_group": "api", "replacement_name": "max_limit"}]
        },
    }
)


@pytest.mark.parametrize(
    ("section", "option", "value", "said"),
    [
        ("DEFAULT", "osapi_max_limt", 5, r"n.conf: section \[DEFAULT\] has no option 'osapi_max_limt'; did you mean 'osapi_max_limit'"),
        ("api", "debug", True, r"it belongs to section \[DEFAULT\]"),
        ("apy", "max_limit", 5, r"no section \[apy\]; did you mean \[api\]"),
        ("DEFAULT", "debug", "maybe", "must be true or false"),
        ("api", "max_limit", "many", "must be an integer"),
        ("api", "max_limit", 101, "must be at most 100"),
        ("api", "auth_strategy", "none", "must be one of 'keystone'"),
    ],
)
def test_wrong_options_are_errors_that_name_the_nearest_right_one(section, option, value, said):
    errors, _ = options.check("n.conf", {section: {option: value}}, DEFINITIONS, [])
    assert len(errors) == 1
    assert re.search(said, errors[0]), errors[0]


def test_right_options_pass_and_deprecated_ones_warn():
    data = {"DEFAULT": {"debug": True, "osapi_max_limit": 5}, "api": {"max_limit": "$other"}, "own": {"x": 1}}
    errors, warnings = options.check("n.conf", data, DEFINITIONS, ["own"])
    assert errors == []
    assert warnings == ["n.conf: [DEFAULT] osapi_max_limit is deprecated for [api] max_limit"]


def test_options_of_keystoneauth_plug_ins_are_known_where_one_is_loaded():
    assert options.check("n.conf", {"placement": {"username": "nova"}}, DEFINITIONS, [])[0] == []
    assert options.check("n.conf", {"api": {"username": "nova"}}, DEFINITIONS, [])[0] != []
