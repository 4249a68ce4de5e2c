"""How the PDF of each booking stands."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("documents", sa.Column("pdf", sa.Text, nullable=False, server_default=""))
    op.add_column("documents", sa.Column("pdf_sentence", sa.Text, nullable=False, server_default=""))
    op.add_column("documents", sa.Column("pdf_stated_at_us", sa.BigInteger, nullable=False, server_default="0"))
