"""How parts of the cluster tell each other what happened; a node alone is a cluster of one."""

from __future__ import annotations

from sanderling.server.bus.base import Bus, Subscription
from sanderling.server.bus.inprocess import InProcessBus

__all__ = ["Bus", "InProcessBus", "Subscription"]
