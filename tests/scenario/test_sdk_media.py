"""What the SDK does with media, through a real server: figures, muting, parts of streams, sources."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from sanderling import (
    Channel,
    CustomVideoSource,
    Engine,
    EngineProfile,
    File,
    MediaSources,
    PixelFormat,
    PlayerConfig,
    PlayerState,
    PlayQuality,
    PublisherConfig,
    PublishQuality,
    Room,
    RoomConfig,
    Still,
    User,
    VideoCodec,
)
from sanderling.testing import server
from unit.sdk.media_files import write_clip
from unit.sdk.recorder import Recorder

pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def two_rooms(recorder: Recorder | None = None) -> AsyncIterator[tuple[Room, Room]]:
    """A host and a viewer in one room."""
    async with server() as node:
        project = await node.create_project(l3=True)
        profile = EngineProfile(app_id=project.app_id, server=node.url)
        async with Engine(profile, recorder) as one, Engine(profile, recorder) as two:
            rooms = [
                await engine.login_room("r", User(name, name), RoomConfig(token=node.token(project, name)))
                for engine, name in ((one, "host"), (two, "viewer"))
            ]
            yield rooms[0], rooms[1]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(
        tmp_path_factory.mktemp("clips") / "clip.mov", frames=25, width=320, height=240, sound_ms=1000
    )


async def test_figures_come_at_their_interval_and_are_right(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sanderling.sdk.monitor.QUALITY_INTERVAL", 0.5)
    recorder = Recorder()
    async with two_rooms(recorder) as (host, viewer):
        await host.start_publishing_stream(
            "film", File(clip, loop=True), config=PublisherConfig(extra_info="a film")
        )
        player = await viewer.start_playing_stream("film")
        await player.first_frame(10)
        assert viewer.streams["film"].extra_info == "a film"

        def steady() -> bool:
            plays = [q for q in recorder.qualities if isinstance(q, PlayQuality) and q.video_render_fps > 15]
            sends = [q for q in recorder.qualities if isinstance(q, PublishQuality) and q.video_send_fps > 15]
            return bool(plays and sends)

        await recorder.until(steady)
        played = [q for q in recorder.qualities if isinstance(q, PlayQuality)][-1]
        sent = [q for q in recorder.qualities if isinstance(q, PublishQuality)][-1]
        assert (played.width, played.height) == (sent.width, sent.height) == (320, 240)
        assert played.video_codec == sent.video_codec == "VP8"
        assert played.video_kbps > 5
        assert played.audio_kbps > 5
        assert played.audio_received_ms > 100
        assert 0 <= played.concealed_ratio < 0.5
        assert played.freeze_count == 0


@pytest.mark.parametrize("codec", [VideoCodec.VP9, VideoCodec.AV1])
async def test_other_codecs_pass_through(clip: Path, codec: VideoCodec) -> None:
    async with two_rooms() as (host, viewer):
        await host.start_publishing_stream(
            "film", File(clip, loop=True), config=PublisherConfig(video_codec=codec)
        )
        player = await viewer.start_playing_stream("film")
        await player.first_frame(20)
        assert (await player.read_stats()).video_codec == codec.value


async def test_a_muted_stream_sends_silence_and_no_pictures(clip: Path) -> None:
    async with two_rooms() as (host, viewer):
        publisher = await host.start_publishing_stream("film", File(clip, loop=True))
        player = await viewer.start_playing_stream("film")
        await player.first_frame(10)
        async for block in player.audio():
            if np.abs(block.samples.astype(np.int32)).max() > 3000:
                break
        await publisher.mute(audio=True, video=True)
        pushed = publisher.frames_pushed
        silent = 0
        async for block in player.audio():
            silent = silent + 1 if np.abs(block.samples.astype(np.int32)).max() < 200 else 0
            if silent == 30:
                break
        assert publisher.frames_pushed <= pushed + 1
        await publisher.mute(video=False)
        await anext(player.video())


async def test_sound_alone_and_pictures_alone(clip: Path) -> None:
    async with two_rooms() as (host, viewer):
        film = File(clip, loop=True)
        await host.start_publishing_stream("sound", MediaSources(audio=film))
        await host.start_publishing_stream("pictures", MediaSources(video=film), channel=Channel.AUX)
        sound = await viewer.start_playing_stream("sound")
        pictures = await viewer.start_playing_stream("pictures")
        await pictures.first_frame(10)
        async for block in sound.audio(rate=16_000, block_ms=20):
            assert block.samples.shape == (320, 1)
            if np.abs(block.samples.astype(np.int32)).max() > 3000:
                break
        await host.publishers[Channel.MAIN].stop()
        await host.start_publishing_stream("film", film)
        deaf = await viewer.start_playing_stream("film", PlayerConfig(audio=False))
        await deaf.first_frame(10)
        assert deaf.state is PlayerState.PLAYING


async def test_pictures_converted_and_kept(clip: Path) -> None:
    async with two_rooms() as (host, viewer):
        await host.start_publishing_stream("film", File(clip, loop=True))
        player = await viewer.start_playing_stream("film")
        converted = player.video(PixelFormat.BGR24)
        every = player.video(keep=0)
        picture = await anext(converted)
        assert picture.format is PixelFormat.BGR24
        assert picture.to_ndarray(PixelFormat.BGR24).shape == (240, 320, 3)
        stamps = [(await anext(every)).rtp_timestamp for _ in range(10)]
        steps = np.diff(np.array(stamps, np.int64))
        assert (steps > 0).all()
        # Leaving a loop does not stop the play, and the other one goes on.
        del converted
        await anext(every)
        assert player.state is PlayerState.PLAYING


async def test_a_still_picture_is_shown_to_late_viewers(tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    pixels = np.zeros((121, 161, 3), np.uint8)
    pixels[:, :, 0] = 255
    av.VideoFrame.from_ndarray(pixels, "rgb24").save(str(path))
    async with two_rooms() as (host, viewer):
        await host.start_publishing_stream("still", Still(path, fps=10))
        player = await viewer.start_playing_stream("still")
        frame = await player.first_frame(10)
        assert (frame.width, frame.height) == (160, 120)
        red, green, blue = (int(value) for value in frame.to_ndarray()[60, 80])
        assert red > 200
        assert max(green, blue) < 60


async def test_a_preview_shows_a_source_that_is_not_published(clip: Path) -> None:
    async with Engine(EngineProfile(app_id=1, server="http://127.0.0.1:1")) as engine:
        preview = await engine.start_preview(File(clip, loop=True))
        pictures = preview.video()
        assert (await anext(pictures)).planes[0].shape == (240, 320)
        await engine.stop_preview()
        assert [picture async for picture in pictures][1:] == []


async def test_a_source_that_fails_ends_the_publishing(tmp_path: Path) -> None:
    recorder = Recorder()
    async with two_rooms(recorder) as (host, _):
        await recorder.until(lambda: len(recorder.of("room")) == 4)
        publishing = host.start_publishing_stream("film", File(tmp_path / "nothing.mp4"))
        with pytest.raises(Exception, match="1008006"):
            await publishing
        await recorder.until(lambda: ("film", 0, 1008006) in recorder.of("publisher"))
        source = CustomVideoSource()
        await host.start_publishing_stream("film", source)
