"""Projects in a dictionary, for tests of what sits on top of the storage."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from sanderling.server.storage import Project
from sanderling.server.storage.base import new_project
from sanderling.server.storage.settings import change_settings

__all__ = ["NOW", "MemoryStorage"]

NOW = 1_700_000_000.0
"""When every project was made, in Unix seconds."""


class MemoryStorage:
    """See ``storage.base.Storage``."""

    def __init__(self) -> None:
        self.rows: dict[int, Project] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def aclose(self) -> None:
        """Nothing to close."""

    async def check(self) -> None:
        """Always well."""

    async def project(self, app_id: int) -> Project | None:
        """The project with this AppID."""
        await asyncio.sleep(0)  # as a database would, let others run in between
        return self.rows.get(app_id)

    async def projects(self) -> list[Project]:
        """All of them."""
        return list(self.rows.values())

    async def create_project(
        self, name: str, *, l3: bool = False, max_plays: int = 12, settings: dict[str, Any] | None = None
    ) -> Project:
        """Make one."""
        project = new_project(name, l3=l3, max_plays=max_plays, now=NOW)
        project = replace(project, settings=change_settings(project.settings, settings or {}))
        self.rows[project.app_id] = project
        return project

    async def update_project(self, app_id: int, **changes: Any) -> Project:
        """Change what is not None."""
        if (settings := changes.pop("settings", None)) is not None:
            changes["settings"] = change_settings(self.rows[app_id].settings, settings)
        self.rows[app_id] = replace(self.rows[app_id], **{k: v for k, v in changes.items() if v is not None})
        return self.rows[app_id]
