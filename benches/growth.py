"""How the price of a packet grows with viewers and with streams: ``sanderling bench fanout`` at one load throughout."""

from __future__ import annotations

from typing import Any

import msgspec

from benches.commands import run

VIEWERS = (50, 480, 2000)
STREAMS = (16,)
"""With ``STREAM_VIEWERS`` viewers together; one stream with as many is among ``VIEWERS``."""
STREAM_VIEWERS = 480
PACKETS_PER_SECOND = 60_000
SECONDS = 2.0


class Growth(msgspec.Struct, frozen=True):
    """CPU nanoseconds of the server per packet, by viewers and by streams, at one load."""

    packets_per_second: int
    by_viewers: dict[str, dict[str, Any]]
    by_streams: dict[str, dict[str, Any]]

    def line(self) -> str:
        """Return the figures as one line."""
        return "; ".join(
            f"ns per packet with {'/'.join(by)} {what}: "
            + "/".join(f"{each['cpu_ns_per_packet']:.0f}" for each in by.values())
            for what, by in (("viewers", self.by_viewers), ("streams", self.by_streams))
        )


def measure() -> Growth:
    """Measure each size in a server of its own."""
    by_viewers = {str(viewers): _fanout(viewers, 1) for viewers in VIEWERS}
    by_streams = {str(streams): _fanout(STREAM_VIEWERS, streams) for streams in STREAMS}
    return Growth(PACKETS_PER_SECOND, by_viewers, {"1": by_viewers[str(STREAM_VIEWERS)], **by_streams})


def _fanout(viewers: int, streams: int) -> dict[str, Any]:
    result = run(
        ["fanout", "--viewers", str(viewers), "--streams", str(streams), "--rate", str(PACKETS_PER_SECOND),
         "--seconds", str(SECONDS), "--burst", "4", "--no-added-delay", "--no-floor"]
    )  # fmt: skip
    keys = ("cpu_ns_per_packet", "packets_per_second", "packets_per_flush", "lost_packets")
    return {key: result[key] for key in keys}
