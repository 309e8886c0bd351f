"""The search comes close to what a server carries, in a bounded number of trials."""

from __future__ import annotations

import pytest

from sanderling.bench.search import LoadSearch, gathers


def searched(capacity: float, first: float, trials: int = 12) -> tuple[float | None, int]:
    """What is found for a server that carries up to ``capacity``, and in how many trials."""
    search = LoadSearch(first, trials=trials)
    tried = 0
    while (rate := search.rate) is not None:
        tried += 1
        if rate <= capacity:
            search.good()
        else:
            search.bad()
    return search.best, tried


@pytest.mark.parametrize("capacity", [10.0, 999.0, 1000.0, 1001.0, 123_456.0])
@pytest.mark.parametrize("first", [10.0, 1000.0, 64_000.0])
def test_it_finds_the_highest_load_that_is_carried(capacity: float, first: float) -> None:
    best, tried = searched(capacity, first, trials=24)
    assert best is not None
    assert capacity / 1.15 < best <= capacity
    assert tried <= 24


def test_it_stops_after_so_many_trials() -> None:
    best, tried = searched(1e9, 1.0, trials=5)
    assert (best, tried) == (16.0, 5)


def test_a_server_that_carries_nothing_has_no_best() -> None:
    assert searched(0.0, 1000.0, trials=4) == (None, 4)


def test_a_generator_at_its_end_ends_it() -> None:
    search = LoadSearch(100.0, trials=8)
    search.good()
    assert search.rate == 200.0
    search.good(last=True)
    assert search.rate is None
    assert search.best == 200.0


@pytest.mark.parametrize(("first", "trials", "precise"), [(0.0, 3, 1.1), (1.0, 0, 1.1), (1.0, 3, 1.0)])
def test_bad_bounds_are_refused(first: float, trials: int, precise: float) -> None:
    with pytest.raises(ValueError, match="a search needs"):
        LoadSearch(first, trials=trials, precise=precise)


@pytest.mark.parametrize(
    ("per_flush", "burst", "expected"),
    [(1.03, 1, False), (1.1, 1, False), (1.58, 1, True), (2.5, 4, False), (4.4, 4, False), (6.69, 4, True),
     (8.7, 8, False), (13.6, 8, True), (None, 1, False)],
)  # fmt: skip
def test_bursts_that_gather_are_told(per_flush: float | None, burst: int, expected: bool) -> None:
    assert gathers(per_flush, burst) is expected
