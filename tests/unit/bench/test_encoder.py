"""The publisher's pictures: a readable clock, key frames when they are due or asked for."""

from __future__ import annotations

import av
import numpy as np

from sanderling.bench.encoder import ClockEncoder
from sanderling.demo import clock

WIDTH, HEIGHT, FPS = 320, 180, 25
MOMENT_NS = 1_700_000_000_000_000_000


def test_pictures_show_their_time_and_key_frames_come_when_asked() -> None:
    encoder = ClockEncoder(WIDTH, HEIGHT, FPS, gop_s=0.4)
    decoder = av.CodecContext.create("vp8", "r")
    keys = []
    for number in range(16):
        sent_ns = MOMENT_NS + number * 40_000_000
        picture = encoder.encode(sent_ns, key_frame=number == 3)
        if picture.key_frame:
            keys.append(number)
        assert picture.rtp_timestamp == number * 3600
        (frame,) = decoder.decode(av.Packet(picture.data))
        reading = clock.read(np.ascontiguousarray(frame.to_ndarray()[:HEIGHT, :WIDTH]))
        assert reading is not None
        assert (reading.frame, reading.unix_ns) == (number, sent_ns)
    assert 0 in keys
    assert 3 in keys
    # Ten pictures after the last one at the latest.
    assert any(10 <= number <= 13 for number in keys)
    assert len(keys) <= 4
