"""Limits per source address: how often one address may begin a session. Time is an argument."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

from sanderling.server.addresses import parse_address
from sanderling.server.token_bucket import TokenBucket

__all__ = ["BURST_S", "SourceLimiter", "SourceLimits", "source_of"]

BURST_S = 10.0
"""Seconds' worth of its rate that a source may use at once: a company behind one address that comes back together."""
LARGEST_TABLE = 20_000
"""Sources remembered, some 4 MB. Beyond it the one longest unseen is forgotten, which forgives it what it did."""
IPV6_PREFIX = 64
"""Bits of an IPv6 address that tell sources apart: the rest is the host's own choice."""


def source_of(client: object) -> str:
    """The source of ASGI's ``client``: an IPv4 address, the network of an IPv6 one, or "" when it is not known."""
    host = str(client[0]) if isinstance(client, list | tuple) and client else ""
    address = parse_address(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
    return str(address) if address is not None else host


class SourceLimiter:
    """A token bucket for each source. ``rate``: per second, after a burst of ten times that; 0 = no limit."""

    def __init__(self, rate: float, *, largest_table: int = LARGEST_TABLE) -> None:
        self.rate = rate
        self._largest_table = largest_table
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, source: str, now: float) -> float:
        """Count one beginning: 0.0 when it may go on, else the seconds until the next may. ``now``: steady seconds."""
        if not self.rate:
            return 0.0
        bucket = self._buckets.get(source)
        if bucket is None:
            if len(self._buckets) >= self._largest_table:
                self._buckets.popitem(last=False)
            bucket = self._buckets[source] = TokenBucket(self.rate, max(1.0, self.rate * BURST_S))
        self._buckets.move_to_end(source)
        return bucket.take(now)


class SourceLimits:
    """What one source may begin: ``posts`` to WHIP and WHEP endpoints, ``logins`` over signalling; per second."""

    def __init__(self, *, posts_per_s: float = 0.0, logins_per_s: float = 0.0) -> None:
        self.posts = SourceLimiter(posts_per_s)
        self.logins = SourceLimiter(logins_per_s)
