"""User A: learns of the stream from the stream notice, plays it in ONLY_L3, reads the clock off every picture.

Run as a process of its own: ``python -m sanderling.demo.viewer [--save DIR]`` (see participant.py for how it is
told what to do). Standard argument: ``--save DIR``, which must exist.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import sys
import time
from pathlib import Path

from sanderling import (
    Engine,
    Player,
    PlayerConfig,
    PlayQuality,
    ResourceMode,
    Room,
    RoomConfig,
    User,
    VideoFrame,
)
from sanderling.demo import clock, participant, reports, save
from sanderling.demo.measure import FrameNumbers
from sanderling.demo.notices import Notices
from sanderling.demo.participant import Invitation, Reporter
from sanderling.demo.waiting import first_of, unless

__all__ = ["view"]

REPORT_SECONDS = 0.25
"""How often received pictures are reported."""

STATISTICS_SECONDS = 1.0

QUEUED_PICTURES = 4
"""Pictures that may wait for this process while it is busy. More would be older pictures, not better ones."""

AUDIO_RATE = 48_000
AUDIO_CHANNELS = 2
AUDIO_BLOCK_MS = 10


class Watching:
    """One play: pictures and sound as they come, and what is known of them."""

    def __init__(self, player: Player, report: Reporter, asked: float, folder: Path | None) -> None:
        self._player = player
        self._report = report
        self._asked = asked
        self._numbers = FrameNumbers()
        self._rows: list[tuple[int | None, int | None, int]] = []
        self._pictures = save.PictureSaver(folder / save.PICTURES) if folder else None
        self._sound = (
            save.SoundSaver(folder / save.SOUND, rate=AUDIO_RATE, channels=AUDIO_CHANNELS) if folder else None
        )
        self._saving: set[asyncio.Task[Path]] = set()
        self._samples = 0
        self._size = (0, 0)
        self._ended = False

    async def pictures(self) -> None:
        """Read the clock off every picture the moment it is handed over."""
        async for frame in self._player.video(keep=QUEUED_PICTURES):
            received_ns = time.time_ns()
            if self._ended:
                return
            if not any(self._size):
                elapsed_ms = (time.perf_counter() - self._asked) * 1000
                self._report(reports.FirstFrame(elapsed_ms, frame.width, frame.height))
            self._size = (frame.width, frame.height)
            self._picture(frame, received_ns)

    async def sound(self) -> None:
        """Take the sound as PCM."""
        saver = self._sound
        blocks = self._player.audio(rate=AUDIO_RATE, channels=AUDIO_CHANNELS, block_ms=AUDIO_BLOCK_MS)
        try:
            async for block in blocks:
                if self._ended:
                    return
                self._samples += len(block.samples)
                if saver is not None and saver.put(block.samples):
                    await asyncio.to_thread(saver.flush)
        finally:
            if saver is not None:
                await asyncio.to_thread(saver.close)

    async def reporting(self) -> None:
        """Report pictures several times a second and statistics once."""
        due = time.monotonic() + STATISTICS_SECONDS
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            self.report_pictures()
            if time.monotonic() >= due:
                due += STATISTICS_SECONDS
                self.report_statistics(await self._player.read_stats())

    def report_pictures(self) -> None:
        """Report the pictures since the last report."""
        rows, self._rows = self._rows, []
        if rows:
            self._report(reports.Received(rows))

    def report_statistics(self, quality: PlayQuality) -> None:
        """Report figures of the play."""
        self._report(
            reports.Statistics(
                width=self._size[0],
                height=self._size[1],
                codec=quality.video_codec,
                bitrate_kbps=quality.video_kbps + quality.audio_kbps,
                audio_received_ms=self._samples * 1000 / AUDIO_RATE,
                audio_concealed_ratio=quality.concealed_ratio,
            )
        )

    def end(self) -> int:
        """Take nothing more; returns this moment, Unix nanoseconds."""
        self._ended = True
        return time.time_ns()

    async def finish(self) -> None:
        """Wait for pictures that are still being written."""
        await asyncio.gather(*self._saving)

    def _picture(self, frame: VideoFrame, received_ns: int) -> None:
        luma = frame.planes[0]
        fits = frame.width >= clock.MIN_WIDTH and frame.height >= clock.MIN_HEIGHT
        reading = clock.read(luma) if fits else None
        if reading is None:
            self._rows.append((None, None, received_ns))
            return
        number = self._numbers.unwrap(reading.frame)
        self._rows.append((number, reading.unix_ns, received_ns))
        if self._pictures is not None and self._pictures.due(received_ns):
            # On a thread: writing a picture takes longer than the time between two.
            write = functools.partial(self._pictures.save, number, frame.to_ndarray)
            task = asyncio.create_task(asyncio.to_thread(write), name="demo-save-picture")
            self._saving.add(task)
            task.add_done_callback(self._saving.discard)


async def view(
    invitation: Invitation, report: Reporter, stop: asyncio.Event, *, folder: Path | None = None
) -> None:
    """Log in, play the first stream that is announced until ``stop``, then stop playing, log out and destroy."""
    notices = Notices(report)
    async with Engine(invitation.profile, notices) as engine:
        started = time.perf_counter()
        login = engine.login_room(
            participant.ROOM_ID,
            User(participant.VIEWER, "Viewer of the demo"),
            RoomConfig(token=invitation.token, is_user_status_notify=True),
        )
        room = await unless(stop, login)
        report(reports.LoggedIn((time.perf_counter() - started) * 1000))
        try:
            await _play(room, await unless(stop, notices.streams.get()), report, stop, notices, folder)
        finally:
            await room.logout()
    notices.raise_error()


async def _play(
    room: Room, stream_id: str, report: Reporter, stop: asyncio.Event, notices: Notices, folder: Path | None
) -> None:
    asked = time.perf_counter()
    playing = room.start_playing_stream(stream_id, PlayerConfig(resource_mode=ResourceMode.ONLY_L3))
    player = playing.player
    if player is None:  # refused at once
        await playing
        return
    watching = Watching(player, report, asked, folder)
    # From the first picture on, which may come before the server's word that the stream plays.
    tasks = [
        asyncio.create_task(watching.pictures(), name="demo-pictures"),
        asyncio.create_task(watching.sound(), name="demo-sound"),
        asyncio.create_task(watching.reporting(), name="demo-reporting"),
    ]
    try:
        await unless(stop, playing)
        mode = player.resource_mode
        report(reports.Play(stream_id, mode.name if mode is not None else "UNKNOWN"))
        # A part that fails ends the play; one that ends because the stream did is followed by the state notice.
        await first_of(stop.wait(), notices.over, *tasks)
        until_ns = watching.end()
        quality = await player.read_stats()
    finally:
        tasks.pop().cancel()
        await player.stop()
        await asyncio.gather(*tasks, return_exceptions=True)
        await watching.finish()
    watching.report_pictures()
    watching.report_statistics(quality)
    report(reports.WatchingEnded(until_ns))


def main() -> int:
    """Run the viewer as this process."""
    parser = argparse.ArgumentParser(prog="python -m sanderling.demo.viewer")
    parser.add_argument("--save", type=Path, metavar="DIR", help="folder for pictures and sound; must exist")
    arguments = parser.parse_args()
    return participant.run(functools.partial(view, folder=arguments.save))


if __name__ == "__main__":
    sys.exit(main())
