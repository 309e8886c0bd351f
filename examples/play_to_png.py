"""Play a stream and save its first picture: python play_to_png.py SERVER APP_ID TOKEN PNG."""

from __future__ import annotations

import asyncio
import sys

import av

from sanderling import Engine, EngineProfile, PixelFormat, PlayerConfig, ResourceMode, RoomConfig, User


async def main(server: str, app_id: str, token: str, png: str) -> None:
    async with Engine(EngineProfile(app_id=int(app_id), server=server)) as engine:
        room = await engine.login_room("cinema", User("viewer", "Viewer"), RoomConfig(token=token))
        player = await room.start_playing_stream("film", PlayerConfig(resource_mode=ResourceMode.ONLY_RTC))
        frame = await player.first_frame(timeout=10)
        picture = av.VideoFrame.from_ndarray(frame.to_ndarray(PixelFormat.RGB24), "rgb24")
        picture.save(png)
        print(f"saved {frame.width}x{frame.height} to {png}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
