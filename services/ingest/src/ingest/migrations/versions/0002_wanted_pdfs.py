"""PDFs that a writer wants and that are to be fetched from Chargebee."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "wanted_pdfs",
        sa.Column("request_id", sa.String(100), primary_key=True),
        sa.Column("wish_id", sa.String(100), nullable=False),
        sa.Column("division", sa.BigInteger, nullable=False),
        sa.Column("site", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("number", sa.String(200), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before", sa.Float(53), nullable=False),
    )
