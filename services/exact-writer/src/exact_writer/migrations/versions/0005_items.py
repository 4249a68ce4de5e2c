"""The items that lines of sales invoices name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "items",
        sa.Column("division", sa.BigInteger(), primary_key=True),
        sa.Column("code", sa.Text(), primary_key=True),
        sa.Column("item_id", sa.Text(), nullable=False),
    )
