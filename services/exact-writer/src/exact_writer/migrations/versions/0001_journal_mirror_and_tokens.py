"""The command journal, the mirror, the tokens and the budget of each division."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from backbone import tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_seconds = sa.Float(53)


def upgrade() -> None:
    tables.create_common(op)
    _create_commands()
    _create_mirror()
    _create_connection()


def _create_commands() -> None:
    op.create_table(
        "commands",
        sa.Column("sequence", _big, primary_key=True, autoincrement=True),
        sa.Column("command_id", sa.Text(), nullable=False, unique=True),
        sa.Column("division", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("customer_ref", sa.Text(), nullable=False),
        sa.Column("your_ref", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("not_before", _seconds, nullable=False, server_default="0"),
        sa.Column("planned_at", _seconds, nullable=False),
        sa.Column("sent_at", _seconds, nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=True),
        sa.Column("exact_id", sa.Text(), nullable=True),
        sa.Column("exact_number", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
    )
    op.create_index("commands_open", "commands", ["division", "is_open", "sequence"])
    op.create_index("commands_customer", "commands", ["division", "customer_ref", "is_open", "sequence"])
    op.create_index("commands_exact_id", "commands", ["division", "exact_id"])
    op.create_table(
        "accounts",
        sa.Column("division", sa.BigInteger(), primary_key=True),
        sa.Column("customer_ref", sa.Text(), primary_key=True),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
    )


def _create_mirror() -> None:
    op.create_table(
        "master_data",
        sa.Column("division", sa.BigInteger(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("code", sa.Text(), primary_key=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "mirror_state",
        sa.Column("division", sa.BigInteger(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("timestamp", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("read_at", _seconds, nullable=False),
    )
    op.create_table(
        "receivables",
        sa.Column("division", sa.BigInteger(), primary_key=True),
        sa.Column("term_id", sa.Text(), primary_key=True),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
    )
    op.create_index("receivables_entry", "receivables", ["division", "entry_id"])


def _create_connection() -> None:
    op.create_table(
        "tokens",
        sa.Column("client_id", sa.Text(), primary_key=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("obtained_at", _seconds, nullable=False),
        sa.Column("expires_in_seconds", _seconds, nullable=False),
        sa.Column("consent_needed", sa.Text(), nullable=True),
    )
    op.create_table(
        "oauth_states",
        sa.Column("state", sa.Text(), primary_key=True),
        sa.Column("created_at", _seconds, nullable=False),
    )
    op.create_table(
        "divisions",
        sa.Column("division", sa.BigInteger(), primary_key=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("budget", sa.LargeBinary(), nullable=True),
        sa.Column("connection_state", sa.Text(), nullable=True),
        sa.Column("connection_reason", sa.Text(), nullable=True),
    )
    op.create_table(
        "counted_errors",
        sa.Column("sequence", _big, primary_key=True, autoincrement=True),
        sa.Column("division", sa.BigInteger(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("at", _seconds, nullable=False),
    )
    op.create_index("counted_errors_at", "counted_errors", ["division", "at"])
