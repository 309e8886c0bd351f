"""An encoder or decoder that takes pictures and gives none is found out, and nothing else is."""

from __future__ import annotations

from sanderling.sdk.pictures.codec_watch import CodecWatch


def looks(*totals: tuple[int, int]) -> list[bool]:
    watch = CodecWatch()
    return [watch.look(*pair) for pair in totals]


def test_two_looks_without_a_picture_are_a_failure_told_once() -> None:
    assert looks((30, 0), (60, 0), (90, 0), (120, 0)) == [False, True, False, False]


def test_one_that_works_again_can_fail_again() -> None:
    assert looks((30, 0), (60, 0), (90, 20), (120, 20), (150, 20)) == [False, True, False, False, True]


def test_a_silent_source_is_no_failure() -> None:
    assert looks((30, 30), (30, 30), (32, 30), (34, 30), (36, 30)) == [False] * 5


def test_a_new_transport_counts_from_nothing() -> None:
    assert looks((300, 300), (10, 0), (20, 0), (30, 10)) == [False] * 4
