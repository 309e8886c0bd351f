"""For tests of what is built on Sanderling: a real server inside the test process, and a stand-in engine."""

from __future__ import annotations

from sanderling.testing.server import TestServer, server

__all__ = ["TestServer", "server"]
