"""Benches keep what they measured and refuse an extension of another profile."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from benches import __main__ as command
from benches import commands, event_cost, instructions, machine

from sanderling.bench.figures import FanoutResult, JoinResult, MemoryResult, StormResult
from sanderling.bench.latency import LatencyResult

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


def test_a_bench_that_cannot_run_is_named_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(name: str) -> commands.CommandFigures:
        raise commands.NotMeasured(f"{name} needs root")

    monkeypatch.setattr(machine, "load_extension", lambda: SimpleNamespace(PROFILE="release"))
    monkeypatch.setattr(commands, "measure", refuse)
    monkeypatch.setattr(
        event_cost, "measure", lambda: event_cost.EventCost(1, 1, {"min": 1.0, "median": 1.0})
    )
    assert command.main(["--no-keep", "fanout-veth-1", "event-cost"]) == 1
    said = capsys.readouterr()
    assert "fanout-veth-1 needs root" in said.err
    assert said.err.endswith("not measured: fanout-veth-1\n")
    assert "event-cost: 1 ns per event" in said.out


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_a_commands_line_names_figures_that_its_result_has(name: str) -> None:
    arguments, keys = commands.COMMANDS[name]
    kind = {
        "fanout": FanoutResult,
        "join": StormResult if "--rate" in arguments else JoinResult,
        "latency": LatencyResult,
        "memory": MemoryResult,
    }[arguments.split()[0]]
    assert set(keys) <= set(kind.__struct_fields__)
    figures = commands.CommandFigures(f"sanderling bench {arguments}", {keys[0]: {"p50": 1.5, "p95": None}})
    assert figures.line().startswith(f"{keys[0]} 1.5/–")


def test_callgrinds_words_are_read() -> None:
    text = (
        "-- line\n1,000,500 (100.0%)  PROGRAM TOTALS\n"
        "  600,000 (60.0%)  /aws-lc/crypto/modes/gcm.c:gcm_encrypt [/x]\n"
        "  400,500 (40.0%)  src/forward.rs:measured [/x]\n"
    )
    assert instructions.parse_annotated(text) == (1_000_500, 600_000)
