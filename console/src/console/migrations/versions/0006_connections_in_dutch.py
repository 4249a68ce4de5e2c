"""Why a division is not connected, in Dutch, too."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("connections", sa.Column("reason_nl", sa.Text, nullable=False, server_default=""))
