"""Arrivals are a Poisson process that can be repeated; joins are sorted by the age of the newest key frame."""

from __future__ import annotations

import itertools
import statistics

import pytest

from sanderling.bench.arrivals import age_at, age_class, gaps

DRAWN = 20_000


def drawn(mean_s: float, seed: int = 7) -> list[float]:
    return list(itertools.islice(gaps(mean_s, seed), DRAWN))


def test_gaps_are_exponential() -> None:
    values = drawn(3.0)
    assert statistics.fmean(values) == pytest.approx(3.0, rel=0.03)
    # The spread of an exponential distribution is its mean; its median is ln 2 of it.
    assert statistics.pstdev(values) == pytest.approx(3.0, rel=0.05)
    assert statistics.median(values) == pytest.approx(2.079, rel=0.04)


def test_gaps_are_independent() -> None:
    values = drawn(1.0)
    assert abs(statistics.correlation(values[:-1], values[1:])) < 0.03


def test_arrivals_fall_anywhere_in_a_gop() -> None:
    phases = [moment % 10.0 for moment in itertools.accumulate(drawn(3.0))]
    for tenth in range(10):
        assert sum(tenth <= phase < tenth + 1 for phase in phases) == pytest.approx(DRAWN / 10, rel=0.1)


def test_the_same_seed_gives_the_same_gaps() -> None:
    assert drawn(3.0, seed=1) == drawn(3.0, seed=1)
    assert drawn(3.0, seed=1) != drawn(3.0, seed=2)


@pytest.mark.parametrize("mean", [0.0, -1.0])
def test_a_mean_gap_is_above_nothing(mean: float) -> None:
    with pytest.raises(ValueError, match="not above 0"):
        gaps(mean, 1)


def test_the_age_is_that_of_the_last_key_frame_before() -> None:
    key_frames = [1_000_000_000, 3_000_000_000]
    assert age_at(999_999_999, key_frames) is None
    assert age_at(1_000_000_000, key_frames) == 0.0
    assert age_at(2_500_000_000, key_frames) == 1.5
    assert age_at(3_500_000_000, key_frames) == 0.5
    assert age_at(1, []) is None


@pytest.mark.parametrize(
    ("age_s", "gop_s", "name"),
    [
        (0.0, 10.0, "0-0.4"),
        (0.39, 10.0, "0-0.4"),
        (0.4, 10.0, "0.4-1"),
        (2.0, 10.0, "1-3"),
        (3.0, 10.0, "3-10"),
        (12.0, 10.0, "3-10"),
        (1.5, 2.0, "1-2"),
        (0.1, 0.4, "0-0.4"),
    ],
)
def test_an_age_has_one_class(age_s: float, gop_s: float, name: str) -> None:
    assert age_class(age_s, gop_s) == name
