"""What Exact's webhooks said, and how our subscriptions stand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "hints",
        sa.Column("sequence", _big, primary_key=True, autoincrement=True),
        sa.Column("division", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("heard_at", sa.Float(53), nullable=False),
    )
    op.create_index("hints_division", "hints", ["division", "sequence"])
    op.create_table(
        "webhook_topics",
        sa.Column("division", sa.BigInteger(), primary_key=True),
        sa.Column("topic", sa.Text(), primary_key=True),
        sa.Column("heard_at", sa.Float(53), nullable=False, server_default="0"),
        sa.Column("state", sa.Text(), nullable=False, server_default=""),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("checked_at", sa.Float(53), nullable=False, server_default="0"),
    )
