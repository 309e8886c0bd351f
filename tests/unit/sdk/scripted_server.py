"""A signalling server that says what a test tells it to. Media offers are answered by real peer connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import webrtc
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from codes_seen import scripted
from sanderling.errors import SanderlingError
from sanderling.signaling import codec, messages

M = TypeVar("M", bound=messages.ClientMessage)

Answer = Callable[[messages.ClientMessage], "messages.ServerMessage | None"]


class ScriptedServer:
    """One client at a time. Replies with success unless ``refuse`` has an error for the type of a request."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[messages.ClientMessage] = []
        self.refuse: dict[type, tuple[int, str]] = {}
        self.users: tuple[messages.User, ...] = ()
        self.streams: tuple[messages.Stream, ...] = ()
        self.silent: set[type] = set()
        self.connections = 0
        self.resumable = False
        """Whether sessions can be resumed; ``missed`` then goes out behind the answer."""
        self.missed: list[messages.ServerMessage] = []
        self.taken: int | None = None
        """What a resumption is told; None = everything that arrived."""
        self.settle_ms = 0
        self.connects = False
        """Whether answers name addresses, so that transports come up."""
        self._newest_seq = 0
        self._socket: ServerConnection | None = None
        self._arrived = asyncio.Event()
        self._peers: list[webrtc.RTCPeerConnection] = []
        self._viewer: webrtc.RTCPeerConnection | None = None
        self._viewer_fingerprint = ""

    async def say(self, message: messages.ServerMessage) -> None:
        """Send a notice."""
        assert self._socket is not None
        await self._send(self._socket, message)

    async def say_bytes(self, data: bytes) -> None:
        """Send whatever."""
        assert self._socket is not None
        await self._socket.send(data)

    async def drop(self) -> None:
        """Close the connection."""
        assert self._socket is not None
        await self._socket.close()

    def cut(self) -> None:
        """Break the connection without a word."""
        assert self._socket is not None
        self._socket.transport.abort()

    async def expect(self, kind: type[M]) -> M:
        """The first message of ``kind``, now or when it comes; it is taken out."""
        while True:
            for index, message in enumerate(self.received):
                if isinstance(message, kind):
                    del self.received[index]
                    return message
            self._arrived.clear()
            async with asyncio.timeout(10):
                await self._arrived.wait()

    async def handle(self, socket: ServerConnection) -> None:
        self._socket = socket
        self.connections += 1
        try:
            async for data in socket:
                message = codec.decode_client(data)
                reply = await self._reply(message)
                if not isinstance(message, messages.Resume | messages.Heartbeat):
                    self._newest_seq = max(self._newest_seq, message.seq)
                if reply is not None:
                    await self._send(socket, reply)
                if isinstance(reply, messages.ResumeOk):
                    for late in self.missed:
                        await self._send(socket, late)
                self.received.append(message)
                self._arrived.set()
        except (ConnectionClosed, SanderlingError):
            pass

    async def _send(self, socket: ServerConnection, message: messages.ServerMessage) -> None:
        scripted(message)
        await socket.send(codec.encode(message), text=True)

    def close(self) -> None:
        for peer in self._peers:
            peer.close()

    async def _reply(self, message: messages.ClientMessage) -> messages.ServerMessage | None:
        if type(message) in self.silent:
            return None
        if type(message) in self.refuse:
            code, text = self.refuse[type(message)]
            return messages.Error(code=code, message=text, seq=message.seq)
        match message:
            case messages.Login():
                return messages.LoginOk(
                    message.seq,
                    session_id="session-1",
                    server_ms=0,
                    heartbeat_ms=30_000,
                    max_plays=12,
                    users=self.users,
                    streams=self.streams,
                    viewer_answer=await self._answer(message.viewer_offer, viewer=True),
                    secret="hush" if self.resumable else "",
                    resume_ms=90_000 if self.resumable else 0,
                    settle_ms=self.settle_ms,
                )
            case messages.Resume():
                taken = self._newest_seq if self.taken is None else self.taken
                return messages.ResumeOk(
                    message.seq, taken, server_ms=0, heartbeat_ms=30_000, missed=len(self.missed)
                )
            case messages.Publish():
                return messages.PublishOk(message.seq, message.stream_id, await self._answer(message.offer))
            case messages.Play():
                return messages.PlayOk(message.seq, message.stream_id, 0, 3, audio_mid="0", video_mid="1")
            case messages.ViewerOffer():
                return messages.ViewerAnswer(message.seq, await self._answer(message.offer, viewer=True))
            case messages.Heartbeat():
                return messages.HeartbeatOk(message.seq, 0, 0)
            case _:
                return messages.Ok(message.seq)

    async def _answer(self, offer: str, *, viewer: bool = False) -> str:
        if not offer:
            return ""
        peer = self._viewer if viewer and _fingerprint(offer) == self._viewer_fingerprint else None
        if peer is None:
            peer = webrtc.RTCPeerConnection()
            self._peers.append(peer)
            if viewer:
                self._viewer, self._viewer_fingerprint = peer, _fingerprint(offer)
        await peer.set_remote_description(webrtc.RTCSessionDescriptionInit("offer", offer))
        answer = await peer.create_answer()
        await peer.set_local_description(answer)
        while self.connects and peer.ice_gathering_state.value != "complete":
            await asyncio.sleep(0.005)
        return peer.local_description.sdp if self.connects else answer.sdp


def _fingerprint(offer: str) -> str:
    return next(line for line in offer.splitlines() if line.startswith("a=fingerprint:"))


@asynccontextmanager
async def scripted_server() -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer()
    async with serve(server.handle, "127.0.0.1", 0, max_size=codec.MAX_MESSAGE_BYTES) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        server.url = f"http://127.0.0.1:{port}"
        try:
            yield server
        finally:
            server.close()
