"""Accounts of Exact that others made, by what they can be recognised by; and what was last sent of a customer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("origin", sa.Text(), nullable=False, server_default="created"))
    op.add_column("accounts", sa.Column("link", sa.Text(), nullable=True))
    op.add_column("accounts", sa.Column("sent", sa.LargeBinary(), nullable=True))
    op.create_index("accounts_by_id", "accounts", ["division", "account_id"])
    op.create_table(
        "exact_accounts",
        sa.Column("division", sa.BigInteger(), primary_key=True),
        sa.Column("account_id", sa.Text(), primary_key=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "account_marks",
        sa.Column("division", sa.BigInteger(), primary_key=True),
        sa.Column("source_id", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), primary_key=True),
        sa.Column("account_id", sa.Text(), nullable=False),
    )
    op.create_index("account_marks_value", "account_marks", ["division", "kind", "value"])
    # Only search codes were kept of accounts until now: they are read anew, with everything else.
    op.execute("DELETE FROM master_data WHERE kind = 'account'")
    op.execute("DELETE FROM mirror_state WHERE kind = 'account'")
