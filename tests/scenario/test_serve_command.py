"""``sanderling serve`` as an operator runs it: it says where it is, and goes without a trace."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest
import websockets
from websockets.asyncio.client import connect

pytestmark = pytest.mark.processes

LIMIT_S = 30.0
"""How long a machine may be busy with something else before a test gives up. No test waits for it to pass."""


async def start(state: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sanderling.cli.main", "serve", "--state", str(state)),
        *("--port", "0", "--media-ports", "0", "--media-listen", "127.0.0.1", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ready(process: asyncio.subprocess.Process) -> dict[str, object]:
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT_S):
        return json.loads(await process.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_tells_clients_and_ends_cleanly(tmp_path, number):
    process = await start(tmp_path / "state", "--ready-json")
    try:
        said = await ready(process)
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{said['url']}/healthz")).status_code == 200
        async with connect(str(said["ws_url"])) as client:
            process.send_signal(number)
            async with asyncio.timeout(LIMIT_S):
                assert json.loads(await client.recv())["code"] == 1002052
                with pytest.raises(websockets.ConnectionClosed):
                    await client.recv()
        async with asyncio.timeout(LIMIT_S):
            _, errors = await process.communicate()
        assert process.returncode == 0
        assert b"Traceback" not in errors
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", int(str(said["port"]))))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_says_how_to_get_an_app_id_and_a_token_and_writes_no_secret(tmp_path):
    process = await start(tmp_path / "state")
    assert process.stdout is not None
    try:
        said = b""
        async with asyncio.timeout(LIMIT_S):
            while b"Ctrl-C" not in said:
                said += await process.stdout.readline()
        assert b"http://127.0.0.1:" in said
        assert b"project create" in said
        assert b"token create" in said
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(LIMIT_S):
            await process.communicate()
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
