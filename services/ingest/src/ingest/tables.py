"""The tables of ingest beside its event log: how far each resource was seen, and what could not be read."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Float, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

# Newest version seen of each resource, in milliseconds; `facts` is how many facts its stream holds. `dated_at` is the date of a
# document (unix seconds), so that those of some days are found without reading all of them.
resource_versions = Table(
    "resource_versions",
    metadata,
    Column("site", String(100), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("resource_id", String(200), primary_key=True),
    Column("resource_version", BigInteger, nullable=False),
    Column("facts", BigInteger, nullable=False),
    Column("dated_at", BigInteger, nullable=True),
    Index("resource_versions_dated", "dated_at"),
)

# Parts of stored events that do not fit what we know of Chargebee. The event itself stays in the log.
unreadable_events = Table(
    "unreadable_events",
    metadata,
    Column("site", String(100), primary_key=True),
    Column("event_id", String(100), primary_key=True),
    Column("path", String(300), primary_key=True),
    Column("event_type", String(100), nullable=False),
    Column("reason", Text, nullable=False),
    Column("noted_at", DateTime(timezone=True), nullable=False),
)

# Up to when (unix seconds) the events of each site were asked of Chargebee.
caught_up = Table(
    "caught_up",
    metadata,
    Column("site", String(100), primary_key=True),
    Column("position", BigInteger, nullable=False),
)

# PDFs that a writer wants and that are not on their way to it yet. The file itself is never kept here.
wanted_pdfs = Table(
    "wanted_pdfs",
    metadata,
    Column("request_id", String(100), primary_key=True),
    Column("wish_id", String(100), nullable=False),  # of the message that wants it; a later wish is answered anew
    Column("division", BigInteger, nullable=False),
    Column("site", String(100), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("number", String(200), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", Float(53), nullable=False),  # unix seconds
)

# What is asked of Chargebee because no event says it: the coupon set of a code (kind coupon_code), and the whole of a document
# whose event had only some of its lines.
questions = Table(
    "questions",
    metadata,
    Column("site", String(100), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("resource_id", String(200), primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("not_before", Float(53), nullable=False),  # unix seconds
)

# The backfill of each site that was begun last: documents dated from `after` to just before `before` (unix seconds), where `last`
# is the day that was asked for, if any. state: running, paused (a person said so), done. One that is running and was not heard of
# since `updated_at` (unix seconds) for a while was killed.
backfills = Table(
    "backfills",
    metadata,
    Column("site", String(100), primary_key=True),
    Column("after", BigInteger, nullable=False),
    Column("before", BigInteger, nullable=False),
    Column("last", Date, nullable=True),
    Column("state", String(10), nullable=False),
    Column("updated_at", Float(53), nullable=False),
)

# How far it is with each kind: `next_page` asks Chargebee for what follows, `position` is the date up to which documents came.
backfilled = Table(
    "backfilled",
    metadata,
    Column("site", String(100), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("next_page", Text, nullable=True),
    Column("position", BigInteger, nullable=False),
    Column("listed", BigInteger, nullable=False),
    Column("new", BigInteger, nullable=False),
    Column("unusable", BigInteger, nullable=False),
    Column("is_done", Boolean, nullable=False),
)
