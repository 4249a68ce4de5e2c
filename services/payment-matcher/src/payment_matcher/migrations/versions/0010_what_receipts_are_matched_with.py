"""What Exact says that a receipt is matched with, now and at first: it may be matched anew between two looks at it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    for name in ("your_ref", "first_your_ref"):
        op.add_column("bank_line_parts", sa.Column(name, sa.Text, nullable=False, server_default=""))
    for name in ("settled_on", "first_settled_on"):
        op.add_column("bank_line_parts", sa.Column(name, sa.Date))
