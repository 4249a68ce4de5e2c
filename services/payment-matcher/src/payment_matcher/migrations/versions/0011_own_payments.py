"""Payments of ours as Chargebee shows them, so that a lost database learns again what stands there."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "own_payments",
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("transaction_id", sa.Text, primary_key=True),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("resource_version", sa.BigInteger, nullable=False),
        sa.Column("stands", sa.Boolean, nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("paid_on", sa.Date),
        sa.Column("numbers", sa.LargeBinary, nullable=False),
    )
    op.create_index("own_payments_reference", "own_payments", ["reference"])
    op.create_index("own_payments_day", "own_payments", ["paid_on"])
