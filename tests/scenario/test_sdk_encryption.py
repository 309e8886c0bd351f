"""Streams under a key that the server does not have: who sees them, who is told what, and who comes late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from sanderling import (
    Channel,
    CustomAudioSource,
    CustomVideoSource,
    Engine,
    ErrorCode,
    MediaSources,
    PixelFormat,
    PlayerConfig,
    PlayerSei,
    PlayerState,
    PublisherConfig,
    PublisherState,
    ResourceMode,
    Room,
    SanderlingError,
    User,
    VideoCodec,
    VideoFrame,
)
from scenario.test_sdk_sei import hum
from scenario.town import Town, town
from unit.sdk.recorder import Recorder

pytestmark = pytest.mark.timeout(90)

KEY = "0123456789abcdef"
OTHER = bytes(range(32))


async def enter(it: Town, user: str) -> tuple[Engine, Room, Recorder]:
    recorder = Recorder()
    engine = it.engine(recorder)
    return engine, await engine.login_room("r", User(user, user), it.config(user)), recorder


@asynccontextmanager
async def showing(*, brightness: int = 200) -> AsyncIterator[MediaSources]:
    """Pictures of one brightness and a tone."""
    pictures, sound = CustomVideoSource(), CustomAudioSource()

    async def show() -> None:
        picture = np.full((180 * 3 // 2, 320), 128, np.uint8)
        picture[:180] = brightness
        while True:
            await pictures.push(VideoFrame.from_ndarray(picture, PixelFormat.I420))
            await asyncio.sleep(0.04)

    tasks = [asyncio.create_task(show()), asyncio.create_task(hum(sound))]
    try:
        yield MediaSources(video=pictures, audio=sound)
    finally:
        for task in tasks:
            task.cancel()


def brightness(frame: VideoFrame) -> int:
    return int(frame.planes[0][frame.height // 2, frame.width // 2])


@pytest.mark.parametrize("codec", [VideoCodec.VP8, VideoCodec.VP9, VideoCodec.AV1])
async def test_who_has_the_key_sees_and_hears_also_when_late(codec: VideoCodec) -> None:
    async with town() as it, showing() as sources:
        await it.node.change_project(it.project, video_codec=codec.value)
        host, stage, _ = await enter(it, "host")
        viewer, seats, _ = await enter(it, "viewer")
        late, _, _ = await enter(it, "late")
        _, plain, _ = await enter(it, "plain")
        host.set_publish_stream_encryption_key(KEY)
        await stage.start_publishing_stream("film", sources, config=PublisherConfig(video_codec=codec))
        viewer.set_play_stream_decryption_key("film", KEY)
        player = await seats.start_playing_stream("film")
        assert abs(brightness(await player.first_frame(20)) - 200) <= 4
        async with asyncio.timeout(20):
            async for block in player.audio():
                if np.abs(block.samples).max() > 2000:
                    break
        # The server begins the late play with a key frame that it kept, or has one made, without the key.
        late.set_play_stream_decryption_key("film", KEY)
        second = await late.start_playing_stream("film", PlayerConfig(resource_mode=ResourceMode.ONLY_L3))
        assert abs(brightness(await second.first_frame(20)) - 200) <= 4
        # Who has no key gets no noise either.
        blind = await plain.start_playing_stream("film")
        heard = blind.audio()
        loudest = max([int(np.abs((await anext(heard)).samples).max()) for _ in range(100)])
        assert loudest < 100
        with pytest.raises(TimeoutError):
            await blind.first_frame(1)


async def test_a_wrong_key_is_told_and_the_right_one_brings_the_picture() -> None:
    async with town() as it, showing() as sources:
        host, stage, _ = await enter(it, "host")
        viewer, seats, told = await enter(it, "viewer")
        host.set_publish_stream_encryption_key(KEY)
        await stage.start_publishing_stream("film", sources)
        viewer.set_play_stream_decryption_key("film", OTHER)
        player = await seats.start_playing_stream("film")
        await told.until_call("player", "film", PlayerState.PLAYING, ErrorCode.DECRYPTION_FAILED)
        assert told.of("player").count(("film", PlayerState.PLAYING, ErrorCode.DECRYPTION_FAILED)) == 1
        with pytest.raises(TimeoutError):
            await player.first_frame(0.5)
        viewer.set_play_stream_decryption_key("film", KEY)
        assert abs(brightness(await player.first_frame(20)) - 200) <= 4


async def test_the_key_changes_at_the_players_first_and_no_picture_is_lost() -> None:
    async with town() as it, showing() as sources:
        host, stage, _ = await enter(it, "host")
        viewer, seats, told = await enter(it, "viewer")
        host.set_publish_stream_encryption_key(KEY)
        config = PublisherConfig(side_info=True)
        publisher = await stage.start_publishing_stream("film", sources, config=config)
        viewer.set_play_stream_decryption_key("film", KEY)
        player = await seats.start_playing_stream("film", PlayerConfig(side_info=True))
        pictures = player.video(keep=0)
        for _ in range(5):
            await anext(pictures)
        viewer.set_play_stream_decryption_key("film", OTHER)
        for _ in range(10):  # still under the former one
            await anext(pictures)
        events = seats.events(PlayerSei)
        host.set_publish_stream_encryption_key(OTHER)
        await publisher.send_sei(b"data goes inside")
        assert (await asyncio.wait_for(anext(events), 20)).data == b"data goes inside"
        for _ in range(10):
            await anext(pictures)
        assert ("film", PlayerState.PLAYING, ErrorCode.DECRYPTION_FAILED) not in told.of("player")
        # The former one does not count any more.
        host.set_publish_stream_encryption_key(KEY)
        await told.until_call("player", "film", PlayerState.PLAYING, ErrorCode.DECRYPTION_FAILED)


async def test_a_transport_made_anew_goes_on_encrypting() -> None:
    async with town() as it, showing() as sources:
        host, stage, hosting = await enter(it, "host")
        viewer, seats, told = await enter(it, "viewer")
        host.set_publish_stream_encryption_key(KEY)
        publisher = await stage.start_publishing_stream("film", sources)
        viewer.set_play_stream_decryption_key("film", KEY)
        player = await seats.start_playing_stream("film")
        pictures = player.video()
        await anext(pictures)
        publisher.interrupted(held=True)  # as when its connection to the server is lost
        await hosting.until(lambda: hosting.of("publisher")[-1][1] is PublisherState.PUBLISHING)
        for _ in range(20):
            await asyncio.wait_for(anext(pictures), 20)
        assert ("film", PlayerState.PLAYING, ErrorCode.DECRYPTION_FAILED) not in told.of("player")


async def test_encryption_begins_and_ends_while_a_stream_runs() -> None:
    async with town() as it, showing() as sources:
        host, stage, _ = await enter(it, "host")
        viewer, seats, told = await enter(it, "viewer")
        await stage.start_publishing_stream("film", sources)
        player = await seats.start_playing_stream("film")
        pictures = player.video()
        await anext(pictures)
        # What is not encrypted does not pass for a stream with a key.
        viewer.set_play_stream_decryption_key("film", KEY)
        await told.until_call("player", "film", PlayerState.PLAYING, ErrorCode.DECRYPTION_FAILED)
        host.set_publish_stream_encryption_key(KEY)
        for _ in range(5):
            await asyncio.wait_for(anext(pictures), 20)
        host.set_publish_stream_encryption_key(None)
        viewer.set_play_stream_decryption_key("film", None)
        for _ in range(5):
            await asyncio.wait_for(anext(pictures), 20)


async def test_a_key_has_16_24_or_32_bytes() -> None:
    async with town() as it:
        engine = it.engine()
        for key in ("", "x" * 15, b"y" * 33, 16):
            with pytest.raises(SanderlingError) as publishing:
                engine.set_publish_stream_encryption_key(key, Channel.AUX)  # type: ignore[arg-type]
            assert publishing.value.code == ErrorCode.ENCRYPTION_KEY_INVALID
            with pytest.raises(SanderlingError) as playing:
                engine.set_play_stream_decryption_key("film", key)  # type: ignore[arg-type]
            assert playing.value.code == ErrorCode.DECRYPTION_KEY_INVALID
            assert "xx" not in str(publishing.value) + str(playing.value)
        for right in ("k" * 16, b"k" * 24, "\u00e4" * 16):
            engine.set_publish_stream_encryption_key(right)
            engine.set_play_stream_decryption_key("film", right)
