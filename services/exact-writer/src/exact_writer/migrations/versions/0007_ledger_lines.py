"""The ledger as Exact shows it, and how far its reading is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ledger_lines",
        sa.Column("division", sa.BigInteger(), primary_key=True),
        sa.Column("line_id", sa.Text(), primary_key=True),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("entry_number", sa.BigInteger(), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("line_type", sa.Integer(), nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sa.Column("journal", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("relation_id", sa.Text(), nullable=True),
        sa.Column("dc_hundredths", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("fc_hundredths", sa.BigInteger(), nullable=False),
        sa.Column("vat_code", sa.Text(), nullable=True),
        sa.Column("vat_fc_hundredths", sa.BigInteger(), nullable=True),
        sa.Column("cost_center", sa.Text(), nullable=True),
        sa.Column("cost_unit", sa.Text(), nullable=True),
        sa.Column("your_ref", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("payment_reference", sa.Text(), nullable=True),
        sa.Column("invoice_number", sa.BigInteger(), nullable=True),
    )
    op.create_index("ledger_lines_entry", "ledger_lines", ["division", "entry_id"])
    op.create_index("ledger_lines_day", "ledger_lines", ["division", "day", "entry_id"])
    op.create_index("ledger_lines_reference", "ledger_lines", ["division", "your_ref"])
    op.create_index("ledger_lines_timestamp", "ledger_lines", ["division", "timestamp"])
    op.create_table(
        "ledger_readings",
        sa.Column("division", sa.BigInteger(), primary_key=True),
        sa.Column("timestamp", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("highest", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("next_page", sa.Text(), nullable=True),
        sa.Column("asks", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("answering", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("answered", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("begun_at", sa.Float(53), nullable=True),
        sa.Column("read_at", sa.Float(53), nullable=True),
    )
