"""The report: sorted, compact, complete."""

from __future__ import annotations

from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.problem import (
    INVENTORY,
    collect,
    problem_of,
    render,
)


def test_hosts_come_in_natural_order_behind_the_inventory() -> None:
    problems = [problem_of(host, "v", "w", "m") for host in ("compute10", "compute9", INVENTORY, "compute9")]
    assert [one.host for one in collect(problems)] == [INVENTORY, "compute9", "compute10"]


def test_shared_problem_is_written_once() -> None:
    problems = [problem_of(host, "region", "is bad", "Mend it.", "all.yml:3") for host in ("a", "b")]
    assert render(problems, hosts=2) == "all 2 hosts\n  region: is bad (all.yml:3)\n      -> Mend it."
    assert render(problems, hosts=3).startswith("a, b\n")


def test_entries_of_one_host_stand_under_one_heading() -> None:
    text = render([problem_of("a", "x", "is bad", "Mend it."), problem_of("a", "y", "is worse", "Mend it.")])
    assert text.splitlines() == ["a", "  x: is bad", "      -> Mend it.", "  y: is worse", "      -> Mend it."]


def test_lines_fit_the_terminal() -> None:
    text = render([problem_of("a", "x", "word " * 60, "other " * 60)], width=60)
    assert max(len(line) for line in text.splitlines()) <= 60
    assert text.count("word") == 60
    assert text.count("other") == 60
