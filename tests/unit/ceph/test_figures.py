"""Figures of a cluster over time, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import figures
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.figures import DAY, Look

NOW = 1_800_000_000.0


def looks(*used: int, days: float = 1.0) -> list[Look]:
    return [Look(NOW + number * days * DAY, one, 1000) for number, one in enumerate(used)]


@pytest.mark.parametrize(
    ("seen", "days"),
    [
        (looks(100, 110, 120), 73.0),
        # what happened once does not decide alone
        (looks(100, 110, 120, 130, 100, 150), 106.5),
        (looks(100, 100, 100), None),
        (looks(120, 110, 100), None),
        (looks(100, 200, days=0.3), None),
        ([], None),
        (looks(800, 860), -10 / 60),
    ],
)
def test_days_until_a_cluster_is_near_full(seen: list[Look], days: float | None) -> None:
    left = figures.days_left(seen, 0.85)
    assert left == (days if days is None else pytest.approx(days, rel=0.01))


def test_a_cluster_that_will_soon_be_full_is_told() -> None:
    assert figures.forecast(looks(100, 110), 0.85, 30) == []
    (told,) = figures.forecast(looks(700, 750), 0.85, 30)
    assert told == ("the cluster will be 85% full in 2 days if it goes on as since 2027-01-15; 75% are used: add OSDs")
    assert "in 0 days" in figures.forecast(looks(800, 860), 0.85, 30)[0]


def test_a_cluster_that_became_slow_is_told() -> None:
    before = Look(NOW, 1, 9, write=100e6, read=300e6)
    unmeasured = Look(NOW + 1, 1, 9)
    slow = Look(NOW + 2, 1, 9, write=40e6, read=200e6)
    assert figures.slower([before, unmeasured, slow]) == ["the cluster writes 40 MB/s, and did 100 MB/s before"]
    assert figures.slower([before]) == figures.slower([before, unmeasured]) == []


def test_clocks_that_lie_apart_are_told() -> None:
    clocks = {"ceph1": {"skew": 0}, "ceph2": {"skew": -0.21}, "ceph3": {"skew": 0.04}}
    (told,) = figures.skewed({"time_skew_status": clocks})
    assert told.startswith("the clock of mon.ceph2 is 0.21 s from the leader's")
    assert figures.skewed({}) == []


def test_groups_that_were_not_scrubbed_are_told() -> None:
    groups = [
        {"pgid": "1.0", "last_deep_scrub_stamp": "2027-01-15T08:00:00.000000+0000"},
        {"pgid": "1.1", "last_deep_scrub_stamp": "2026-12-01T08:00:00.000000+0000"},
        {"pgid": "1.2"},
    ]
    (told,) = figures.unscrubbed(groups, NOW, 14)
    assert told.startswith("1 of 2 placement groups were last scrubbed deeply more than 14 days ago, 1.1 45 days")
    assert figures.unscrubbed(groups[:1], NOW, 14) == []


def test_what_was_seen_is_kept_and_a_damaged_file_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "figures.json"
    monkeypatch.setattr(figures, "KEPT", 2)
    figures.remember(looks(1, 2, 3), str(path))
    assert [one.used for one in figures.remembered(str(path))] == [2, 3]
    path.write_text('[{"when": 3}]')
    assert figures.remembered(str(path)) == []
    path.unlink()
    assert figures.remembered(str(path)) == []
