"""The peer of ``--peer janus``: a Janus gateway as Debian packages it, started and ended by the bench.

Its VideoRoom plugin does what a node does here: one publisher, many subscribers. The configuration written is the
plugin's default but for what a run on one machine needs: every file and socket is the bench's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from sanderling.bench.failure import BenchFailed
from sanderling.bench.process import ChildProcess

__all__ = ["Janus", "VideoRoom", "configuration"]

REMEDY = "sudo apt-get install -y janus"
ROOM = 1234
START_SECONDS = 15.0
REPLY_SECONDS = 20.0
KEEP_ALIVE_SECONDS = 20.0
"""Janus ends a session that is silent for a minute."""
_PLUGIN = "janus.plugin.videoroom"
_PROTOCOL = "janus-protocol"
_BITRATE = 512_000_000
"""Cap of REMB towards the publisher, bits a second: out of the way of the load."""


class Janus:
    """A running gateway."""

    name = "janus"

    def __init__(self, child: ChildProcess, port: int, address: str) -> None:
        self._child = child
        self._url = f"ws://{address}:{port}"
        self.version = ""

    @property
    def pid(self) -> int:
        """Its process."""
        return self._child.pid

    @classmethod
    def installed(cls) -> str:
        """Path of its binary; BenchFailed when it is not installed."""
        binary = shutil.which("janus")
        if binary is None:
            raise BenchFailed("Janus is not installed", REMEDY)
        return binary

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls, folder: Path, *, address: str, event_loops: int = 0, prefix: Sequence[str] = ()
    ) -> AsyncIterator[Self]:
        """Start a gateway whose media and control are at ``address``; it has ended when the context has.

        ``folder``: an empty one. ``event_loops``: threads all sessions share; 0 = one thread per session, which is its
        default. ``prefix``: command that the gateway's is put behind. BenchFailed without Debian's package.
        """
        binary = cls.installed()
        port = _free_port(address) if not prefix else 8188
        for name, text in configuration(folder, binary, address, port, event_loops).items():
            (folder / name).write_text(text)
        command = [*prefix, binary, "--configs-folder", str(folder), "--disable-colors", "--debug-level=2"]
        async with ChildProcess.run("janus", command) as child:
            janus = cls(child, port, address)
            await janus._wait_ready()
            yield janus

    async def _wait_ready(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                while True:
                    self._child.check()
                    try:
                        async with self.room() as room:
                            self.version = await room.version()
                            return
                    except BenchFailed:
                        await asyncio.sleep(0.05)  # another process works on it
        except TimeoutError:
            raise BenchFailed(
                f"Janus did not answer within {START_SECONDS:.0f} s: {self._child.last_words}"
            ) from None

    @contextlib.asynccontextmanager
    async def room(self) -> AsyncIterator[VideoRoom]:
        """A control connection of its own; what was made over it ends with it."""
        try:
            socket_ = await connect(self._url, subprotocols=[_PROTOCOL], max_size=None, compression=None)  # type: ignore[list-item]
        except (OSError, WebSocketException) as error:
            raise BenchFailed(f"Janus does not answer at {self._url}: {error}") from error
        async with socket_:
            room = VideoRoom(socket_)
            try:
                await room.begin()
                yield room
            finally:
                await room.end()


class VideoRoom:
    """Publishers and subscribers of the room, over one control connection."""

    def __init__(self, socket_: ClientConnection) -> None:
        self._socket = socket_
        self._session = 0
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Make the session that everything else belongs to."""
        self._tasks = [asyncio.create_task(self._read(), name="janus-read")]
        self._session = (await self._request("create"))["data"]["id"]
        self._tasks.append(asyncio.create_task(self._keep_alive(), name="janus-keep-alive"))

    async def end(self) -> None:
        """Destroy the session and stop reading."""
        if self._session:
            with contextlib.suppress(BenchFailed, ConnectionClosed):
                await self._request("destroy")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def version(self) -> str:
        """The gateway's version, as it says itself."""
        return str((await self._request("info", session=False)).get("version_string", ""))

    async def publish(self, offer: str) -> tuple[int, str]:
        """Publish with this offer; the publisher's number and the answer."""
        handle = await self._attach()
        joined = await self._message(handle, {"request": "join", "ptype": "publisher", "room": ROOM})
        configure = {"request": "configure", "audio": True, "video": True, "bitrate": _BITRATE}
        event = await self._message(handle, configure, {"type": "offer", "sdp": offer})
        return int(joined["plugindata"]["data"]["id"]), _sdp_of(event)

    async def subscribe(self, publisher: int) -> tuple[int, str]:
        """Ask for a publisher's streams; the subscriber's handle and the gateway's offer."""
        handle = await self._attach()
        wanted = {
            "request": "join",
            "ptype": "subscriber",
            "room": ROOM,
            "streams": [{"feed": publisher}],
        }
        return handle, _sdp_of(await self._message(handle, wanted))

    async def start(self, handle: int, answer: str) -> None:
        """Answer the gateway's offer; media flows once the transport is up."""
        await self._message(handle, {"request": "start"}, {"type": "answer", "sdp": answer})

    async def _attach(self) -> int:
        return int((await self._request("attach", plugin=_PLUGIN))["data"]["id"])

    async def _message(
        self, handle: int, body: Mapping[str, object], jsep: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        more: dict[str, Any] = {"jsep": {**jsep, "trickle": False}} if jsep else {}
        return await self._request("message", handle_id=handle, body=dict(body), **more)

    async def _request(self, kind: str, *, session: bool = True, **fields: Any) -> dict[str, Any]:
        """Send a request and wait for what it comes to (the acknowledgement of a message is not that)."""
        transaction = secrets.token_hex(8)
        if session and self._session:
            fields["session_id"] = self._session
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = reply
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                await self._socket.send(json.dumps({"janus": kind, "transaction": transaction, **fields}))
                message = await reply
        except TimeoutError:
            raise BenchFailed(f"Janus did not answer {kind} within {REPLY_SECONDS:.0f} s") from None
        except ConnectionClosed as error:
            raise BenchFailed(f"Janus closed the control connection: {error}") from None
        finally:
            self._waiting.pop(transaction, None)
        refusal = message.get("error") or message.get("plugindata", {}).get("data", {}).get("error")
        if refusal:
            raise BenchFailed(f"Janus refused {kind}: {refusal}")
        return message

    async def _read(self) -> None:
        try:
            async for text in self._socket:
                message = json.loads(text)
                reply = self._waiting.get(message.get("transaction", ""))
                if message.get("janus") != "ack" and reply is not None and not reply.done():
                    reply.set_result(message)
        except ConnectionClosed:
            pass
        gone = BenchFailed("Janus closed the control connection")
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(gone)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            text = {"janus": "keepalive", "session_id": self._session, "transaction": secrets.token_hex(8)}
            await self._socket.send(json.dumps(text))


def configuration(folder: Path, binary: str, address: str, port: int, event_loops: int) -> dict[str, str]:
    """The gateway's configuration files by name."""
    modules = _module_folder(binary)
    others = {
        kind: ", ".join(
            path.name for path in sorted((modules / kind).glob("*.so*")) if wanted not in path.name
        )
        for kind, wanted in (("plugins", "videoroom"), ("transports", "websockets"))
    }
    loops = f"\tevent_loops = {event_loops}\n" if event_loops else ""
    return {
        "janus.jcfg": (
            "general: {\n"
            f'\tconfigs_folder = "{folder}"\n'
            f'\tplugins_folder = "{modules / "plugins"}"\n'
            f'\ttransports_folder = "{modules / "transports"}"\n'
            f'\tevents_folder = "{modules / "events"}"\n'
            f'\tloggers_folder = "{modules / "loggers"}"\n'
            "\tdebug_level = 2\n"
            f"{loops}"
            "}\n"
            f'nat: {{\n\tice_enforce_list = "{address}"\n\tfull_trickle = false\n}}\n'
            f'plugins: {{\n\tdisable = "{others["plugins"]}"\n}}\n'
            f'transports: {{\n\tdisable = "{others["transports"]}"\n}}\n'
        ),
        "janus.transport.websockets.jcfg": (
            f'general: {{\n\tjson = "compact"\n\tws = true\n\tws_port = {port}\n\tws_ip = "{address}"\n'
            "\twss = false\n}\nadmin: {\n\tadmin_ws = false\n\tadmin_wss = false\n}\n"
        ),
        "janus.plugin.videoroom.jcfg": (
            f'room-{ROOM}: {{\n\tdescription = "bench"\n\tpublishers = 16\n\tbitrate = {_BITRATE}\n'
            "\tfir_freq = 0\n\tnotify_joining = false\n"
            '\taudiocodec = "opus"\n\tvideocodec = "vp8"\n}\n'
        ),
    }


def _module_folder(binary: str) -> Path:
    """Where the package keeps the gateway's modules: below the library folder that goes with its binary."""
    root = Path(binary).resolve().parent.parent
    for pattern in ("lib/janus", "lib/*/janus"):
        for folder in sorted(root.glob(pattern)):
            if any(folder.glob("plugins/libjanus_videoroom.so*")):
                return folder
    raise BenchFailed("Janus is installed without its VideoRoom plugin", REMEDY)


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _sdp_of(message: Mapping[str, Any]) -> str:
    sdp = message.get("jsep", {}).get("sdp", "")
    if not sdp:
        raise BenchFailed(f"Janus sent no session description: {message.get('plugindata')}")
    return str(sdp)
