"""Benches that are runs of ``sanderling bench``: their arguments, and which figures make up their line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

LIMIT_S = 300.0
"""How long a run may take; most take less than one minute, none more than three."""

# Name → arguments, and the figures to show.
COMMANDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "fanout-veth-1": (
        "fanout --viewers 500 --sink veth --burst 1 --trials 6",
        ("packets_per_cpu_second", "packets_per_flush", "floor_ratio", "lost_packets"),
    ),
    "fanout-veth-4": (
        "fanout --viewers 500 --sink veth --burst 4 --trials 6",
        ("packets_per_cpu_second", "packets_per_flush", "floor_ratio", "lost_packets"),
    ),
    "fanout-veth-8": (
        "fanout --viewers 500 --sink veth --burst 8 --trials 6",
        ("packets_per_cpu_second", "packets_per_flush", "floor_ratio", "lost_packets"),
    ),
    "fanout": (
        "fanout --viewers 500 --peer janus --trials 6",
        (
            "packets_per_cpu_second", "packets_per_flush", "floor_ratio", "ratio_to_peer", "added_delay_ms",
            "lost_packets",
        ),
    ),
    "join-storm": (
        "join --rate 300 --seconds 5",
        (
            "arrivals_per_second", "first_frame_ms", "keyframe_requests_per_second", "joins_per_cpu_second",
            "failed", "later_than_1_s",
        ),
    ),
    "join-storm-signalling": (
        "join --rate 300 --seconds 5 --via signalling",
        (
            "arrivals_per_second", "first_frame_ms", "keyframe_requests_per_second", "joins_per_cpu_second",
            "failed", "later_than_1_s",
        ),
    ),
    "memory": ("memory --viewers 2000", ("bytes_per_viewer",)),
    "memory-16": ("memory --viewers 2000 --slots 16", ("bytes_per_viewer", "packets_per_second_per_slot")),
    "join": (
        "join --gop 10 --arrivals 20",
        (
            "first_frame_ms", "first_moving_ms", "live_ms", "play_first_frame_ms", "joins_per_cpu_second",
            "keyframe_requests_per_second", "failed",
        ),
    ),
    "join-no-pli": (
        "join --gop 10 --publisher no-pli --arrivals 14 --plays 0",
        ("first_frame_ms", "first_moving_ms", "live_ms", "failed"),
    ),
    "latency": ("latency --seconds 20 --runs 3", ("latency_ms", "first_frame_ms", "login_ms")),
}  # fmt: skip


class CommandFigures(msgspec.Struct, frozen=True):
    """The JSON object a command printed, and the command."""

    command: str
    result: dict[str, Any]

    def line(self) -> str:
        """Return the chosen figures as one line."""
        chosen = next(keys for arguments, keys in COMMANDS.values() if self.command.endswith(arguments))
        return ", ".join(f"{key} {_text(self.result.get(key))}" for key in chosen)


class NotMeasured(Exception):
    """A command could not measure; the text says why and what to do."""


def measure(name: str) -> CommandFigures:
    """Run the command; NotMeasured with its words when it fails."""
    arguments = COMMANDS[name][0]
    return CommandFigures(f"sanderling bench {arguments}", run(arguments.split()))


def run(arguments: list[str]) -> dict[str, Any]:
    """Run ``sanderling bench`` with these arguments; its result. NotMeasured with its words when it fails."""
    command = [sys.executable, "-P", "-m", "sanderling.cli.main", "bench", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if not line.startswith("bench: ")]
        raise NotMeasured(" ".join(line.strip() for line in said[-3:]) or f"exit code {done.returncode}")
    result: dict[str, Any] = msgspec.json.decode(done.stdout.splitlines()[-1])
    return result


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "/".join(_text(each) for each in value.values())
    if isinstance(value, float) and value >= 1000:
        return f"{value:,.0f}"
    return "–" if value is None else str(value)
