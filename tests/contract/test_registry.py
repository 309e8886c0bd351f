"""What every registry must do. Each implementation is one more entry of ``IMPLEMENTATIONS``."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sanderling.bridge import SessionHandle
from sanderling.server.registry import InProcessRegistry, SessionEntry, StreamEntry

IMPLEMENTATIONS = [InProcessRegistry]


@pytest.fixture(params=IMPLEMENTATIONS)
async def registry(request):
    made = request.param()
    yield made
    await made.aclose()


def session(session_id: str, user_id: str = "alice", app_id: int = 1) -> SessionEntry:
    return SessionEntry(app_id, user_id, session_id, "room", "192.0.2.1:5", "node")


def stream(session_id: str, stream_id: str = "cam", app_id: int = 1) -> StreamEntry:
    return StreamEntry(app_id, stream_id, session_id, "room", "node")


async def test_a_user_has_one_session_and_the_former_is_returned(registry):
    assert await registry.claim_user(session("s1")) is None
    assert await registry.claim_user(session("s2")) == session("s1")
    assert await registry.claim_user(session("s3", app_id=2)) is None


async def test_a_stream_id_is_taken_once_per_app_id(registry):
    for entry in (session("s1"), session("s2", "bob"), session("s3", app_id=2)):
        await registry.claim_user(entry)
    assert await registry.claim_stream(stream("s1")) is None
    assert await registry.claim_stream(stream("s2")) == stream("s1")
    assert await registry.claim_stream(stream("s3", app_id=2)) is None
    assert await registry.stream(1, "cam") == stream("s1")
    assert await registry.stream(1, "other") is None


async def test_of_many_claims_at_once_one_wins(registry):
    for number in range(20):
        await registry.claim_user(session(f"s{number}", f"user{number}"))
    results = await asyncio.gather(*(registry.claim_stream(stream(f"s{number}")) for number in range(20)))
    assert sum(result is None for result in results) == 1


async def test_a_second_login_voids_the_claims_of_the_first(registry):
    await registry.claim_user(session("s1"))
    await registry.claim_stream(stream("s1"))
    await registry.claim_user(session("s2"))
    assert await registry.stream(1, "cam") is None
    # A request of the first session that is still under way takes nothing any more.
    assert await registry.claim_stream(stream("s1")) is not None
    assert await registry.claim_stream(stream("s2")) is None


async def test_only_the_holder_changes_or_frees_an_entry(registry):
    await registry.claim_user(session("s1"))
    await registry.claim_user(session("s2", "bob"))
    await registry.claim_stream(stream("s1"))
    playable = replace(stream("s1"), publisher=SessionHandle(7, 0))
    assert await registry.set_stream(playable)
    assert not await registry.set_stream(stream("s2"))
    await registry.release_stream(1, "cam", "s2")
    assert await registry.stream(1, "cam") == playable
    await registry.release_stream(1, "cam", "s1")
    await registry.release_stream(1, "cam", "s1")
    assert await registry.stream(1, "cam") is None
    assert not await registry.set_stream(playable)


async def test_a_released_session_leaves_nothing(registry):
    await registry.claim_user(session("s1"))
    await registry.claim_stream(stream("s1", "a"))
    await registry.claim_stream(stream("s1", "b"))
    await registry.release_session(1, "alice", "s1")
    await registry.release_session(1, "alice", "s1")
    assert await registry.stream(1, "a") is None
    assert await registry.claim_user(session("s2")) is None


async def test_releasing_a_replaced_session_keeps_the_new_one(registry):
    await registry.claim_user(session("s1"))
    await registry.claim_user(session("s2"))
    await registry.claim_stream(stream("s2"))
    await registry.release_session(1, "alice", "s1")
    assert await registry.claim_user(session("s3")) == session("s2")
