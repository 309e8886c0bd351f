"""An offer made before the login is answered is set with the answer, so that the TURN servers named there are used."""

from __future__ import annotations

import asyncio

import pytest
import webrtc

from sanderling import PublisherConfig, SanderlingError
from sanderling.sdk.webrtc.publisher import PublisherTransport
from sanderling.sdk.webrtc.transport import Transport
from sanderling.sdk.webrtc.viewer import ViewerTransport
from sanderling.signaling.messages import IceServer

SECONDS = 15.0
# Reserved for documentation (RFC 5737): nothing answers there, and nothing needs to.
SERVERS = (IceServer(("turn:192.0.2.1:3478?transport=udp",), "1700086400:alice", "c2VjcmV0"),)


async def answer(peer: webrtc.RTCPeerConnection, offer: str) -> str:
    await peer.set_remote_description(webrtc.RTCSessionDescriptionInit("offer", offer))
    await peer.set_local_description(await peer.create_answer())
    async with asyncio.timeout(SECONDS):
        while peer.ice_gathering_state.value != "complete":
            await asyncio.sleep(0.005)
    return peer.local_description.sdp


def used(transport: Transport) -> list[tuple[list[str], str | None]]:
    servers = transport.connection.get_configuration().ice_servers
    return [
        ([server.urls] if isinstance(server.urls, str) else list(server.urls), server.username)
        for server in servers
    ]


class Connected:
    """Waits for the state "connected"."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def __call__(self, state: str, error: SanderlingError | None) -> None:
        assert error is None, error
        if state == "connected":
            self.event.set()


@pytest.mark.parametrize("servers", [(), SERVERS], ids=["without", "with TURN"])
@pytest.mark.parametrize("kind", ["viewer", "publisher"])
async def test_a_held_offer_connects(kind: str, servers: tuple[IceServer, ...]) -> None:
    connected = Connected()
    transport: ViewerTransport | PublisherTransport
    if kind == "viewer":
        transport = ViewerTransport((), connected)
        offer = await transport.offer()
    else:
        transport = PublisherTransport(PublisherConfig(), video=True, audio=True, on_state=connected)
        offer = await transport.offer(hold=True)
    peer = webrtc.RTCPeerConnection()
    try:
        assert transport.connection.local_description is None
        await transport.accept(await answer(peer, offer), servers)
        assert used(transport) == [([*server.urls], server.username) for server in servers]
        async with asyncio.timeout(SECONDS):
            await connected.event.wait()
    finally:
        transport.close()
        peer.close()


async def test_a_publisher_that_knows_the_servers_need_not_wait() -> None:
    transport = PublisherTransport(
        PublisherConfig(), video=True, audio=False, on_state=Connected(), ice_servers=SERVERS
    )
    try:
        await transport.offer()
        assert transport.connection.local_description is not None
        assert used(transport) == [([*SERVERS[0].urls], SERVERS[0].username)]
    finally:
        transport.close()


async def test_servers_that_make_no_sense_are_an_error_of_the_answer() -> None:
    transport = ViewerTransport((), Connected())
    peer = webrtc.RTCPeerConnection()
    try:
        sdp = await answer(peer, await transport.offer())
        with pytest.raises(SanderlingError, match="cannot be used"):
            await transport.accept(sdp, (IceServer(("no-turn-at-all",)),))
    finally:
        transport.close()
        peer.close()
