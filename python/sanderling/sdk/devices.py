"""Camera and microphone of a published stream: silenced here, and told to the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sanderling.enums import RemoteDeviceState
from sanderling.errors import RateLimited, SanderlingError
from sanderling.signaling import messages

if TYPE_CHECKING:
    from sanderling.sdk.room import Room

__all__ = ["Devices"]

States = tuple[RemoteDeviceState, RemoteDeviceState]
"""Of camera and microphone."""


class PictureInput(Protocol):
    """Takes pictures, unless it is muted."""

    muted: bool


class SoundInput(Protocol):
    """Takes sound; muted, it makes silence of it."""

    muted: bool
    disabled: bool


class Inputs(Protocol):
    """What takes the pictures and the sound of one stream."""

    @property
    def video(self) -> PictureInput | None:
        """The pictures."""

    @property
    def audio(self) -> SoundInput | None:
        """The sound."""


class Devices:
    """Of one stream. The server is told from ``told`` to ``forget``: while it holds the stream."""

    def __init__(self, room: Room, stream_id: str) -> None:
        self._room = room
        self._stream_id = stream_id
        self._muted = {"video": False, "audio": False}
        self._disabled = {"video": False, "audio": False}
        self._transport: Inputs | None = None
        self._told: States | None = None
        self._telling: asyncio.Task[None] | None = None
        self.has_stand_in: Callable[[], bool] = lambda: False
        """Whether a picture is sent in place of those of a camera that is switched off."""

    @property
    def camera_off(self) -> bool:
        """Whether the camera is switched off."""
        return self._disabled["video"]

    def mute(self, *, audio: bool | None, video: bool | None) -> None:
        """Send silence or no pictures, or again what there is; None changes nothing."""
        self._change(self._muted, audio, video)

    def enable(self, *, microphone: bool | None, camera: bool | None) -> None:
        """Switch a source off or on; None changes nothing."""
        self._change(
            self._disabled,
            None if microphone is None else not microphone,
            None if camera is None else not camera,
        )

    def apply(self, transport: Inputs) -> None:
        """Silence what ``transport`` sends, now and with every later change."""
        self._transport = transport
        for kind, source in (("audio", transport.audio), ("video", transport.video)):
            if source is not None:
                replaced = kind == "video" and self.has_stand_in()
                source.muted = self._muted[kind] or (self._disabled[kind] and not replaced)
        if transport.audio is not None:
            transport.audio.disabled = self._disabled["audio"]

    def told(self) -> States:
        """The present states, which the request to publish carries."""
        self._told = self._states()
        return self._told

    def forget(self) -> None:
        """The server does not hold the stream (any more)."""
        self._told = None

    def _states(self) -> States:
        states = []
        for kind in ("video", "audio"):
            if self._disabled[kind]:
                states.append(RemoteDeviceState.DISABLE)
            else:
                states.append(RemoteDeviceState.MUTE if self._muted[kind] else RemoteDeviceState.OPEN)
        return states[0], states[1]

    def _change(self, which: dict[str, bool], audio: bool | None, video: bool | None) -> None:
        if audio is not None:
            which["audio"] = audio
        if video is not None:
            which["video"] = video
        if self._transport is not None:
            self.apply(self._transport)
        if self._told is not None and self._telling is None:
            self._telling = self._room.session.spawn(self._tell(), "sanderling-devices")

    async def _tell(self) -> None:
        """Tell the newest states; those between two answers nobody needs to know."""
        try:
            while self._told is not None and self._told != self._states():
                before, states = self._told, self._states()
                self._told = states
                try:
                    await self._send(states)
                except RateLimited as limit:
                    if self._told is states:
                        self._told = before
                    await asyncio.sleep(limit.retry_after)
        except SanderlingError as error:
            self._room.report(error, "mute")
        finally:
            self._telling = None

    async def _send(self, states: States) -> None:
        camera, microphone = states
        await self._room.session.request(
            lambda seq: messages.SetDeviceState(seq, self._stream_id, int(camera), int(microphone)),
            messages.Ok,
        )
