"""What outlives the process: projects and their switches."""

from __future__ import annotations

from sanderling.server.storage.base import Project, Storage
from sanderling.server.storage.sqlite import SqliteStorage

__all__ = ["Project", "SqliteStorage", "Storage"]
