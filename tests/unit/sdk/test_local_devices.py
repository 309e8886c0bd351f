"""The lists of devices, read from files as the kernel writes them, and what is told when they change."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sanderling import (
    AudioDeviceStateChanged,
    AudioDeviceType,
    Camera,
    CustomAudioSource,
    DeviceError,
    DeviceExceptionType,
    DeviceInfo,
    DeviceType,
    Engine,
    EngineProfile,
    ErrorCode,
    Event,
    LocalDeviceException,
    SanderlingError,
    UpdateType,
    VideoDeviceStateChanged,
)
from sanderling.sdk.local_devices import DeviceTree, DeviceWatch, default_device, tell_device_exception

CARDS = """\
 0 [PCH            ]: HDA-Intel - HDA Intel PCH
                      HDA Intel PCH at 0xb1218000 irq 143
 1 [C920           ]: USB-Audio - HD Pro Webcam C920
                      HD Pro Webcam C920 at usb-0000:00:14.0-1, high speed
"""
PCM = """\
00-00: ALC257 Analog : ALC257 Analog : playback 1 : capture 1
00-03: HDMI 0 : HDMI 0 : playback 1
01-00: USB Audio : USB Audio : capture 1
"""


@pytest.fixture
def tree(tmp_path: Path) -> DeviceTree:
    made = DeviceTree(tmp_path / "video4linux", tmp_path / "asound", Path("/dev"))
    made.video.mkdir()
    made.sound.mkdir()
    (made.sound / "cards").write_text(CARDS)
    (made.sound / "pcm").write_text(PCM)
    for number, index, name in ((10, 0, "Second"), (2, 0, "First"), (3, 1, "First")):
        plug(made, number, index, name)
    return made


def plug(tree: DeviceTree, number: int, index: int, name: str) -> None:
    node = tree.video / f"video{number}"
    node.mkdir()
    (node / "index").write_text(f"{index}\n")
    (node / "name").write_text(f"{name}\n")


def test_the_lists(tree: DeviceTree) -> None:
    assert tree.cameras() == [
        DeviceInfo("/dev/video2", "First", "v4l2"),
        DeviceInfo("/dev/video10", "Second", "v4l2"),
    ]
    analog = DeviceInfo("plughw:0,0", "ALC257 Analog", "HDA Intel PCH")
    assert tree.sound_devices(AudioDeviceType.INPUT) == [
        analog,
        DeviceInfo("plughw:1,0", "USB Audio", "HD Pro Webcam C920"),
    ]
    assert tree.sound_devices(AudioDeviceType.OUTPUT) == [
        analog,
        DeviceInfo("plughw:0,3", "HDMI 0", "HDA Intel PCH"),
    ]
    assert tree.sound_devices(AudioDeviceType.LOOPBACK) == []
    assert default_device(DeviceType.CAMERA, tree) == "/dev/video2"
    assert default_device(DeviceType.MICROPHONE, tree) == "plughw:0,0"
    assert Camera(tree=tree).device_id == "/dev/video2"


def test_an_empty_list_has_no_default(tmp_path: Path) -> None:
    nothing = DeviceTree(tmp_path / "absent", tmp_path / "absent", tmp_path)
    assert nothing.all() == {}
    for kind in (DeviceType.CAMERA, DeviceType.MICROPHONE, DeviceType.SPEAKER):
        with pytest.raises(DeviceError) as caught:
            default_device(kind, nothing)
        assert caught.value.code == ErrorCode.DEVICE_LIST_EMPTY


async def test_what_comes_and_goes_is_told(tree: DeviceTree) -> None:
    told: list[Event] = []
    watch = DeviceWatch(told.append, tree)
    await watch.read()
    watch.look(await asyncio.to_thread(tree.all))
    assert told == []
    (tree.sound / "pcm").write_text(PCM.splitlines()[0])
    plug(tree, 11, 0, "Third")
    watch.look(await asyncio.to_thread(tree.all))
    watch.look(await asyncio.to_thread(tree.all))
    watch.stop()
    assert set(told) == {
        VideoDeviceStateChanged(UpdateType.ADD, DeviceInfo("/dev/video11", "Third", "v4l2")),
        AudioDeviceStateChanged(
            UpdateType.DELETE,
            AudioDeviceType.INPUT,
            DeviceInfo("plughw:1,0", "USB Audio", "HD Pro Webcam C920"),
        ),
        AudioDeviceStateChanged(
            UpdateType.DELETE, AudioDeviceType.OUTPUT, DeviceInfo("plughw:0,3", "HDMI 0", "HDA Intel PCH")
        ),
    }


async def test_the_engine_lists_what_this_machine_has() -> None:
    async with Engine(EngineProfile(app_id=1, server="http://127.0.0.1:1")) as engine:
        listing = await asyncio.to_thread(DeviceTree().all)
        cameras = await engine.get_video_device_list()
        assert [camera.device_id for camera in cameras] == [
            info.device_id for (kind, _), info in listing.items() if kind is DeviceType.CAMERA
        ]
        for kind in AudioDeviceType:
            await engine.get_audio_device_list(kind)
        if not cameras:
            with pytest.raises(DeviceError) as caught:
                await engine.get_default_video_device_id()
            assert caught.value.code == ErrorCode.DEVICE_LIST_EMPTY
        with pytest.raises(DeviceError) as loop:
            await engine.get_default_audio_device_id(AudioDeviceType.LOOPBACK)
        assert loop.value.code == ErrorCode.DEVICE_LIST_EMPTY


async def test_a_preview_of_a_source_without_pictures_is_a_device_error() -> None:
    async with Engine(EngineProfile(app_id=1, server="http://127.0.0.1:1")) as engine:
        with pytest.raises(DeviceError) as caught:
            await engine.start_preview(CustomAudioSource())
        assert caught.value.code == ErrorCode.DEVICE_ERROR


def test_the_fault_of_a_device_is_an_event_and_another_is_not() -> None:
    told: list[Event] = []
    where = {"device_type": "CAMERA", "device_id": "/dev/video2"}
    tell_device_exception(told.append, DeviceError(ErrorCode.DEVICE_UNPLUGGED, "gone", context=where))
    tell_device_exception(told.append, DeviceError(ErrorCode.FILE_NOT_FOUND, "no file", context=where))
    tell_device_exception(told.append, SanderlingError(ErrorCode.DEVICE_UNPLUGGED, "gone"))
    assert told == [
        LocalDeviceException(DeviceExceptionType.DEVICE_UNPLUGGED, DeviceType.CAMERA, "/dev/video2")
    ]
