"""Room for thousands of sockets: every viewer of the load generator has one of its own."""

from __future__ import annotations

import resource

from sanderling.bench.failure import BenchFailed

__all__ = ["allow_open_files"]


def allow_open_files(count: int) -> None:
    """Let this process, and those it starts, have ``count`` files open; BenchFailed when the system does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(count, hard)))
    except (ValueError, OSError):
        raise BenchFailed(
            f"{count} open files are needed and the system allows {hard}",
            f"run `ulimit -n {count}` before, as root if need be, or ask for fewer viewers",
        ) from None
