"""Sites whose history a person paused."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table("paused_history", sa.Column("site", sa.Text(), primary_key=True))
