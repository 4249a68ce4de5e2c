"""Why a PDF is not attached, in Dutch, too."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("documents", sa.Column("pdf_sentence_nl", sa.Text, nullable=False, server_default=""))
