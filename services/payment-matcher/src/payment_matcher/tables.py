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
    sa.Column("customer_id", sa.Text, nullable=False, server_default=""),
    sa.Column("currency", sa.Text, nullable=False, server_default=""),
    sa.Column("total_minor", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("due_on", sa.Date),
)
_due = invoices.c.amount_due_minor > 0
sa.Index("invoices_due", invoices.c.site, invoices.c.number, sqlite_where=_due, postgresql_where=_due)

# What Chargebee still has to give of each credit note.
credit_notes = sa.Table(
    "credit_notes",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("number", sa.Text, primary_key=True),
    sa.Column("resource_version", sa.BigInteger, nullable=False),
    sa.Column("available_minor", sa.BigInteger, nullable=False),
    sa.Column("customer_id", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
)
_available = credit_notes.c.available_minor > 0
sa.Index(
    "credit_notes_available", credit_notes.c.site, credit_notes.c.number, sqlite_where=_available, postgresql_where=_available
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
    sa.Column("entry_id", sa.Text, nullable=False, server_default=""),
    sa.Column("entry_number", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("paid_on", sa.Date),
)
sa.Index("terms_of_document", terms.c.site, terms.c.number, terms.c.suffix)
sa.Index("terms_of_account", terms.c.division, terms.c.account_id)

# planned: the receipt is known, nothing is fixed yet. prepared: amount and date are fixed, the call may have been made.
# recorded, not_recorded: the two ends. `doubt` is what a person was told of a payment that Exact may have no receipt for now.
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
    sa.Column("customer_id", sa.Text, nullable=False, server_default=""),
    sa.Column("doubt", sa.Text),
)
_still_open = intents.c.outcome.is_(None)
sa.Index("intents_due", intents.c.due_at_ms, sqlite_where=_still_open, postgresql_where=_still_open)
sa.Index("intents_term", intents.c.division, intents.c.term_id)

# Payments of Chargebee that carry one of our references, as they were observed: what stands there is known also when this
# database was lost. `numbers` are the invoices that they are on.
own_payments = sa.Table(
    "own_payments",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("transaction_id", sa.Text, primary_key=True),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("resource_version", sa.BigInteger, nullable=False),
    sa.Column("stands", sa.Boolean, nullable=False),
    sa.Column("customer_id", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("paid_on", sa.Date),
    sa.Column("numbers", sa.LargeBinary, nullable=False),
)
sa.Index("own_payments_reference", own_payments.c.reference)
sa.Index("own_payments_day", own_payments.c.paid_on)

# Payments that somebody recorded by hand in Chargebee, on each of their invoices; the row without a number keeps the version.
hand_payments = sa.Table(
    "hand_payments",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("transaction_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Text, primary_key=True),
    sa.Column("resource_version", sa.BigInteger, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
)
sa.Index("hand_payments_invoice", hand_payments.c.site, hand_payments.c.number)

# The credit notes by which Chargebee wrote an invoice off, or a part of it.
write_offs = sa.Table(
    "write_offs",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("number", sa.Text, primary_key=True),
    sa.Column("resource_version", sa.BigInteger, nullable=False),
    sa.Column("invoice", sa.Text, nullable=False),
    sa.Column("customer_id", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("stands", sa.Boolean, nullable=False),
)
sa.Index("write_offs_invoice", write_offs.c.site, write_offs.c.invoice)
sa.Index("write_offs_customer", write_offs.c.site, write_offs.c.customer_id)

# The names that payers may have.
customers = sa.Table(
    "customers",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("resource_version", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
)

# Whose accounts Exact's are (GUIDs): several customers' where a person linked them. From which IBANs customers paid before.
account_owners = sa.Table(
    "account_owners",
    metadata,
    sa.Column("division", sa.Integer, primary_key=True),
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, primary_key=True),
)
known_ibans = sa.Table(
    "known_ibans",
    metadata,
    sa.Column("division", sa.Integer, primary_key=True),
    sa.Column("iban", sa.Text, primary_key=True),
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, primary_key=True),
)

# Bank lines that Exact has on a debtor or a suspense account. open: a person has to decide. accepted: payments are under way.
# recorded, dismissed, settled (by Exact's own matching), gone: the ends. `base_hundredths` is what Exact had matched before the
# first decision, `round` counts decisions. `proposals` are the answers of the ladder, the best first. `was_matched` says that
# Exact took back what it had matched of the line, and `matched_account` on which account it stood when Exact matched it.
bank_lines = sa.Table(
    "bank_lines",
    metadata,
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
    sa.Column("was_matched", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("matched_account", sa.Text, nullable=False, server_default=""),
)
sa.Index("bank_lines_state", bank_lines.c.state, bank_lines.c.division)
# What Exact says that a matched part is settled with, as it shows it now and as it did first since the part was open.
bank_line_parts = sa.Table(
    "bank_line_parts",
    metadata,
    sa.Column("division", sa.Integer, primary_key=True),
    sa.Column("part_id", sa.Text, primary_key=True),
    sa.Column("line_id", sa.Text, nullable=False),
    sa.Column("timestamp", sa.BigInteger, nullable=False),
    sa.Column("amount_hundredths", sa.BigInteger, nullable=False),
    sa.Column("is_matched", sa.Boolean, nullable=False),
    sa.Column("is_gone", sa.Boolean, nullable=False),
    sa.Column("your_ref", sa.Text, nullable=False, server_default=""),
    sa.Column("settled_on", sa.Date),
    sa.Column("first_your_ref", sa.Text, nullable=False, server_default=""),
    sa.Column("first_settled_on", sa.Date),
)
sa.Index("bank_line_parts_of", bank_line_parts.c.division, bank_line_parts.c.line_id)
