"""Who is where in the cluster: the one session of a user, the one publisher of a streamID."""

from __future__ import annotations

from sanderling.server.registry.base import Registry, SessionEntry, StreamEntry
from sanderling.server.registry.inprocess import InProcessRegistry

__all__ = ["InProcessRegistry", "Registry", "SessionEntry", "StreamEntry"]
