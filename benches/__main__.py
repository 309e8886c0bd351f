"""``python -m benches [NAME …]``: measure, print, and keep the results in benches/results/."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from benches import browser, commands, event_cost, growth, instructions, machine, members, rooms

Figures = (
    commands.CommandFigures
    | growth.Growth
    | instructions.Instructions
    | event_cost.EventCost
    | browser.BrowserLatency
    | rooms.Rooms
    | members.Members
)

RESULTS = Path(__file__).parent / "results"
NAMES = (
    *(name for name in commands.COMMANDS if name != "latency"),
    "members",
    "rooms",
    "latency",
    "instructions",
    "growth",
    "event-cost",
    "members-deflate",
    "browser",
)
"""In the order they are measured: what is judged comes first."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benches", description="Measure and keep the results.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure, of {', '.join(NAMES)}; all when left out"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="watching time of the browser bench")
    parser.add_argument(
        "--no-keep", action="store_true", help="print only, write nothing to benches/results/"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no bench {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    not_measured = []
    try:
        where = machine.describe()
    except machine.WrongProfile as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    for name in options.names or NAMES:
        print(f"{name}: measuring …", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            figures = _measure(name, options.seconds)
        except (commands.NotMeasured, subprocess.SubprocessError, OSError) as error:
            print(f"{name}: not measured: {error}", file=sys.stderr)
            not_measured.append(name)
            continue
        print(f"{name}: {figures.line()}  ({time.monotonic() - began:.0f} s)", flush=True)
        if not options.no_keep:
            keep(RESULTS, name, where, figures)
    print(where.line())
    if not_measured:
        print(f"not measured: {', '.join(not_measured)}", file=sys.stderr)
    return 1 if not_measured else 0


def _measure(name: str, seconds: float) -> Figures:
    match name:
        case "growth":
            return growth.measure()
        case "instructions":
            return instructions.measure()
        case "event-cost":
            return event_cost.measure()
        case "rooms":
            return rooms.measure()
        case "members" | "members-deflate":
            return members.measure(deflate=name == "members-deflate")
        case "browser":
            return browser.measure(seconds)
        case _:
            return commands.measure(name)


def keep(folder: Path, name: str, where: machine.Machine, figures: Figures) -> None:
    """Write ``<name>.json`` and add a line to the table of README.md."""
    document = {"machine": where, "figures": figures}
    (folder / f"{name}.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    )
    row = f"| {where.date} | {where.commit} | {name} | {figures.line()} | {where.line()} |\n"
    with (folder / "README.md").open("a") as file:
        file.write(row)


if __name__ == "__main__":
    sys.exit(main())
