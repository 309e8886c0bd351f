"""The extension's load generator and bare senders, for benches and tests. They have no part in a running node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sanderling.bridge.engine import load_extension

if TYPE_CHECKING:
    from sanderling._engine import Load, NullForwarder

__all__ = ["Load", "NullForwarder", "load_generator", "null_forwarder", "send_floor"]


def load_generator(*, threads: int = 1, listen: str = "127.0.0.1", seed: int = 1) -> Load:
    """A load generator with sockets at ``listen``, on so many threads; MediaUnavailable without the extension."""
    load_extension()
    from sanderling._engine import Load

    return Load(threads=threads, listen=listen, seed=seed)


def null_forwarder(addresses: Sequence[str], *, listen: str) -> NullForwarder:
    """A thread that sends each datagram it receives on to every one of ``addresses`` ("ip:port"), unchanged."""
    load_extension()
    from sanderling._engine import NullForwarder

    return NullForwarder(list(addresses), listen=listen)


def send_floor(
    addresses: Sequence[str], *, size: int, per_flush: int, seconds: float, listen: str
) -> dict[str, float]:
    """Send bare datagrams of ``size`` bytes, ``per_flush`` to each address at a time; what that took. Blocks."""
    load_extension()
    from sanderling._engine import bench_send_floor

    return bench_send_floor(list(addresses), size=size, per_flush=per_flush, seconds=seconds, listen=listen)
