"""What Chargebee still has to give of each credit note, so that one of which Exact has less open is told."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "credit_notes",
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("resource_version", sa.BigInteger, nullable=False),
        sa.Column("available_minor", sa.BigInteger, nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
    )
    available = sa.text("available_minor > 0")
    op.create_index(
        "credit_notes_available", "credit_notes", ["site", "number"], sqlite_where=available, postgresql_where=available
    )
