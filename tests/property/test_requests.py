"""Whatever a client asks, in whatever state: one reply, which may be an error with a documented code and a sentence.

A logged-in client sends requests with all their fields drawn. What opens a session would end at its first bad field
then, so it is sent by a client that has none, right but for one field.
"""

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
from sanderling.signaling.messages import Error, Login, LoginOk, Resume, ResumeOk, SessionKey
from sanderling.testing.fake_engine import make_offer
from unit.server.conftest import Client, World

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
    "token": st.sampled_from(["", "04", "04AAAA"]) | TEXTS,
    "user_id": st.sampled_from(["host", "", "a b", "x" * 65]) | TEXTS,
    "user_name": st.sampled_from(["", "é" * 129]) | TEXTS,
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
ENTRANCES = {Login: LoginOk, Resume: ResumeOk}
KINDS = [kind for kind in get_args(messages.ClientMessage) if kind not in ENTRANCES]
FAREWELLS_S = 3600.0
"""Longer than anything of a session is kept."""

Change = tuple[tuple[str, ...], Any]
"""A field's path in a message, and its value."""


def field_values(kind: type[Any]) -> dict[str, st.SearchStrategy[Any]]:
    hints = get_type_hints(kind)
    names = [field.name for field in msgspec.structs.fields(kind)]
    return {name: FIELDS[name] if name in FIELDS else values(hints[name]) for name in names}


def changes(kind: type[Any]) -> st.SearchStrategy[Change]:
    """One field of a message, or of a value in it."""
    hints = get_type_hints(kind)
    choices: list[st.SearchStrategy[Change]] = []
    for name, drawn in field_values(kind).items():
        inner = hints[name]
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            choices.append(changes(inner).map(lambda change, name=name: ((name, *change[0]), change[1])))
        else:
            choices.append(drawn.map(lambda value, name=name: ((name,), value)))
    return st.one_of(choices)


def changed(message: Any, path: tuple[str, ...], value: Any) -> Any:
    name, *rest = path
    if rest:
        value = changed(getattr(message, name), tuple(rest), value)
    return msgspec.structs.replace(message, **{name: value})


def the_reply(client: Client, seq: int) -> Any:
    """The only one there is, of the seq; of a seq that is none, an error that says so."""
    told = client.take()
    if 0 < seq < 2**53:
        (reply,) = (m for m in told if getattr(m, "seq", None) == seq)
        assert [m for m in told if isinstance(m, Error) and m is not reply] == []
    else:
        (reply,) = (m for m in told if isinstance(m, Error))
        assert (reply.seq, reply.code) == (0, ErrorCode.ILLEGAL_PARAMETER)
        assert [m for m in told if getattr(m, "seq", 0)] == []
    if isinstance(reply, Error):
        code = ErrorCode(reply.code)
        assert code not in INTERNAL, reply
        assert code is not ErrorCode.SUCCESS
        assert reply.message
    return reply


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
        the_reply(guest, message.seq)
        for client in (host, guest):
            await client.drop()
        await world.assert_empty()
    finally:
        await world.rooms.settle()
        await world.engine.aclose()


async def entrance(kind: type[Any], change: Change | None) -> Any:
    """What a client without a session is told; its message is right but for ``change``."""
    world = World()
    try:
        project = await world.project(l3=True, settings={"max_rooms": 5})
        guest = world.client("guest")
        session = await guest.login(project, "other", resumable=True)
        newcomer = world.client("guest")
        message: Any = Resume(10, session.session_id, session.secret, 0)
        if kind is Login:
            beside = SessionKey(session.session_id, session.secret)
            message = newcomer.login_message(project, seq=10, beside=beside, resumable=True)
        if change is not None:
            message = changed(message, *change)
        await newcomer.send(message)
        await world.settle()
        reply = the_reply(newcomer, message.seq)
        for client in (guest, newcomer):
            await client.drop()
        await world.pass_time(FAREWELLS_S)
        await world.assert_empty()
        return reply
    finally:
        await world.rooms.settle()
        await world.engine.aclose()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__struct_config__.tag)
def test_every_request_ends_in_one_reply_or_a_documented_code(kind: type[Any]) -> None:
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.builds(kind, **field_values(kind)))
    def check(message: Any) -> None:
        asyncio.run(outcome(message))

    check()


@pytest.mark.parametrize("kind", ENTRANCES, ids=lambda kind: kind.__struct_config__.tag)
def test_what_opens_a_session_ends_in_one_reply_whichever_field_is_odd(kind: type[Any]) -> None:
    assert isinstance(asyncio.run(entrance(kind, None)), ENTRANCES[kind])

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(changes(kind))
    def check(change: Change) -> None:
        reply = asyncio.run(entrance(kind, change))
        # Else the connection had a session already, and the field was not looked at.
        assert isinstance(reply, ENTRANCES[kind]) or reply.code != ErrorCode.ROOM_COUNT_EXCEEDED

    check()
