"""The event log and its companions, the invoices as last observed, and the payments to record."""

import sqlalchemy as sa
from alembic import op

from backbone import tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    tables.create_common(op)
    op.create_table(
        "invoices",
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("resource_version", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("amount_due_minor", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "intents",
        sa.Column("reference", sa.Text, primary_key=True),
        sa.Column("division", sa.Integer, nullable=False),
        sa.Column("term_id", sa.Text, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("cause", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("paid_at", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at_ms", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("last_error", sa.Text),
    )
    still_open = sa.text("outcome IS NULL")
    op.create_index("intents_due", "intents", ["due_at_ms"], sqlite_where=still_open, postgresql_where=still_open)
