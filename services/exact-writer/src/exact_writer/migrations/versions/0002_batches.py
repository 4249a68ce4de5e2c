"""Commands of mode ledger that are sent together: what fits together, and which call they were sent with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("commands", sa.Column("batch_key", sa.Text(), nullable=True))
    op.add_column("commands", sa.Column("batch_id", sa.Text(), nullable=True))
    op.create_index("commands_batch_key", "commands", ["division", "is_open", "batch_key", "sequence"])
    op.create_index("commands_batch_id", "commands", ["division", "batch_id"])
