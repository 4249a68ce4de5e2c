"""The mapper's own tables: the newest version of each resource, what became of each document, customers and periods."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

# The newest observed version of everything that booking looks at; `body` is the fact's data as it came. A number that was
# used again after a deletion has a row for each document that had it (`lives.py`).
resources = sa.Table(
    "resources",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("resource_version", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False, server_default=sa.false()),
)

# One row a booking; `bookkeeping.bookings` says what the suffixes are. `resource_version` is the version of the resource that
# was booked, `told` the fingerprint of a change that a person was told of, `waiting_since` the day on which it began to wait,
# `exchange_rate` the rate that Exact booked it at, in decimals. `entry_date` is that of the command, to find those of some days.
# state: held (a person or a mapping), waiting (passes by itself), set_aside, planned, booked, refused.
documents = sa.Table(
    "documents",
    metadata,
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
    sa.Column("resource_version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("told", sa.Text),
    sa.Column("waiting_since", sa.Date),
    sa.Column("exchange_rate", sa.Text),
    sa.Column("entry_date", sa.Date),
)
sa.Index("documents_waiting", documents.c.site, documents.c.waits_for)
sa.Index("documents_of_command", documents.c.command_id)
sa.Index("documents_of_customer", documents.c.site, documents.c.customer_id, documents.c.state)
sa.Index("documents_of_days", documents.c.division, documents.c.entry_date)
sa.Index("documents_by_state", documents.c.state, documents.c.mapping_version)

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("division", sa.Integer, primary_key=True),
    sa.Column("customer_ref", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("refusal", sa.Text),  # Exact's words about the customer as it was last sent
    sa.Column("refusal_nl", sa.Text),  # the same in Dutch, where they were our own
    sa.Column("refusal_code", sa.Text),
)
sa.Index("accounts_of_customer", accounts.c.customer_ref)

# Into which customer another one was merged, learned from a document that moved.
merged_customers = sa.Table(
    "merged_customers",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("survivor_id", sa.Text, nullable=False),
)

periods = sa.Table(
    "periods",
    metadata,
    sa.Column("division", sa.Integer, primary_key=True),
    sa.Column("journal", sa.Text, primary_key=True),
    sa.Column("year", sa.Integer, primary_key=True),
    sa.Column("period", sa.Integer, primary_key=True),
    sa.Column("starts", sa.Date, nullable=False),
    sa.Column("ends", sa.Date, nullable=False),
    sa.Column("is_open", sa.Boolean, nullable=False),
    sa.Column("known_until", sa.Date),  # the last day of Exact's list when this period was told
)
