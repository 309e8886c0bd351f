"""The live panel: states, delay, frame rate, freezes, where the debug page is and how to stop."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sanderling.demo.collector import Collector
from sanderling.demo.measure import Figures
from sanderling.demo.participant import HOST, ROOM_ID, STREAM_ID, VIEWER

__all__ = ["WINDOW_SECONDS", "render", "status_line"]

WINDOW_SECONDS = 30.0
"""The panel's figures are those of the last so many seconds."""

WIDTH = 92
"""Columns of the panel where the terminal has them: it does not jump when figures change."""

_GOOD = "bold green"
_WAITING = "yellow"
_BAD = "bold red"
_FINAL = {"LOGINED": _GOOD, "PUBLISHING": _GOOD, "PLAYING": _GOOD, "RECONNECTED": _GOOD}
_ENDED = {"LOGIN_FAILED", "KICK_OUT", "RECONNECT_FAILED", "NO_PLAY", "NO_PUBLISH", "LOGOUT"}
_NOTHING_YET = "–"


def render(collector: Collector, now_ns: int, *, debug_page: str, ends: str) -> RenderableType:
    """Draw the panel for the moment ``now_ns`` (Unix). ``ends``: how the demo is stopped, in words."""
    recent = collector.recent(now_ns, WINDOW_SECONDS)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row(f"room {ROOM_ID}, host", _chain(collector.room_states[HOST]))
    table.add_row("publisher", _chain(collector.publisher_states))
    table.add_row(f"room {ROOM_ID}, viewer", _chain(collector.room_states[VIEWER]))
    table.add_row("player", _chain(collector.player_states))
    table.add_row("stream", Text(_stream(collector)))
    table.add_row("first picture", Text(_first_frame(collector)))
    table.add_row("glass to glass", _latency(recent))
    table.add_row("picture", Text(_picture(collector, recent)))
    table.add_row("freezes", _freezes(recent))
    table.add_row("sound", Text(_sound(collector)))
    footer = Text.assemble(("debug page ", "dim"), debug_page, "\n", (ends, "dim"))
    return Panel(Group(table, Text(), footer), title="sanderling demo", subtitle=_subtitle(), width=WIDTH)


def status_line(collector: Collector, now_ns: int) -> str:
    """Return the panel's figures as one line, for a log or a pipe."""
    recent = collector.recent(now_ns, WINDOW_SECONDS)
    latency = recent.latency_ms
    delay = f"{latency.p50:.0f}/{latency.p95:.0f}/{latency.p99:.0f} ms" if latency else _NOTHING_YET
    return (
        f"glass to glass p50/p95/p99 {delay}, {recent.fps:.1f} fps, "
        f"{collector.statistics.bitrate_kbps:.0f} kbit/s, {recent.freezes.count} freezes"
    )


def _subtitle() -> str:
    return f"figures of the last {WINDOW_SECONDS:.0f} s"


def _chain(states: list[str]) -> Text:
    text = Text()
    for number, state in enumerate(states):
        if number:
            text.append(" → ", style="dim")
        text.append(state, style=_FINAL.get(state, _BAD if state in _ENDED else _WAITING))
    return text if states else Text(_NOTHING_YET)


def _stream(collector: Collector) -> str:
    if collector.resource_mode is None:
        return STREAM_ID
    return f"{STREAM_ID} by {collector.resource_mode}"


def _first_frame(collector: Collector) -> str:
    first = collector.first_frame
    return f"{first.first_frame_ms:.0f} ms after the play was asked for" if first else _NOTHING_YET


def _latency(recent: Figures) -> Text:
    latency = recent.latency_ms
    if latency is None:
        return Text(_NOTHING_YET)
    return Text.assemble(
        ("p50 ", "dim"), (f"{latency.p50:.0f}", "bold"), (" ms   p95 ", "dim"), f"{latency.p95:.0f}",
        (" ms   p99 ", "dim"), f"{latency.p99:.0f}", (" ms", "dim"),
    )  # fmt: skip


def _picture(collector: Collector, recent: Figures) -> str:
    statistics = collector.statistics
    if not recent.received:
        return _NOTHING_YET
    return (
        f"{statistics.width}x{statistics.height} {statistics.codec}, {recent.fps:.1f} fps, "
        f"{statistics.bitrate_kbps:.0f} kbit/s"
    )


def _freezes(recent: Figures) -> Text:
    if not recent.freezes.count:
        return Text("none")
    return Text(f"{recent.freezes.count}, {recent.freezes.total_ms:.0f} ms altogether", style=_BAD)


def _sound(collector: Collector) -> str:
    statistics = collector.statistics
    if not statistics.audio_received_ms:
        return _NOTHING_YET
    return f"{statistics.audio_received_ms / 1000:.1f} s received, {statistics.audio_concealed_ratio:.2%} concealed"
