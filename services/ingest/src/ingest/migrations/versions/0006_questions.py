"""What is asked of Chargebee because no event says it, with the codes of coupon sets that documents named before."""

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

PAGE = 1_000
LONGEST_CODE = 200
_TYPES = ("chargebee.invoice.observed", "chargebee.credit_note.observed")


class _Discount(msgspec.Struct):
    coupon_set_code: str | None = None


class _Resource(msgspec.Struct):
    discounts: list[_Discount] | None = None


class _Fact(msgspec.Struct):
    site: str
    resource: _Resource


class _Envelope(msgspec.Struct):
    data: _Fact


_envelopes = msgspec.json.Decoder(_Envelope)


def upgrade() -> None:
    table = op.create_table(
        "questions",
        sa.Column("site", sa.String(100), primary_key=True),
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("resource_id", sa.String(200), primary_key=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before", sa.Float(53), nullable=False),
    )
    connection = op.get_bind()
    log = sa.table("event_log", *map(sa.column, ("sequence", "type", "body")))
    found: set[tuple[str, str]] = set()
    after = 0
    while True:
        facts = sa.select(log.c.sequence, log.c.body).where(log.c.sequence > after, log.c.type.in_(_TYPES))
        page = connection.execute(facts.order_by(log.c.sequence).limit(PAGE)).all()
        for row in page:
            fact = _envelopes.decode(row.body).data
            codes = (each.coupon_set_code for each in fact.resource.discounts or ())
            found.update((fact.site, code) for code in codes if code and len(code) <= LONGEST_CODE)
        if len(page) < PAGE:
            break
        after = page[-1].sequence
    rows = [
        {"site": site, "kind": "coupon_code", "resource_id": code, "attempts": 0, "not_before": 0.0}
        for site, code in sorted(found)
    ]
    if rows:
        connection.execute(table.insert(), rows)
