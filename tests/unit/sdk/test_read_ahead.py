"""Items are worked off ahead, in order, within the limit; every end is clean."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from sanderling.sdk.read_ahead import ReadAhead


def test_items_come_in_order_and_end() -> None:
    ahead = ReadAhead((n for n in range(100)), limit=8, name="ahead")
    assert list(ahead) == list(range(100))
    ahead.join()


def test_no_more_than_the_limit_is_held() -> None:
    made: list[int] = []
    full = threading.Event()

    def items() -> Generator[int, None, None]:
        for number in range(100):
            made.append(number)
            if number == 4:
                full.set()
            yield number

    ahead = ReadAhead(items(), limit=4, name="ahead")
    assert full.wait(10)
    # Four are held and the fifth waits for a place.
    assert made == [0, 1, 2, 3, 4]
    ahead.close()
    ahead.join()


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Generator[int, None, None]:
        yield 1
        raise ValueError("the reason")

    ahead = ReadAhead(items(), limit=8, name="ahead")
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="the reason"):
        next(ahead)
    ahead.join()


def test_closing_frees_a_waiting_reader_and_what_the_items_hold() -> None:
    blocked, released, go_on = threading.Event(), threading.Event(), threading.Event()

    def items() -> Generator[int, None, None]:
        try:
            blocked.set()
            go_on.wait(10)
            yield 1
        finally:
            released.set()

    ahead = ReadAhead(items(), limit=8, name="ahead")
    got: list[int] = []
    reader = threading.Thread(target=lambda: got.extend(ahead))
    reader.start()
    assert blocked.wait(10)
    ahead.close()
    reader.join(10)
    assert not reader.is_alive()
    go_on.set()
    ahead.join()
    assert released.is_set()
    assert got == []
