"""What a signalling connection lets go of once it is idle."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from starlette.websockets import WebSocket

from sanderling.server.rooms import Connection
from sanderling.server.rooms.agenda import Agenda, Appointment
from sanderling.server.source_limits import SourceLimiter
from sanderling.server.ws.gate import Gate
from sanderling.server.ws.session import SessionLimits, SessionObserver, SignallingSession


class Desk:
    """Rooms that note what they are asked."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.texts: list[str] = []
        self.now = 0.0
        self.carried_out = asyncio.Event()
        self.carried_out.set()
        self.agenda = Agenda()

    def later(self, seconds: float, call: Callable[[], None]) -> Appointment:
        return self.agenda.at(self.now + seconds, call)

    def refuse(self, connection: Connection, error: Exception, **_: Any) -> None:
        connection.outbox.send(str(error).encode())

    def connect(self, outbox: Any, origin: str) -> Connection:
        self.connection = Connection(outbox, origin)
        return self.connection

    async def disconnect(self, *_: Any, **__: Any) -> None:
        pass

    def heard(self, _: Connection) -> None:
        pass

    async def handle(self, _: Connection, message: Any) -> None:
        await self.carried_out.wait()
        self.texts.append(message.offer)


class Wire:
    """The server's end of a WebSocket."""

    def __init__(self) -> None:
        self.coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[str] = []
        self.code = 0

    async def receive(self) -> dict[str, Any]:
        return await self.coming.get()

    async def send(self, event: Any) -> None:
        if event["type"] == "websocket.send":
            self.sent.append(event["text"])
        elif event["type"] == "websocket.close":
            self.code = event["code"]


async def until(true: Callable[[], object]) -> None:
    for _ in range(50):
        if true():
            break
        await asyncio.sleep(0)
    else:
        pytest.fail("it never came")
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def idle():
    wire, desk = Wire(), Desk()
    scope = {"type": "websocket", "client": ("192.0.2.1", 1), "headers": [], "path": "/", "extensions": {}}
    socket = WebSocket(scope, wire.receive, wire.send)
    wire.coming.put_nowait({"type": "websocket.connect"})
    await socket.accept()
    session = SignallingSession(
        socket,
        desk,
        SessionLimits(),
        SessionObserver(),
        SourceLimiter(1.0),  # type: ignore[arg-type]
        monotonic=lambda: desk.now,
    )
    running = asyncio.create_task(session.run())
    await until(lambda: desk.connection)
    yield wire, desk
    wire.coming.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await running


def references(of: list[Any]) -> int:
    """To the list's only item, but for the list's and this count's own."""
    return sys.getrefcount(of[0]) - 2


async def test_a_long_message_is_let_go_of_once_it_is_written(idle):
    wire, desk = idle
    answer = [b"a" * 40_000]
    desk.connection.outbox.send(answer[0])
    await until(lambda: wire.sent)
    assert wire.sent == ["a" * 40_000]
    assert references(answer) == 0
    assert references(wire.sent) == 0


async def test_a_long_request_is_let_go_of_once_it_is_carried_out(idle):
    wire, desk = idle
    request = [json.dumps({"type": "viewer_offer", "seq": 1, "offer": "o" * 40_000})]
    wire.coming.put_nowait({"type": "websocket.receive", "text": request[0]})
    await until(lambda: desk.texts)
    assert desk.texts == ["o" * 40_000]
    assert references(request) == 0
    assert references(desk.texts) == 0


def offer(text: str) -> dict[str, Any]:
    return {
        "type": "websocket.receive",
        "text": json.dumps({"type": "viewer_offer", "seq": 1, "offer": text}),
    }


def tasks_of_sessions() -> list[str]:
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return [name for name in names if name.startswith(SignallingSession.__name__)]


async def test_an_idle_connection_is_one_task_and_no_timer(idle):
    wire, desk = idle
    wire.coming.put_nowait(offer("o"))
    desk.connection.outbox.send(b"a" * 40_000)
    await until(lambda: desk.texts and wire.sent)
    assert tasks_of_sessions() == ["SignallingSession.run"]
    # What the event loop would have to wake up for.
    assert asyncio.get_running_loop()._scheduled == []
    wire.coming.put_nowait(offer("p"))
    desk.connection.outbox.send(b"b")
    await until(lambda: len(desk.texts) == 2 and len(wire.sent) == 2)
    assert (desk.texts, wire.sent[1]) == (["o", "p"], "b")


async def test_who_does_not_log_in_is_told_and_cut_off_in_time(idle):
    wire, desk = idle
    desk.now = SessionLimits().login_timeout_s - 0.1
    desk.agenda.run(desk.now)
    await until(tasks_of_sessions)
    assert wire.sent == []
    desk.now += 0.2
    desk.agenda.run(desk.now)
    await until(lambda: wire.code)
    assert "no login within 10 s" in wire.sent[0]
    assert wire.code == 1008
    assert tasks_of_sessions() == []
    assert len(desk.agenda) == 0


async def test_requests_that_nobody_carries_out_do_not_hold_a_connection_that_ends(idle):
    wire, desk = idle
    desk.carried_out.clear()
    waiting = SessionLimits().requests_waiting
    for _ in range(waiting + 2):
        wire.coming.put_nowait(offer("o"))
    await until(lambda: wire.coming.empty())
    desk.connection.closed = True
    desk.carried_out.set()
    await until(lambda: not tasks_of_sessions())
    assert desk.texts == ["o"]


async def test_one_message_that_is_too_much_ends_the_connection(idle):
    _, desk = idle
    desk.connection.outbox.send(b"a" * (SessionLimits().outgoing_bytes + 1))
    await until(lambda: not tasks_of_sessions())


async def test_a_shut_gate_holds_all_until_it_opens():
    gate = Gate()
    await gate.wait()
    gate.clear()
    gave_up, *waiting = [asyncio.create_task(gate.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    gave_up.cancel()
    await asyncio.sleep(0)
    assert not gate.is_set() and not any(each.done() for each in waiting)
    gate.set()
    gate.clear()
    await asyncio.gather(*waiting)
    assert gave_up.cancelled()
    gate.set()
    assert gate.is_set()
    await gate.wait()
