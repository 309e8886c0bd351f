"""When a join has its first, its second and a live picture."""

from __future__ import annotations

import pytest

from sanderling.bench.failure import BenchFailed
from sanderling.bench.join import Join, JoinOptions, result
from sanderling.demo.clock import Reading

MS = 1_000_000


def watched(*pictures: tuple[float, float | None, int]) -> tuple[Join, list[bool]]:
    """A join at 0 that is handed pictures: (moment, age of their clock or None, number), in ms."""
    join = Join(0)
    done = []
    for at_ms, age_ms, number in pictures:
        now = int(at_ms * MS)
        reading = None if age_ms is None else Reading(now - int(age_ms * MS), number)
        done.append(join.picture(now, now, reading))
    return join, done


def test_a_fresh_picture_with_a_quick_successor_is_live() -> None:
    join, done = watched((100, 50, 1), (140, 50, 2))
    assert done == [False, True]
    assert (join.first_ns, join.moving_ns, join.live_ns) == (100 * MS, 140 * MS, 100 * MS)


def test_a_replayed_still_is_no_live_picture() -> None:
    join, done = watched((100, 900, 1), (140, 940, 1), (900, 40, 20), (940, 40, 21))
    assert done == [False, False, False, True]
    assert join.first_ns == 100 * MS
    assert join.moving_ns == 900 * MS
    assert join.live_ns == 900 * MS


def test_a_fresh_picture_that_stands_still_is_not_live() -> None:
    join, done = watched((100, 50, 1), (300, 50, 2), (340, 50, 3))
    assert done == [False, False, True]
    assert join.live_ns == 300 * MS


def test_the_same_picture_twice_is_not_a_second_one() -> None:
    join, done = watched((100, 50, 1), (120, 70, 1))
    assert done == [False, False]
    assert (join.moving_ns, join.live_ns) == (0, 0)


def test_an_old_gop_played_through_moves_before_it_is_live() -> None:
    join, _ = watched((100, 2000, 1), (110, 1900, 2), (120, 250, 40), (130, 220, 41))
    assert (join.moving_ns, join.live_ns) == (110 * MS, 120 * MS)


def test_a_picture_without_a_clock_is_only_a_first_one() -> None:
    join, done = watched((100, None, 0))
    assert done == [False]
    assert (join.first_ns, join.moving_ns) == (100 * MS, 0)


def finished(began_ms: float) -> Join:
    began = int(began_ms * MS)
    return Join(began, began + 100 * MS, began + 140 * MS, began + 150 * MS)


def test_figures_are_sorted_by_the_age_of_the_key_frame() -> None:
    joins = [finished(1200), finished(3900), Join(5000 * MS)]
    figures = result(JoinOptions(gop_s=10), joins, [40.0, 60.0], [1000 * MS, 2000 * MS], 0.03, 0.25)
    assert (figures.arrivals, figures.failed) == (3, 1)
    assert figures.first_frame_ms == {"p50": 100.0, "p95": 100.0}
    assert figures.live_ms["p50"] == 150.0
    assert figures.joins_per_cpu_second == 100.0
    assert figures.play_first_frame_ms["p50"] == 50.0
    assert [(each.age_s, each.arrivals) for each in figures.by_key_frame_age] == [("0-0.4", 1), ("1-3", 1)]


def test_no_live_picture_at_all_is_a_failure() -> None:
    with pytest.raises(BenchFailed, match="none of 1 viewers"):
        result(JoinOptions(), [Join(1, error="1002033 the token is no good")], [], [], 0.0, 0.0)
    with pytest.raises(BenchFailed, match="the token is no good"):
        result(JoinOptions(), [Join(1), Join(1, error="1002033 the token is no good")], [], [], 0.0, 0.0)
