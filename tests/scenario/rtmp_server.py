"""An RTMP server in a process of its own: libavformat, which takes one stream and writes down what it sees."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SERVER = """
import sys
import av
import numpy as np

def frames(container):
    # An RTMP publisher that has said goodbye closes the connection, which this reader takes for an error.
    try:
        yield from container.decode()
    except av.OSError as error:
        if error.errno != 5:
            raise

with av.open(sys.argv[1], "r", format="flv", options={"listen": "1"}) as container:
    codecs = " ".join(stream.codec_context.name for stream in container.streams)
    print("codecs", codecs, flush=True)
    loudest = 0.0
    for frame in frames(container):
        if isinstance(frame, av.VideoFrame):
            luma = frame.to_ndarray()[frame.height // 2, frame.width // 2]
            print("picture", frame.width, frame.height, int(luma), flush=True)
        else:
            loudest = max(loudest, float(np.abs(frame.to_ndarray()).max()))
            print("sound", round(loudest, 3), flush=True)
print("end", flush=True)
"""


class RtmpServer:
    """Takes one stream; ``kill`` ends it as a crash does."""

    def __init__(self, process: Process, url: str) -> None:
        self._process = process
        self.url = url
        self.pictures: list[tuple[int, int, int]] = []
        self.codecs: list[str] = []
        self.loudest = 0.0
        self.ended = False
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if not line.endswith(b"\n"):
                break  # cut short by the end of the process
            kind, *values = line.decode().split()
            if kind == "codecs":
                self.codecs = values
            elif kind == "picture":
                width, height, luma = map(int, values)
                self.pictures.append((width, height, luma))
            elif kind == "sound":
                self.loudest = float(values[0])
            elif kind == "end":
                self.ended = True
            self._changed.set()

    async def until_pictures(self, count: int, seconds: float = 20.0) -> None:
        """Wait for so many pictures, and for sound that can be heard."""
        async with asyncio.timeout(seconds):
            while len(self.pictures) < count or self.loudest < 0.1:
                self._changed.clear()
                await self._changed.wait()

    async def until_end(self, seconds: float = 20.0) -> None:
        """Wait for the publisher's goodbye."""
        async with asyncio.timeout(seconds):
            await self._reading

    async def kill(self) -> None:
        """Leave without a word."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def rtmp_server(port: int) -> AsyncIterator[RtmpServer]:
    url = f"rtmp://127.0.0.1:{port}/live/film"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, url, stdout=PIPE)
    server = RtmpServer(process, url)
    try:
        # Its socket is its only sign of life: a connection to see whether it is there would be its one stream.
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(_serves, port):
                await asyncio.sleep(0.05)
        yield server
    finally:
        await server.kill()
        await server._reading


def _serves(port: int) -> bool:
    """Whether somebody listens on the port or has accepted a connection there, by the kernel's table."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table]
    return any(row[1].endswith(f":{port:04X}") and row[3] in ("0A", "01") for row in rows[1:])
