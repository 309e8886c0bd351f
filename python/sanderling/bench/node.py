"""The node under measurement: ``sanderling serve`` as a process with a state folder and a project of its own."""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from sanderling import tokens
from sanderling.bench.failure import BenchFailed
from sanderling.bench.http_client import HttpClient
from sanderling.bench.process import ChildProcess
from sanderling.server.config import ServerConfig
from sanderling.server.storage import Project, SqliteStorage

__all__ = ["LOOPBACK", "ROOM_ID", "Node", "parse_counters", "settings_file"]

LOOPBACK = "127.0.0.1"
ROOM_ID = "bench"
READY_SECONDS = 30.0
HTTP_CONNECTIONS = 128
"""Requests under way at once: more than a node answers at a time."""
LOGIN_LIMITS = {"room_logins_per_s": 1_000_000, "app_logins_per_s": 1_000_000}
"""Settings of the project: a storm of joins is what is measured."""
TOKEN_SECONDS = 24 * 3600
MAX_PLAYS = 16
"""Streams one viewer plays at most: the most a project may allow."""
MAX_SESSIONS = 100_000
SOURCE_LIMITS = ("logins_per_s", "posts_per_s")
"""What protects a public server from one address; 0 = no limit. Here every client has the same address."""
_COUNTER_PREFIX = "sanderling_media_"


class Node:
    """A running node and its one project."""

    def __init__(
        self,
        child: ChildProcess,
        http: HttpClient,
        project: Project,
        announced: Mapping[str, Any],
        admin_secret: str,
    ) -> None:
        self._child = child
        self._project = project
        self._admin_secret = admin_secret
        self.http = http
        self.url = str(announced["url"])
        self.ws_url = str(announced["ws_url"])

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._child.pid

    @property
    def app_id(self) -> int:
        """AppID of the project."""
        return self._project.app_id

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls, folder: Path, *, address: str = LOOPBACK, workers: int | None = None, prefix: Sequence[str] = ()
    ) -> AsyncIterator[Self]:
        """Start a node whose HTTP and media are at ``address``; it has ended when the context has.

        ``folder``: an empty one for its state. ``workers``: media threads, None = the default of ``serve``.
        ``prefix``: command that the server's is put behind. BenchFailed with its last words when it does not start.
        """
        settings = folder / "settings.toml"
        # Where the server is at another address than loopback, /debug asks for it. The folder is for its owner only.
        admin_secret = secrets.token_urlsafe(16)
        settings.write_text(settings_file(folder / "state", address, workers, admin_secret))
        command = [
            *prefix, sys.executable, "-P", "-m", "sanderling.cli.main", "serve", "--ready-json",
            "--config", str(settings),
        ]  # fmt: skip
        async with ChildProcess.run("server", command) as child:
            announced = json.loads(await child.line(READY_SECONDS))
            storage = SqliteStorage(folder / "state")
            try:
                await storage.open()
                project = await storage.create_project("bench", l3=True, max_plays=MAX_PLAYS)
                project = await storage.update_project(project.app_id, settings=dict(LOGIN_LIMITS))
            finally:
                await storage.aclose()
            async with HttpClient(announced["url"], connections=HTTP_CONNECTIONS) as http:
                yield cls(child, http, project, announced, admin_secret)

    def check(self) -> None:
        """BenchFailed when the server has ended by itself."""
        self._child.check()

    def token(self, user_id: str) -> str:
        """A token with which ``user_id`` may log in, publish and play."""
        return tokens.generate(
            self._project.app_id, user_id, self._project.server_secret, TOKEN_SECONDS, now=time.time()
        )

    def endpoint(self, protocol: str, stream_id: str) -> str:
        """Path of the WHIP or WHEP endpoint of a stream; ``protocol`` is "whip" or "whep"."""
        return f"/{protocol}/{self.app_id}/{ROOM_ID}/{quote(stream_id, safe='')}"

    async def counters(self) -> dict[str, float]:
        """The media engine's totals by name, as ``Engine.counters`` has them (read from /metrics)."""
        response = await self.http.request("GET", "/metrics")
        if response.status != 200:
            raise BenchFailed(f"the server's /metrics answered {response.status}")
        return parse_counters(response.text)

    async def added_delay(self) -> Mapping[str, Any]:
        """The engine's histogram of the delay it adds, since its start (``Engine.added_delay``)."""
        headers = {"x-sanderling-admin": self._admin_secret}
        response = await self.http.request("GET", "/debug/snapshot", headers=headers)
        try:
            histogram: Mapping[str, Any] = json.loads(response.body)["engine"]["added_delay"]
        except (ValueError, KeyError, TypeError):
            raise BenchFailed(
                f"the server's /debug/snapshot answered {response.status}, without engine.added_delay"
            ) from None
        return histogram


def parse_counters(text: str) -> dict[str, float]:
    """The media engine's values out of Prometheus' text format."""
    values: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith(_COUNTER_PREFIX):
            name, _, value = line.removeprefix(_COUNTER_PREFIX).rpartition(" ")
            values[name.removesuffix("_total")] = float(value)
    return values


def settings_file(state: Path, address: str, workers: int | None, admin_secret: str) -> str:
    """TOML of the node's settings: free ports, media at ``address`` alone, and no limits per source address."""
    values: dict[str, object] = {
        "host": address,
        "port": 0,
        "state": str(state),
        "media_ports": "0",
        "media_listen": [address],
        "public_address": [address],
        "log_level": "warning",
        "admin_secret": admin_secret,
        "max_sessions": MAX_SESSIONS,
    }
    if workers is not None:
        values["workers"] = workers
    values |= {name: 0 for name in SOURCE_LIMITS if name in ServerConfig.__struct_fields__}
    # A JSON string, number or list of strings is the same in TOML.
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
