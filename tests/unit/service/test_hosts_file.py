"""The cloud's names have a block of their own in /etc/hosts; the site keeps its lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import configuration, hosts_file

HOSTS = {"compute1": "10.0.0.21", "controller1": "10.0.0.11"}
BLOCK = [hosts_file.BEGIN, "10.0.0.21 compute1", "10.0.0.11 controller1", hosts_file.END]


def merged(*lines: str, hosts: dict[str, str] = HOSTS, extra: tuple[str, ...] = ()) -> list[str]:
    """The lines after a run; a second run changes nothing."""
    text = hosts_file.merge("".join(f"{line}\n" for line in lines), hosts, extra)
    assert hosts_file.merge(text, hosts, extra) == text
    return text.splitlines()


def test_lines_of_the_site_stay_around_the_block() -> None:
    first = merged("127.0.0.1 localhost", "# ours", "10.0.0.250 registry.example.org registry")
    assert first == ["127.0.0.1 localhost", "# ours", "10.0.0.250 registry.example.org registry", *BLOCK]
    assert merged(*first, "10.0.0.251 later") == [*first, "10.0.0.251 later"]


def test_full_name_follows_the_hosts_own() -> None:
    """The installer's line would lead to loopback, and make the full name the first."""
    assert merged("127.0.0.1 localhost", "127.0.1.1 controller1.example.org controller1") == [
        "127.0.0.1 localhost", BLOCK[0], BLOCK[1], "10.0.0.11 controller1 controller1.example.org", BLOCK[3],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "left", "entry"),
    [
        ("10.0.0.11 controller1", [], "10.0.0.11 controller1"),
        ("10.0.0.11 Controller1.example.org api", [], "10.0.0.11 controller1 Controller1.example.org api"),
        # an address of former times: the inventory decides for its hosts
        ("10.0.0.99 controller1 backup # old", ["10.0.0.99 backup # old"], "10.0.0.11 controller1"),
        ("10.0.0.99 controller1", [], "10.0.0.11 controller1"),
        ("# 10.0.0.99 controller1", ["# 10.0.0.99 controller1"], "10.0.0.11 controller1"),
        ("10.0.0.98 controller10", ["10.0.0.98 controller10"], "10.0.0.11 controller1"),
    ],
)
def test_name_of_the_cloud_stands_in_one_line_only(line: str, left: list[str], entry: str) -> None:
    assert merged("127.0.0.1 localhost", line) == ["127.0.0.1 localhost", *left, BLOCK[0], BLOCK[1], entry, BLOCK[3]]


def test_host_with_a_full_name_has_its_short_one_as_well() -> None:
    hosts = {"controller1.example.org": "10.0.0.11"}
    assert merged("127.0.0.1 localhost", "127.0.1.1 controller1.example.org controller1 api", hosts=hosts)[2] == (
        "10.0.0.11 controller1.example.org controller1 api"
    )


def test_loopback_keeps_its_own_names() -> None:
    assert merged("127.0.0.1 localhost controller1.example.org controller1")[0] == "127.0.0.1 localhost"


def test_localhost_is_there_in_any_case() -> None:
    assert merged()[1:3] == ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]


def test_whole_file_of_a_former_release_becomes_the_sites_and_the_block() -> None:
    former = [hosts_file.WHOLE, "127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback", *BLOCK[1:3]]
    assert merged(*former) == [*former[1:3], *BLOCK]


def test_cloud_without_hosts_takes_nothing_away() -> None:
    assert merged("10.0.0.250 registry", hosts={})[0] == "10.0.0.250 registry"


def test_hosts_that_leave_the_inventory_leave_the_block() -> None:
    assert merged(*merged("127.0.0.1 localhost"), hosts={"compute1": "10.0.0.21"}) == [
        "127.0.0.1 localhost", BLOCK[0], BLOCK[1], BLOCK[3],
    ]  # fmt: skip


def test_lines_of_the_operator_stand_in_the_block_once() -> None:
    extra = ("10.0.0.250  registry",)
    assert merged("127.0.0.1 localhost", "10.0.0.250 registry", extra=extra) == [
        "127.0.0.1 localhost", *BLOCK[:3], "10.0.0.250 registry", BLOCK[3],
    ]  # fmt: skip


def test_block_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="has no end"):
        hosts_file.merge(f"{hosts_file.BEGIN}\n10.0.0.11 controller1\n10.0.0.9 printer\n", HOSTS)


def test_transaction_writes_the_block_and_keeps_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "GENERATIONS", str(tmp_path / "generations"))
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n10.0.0.250 registry\n")
    file = configuration.from_data(str(path), {"hosts": HOSTS})
    assert configuration.apply([file], check_mode=True).changes[0].after.splitlines()[2:] == BLOCK
    assert path.read_text() == "127.0.0.1 localhost\n10.0.0.250 registry\n"
    assert configuration.apply([file], check_mode=False).changes
    assert path.read_text().splitlines() == ["127.0.0.1 localhost", "10.0.0.250 registry", *BLOCK]
    assert not configuration.apply([configuration.from_data(str(path), {"hosts": HOSTS})], check_mode=False).changes
