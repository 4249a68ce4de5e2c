"""The date of each document, so that those of some days are found without reading all of them."""

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

PAGE = 1_000
_TYPES = tuple(f"chargebee.{kind}.observed" for kind in ("invoice", "credit_note", "transaction"))
_LAST_SECOND = 253_402_300_799


class _Resource(msgspec.Struct):
    date: int | None = None


class _Fact(msgspec.Struct):
    resource: _Resource


class _Envelope(msgspec.Struct):
    data: _Fact


_envelopes = msgspec.json.Decoder(_Envelope)


def upgrade() -> None:
    op.add_column("resource_versions", sa.Column("dated_at", sa.BigInteger, nullable=True))
    connection = op.get_bind()
    log = sa.table("event_log", *map(sa.column, ("sequence", "stream", "type", "body")))
    known = sa.table("resource_versions", *map(sa.column, ("site", "kind", "resource_id", "dated_at")))
    where = [known.c[name] == sa.bindparam(f"the_{name}") for name in ("site", "kind", "resource_id")]
    change = sa.update(known).where(*where).values(dated_at=sa.bindparam("the_date"))
    after = 0
    while True:
        facts = sa.select(log.c.sequence, log.c.stream, log.c.body).where(log.c.sequence > after, log.c.type.in_(_TYPES))
        page = connection.execute(facts.order_by(log.c.sequence).limit(PAGE)).all()
        # Versions of a resource come in their order, and the last one stays.
        dates = {row.stream: _envelopes.decode(row.body).data.resource.date for row in page}
        rows = [
            {**dict(zip(("the_site", "the_kind", "the_resource_id"), stream.split("/", 2), strict=True)), "the_date": date}
            for stream, date in dates.items()
            if date is not None and 0 <= date <= _LAST_SECOND
        ]
        if rows:
            connection.execute(change, rows)
        if len(page) < PAGE:
            break
        after = page[-1].sequence
    op.create_index("resource_versions_dated", "resource_versions", ["dated_at"])
