"""A network that goes away and comes back, and an address that changes: the picture returns by itself."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sanderling import tokens
from scenario.reachability.network import Network, run
from scenario.reachability.parts import LIMIT_S, TOKEN_S, Process, Server, start

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

PUBLIC, HOME, OTHER = "203.0.113.0/24", "10.77.0.0/24", "10.78.0.0/24"
AWAY_S = 12.0
"""How long the network is gone: longer than it takes to notice (5 s of silent media and 2 s of a silent server)."""


@asynccontextmanager
async def wanderer(
    network: Network, server: Server, host: str, user: str, role: str
) -> AsyncIterator[Process]:
    project = server.project
    token = tokens.generate(project.app_id, user, project.server_secret, TOKEN_S, now=time.time())
    script = Path(__file__).with_name("wanderer.py")
    url = f"http://{network.address('server')}:7700"
    command = [*network.inside(host), sys.executable, str(script), url, str(project.app_id), token, user]
    async with start(user, [*command, role, "film"]) as process:
        yield process


async def until(process: Process, wanted: str, seen: list[str]) -> None:
    """Read what the process says until it says ``wanted``."""
    try:
        async with asyncio.timeout(2 * LIMIT_S):
            while not seen or seen[-1] != wanted:
                seen.append((await process.line()).decode().strip())
    except TimeoutError:
        raise AssertionError(f"{wanted!r} did not come; said: {seen}; {list(process.words)}") from None


@asynccontextmanager
async def scene(tmp_path: Path) -> AsyncIterator[tuple[Network, Process, Process]]:
    hosts = {"server": [PUBLIC], "viewer": [HOME], "host": [OTHER]}
    with Network(hosts) as network:
        async with (
            Server.start(
                network,
                tmp_path / "state",
                "--host",
                "0.0.0.0",
                "--public-address",
                network.address("server"),
            ) as server,
            wanderer(network, server, "host", "host", "publish") as host,
            wanderer(network, server, "viewer", "viewer", "play") as viewer,
        ):
            yield network, host, viewer


async def test_a_network_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    async with scene(tmp_path) as (network, _, viewer):
        seen: list[str] = []
        await until(viewer, "picture", seen)
        cable = ["ip", "-n", network.inside("router")[3], "link", "set", "viewer"]
        run([*cable, "down"])
        await until(viewer, "room RECONNECTING 1002051", seen)
        await asyncio.sleep(AWAY_S)
        run([*cable, "up"])
        await until(viewer, "room RECONNECTED 0", seen)
        await until(viewer, "picture", seen)
        assert "player NO_PLAY 0" not in seen
        assert "streams DELETE" not in seen


async def test_a_publisher_whose_address_changes(tmp_path: Path) -> None:
    async with scene(tmp_path) as (network, host, viewer):
        said_by_host: list[str] = []
        seen: list[str] = []
        await until(viewer, "picture", seen)
        await until(host, "publisher PUBLISHING 0", said_by_host)
        namespace = network.inside("host")[3]
        run(["ip", "-n", namespace, "address", "del", "10.78.0.2/24", "dev", "uplink"])
        run(["ip", "-n", namespace, "address", "add", "10.78.0.77/24", "dev", "uplink"])
        run(["ip", "-n", namespace, "route", "add", "default", "via", "10.78.0.1"])
        await until(host, "room RECONNECTED 0", said_by_host)
        await until(host, "publisher PUBLISHING 0", said_by_host)
        await until(viewer, "picture", seen)
        # The play went on: nobody was told that the stream had gone.
        assert "streams DELETE" not in seen
        assert "player NO_PLAY 0" not in seen
