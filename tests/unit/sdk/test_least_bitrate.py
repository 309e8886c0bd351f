"""When pictures are held back because the network carries too little for them."""

from __future__ import annotations

from sanderling.sdk.pictures.least_bitrate import REST, TRIAL, LeastBitrate


def test_pictures_are_held_back_while_there_is_too_little_and_tried_again() -> None:
    least = LeastBitrate()
    assert not least.look(500, 300, 0.0)
    assert least.look(200, 300, 2.0)
    assert least.look(200, 300, 1.9 + REST)
    assert not least.look(200, 300, 2.0 + REST), "a trial begins"
    assert not least.look(240, 300, 1.9 + REST + TRIAL)
    assert least.look(240, 300, 2.0 + REST + TRIAL), "it did not help"
    assert not least.look(251, 300, 4.0 + REST + TRIAL), (
        "there is enough again, of which a sixth is not reported"
    )
    assert least.look(249, 300, 6.0 + REST + TRIAL)


def test_without_a_limit_nothing_is_held_back() -> None:
    least = LeastBitrate()
    assert not any(least.look(0.0, 0, float(now)) for now in range(100))
