"""What Chargebee wrote off, by its credit notes: money that comes in after all may be of that debt."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.configuration import Configuration
from backbone.database import Database
from bookkeeping.write_offs import normal_reason
from contracts.facts import CreditNoteObserved
from payment_matcher.tables import write_offs as table

WRITE_OFF = "write_off"
_STANDS = "adjusted"


@dataclass(frozen=True)
class WriteOff:
    """A credit note that wrote so much of an invoice off, in minor units."""

    site: str
    number: str
    invoice: str
    customer_id: str
    amount_minor: int


def reasons_of(configuration: Configuration) -> frozenset[str]:
    """Return the reasons of credit notes that write debts off, as the divisions name them."""
    named = [each.write_offs.reasons for each in configuration.divisions.values() if each.write_offs is not None]
    return frozenset({WRITE_OFF, *(normal_reason(reason) or "" for reasons in named for reason in reasons)} - {""})


async def fold(database: Database, connection: AsyncConnection, fact: CreditNoteObserved, reasons: Collection[str]) -> None:
    """Keep the newest state of a write-off; other credit notes are left alone."""
    note = fact.resource
    reason = normal_reason(note.create_reason_code or note.reason_code)
    if note.type != "adjustment" or reason not in reasons:
        return
    row = {
        "resource_version": fact.resource_version,
        "invoice": note.reference_invoice_id or "",
        "customer_id": note.customer_id or "",
        "currency": note.currency_code or "",
        "amount_minor": note.total,
        "stands": note.status == _STANDS and not (fact.deleted or note.deleted),
    }
    insert = database.insert(table).values(site=fact.site, number=note.number, **row)
    newer = table.c.resource_version < fact.resource_version
    await connection.execute(insert.on_conflict_do_update(index_elements=["site", "number"], set_=row, where=newer))


async def of_customer(connection: AsyncConnection, site: str, customer_id: str, currency: str) -> list[WriteOff]:
    """Read what stands written off of a customer, the newest first."""
    mine = (table.c.site == site, table.c.customer_id == customer_id, table.c.currency == currency)
    return await _read(connection, *mine)


async def of_invoices(connection: AsyncConnection, site: str, numbers: Collection[str]) -> list[WriteOff]:
    """Read what stands written off of these invoices of a site, the newest first."""
    return await _read(connection, table.c.site == site, table.c.invoice.in_(sorted(numbers)))


async def _read(connection: AsyncConnection, *conditions: sa.ColumnElement[bool]) -> list[WriteOff]:
    order = (table.c.resource_version.desc(), table.c.number)
    query = sa.select(table).where(*conditions, table.c.stands, table.c.amount_minor > 0)
    rows = await connection.execute(query.order_by(*order))
    return [WriteOff(row.site, row.number, row.invoice, row.customer_id, int(row.amount_minor)) for row in rows]
