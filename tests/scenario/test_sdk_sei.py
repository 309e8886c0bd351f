"""Data inside pictures: with which picture it arrives, and what cannot be sent."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from sanderling import (
    CustomAudioSource,
    CustomVideoSource,
    ErrorCode,
    PixelFormat,
    PlayerAudioSideInfo,
    PlayerConfig,
    PlayerSei,
    Publisher,
    PublisherConfig,
    RateLimited,
    SanderlingError,
    VideoCodec,
    VideoFrame,
)
from scenario.test_sdk_reconnect import pushing
from scenario.town import town

pytestmark = pytest.mark.timeout(90)


@pytest.mark.parametrize("codec", [VideoCodec.VP8, VideoCodec.AV1])
async def test_data_arrives_with_the_picture_it_was_sent_with(codec: VideoCodec) -> None:
    async with town() as it:
        await it.node.change_project(it.project, video_codec=codec.value)
        (host, _), (viewer, _), (plain, _) = [await it.join(user) for user in ("host", "viewer", "plain")]
        source = CustomVideoSource()
        config = PublisherConfig(video_codec=codec, side_info=True)
        publisher = await host.start_publishing_stream("film", source, config=config)
        pushing_marked = asyncio.create_task(push_marked(source, publisher))
        try:
            player = await viewer.start_playing_stream("film", PlayerConfig(side_info=True))
            events = viewer.events(PlayerSei)
            other = await plain.start_playing_stream("film")
            pictures = other.video()
            shown: dict[int, int] = {}
            told: dict[int, int] = {}
            async with asyncio.timeout(30):
                async for frame in player.video(keep=0):
                    assert frame.rtp_timestamp is not None
                    shown[frame.rtp_timestamp] = mark_in(frame)
                    if len(shown) == 60:
                        break
                while len(told) < 40:
                    event = await anext(events)
                    told[event.rtp_timestamp] = event.data[0]
                for _ in range(5):  # who does not ask for the data sees the pictures all the same
                    await anext(pictures)
            both = [(shown[at], told[at]) for at in shown.keys() & told.keys()]
            assert len(both) >= 30
            assert all(picture == data for picture, data in both)
        finally:
            pushing_marked.cancel()


LEVELS = 24
"""Brightnesses a picture can be marked with so that they survive coding."""


async def push_marked(source: CustomVideoSource, publisher: Publisher) -> None:
    number = 0
    while True:
        picture = np.full((180 * 3 // 2, 320), 128, np.uint8)
        picture[:180] = 20 + 9 * (number % LEVELS)
        frame = VideoFrame.from_ndarray(picture, PixelFormat.I420)
        await publisher.send_sei(bytes([number % LEVELS]) * 1000, captured_ns=frame.captured_ns)
        await source.push(frame)
        number += 1
        await asyncio.sleep(0.05)


def mark_in(frame: VideoFrame) -> int:
    luma = int(frame.planes[0][frame.height // 2, frame.width // 2])
    return round((luma - 20) / 9)


async def test_data_that_cannot_be_sent_has_its_code() -> None:
    async with town() as it, pushing() as source:
        await it.node.change_project(it.project, video_codec="VP9")
        host, _ = await it.join("host")
        config = PublisherConfig(video_codec=VideoCodec.VP9)
        publisher = await host.start_publishing_stream("film", source, config=config)
        for data, code in (
            (b"", ErrorCode.SEI_EMPTY),
            (b"x" * 4097, ErrorCode.SEI_TOO_LONG),
            (b"x", ErrorCode.ENCODER_UNSUPPORTED),
        ):
            with pytest.raises(SanderlingError) as caught:
                await publisher.send_sei(data)
            assert caught.value.code == code
        await publisher.stop()
        with pytest.raises(SanderlingError) as stopped:
            await publisher.send_sei(b"x")
        assert stopped.value.code == ErrorCode.PUBLISH_FAILED


async def test_data_may_be_sent_thirty_times_a_second() -> None:
    async with town() as it, pushing() as source:
        host, _ = await it.join("host")
        publisher = await host.start_publishing_stream("film", source)
        outcomes = await asyncio.gather(
            *(publisher.send_sei(b"x") for _ in range(40)), return_exceptions=True
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, RateLimited)]
        assert 5 <= len(refused) <= 10


async def test_data_arrives_with_the_sound_and_the_sound_stays_whole() -> None:
    async with town() as it:
        (host, _), (viewer, _), (plain, _) = [await it.join(user) for user in ("host", "viewer", "plain")]
        source = CustomAudioSource()
        config = PublisherConfig(side_info=True)
        publisher = await host.start_publishing_stream("voice", source, config=config)
        humming = asyncio.create_task(hum(source))
        try:
            player = await viewer.start_playing_stream("voice", PlayerConfig(side_info=True, video=False))
            events = viewer.events(PlayerAudioSideInfo)
            other = await plain.start_playing_stream("voice", PlayerConfig(video=False))
            pieces = [bytes([number]) * (1 + 60 * number) for number in range(17)]
            received: list[bytes] = []
            async with asyncio.timeout(30):
                for sound in (player.audio(), other.audio()):
                    while np.abs((await anext(sound)).samples).max() < 2000:
                        pass
                for piece in pieces:
                    await publisher.send_audio_side_info(piece)
                    received.append((await anext(events)).data)
                for sound in (player.audio(), other.audio()):
                    loudness = [int(np.abs((await anext(sound)).samples).max()) for _ in range(50)]
                    assert min(loudness[10:]) > 2000  # never silence in between
            assert received == pieces
            for data, code in (
                (b"", ErrorCode.AUDIO_SIDE_INFO_EMPTY),
                (b"x" * 1024, ErrorCode.AUDIO_SIDE_INFO_TOO_LONG),
            ):
                with pytest.raises(SanderlingError) as caught:
                    await publisher.send_audio_side_info(data)
                assert caught.value.code == code
        finally:
            humming.cancel()


async def hum(source: CustomAudioSource) -> None:
    """A tone, in real time."""
    block = (8000 * np.sin(np.arange(480) * 2 * np.pi * 500 / 48_000)).astype(np.int16).reshape(-1, 1)
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        source.push(block)
        due += 0.01
        await asyncio.sleep(max(0.0, due - loop.time()))
