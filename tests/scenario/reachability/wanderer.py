"""A user whose network a test takes away: publishes its own stream or plays another's, and says what happens.

    python wanderer.py URL APP_ID TOKEN USER publish|play STREAM

One line per event: ``room REASON CODE``, ``player STATE CODE``, ``publisher STATE CODE``, ``users UPDATE USERS``,
``streams UPDATE`` with the reason of a stream that went, and ``picture`` whenever one arrives after half a second
without any. A play that has ended with its stream begins anew and waits for it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence

import numpy as np

from sanderling import (
    CustomVideoSource,
    Engine,
    EngineProfile,
    EventHandler,
    PixelFormat,
    PlayerState,
    PublisherState,
    RoomConfig,
    RoomStateReason,
    Stream,
    UpdateType,
    User,
    VideoFrame,
)

GAP_S = 0.5


def say(*words: object) -> None:
    print(*words, flush=True)


class Teller(EventHandler):
    """Says every change."""

    def on_room_state_changed(
        self, room_id: str, reason: RoomStateReason, error_code: int, extended_data: Mapping[str, object]
    ) -> None:
        say("room", reason.name, error_code)

    def on_player_state_update(
        self, stream_id: str, state: PlayerState, error_code: int, extended_data: Mapping[str, object]
    ) -> None:
        say("player", state.name, error_code)

    def on_publisher_state_update(
        self, stream_id: str, state: PublisherState, error_code: int, extended_data: Mapping[str, object]
    ) -> None:
        say("publisher", state.name, error_code)

    def on_room_stream_update(
        self,
        room_id: str,
        update_type: UpdateType,
        streams: Sequence[Stream],
        extended_data: Mapping[str, object],
    ) -> None:
        reasons = [stream.delete_reason.name for stream in streams if stream.delete_reason is not None]
        say("streams", update_type.name, *reasons)

    def on_room_user_update(self, room_id: str, update_type: UpdateType, users: Sequence[User]) -> None:
        say("users", update_type.name, *(user.user_id for user in users))


async def push(source: CustomVideoSource) -> None:
    picture = np.full((180 * 3 // 2, 320), 128, np.uint8)
    while True:
        picture[:180] = (picture[0, 0] + 3) % 200
        await source.push(VideoFrame.from_ndarray(picture, PixelFormat.I420))
        await asyncio.sleep(0.04)


async def main(url: str, app_id: str, token: str, user: str, role: str, stream: str) -> None:
    async with Engine(EngineProfile(app_id=int(app_id), server=url), Teller()) as engine:
        config = RoomConfig(token=token, is_user_status_notify=True)
        room = await engine.login_room("r", User(user, user), config)
        if role == "publish":
            source = CustomVideoSource()
            await room.start_publishing_stream(stream, source)
            await push(source)
            return
        last = 0.0
        while True:
            player = await room.start_playing_stream(stream)
            async for _ in player.video():
                now = time.monotonic()
                if now - last > GAP_S:
                    say("picture")
                last = now


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
