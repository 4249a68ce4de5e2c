"""Which version of a resource was booked, which change was told, and that a resource was deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("documents", sa.Column("resource_version", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("documents", sa.Column("told", sa.Text))
    op.add_column("resources", sa.Column("deleted", sa.Boolean, nullable=False, server_default=sa.false()))
