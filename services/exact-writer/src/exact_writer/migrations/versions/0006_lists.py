"""Lists of documents that hang on entries of mode ledger: files of the writer's own, beside the PDFs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attachments", sa.Column("of_command", sa.Text(), nullable=True))
    op.add_column("attachments", sa.Column("file_name", sa.Text(), nullable=True))
