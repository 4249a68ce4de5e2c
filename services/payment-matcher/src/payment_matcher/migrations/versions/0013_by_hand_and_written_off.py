"""Payments that somebody recorded by hand in Chargebee, and what was written off there."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "hand_payments",
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("transaction_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("resource_version", sa.BigInteger, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
    )
    op.create_index("hand_payments_invoice", "hand_payments", ["site", "number"])
    op.create_table(
        "write_offs",
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("resource_version", sa.BigInteger, nullable=False),
        sa.Column("invoice", sa.Text, nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("stands", sa.Boolean, nullable=False),
    )
    op.create_index("write_offs_invoice", "write_offs", ["site", "invoice"])
    op.create_index("write_offs_customer", "write_offs", ["site", "customer_id"])
