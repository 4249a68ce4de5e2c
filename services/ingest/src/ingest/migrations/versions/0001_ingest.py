"""The event log of ingest, the versions of resources it has seen, and what it could not read."""

import sqlalchemy as sa
from alembic import op

from backbone import tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    tables.create_common(op)
    op.create_table(
        "resource_versions",
        sa.Column("site", sa.String(100), primary_key=True),
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("resource_id", sa.String(200), primary_key=True),
        sa.Column("resource_version", sa.BigInteger, nullable=False),
        sa.Column("facts", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "unreadable_events",
        sa.Column("site", sa.String(100), primary_key=True),
        sa.Column("event_id", sa.String(100), primary_key=True),
        sa.Column("path", sa.String(300), primary_key=True),
        sa.Column("event_type", sa.String(100), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
    )
