"""A coturn on loopback, as an operator would run it beside the server: one shared secret, time-limited credentials."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

EXECUTABLE = shutil.which("turnserver") or ""
LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that is free for UDP and TCP just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        udp.bind((LOOPBACK, 0))
        port: int = udp.getsockname()[1]
        tcp.bind((LOOPBACK, port))
        return port


@asynccontextmanager
async def coturn(folder: Path, secret: str) -> AsyncIterator[int]:
    """Run one; its port."""
    port = free_port()
    configuration = folder / "turnserver.conf"
    configuration.write_text(
        f"listening-ip={LOOPBACK}\nrelay-ip={LOOPBACK}\nlistening-port={port}\nuse-auth-secret\n"
        f"static-auth-secret={secret}\nrealm=sanderling\nno-tls\nno-dtls\nno-cli\nallow-loopback-peers\n"
        f"log-file=stdout\nsimple-log\npidfile={folder / 'pid'}\nuserdb={folder / 'db'}\n"
    )
    process = await asyncio.create_subprocess_exec(
        EXECUTABLE,
        "-c",
        str(configuration),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(20):
            await _answers(port)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def _answers(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except ConnectionError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return
