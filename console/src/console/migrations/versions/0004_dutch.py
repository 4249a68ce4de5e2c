"""What is told of a document in Dutch, too."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for name in ("sentence_nl", "action_nl", "receipt_sentence_nl"):
        op.add_column("documents", sa.Column(name, sa.Text, nullable=False, server_default=""))
