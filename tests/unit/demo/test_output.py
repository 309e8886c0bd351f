"""A panel on a terminal, lines everywhere else; both on standard error alone."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sanderling.demo import output
from sanderling.demo.collector import Collector
from unit.demo.recorded import session


def test_lines_where_standard_error_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with output.open_output(panel=True) as shown:
        assert type(shown) is output.LineOutput
        shown.line("[server] text in brackets is no markup")
    captured = capsys.readouterr()
    assert captured.err == "[server] text in brackets is no markup\n"
    assert captured.out == ""


def test_figures_come_as_lines_at_intervals_once_there_is_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(output.time, "monotonic", lambda: now)
    file = io.StringIO()
    shown = output.LineOutput(Console(file=file, width=120))
    collector = Collector()
    shown.watch(collector, debug_page="http://127.0.0.1:7700/debug", ends="Ctrl-C stops")
    now += output.STATUS_SECONDS
    shown.tick()
    assert file.getvalue() == "debug page http://127.0.0.1:7700/debug; Ctrl-C stops\n"
    shown.watch(session(), debug_page="", ends="")
    for _ in range(3):
        shown.tick()
    now += output.STATUS_SECONDS
    for _ in range(3):
        shown.tick()
    assert file.getvalue().count("glass to glass") == 1


def test_the_panel_is_drawn_and_left_on_the_screen() -> None:
    file = io.StringIO()
    with output.PanelOutput(Console(file=file, width=120, force_terminal=True)) as shown:
        shown.line("host: started as process 7")
        shown.watch(session(), debug_page="http://127.0.0.1:7700/debug", ends="Ctrl-C stops")
        shown.tick()
        shown.line("stopping the viewer")
    text = file.getvalue()
    assert "PLAYING" in text
    assert "Ctrl-C stops" in text
    assert "stopping the viewer" in text
    assert text.endswith("\x1b[?25h"), "the cursor is shown again"
