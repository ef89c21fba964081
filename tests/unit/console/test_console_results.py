"""What an operator reads of results, without Ansible."""

from __future__ import annotations

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.console import diffs, results


def test_changes_name_files_and_units():
    data = {"changed_files": ["/etc/a", "/etc/b"], "restart": ["nova-api"]}
    assert results.changes(data) == "/etc/a, /etc/b; restart due: nova-api"


def test_changes_of_a_module_that_tells_the_whole_story_stand_alone():
    assert results.changes({"changes": ["start x"], "restarted": ["x"]}) == "start x"


def test_verbs_in_check_mode_do_not_claim_that_it_was_done():
    assert results.changes({"added": ["curl"], "restarted": ["x"]}, check=True) == "add curl; restart x"
    assert results.changes({"added": ["curl"], "restarted": ["x"]}) == "added curl; restarted x"


def test_long_lists_are_cut_and_counted():
    assert results.listing([str(n) for n in range(10)]) == "0, 1, 2, 3, 4, 5 and 4 more"
    assert results.listing(["a"] * 7) == ", ".join(["a"] * 7)


def test_changes_of_a_loop_name_the_changed_rounds_only():
    data = {
        "results": [{"changed": True, "item": "a"}, {"changed": False, "item": "b"}, {"changed": True, "dest": "/x"}]
    }
    assert results.changes(data) == "a, /x"


@pytest.mark.parametrize("hidden", [{"censored": "x"}, {"_ansible_no_log": True}])
def test_hidden_results_show_nothing(hidden):
    data = {**hidden, "msg": "sesame", "stderr": "sesame", "changes": ["sesame"], "item": "sesame", "hint": "sesame"}
    shown = [results.changes(data), results.failure(data), results.dump(data), results.message(data)]
    assert "sesame" not in str(shown) and results.item_label(data) == ""
    assert results.failure(data).cause == results.HIDDEN


def test_items_that_may_hold_secrets_are_not_labels():
    assert results.item_label({"item": {"password": "sesame"}}) == ""
    assert results.item_label({"item": {"name": "glance", "password": "sesame"}}) == "glance"
    assert results.item_label({"item": ["sesame"]}) == ""


@pytest.mark.parametrize(
    ("message", "cause", "where"),
    [
        (
            "Task failed: Finalization of task args for 'ansible.builtin.debug' failed: "
            "Error while resolving value for 'msg': 'foo' is undefined",
            "'foo' is undefined",
            "site.yml:3, in the value of msg",
        ),
        (
            "Task failed: Error while evaluating conditional: 'x' is undefined",
            "'x' is undefined",
            "site.yml:3, in a condition",
        ),
        ("Task failed.", "Task failed.", "site.yml:3"),
        ("Action failed: no", "no", "site.yml:3"),
    ],
)
def test_errors_are_reduced_to_their_root(message, cause, where):
    found = results.failure({"msg": message}, "site.yml:3")
    assert (found.cause, found.where) == (cause, where)


def test_a_command_says_what_ran_and_how_it_ended():
    data = {
        "msg": "non-zero return code",
        "cmd": ["nova-manage", "a b"],
        "rc": 3,
        "stderr": "\n".join(map(str, range(40))),
    }
    found = results.failure(data)
    assert found.cause == "nova-manage 'a b' ended with code 3"
    assert found.details == tuple(str(n) for n in range(30, 40))


def test_output_stands_in_for_missing_error_output():
    assert results.failure({"msg": "no", "stderr": "", "stdout": "reason\n"}).details == ("reason",)


def test_a_crash_is_called_a_defect_of_the_module():
    found = results.failure({"msg": "Task failed: Module failed: 'lost'"})
    assert found.cause == "The module broke off on an error of its own: 'lost'"
    assert "-vvv" in found.advice


def test_output_that_is_no_result_shows_its_last_words():
    data = {
        "msg": "Module result deserialization failed: No start of json char found",
        "module_stderr": "a\nsh: python3: not found\n",
    }
    found = results.failure(data)
    assert "python3: not found" in found.cause
    assert found.advice == "Install python3 on the host."


def test_the_modules_own_advice_wins():
    assert (
        results.failure({"msg": "No space left on device", "hint": "Remove old images"}).advice == "Remove old images"
    )
    assert "df -h" in results.failure({"msg": "No space left on device"}).advice


def test_a_report_with_advice_of_its_own_gets_no_other():
    report = "Found 2 problems.\n\nhost: Connection refused\n  -> Switch it on."
    assert results.failure({"msg": report}).advice == ""


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("Failed to connect to the host via ssh: x port 22: Connection refused", "ansible_host"),
        ('Data could not be sent to remote host "127.0.0.1". Make sure this host can be reached over SSH', "try: ssh"),
        ("ubuntu@10.0.0.1: Permission denied (publickey).", "SSH key"),
        ("Host key verification failed.", "ssh-keygen -R"),
        ("Missing sudo password", "sudo"),
        ("ProxyError('Unable to connect to proxy', ... Connection refused)", "no_proxy"),
        ("Could not get lock /var/lib/dpkg/lock-frontend", "package manager"),
        ("Temporary failure resolving 'mirror'", "DNS"),
        ("E: Failed to fetch http://x", "mirror"),
        ("Attempting to decrypt but no vault secrets found.", "vault"),
    ],
)
def test_well_known_causes_bring_advice(message, word):
    assert word in results.failure({"msg": message}, unreachable=True).advice


def test_problem_lists_are_shown_line_by_line():
    assert results.failure({"msg": "refused", "problems": "a | b\nc | d"}).details == ("a | b", "c | d")
    assert results.failure({"msg": "refused", "problems": ["one", "two"]}).details == ("one", "two")
    assert results.failure({"msg": "refused: one", "problems": ["one"]}).details == ()


def test_each_failed_round_of_a_loop_is_a_failure():
    data = {
        "results": [
            {"item": "a", "failed": True, "msg": "no"},
            {"item": "b"},
            {"item": "c", "failed": True, "msg": "nor"},
        ]
    }
    assert [(item, why.cause) for item, why in results.failures(data)] == [("a", "no"), ("c", "nor")]


def test_the_dump_leaves_out_arguments_and_values_of_variables():
    data = {"invocation": {"module_args": {"password": "sesame"}}, "ansible_facts": {"key": "sesame"}, "stdout": "a\nb"}
    lines = results.dump(data, "ansible.builtin.include_vars")
    assert lines == ["ansible_facts: (names only) key", "stdout:", "  a", "  b"]
    assert "sesame" in str(results.dump(data, "ansible.builtin.setup"))


def test_debug_messages_are_text():
    assert results.message({"msg": ["a", "b"], "changed": False}) == "a\nb"
    assert results.message({"answer": 42, "changed": False, "_ansible_verbose_always": True}) == "answer: 42"


def test_differences_are_compact():
    before = "".join(f"{n}\n" for n in range(50))
    [one] = diffs.differences({"before": before, "after": before.replace("25\n", "x\n"), "after_header": "/etc/x"})
    assert one == diffs.Difference("/etc/x", (" 24", "-25", "+x", " 26"))


def test_several_hunks_are_told_apart():
    before = "".join(f"{n}\n" for n in range(50))
    [one] = diffs.differences({"before": before, "after": before.replace("5\n", "x\n", 1).replace("\n40\n", "\ny\n")})
    assert "..." in one.lines


@pytest.mark.parametrize(
    ("diff", "lines"),
    [
        ({"before": {"a": 1}, "after": {"a": 2}}, (" {", '- "a": 1', '+ "a": 2', " }")),
        ({"before": None, "after": "x\n"}, ("+x",)),
        ({"prepared": "a\nb\n"}, ("a", "b")),
        ({"dst_binary": 1}, ("(binary content)",)),
    ],
)
def test_every_kind_of_difference_is_shown(diff, lines):
    assert diffs.differences([diff])[0].lines == lines


def test_equal_sides_are_no_difference():
    assert diffs.differences({"before": "a", "after": "a"}) == []


def test_differences_that_cannot_be_shown_are_named():
    found = diffs.differences(
        [
            {"dst_binary": "/etc/a", "after_header": "/etc/a (content)"},
            {"dst_larger": 104448, "before_header": "/etc/b"},
            {"before": None, "after": {"z": 1, "a": [2]}, "prepared": "done\nby hand\n"},
            {"before": "same", "after": "same"},
            "no mapping",
        ]
    )
    assert [(one.name, one.lines) for one in found] == [
        ("/etc/a", ("(binary content)",)),
        ("/etc/b", ("(too large to show)",)),
        ("", ("+{", '+ "a": [', "+  2", "+ ],", '+ "z": 1', "+}")),
        ("", ("done", "by hand")),
    ]


def test_differences_of_a_loop_are_those_of_its_changed_rounds():
    one = {"changed": True, "diff": {"before": "a\n", "after": "b\n"}}
    found = diffs.of_result({"results": [one, {**one, "changed": False}, "skipped"]})
    assert [difference.lines for difference in found] == [("-a", "+b")]
