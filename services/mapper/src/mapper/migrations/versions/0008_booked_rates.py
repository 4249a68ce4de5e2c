"""The rate that Exact booked an entry in another currency at, where the entry named none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("documents", sa.Column("exchange_rate", sa.Text(), nullable=True))
