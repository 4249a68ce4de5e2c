"""The bookings of invoices that were taken back by a reversal."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "booked_back",
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("suffix", sa.Text, primary_key=True),
    )
