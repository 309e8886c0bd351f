"""One user of the quickstart as a process of its own: obeys lines of JSON, reports every notice as one.

Told on standard input: ``{"do": "login", ...}`` and so on, one at a time; each is answered by ``{"done": ...}`` or
``{"failed": code}`` once it is. Notices come in between as ``{"notice": [...]}``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

import numpy as np

from sanderling import (
    CustomAudioSource,
    CustomVideoSource,
    Engine,
    EngineProfile,
    EventHandler,
    MediaSources,
    PixelFormat,
    PlayerConfig,
    PlayerState,
    PublisherState,
    ResourceMode,
    RoomConfig,
    RoomStateReason,
    SanderlingError,
    Stream,
    UpdateType,
    User,
    VideoFrame,
)

WIDTH, HEIGHT, LUMA = 320, 180, 180


def say(**values: object) -> None:
    """Write one line of JSON."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


class Notices(EventHandler):
    def __init__(self) -> None:
        self.pictures: list[tuple[int, int, int]] = []
        self.arrived = asyncio.Event()

    def on_room_state_changed(
        self, room_id: str, reason: RoomStateReason, error_code: int, extended_data: Mapping[str, object]
    ) -> None:
        say(notice=["room", room_id, int(reason), error_code])

    def on_room_user_update(self, room_id: str, update_type: UpdateType, users: Sequence[User]) -> None:
        say(notice=["users", room_id, int(update_type), [user.user_id for user in users]])

    def on_room_stream_update(
        self,
        room_id: str,
        update_type: UpdateType,
        streams: Sequence[Stream],
        extended_data: Mapping[str, object],
    ) -> None:
        listed = [[stream.stream_id, stream.user.user_id, stream.extra_info] for stream in streams]
        say(notice=["streams", room_id, int(update_type), listed, dict(extended_data)])

    def on_publisher_state_update(
        self, stream_id: str, state: PublisherState, error_code: int, extended_data: Mapping[str, object]
    ) -> None:
        say(notice=["publisher", stream_id, int(state), error_code])

    def on_player_state_update(
        self, stream_id: str, state: PlayerState, error_code: int, extended_data: Mapping[str, object]
    ) -> None:
        say(notice=["player", stream_id, int(state), error_code])

    def on_player_recv_video_first_frame(self, stream_id: str) -> None:
        say(notice=["first frame", stream_id])

    def on_player_render_video_first_frame(self, stream_id: str) -> None:
        say(notice=["first render", stream_id])

    def on_remote_video_frame(self, stream_id: str, frame: VideoFrame) -> None:
        luma = frame.planes[0]
        self.pictures.append((frame.width, frame.height, int(luma[frame.height // 2, frame.width // 2])))
        self.arrived.set()

    def on_debug_error(self, error_code: int, function: str, info: str) -> None:
        say(notice=["error", error_code, function])


class QuickstartUser:
    """The engine of this process and what it may be told to do."""

    def __init__(self, profile: EngineProfile) -> None:
        self.notices = Notices()
        self.engine = Engine(profile)
        self.engine.set_event_handler(self.notices)
        self.engine.enable_custom_video_render(True)
        self._pushing: asyncio.Task[None] | None = None

    async def login(self, room: str, user: str, token: str) -> object:
        joined = await self.engine.login_room(
            room, User(user, user.upper()), RoomConfig(token=token, is_user_status_notify=True)
        )
        return {"users": sorted(joined.users), "streams": sorted(joined.streams)}

    async def publish(self, stream: str) -> object:
        video, audio = CustomVideoSource(), CustomAudioSource()
        publishing = self.engine.start_publishing_stream(stream, MediaSources(video=video, audio=audio))
        self._pushing = asyncio.create_task(push(video, audio))
        publisher = await publishing
        return publisher.stream_id

    async def play(self, stream: str) -> object:
        player = await self.engine.start_playing_stream(
            stream, PlayerConfig(resource_mode=ResourceMode.ONLY_L3)
        )
        await self.notices.arrived.wait()
        frame = await player.first_frame(10)
        mode = player.resource_mode
        return {
            "mode": mode.name if mode is not None else None,
            "aspect": frame.width / frame.height,
            "luma": self.notices.pictures[-1][2],
        }

    async def hear(self, stream: str) -> object:
        """Loudest sample of half a second after the sound has begun."""
        assert self.engine.room is not None
        loudest, blocks = 0, 0
        async for block in self.engine.room.players[stream].audio(channels=2):
            loudest = max(loudest, int(np.abs(block.samples.astype(np.int32)).max()))
            blocks += 1 if loudest > 1000 else 0
            if blocks == 50:
                break
        return loudest

    async def stop_publish(self) -> object:
        await self.engine.stop_publishing_stream()
        if self._pushing is not None:
            self._pushing.cancel()
        return None

    async def stop_play(self, stream: str) -> object:
        await self.engine.stop_playing_stream(stream)
        return None

    async def logout(self, room: str) -> object:
        await self.engine.logout_room(room)
        return None

    async def destroy(self) -> object:
        await self.engine.destroy()
        return None


async def push(video: CustomVideoSource, audio: CustomAudioSource) -> None:
    """A grey picture and a tone, 25 times a second."""
    picture = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    picture[:HEIGHT] = LUMA
    tone = (np.sin(np.arange(1920) * 2 * np.pi * 500 / 48_000) * 12_000).astype(np.int16)[:, None]
    while True:
        await video.push(VideoFrame.from_ndarray(picture, PixelFormat.I420))
        audio.push(tone)
        await asyncio.sleep(0.04)


async def main() -> None:
    app_id, server = int(sys.argv[1]), sys.argv[2]
    user = QuickstartUser(EngineProfile(app_id=app_id, server=server))
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        act: Callable[..., Awaitable[object]] = getattr(user, order.pop("do"))
        try:
            say(done=await act(**order))
        except SanderlingError as error:
            say(failed=int(error.code), message=error.message, hint=error.hint)
    await user.engine.destroy()


if __name__ == "__main__":
    asyncio.run(main())
