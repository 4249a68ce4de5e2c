"""What Exact does with a key that a client gives."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "client_keys",
        sa.Column("endpoint", sa.Text(), primary_key=True),
        sa.Column("trait", sa.Text(), nullable=False),
        sa.Column("division", sa.BigInteger(), nullable=False),
        sa.Column("tried_at", sa.Float(53), nullable=False),
    )
