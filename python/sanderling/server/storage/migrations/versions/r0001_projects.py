"""The projects table."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "projects",
        sa.Column("app_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("app_sign", sa.String(64), nullable=False),
        sa.Column("server_secret", sa.String(32), nullable=False),
        sa.Column("l3", sa.Boolean, nullable=False),
        sa.Column("max_plays", sa.Integer, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.CheckConstraint("app_id > 0 AND app_id < 4294967296", name="projects_app_id_uint32"),
        sa.CheckConstraint("max_plays >= 1 AND max_plays <= 16", name="projects_max_plays_range"),
    )


def downgrade() -> None:
    """Go back to an empty database."""
    op.drop_table("projects")
