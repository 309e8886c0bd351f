"""Viewers and publishers of the load generator, connected to a node by WHEP, WHIP or signalling."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect

from sanderling.bench.failure import BenchFailed
from sanderling.bench.http_client import HttpClient
from sanderling.bench.node import ROOM_ID, Node
from sanderling.signaling import messages
from sanderling.signaling.client import Ended, Failed, Replied, SignalingClient

if TYPE_CHECKING:
    from sanderling.bridge.load import Load

__all__ = [
    "RoomMember",
    "begin_session",
    "end_session",
    "publish",
    "publisher_connected",
    "until_connected",
    "view",
]

CONNECT_SECONDS = 30.0
"""How long hundreds of transports may take to come up together."""
REPLY_SECONDS = 20.0
_POLL_SECONDS = 0.02
ONLY_L3 = 2


async def begin_session(http: HttpClient, path: str, token: str, offer: str) -> tuple[str, str]:
    """POST an offer to a WHIP or WHEP endpoint; the answer and the session's path."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/sdp"}
    response = await http.request("POST", path, headers=headers, body=offer)
    if response.status != 201:
        raise BenchFailed(f"{path} answered {response.status}: {response.text[:300]}")
    return response.text, urlsplit(response.headers["location"]).path


async def end_session(http: HttpClient, location: str, token: str) -> None:
    """DELETE a session; one that is over already is fine."""
    response = await http.request("DELETE", location, headers={"authorization": f"Bearer {token}"})
    if response.status not in (200, 404):
        raise BenchFailed(f"DELETE {location} answered {response.status}: {response.text[:300]}")


async def publish(node: Node, load: Load, stream_id: str, *, answers: bool = True) -> int:
    """Publish a VP8 stream by WHIP and wait until its transport is up; the publisher's number.

    ``answers``: whether requests for key frames are answered.
    """
    publisher, offer = load.open_publisher(codec="vp8", key_frames_on_request=answers)
    answer, _ = await begin_session(
        node.http, node.endpoint("whip", stream_id), node.token(f"host-{stream_id}"), offer
    )
    load.answer(publisher, answer)
    await publisher_connected(load, publisher)
    return publisher


async def publisher_connected(load: Load, publisher: int) -> None:
    """Wait until a publisher's transport is up; BenchFailed when it is not in time."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while not load.publisher_report(publisher)["connected"]:
        if time.monotonic() > deadline:
            raise BenchFailed(f"a publisher's transport was not up within {CONNECT_SECONDS:.0f} s")
        await asyncio.sleep(_POLL_SECONDS)  # other threads and the server work on it


async def view(
    node: Node, load: Load, stream_id: str, *, token: str, check: bool = False, audio: bool = False
) -> int:
    """Play a stream by WHEP; the viewer's number. Its transport comes up by itself."""
    viewer, offer = load.open_viewer(check=check, audio=audio)
    try:
        answer, _ = await begin_session(node.http, node.endpoint("whep", stream_id), token, offer)
    except BaseException:
        load.close_session(viewer)
        raise
    load.answer(viewer, answer)
    return viewer


async def until_connected(load: Load, viewers: int) -> None:
    """Wait until so many viewers are connected; BenchFailed when they are not in time."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while (connected := load.report()["connected"]) < viewers:
        if time.monotonic() > deadline:
            raise BenchFailed(
                f"{connected} of {viewers} viewers were connected within {CONNECT_SECONDS:.0f} s"
            )
        await asyncio.sleep(_POLL_SECONDS)  # other threads and the server work on it


class RoomMember:
    """A member of the room over the signalling protocol, whose viewer transport is the load generator's."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._client = SignalingClient()
        self._replies: dict[int, asyncio.Future[object]] = {}
        self._reading = asyncio.create_task(self._read(), name="bench-member")

    @classmethod
    async def join(
        cls,
        node: Node,
        load: Load,
        user_id: str,
        streams: Sequence[str],
        *,
        token: str,
        slots: int = 1,
        check: bool = False,
    ) -> tuple[RoomMember, int]:
        """Log in with an offer of ``slots`` places and play ``streams``; the member and its viewer's number."""
        viewer, offer = load.open_viewer(slots=slots, check=check, audio=True)
        member = cls(await connect(node.ws_url, max_size=None, compression=None, proxy=None))
        try:
            now = time.monotonic()
            login = member._client.login(
                app_id=node.app_id,
                room_id=ROOM_ID,
                user=messages.User(user_id, user_id),
                now=now,
                token=token,
                viewer_offer=offer,
            )
            plays = [
                member._client.play(stream, now=now, resource_mode=ONLY_L3, audio=False) for stream in streams
            ]
            waiting = [member._expect(seq) for seq in (login, *plays)]
            await member._flush()
            async with asyncio.timeout(REPLY_SECONDS):
                reply = await waiting[0]
                assert isinstance(reply, messages.LoginOk)
                load.answer(viewer, reply.viewer_answer)
                for each in waiting[1:]:
                    await each
        except TimeoutError:
            await member.leave()
            load.close_session(viewer)
            raise BenchFailed(
                f"the login of {user_id} was not answered within {REPLY_SECONDS:.0f} s"
            ) from None
        except BaseException:
            await member.leave()
            load.close_session(viewer)
            raise
        return member, viewer

    async def leave(self) -> None:
        """Close the connection, which ends the session."""
        await self._socket.close()
        await asyncio.gather(self._reading, return_exceptions=True)

    def _expect(self, seq: int) -> asyncio.Future[object]:
        self._replies[seq] = asyncio.get_running_loop().create_future()
        return self._replies[seq]

    async def _flush(self) -> None:
        for message in self._client.take_outgoing():
            await self._socket.send(message, text=True)
        for event in self._client.take_events():
            if isinstance(event, Replied | Failed):
                self._settle(event)
            elif isinstance(event, Ended) and event.error is not None:
                for reply in self._replies.values():
                    if not reply.done():
                        reply.set_exception(BenchFailed(str(event.error)))

    def _settle(self, event: Replied | Failed) -> None:
        reply = self._replies.pop(event.seq, None)
        if reply is None or reply.done():
            return
        if isinstance(event, Failed):
            reply.set_exception(BenchFailed(str(event.error), event.error.hint))
        else:
            reply.set_result(event.reply)

    async def _read(self) -> None:
        while True:
            wake = self._client.wake_at()
            left = None if wake is None else max(0.0, wake - time.monotonic())
            try:
                async with asyncio.timeout(left):
                    text = await self._socket.recv()
            except TimeoutError:
                self._client.handle_timeout(now=time.monotonic())
            except Exception as error:  # noqa: BLE001 - however the connection ended, the client says what it means
                self._client.disconnected(str(error))
                await self._flush_events()
                return
            else:
                self._client.receive(text, now=time.monotonic())
            await self._flush()

    async def _flush_events(self) -> None:
        self._client.take_outgoing()
        await self._flush()
