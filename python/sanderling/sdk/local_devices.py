"""Cameras, microphones and speakers of this machine: which there are, and which come and go."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sanderling.enums import AudioDeviceType, DeviceExceptionType, DeviceType, UpdateType
from sanderling.errors import DeviceError, ErrorCode, SanderlingError
from sanderling.sdk.config import EngineProfile
from sanderling.sdk.engine_life import EngineLife
from sanderling.sdk.events import (
    AudioDeviceStateChanged,
    DeviceInfo,
    Event,
    LocalDeviceException,
    VideoDeviceStateChanged,
)
from sanderling.sdk.handler import EventHandler

__all__ = ["DeviceTree", "DeviceWatch", "LocalDevices", "default_device", "tell_device_exception"]

WATCH_INTERVAL = 1.0
"""Seconds between two looks at what is plugged in; a look reads two directories and takes well below a millisecond."""

Listing = Mapping[tuple[DeviceType, str], DeviceInfo]


@dataclass(frozen=True, slots=True)
class DeviceTree:
    """Where the system tells of devices: V4L2 in sysfs, ALSA in procfs."""

    video: Path = Path("/sys/class/video4linux")
    sound: Path = Path("/proc/asound")
    nodes: Path = Path("/dev")

    def cameras(self) -> list[DeviceInfo]:
        """Video nodes that capture, lowest number first. A camera's further nodes (metadata) have an index above 0."""
        found = []
        for entry in _entries(self.video):
            number = re.fullmatch(r"video(\d+)", entry.name)
            if number is None or _text(entry / "index") not in ("", "0"):
                continue
            name = _text(entry / "name") or entry.name
            found.append((int(number[1]), DeviceInfo(str(self.nodes / entry.name), name, "v4l2")))
        return [info for _, info in sorted(found, key=lambda item: item[0])]

    def sound_devices(self, direction: AudioDeviceType) -> list[DeviceInfo]:
        """Sound devices by their ALSA names, ``plughw:CARD,DEVICE``. There is no LOOPBACK in ALSA's list."""
        if direction is AudioDeviceType.LOOPBACK:
            return []
        wanted = "capture" if direction is AudioDeviceType.INPUT else "playback"
        cards = _text(self.sound / "cards")
        found = []
        for line in _text(self.sound / "pcm").splitlines():
            # "00-00: ALC257 Analog : ALC257 Analog : playback 1 : capture 1"
            head, *fields = (field.strip() for field in line.split(":"))
            place = re.fullmatch(r"(\d+)-(\d+)", head)
            if place is None or not any(field.startswith(wanted) for field in fields):
                continue
            card, device = int(place[1]), int(place[2])
            names = [field for field in fields if not field.startswith(("playback", "capture"))]
            name = names[-1] if names else f"card {card}"
            found.append(DeviceInfo(f"plughw:{card},{device}", name, _card_name(cards, card)))
        return found

    def all(self) -> Listing:
        """Everything, by kind and ID."""
        kinds = (
            (DeviceType.CAMERA, self.cameras()),
            (DeviceType.MICROPHONE, self.sound_devices(AudioDeviceType.INPUT)),
            (DeviceType.SPEAKER, self.sound_devices(AudioDeviceType.OUTPUT)),
        )
        return {(kind, info.device_id): info for kind, infos in kinds for info in infos}


def default_device(kind: DeviceType, tree: DeviceTree) -> str:
    """The ID of the first camera or microphone; 1006020 when the list has none."""
    found = [info for (other, _), info in tree.all().items() if other is kind]
    if not found:
        raise DeviceError(
            ErrorCode.DEVICE_LIST_EMPTY,
            f"the list of devices has no {kind.name.lower()}",
            hint="plug one in, or name a device",
        )
    return found[0].device_id


_KINDS = {AudioDeviceType.INPUT: DeviceType.MICROPHONE, AudioDeviceType.OUTPUT: DeviceType.SPEAKER}


class DeviceWatch:
    """Emits what was plugged in and unplugged, from ``start`` on."""

    def __init__(self, emit: Callable[[Event], None], tree: DeviceTree | None = None) -> None:
        self.tree = tree or DeviceTree()
        self._emit = emit
        self._known: Listing = {}
        self._task: asyncio.Task[None] | None = None

    async def read(self) -> Listing:
        """What there is now; further changes are told from the first time on."""
        now = await asyncio.get_running_loop().run_in_executor(None, self.tree.all)
        if self._task is None:
            self._known = now
            self._task = asyncio.get_running_loop().create_task(self._run(), name="sanderling-device-watch")
        return now

    def look(self, now: Listing) -> None:
        """Compare with the last look."""
        before, self._known = self._known, now
        for update, one, other in ((UpdateType.DELETE, before, now), (UpdateType.ADD, now, before)):
            for (kind, _), info in ((key, one[key]) for key in one.keys() - other.keys()):
                if kind is DeviceType.CAMERA:
                    self._emit(VideoDeviceStateChanged(update, info))
                else:
                    microphone = kind is DeviceType.MICROPHONE
                    direction = AudioDeviceType.INPUT if microphone else AudioDeviceType.OUTPUT
                    self._emit(AudioDeviceStateChanged(update, direction, info))

    def stop(self) -> None:
        """End. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            self.look(await asyncio.get_running_loop().run_in_executor(None, self.tree.all))


class LocalDevices(EngineLife):
    """The calls of an engine that concern devices. From the first list on, changes are told to the event handler."""

    def __init__(self, profile: EngineProfile, handler: EventHandler | None = None) -> None:
        super().__init__(profile, handler)
        self._watch = DeviceWatch(self._dispatcher.emit)

    async def get_video_device_list(self) -> list[DeviceInfo]:
        """The cameras; none is an empty list."""
        return await self._devices(DeviceType.CAMERA)

    async def get_default_video_device_id(self) -> str:
        """The camera that is used when none is named; 1006020 when there is none."""
        return await self._default(DeviceType.CAMERA)

    async def get_audio_device_list(self, device_type: AudioDeviceType) -> list[DeviceInfo]:
        """The microphones (INPUT) or speakers (OUTPUT); none is an empty list."""
        return await self._devices(_KINDS.get(device_type, DeviceType.UNKNOWN))

    async def get_default_audio_device_id(self, device_type: AudioDeviceType) -> str:
        """The microphone or speaker that is used when none is named; 1006020 when there is none."""
        return await self._default(_KINDS.get(device_type, DeviceType.UNKNOWN))

    async def _devices(self, wanted: DeviceType) -> list[DeviceInfo]:
        self._check()
        return [info for (kind, _), info in (await self._watch.read()).items() if kind is wanted]

    async def _default(self, wanted: DeviceType) -> str:
        self._check()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, default_device, wanted, self._watch.tree)


def tell_device_exception(emit: Callable[[Event], None], error: SanderlingError) -> None:
    """Report ``error`` as that of a device, if it is one."""
    number = int(error.code) - 1006000
    if number in list(DeviceExceptionType) and "device_id" in error.context:
        kind = DeviceType[error.context.get("device_type", "UNKNOWN")]
        emit(LocalDeviceException(DeviceExceptionType(number), kind, error.context["device_id"]))


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""


def _card_name(cards: str, card: int) -> str:
    """What the list of cards calls ``card``: "HDA Intel PCH" of "0 [PCH ]: HDA-Intel - HDA Intel PCH"."""
    line = re.search(rf"^\s*{card} \[.*?\]: (.*)$", cards, re.MULTILINE)
    return line[1].partition(" - ")[2] or line[1] if line else ""
