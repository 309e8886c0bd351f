"""One user in a process of its own, that a test can kill: publishes or plays, says what happens, ends as it is told.

    python room_user.py URL APP_ID TOKEN USER publish|play STREAM stay|logout|destroy

A line on standard output is "ready", or a later state of the room. ``logout`` begins a logout and exits without waiting
for it; ``destroy`` waits for the engine's end.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping

import numpy as np

from sanderling import (
    CustomVideoSource,
    Engine,
    EngineProfile,
    EventHandler,
    PixelFormat,
    RoomConfig,
    RoomStateReason,
    User,
    VideoFrame,
)


class Teller(EventHandler):
    """Says what becomes of the room once it is ready."""

    ready = False

    def on_room_state_changed(
        self, room_id: str, reason: RoomStateReason, error_code: int, extended_data: Mapping[str, object]
    ) -> None:
        if self.ready:
            print(reason.name, error_code, flush=True)


async def push(source: CustomVideoSource) -> None:
    picture = np.full((180 * 3 // 2, 320), 128, np.uint8)
    while True:
        picture[:180] = (picture[0, 0] + 3) % 200
        await source.push(VideoFrame.from_ndarray(picture, PixelFormat.I420))
        await asyncio.sleep(0.04)


async def main(url: str, app_id: str, token: str, user: str, role: str, stream: str, end: str) -> None:
    teller = Teller()
    engine = Engine(EngineProfile(app_id=int(app_id), server=url), teller)
    config = RoomConfig(token=token, is_user_status_notify=True)
    room = await engine.login_room("r", User(user, user), config)
    if role == "publish":
        source = CustomVideoSource()
        pushing = asyncio.create_task(push(source))
        await room.start_publishing_stream(stream, source)
    else:
        player = await room.start_playing_stream(stream)
        await player.first_frame(20)
    print("ready", flush=True)
    teller.ready = True
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    if end == "logout":
        leaving = asyncio.create_task(room.logout())
        os._exit(leaving.done())
    await engine.destroy()
    if role == "publish":
        pushing.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
