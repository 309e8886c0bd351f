"""What the parent knows of a run: folds the participants' reports into states and figures. No I/O, no clock."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import assert_never

from sanderling.demo import reports
from sanderling.demo.measure import Figures, FrameRow, figures, merge
from sanderling.demo.participant import HOST, VIEWER
from sanderling.demo.result import Result, make_result

__all__ = ["ROW_LIMIT", "Collector", "Incomplete"]

ROW_LIMIT = 270_000
"""Frames remembered: three hours at 25 a second. In a longer run figures are those of its last three hours."""


class Incomplete(Exception):
    """The run ended before there was a picture; the text says what was missing."""


class Collector:
    """State of one run. ``apply`` every report, then ask."""

    def __init__(self) -> None:
        self.room_states: dict[str, list[str]] = {HOST: [], VIEWER: []}
        self.publisher_states: list[str] = []
        self.player_states: list[str] = []
        self.login_ms: dict[str, float] = {}
        self.resource_mode: str | None = None
        self.first_frame: reports.FirstFrame | None = None
        self.statistics = reports.Statistics()
        self.failed: dict[str, reports.Failed] = {}
        self.until_ns: int | None = None
        self._sent: dict[int, int] = {}
        self._received: deque[FrameRow] = deque(maxlen=ROW_LIMIT)

    def apply(self, role: str, report: reports.Report) -> str | None:
        """Take a report of ``role`` (host or viewer); returns the line to show for it, if any."""
        match report:
            case reports.RoomStateChanged():
                self.room_states[role].append(report.state)
                return _state(f"{role}: room", report)
            case reports.PublisherStateChanged():
                self.publisher_states.append(report.state)
                return _state(f"{role}: publisher", report)
            case reports.PlayerStateChanged():
                self.player_states.append(report.state)
                return _state(f"{role}: player", report)
            case reports.LoggedIn():
                self.login_ms[role] = report.login_ms
                return f"{role}: logged in after {report.login_ms:.0f} ms"
            case reports.Play():
                self.resource_mode = report.resource_mode
                return f"{role}: plays {report.stream_id}, path {report.resource_mode} by the server's word"
            case reports.FirstFrame():
                self.first_frame = report
                return f"{role}: first picture after {report.first_frame_ms:.0f} ms, {report.width}x{report.height}"
            case reports.Sent():
                self._sent.update(report.rows)
                self._forget_oldest_sent()
            case reports.Received():
                self._received.extend(FrameRow(*row) for row in report.rows)
            case reports.Statistics():
                self.statistics = report
            case reports.WatchingEnded():
                self.until_ns = report.until_ns
            case reports.Failed():
                self.failed[role] = report
                return f"{role}: {failure_text(report)}"
            case _:
                assert_never(report)
        return None

    def has_picture(self) -> bool:
        """Whether the viewer has shown a picture."""
        return self.first_frame is not None

    def rows(self) -> list[FrameRow]:
        """One row per frame up to the end of watching."""
        until_ns = self._end_ns()
        return merge(
            self._sent, (row for row in self._received if (row.received_ns or 0) <= until_ns), until_ns
        )

    def recent(self, now_ns: int, seconds: float) -> Figures:
        """Figures of the last ``seconds`` before ``now_ns`` (Unix) or the end: what the panel shows."""
        if self.until_ns is not None:  # what comes after the end is no freeze
            now_ns = min(now_ns, self.until_ns)
        since_ns = now_ns - int(seconds * 1e9)
        newest: list[FrameRow] = []
        for row in reversed(self._received):
            if (row.received_ns or 0) < since_ns:
                break
            newest.append(row)
        # And the picture before the stretch, so that a gap which reaches into it is seen.
        newest += islice(reversed(self._received), len(newest), len(newest) + 1)
        newest.reverse()
        return figures(newest, now_ns)

    def result(self) -> Result:
        """Put the result together; Incomplete when there was no picture."""
        if self.first_frame is None or self.resource_mode is None or VIEWER not in self.login_ms:
            raise Incomplete(self.missing())
        size = self.statistics if self.statistics.width else self.first_frame
        return make_result(
            figures(self.rows(), self._end_ns()),
            resource_mode=self.resource_mode,
            room_states=self.room_states[VIEWER],
            player_states=self.player_states,
            publisher_states=self.publisher_states,
            login_ms=self.login_ms[VIEWER],
            first_frame_ms=self.first_frame.first_frame_ms,
            audio_received_ms=self.statistics.audio_received_ms,
            audio_concealed_ratio=self.statistics.audio_concealed_ratio,
            width=size.width,
            height=size.height,
            codec=self.statistics.codec,
        )

    def missing(self) -> str:
        """Say in words how far the run has come and what it waits for."""
        if HOST not in self.login_ms:
            return "the host is not logged in"
        if "PUBLISHING" not in self.publisher_states:
            return "the host is logged in but its stream is not published"
        if VIEWER not in self.login_ms:
            return "the stream is published but the viewer is not logged in"
        if not self.player_states:
            return "the viewer is logged in but has not learned of the stream"
        if "PLAYING" not in self.player_states:
            return "the viewer asked for the stream but no media has come"
        return "the viewer is playing but no picture was decoded"

    def _end_ns(self) -> int:
        if self.until_ns is not None:
            return self.until_ns
        return max((row.received_ns or 0 for row in self._received), default=0)

    def _forget_oldest_sent(self) -> None:
        while len(self._sent) > ROW_LIMIT:
            del self._sent[next(iter(self._sent))]


def failure_text(failed: reports.Failed) -> str:
    """Return a failure as one sentence with its code."""
    text = f"{failed.code} {failed.message}"
    return f"{text} ({failed.hint})" if failed.hint else text


def _state(
    what: str, report: reports.RoomStateChanged | reports.PublisherStateChanged | reports.PlayerStateChanged
) -> str:
    return f"{what} {report.state}" + (f", error {report.code}" if report.code else "")
