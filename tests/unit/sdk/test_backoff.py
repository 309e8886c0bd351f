"""Delays between attempts: they grow, stay apart from each other, and end."""

from __future__ import annotations

import pytest

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.sdk.backoff import Backoff, is_passing


def delays(seconds: float, *, draw: float = 1.0) -> list[float]:
    """Delays until ``seconds`` are over, when attempts themselves take no time."""
    backoff = Backoff(1200.0, now=0.0, draw=lambda: draw)
    now = 0.0
    found = []
    while now < seconds:
        found.append(backoff.next(now))
        now += found[-1]
    return found


def test_the_first_attempt_is_at_once_and_later_ones_grow() -> None:
    assert delays(10.0)[:6] == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.8, 1.0])


def test_attempts_become_rare_after_half_a_minute() -> None:
    found = delays(200.0)
    assert max(found) == 15.0
    assert found[-1] == 15.0


@pytest.mark.parametrize("draw", [0.0, 0.3, 0.9])
def test_each_delay_is_of_the_upper_half_of_its_range(draw: float) -> None:
    longest = delays(5.0)
    for drawn, most in zip(delays(5.0, draw=draw), longest, strict=False):
        assert most / 2 <= drawn <= most


def test_a_server_may_ask_for_more_and_the_limit_may_give_less() -> None:
    backoff = Backoff(10.0, now=100.0, draw=lambda: 1.0)
    assert backoff.next(100.0, at_least=3.0) == 3.0
    assert backoff.next(108.0, at_least=3.0) == 2.0
    assert not backoff.over(109.9)
    assert backoff.over(110.0)
    assert backoff.next(120.0) == 0.0


def test_what_may_pass_is_tried_again_and_what_is_refused_is_not() -> None:
    for code in (ErrorCode.LOGIN_TIMEOUT, ErrorCode.CONNECTION_LOST, ErrorCode.RATE_LIMITED_ROOM):
        assert is_passing(SanderlingError(code))
    for code in (ErrorCode.TOKEN_EXPIRED, ErrorCode.ROOM_FULL, ErrorCode.APP_ID_INCORRECT):
        assert not is_passing(SanderlingError(code))
