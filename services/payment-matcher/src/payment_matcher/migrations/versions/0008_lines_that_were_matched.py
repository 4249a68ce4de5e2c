"""Whether Exact ever took back what it had matched of a bank line: then only a person decides about it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("bank_lines", sa.Column("was_matched", sa.Boolean, nullable=False, server_default=sa.false()))
