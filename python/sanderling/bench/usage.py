"""What a process has used: processor time, memory, system calls, instructions. Linux only."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from sanderling.bench.failure import BenchFailed

__all__ = ["cpu_seconds", "parse_perf", "perf_counts", "resident_bytes"]

_CPUCLOCK_SCHED = 2
"""Kind of clock in the low bits of a clock's number; the process is in the others (linux/posix-timers.h)."""
_PERF_SECONDS = 5.0
"""What perf may take beyond the time it counts."""


def cpu_seconds(pid: int) -> float:
    """Processor time of the process so far, all threads, user and system, those that ended included.

    What the scheduler counted, in nanoseconds: its CPU-time clock, as clock_getcpuclockid(3) names it.
    """
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        raise BenchFailed(f"process {pid} ended while it was measured") from None


def resident_bytes(pid: int) -> int:
    """Resident memory of the process now (Rss of smaps_rollup, which unlike VmRSS is exact)."""
    for line in _read(pid, "smaps_rollup").splitlines():
        name, _, value = line.partition(":")
        if name == "Rss":
            return int(value.split()[0]) * 1024
    raise BenchFailed(f"/proc/{pid}/smaps_rollup names no Rss")


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except ProcessLookupError:
        raise BenchFailed(f"process {pid} ended while it was measured") from None
    except OSError as error:
        raise BenchFailed(
            f"/proc/{pid}/{name} cannot be read: {error.strerror}", "benches run on Linux, as one user"
        ) from None


async def perf_counts(pid: int, events: Sequence[str], seconds: float) -> dict[str, int]:
    """Count ``events`` of the process for so many seconds with ``perf stat``; those that cannot be counted are absent.

    Hardware counters are missing in many virtual machines, tracepoints without root; perf itself may be too.
    """
    perf = shutil.which("perf")
    if perf is None:
        return {}
    command = [perf, "stat", "-x", ",", "-p", str(pid)]
    for event in events:
        command += ["-e", event]
    process = await asyncio.create_subprocess_exec(
        *command,
        "--",
        "sleep",
        f"{seconds:.3f}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds + _PERF_SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        return {}
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return parse_perf(said.decode(errors="replace"), events)


def parse_perf(text: str, events: Sequence[str]) -> dict[str, int]:
    """Read the lines ``value,unit,event,…`` of ``perf stat -x ,``; "<not supported>" and the like are left out."""
    counts: dict[str, int] = {}
    for line in text.splitlines():
        value, _, rest = line.partition(",")
        if value.isdecimal():
            for event in events:
                if event in rest.split(","):
                    counts[event] = int(value)
    return counts
