"""``python -m benches [latency|event-cost]``: measure, print, and keep the results in benches/results/."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import msgspec

from benches import event_cost, latency, machine

RESULTS = Path(__file__).parent / "results"
NAMES = ("latency", "event-cost")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benches", description="Measure and keep the results.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure, of {', '.join(NAMES)}; all when left out"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="watching time of the latency bench")
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
            figures = latency.measure(options.seconds) if name == "latency" else event_cost.measure()
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


def keep(
    folder: Path, name: str, where: machine.Machine, figures: latency.Latency | event_cost.EventCost
) -> None:
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
