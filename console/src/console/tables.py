"""The console's own tables: how each document stands, what happened to it, and whether Exact can be reached."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("number", sa.Text, primary_key=True),
    sa.Column("suffix", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("decimals", sa.Integer, nullable=False),
    sa.Column("total_minor", sa.BigInteger, nullable=False),
    sa.Column("document_date", sa.Date),
    sa.Column("division", sa.Integer),
    sa.Column("state", sa.Text, nullable=False),
    # When the statement was made that the state follows from, in microseconds since 1970: an older one never replaces it.
    sa.Column("stated_at_us", sa.BigInteger, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("sentence", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("entry_id", sa.Text, nullable=False),
    sa.Column("entry_number", sa.BigInteger),
    sa.Column("journal", sa.Text, nullable=False),
    sa.Column("receipt", sa.Text, nullable=False),
    sa.Column("receipt_sentence", sa.Text, nullable=False),
    sa.Column("pdf", sa.Text, nullable=False, server_default=""),
    sa.Column("pdf_sentence", sa.Text, nullable=False, server_default=""),
    sa.Column("pdf_sentence_nl", sa.Text, nullable=False, server_default=""),
    sa.Column("pdf_stated_at_us", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("updated_at_us", sa.BigInteger, nullable=False),
    sa.Column("sentence_nl", sa.Text, nullable=False, server_default=""),
    sa.Column("action_nl", sa.Text, nullable=False, server_default=""),
    sa.Column("receipt_sentence_nl", sa.Text, nullable=False, server_default=""),
)
sa.Index("documents_by_number", documents.c.number)
sa.Index("documents_by_state", documents.c.state, documents.c.kind)

timeline = sa.Table(
    "timeline",
    metadata,
    sa.Column("message_id", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("time_us", sa.BigInteger, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("details", sa.Text, nullable=False),
)
sa.Index("timeline_by_subject", timeline.c.subject, timeline.c.time_us)

connections = sa.Table(
    "connections",
    metadata,
    sa.Column("division", sa.Integer, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("stated_at_us", sa.BigInteger, nullable=False),
    sa.Column("reason_nl", sa.Text, nullable=False, server_default=""),
)

moves = sa.Table(
    "moves",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("number", sa.Text, primary_key=True),
    sa.Column("suffix", sa.Text, primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("command_id", sa.Text, nullable=False),
    sa.Column("division", sa.Integer, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("journal", sa.Text, nullable=False),
    sa.Column("from_period", sa.Text, nullable=False),
    sa.Column("to_period", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("decimals", sa.Integer, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    # The VAT by Exact's code, as JSON: {"2": 2100}.
    sa.Column("vat", sa.Text, nullable=False),
    sa.Column("filed_return", sa.Text),
)
sa.Index("moves_by_period", moves.c.division, moves.c.to_period)
