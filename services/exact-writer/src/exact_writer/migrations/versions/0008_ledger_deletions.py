"""What was deleted of the ledger, who changed a line, and commands by their reference."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ledger_lines", sa.Column("modified_at", sa.Float(53), nullable=True))
    op.add_column("ledger_lines", sa.Column("modifier", sa.Text(), nullable=True))
    op.add_column("ledger_readings", sa.Column("deleted_timestamp", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("ledger_readings", sa.Column("in_deletions", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("ledger_readings", sa.Column("sees_deletions", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_index("commands_your_ref", "commands", ["division", "your_ref"])
