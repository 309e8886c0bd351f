"""``bench fanout``: a server's packets per CPU-second and the delay it adds, beside a peer and a bare floor."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling.bench.added_delay import DELAY_VIEWERS, AddedDelay, measure_added_delay
from sanderling.bench.failure import BenchFailed
from sanderling.bench.figures import FanoutResult, LoadFigures, per_packet
from sanderling.bench.floor import Floor, measure_floor
from sanderling.bench.janus import Janus
from sanderling.bench.local_address import address_beyond_loopback
from sanderling.bench.node import LOOPBACK, Node
from sanderling.bench.open_files import allow_open_files
from sanderling.bench.search import MOST_GATHERED, LoadSearch, gathers
from sanderling.bench.targets import JanusTarget, NodeTarget, Target, check_media, connect_viewers
from sanderling.bench.usage import cpu_seconds, perf_counts
from sanderling.bench.veth import Cable
from sanderling.bridge.load import load_generator

if TYPE_CHECKING:
    from sanderling.bridge.load import Load

__all__ = ["FanoutOptions", "run_fanout"]

LOST_SHARE = 0.001
"""A server carries a load when less than this share of the packets is lost."""
FIRST_RATE = {"sanderling": 60_000.0, "janus": 10_000.0}
"""Packets a second to all viewers together with which the search begins."""
CABLE_RATE = {1: 200_000.0, 4: 400_000.0, 8: 600_000.0}
"""Load into the cable by burst, at least so long a one, with which its search begins: somewhat less than a core
carries."""
CABLE_PRECISE = 1.1
RECORDED_LINES = 540
"""Lines of the recorded GOP that publishers send when no burst is asked for."""
SETTLE_SECONDS = 0.5
"""Between the start of a load and the first reading."""
DRAIN_SECONDS = 1.0
"""After a load: what is on its way arrives, what was lost is repaired or given up …"""
MOST_DRAIN_SECONDS = 20.0
"""… and a server that has a queue empties it: it must not be counted to the next load."""
PRECISE = 1.15
"""The search ends when the highest good load and the lowest bad one are closer than this factor."""
KEPT_UP = 0.97
"""A server that delivers less than this share of a reading's packets within the reading is falling behind."""
REACHED = 0.95
"""A generator that makes less than this share of the load asked for is at its end."""
PACKET_BYTES = 1160
"""Payload of a packet: a full one of a browser's."""
GOP_PACKETS = 1000
DELAY_BURST = 4
"""Packets that leave together while the added delay is measured, when no burst is asked for: about as many as a
picture of the recorded GOP has. The null forwarder gets the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FanoutOptions:
    """What the command line asked for.

    ``rate``: packets a second to all viewers together; None = search for the highest, into a veth without gathering.
    ``burst``: packets that leave back to back; 0 = the pictures of a recorded GOP, into a veth 1.
    ``trials``: loads the search may try. ``seconds``: of one reading. ``peer``: "janus" or "";
    ``peer_event_loops``: threads that all its sessions share, 0 = its default, one for each.
    """

    viewers: int = 500
    streams: int = 1
    sink: str = "loopback"
    burst: int = 0
    seconds: float = 3.0
    rate: float | None = None
    trials: int = 8
    peer: str = ""
    peer_event_loops: int = 0
    workers: int | None = None
    threads: int = 1
    added_delay: bool = True
    floor: bool = True


@dataclass(slots=True)
class _Trial:
    """One load and what came of it."""

    figures: LoadFigures
    reached: bool
    kept_up: bool
    gathered: bool = False

    @property
    def carried(self) -> bool:
        """Whether the server carried it: next to nothing lost, nothing put off, and no bursts gathered."""
        return self.kept_up and not self.gathered and self.figures.lost_share < LOST_SHARE


async def run_fanout(
    options: FanoutOptions, progress: Callable[[str], None], cable: Cable | None = None
) -> FanoutResult:
    """Measure; BenchFailed when a server does not work. ``cable``: the network of ``--sink veth`` around us."""
    allow_open_files(options.viewers + 512)
    if options.peer:
        Janus.installed()
    if cable is not None:
        address, viewers_at, publishers_at = (
            cable.server_address, cable.viewers_address, cable.publishers_address,
        )  # fmt: skip
    else:
        # A gateway has no loopback candidates; for the ratio both servers are at one and the same address.
        address = address_beyond_loopback() if options.peer else LOOPBACK
        viewers_at = publishers_at = address
    prefix = cable.at_server if cable else []
    with tempfile.TemporaryDirectory(prefix="sanderling-bench-") as folder:
        async with Node.start(Path(folder), address=address, workers=options.workers, prefix=prefix) as node:
            run = _Run(NodeTarget(node), options, progress, cable)
            async with run.connected(viewers_at, publishers_at):
                delay = None
                if options.added_delay and cable is None:
                    delay = await measure_added_delay(
                        node, run.load, run.publishers, run.addresses,
                        burst=options.burst or DELAY_BURST, seconds=options.seconds, progress=progress,
                    )  # fmt: skip
                await run.connect_rest()
                best = await run.best()
                instructions = await run.instructions(best)
                check_media(run.load)
                floor = None
                if options.floor and best.packets_per_flush:
                    floor = await measure_floor(
                        run.addresses, best.packets_per_flush, options.seconds, listen=address, prefix=prefix
                    )
    peer = None
    if options.peer == Janus.name:
        peer = await _janus(options, address, progress)
    return _result(options, best, delay, floor, instructions, peer)


async def _janus(options: FanoutOptions, address: str, progress: Callable[[str], None]) -> LoadFigures:
    with tempfile.TemporaryDirectory(prefix="sanderling-bench-") as folder:
        starting = Janus.start(Path(folder), address=address, event_loops=options.peer_event_loops)
        async with starting as janus, janus.room() as room:
            progress(f"Janus {janus.version} at {address}")
            run = _Run(JanusTarget(janus, room), options, progress, None)
            async with run.connected(address, address):
                await run.connect_rest()
                best = await run.best()
                check_media(run.load)
                return best


class _Run:
    """One server with its publishers and viewers."""

    def __init__(
        self,
        target: Target,
        options: FanoutOptions,
        progress: Callable[[str], None],
        cable: Cable | None,
    ) -> None:
        self._target = target
        self._options = options
        self._progress = progress
        self._cable = cable
        self._burst = options.burst or (1 if cable else 0)
        self.load: Load
        self._source: Load
        self.publishers: list[int] = []
        self.addresses: list[str] = []
        self._viewers = 0

    @contextlib.asynccontextmanager
    async def connected(self, viewers_at: str, publishers_at: str) -> AsyncIterator[None]:
        """Publishers, and as many viewers as the added delay is measured with."""
        self.load = load_generator(threads=self._options.threads, listen=viewers_at)
        self._source = load_generator(listen=publishers_at) if publishers_at != viewers_at else self.load
        try:
            for stream in range(self._options.streams):
                self.publishers.append(await self._target.publish(self._source, stream))
            await self._connect(min(DELAY_VIEWERS, self._options.viewers))
            yield
        finally:
            self.load.close()
            if self._source is not self.load:
                self._source.close()

    async def connect_rest(self) -> None:
        """The other viewers; then the cable is cut where there is one."""
        await self._connect(self._options.viewers)
        self._progress(f"{self._target.name}: {self._viewers} viewers are connected")
        if self._cable is not None:
            self._cable.cut()

    async def _connect(self, viewers: int) -> None:
        numbers = range(self._viewers, viewers)
        made = await connect_viewers(self._target, self.load, numbers, self._options.streams, self._viewers)
        self._viewers += len(made)
        self.addresses += made

    async def best(self) -> LoadFigures:
        """The figures at the highest load that is carried, or at the one asked for."""
        options = self._options
        if options.rate is not None:
            return (await self._trial(options.rate)).figures
        first = FIRST_RATE[self._target.name]
        if self._cable is not None:
            first = CABLE_RATE[max(burst for burst in CABLE_RATE if burst <= self._burst)]
        precise = CABLE_PRECISE if self._cable else PRECISE
        search = LoadSearch(first, trials=options.trials, precise=precise)
        carried: dict[float, LoadFigures] = {}
        while (rate := search.rate) is not None:
            trial = await self._trial(rate)
            if trial.carried:
                carried[rate] = trial.figures
                search.good(last=not trial.reached)
            else:
                search.bad()
        if search.best is None:
            raise BenchFailed(
                f"{self._target.name} carried no load that was tried with less than {LOST_SHARE:.1%} lost"
                + (f" and at most {MOST_GATHERED * self._burst:.2g} packets a flush" if self._cable else ""),
                "the machine is busy, or too slow for so many viewers: try fewer",
            )
        return carried[search.best]

    async def instructions(self, best: LoadFigures) -> float | None:
        """User-space instructions per packet at that load; None where they cannot be counted."""
        self._start(best.packets_per_second)
        try:
            await asyncio.sleep(SETTLE_SECONDS)
            sent = self._sent()
            counts = await perf_counts(self._target.pid, ["instructions:u"], self._options.seconds)
            packets = (self._sent() - sent) * self._per_stream()
        finally:
            self._stop()
        if "instructions:u" not in counts or not packets:
            return None
        return round(counts["instructions:u"] / packets, 1)

    async def _trial(self, rate: float) -> _Trial:
        options, target = self._options, self._target
        sent_before, had_before = self._sent(), self._packets()
        out_before = await target.send_counts()
        self._start(rate)
        try:
            await asyncio.sleep(SETTLE_SECONDS)
            counts, sent, skipped = await target.send_counts(), self._sent(), self._skipped()
            packets, cpu, moment = self._packets(), cpu_seconds(target.pid), time.monotonic()
            await asyncio.sleep(options.seconds)
            used, lasted = cpu_seconds(target.pid) - cpu, time.monotonic() - moment
            received, published = self._packets() - packets, self._sent() - sent
            counts_after = await target.send_counts()
            calls = None
            if counts is None:
                calls = await target.send_calls(1.0)
                if not calls:
                    self._progress(
                        f"{target.name}: packets per flush stay unknown: its sending calls are counted by "
                        "`perf stat` as root (sudo apt-get install -y linux-perf)"
                    )
        finally:
            self._stop()
        await self._drained()
        expected = (self._sent() - sent_before) * self._per_stream()
        if self._cable is not None:
            if counts is None or counts_after is None or out_before is None:
                raise BenchFailed("the server has no counters of what it sends")
            out = await target.send_counts()
            assert out is not None
            received = counts_after.packets - counts.packets
            lost = max(0.0, expected - (out.packets - out_before.packets))
        else:
            # Not the gaps alone: what never came behind the last packet leaves none.
            lost = max(0.0, expected - (self._packets() - had_before))
        per_flush = per_call = None
        if counts is not None and counts_after is not None:
            packets_out = counts_after.packets - counts.packets
            if (flushes := counts_after.flushes - counts.flushes) > 0:
                per_flush = round(packets_out / flushes / options.viewers, 2)
            if (sends := counts_after.calls - counts.calls) > 0:
                per_call = round(packets_out / sends, 2)
        elif calls:
            # Without batches a call is a flush.
            per_call = per_flush = round(received / lasted / calls, 2)
        per_second, ns = per_packet(used, received)
        skipped = self._skipped() - skipped
        if self._burst:
            reached = published / lasted >= REACHED * rate / options.viewers * options.streams
        else:
            # A reading is not a whole number of unequal GOPs.
            reached = published >= REACHED * (published + skipped)
        kept_up = received >= KEPT_UP * published * self._per_stream()
        gathered = self._cable is not None and gathers(per_flush, self._burst)
        figures = LoadFigures(
            name=target.name,
            viewers=options.viewers,
            packets_per_second=round(received / lasted, 1),
            packets_per_cpu_second=per_second,
            cpu_ns_per_packet=ns,
            lost_packets=round(lost),
            lost_share=round(lost / expected, 6) if expected else 1.0,
            packets_per_flush=per_flush,
            packets_per_send_call=per_call,
        )
        self._progress(
            f"{target.name}: {figures.packets_per_second:,.0f} packets/s, "
            f"{used / lasted:.2f} cores, {per_second:,.0f} per CPU-second, {figures.lost_share:.3%} lost"
            + (f", {per_flush} a flush" if per_flush else "")
            + ("" if kept_up else ", falling behind")
            + (", gathering" if gathered else "")
        )
        return _Trial(figures, reached, kept_up, gathered)

    async def _drained(self) -> None:
        """Wait until nothing arrives any more."""
        deadline = time.monotonic() + MOST_DRAIN_SECONDS
        before = -1.0
        while before != (now := self._packets()) and time.monotonic() < deadline:
            before = now
            await asyncio.sleep(DRAIN_SECONDS)

    def _per_stream(self) -> float:
        return self._options.viewers / self._options.streams

    def _start(self, rate: float) -> None:
        """``rate``: packets a second to all viewers together."""
        each = rate / self._options.viewers
        for publisher in self.publishers:
            if self._burst:
                self._source.start_pattern(
                    publisher,
                    packets_per_second=max(1, round(each)),
                    packet_bytes=PACKET_BYTES,
                    burst=self._burst,
                    gop_packets=GOP_PACKETS,
                )
                continue
            packets = self._source.recorded_packets(RECORDED_LINES)
            self._source.start_recorded(
                publisher, height=RECORDED_LINES, pictures_per_second=each * len(packets) / sum(packets)
            )

    def _stop(self) -> None:
        for publisher in self.publishers:
            self._source.stop_pattern(publisher)

    def _sent(self) -> int:
        return sum(self._source.publisher_report(each)["packets_sent"] for each in self.publishers)

    def _skipped(self) -> int:
        return sum(self._source.publisher_report(each)["skipped"] for each in self.publishers)

    def _packets(self) -> float:
        """Packets viewers have had, those that came by a repair included."""
        report = self.load.report()
        return float(report["packets"] + report["repaired"])


def _result(
    options: FanoutOptions,
    best: LoadFigures,
    delay: AddedDelay | None,
    floor: Floor | None,
    instructions: float | None,
    peer: LoadFigures | None,
) -> FanoutResult:
    ratio = None
    if peer is not None and peer.packets_per_cpu_second:
        ratio = round(best.packets_per_cpu_second / peer.packets_per_cpu_second, 2)
    return FanoutResult(
        viewers=options.viewers,
        packets_per_cpu_second=best.packets_per_cpu_second,
        cpu_ns_per_packet=best.cpu_ns_per_packet,
        lost_packets=best.lost_packets,
        packets_per_flush=best.packets_per_flush,
        added_delay_ms=delay.difference if delay else None,
        added_delay_parts_ms={"server": delay.server, "null": delay.null} if delay else None,
        peer=peer.name if peer else None,
        ratio_to_peer=ratio,
        sink=options.sink,
        streams=options.streams,
        burst=options.burst or (None if options.sink == "loopback" else 1),
        packets_per_second=best.packets_per_second,
        seconds=options.seconds,
        floor_ratio=round(best.packets_per_cpu_second / floor.packets_per_cpu_second, 3) if floor else None,
        floor_packets_per_cpu_second=floor.packets_per_cpu_second if floor else None,
        packets_per_send_call=best.packets_per_send_call,
        instructions_per_packet=instructions,
        peer_figures=peer,
    )
