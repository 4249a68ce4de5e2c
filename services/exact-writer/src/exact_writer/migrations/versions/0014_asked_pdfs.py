"""PDFs that a person asked for go first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attachments", sa.Column("is_asked", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("attachments_asked", "attachments", ["division", "is_open", "is_asked", "state", "sequence"])
