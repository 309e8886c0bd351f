"""Publish a film with its sound: python publish_file.py SERVER APP_ID TOKEN FILM."""

from __future__ import annotations

import asyncio
import sys

from sanderling import Engine, EngineProfile, File, RoomConfig, User


async def main(server: str, app_id: str, token: str, film: str) -> None:
    async with Engine(EngineProfile(app_id=int(app_id), server=server)) as engine:
        room = await engine.login_room("cinema", User("host", "Host"), RoomConfig(token=token))
        publisher = await room.start_publishing_stream("film", File(film, loop=True))
        print(f"publishing {publisher.stream_id}; stop with Ctrl-C")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
