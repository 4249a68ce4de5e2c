"""Entries that somebody else booked are linked: found in the ledger by reference, by account and day, or by number."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("commands", sa.Column("is_linked", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ledger_lines_relation", "ledger_lines", ["division", "relation_id", "day"])
    op.create_index("ledger_lines_number", "ledger_lines", ["division", "entry_number"])
