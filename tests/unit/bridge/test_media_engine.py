from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
import structlog

from sanderling.bridge import MediaEngine, MediaFailed
from sanderling.bridge.events import Connected, SessionClosed, TrackInfo, WorkerFailed, parse_event
from sanderling.errors import ForkedProcessError, MediaUnavailable
from sanderling.testing.fake_engine import Engine, FakeModule, make_offer


class Bench:
    def __init__(self, **arguments: Any) -> None:
        self.module = FakeModule()
        self.engine = MediaEngine(native=self.module, **arguments)
        self.native: Engine = self.module.made[0]
        self.events: list[Any] = []
        self.engine.listen(self.events.append)

    async def publish(self):
        handle = self.engine.reserve()
        return await self.engine.open_publisher(handle, make_offer())

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def bench():
    bench = Bench(workers=2)
    yield bench
    await bench.engine.aclose()


async def test_a_ticket_becomes_the_result_of_its_own_call(bench):
    answers = await asyncio.gather(*(bench.publish() for _ in range(20)))
    assert all(a.sdp.startswith(f"v=0\r\ns=answer {a.handle.session}\r\n") for a in answers)
    assert answers[0].tracks == (TrackInfo("audio", "opus", "0"), TrackInfo("video", "VP8", "1"))
    assert bench.engine.pending_commands == 0


async def test_sessions_go_to_the_worker_with_the_fewest(bench):
    answers = [await bench.publish() for _ in range(4)]
    assert [a.handle.worker for a in answers] == [0, 1, 0, 1]
    bench.engine.close_session(answers[1].handle)
    bench.engine.close_session(answers[3].handle)
    assert [(await bench.publish()).handle.worker for _ in range(2)] == [1, 1]


async def test_a_failure_carries_reason_and_detail_and_frees_the_number(bench):
    with pytest.raises(MediaFailed) as caught:
        await bench.engine.open_viewer(bench.engine.reserve(), "junk")
    assert caught.value.reason == "bad_offer"
    assert "v=0" in caught.value.detail
    assert bench.engine.open_sessions == 0


async def test_a_full_queue_is_said_as_busy(bench):
    bench.native.busy = 1
    with pytest.raises(MediaFailed) as caught:
        await bench.publish()
    assert caught.value.reason == "busy"
    assert (bench.engine.open_sessions, bench.engine.pending_commands) == (0, 0)


async def test_a_cancelled_open_is_closed_in_the_engine(bench):
    bench.native.hold()
    task = asyncio.create_task(bench.publish())
    await bench.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    bench.native.release()
    await bench.settle()
    assert bench.native.sessions == {}
    assert (bench.engine.open_sessions, bench.engine.pending_commands) == (0, 0)


async def test_events_without_a_ticket_go_to_the_listener_in_order(bench):
    answer = await bench.publish()
    session = answer.handle.session
    bench.native.connect(session)
    bench.native.lose(session, "peer_closed")
    await bench.settle()
    assert bench.events == [Connected(session), SessionClosed(session, "peer_closed")]
    assert bench.engine.open_sessions == 0


async def test_a_failed_worker_fails_its_commands_and_ends_its_sessions(bench):
    lost, kept = await bench.publish(), await bench.publish()
    bench.native.hold("answered")
    waiting = asyncio.create_task(bench.publish())
    await bench.settle()
    with structlog.testing.capture_logs():
        bench.native.fail_worker(lost.handle.worker)
        with pytest.raises(MediaFailed) as caught:
            await waiting
    assert caught.value.reason == "worker_failed"
    closed = {event.session for event in bench.events if isinstance(event, SessionClosed)}
    assert lost.handle.session in closed
    assert kept.handle.session not in closed
    assert isinstance(bench.events[-1], WorkerFailed)
    assert bench.engine.open_sessions == 1


async def test_closing_fails_what_waits_and_is_idempotent():
    bench = Bench()
    bench.native.hold()
    waiting = asyncio.create_task(bench.publish())
    await bench.settle()
    await bench.engine.aclose()
    await bench.engine.aclose()
    with pytest.raises(MediaFailed) as caught:
        await waiting
    assert caught.value.reason == "closed"
    with pytest.raises(MediaFailed):
        await bench.publish()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(bench.native.wake_fd())


async def test_snapshot_and_counters_speak_of_every_worker(bench):
    await bench.publish()
    snapshots = await bench.engine.snapshot()
    assert [s["worker"] for s in snapshots] == [0, 1]
    assert bench.engine.counters()["sessions"] == 1
    assert bench.engine.counters()["pump_events"] == 3


async def test_another_interface_number_is_refused():
    module = FakeModule()
    module.API = 2
    with pytest.raises(MediaUnavailable) as caught:
        MediaEngine(native=module)
    assert "make build" in caught.value.hint
    assert module.made == []


async def test_another_process_is_refused(bench, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(ForkedProcessError):
        await bench.publish()
    monkeypatch.undo()
    bench.engine.close_session(next(iter([bench.engine.reserve()])))


async def test_another_loop_is_refused(bench):
    def elsewhere() -> None:
        asyncio.run(bench.engine.snapshot())

    with pytest.raises(RuntimeError, match="another event loop"):
        await asyncio.to_thread(elsewhere)


@pytest.mark.parametrize("raw", [(), ("dance", 1), ("connected",), ("answered", 1, 2, "sdp", [("audio",)])])
def test_an_unknown_event_is_a_value_error(raw):
    with pytest.raises(ValueError, match="unknown event"):
        parse_event(raw)
