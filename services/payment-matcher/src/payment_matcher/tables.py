"""The service's own tables: what is known of Chargebee's invoices, and one row for each payment it means to record."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

invoices = sa.Table(
    "invoices",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("number", sa.Text, primary_key=True),
    sa.Column("resource_version", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("amount_due_minor", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
)

# Bookings of invoices that were taken back by a reversal; what settles those is no money.
booked_back = sa.Table(
    "booked_back",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("number", sa.Text, primary_key=True),
    sa.Column("suffix", sa.Text, primary_key=True),
)

# The parts of each receivable of ours in Exact, negative where we owe; `is_matched` says that Exact settled it with something.
terms = sa.Table(
    "terms",
    metadata,
    sa.Column("division", sa.Integer, primary_key=True),
    sa.Column("term_id", sa.Text, primary_key=True),
    sa.Column("site", sa.Text, nullable=False),
    sa.Column("number", sa.Text, nullable=False),
    sa.Column("suffix", sa.Text, nullable=False),
    sa.Column("timestamp", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("amount_hundredths", sa.BigInteger, nullable=False),
    sa.Column("is_matched", sa.Boolean, nullable=False),
)
sa.Index("terms_of_document", terms.c.site, terms.c.number, terms.c.suffix)
sa.Index("terms_of_account", terms.c.division, terms.c.account_id)

# How much of each credit note Chargebee still has to give.
credit_notes = sa.Table(
    "credit_notes",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("number", sa.Text, primary_key=True),
    sa.Column("resource_version", sa.BigInteger, nullable=False),
    sa.Column("available_minor", sa.BigInteger, nullable=False),
)

# planned: the receipt is known, nothing is fixed yet. prepared: amount and date are fixed, the call may have been made.
# recorded, not_recorded: the two ends.
intents = sa.Table(
    "intents",
    metadata,
    sa.Column("reference", sa.Text, primary_key=True),
    sa.Column("division", sa.Integer, nullable=False),
    sa.Column("term_id", sa.Text, nullable=False),
    sa.Column("site", sa.Text, nullable=False),
    sa.Column("number", sa.Text, nullable=False),
    sa.Column("cause", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("paid_at", sa.BigInteger),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due_at_ms", sa.BigInteger, nullable=False),
    sa.Column("outcome", sa.Text),
    sa.Column("last_error", sa.Text),
    sa.Column("transaction_id", sa.Text),
    sa.Column("amount_minor", sa.BigInteger),
)
_still_open = intents.c.outcome.is_(None)
sa.Index("intents_due", intents.c.due_at_ms, sqlite_where=_still_open, postgresql_where=_still_open)
