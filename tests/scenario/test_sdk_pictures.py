"""What happens to pictures on their way, through a real server: what a viewer sees, and every mistake's code."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from codes_seen import met
from sanderling import (
    BackgroundConfig,
    BackgroundProcessType,
    Channel,
    CustomVideoSource,
    DummyCaptureImageMode,
    ObjectSegmentationConfig,
    ObjectSegmentationState,
    ObjectSegmentationType,
    PixelFormat,
    PlayError,
    PublishError,
    PublisherTakeSnapshotPosition,
    Rect,
    RoomConfig,
    SuperResolutionState,
    User,
    VideoConfig,
    VideoFrame,
    Watermark,
)
from scenario.picture_world import BLUE, GREEN, RED, SECONDS, near, until_seen, world
from unit.sdk.picture_files import plain, write_picture

pytestmark = pytest.mark.timeout(90)


# ------------------------------------------------------------------------------------------ snapshots


async def test_snapshots_of_published_previewed_and_played_pictures(tmp_path: Path) -> None:
    async with world() as w:
        with pytest.raises(PublishError) as nothing:
            await w.host.take_publish_stream_snapshot()
        assert nothing.value.code == 1003030
        preview = await w.host.start_preview(w.source)
        await anext(aiter(preview.video()))
        assert (await w.host.take_publish_stream_snapshot()).width == 320
        await w.host.stop_preview()
        await w.host.set_video_config(VideoConfig(width=160, height=120, fps=25))
        await w.host.start_publishing_stream("film", w.source)
        await w.play()
        own = await w.host.take_publish_stream_snapshot(path=tmp_path / "own.png")
        assert (own.width, own.height, own.format) == (160, 120, PixelFormat.RGB24)
        taken = await w.host.take_publish_stream_snapshot(position=PublisherTakeSnapshotPosition.ON_CAPTURE)
        assert (taken.width, taken.height) == (320, 240)
        await w.viewer.take_play_stream_snapshot("film", path=tmp_path / "played.jpg")
        for name in ("own.png", "played.jpg"):
            with av.open(str(tmp_path / name)) as file:
                pixels = next(file.decode(video=0)).to_ndarray(format="rgb24")
            assert pixels.shape == (120, 160, 3)
            assert near(np.require(pixels[60, 80], np.uint8), *RED)
        for wrong in (tmp_path / "no" / "own.png", tmp_path / "own.gif"):
            with pytest.raises(PublishError) as caught:
                await w.host.take_publish_stream_snapshot(path=wrong)
            assert caught.value.code == 1003030


async def test_a_play_without_a_picture_has_no_snapshot(tmp_path: Path) -> None:
    async with world() as w:
        with pytest.raises(PlayError) as caught:
            await w.viewer.take_play_stream_snapshot("film")
        assert caught.value.code == 1004030
        early = w.viewer.start_playing_stream("film")
        with pytest.raises(PlayError) as caught:
            await w.viewer.take_play_stream_snapshot("film")
        assert caught.value.code == 1004030
        await w.host.start_publishing_stream("film", w.source)
        await (await early).first_frame(SECONDS)
        with pytest.raises(PlayError) as caught:
            await w.viewer.take_play_stream_snapshot("film", path=tmp_path)
        assert caught.value.code == 1004030


# ------------------------------------------------------------------------------------------ watermark


async def test_a_viewer_sees_the_watermark_until_it_is_taken_away(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "mark.png", plain(16, 16, *BLUE))
    async with world() as w:
        await w.host.set_publish_watermark(Watermark(path.as_uri(), Rect(0, 0, 160, 240)))
        await w.host.start_publishing_stream("film", w.source)
        player = await w.play()
        await until_seen(player, 0.25, 0.5, *BLUE)
        await until_seen(player, 0.75, 0.5, *RED)
        await w.host.set_publish_watermark(None)
        await until_seen(player, 0.25, 0.5, *RED)


async def test_a_wrong_watermark_has_its_code_and_changes_nothing(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "mark.png", plain(16, 16, *BLUE))
    async with world() as w:
        await w.host.set_publish_watermark(Watermark(str(path), Rect(0, 0, 160, 240)))
        await w.host.start_publishing_stream("film", w.source)
        player = await w.play()
        for url, layout, code in (
            ("", Rect(0, 0, 8, 8), 1003055),
            ("a" * 513, Rect(0, 0, 8, 8), 1003056),
            ("https://example.com/mark.png", Rect(0, 0, 8, 8), 1003057),
            (str(tmp_path / "none.png"), Rect(0, 0, 8, 8), 1003057),
            (str(path), Rect(0, 0, 0, 0), 1003058),
        ):
            with pytest.raises(PublishError) as caught:
                await w.host.set_publish_watermark(Watermark(url, layout))
            assert caught.value.code == code
        await w.host.set_video_config(VideoConfig(width=320, height=240))
        with pytest.raises(PublishError) as caught:
            await w.host.set_publish_watermark(Watermark(str(path), Rect(300, 0, 30, 30)))
        assert caught.value.code == 1003058
        await until_seen(player, 0.25, 0.5, *BLUE)


# ------------------------------------------------------------------------------------------ stand-in


async def test_a_picture_stands_in_for_a_camera_that_is_off(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "away.png", plain(320, 240, *BLUE))
    async with world() as w:
        await w.host.set_dummy_capture_image(str(path))
        publisher = await w.host.start_publishing_stream("film", w.source)
        player = await w.play()
        await until_seen(player, 0.5, 0.5, *RED)
        await publisher.enable(camera=False)
        # From here on nothing of the camera leaves, before the stand-in is there and when it is taken away.
        assert not await w.source.push(VideoFrame.from_ndarray(w.picture, PixelFormat.RGB24))
        await until_seen(player, 0.5, 0.5, *BLUE)
        await w.host.set_dummy_capture_image("")
        assert not await w.source.push(VideoFrame.from_ndarray(w.picture, PixelFormat.RGB24))
        await publisher.enable(camera=True)
        await until_seen(player, 0.5, 0.5, *RED)
        # Given while the camera is off already; then in the other mode, for a source that falls silent.
        await publisher.enable(camera=False)
        await w.host.set_dummy_capture_image(path.as_uri(), mode=DummyCaptureImageMode.AUTO)
        await until_seen(player, 0.5, 0.5, *BLUE)
        await publisher.enable(camera=True)
        await until_seen(player, 0.5, 0.5, *RED)
        source, w.source = w.source, CustomVideoSource()
        await until_seen(player, 0.5, 0.5, *BLUE)
        w.source = source
        await until_seen(player, 0.5, 0.5, *RED)


async def test_a_stand_in_that_cannot_be_read_is_1003073(tmp_path: Path) -> None:
    async with world() as w:
        wrong = str(tmp_path / "none.png")
        with pytest.raises(PublishError) as caught:
            await w.host.set_dummy_capture_image(wrong, channel=Channel.AUX)
        assert caught.value.code == 1003073
        await w.heard.until_call("dummy image", 1003073, wrong, Channel.AUX)


# ------------------------------------------------------------------------------------------ object segmentation


async def test_a_viewer_sees_the_subject_before_another_background(tmp_path: Path) -> None:
    beach = write_picture(tmp_path / "beach.png", plain(64, 48, *BLUE))
    async with world() as w:
        w.picture = plain(320, 240, *GREEN)
        w.picture[80:160, 120:200] = RED
        await w.host.start_publishing_stream("film", w.source)
        player = await w.play()
        await until_seen(player, 0.1, 0.1, *GREEN)
        background = BackgroundConfig(process_type=BackgroundProcessType.IMAGE, image_url=str(beach))
        await w.host.enable_video_object_segmentation(True, ObjectSegmentationConfig(background=background))
        await w.heard.until_call("segmentation", ObjectSegmentationState.ON, 0)
        await until_seen(player, 0.1, 0.1, *BLUE)
        await until_seen(player, 0.5, 0.5, *RED)
        await w.host.enable_video_object_segmentation(False)
        await w.heard.until_call("segmentation", ObjectSegmentationState.OFF, 0)
        await until_seen(player, 0.1, 0.1, *GREEN)


async def test_a_segmentation_that_cannot_be_has_its_code_and_is_off(tmp_path: Path) -> None:
    image = BackgroundConfig(process_type=BackgroundProcessType.IMAGE, image_url=str(tmp_path / "none.png"))
    transparent = BackgroundConfig(process_type=BackgroundProcessType.TRANSPARENT)
    async with world() as w:
        for config, code in (
            (ObjectSegmentationConfig(type=ObjectSegmentationType.ANY_BACKGROUND), 1003012),
            (ObjectSegmentationConfig(background=transparent), 1003014),
            (ObjectSegmentationConfig(background=image), 1003015),
        ):
            with pytest.raises(PublishError) as caught:
                await w.host.enable_video_object_segmentation(True, config)
            assert caught.value.code == code
            await w.heard.until_call("segmentation", ObjectSegmentationState.OFF, code)


async def test_a_project_may_forbid_object_segmentation() -> None:
    async with world(object_segmentation=False) as w:
        with pytest.raises(PublishError) as caught:
            await w.host.enable_video_object_segmentation(True)
        assert caught.value.code == 1003013
        await w.heard.until_call("segmentation", ObjectSegmentationState.OFF, 1003013)
        # Before the login nobody can know; then it ends when the stream begins.
        await w.host.logout_room()
        w.heard.calls.clear()
        await w.host.enable_video_object_segmentation(True)
        await w.heard.until_call("segmentation", ObjectSegmentationState.ON, 0)
        w.picture = plain(320, 240, *GREEN)
        await w.host.login_room("r", User("host", "host"), RoomConfig(token=w.token("host")))
        await w.host.start_publishing_stream("film", w.source)
        await w.heard.until_call("segmentation", ObjectSegmentationState.OFF, 1003013)
        await until_seen(await w.play(), 0.5, 0.5, *GREEN)


# ------------------------------------------------------------------------------------------ super resolution


async def test_a_play_is_shown_twice_as_large_and_as_it_is_again() -> None:
    async with world() as w:
        await w.host.start_publishing_stream("film", w.source)
        player = await w.play()
        await w.viewer.init_video_super_resolution()
        await w.viewer.enable_video_super_resolution("film", True)
        await w.seen.until_call("super resolution", "film", SuperResolutionState.ON, 0)
        pictures = player.video(PixelFormat.RGB24)
        async with asyncio.timeout(SECONDS):
            async for picture in pictures:
                if picture.width == 640:
                    break
        assert picture.height == 480
        assert near(picture.planes[0][240, 320], *RED)
        assert (await w.viewer.take_play_stream_snapshot("film")).width == 640
        await w.viewer.enable_video_super_resolution("film", False)
        await w.seen.until_call("super resolution", "film", SuperResolutionState.OFF, 0)
        async with asyncio.timeout(SECONDS):
            async for picture in pictures:
                if picture.width == 320:
                    break


async def test_super_resolution_is_for_one_initialised_play_of_small_pictures() -> None:
    async with world() as w:
        await w.host.start_publishing_stream("film", w.source)
        other = CustomVideoSource()
        await w.host.start_publishing_stream("other", other, channel=Channel.AUX)
        player = await w.play()
        second = w.viewer.start_playing_stream("other")

        async def refused(stream_id: str, code: int) -> None:
            with pytest.raises(PlayError) as caught:
                await w.viewer.enable_video_super_resolution(stream_id, True)
            assert caught.value.code == code
            await w.seen.until_call("super resolution", stream_id, SuperResolutionState.OFF, code)

        await refused("film", 1004008)
        await w.viewer.init_video_super_resolution()
        await refused("none", 1004011)
        await w.viewer.enable_video_super_resolution("film", True)
        assert second.player is not None
        await refused("other", 1004005)
        # The pictures grow beyond what is enlarged: it ends by itself, and cannot begin again.
        w.picture = plain(1280, 720, *RED)
        await w.seen.until_call(
            "super resolution", "film", SuperResolutionState.OFF, 1004006, seconds=SECONDS
        )
        async with asyncio.timeout(SECONDS):
            async for picture in player.video():
                if picture.width > 640:
                    break
        await refused("film", 1004006)
        await w.viewer.uninit_video_super_resolution()
        await refused("film", 1004008)


def test_super_resolution_needs_two_processors() -> None:
    program = """
import asyncio
from sanderling import Engine, EngineProfile, PlayError
async def main():
    engine = Engine(EngineProfile(app_id=1, server="http://127.0.0.1:9"))
    try:
        await engine.init_video_super_resolution()
    except PlayError as error:
        print(int(error.code))
    await engine.destroy()
asyncio.run(main())
"""
    processor = min(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, {{{processor}}})\n{program}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert met(int(done.stdout)) == 1004004, done.stderr
