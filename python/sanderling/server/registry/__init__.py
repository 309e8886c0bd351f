"""Who is where in the cluster: sessions of users, rooms and what is in them, publishers of streamIDs."""

from __future__ import annotations

from sanderling.server.registry.base import (
    Admission,
    Refusal,
    Registry,
    RoomView,
    SessionEntry,
    StreamEntry,
)
from sanderling.server.registry.inprocess import InProcessRegistry

__all__ = [
    "Admission",
    "InProcessRegistry",
    "Refusal",
    "Registry",
    "RoomView",
    "SessionEntry",
    "StreamEntry",
]
