"""Documents of which an older release took some of their lines for all are asked for, once."""

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

PAGE = 1_000
_TYPES = ("chargebee.invoice.observed", "chargebee.credit_note.observed")


class _Resource(msgspec.Struct):
    line_items_next_offset: str | None = None


class _Fact(msgspec.Struct):
    resource: _Resource
    deleted: bool = False


class _Envelope(msgspec.Struct):
    data: _Fact


_envelopes = msgspec.json.Decoder(_Envelope)


def upgrade() -> None:
    connection = op.get_bind()
    log = sa.table("event_log", *map(sa.column, ("sequence", "stream", "type", "body")))
    columns = ("site", "kind", "resource_id")
    questions = sa.table("questions", *map(sa.column, (*columns, "attempts", "not_before")))
    parts: set[str] = set()
    after = 0
    while True:
        facts = sa.select(log.c.sequence, log.c.stream, log.c.body).where(log.c.sequence > after, log.c.type.in_(_TYPES))
        page = connection.execute(facts.order_by(log.c.sequence).limit(PAGE)).all()
        for row in page:
            fact = _envelopes.decode(row.body).data
            # Versions of a resource come in their order, and the last one stays.
            is_part = bool(fact.resource.line_items_next_offset) and not fact.deleted
            (parts.add if is_part else parts.discard)(row.stream)
        if len(page) < PAGE:
            break
        after = page[-1].sequence
    asked = {tuple(row) for row in connection.execute(sa.select(*(questions.c[name] for name in columns)))}
    keys = {tuple(stream.split("/", 2)) for stream in parts} - asked
    rows = [{**dict(zip(columns, key, strict=True)), "attempts": 0, "not_before": 0.0} for key in sorted(keys)]
    if rows:
        connection.execute(questions.insert(), rows)
