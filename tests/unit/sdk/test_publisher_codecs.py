"""What a publisher offers: the wanted codec first, VP8 behind it for rooms where somebody cannot decode that."""

from __future__ import annotations

import pytest

from sanderling.sdk.config import PublisherConfig, VideoCodec
from sanderling.sdk.webrtc import runtime
from sanderling.sdk.webrtc.publisher import PublisherTransport
from sanderling.server.rooms.codecs import video_codecs


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [
        (VideoCodec.VP8, ("VP8",)),
        (VideoCodec.VP9, ("VP9", "VP8")),
        (VideoCodec.AV1, ("AV1", "VP8")),
    ],
)
async def test_vp8_stands_behind_the_wanted_codec(wanted: VideoCodec, offered: tuple[str, ...]) -> None:
    runtime.load()
    config = PublisherConfig(video_codec=wanted)
    publisher = PublisherTransport(config, video=True, audio=False, on_state=lambda *_: None)
    try:
        assert video_codecs(await publisher.offer()) == offered
    finally:
        publisher.close()
