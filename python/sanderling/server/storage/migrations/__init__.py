"""Alembic environment and revisions of the storage."""
