"""Several customers of Chargebee may share one account in Exact, so the customer belongs to the key of who owns it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "account_owners",
        sa.Column("division", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("customer_id", sa.Text, primary_key=True),
    )
    # The old table kept the customer who was seen last; the others still stand beside their invoices.
    op.execute(
        "INSERT INTO account_owners (division, account_id, site, customer_id) "
        "SELECT division, account_id, site, customer_id FROM accounts UNION "
        "SELECT t.division, t.account_id, i.site, i.customer_id FROM terms t "
        "JOIN invoices i ON i.site = t.site AND i.number = t.number WHERE t.account_id <> '' AND i.customer_id <> ''"
    )
    op.drop_table("accounts")
