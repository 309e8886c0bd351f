"""User B: publishes the film clip with its sound, a clock burned into every picture.

Run as a process of its own: ``python -m sanderling.demo.host`` (see participant.py for how it is told what to do).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque

import numpy as np
from numpy.typing import NDArray

from sanderling import Engine, File, RoomConfig, User
from sanderling.demo import clock, participant, reports
from sanderling.demo.clip import clip_path
from sanderling.demo.notices import Notices
from sanderling.demo.participant import Invitation, Reporter
from sanderling.demo.waiting import first_of, unless

__all__ = ["Burner", "host"]

REPORT_SECONDS = 0.25
"""How often sent frames are reported: often enough for the panel, seldom enough to cost nothing."""


class Burner:
    """Burns the clock into each picture right before it is encoded, and remembers what it wrote.

    Called on the source's thread; ``take`` on the loop. A deque's ends are safe to use from two threads.
    """

    def __init__(self) -> None:
        self._next = 0
        self._written: deque[tuple[int, int]] = deque()

    def __call__(self, luma: NDArray[np.uint8], captured_ns: int) -> None:
        """Burn the present time (Unix), not ``captured_ns``: the delay is to include everything from here on."""
        frame, now_ns = self._next, time.time_ns()
        clock.burn(luma, now_ns, frame)
        self._next += 1
        self._written.append((frame, now_ns // clock.UNIT_NS * clock.UNIT_NS))

    def take(self) -> list[tuple[int, int]]:
        """Return what was written since the last call: (frame number, Unix ns as the picture shows it)."""
        rows = []
        while self._written:
            rows.append(self._written.popleft())
        return rows


async def host(invitation: Invitation, report: Reporter, stop: asyncio.Event) -> None:
    """Log in, publish until ``stop``, then stop publishing, log out and destroy the engine."""
    clip = clip_path()
    burner = Burner()
    notices = Notices(report)
    async with Engine(invitation.profile, notices) as engine:
        started = time.perf_counter()
        login = engine.login_room(
            participant.ROOM_ID,
            User(participant.HOST, "Host of the demo"),
            RoomConfig(token=invitation.token, is_user_status_notify=True),
        )
        room = await unless(stop, login)
        report(reports.LoggedIn((time.perf_counter() - started) * 1000))
        reporting = asyncio.create_task(_report_sent(burner, report), name="demo-report-sent")
        try:
            film = File(clip, loop=True, on_frame=burner)
            publisher = await unless(stop, room.start_publishing_stream(participant.STREAM_ID, film))
            await first_of(stop.wait(), notices.over)
            await publisher.stop()
        finally:
            reporting.cancel()
            report(reports.Sent(burner.take()))
            await room.logout()
    notices.raise_error()


async def _report_sent(burner: Burner, report: Reporter) -> None:
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        if rows := burner.take():
            report(reports.Sent(rows))


if __name__ == "__main__":
    sys.exit(participant.run(host))
