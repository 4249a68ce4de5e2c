"""What waits for an entry of mode ledger is read by class, so that history behind today's is not read over and over."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("commands_batch_key", table_name="commands")
    op.create_index("commands_batch_key", "commands", ["division", "is_open", "batch_key", "work_class", "sequence"])
