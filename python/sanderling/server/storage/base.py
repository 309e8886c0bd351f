"""The interface of the storage and the values it keeps. Implementations: ``sqlite``."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field
from typing import Any, Protocol

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.ids import AppId
from sanderling.server.storage.settings import ProjectSettings

__all__ = [
    "DEFAULT_MAX_PLAYS",
    "LARGEST_MAX_PLAYS",
    "Project",
    "Storage",
    "check_max_plays",
    "check_name",
    "new_project",
]

DEFAULT_MAX_PLAYS = 12
"""Streams one user plays at once (product-facts 5.6)."""
LARGEST_MAX_PLAYS = 16
MAX_NAME = 64

_SECRET_ALPHABET = string.digits + "abcdef"


@dataclass(frozen=True, slots=True)
class Project:
    """One AppID with its secrets and service switches. Secrets do not show in ``repr``."""

    app_id: AppId
    name: str
    app_sign: str = field(repr=False)
    """64 hex characters."""
    server_secret: str = field(repr=False)
    """32 characters; the key of Token04."""
    l3: bool = False
    max_plays: int = DEFAULT_MAX_PLAYS
    created: int = 0
    """Unix seconds."""
    settings: ProjectSettings = field(default_factory=ProjectSettings)


def new_project(name: str, *, l3: bool, max_plays: int, now: float) -> Project:
    """Return a project with fresh random AppID and secrets; it is not stored yet."""
    return Project(
        app_id=AppId(secrets.randbelow(2**32 - 1) + 1),
        name=check_name(name),
        app_sign=secrets.token_hex(32),
        server_secret="".join(secrets.choice(_SECRET_ALPHABET) for _ in range(32)),
        l3=l3,
        max_plays=check_max_plays(max_plays),
        created=int(now),
    )


def check_max_plays(value: int) -> int:
    """Return ``value`` when a project may have it, else 1000017."""
    if not 1 <= value <= LARGEST_MAX_PLAYS:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER, f"max_plays is {value}, 1 to {LARGEST_MAX_PLAYS} allowed"
        )
    return value


def check_name(name: str) -> str:
    """Return a project name without surrounding blanks; 1000017 when empty or longer than 64 characters."""
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER, f"a project name has 1 to {MAX_NAME} printable characters"
        )
    return name


class Storage(Protocol):
    """Where projects live. Every read sees what another process has committed."""

    async def open(self) -> None:
        """Make ready for use; brings the schema up to date."""

    async def aclose(self) -> None:
        """Release everything. Idempotent."""

    async def check(self) -> None:
        """Do one cheap read; raises when the storage cannot be used."""

    async def project(self, app_id: int) -> Project | None:
        """Return a project, or None when there is no such AppID."""

    async def projects(self) -> list[Project]:
        """Return all projects, oldest first."""

    async def create_project(
        self, name: str, *, l3: bool = False, max_plays: int = DEFAULT_MAX_PLAYS
    ) -> Project:
        """Store and return a new project."""

    async def update_project(
        self,
        app_id: int,
        *,
        name: str | None = None,
        l3: bool | None = None,
        max_plays: int | None = None,
        settings: dict[str, Any] | None = None,
    ) -> Project:
        """Change what is not None, of the settings those named; return the project.

        1001004 when there is no such AppID, 1000017 for values it may not have.
        """
