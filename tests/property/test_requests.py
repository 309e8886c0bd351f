"""Whatever a logged-in client asks, in whatever state: one reply, or an error with a documented code and a sentence."""

from __future__ import annotations

import asyncio
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from property.test_signaling import NUMBERS, TEXTS, values
from sanderling.errors import ErrorCode
from sanderling.signaling import messages
from sanderling.signaling.messages import Error
from sanderling.testing.fake_engine import make_offer
from unit.server.conftest import World

# What a client could well say, and what it had better not.
STREAMS = st.sampled_from(["cam", "other", "new", "", "a b", "x" * 256]) | TEXTS
SMALL = st.integers(-2, 20) | NUMBERS
OFFERS = st.sampled_from([make_offer(), make_offer("recvonly", audio=2, video=2), "v=0", ""]) | TEXTS
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "seq": st.integers(10, 2**53 - 1) | NUMBERS,
    "stream_id": STREAMS,
    "offer": OFFERS,
    "viewer_offer": OFFERS,
    "room_id": st.sampled_from(["room", "other", "", "a b", "x" * 128]) | TEXTS,
    "text": st.sampled_from(["hello", "", "é" * 600]) | TEXTS,
    "content": st.sampled_from([b"x", b"", b"x" * 5000]),
    "to": st.lists(st.sampled_from(["host", "nobody", "", "u" * 64]) | TEXTS, max_size=120).map(tuple),
    **dict.fromkeys(
        ("channel", "resource_mode", "resource", "camera", "microphone", "mode", "up", "down"), SMALL
    ),
}
INTERNAL = {
    ErrorCode.INTERNAL_ERROR,
    ErrorCode.ROOM_INTERNAL_ERROR,
    ErrorCode.PUBLISHER_INTERNAL_ERROR,
    ErrorCode.PLAYER_INTERNAL_ERROR,
}
KINDS = get_args(messages.ClientMessage)


def requests(kind: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    names = [field.name for field in msgspec.structs.fields(kind)]
    fields = {name: FIELDS[name] if name in FIELDS else values(hints[name]) for name in names}
    return st.builds(kind, **fields)


async def outcome(message: Any) -> None:
    world = World()
    try:
        project = await world.project(l3=True)
        host, guest = world.client("host"), world.client("guest")
        await host.login(project)
        await host.publish_live("cam")
        await guest.login(project)
        await guest.publish_live("other", channel=1)
        await guest.request(guest.play_message("cam"))
        guest.take(), host.take()
        await guest.send(message)
        await world.settle()
        replies = [m for m in guest.take() if getattr(m, "seq", 0) == message.seq and hasattr(m, "seq")]
        valid = 0 < message.seq < 2**53
        errors = [reply for reply in replies if isinstance(reply, Error)]
        assert len(replies) == (1 if valid else len(replies))
        for error in errors:
            code = ErrorCode(error.code)
            assert code not in INTERNAL, error
            assert code is not ErrorCode.SUCCESS
            assert error.message
        for client in (host, guest):
            await client.drop()
        await world.assert_empty()
    finally:
        await world.rooms.settle()
        await world.engine.aclose()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__struct_config__.tag)
def test_every_request_ends_in_one_reply_or_a_documented_code(kind: type[Any]) -> None:
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(requests(kind))
    def check(message: Any) -> None:
        asyncio.run(outcome(message))

    check()
