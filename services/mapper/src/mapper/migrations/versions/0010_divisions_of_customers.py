"""The divisions that a customer was sent to, found without reading all customers."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("accounts_of_customer", "accounts", ["customer_ref"])
