"""Where and of what a measurement was made: machine, kernel, versions, commit, profile of the extension."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from sanderling.bridge.engine import load_extension

ROOT = Path(__file__).resolve().parents[1]


class WrongProfile(Exception):
    """The extension is not the one that demo, tests and benches share."""


class Machine(msgspec.Struct, frozen=True):
    """Circumstances of a measurement."""

    date: str
    commit: str
    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    profile: str
    load_before: float
    """Load average of the last minute before the measurement: other work on the machine spoils figures."""

    def line(self) -> str:
        """Return the circumstances as one line."""
        return (
            f"{self.cores} cores of {self.cpu}, {self.memory_gib:.0f} GiB, Linux {self.kernel}, "
            f"Python {self.python}, load {self.load_before:.1f}"
        )


def describe() -> Machine:
    """Describe this machine now; WrongProfile when the extension was not built for release."""
    profile = load_extension().PROFILE
    if profile != "release":
        raise WrongProfile(
            f"the extension was built with profile {profile!r}; run `make build`, which uses release"
        )
    return Machine(
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        commit=_commit(),
        cpu=_field("/proc/cpuinfo", "model name") or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=int((_field("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 2**20,
        kernel=platform.release(),
        python=platform.python_version(),
        profile=profile,
        load_before=round(os.getloadavg()[0], 2),
    )


def _commit() -> str:
    """Short commit, with a + when the tree differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "--short=10", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _field(path: str, name: str) -> str | None:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
