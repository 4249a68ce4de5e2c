"""How far Exact's list of periods reaches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("periods", sa.Column("known_until", sa.Date(), nullable=True))
