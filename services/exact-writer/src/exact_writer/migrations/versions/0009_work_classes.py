"""Which class of work a command belongs to and which site it comes from, so that history does not hide today's documents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What waits already keeps its place before history; a later backfill gets its own class.
    op.add_column("commands", sa.Column("work_class", sa.Text(), nullable=False, server_default="today"))
    op.add_column("commands", sa.Column("site", sa.Text(), nullable=False, server_default=""))
    op.execute("UPDATE commands SET work_class = 'master' WHERE kind = 'account'")
    op.create_index("commands_work_class", "commands", ["division", "is_open", "work_class", "site", "sequence"])
    op.create_index("commands_planned", "commands", ["division", "planned_at"])
    op.drop_index("commands_open", "commands")
    op.drop_index("commands_customer", "commands")
    op.create_index("commands_customer", "commands", ["division", "customer_ref", "is_open", "work_class", "sequence"])
