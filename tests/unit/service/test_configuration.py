"""A configuration transaction writes everything or nothing, and says truthfully what it does."""

from __future__ import annotations

import getpass
import grp
import os
import re
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import configuration, options
from ansible_collections.stackwright.cloud.plugins.modules import configuration as module
from ansible_collections.stackwright.cloud.tests.stand_ins import Said

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
    shown = configuration.masked(
        "password = hunter2\nconnection = mysql+pymysql://nova:hunter2@db/nova\nauth_url = http://x\n"
    )
    assert "hunter2" not in shown
    assert "auth_url = http://x" in shown


def test_contradictions_in_an_entry_are_named():
    with pytest.raises(ValueError, match=r"unknown key 'contnt'. Did you mean 'content'"):
        configuration.from_data("/a", {"contnt": ""})
    with pytest.raises(ValueError, match="exactly one of"):
        configuration.from_data("/a", {"content": "", "options": {}})
    with pytest.raises(ValueError, match=r"\[DEFAULT\] x must be a value"):
        configuration.from_data("/a", {"options": {"DEFAULT": {"x": {}}}})


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"content": "", "state": "folder"}, "/a: state 'folder' is none of file, directory, link, absent"),
        ({"options": {"DEFAULT": ["x"]}}, r"/a: section \[DEFAULT\] must map options to values, not list"),
        # what YAML makes of 0640 without quotes would be another mode
        ({"content": "", "mode": 416}, "/a: mode 416 must be a string of octal digits in quotes"),
        ({"content": "", "mode": "u=rw"}, "/a: mode 'u=rw' must be a string of octal digits in quotes"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused_by_the_module(run_module, root, data, told):
    answer = run_module(module, files={str(root / "fine"): {"content": "x"}, "/a": data})
    assert answer["failed"]
    assert re.search(told, answer["msg"]), answer["msg"]
    assert not (root / "fine").exists()


def test_a_path_must_be_absolute(run_module):
    assert "etc/a: the path must be absolute" in run_module(module, files={"etc/a": {"content": ""}})["msg"]


def test_all_problems_are_told_at_once(run_module, root):
    owner = {"owner": OWNER, "group": GROUP}
    files = {str(root / name): {"content": name, "validate": ["/bin/false"], **owner} for name in ("a", "b")}
    answer = run_module(module, files=files)
    assert answer["msg"].endswith("(and 1 more)")
    assert [problem.split(":")[0] for problem in answer["problems"]] == [str(root / "a"), str(root / "b")]


def test_an_owner_that_does_not_exist_is_told_unless_its_package_is_still_to_come(root):
    file = entry(root / "a", content="x", owner="no-such-user")
    with pytest.raises(
        configuration.ConfigurationError, match=r"/a: .*no-such-user.*is the package that makes it installed\?"
    ):
        configuration.apply([file], check_mode=True)
    outcome = configuration.apply([file], check_mode=True, packages_pending=True)
    assert [change.path for change in outcome.changes] == [str(root / "a")]


def test_a_file_of_nobody_known_is_described_by_numbers(root, monkeypatch):
    def unknown(number):
        raise KeyError(number)

    (root / "a").write_text("x\n")
    monkeypatch.setattr(configuration.pwd, "getpwuid", unknown)
    monkeypatch.setattr(configuration.grp, "getgrgid", unknown)
    change = configuration.compare(entry(root / "a", content="x\n"))
    assert change is not None and change.before.startswith(f"({os.getuid()}:{os.getgid()} ")


def test_validators_see_the_new_text_and_speak_of_the_real_path(root, stand_ins):
    def validate(call):
        with open(call.words[-1], encoding="utf-8") as stream:
            text = stream.read()
        return Said(status=0 if "good" in text else 1, errors=f"{call.words[-1]}:1: syntax error")

    command = [stand_ins.add("haproxy", validate), "-c", "-f", "%s"]
    configuration.apply([entry(root / "h.cfg", content="good\n", validate=command)], check_mode=False)
    with pytest.raises(configuration.ConfigurationError) as told:
        configuration.apply([entry(root / "h.cfg", content="bad\n", validate=command)], check_mode=False)
    assert told.value.problems == [f"{root}/h.cfg: {command[0]} refuses it: {root}/h.cfg:1: syntax error"]
    assert (root / "h.cfg").read_text() == "good\n"


def test_a_validator_that_is_not_installed_yet_is_not_missed(root):
    configuration.apply([entry(root / "a", content="x", validate=["/no/such/program", "%s"])], check_mode=False)
    assert (root / "a").read_text() == "x"


def test_a_link_replaces_what_was_there_and_what_an_interrupted_run_left(root):
    (root / "link").write_text("a file\n")
    (root / "link.stackwright-new").symlink_to("half")
    outcome = configuration.apply([entry(root / "link", link="target")], check_mode=False)
    assert os.readlink(root / "link") == "target"
    assert Path(outcome.generation + str(root / "link")).read_text() == "a file\n"
    outcome = configuration.apply([entry(root / "link", link="other")], check_mode=False)
    assert os.readlink(outcome.generation + str(root / "link")) == "target"
    # a file takes the link's place, and not that of what the link points to
    (root / "other").write_text("theirs\n")
    outcome = configuration.apply([entry(root / "link", content="own\n")], check_mode=False)
    assert outcome.changes[0].before == "-> other\n"
    assert (root / "link").read_text() == "own\n" and not (root / "link").is_symlink()
    assert (root / "other").read_text() == "theirs\n"


def test_a_directory_is_removed_with_what_is_in_it_and_its_mode_is_kept_up(root):
    (root / "dir/sub").mkdir(parents=True)
    (root / "own").mkdir(mode=0o777)
    configuration.apply(
        [entry(root / "dir", state="absent"), entry(root / "own", state="directory", mode="0700")], check_mode=False
    )
    assert not (root / "dir").exists()
    assert (root / "own").stat().st_mode & 0o777 == 0o700


def test_something_else_in_the_place_of_a_file_is_refused(root):
    os.mkfifo(root / "pipe")
    with pytest.raises(configuration.ConfigurationError, match="/pipe: is a other on this host"):
        configuration.compare(entry(root / "pipe", content="x"))


def test_a_write_that_fails_says_what_is_written_and_where_the_former_state_is(root, run_module, monkeypatch):
    (root / "a").write_text("old\n")
    owner = {"owner": OWNER, "group": GROUP}
    # a file stands where a directory is needed: seen only when it is written
    files = {str(root / "a"): {"content": "new\n", **owner}, str(root / "file/b"): {"content": "b", **owner}}
    (root / "file").write_text("")
    answer = run_module(module, files=files)
    assert f"{root}/file/b: cannot be written: " in answer["msg"]
    kept = re.search(r"the state before is kept in (\S+);", answer["msg"])
    assert kept and Path(kept[1] + str(root / "a")).read_text() == "old\n"
    assert (root / "a").read_text() == "new\n"


def test_a_write_that_is_cut_short_leaves_the_old_file_and_nothing_else(root, monkeypatch):
    (root / "a").write_text("old\n")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(configuration.ConfigurationError, match="cannot be written: No space left on device"):
        configuration.apply([entry(root / "a", content="new\n")], check_mode=False)
    assert (root / "a").read_text() == "old\n"
    assert sorted(path.name for path in root.iterdir()) == ["a", "generations"]


def test_only_the_last_generations_are_kept(root):
    for number in range(configuration.GENERATIONS_KEPT):
        (root / f"generations/2020010{number}T000000-1").mkdir(parents=True)
    outcome = configuration.apply([entry(root / "a", content="new\n")], check_mode=False)
    names = sorted(path.name for path in (root / "generations").iterdir())
    assert len(names) == configuration.GENERATIONS_KEPT
    assert names[0].startswith("20200101") and names[-1] == Path(outcome.generation).name


def test_a_deprecated_option_is_a_warning_of_the_module(root, run_module, monkeypatch):
    monkeypatch.setattr(options, "load", lambda namespaces: DEFINITIONS)
    content = {
        "options": {"DEFAULT": {"osapi_max_limit": 5}},
        "definitions": ["nova.conf"],
        "owner": OWNER,
        "group": GROUP,
    }
    answer = run_module(module, files={str(root / "n.conf"): content})
    assert answer["changed_files"] == [f"{root}/n.conf"]
    assert "deprecated for [api] max_limit" in str(answer["warnings"])


DEFINITIONS = options.from_generator(
    {
        "options": {
            "api": {
                "opts": [
                    {
                        "name": "max_limit",
                        "dest": "max_limit",
                        "type": "integer value",
                        "min": 0,
                        "max": 100,
                        "choices": [],
                    },
                    {
                        "name": "auth_strategy",
                        "dest": "auth_strategy",
                        "type": "string value",
                        "choices": [["keystone", None]],
                    },
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
        (
            "DEFAULT",
            "osapi_max_limt",
            5,
            r"n.conf: section \[DEFAULT\] has no option 'osapi_max_limt'. Did you mean 'osapi_max_limit'",
        ),
        ("api", "debug", True, r"it belongs to section \[DEFAULT\]"),
        ("apy", "max_limit", 5, r"no section \[apy\]. Did you mean '\[api\]'"),
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has other accounts' directories to be careful in")
@pytest.mark.parametrize("state", ["file", "directory", "link", "absent"])
def test_nothing_is_done_through_a_link_that_a_service_put_in_the_way(root, state):
    """A service that may write its directory puts a link to the system's configuration in the place of what is ours."""
    (root / "etc").mkdir()
    (root / "etc/shadow").write_text("secret")
    (root / "etc/shadow").chmod(0o600)
    (root / "service").mkdir()
    (root / "service/d").symlink_to(root / "etc")
    for path in (root / "service", root / "service/d"):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    more = {
        "file": {"content": "x\n"},
        "link": {"link": "/x"},
        "directory": {"state": "directory"},
        "absent": {"state": "absent"},
    }
    before = {one.name: (one.stat().st_uid, one.stat().st_mode) for one in (root / "etc").iterdir()}
    with pytest.raises(
        configuration.ConfigurationError, match="d on the way is a link that another account can change"
    ):
        configuration.apply(
            [entry(root / "service/d/shadow", owner="nobody", group="nogroup", **more[state])], check_mode=False
        )
    assert {one.name: (one.stat().st_uid, one.stat().st_mode) for one in (root / "etc").iterdir()} == before
    with pytest.raises(configuration.ConfigurationError, match="on the way is a link"):
        configuration.apply(
            [entry(root / "service/d", owner="nobody", group="nogroup", state="directory")], check_mode=False
        )
    assert (root / "etc").stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make root's links")
def test_directory_that_root_has_moved_to_another_disk_is_followed(root):
    (root / "disk").mkdir()
    (root / "instances").symlink_to(root / "disk")
    configuration.apply([entry(root / "instances", state="directory", mode="0750")], check_mode=False)
    assert (root / "disk").stat().st_mode & 0o777 == 0o750
