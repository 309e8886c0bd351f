from __future__ import annotations

import asyncio

import pytest

from sanderling.enums import ResourceMode
from sanderling.server.rooms.room import batches
from sanderling.server.token_bucket import TokenBucket
from sanderling.server.ws.handover import Handover
from sanderling.server.ws.outbox import QueueOutbox
from sanderling.signaling.messages import User


def test_a_bucket_allows_its_burst_then_its_rate():
    bucket = TokenBucket(rate=2, burst=3)
    assert [bucket.take(100.0) for _ in range(3)] == [0, 0, 0]
    assert bucket.take(100.0) == 0.5
    assert bucket.take(100.25) == 0.25
    assert bucket.take(100.5) == 0
    assert bucket.take(100.5) == 0.5
    # It never holds more than its burst.
    assert [bucket.take(1e9) for _ in range(4)] == [0, 0, 0, 0.5]


async def test_an_outbox_keeps_order_and_ends_after_what_is_queued():
    outbox = QueueOutbox(limit_messages=10, limit_bytes=100)
    outbox.send(b"1")
    outbox.send(b"2")
    outbox.close("logged out")
    outbox.close("another")
    outbox.send(b"too late")
    assert [await outbox.next() for _ in range(3)] == [b"1", b"2", None]
    assert outbox.reason == "logged out"


async def test_an_outbox_wakes_who_waits():
    outbox = QueueOutbox(limit_messages=10, limit_bytes=100)
    waiting = asyncio.create_task(outbox.next())
    await asyncio.sleep(0)
    outbox.send(b"1")
    assert await waiting == b"1"


async def test_an_outbox_overflows_by_count_and_by_bytes():
    for sizes in ([1] * 4, [60, 60]):
        outbox = QueueOutbox(limit_messages=3, limit_bytes=100)
        for size in sizes[:-1]:
            outbox.send(b"x" * size)
        assert not outbox.overflowed
        outbox.send(b"x" * sizes[-1])
        assert outbox.overflowed
    # What has gone out makes room.
    outbox = QueueOutbox(limit_messages=1, limit_bytes=100)
    for _ in range(5):
        outbox.send(b"x")
        await outbox.next()
    assert not outbox.overflowed


def test_batches_keep_every_item_and_their_size():
    users = [User(f"user{number}", "n" * 200) for number in range(1000)]
    parts = list(batches(users))
    assert [user for part in parts for user in part] == users
    assert 1 < len(parts) < 10
    assert list(batches([])) == [()]


def test_a_path_is_a_wire_value():
    assert (int(ResourceMode.ONLY_L3), int(ResourceMode.ONLY_RTC)) == (2, 3)


async def test_a_message_is_written_at_once_only_when_none_is_before_it():
    outbox = QueueOutbox(limit_messages=10, limit_bytes=1000)
    written: list[bytes] = []
    able = True

    def write_now(data: bytes) -> bool:
        if able:
            written.append(data)
        return able

    outbox.write_now = write_now
    outbox.send(b"1")
    assert (written, outbox.waiting) == ([b"1"], 0)
    able = False
    outbox.send(b"2")
    outbox.send(b"3")
    able = True
    outbox.send(b"4")
    assert (written, outbox.waiting) == ([b"1"], 3)
    taken = []
    for number in range(3):
        taken.append(await outbox.next())
        # What was taken may still be on its way: nothing overtakes it.
        if number == 2:
            outbox.send(b"5")
    assert (written, taken) == ([b"1"], [b"2", b"3", b"4"])
    assert await outbox.next() == b"5"
    waiting = asyncio.create_task(outbox.next())
    await asyncio.sleep(0)
    outbox.send(b"6")
    assert written == [b"1", b"6"]
    outbox.close("done")
    assert await waiting is None
    outbox.send(b"7")
    assert written == [b"1", b"6"]


async def test_a_handover_keeps_order_and_its_limit():
    handover: Handover[int] = Handover(2)
    await handover.put(1)
    await handover.put(2)
    third = asyncio.create_task(handover.put(3))
    await asyncio.sleep(0)
    assert not third.done()
    assert await handover.get() == 1
    await third
    assert [handover.get_nowait(), handover.get_nowait()] == [2, 3]
    assert handover.empty()
    with pytest.raises(asyncio.QueueEmpty):
        handover.get_nowait()


async def test_a_handover_wakes_who_waits_and_loses_nothing_to_one_that_gave_up():
    handover: Handover[int] = Handover()
    waiting = asyncio.create_task(handover.get())
    await asyncio.sleep(0)
    waiting.cancel()
    handover.put_nowait(1)
    assert await asyncio.gather(waiting, return_exceptions=True)
    assert await handover.get() == 1
    waiting = asyncio.create_task(handover.get())
    await asyncio.sleep(0)
    handover.put_nowait(2)
    assert await waiting == 2
