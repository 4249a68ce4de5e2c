"""The event log and its companions, resources, documents, customers' fingerprints and periods."""

import sqlalchemy as sa
from alembic import op

from backbone import tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    tables.create_common(op)
    op.create_table(
        "resources",
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("resource_version", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "documents",
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("suffix", sa.Text, primary_key=True),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("division", sa.Integer),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("code", sa.Text),
        sa.Column("waits_for", sa.Text),
        sa.Column("fingerprint", sa.Text),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("command_id", sa.Text),
        sa.Column("command", sa.LargeBinary),
        sa.Column("mapping_version", sa.Text),
    )
    op.create_index("documents_waiting", "documents", ["site", "waits_for"])
    op.create_index("documents_of_command", "documents", ["command_id"])
    op.create_index("documents_of_customer", "documents", ["site", "customer_id", "state"])
    op.create_index("documents_by_state", "documents", ["state", "mapping_version"])
    op.create_table(
        "accounts",
        sa.Column("division", sa.Integer, primary_key=True),
        sa.Column("customer_ref", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("refusal", sa.Text),
    )
    op.create_table(
        "periods",
        sa.Column("division", sa.Integer, primary_key=True),
        sa.Column("journal", sa.Text, primary_key=True),
        sa.Column("year", sa.Integer, primary_key=True),
        sa.Column("period", sa.Integer, primary_key=True),
        sa.Column("starts", sa.Date, nullable=False),
        sa.Column("ends", sa.Date, nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
    )
