"""Tables as SQLAlchemy sees them. Every change needs a migration beside it (``migrations/versions``)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Integer, MetaData, String, Table, Text

__all__ = ["metadata", "projects"]

metadata = MetaData()

projects = Table(
    "projects",
    metadata,
    # AppIDs are unsigned 32-bit numbers; BIGINT because SQL has no unsigned INTEGER.
    Column("app_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(64), nullable=False),
    Column("app_sign", String(64), nullable=False),
    Column("server_secret", String(32), nullable=False),
    Column("l3", Boolean, nullable=False),
    Column("max_plays", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    # JSON of what differs from the defaults (settings.py).
    Column("settings", Text, nullable=False, server_default="{}"),
    CheckConstraint("app_id > 0 AND app_id < 4294967296", name="projects_app_id_uint32"),
    CheckConstraint("max_plays >= 1 AND max_plays <= 16", name="projects_max_plays_range"),
)
