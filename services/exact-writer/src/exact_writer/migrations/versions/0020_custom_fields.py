"""Exact's own custom fields of accounts: what is to stand there, and what does."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_table(
        "custom_fields",
        sa.Column("division", sa.BigInteger(), primary_key=True),
        sa.Column("account_id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("not_before", sa.Float(53), nullable=False, server_default="0"),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
    )
    op.create_index("custom_fields_state", "custom_fields", ["division", "state", "not_before"])
