"""The burner: clock into the picture, and what it wrote out again."""

from __future__ import annotations

import time

import numpy as np

from sanderling.demo import clock
from sanderling.demo.host import Burner


def test_every_picture_gets_the_present_time_and_the_next_number() -> None:
    burner = Burner()
    before_ns = time.time_ns()
    readings = []
    for _ in range(3):
        luma = np.full((720, 1280), 90, np.uint8)
        burner(luma, 0)
        readings.append(clock.read(luma))
    after_ns = time.time_ns()
    written = burner.take()
    assert [frame for frame, _ in written] == [0, 1, 2]
    for (frame, sent_ns), reading in zip(written, readings, strict=True):
        assert reading == clock.Reading(sent_ns, frame)
        assert before_ns - clock.UNIT_NS < sent_ns <= after_ns
    assert burner.take() == []
