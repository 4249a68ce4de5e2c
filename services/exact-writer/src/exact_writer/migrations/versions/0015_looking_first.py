"""Until when a division is in doubt about what Exact has, after its database was lost or an older backup was restored."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("divisions", sa.Column("looks_first_until", sa.Float(53), nullable=True))
