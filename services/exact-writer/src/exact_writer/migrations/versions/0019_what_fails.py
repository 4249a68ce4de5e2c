"""What a restart must not forget of an Exact that fails: the writes in a row, and the tries to renew the tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("divisions", sa.Column("failing", sa.LargeBinary(), nullable=True))
    op.add_column("tokens", sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("tokens", sa.Column("retry_at", sa.Float(53), nullable=False, server_default="0"))
