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
AWAY_S = 30.0
"""How long the network is gone, for signalling and media."""
PATIENT_S = 60
"""Silence that a project allows: more than the network is gone, with the time to come back."""
SILENT_S = 30.0
"""The same of a project that says nothing."""
HEARD_S = 5.0
"""How long before the network goes somebody may last have been heard: media is silent to nobody for longer."""
MARGIN_S = 5.0
"""How late a busy machine may tell it."""


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


def gone(seen: list[str]) -> list[str]:
    """What was told of streams, users and plays that ended."""
    return [line for line in seen if line.startswith(("streams DELETE", "users DELETE", "player NO_PLAY"))]


def cable(network: Network, host: str, state: str) -> None:
    """Pull out or plug in the router's end of a host's cable: ``up`` or ``down``."""
    run(["ip", "-n", network.inside("router")[3], "link", "set", host, state])


@asynccontextmanager
async def scene(state: Path, **settings: int) -> AsyncIterator[tuple[Network, Process, Process]]:
    """A publisher and a viewer, each on a network of its own; ``settings`` of their project."""
    hosts = {"server": [PUBLIC], "viewer": [HOME], "host": [OTHER]}
    with Network(hosts) as network:
        async with (
            Server.start(
                network,
                state,
                "--host",
                "0.0.0.0",
                "--public-address",
                network.address("server"),
                settings=settings,
            ) as server,
            wanderer(network, server, "host", "host", "publish") as host,
            wanderer(network, server, "viewer", "viewer", "play") as viewer,
        ):
            yield network, host, viewer


async def away_and_nobody_is_told(state: Path) -> None:
    """The viewer is away for 30 s of the 60 that its project allows: the other one hears nothing of it."""
    async with scene(state, silent_s=PATIENT_S) as (network, host, viewer):
        said_by_host: list[str] = []
        seen: list[str] = []
        await until(viewer, "picture", seen)
        await until(host, "users ADD viewer", said_by_host)
        cable(network, "viewer", "down")
        begun = asyncio.get_running_loop().time()
        await until(viewer, "room RECONNECTING 1002051", seen)
        await asyncio.sleep(begun + AWAY_S - asyncio.get_running_loop().time())
        cable(network, "viewer", "up")
        await until(viewer, "room RECONNECTED 0", seen)
        await until(viewer, "picture", seen)
        assert gone(seen) == []
        # Whatever the host was told before is read once it is told that the viewer has left for good.
        await viewer.end()
        await until(host, "users DELETE viewer", said_by_host)
        assert gone(said_by_host) == ["users DELETE viewer"]
        assert said_by_host.count("users ADD viewer") == 1
        assert "room RECONNECTING 1002051" not in said_by_host


async def away_and_the_peer_is_told(state: Path) -> None:
    """The publisher is away until the others are told, after the 30 s of every project; its stream returns with it."""
    async with scene(state) as (network, host, viewer):
        said_by_host: list[str] = []
        seen: list[str] = []
        await until(viewer, "picture", seen)
        cable(network, "host", "down")
        begun = asyncio.get_running_loop().time()
        await until(host, "room RECONNECTING 1002051", said_by_host)
        await until(viewer, "users DELETE host", seen)
        took = asyncio.get_running_loop().time() - begun
        assert SILENT_S - HEARD_S <= took <= SILENT_S + MARGIN_S
        # The silence of the session and the end of its transport's consent are due in the same seconds.
        stream, *others = sorted(gone(seen), key=lambda line: not line.startswith("streams"))
        assert stream in {"streams DELETE HEARTBEAT_TIMEOUT", "streams DELETE CONNECTION_LOST"}
        assert others == ["player NO_PLAY 0", "users DELETE host"]
        cable(network, "host", "up")
        await until(host, "room RECONNECTED 0", said_by_host)
        await until(host, "publisher PUBLISHING 0", said_by_host)
        del seen[:]
        await until(viewer, "picture", seen)
        assert [line for line in seen if line.startswith(("users", "streams"))] == [
            "users ADD host",
            "streams ADD",
        ]


async def test_thirty_seconds_without_a_network(tmp_path: Path) -> None:
    # Beside each other: both mostly wait.
    async with asyncio.TaskGroup() as scenes:
        scenes.create_task(away_and_nobody_is_told(tmp_path / "patient"))
        scenes.create_task(away_and_the_peer_is_told(tmp_path / "usual"))


@pytest.mark.parametrize(("mover", "network_of"), [("host", "10.78.0"), ("viewer", "10.77.0")])
async def test_a_user_whose_address_changes(mover: str, network_of: str, tmp_path: Path) -> None:
    async with scene(tmp_path) as (network, host, viewer):
        said_by_host: list[str] = []
        seen: list[str] = []
        await until(viewer, "picture", seen)
        await until(host, "publisher PUBLISHING 0", said_by_host)
        namespace = network.inside(mover)[3]
        run(["ip", "-n", namespace, "address", "del", f"{network_of}.2/24", "dev", "uplink"])
        run(["ip", "-n", namespace, "address", "add", f"{network_of}.77/24", "dev", "uplink"])
        run(["ip", "-n", namespace, "route", "add", "default", "via", f"{network_of}.1"])
        if mover == "host":
            await until(host, "room RECONNECTED 0", said_by_host)
            await until(host, "publisher PUBLISHING 0", said_by_host)
        else:
            await until(viewer, "room RECONNECTED 0", seen)
        await until(viewer, "picture", seen)
        # The play went on: nobody was told that the stream had gone.
        assert gone(seen) == []
