"""When Exact says that a receivable was paid, and on which account a bank line was matched: what tells whose payment stands."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("intents", sa.Column("doubt", sa.Text))
    op.add_column("terms", sa.Column("paid_on", sa.Date))
    op.add_column("bank_lines", sa.Column("matched_account", sa.Text, nullable=False, server_default=""))
