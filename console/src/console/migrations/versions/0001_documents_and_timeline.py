"""The event log and its companions, the documents, their timelines and the connections to Exact."""

import sqlalchemy as sa
from alembic import op

from backbone import tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    tables.create_common(op)
    op.create_table(
        "documents",
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("suffix", sa.Text, primary_key=True),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("decimals", sa.Integer, nullable=False),
        sa.Column("total_minor", sa.BigInteger, nullable=False),
        sa.Column("document_date", sa.Date),
        sa.Column("division", sa.Integer),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("stated_at_us", sa.BigInteger, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("entry_id", sa.Text, nullable=False),
        sa.Column("entry_number", sa.BigInteger),
        sa.Column("journal", sa.Text, nullable=False),
        sa.Column("receipt", sa.Text, nullable=False),
        sa.Column("receipt_sentence", sa.Text, nullable=False),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
    )
    op.create_index("documents_by_number", "documents", ["number"])
    op.create_index("documents_by_state", "documents", ["state", "kind"])
    op.create_table(
        "timeline",
        sa.Column("message_id", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("time_us", sa.BigInteger, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
    )
    op.create_index("timeline_by_subject", "timeline", ["subject", "time_us"])
    op.create_table(
        "connections",
        sa.Column("division", sa.Integer, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("stated_at_us", sa.BigInteger, nullable=False),
    )
