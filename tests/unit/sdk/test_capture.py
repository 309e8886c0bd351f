"""Cameras and microphones at the boundary of the system: what it answers, and devices that deliver, stall and go away.

A named pipe or terminal line stands for the device: the kernel's answers are real, the camera is not.
"""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from codes_seen import met
from sanderling import Camera, DeviceError, ErrorCode, Microphone, SanderlingError, VideoFrame
from sanderling.sdk.local_devices import DeviceTree

SECONDS = 15.0


class Taken:
    """A sink and a ``fail`` that remember."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.frames: list[VideoFrame] = []
        self.samples: list[NDArray[np.int16]] = []
        self.failed: asyncio.Future[SanderlingError] = self._loop.create_future()
        self.came = asyncio.Event()
        self.broken = False

    def write(self, frame: VideoFrame) -> bool:
        if self.broken:
            raise RuntimeError("this sink is broken")
        self.frames.append(frame)
        self._loop.call_soon_threadsafe(self.came.set)
        return True

    def fail(self, error: SanderlingError) -> None:
        self._loop.call_soon_threadsafe(self.failed.set_result, error)


class Heard(Taken):
    def write(self, samples: NDArray[np.int16], rate: int) -> bool:  # type: ignore[override]
        assert rate == 48_000
        self.samples.append(samples)
        self._loop.call_soon_threadsafe(self.came.set)
        return True


def jpeg(luma: int, *, width: int = 320, height: int = 180) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        planes = np.full((height * 3 // 2, width), 128, np.uint8)
        planes[:height] = luma
        for packet in [*stream.encode(av.VideoFrame.from_ndarray(planes, "yuvj420p")), *stream.encode()]:
            container.mux(packet)
    return buffer.getvalue()


class Feed:
    """Writes the same piece into a descriptor, again and again, on a thread, until closed."""

    def __init__(self, descriptor: int, piece: bytes, interval: float = 0.02) -> None:
        self._descriptor = descriptor
        self._stop = threading.Event()
        self._piece, self._interval = piece, interval
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            rest = self._piece
            while rest and not self._stop.is_set():
                try:
                    rest = rest[os.write(self._descriptor, rest) :]
                except BlockingIOError:
                    self._stop.wait(self._interval)
                except BrokenPipeError:
                    return

    def pull_out(self) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._descriptor)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe and its writing end."""
    path = tmp_path / "video0"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    yield path, writing
    os.close(reading)


async def test_pictures_of_a_device_arrive_and_its_end_is_an_unplugged_device(pipe: tuple[Path, int]) -> None:
    path, writing = pipe
    feed, taken = Feed(writing, jpeg(180)), Taken()
    camera = Camera(str(path), input_format="mjpeg")
    assert await camera.prepare() == (True, False)
    run = camera.start(taken, None, taken.fail)
    async with asyncio.timeout(SECONDS):
        await taken.came.wait()
        picture = taken.frames[0]
        assert (picture.width, picture.height) == (320, 180)
        assert (
            abs(int(picture.planes[0][90, 160]) - (180 * 219 // 255 + 16)) <= 3
        )  # full range became limited
        feed.pull_out()
        error = await taken.failed
        await run.wait()
    assert error.code == ErrorCode.DEVICE_UNPLUGGED
    assert error.context == {"device_type": "CAMERA", "device_id": str(path)}


async def test_a_look_at_a_pipe_leaves_its_writer_alone(tmp_path: Path) -> None:
    path = tmp_path / "video0"
    os.mkfifo(path)
    feeds: list[Feed] = []
    opening = threading.Thread(target=lambda: feeds.append(Feed(os.open(path, os.O_WRONLY), jpeg(180))))
    opening.start()  # waits for somebody who reads
    camera, taken = Camera(str(path), input_format="mjpeg"), Taken()
    for _ in range(20):
        await camera.prepare()
        assert opening.is_alive()
    run = camera.start(taken, None, taken.fail)
    async with asyncio.timeout(SECONDS):
        await taken.came.wait()
        await asyncio.to_thread(opening.join)
        await asyncio.to_thread(feeds[0].pull_out)
        assert (await taken.failed).code == ErrorCode.DEVICE_UNPLUGGED
        await run.wait()


async def test_a_line_that_breaks_is_an_unplugged_device() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    feed, taken = Feed(master, jpeg(180, width=64, height=48)), Taken()
    camera = Camera(os.ttyname(slave), input_format="mjpeg")
    run = camera.start(taken, None, taken.fail)
    async with asyncio.timeout(SECONDS):
        await taken.came.wait()
        os.close(slave)
        feed.pull_out()  # the kernel answers EIO from here on
        assert (await taken.failed).code == ErrorCode.DEVICE_UNPLUGGED
        await run.wait()


async def test_a_device_without_pictures_has_zero_fps(pipe: tuple[Path, int]) -> None:
    path, writing = pipe
    taken = Taken()
    run = Camera(str(path), input_format="mjpeg", patience=0.2).start(taken, None, taken.fail)
    async with asyncio.timeout(SECONDS):
        error = await taken.failed
        await run.wait()
    os.close(writing)
    assert error.code == ErrorCode.DEVICE_ZERO_FPS
    assert "0.2 seconds" in str(error)


async def test_a_device_that_stalls_has_zero_fps(pipe: tuple[Path, int]) -> None:
    path, writing = pipe
    taken = Taken()
    for _ in range(3):
        os.write(writing, jpeg(180))
    run = Camera(str(path), input_format="mjpeg", patience=0.3).start(taken, None, taken.fail)
    async with asyncio.timeout(SECONDS):
        await taken.came.wait()
        assert (await taken.failed).code == ErrorCode.DEVICE_ZERO_FPS
        await run.wait()
    os.close(writing)


async def test_a_fault_around_a_device_is_an_internal_error(
    pipe: tuple[Path, int], caplog: pytest.LogCaptureFixture
) -> None:
    path, writing = pipe
    feed, taken = Feed(writing, jpeg(180)), Taken()
    taken.broken = True
    run = Camera(str(path), input_format="mjpeg").start(taken, None, taken.fail)
    async with asyncio.timeout(SECONDS):
        assert (await taken.failed).code == ErrorCode.DEVICE_INTERNAL_ERROR
        await run.wait()
    feed.pull_out()
    assert "this sink is broken" in caplog.text


async def test_sound_of_a_device_arrives(pipe: tuple[Path, int]) -> None:
    path, writing = pipe
    tone = (9000 * np.sin(np.arange(441) * 2 * np.pi * 1000 / 44_100)).astype("<i2").tobytes()
    feed, heard = Feed(writing, tone, 0.01), Heard()
    microphone = Microphone(str(path), input_format="s16le", rate=44_100, channels=1)
    assert await microphone.prepare() == (False, True)
    run = microphone.start(None, heard, heard.fail)
    async with asyncio.timeout(SECONDS):
        while sum(map(len, heard.samples)) < 4800:
            heard.came.clear()
            await heard.came.wait()
        run.stop()
        await run.wait()
    feed.pull_out()
    assert not heard.failed.done()
    samples = np.concatenate(heard.samples)
    assert samples.shape[1] == 1
    assert 8000 < np.abs(samples[1000:]).max() < 10_000
    # 1000 Hz at 48000 a second: the resampler knew the rate
    spectrum = np.abs(np.fft.rfft(samples[:4800, 0]))
    assert int(spectrum.argmax()) == 100


async def test_alsa_itself_delivers(tmp_path: Path) -> None:
    """libasound with a microphone of its own making, in a process of its own, because it reads its settings once."""
    settings = tmp_path / "asound.conf"
    settings.write_text("pcm.quiet { type null }\nctl.quiet { type null }\n")
    code = """
import asyncio
from sanderling import Microphone
class Sink:
    def __init__(self): self.samples = 0
    def write(self, samples, rate):
        self.samples += len(samples)
        return True
async def main():
    sink, microphone = Sink(), Microphone("quiet")
    await microphone.prepare()
    run = microphone.start(None, sink, print)
    async with asyncio.timeout(10):
        while sink.samples < 4800:
            await asyncio.sleep(0.01)
    run.stop()
    await run.wait()
    try:
        await Microphone("absent").prepare()
    except Exception as error:
        print(int(error.code))
asyncio.run(main())
"""
    environment = {**os.environ, "ALSA_CONFIG_PATH": str(settings)}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1006002"]


@pytest.mark.parametrize("kind", [Camera, Microphone])
async def test_what_is_no_device_has_an_invalid_id(
    kind: type[Camera | Microphone], tmp_path: Path, pipe: tuple[Path, int]
) -> None:
    names = [f"{tmp_path}/absent", str(tmp_path), f"{tmp_path}/{'absent' * 999}"]
    if kind is Camera:
        names += ["/dev/null"]
    for name in names:
        with pytest.raises(DeviceError) as caught:
            await kind(name, **({} if kind is Camera else {"input_format": "s16le"})).prepare()
        assert caught.value.code == ErrorCode.DEVICE_INVALID_ID
    if kind is Microphone:
        with pytest.raises(DeviceError) as card:
            await Microphone("hw:31,7", tree=DeviceTree(nodes=tmp_path)).prepare()
        assert card.value.code == ErrorCode.DEVICE_INVALID_ID
    os.close(pipe[1])


async def test_without_any_device_there_is_no_default_one(tmp_path: Path) -> None:
    nothing = DeviceTree(tmp_path / "sys", tmp_path / "proc", tmp_path / "dev")
    for source in (Camera(tree=nothing), Microphone(tree=nothing)):
        with pytest.raises(DeviceError) as caught:
            await source.prepare()
        assert caught.value.code == ErrorCode.DEVICE_LIST_EMPTY


AS_NOBODY = """
import asyncio, concurrent.futures.thread, os, resource, sys
import av, numpy
import sanderling.sdk.device_reader
from sanderling import Camera
async def main(path):
    try:
        await Camera(path, input_format="mjpeg").prepare()
    except Exception as error:
        print(int(error.code))
async def full(path):
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    try:
        while True:
            os.dup(0)
    except OSError:
        await main(path)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
asyncio.run(full(sys.argv[1]) if sys.argv[2:] else main(sys.argv[1]))
"""


async def as_nobody(path: str, *more: str) -> int:
    """The code that a user without rights gets."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", AS_NOBODY, path, *more],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return met(int(done.stdout))


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which root alone can")


@needs_root
async def test_a_device_of_somebody_else_is_not_authorized(tmp_path: Path) -> None:
    path = tmp_path / "video0"
    path.touch(mode=0o600)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    assert await as_nobody(str(path)) == ErrorCode.DEVICE_NO_AUTHORIZATION


@needs_root
async def test_a_device_that_is_held_alone_is_in_use() -> None:
    import fcntl
    import termios

    master, slave = os.openpty()
    os.chmod(os.ttyname(slave), 0o666)
    try:
        fcntl.ioctl(slave, termios.TIOCEXCL)  # the kernel answers EBUSY to others from here on
        assert await as_nobody(os.ttyname(slave)) == ErrorCode.DEVICE_IN_USE
    finally:
        os.close(slave)
        os.close(master)


@needs_root
async def test_another_fault_of_the_system_is_a_device_error() -> None:
    # No descriptor is left for the device.
    assert await as_nobody("/dev/null", "full") == ErrorCode.DEVICE_ERROR


def test_zoom_and_exposure_have_their_limits() -> None:
    camera = Camera("/dev/null")  # a node that has no controls, as a camera without zoom
    assert camera.max_zoom_factor() == 1.0
    camera.set_zoom_factor(1.0)
    for factor in (0.9, 1.5, float("nan")):
        with pytest.raises(DeviceError) as zoomed:
            camera.set_zoom_factor(factor)
        assert zoomed.value.code == ErrorCode.ZOOM_FACTOR_INVALID
    for value in (-1.1, 1.1, float("nan")):
        with pytest.raises(DeviceError) as exposed:
            camera.set_exposure_compensation(value)
        assert exposed.value.code == ErrorCode.EXPOSURE_COMPENSATION_INVALID
    with pytest.raises(DeviceError) as without:
        camera.set_exposure_compensation(0.5)
    assert without.value.code == ErrorCode.DEVICE_ERROR
    with pytest.raises(DeviceError) as absent:
        Camera("/dev/absent").set_zoom_factor(1.0)
    assert absent.value.code == ErrorCode.DEVICE_INVALID_ID


@pytest.mark.parametrize("values", [{"width": 0}, {"fps": 0}, {"patience": 0.0}])
def test_impossible_wishes_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(SanderlingError) as caught:
        Camera("/dev/video0", **values)  # type: ignore[arg-type]
    assert caught.value.code == ErrorCode.ILLEGAL_PARAMETER
