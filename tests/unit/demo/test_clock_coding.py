"""The clock over real encoders: error under 2 ms, never a wrong value, at low rates and after scaling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
import pytest

from sanderling.demo import clock
from sanderling.demo.clip import clip_path

FRAMES = 75
FPS = 25
START_NS = 1_760_000_000_000_000_000
# Not a multiple of the clock's unit: every frame shows other low bits.
STEP_NS = 40_012_345


@dataclass(frozen=True)
class Case:
    """One way through an encoder; sizes in pixels, ``kbps`` the target rate."""

    encoder: str
    kbps: int
    coded: tuple[int, int]
    shown: tuple[int, int]
    at_least: float
    """Share of frames whose clock must be readable."""

    def __str__(self) -> str:
        return f"{self.encoder}-{self.kbps}k-{self.coded[1]}p-to-{self.shown[1]}p"


CASES = [
    Case("libvpx", 1500, (1280, 720), (1280, 720), 1.0),
    Case("libvpx", 150, (320, 180), (320, 180), 0.98),
    Case("libvpx", 150, (320, 180), (1280, 720), 0.98),
    Case("libvpx", 150, (640, 360), (320, 180), 0.98),
    Case("libvpx-vp9", 150, (640, 360), (320, 180), 0.98),
    Case("libx264", 1500, (1280, 720), (320, 180), 1.0),
    Case("libx264", 150, (640, 360), (640, 360), 0.98),
    Case("libx264", 150, (320, 180), (1920, 1080), 0.98),
    Case("libsvtav1", 150, (640, 360), (640, 360), 0.98),
]

OPTIONS = {
    # Real-time settings as a live encoder uses them: no look-ahead, one pass, constant rate.
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "error-resilient": "1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    "libx264": {"preset": "veryfast", "tune": "zerolatency"},
    "libsvtav1": {"preset": "10", "svtav1-params": "pred-struct=1:rc=2:rtc=1"},
}


def _film() -> Iterator[av.VideoFrame]:
    """Frames of the clip with the clock burned in at full size, as the host burns it."""
    with av.open(str(clip_path())) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number == FRAMES:
                return
            planes = frame.reformat(format="yuv420p").to_ndarray()
            clock.burn(planes[: frame.height], START_NS + number * STEP_NS, number)
            burned = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            burned.pts = number
            yield burned


def _over_the_encoder(case: Case) -> Iterator[np.ndarray]:
    """Luma planes as a viewer shows them."""
    encoder = av.CodecContext.create(case.encoder, "w")
    encoder.width, encoder.height = case.coded
    encoder.pix_fmt = "yuv420p"
    encoder.framerate = FPS
    encoder.time_base = encoder.framerate**-1
    encoder.bit_rate = case.kbps * 1000
    encoder.thread_count = 2
    encoder.options = {**OPTIONS[case.encoder], "maxrate": f"{case.kbps}k", "bufsize": f"{case.kbps}k"}
    decoder = av.CodecContext.create(
        {"libvpx": "vp8", "libvpx-vp9": "vp9", "libx264": "h264", "libsvtav1": "libdav1d"}[case.encoder], "r"
    )
    decoder.thread_count = 1

    def shown(packets: list[av.Packet]) -> Iterator[np.ndarray]:
        for packet in packets:
            for decoded in decoder.decode(packet):
                picture = decoded.reformat(*case.shown, format="gray")
                yield picture.to_ndarray()

    for frame in _film():
        small = frame.reformat(*case.coded)
        small.pts = frame.pts
        small.time_base = encoder.time_base
        yield from shown(encoder.encode(small))
    yield from shown(encoder.encode(None))
    yield from shown([av.Packet()])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_survives_coding_and_scaling(case: Case) -> None:
    shown = read = 0
    for luma in _over_the_encoder(case):
        shown += 1
        reading = clock.read(luma)
        if reading is None:
            continue
        read += 1
        # Never a wrong value: what is read is what was burned, to within the clock's unit.
        error_ms = abs(reading.unix_ns - (START_NS + reading.frame * STEP_NS)) / 1e6
        assert reading.frame < FRAMES
        assert error_ms < 2
    assert shown >= FRAMES * 0.5, "the encoder dropped too much to say anything"
    assert read >= case.at_least * shown, f"{read} of {shown} readable"
