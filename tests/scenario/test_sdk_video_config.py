"""Size, rate, bitrate and codec of what a channel publishes, as a viewer sees it, and every mistake's code."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from sanderling import (
    Channel,
    PublisherConfig,
    PublishError,
    SanderlingError,
    TrafficControlMinVideoBitrateMode,
    TrafficControlProperty,
    VideoCodec,
    VideoConfig,
)
from scenario.picture_world import RED, SECONDS, world
from unit.sdk.picture_files import plain

pytestmark = pytest.mark.timeout(90)


async def test_a_channel_publishes_in_its_size_and_changes_it_while_it_does() -> None:
    async with world() as w:
        await w.host.set_video_config(VideoConfig(width=160, height=160, fps=10, bitrate_kbps=200))
        publisher = await w.host.start_publishing_stream("film", w.source)
        assert publisher.config.video_bitrate_kbps == 200
        assert publisher.config.fps == 10
        player = await w.play()
        frame = await player.first_frame()
        assert (frame.width, frame.height) == (160, 160)
        # A tenth of a second between two pictures, whatever the 25 of the source.
        stamps = []
        async for picture in player.video(keep=0):
            assert picture.rtp_timestamp is not None
            stamps.append(picture.rtp_timestamp)
            if len(stamps) == 12:
                break
        assert np.median(np.diff(np.array(stamps, np.int64) % 2**32)) == pytest.approx(9000, rel=0.35)
        config = VideoConfig(width=96, height=64, fps=30, bitrate_kbps=300)
        await w.host.set_video_config(config)
        assert w.host.video_config() == config
        assert publisher.config.video_bitrate_kbps == 300
        async with asyncio.timeout(SECONDS):
            async for picture in player.video():
                if (picture.width, picture.height) == (96, 64):
                    break
        with pytest.raises(SanderlingError) as caught:
            await w.host.set_video_config(VideoConfig(codec=VideoCodec.VP9))
        assert caught.value.code == 1000066
        assert w.host.video_config() == config


async def test_a_bitrate_that_cannot_be_is_1003002() -> None:
    async with world() as w:
        with pytest.raises(PublishError) as caught:
            await w.host.set_video_config(VideoConfig(bitrate_kbps=5))
        assert caught.value.code == 1003002
        with pytest.raises(PublishError) as caught:
            w.host.start_publishing_stream("film", w.source, config=PublisherConfig(audio_bitrate_kbps=5))
        assert caught.value.code == 1003002


async def test_traffic_control_takes_known_properties_before_publishing() -> None:
    async with world() as w:
        for wrong in (8, -1, "fps"):
            with pytest.raises(PublishError) as refused:
                w.host.enable_traffic_control(True, wrong)  # type: ignore[arg-type]
            assert refused.value.code == 1003005
        both = TrafficControlProperty.ADAPTIVE_FPS | TrafficControlProperty.ADAPTIVE_RESOLUTION
        w.host.enable_traffic_control(True, both)
        publisher = await w.host.start_publishing_stream("film", w.source)
        assert publisher.config.degradation.value == "balanced"
        with pytest.raises(SanderlingError) as late:
            w.host.enable_traffic_control(False)
        assert late.value.code == 1000066
        await publisher.stop()
        w.host.enable_traffic_control(False)
        fast = PublisherConfig(video_bitrate_kbps=20_000)
        publisher = await w.host.start_publishing_stream("film", w.source, config=fast)
        assert publisher.config.fixed_bitrate
        assert publisher.config.degradation.value == "maintain-framerate-and-resolution"
        await w.play()
        # An estimate begins at 1500 kbit/s and takes seconds to find so much.
        target = (await publisher.counters())[0]["target_bitrate"]
        assert isinstance(target, float) and target > 14e6


async def test_less_than_the_least_bitrate_is_two_pictures_a_second_or_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sanderling.sdk.monitor.NETWORK_INTERVAL", 0.25)
    async with world() as w:
        # The least is more than the most: whatever the network carries is too little.
        await w.host.set_video_config(VideoConfig(width=160, height=120, fps=25, bitrate_kbps=200))
        publisher = await w.host.start_publishing_stream("film", w.source)
        player = await w.play()
        for wrong in (-1, 100_001):
            with pytest.raises(PublishError) as caught:
                w.host.set_min_video_bitrate_for_traffic_control(wrong)
            assert caught.value.code == 1003002
        w.host.set_min_video_bitrate_for_traffic_control(
            1000, TrafficControlMinVideoBitrateMode.ULTRA_LOW_FPS
        )

        async def gap() -> float:
            """Seconds between the next two pictures, by their time stamps."""
            pictures = player.video(keep=0)
            one, two = await anext(pictures), await anext(pictures)
            assert one.rtp_timestamp is not None and two.rtp_timestamp is not None
            return (two.rtp_timestamp - one.rtp_timestamp) % 2**32 / 90_000

        async with asyncio.timeout(SECONDS):
            while await gap() < 0.4:
                pass
            w.host.set_min_video_bitrate_for_traffic_control(1000)
            pushed = -1
            while publisher.frames_pushed != pushed:
                pushed = publisher.frames_pushed
                await asyncio.sleep(1)
            w.host.set_min_video_bitrate_for_traffic_control(0)
            while await gap() > 0.1:
                pass


async def test_h265_falls_back_or_is_refused() -> None:
    async with world() as w:
        assert not w.host.is_video_encoder_supported(VideoCodec.H265)
        assert not w.host.is_video_decoder_supported(VideoCodec.H265)
        assert w.host.is_video_encoder_supported(VideoCodec.VP8)
        assert w.host.is_video_decoder_supported(VideoCodec.AV1)
        await w.host.set_video_config(VideoConfig(codec=VideoCodec.H265))
        publisher = await w.host.start_publishing_stream("film", w.source)
        await w.heard.until_call("encoder", VideoCodec.H265, VideoCodec.VP8, Channel.MAIN)
        await w.play()
        await publisher.stop()
        w.host.enable_h265_encode_fallback(False)
        with pytest.raises(PublishError) as caught:
            await w.host.start_publishing_stream("film", w.source)
        assert caught.value.code == 1003010
        assert w.heard.of("publisher")[-1][2] == 1003010


async def test_an_encoder_that_makes_nothing_is_1003081(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sanderling.sdk.monitor.QUALITY_INTERVAL", 0.5)
    async with world() as w:
        # VP8 has 14 bits for a side: no picture is 16384 wide.
        w.picture = plain(16384, 2, *RED)
        await w.host.start_publishing_stream("film", w.source)
        await w.heard.until_call("error", 1003081, "start_publishing_stream", seconds=SECONDS)
        w.picture = plain(320, 240, *RED)
        await w.play()
        assert len(w.heard.of("error")) == 1
