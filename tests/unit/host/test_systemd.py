"""One reader of systemctl show, and one answer to whether a unit stays up."""

import re
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.host import dpkg, systemd

PLUGINS = Path(__file__).parents[3] / "plugins"
UP = {"LoadState": "loaded", "ActiveState": "active", "NRestarts": "0", "ActiveEnterTimestampMonotonic": "100000000"}


def machine(**units):
    """What runs systemctl where these units are."""

    def run(argv):
        names = argv[argv.index("--") + 1 :]
        shown = [units.get(name.split(".")[0], {"LoadState": "not-found", "ActiveState": "inactive"}) for name in names]
        return 0, "\n\n".join("\n".join(f"{key}={value}" for key, value in one.items()) for one in shown) + "\n"

    return run


def asked(unit, now, lasting=systemd.LASTING):
    return systemd.staying_up(["a"], lasting, machine(a=unit), lambda: now)["a"]


def test_a_unit_is_up_once_it_has_lasted():
    assert asked(UP, 101) == ("active for only 1.0 s", False)
    assert asked(UP, 102) == ("", False)
    assert asked(UP, 100, systemd.AS_IT_IS) == ("", False)


def test_a_unit_that_systemd_started_anew_has_to_last_longer():
    crashed = UP | {"NRestarts": "3"}
    assert asked(crashed, 110) == ("active for only 10 s, restarted 3 times by systemd: it keeps stopping", False)
    assert asked(crashed, 115) == ("", False)


def test_what_waiting_cannot_mend_is_final():
    assert asked({"LoadState": "not-found"}, 1) == ("the unit is not installed", True)
    failed = UP | {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainStatus": "9"}
    assert asked(failed, 500) == ("failed (failed), result exit-code, exit status 9", True)
    assert asked(UP | {"ActiveState": "inactive", "SubState": "dead", "Job": "7"}, 500) == ("inactive (dead)", False)


def test_each_unit_may_have_a_time_of_its_own():
    run = machine(a=UP, b=UP)
    found = systemd.staying_up(["a", "b"], {"a": systemd.AS_IT_IS, "b": systemd.LASTING}, run, lambda: 100.5)
    assert found == {"a": ("", False), "b": ("active for only 0.5 s", False)}


def test_repeated_properties_and_empty_ones_are_read():
    (one, two) = systemd.blocks("Id=ssh.socket\nListen=0.0.0.0:22 (Stream)\nListen=[::]:22 (Stream)\n\nId=b\nJob=\n")
    assert one["Listen"].splitlines() == ["0.0.0.0:22 (Stream)", "[::]:22 (Stream)"]
    assert two == {"Id": "b", "Job": ""}


def test_an_answer_about_other_units_is_an_error():
    with pytest.raises(systemd.UnitsError, match=r"systemctl show a.service b.service tells of 1 units"):
        systemd.show(["a", "b"], ["Id"], lambda argv: (0, "Id=a\n"))
    with pytest.raises(systemd.UnitsError, match=r"systemctl show a.service failed \(1\): no bus"):
        systemd.show(["a"], ["Id"], lambda argv: (1, "no  bus\n"))


def test_names_have_their_kind():
    assert [systemd.full_name(name) for name in ("a", "a.socket", "a@1.2", "x@b.timer", "a.b")] == [
        "a.service", "a.socket", "a@1.2.service", "x@b.timer", "a.b.service",
    ]  # fmt: skip


def test_dpkg_tells_what_is_installed_and_what_is_left_half_done(tmp_path):
    entries = [
        ("a", "install ok installed", "1.0"),
        ("b", "deinstall ok config-files", "2"),
        ("c", "install ok unpacked", "3"),
        ("d", "install reinstreq installed", "4"),
    ]
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text(
        "\n\n".join(f"Package: {name}\nStatus: {state}\nVersion: {version}" for name, state, version in entries)
    )
    state = dpkg.read(str(tmp_path))
    assert (state.installed, state.unfinished) == ({"a": "1.0", "d": "4"}, ["c"])


def test_nobody_else_reads_what_systemd_and_dpkg_tell():
    # The journal has its copies, and the packet filter asks for all sockets by a pattern.
    for file in PLUGINS.rglob("*.py"):
        text = file.read_text()
        if file.name not in ("systemd.py", "journal.py", "filter_host.py"):
            assert not re.search(r'"systemctl",\s*"show"', text), file
        if file.name not in ("dpkg.py", "journal.py"):
            assert 'dpkg/status"' not in text, file
