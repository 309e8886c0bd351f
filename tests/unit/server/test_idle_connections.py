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
from sanderling.server.source_limits import SourceLimiter
from sanderling.server.ws.gate import Gate
from sanderling.server.ws.session import SessionLimits, SessionObserver, SignallingSession


class Desk:
    """Rooms that note what they are asked."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.texts: list[str] = []

    def connect(self, outbox: Any, origin: str) -> Connection:
        self.connection = Connection(outbox, origin)
        return self.connection

    async def disconnect(self, *_: Any, **__: Any) -> None:
        pass

    def heard(self, _: Connection) -> None:
        pass

    async def handle(self, _: Connection, message: Any) -> None:
        self.texts.append(message.offer)


class Wire:
    """The server's end of a WebSocket."""

    def __init__(self) -> None:
        self.coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[str] = []

    async def receive(self) -> dict[str, Any]:
        return await self.coming.get()

    async def send(self, event: Any) -> None:
        if event["type"] == "websocket.send":
            self.sent.append(event["text"])


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
