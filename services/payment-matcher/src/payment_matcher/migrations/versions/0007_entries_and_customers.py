"""The entry of a receivable, so that a person finds it in Exact, told when it changes; whose payment an intent is."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("terms", sa.Column("entry_id", sa.Text, nullable=False, server_default=""))
    op.add_column("terms", sa.Column("entry_number", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("intents", sa.Column("customer_id", sa.Text, nullable=False, server_default=""))
