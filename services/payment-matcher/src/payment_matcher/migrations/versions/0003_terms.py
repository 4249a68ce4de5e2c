"""The parts that Exact splits a receivable into, and which transaction of Chargebee a recorded payment became."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "terms",
        sa.Column("division", sa.Integer, primary_key=True),
        sa.Column("term_id", sa.Text, primary_key=True),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("suffix", sa.Text, nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("amount_hundredths", sa.BigInteger, nullable=False),
        sa.Column("is_matched", sa.Boolean, nullable=False),
    )
    op.create_index("terms_of_document", "terms", ["site", "number", "suffix"])
    op.create_index("terms_of_account", "terms", ["division", "account_id"])
    op.create_table(
        "credit_notes",
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("resource_version", sa.BigInteger, nullable=False),
        sa.Column("available_minor", sa.BigInteger, nullable=False),
    )
    op.add_column("intents", sa.Column("transaction_id", sa.Text))
    op.add_column("intents", sa.Column("amount_minor", sa.BigInteger))
