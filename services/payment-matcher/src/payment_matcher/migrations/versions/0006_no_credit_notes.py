"""What a credit note settled in Exact is known by its own receivable, whatever Chargebee still has to give of it."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.drop_table("credit_notes")
