"""Figures from rows, worked out by hand."""

from __future__ import annotations

import pytest

from sanderling.demo.measure import (
    Figures,
    FrameNumbers,
    FrameRow,
    Freezes,
    Percentiles,
    figures,
    freezes,
    merge,
    percentiles,
)

MS = 1_000_000
T0 = 1_760_000_000_000_000_000


def _row(frame: int, sent_ms: int, delay_ms: int) -> FrameRow:
    return FrameRow(frame, T0 + sent_ms * MS, T0 + (sent_ms + delay_ms) * MS)


def test_percentiles_interpolate() -> None:
    assert percentiles([float(n) for n in range(101)]) == Percentiles(50.0, 95.0, 99.0)
    assert percentiles([7.0]) == Percentiles(7.0, 7.0, 7.0)
    assert percentiles([1.0, 2.0]) == Percentiles(1.5, pytest.approx(1.95), pytest.approx(1.99))  # type: ignore[arg-type]
    assert percentiles([]) is None


@pytest.mark.parametrize(
    ("arrivals_ms", "until_ms", "expected"),
    [
        ([], 10_000, Freezes(0, 0)),
        ([0, 40, 80], 120, Freezes(0, 0)),
        ([0, 500], 500, Freezes(0, 0)),
        ([0, 501], 501, Freezes(1, 501)),
        ([0, 40, 640, 680, 1_880], 1_900, Freezes(2, 600 + 1_200)),
        ([0, 40], 2_040, Freezes(1, 2_000)),
        ([0, 40], None, Freezes(0, 0)),
    ],
)
def test_freezes_are_gaps_over_500_ms(
    arrivals_ms: list[int], until_ms: int | None, expected: Freezes
) -> None:
    until_ns = None if until_ms is None else T0 + until_ms * MS
    assert freezes([T0 + ms * MS for ms in arrivals_ms], until_ns) == expected


def test_figures_of_a_clean_run() -> None:
    rows = [_row(n, n * 40, 100 + n % 2 * 10) for n in range(101)]
    assert figures(rows, T0 + 4_150 * MS) == Figures(
        sent=101, received=101, latency_ms=Percentiles(100.0, 110.0, 110.0), fps=25.0, freezes=Freezes(0, 0)
    )


def test_lost_frames_count_as_sent_but_only_once_overdue() -> None:
    sent = {n: T0 + n * 40 * MS for n in range(100)}
    got = [_row(n, n * 40, 50) for n in range(10, 80) if n % 10]
    until_ns = T0 + 79 * 40 * MS + 50 * MS
    rows = merge(sent, got, until_ns)
    result = figures(rows, until_ns)
    assert result.received == 63
    # From frame 11 on; 80 to 99 are under way at the end; 70 was sent more than 500 ms before it.
    lost = [row.frame for row in rows if row.received_ns is None]
    assert lost == [20, 30, 40, 50, 60]
    assert result.sent == 68


def test_a_stream_that_stops_arriving_loses_frames_and_freezes() -> None:
    sent = {n: T0 + n * 40 * MS for n in range(100)}
    rows = merge(sent, [_row(n, n * 40, 50) for n in range(25)], T0 + 4_000 * MS)
    result = figures(rows, T0 + 4_000 * MS)
    assert (result.sent, result.received) == (88, 25)
    assert result.freezes == Freezes(1, 4_000 - (24 * 40 + 50))


def test_a_frame_that_arrives_twice_counts_once() -> None:
    rows = merge({}, [_row(1, 0, 50), _row(1, 0, 90), _row(2, 40, 50)], T0 + 100 * MS)
    assert [row.frame for row in rows] == [1, 2]


def test_an_unreadable_picture_is_received_but_has_no_delay() -> None:
    sent = {n: T0 + n * 40 * MS for n in range(4)}
    got = [_row(0, 0, 50), FrameRow(None, None, T0 + 90 * MS), _row(2, 80, 50), _row(3, 120, 50)]
    result = figures(merge(sent, got, T0 + 900 * MS), T0 + 200 * MS)
    assert (result.sent, result.received) == (4, 4)
    assert result.latency_ms == Percentiles(50.0, 50.0, 50.0)


def test_nothing_received_gives_no_delay_and_no_crash() -> None:
    assert figures([], T0) == Figures(sent=0, received=0, latency_ms=None, fps=0.0, freezes=Freezes(0, 0))


def test_frame_numbers_go_on_over_the_wrap_and_back_for_late_frames() -> None:
    numbers = FrameNumbers()
    assert [numbers.unwrap(n) for n in (65_534, 65_535, 0, 65_535, 1, 2)] == [
        65_534,
        65_535,
        65_536,
        65_535,
        65_537,
        65_538,
    ]
