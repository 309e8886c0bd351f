"""What the panel and the status line say."""

from __future__ import annotations

import io

from rich.console import Console

from sanderling.demo import reports
from sanderling.demo.collector import Collector
from sanderling.demo.panel import render, status_line
from unit.demo.recorded import MS, T0, session

NOW_NS = T0 + (249 * 40 + 60) * MS


def _text(collector: Collector, now_ns: int = NOW_NS) -> str:
    console = Console(file=io.StringIO(), width=140, force_terminal=False)
    console.print(render(collector, now_ns, debug_page="http://127.0.0.1:7700/debug", ends="Ctrl-C stops"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_panel_shows_everything_the_issue_names() -> None:
    text = _text(session())
    for part in (
        "room demo, host    LOGINING → LOGINED",
        "publisher          PUBLISH_REQUESTING → PUBLISHING",
        "room demo, viewer  LOGINING → LOGINED",
        "player             PLAY_REQUESTING → PLAYING",
        "123 ms after the play was asked for",
        "p50 60 ms   p95 60 ms   p99 60 ms",
        "1280x720 VP8, 25.0 fps, 1500 kbit/s",
        "freezes            none",
        "demo-film by ONLY_L3",
        "9.6 s received, 0.20% concealed",
        "http://127.0.0.1:7700/debug",
        "Ctrl-C stops",
    ):
        assert part in text


def test_before_anything_happened_there_is_a_panel_without_figures() -> None:
    text = _text(Collector())
    assert "–" in text
    assert "ms" not in text.replace("figures of the last 30 s", "")


def test_a_freeze_shows_while_it_lasts() -> None:
    assert "1, 2000 ms altogether" in _text(session(ended=False), NOW_NS + 2_000 * MS)


def test_error_states_show() -> None:
    collector = session()
    collector.apply("viewer", reports.RoomStateChanged("KICK_OUT", 1002050))
    assert "KICK_OUT" in _text(collector)


def test_the_status_line_has_the_same_figures() -> None:
    assert status_line(session(), NOW_NS) == (
        "glass to glass p50/p95/p99 60/60/60 ms, 25.0 fps, 1500 kbit/s, 0 freezes"
    )
    assert "–" in status_line(Collector(), NOW_NS)
