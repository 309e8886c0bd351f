"""``sanderling bench``: measure a node on this machine; the last line of ``--json`` is one JSON object."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer

from sanderling.bench.failure import BenchFailed
from sanderling.cli.terminal import errors_as_sentences, fail, progress, results

__all__ = ["app"]

EXIT_INTERRUPTED = 130

app = typer.Typer(
    help="Measure a node on this machine: what a packet and a viewer cost it, and how long viewers wait.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

AsJson = Annotated[
    bool, typer.Option("--json", help="The last line of standard output is the result as one JSON object.")
]
Seed = Annotated[int, typer.Option(help="Of the arrivals: the same seed, the same gaps.")]


class Sink(StrEnum):
    """Where fanout's packets go."""

    LOOPBACK = "loopback"
    VETH = "veth"


class Peer(StrEnum):
    """Servers fanout compares with."""

    JANUS = "janus"


class Via(StrEnum):
    """How the viewers of a storm join."""

    WHEP = "whep"
    SIGNALLING = "signalling"


class Answers(StrEnum):
    """What join's publisher does about requests for key frames."""

    PLI = "pli"
    NO_PLI = "no-pli"


@app.command()
def fanout(
    viewers: Annotated[int, typer.Option(min=1, max=20_000, help="Viewers of the streams.")] = 500,
    streams: Annotated[int, typer.Option(min=1, max=64, help="Streams, which share the viewers.")] = 1,
    sink: Annotated[
        Sink,
        typer.Option(
            help="loopback: viewers that read, at the highest load the server carries. veth: a cable whose far "
            "end drops (needs root)."
        ),
    ] = Sink.LOOPBACK,
    burst: Annotated[
        int,
        typer.Option(
            min=0,
            max=64,
            help="Equal packets the publisher sends back to back; 1, 4 or 8. 0: the pictures of a recorded GOP, "
            "into a veth 1.",
        ),
    ] = 0,
    seconds: Annotated[float, typer.Option(min=0.2, max=600, help="Length of one reading.")] = 3.0,
    rate: Annotated[
        float | None,
        typer.Option(
            min=1,
            metavar="PPS",
            help="Packets a second to all viewers together.  [search for the highest]",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, max=30, help="Loads the search may try.")] = 8,
    peer: Annotated[
        Peer | None, typer.Option(help="Measure this server, too, for the ratio.", show_default=False)
    ] = None,
    peer_event_loops: Annotated[
        int,
        typer.Option(
            min=0, max=64, help="Threads all sessions of the peer share; 0 = its default, one for each."
        ),
    ] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="The node's media threads.", show_default=False)
    ] = None,
    added_delay: Annotated[
        bool, typer.Option("--added-delay/--no-added-delay", help="Measure the delay the server adds, too.")
    ] = True,
    floor: Annotated[
        bool, typer.Option("--floor/--no-floor", help="Measure bare sendmmsg in the same run, too.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Packets per CPU-second: one publisher, many viewers."""
    from sanderling.bench.fanout import FanoutOptions, run_fanout
    from sanderling.bench.inside_cable import run_inside_cable

    if peer is not None and sink is Sink.VETH:
        raise typer.BadParameter("--peer is compared on loopback, not --sink veth", param_hint="--peer")
    options = FanoutOptions(
        viewers=viewers,
        streams=streams,
        sink=sink.value,
        burst=burst,
        seconds=seconds,
        rate=rate,
        trials=trials,
        peer=peer.value if peer else "",
        peer_event_loops=peer_event_loops,
        workers=workers,
        added_delay=added_delay,
        floor=floor,
    )
    _run(run_inside_cable if sink is Sink.VETH else run_fanout, options, as_json=as_json)


@app.command()
def join(
    gop: Annotated[
        float, typer.Option(min=0.2, max=60, metavar="SECONDS", help="Seconds from key frame to key frame.")
    ] = 10.0,
    publisher: Annotated[
        Answers, typer.Option(help="pli: answers requests for key frames. no-pli: as a file or encoder box.")
    ] = Answers.PLI,
    arrivals: Annotated[int, typer.Option(min=1, max=1000, help="Viewers that come.")] = 20,
    mean_gap: Annotated[
        float, typer.Option(min=0.05, max=60, metavar="SECONDS", help="Mean time between two of them.")
    ] = 3.0,
    plays: Annotated[
        int, typer.Option(min=0, max=1000, help="Plays on a connected viewer, after the joins.")
    ] = 10,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=5000,
            metavar="JOINS/S",
            help="A storm instead: so many joins a second, made by the load generator.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=60, help="Length of the storm.")] = 5.0,
    via: Annotated[Via, typer.Option(help="How the storm's viewers join.")] = Via.WHEP,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Time from login to the first, the second and a live picture; viewers come as a Poisson process."""
    answers = publisher is Answers.PLI
    if rate is not None:
        from sanderling.bench.storm import StormOptions, run_storm

        storm = StormOptions(rate=rate, seconds=seconds, gop_s=gop, answers=answers, via=via.value, seed=seed)
        _run(run_storm, storm, as_json=as_json)
        return
    from sanderling.bench.join import JoinOptions, run_join

    options = JoinOptions(
        gop_s=gop, answers=answers, arrivals=arrivals, mean_gap_s=mean_gap, plays=plays, seed=seed
    )
    _run(run_join, options, as_json=as_json)


@app.command()
def latency(
    seconds: Annotated[float, typer.Option(min=1, max=600, help="Watching time of the longest run.")] = 20.0,
    runs: Annotated[int, typer.Option(min=1, max=50, help="Demos; all but the last are short.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Delay from glass to glass, SDK to SDK over a node: the demo, several times."""
    from sanderling.bench.latency import LatencyOptions, run_latency

    _run(run_latency, LatencyOptions(seconds=seconds, runs=runs), as_json=as_json)


@app.command()
def memory(
    viewers: Annotated[int, typer.Option(min=1, max=20_000, help="Viewers that are weighed.")] = 2000,
    base: Annotated[int, typer.Option(min=0, max=5000, help="Viewers that are there before them.")] = 100,
    slots: Annotated[int, typer.Option(min=1, max=16, help="Streams bound to each viewer.")] = 1,
    seconds: Annotated[float, typer.Option(min=0.2, max=600, help="Traffic before memory is read.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Resident memory of the server per viewer."""
    from sanderling.bench.memory import MemoryOptions, run_memory

    _run(run_memory, MemoryOptions(viewers=viewers, base=base, slots=slots, seconds=seconds), as_json=as_json)


Bench = Callable[[Any, Callable[[str], None]], Coroutine[Any, Any, msgspec.Struct]]


def _run(bench: Bench, options: object, *, as_json: bool) -> None:
    """Run a bench, print its result, and end with the right code. Nothing it started is left behind."""

    def say(text: str) -> None:
        progress.print(f"bench: {text}")

    with errors_as_sentences():
        try:
            result = asyncio.run(_interruptible(bench(options, say)))
        except BenchFailed as error:
            fail(str(error), hint=error.remedy)
        except (KeyboardInterrupt, asyncio.CancelledError):
            progress.print("stopped")
            raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
        sys.stdout.flush()
        return
    for name, value in msgspec.to_builtins(result).items():
        results.print(f"{name:32} {_text(value)}")


async def _interruptible(bench: Coroutine[Any, Any, msgspec.Struct]) -> msgspec.Struct:
    """Let SIGTERM end the bench in order, as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await bench


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {_text(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "; ".join(_text(each) for each in value)
    return "–" if value is None else str(value)
