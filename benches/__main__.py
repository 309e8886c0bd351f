"""``python -m benches [latency|event-cost|browser]``: measure, print, and keep the results in benches/results/."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import msgspec

from benches import browser, event_cost, latency, machine

Figures = latency.Latency | event_cost.EventCost | browser.BrowserLatency

RESULTS = Path(__file__).parent / "results"
NAMES = ("latency", "event-cost", "browser")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benches", description="Measure and keep the results.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure, of {', '.join(NAMES)}; all when left out"
    )
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="watching time of the latency and browser benches"
    )
    parser.add_argument(
        "--no-keep", action="store_true", help="print only, write nothing to benches/results/"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no bench {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    try:
        where = machine.describe()
        for name in options.names or NAMES:
            print(f"{name}: measuring …", file=sys.stderr, flush=True)
            figures = _measure(name, options.seconds)
            print(f"{name}: {figures.line()}")
            if not options.no_keep:
                keep(RESULTS, name, where, figures)
    except machine.WrongProfile as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"failed: {' '.join(error.cmd[1:])} ended with code {error.returncode}", file=sys.stderr)
        return 1
    print(where.line())
    return 0


def _measure(name: str, seconds: float) -> Figures:
    if name == "latency":
        return latency.measure(seconds)
    return browser.measure(seconds) if name == "browser" else event_cost.measure()


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
