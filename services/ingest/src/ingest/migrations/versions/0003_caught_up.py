"""Up to when the events of each site were asked of Chargebee."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "caught_up",
        sa.Column("site", sa.String(100), primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
