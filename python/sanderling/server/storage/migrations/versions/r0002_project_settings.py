"""Settings of a project, as JSON."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("projects", sa.Column("settings", sa.Text, nullable=False, server_default="{}"))


def downgrade() -> None:
    """Go back to projects without settings."""
    op.drop_column("projects", "settings")
