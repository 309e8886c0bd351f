"""Instructions of one forward without the socket: callgrind over the example ``forward_cost`` of crates/rtc.

Counted in user space and the same on every run, so it tells a change of the code from a change of the machine.
callgrind knows no wide vector instructions, so the cipher counts for more there than it costs; both are given.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec

from benches.commands import NotMeasured
from benches.machine import ROOT

VIEWERS = 50
PACKETS = 200
LIMIT_S = 900.0
"""Compiling the example in the release profile may take minutes the first time."""
CIPHER = re.compile(r"(?<![\w-])aws-lc/")
"""Where the sources of the cryptographic library were when it was compiled."""


class Instructions(msgspec.Struct, frozen=True):
    """Per forwarded packet."""

    viewers: int
    forwards: int
    instructions_per_forward: float
    outside_the_cipher: float
    allocations_per_forward: float
    bytes_per_viewer: int

    def line(self) -> str:
        """Return the figures as one line."""
        return (
            f"{self.instructions_per_forward:.0f} instructions per forward, {self.outside_the_cipher:.0f} outside the "
            f"cipher, {self.allocations_per_forward} allocations, {self.bytes_per_viewer} bytes of heap per viewer"
        )


def measure() -> Instructions:
    """Compile, run under callgrind, read its profile. NotMeasured without cargo or valgrind."""
    for tool, remedy in (("cargo", "https://rustup.rs"), ("valgrind", "sudo apt-get install -y valgrind")):
        if shutil.which(tool) is None:
            raise NotMeasured(f"{tool} is not installed: {remedy}")
    build = ["cargo", "build", "--quiet", "--release", "-p", "sanderling-rtc", "--example", "forward_cost"]
    _run(build)
    example = ROOT / "target" / "release" / "examples" / "forward_cost"
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "callgrind.out"
        said = _run(
            ["valgrind", "--tool=callgrind", "--toggle-collect=*measured*", f"--callgrind-out-file={profile}",
             str(example), str(VIEWERS), str(PACKETS), "egress"]
        )  # fmt: skip
        annotated = _run(["callgrind_annotate", "--auto=no", "--threshold=100", str(profile)])
    figures = json.loads(said.splitlines()[-1])
    total, cipher = parse_annotated(annotated)
    # The warm-up runs through the same function: what is counted is all of it.
    forwards = figures["forwards"] + WARM_UP * VIEWERS
    return Instructions(
        viewers=VIEWERS,
        forwards=forwards,
        instructions_per_forward=round(total / forwards, 1),
        outside_the_cipher=round((total - cipher) / forwards, 1),
        allocations_per_forward=figures["allocations_per_forward"],
        bytes_per_viewer=figures["bytes_per_viewer"],
    )


WARM_UP = 2_500
"""Packets the example forwards before it measures."""


def parse_annotated(text: str) -> tuple[int, int]:
    """Instructions altogether and those of the cipher's functions, out of callgrind_annotate's words."""
    total = cipher = 0
    for line in text.splitlines():
        found = re.match(r"\s*([\d,]+) \([ \d.]+%\)\s+(.*)", line)
        if found is None:
            continue
        count = int(found[1].replace(",", ""))
        if found[2].startswith("PROGRAM TOTALS"):
            total = count
        elif CIPHER.search(found[2]):
            cipher += count
    return total, cipher


def _run(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode != 0:
        raise NotMeasured(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-300:]}")
    return done.stdout
