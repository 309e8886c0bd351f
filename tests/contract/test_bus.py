"""What every bus must do."""

from __future__ import annotations

import pytest
import structlog

from sanderling.server.bus import InProcessBus
from sanderling.server.bus.base import room_subject, session_subject, stream_subject

IMPLEMENTATIONS = [InProcessBus]


@pytest.fixture(params=IMPLEMENTATIONS)
async def bus(request):
    made = request.param()
    yield made
    await made.aclose()


async def test_payloads_reach_the_subscribers_of_their_subject_in_order(bus):
    seen: list[tuple[str, bytes]] = []
    bus.subscribe("a", lambda payload: seen.append(("first", payload)))
    bus.subscribe("a", lambda payload: seen.append(("second", payload)))
    bus.subscribe("b", lambda payload: seen.append(("other", payload)))
    bus.publish("a", b"1")
    bus.publish("a", b"2")
    assert seen == [("first", b"1"), ("second", b"1"), ("first", b"2"), ("second", b"2")]


async def test_a_cancelled_subscription_is_silent(bus):
    seen: list[bytes] = []
    subscription = bus.subscribe("a", seen.append)
    subscription.cancel()
    subscription.cancel()
    bus.publish("a", b"1")
    assert seen == []


async def test_what_a_handler_publishes_comes_after_what_is_being_delivered(bus):
    seen: list[bytes] = []

    def first(payload: bytes) -> None:
        if payload == b"1":
            bus.publish("a", b"2")

    bus.subscribe("a", first)
    bus.subscribe("a", seen.append)
    bus.publish("a", b"1")
    assert seen == [b"1", b"2"]


async def test_a_failing_handler_is_logged_and_harms_nobody(bus):
    seen: list[bytes] = []

    def broken(payload: bytes) -> None:
        raise RuntimeError("no")

    bus.subscribe("a", broken)
    bus.subscribe("a", seen.append)
    with structlog.testing.capture_logs() as logs:
        bus.publish("a", b"1")
    assert seen == [b"1"]
    assert [entry["event"] for entry in logs] == ["handler_failed"]


async def test_a_handler_that_cancels_another_stops_it_at_once(bus):
    seen: list[bytes] = []
    bus.subscribe("a", lambda _: second.cancel())
    second = bus.subscribe("a", seen.append)
    bus.publish("a", b"1")
    assert seen == []


async def test_a_closed_bus_delivers_nothing(bus):
    seen: list[bytes] = []
    bus.subscribe("a", seen.append)
    await bus.aclose()
    await bus.aclose()
    bus.publish("a", b"1")
    assert seen == []


@pytest.mark.parametrize("name", ["a.b", "*", ">", "r oom", "ü"])
def test_no_name_can_reach_another_subject(name):
    subjects = {room_subject(1, name), stream_subject(1, name), session_subject("abc")}
    assert len(subjects) == 3
    assert all(subject.count(".") <= 2 and not set(subject) & set("*> ") for subject in subjects)
