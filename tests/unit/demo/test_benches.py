"""Benches keep what they measured and refuse an extension of another profile."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from benches import __main__ as command
from benches import event_cost, machine

WHERE = machine.Machine("2026-01-02", "abc", "a CPU", 2, 8.0, "6.1", "3.11.7", "release", 0.5)


def test_another_profile_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "load_extension", lambda: SimpleNamespace(PROFILE="dev"))
    assert command.main(["event-cost"]) == 1
    assert "make build" in capsys.readouterr().err


def test_the_machine_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "load_extension", lambda: SimpleNamespace(PROFILE="release"))
    here = machine.describe()
    assert here.cores >= 1
    assert here.memory_gib > 0
    assert here.cpu
    assert here.kernel in here.line()


def test_results_are_kept_as_json_and_as_a_line(tmp_path: Path) -> None:
    figures = event_cost.EventCost(1000, 3, {"min": 90.0, "median": 95.0, "max": 120.0})
    (tmp_path / "README.md").write_text("# Results\n")
    command.keep(tmp_path, "event-cost", WHERE, figures)
    kept = json.loads((tmp_path / "event-cost.json").read_text())
    assert kept["figures"]["ns"]["median"] == 95.0
    assert kept["machine"]["cores"] == 2
    last = (tmp_path / "README.md").read_text().splitlines()[-1]
    assert last.startswith("| 2026-01-02 | abc | event-cost | 95 ns per event (best 90)")
