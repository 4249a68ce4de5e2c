"""Which bank line a payment term is of, and whether the pages of the ledger came in the order of their row versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("receivables", sa.Column("line_id", sa.Text(), nullable=True))
    # The lines of terms that are kept come by reading them once more; what was told of them is not told anew.
    op.execute("DELETE FROM mirror_state WHERE kind = 'payment_term'")
    op.add_column("ledger_readings", sa.Column("until", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("ledger_readings", sa.Column("in_order", sa.Boolean(), nullable=False, server_default=sa.true()))
    # Whether the pages of a reading under way came in order is not known, so it begins once more.
    op.execute("UPDATE ledger_readings SET next_page = NULL")
