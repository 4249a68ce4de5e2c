"""Bank lines that Exact did not match, and what is known of invoices, accounts and IBANs to say what they pay."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for name in ("customer_id", "currency"):
        op.add_column("invoices", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.add_column("invoices", sa.Column("total_minor", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("invoices", sa.Column("due_on", sa.Date))
    due = sa.text("amount_due_minor > 0")
    op.create_index("invoices_due", "invoices", ["site", "number"], sqlite_where=due, postgresql_where=due)
    op.create_index("intents_term", "intents", ["division", "term_id"])
    op.create_table(
        "customers",
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("customer_id", sa.Text, primary_key=True),
        sa.Column("resource_version", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
    )
    op.create_table(
        "accounts",
        sa.Column("division", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
    )
    op.create_table(
        "known_ibans",
        sa.Column("division", sa.Integer, primary_key=True),
        sa.Column("iban", sa.Text, primary_key=True),
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("customer_id", sa.Text, primary_key=True),
    )
    op.create_table(
        "bank_lines",
        sa.Column("division", sa.Integer, primary_key=True),
        sa.Column("line_id", sa.Text, primary_key=True),
        sa.Column("entry_id", sa.Text, nullable=False),
        sa.Column("entry_number", sa.BigInteger, nullable=False),
        sa.Column("journal", sa.Text, nullable=False),
        sa.Column("day", sa.Date),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("gl_account", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("account_name", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("iban", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("base_hundredths", sa.BigInteger, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("proposals", sa.LargeBinary, nullable=False),
        sa.Column("is_certain", sa.Boolean, nullable=False),
    )
    op.create_table(
        "bank_line_parts",
        sa.Column("division", sa.Integer, primary_key=True),
        sa.Column("part_id", sa.Text, primary_key=True),
        sa.Column("line_id", sa.Text, nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("amount_hundredths", sa.BigInteger, nullable=False),
        sa.Column("is_matched", sa.Boolean, nullable=False),
        sa.Column("is_gone", sa.Boolean, nullable=False),
    )
    op.create_index("bank_lines_state", "bank_lines", ["state", "division"])
    op.create_index("bank_line_parts_of", "bank_line_parts", ["division", "line_id"])
