"""What is reported in another period than its date says."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "moves",
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("suffix", sa.Text, primary_key=True),
        sa.Column("ordinal", sa.Integer, primary_key=True),
        sa.Column("command_id", sa.Text, nullable=False),
        sa.Column("division", sa.Integer, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("journal", sa.Text, nullable=False),
        sa.Column("from_period", sa.Text, nullable=False),
        sa.Column("to_period", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("decimals", sa.Integer, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("vat", sa.Text, nullable=False),
        sa.Column("filed_return", sa.Text),
    )
    op.create_index("moves_by_period", "moves", ["division", "to_period"])
