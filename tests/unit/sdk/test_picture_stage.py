"""What a channel does with its pictures before they are encoded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling import (
    BackgroundBlurLevel,
    BackgroundConfig,
    BackgroundProcessType,
    Channel,
    ErrorCode,
    ObjectSegmentationConfig,
    ObjectSegmentationType,
    PixelFormat,
    PublishError,
    Rect,
    SanderlingError,
    VideoConfig,
    VideoConfigPreset,
    VideoFrame,
    Watermark,
)
from sanderling.sdk.dispatch import Dispatcher
from sanderling.sdk.pictures.channel import ChannelPictures
from sanderling.sdk.pictures.chroma_key import load_chroma_key
from sanderling.sdk.pictures.pace import Pace, Strain
from sanderling.sdk.pictures.planes import Planes, Unreadable, local_path, read_picture
from sanderling.sdk.pictures.stage import PictureStage
from sanderling.sdk.pictures.watermark import load_overlay
from unit.sdk.media_files import write_clip
from unit.sdk.picture_files import plain, write_picture
from unit.sdk.recorder import Recorder

GREEN, RED, GREY = (0, 255, 0), (255, 0, 0), (128, 128, 128)


class Sink:
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.frames: list[VideoFrame] = []

    def write(self, frame: VideoFrame) -> bool:
        self.frames.append(frame)
        return True


class Stage:
    """A stage with its settings and what comes out of it."""

    def __init__(self, *, preview: bool = False) -> None:
        self.recorder = Recorder()
        loop = asyncio.get_running_loop()
        self.settings = ChannelPictures(Channel.MAIN, loop, Dispatcher(loop, self.recorder))
        self.sink = Sink()
        self.stage = PictureStage(self.settings, self.sink, preview=preview)
        self.time_ns = 1

    async def show(self, pixels: NDArray[np.uint8], *, after_ms: float = 40) -> NDArray[np.uint8]:
        """What becomes of a picture, as RGB; in a thread, as a source has one."""
        return await asyncio.to_thread(self._show, pixels, after_ms)

    def _show(self, pixels: NDArray[np.uint8], after_ms: float) -> NDArray[np.uint8]:
        self.time_ns += round(after_ms * 1e6)
        assert self.stage.write(VideoFrame.from_ndarray(pixels, PixelFormat.RGB24, captured_ns=self.time_ns))
        return self.sink.frames[-1].to_ndarray(PixelFormat.RGB24)


def near(pixel: NDArray[np.uint8], *color: int) -> bool:
    """The same colour but for what the way through YUV costs."""
    return bool(np.abs(pixel.astype(int) - np.array(color)).max() <= 6)


async def test_without_settings_a_picture_passes_untouched() -> None:
    stage = Stage()
    frame = VideoFrame.from_ndarray(plain(64, 48, *RED), PixelFormat.RGB24)
    assert stage.stage.write(frame)
    assert stage.sink.frames[0] is frame


@pytest.mark.parametrize("format", [PixelFormat.RGB24, PixelFormat.BGRA, PixelFormat.I420, PixelFormat.NV12])
async def test_pictures_get_the_size_that_was_set_and_lose_their_edges(format: PixelFormat) -> None:
    stage = Stage()
    stage.settings.config = VideoConfig(width=64, height=64, fps=30)
    # A red square in the middle of a wide blue picture is all that is left of it.
    wide = plain(256, 128, 0, 0, 255)
    wide[:, 64:192] = RED
    planes = Planes.of_rgb(wide)
    if format is PixelFormat.I420:
        frame = VideoFrame.from_ndarray(planes.data.reshape(192, 256), format)
    elif format is PixelFormat.NV12:
        chroma = np.stack([planes.u, planes.v], axis=2).reshape(-1, 256)
        frame = VideoFrame.from_ndarray(np.concatenate([planes.y, chroma]), format)
    elif format is PixelFormat.BGRA:
        frame = VideoFrame.from_ndarray(
            np.concatenate([wide[:, :, ::-1], plain(256, 128, 255)], axis=2), format
        )
    else:
        frame = VideoFrame.from_ndarray(wide, format)
    assert stage.stage.write(frame)
    shown = await asyncio.to_thread(stage.sink.frames[0].to_ndarray, PixelFormat.RGB24)
    assert shown.shape == (64, 64, 3)
    assert all(near(shown[y, x], *RED) for y, x in ((4, 4), (32, 32), (60, 60)))
    assert stage.sink.frames[0].captured_ns == frame.captured_ns


async def test_odd_pictures_lose_their_last_row_and_column() -> None:
    stage = Stage()
    stage.settings.config = VideoConfig(width=32, height=32, fps=30)
    assert (await stage.show(plain(33, 33, *RED))).shape == (32, 32, 3)


@pytest.mark.parametrize(("source", "wanted"), [(30, 15), (25, 15), (60, 24), (15, 15)])
def test_a_faster_source_is_thinned_out_evenly(source: int, wanted: int) -> None:
    pace = Pace()
    taken = [n for n in range(source * 10) if pace.take(round(n * 1e9 / source), wanted)]
    assert abs(len(taken) - wanted * 10) <= 1
    gaps = np.diff(taken)
    assert gaps.max() - gaps.min() <= 1


def test_a_source_that_paused_does_not_make_up_for_it() -> None:
    pace = Pace()
    assert pace.take(0, 10)
    assert [pace.take(5_000_000_000 + n * 20_000_000, 10) for n in range(4)] == [True] + [False] * 3


def test_strain_is_the_share_of_time_that_work_takes() -> None:
    strain = Strain()
    shares = [strain.add(20_000_000, n * 40_000_000) for n in range(31)]
    assert shares[:30] == [None] * 30
    assert shares[30] == pytest.approx(0.5)
    # Every other picture was overtaken: the source is twice as fast as the work.
    shares = [strain.add(20_000_000, n * 20_000_000, came=2) for n in range(31)]
    assert shares[30] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"bitrate_kbps": 0}, 1003002),
        ({"bitrate_kbps": 100_001}, 1003002),
        ({"width": 641}, 1000017),
        ({"height": 0}, 1000017),
        ({"fps": 0}, 1000017),
        ({"fps": 121}, 1000017),
    ],
)
def test_a_video_config_that_cannot_be_has_its_code(wrong: dict[str, int], code: int) -> None:
    with pytest.raises(SanderlingError) as caught:
        VideoConfig(**wrong)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_presets_are_those_of_the_product() -> None:
    sizes = [(c.width, c.height, c.fps, c.bitrate_kbps) for c in map(VideoConfig.preset, VideoConfigPreset)]
    assert sizes == [
        (320, 180, 15, 300), (480, 270, 15, 400), (640, 360, 15, 600),
        (960, 540, 15, 1200), (1280, 720, 15, 1500), (1920, 1080, 15, 3000),
    ]  # fmt: skip
    assert VideoConfig() == VideoConfig.preset(VideoConfigPreset.P360)


# ------------------------------------------------------------------------------------------ watermark


async def test_a_watermark_is_blended_by_its_opacity(tmp_path: Path) -> None:
    mark = plain(8, 8, 255, 255, 255, 255)
    mark[:, 4:, 3] = 128
    path = write_picture(tmp_path / "mark.png", mark)
    stage = Stage()
    stage.settings.overlay = await asyncio.to_thread(
        load_overlay, Watermark(path.as_uri(), Rect(16, 8, 32, 32))
    )
    shown = await stage.show(plain(64, 48, 0, 0, 0))
    assert near(shown[4, 4], 0, 0, 0)
    assert near(shown[24, 20], 255, 255, 255)
    assert near(shown[24, 44], 128, 128, 128)
    assert near(shown[24, 56], 0, 0, 0)


async def test_a_watermark_is_in_the_preview_only_when_wished(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "mark.png", plain(8, 8, 255, 255, 255))
    stage = Stage(preview=True)
    stage.settings.overlay = await asyncio.to_thread(load_overlay, Watermark(str(path), Rect(0, 0, 16, 16)))
    assert near((await stage.show(plain(64, 48, 0, 0, 0)))[8, 8], 0, 0, 0)
    stage.settings.overlay_in_preview = True
    assert near((await stage.show(plain(64, 48, 0, 0, 0)))[8, 8], 255, 255, 255)


@pytest.mark.parametrize(
    ("url", "layout", "code"),
    [
        ("", Rect(0, 0, 8, 8), 1003055),
        ("x" * 509 + ".png", Rect(0, 0, 8, 8), 1003056),
        ("mark.png", Rect(0, 0, 0, 8), 1003058),
        ("mark.png", Rect(-1, 0, 8, 8), 1003058),
        ("mark.png", Rect(8190, 0, 8, 8), 1003058),
    ],
)
def test_a_watermark_that_cannot_be_has_its_code(url: str, layout: Rect, code: int) -> None:
    with pytest.raises(PublishError) as caught:
        Watermark(url, layout).check()
    assert caught.value.code == code
    assert len("x" * 508 + ".png") == 512
    Watermark("x" * 508 + ".png", Rect(0, 0, 8, 8)).check()


@pytest.mark.parametrize(
    "url", ["http://example.com/mark.png", "mark.gif", "none.png", "text.png", "file://far/m.png"]
)
def test_a_watermark_without_a_picture_is_1003057(url: str, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    wanted = url if ":" in url else str(tmp_path / url)
    with pytest.raises(PublishError) as caught:
        load_overlay(Watermark(wanted, Rect(0, 0, 8, 8)))
    assert caught.value.code == 1003057


async def test_a_watermark_beyond_the_picture_is_told_once_and_left_out(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "mark.png", plain(8, 8, 255, 255, 255))
    stage = Stage()
    stage.settings.overlay = await asyncio.to_thread(load_overlay, Watermark(str(path), Rect(40, 0, 32, 32)))
    for _ in range(3):
        assert near((await stage.show(plain(64, 48, 0, 0, 0)))[8, 60], 0, 0, 0)
    await stage.recorder.until_call("error", 1003058, "set_publish_watermark")
    assert len(stage.recorder.of("error")) == 1


# ------------------------------------------------------------------------------------------ object segmentation


def screen(*, green: tuple[int, int, int] = GREEN) -> NDArray[np.uint8]:
    """A red subject before a green screen."""
    picture = plain(128, 96, *green)
    picture[32:64, 48:80] = RED
    return picture


def keyed(**background: object) -> ObjectSegmentationConfig:
    return ObjectSegmentationConfig(background=BackgroundConfig(**background))  # type: ignore[arg-type]


@pytest.mark.parametrize("green", [GREEN, (0, 177, 64), (20, 120, 30), (60, 200, 80)])
async def test_a_green_screen_becomes_a_colour(green: tuple[int, int, int]) -> None:
    stage = Stage()
    stage.settings.key = await asyncio.to_thread(load_chroma_key, keyed(color=0x2040C0))
    shown = await stage.show(screen(green=green))
    assert near(shown[8, 8], 0x20, 0x40, 0xC0)
    assert near(shown[48, 64], *RED)


@pytest.mark.parametrize(
    "color",
    [RED, GREY, (255, 255, 255), (0, 0, 0), (0, 0, 255), (224, 172, 105), (255, 255, 0), (0, 255, 255)],
)
async def test_other_colours_are_no_background(color: tuple[int, int, int]) -> None:
    stage = Stage()
    stage.settings.key = await asyncio.to_thread(load_chroma_key, keyed(color=0xFF00FF))
    assert near((await stage.show(plain(32, 32, *color)))[16, 16], *color)


async def test_a_green_screen_becomes_a_picture(tmp_path: Path) -> None:
    halves = plain(64, 48, 0, 0, 255)
    halves[:, 32:] = (255, 255, 0)
    path = write_picture(tmp_path / "beach.png", halves)
    stage = Stage()
    stage.settings.key = await asyncio.to_thread(
        load_chroma_key, keyed(process_type=BackgroundProcessType.IMAGE, image_url=path.as_uri())
    )
    shown = await stage.show(screen())
    assert near(shown[8, 8], 0, 0, 255)
    assert near(shown[8, 120], 255, 255, 0)
    assert near(shown[48, 64], *RED)


async def test_a_green_screen_becomes_a_film_that_begins_again(tmp_path: Path) -> None:
    # Each of its ten pictures is lighter than the one before; 40 ms apart, like those it is shown behind.
    path = write_clip(tmp_path / "film.mov", frames=10, fps=25, sound_ms=None)
    stage = Stage()
    stage.settings.key = await asyncio.to_thread(
        load_chroma_key, keyed(process_type=BackgroundProcessType.VIDEO, video_url=path.as_uri())
    )
    greys = []
    for _ in range(15):
        shown = await stage.show(screen())
        assert near(shown[48, 64], *RED)
        greys.append(int(shown[8, 8, 1]))
    assert all(np.diff(greys[:10]) > 4)
    assert np.abs(np.array(greys[10:]) - greys[:5]).max() <= 6
    # Its file goes away: the last picture stays. A pause does not have it decode what nobody saw.
    await asyncio.to_thread(path.unlink)
    later = [int((await stage.show(screen(), after_ms=60_000))[8, 8, 1]) for _ in range(12)]
    assert later[-1] == later[-2]


async def test_a_green_screen_is_blurred_the_more_the_higher_the_level() -> None:
    picture = screen()
    picture[:, 12:14] = (0, 60, 0)  # a dark fold of the screen
    contrasts = []
    for level in BackgroundBlurLevel:
        stage = Stage()
        stage.settings.key = await asyncio.to_thread(
            load_chroma_key, keyed(process_type=BackgroundProcessType.BLUR, blur_level=level)
        )
        shown = await stage.show(picture)
        assert near(shown[48, 64], *RED)
        row = shown[8, 4:40, 1].astype(int)
        contrasts.append(row.max() - row.min())
    assert 195 > contrasts[0] > contrasts[1] > contrasts[2]


@pytest.mark.parametrize(
    ("config", "code"),
    [
        (ObjectSegmentationConfig(type=ObjectSegmentationType.ANY_BACKGROUND), 1003012),
        (ObjectSegmentationConfig(type=7), 1003014),  # type: ignore[arg-type]
        (keyed(process_type=BackgroundProcessType.TRANSPARENT), 1003014),
        (keyed(process_type=BackgroundProcessType.VIDEO), 1003014),  # without a URL
        (keyed(process_type=9), 1003014),
        (keyed(blur_level=3), 1003014),
        (keyed(color=0x1000000), 1003014),
        (keyed(color=-1), 1003014),
        (keyed(process_type=BackgroundProcessType.IMAGE), 1003014),
    ],
)
def test_a_segmentation_that_cannot_be_has_its_code(config: ObjectSegmentationConfig, code: int) -> None:
    with pytest.raises(PublishError) as caught:
        config.check()
    assert caught.value.code == code


def test_a_background_that_is_no_picture_is_1003015(tmp_path: Path) -> None:
    text = tmp_path / "text.mov"
    text.write_text("no film")
    for background in (
        keyed(process_type=BackgroundProcessType.IMAGE, image_url=str(tmp_path / "none.png")),
        keyed(process_type=BackgroundProcessType.VIDEO, video_url=str(tmp_path / "none.mov")),
        keyed(process_type=BackgroundProcessType.VIDEO, video_url=str(text)),
    ):
        with pytest.raises(PublishError) as caught:
            load_chroma_key(background)
        assert caught.value.code == 1003015


async def test_a_source_too_fast_for_the_work_is_warned_of_once() -> None:
    stage = Stage()
    stage.settings.key = await asyncio.to_thread(load_chroma_key, keyed())
    # A picture every tenth of a millisecond: no machine replaces its background in that time.
    for _ in range(70):
        await stage.show(screen(), after_ms=0.1)
    warning = ("segmentation", 1, int(ErrorCode.SEGMENTATION_SLOW))
    assert int(ErrorCode.SEGMENTATION_SLOW) == 1003011
    await stage.recorder.until_call(*warning)
    assert stage.recorder.calls == [warning]


# ------------------------------------------------------------------------------------------ files


def test_only_files_are_read(tmp_path: Path) -> None:
    assert local_path("file:///a%20b.png") == Path("/a b.png")
    assert local_path("a b.png") == Path("a b.png")
    for wrong in ("https://example.com/a.png", "asset://a.png", "file://other/a.png"):
        with pytest.raises(Unreadable):
            local_path(wrong)
    cut = write_picture(tmp_path / "cut.png", plain(64, 64, *RED))
    cut.write_bytes(cut.read_bytes()[:60])
    with pytest.raises(Unreadable):
        read_picture(str(cut))
    with pytest.raises(Unreadable):
        read_picture(str(tmp_path))
