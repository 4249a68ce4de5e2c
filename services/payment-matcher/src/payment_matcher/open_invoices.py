"""The invoices that a division's bank lines may pay, as Chargebee and Exact showed them last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bookkeeping.matching import OpenInvoice
from bookkeeping.money import decimals_of
from contracts.facts import DocumentRef
from payment_matcher.decision import PAYABLE_STATUSES
from payment_matcher.shares import Due
from payment_matcher.tables import customers, invoices, known_ibans, terms

_NO_DAY = date(1970, 1, 1)
SEPARATOR = "/"


def customer_key(site: str, customer_id: str) -> str:
    """Name a customer among those of all sites."""
    return f"{site}{SEPARATOR}{customer_id}"


def of_key(key: str) -> tuple[str, str]:
    """Return site and customer id of a key; a site's name has no separator."""
    site, _, customer_id = key.partition(SEPARATOR)
    return site, customer_id


async def read(connection: AsyncConnection, division: int) -> list[OpenInvoice]:
    """Read what is due in Chargebee and stands in this division of Exact, unless Exact has all of it matched already."""
    of_invoice = (
        terms.c.site == invoices.c.site,
        terms.c.number == invoices.c.number,
        terms.c.division == division,
        terms.c.kind == "invoice",
        terms.c.is_matched.is_(sa.false()),
    )
    same_customer = (customers.c.site == invoices.c.site) & (customers.c.customer_id == invoices.c.customer_id)
    query = (
        sa.select(invoices, customers.c.name)
        .select_from(invoices.outerjoin(customers, same_customer))
        .where(
            invoices.c.amount_due_minor > 0,
            invoices.c.deleted.is_(sa.false()),
            invoices.c.status.in_(sorted(PAYABLE_STATUSES)),
            sa.exists().where(*of_invoice),
        )
    )
    return [
        OpenInvoice(
            number=row["number"],
            customer_id=customer_key(row["site"], row["customer_id"]),
            customer_name=row["name"] or "",
            due_minor=row["amount_due_minor"],
            currency=row["currency"],
            due_on=row["due_on"] or _NO_DAY,
        )
        for row in (await connection.execute(query.order_by(invoices.c.due_on, invoices.c.number))).mappings()
    ]


async def ibans(connection: AsyncConnection, division: int) -> list[tuple[str, str]]:
    """Read the IBANs that customers paid from before."""
    rows = await connection.execute(sa.select(known_ibans).where(known_ibans.c.division == division))
    return [(row.iban, customer_key(row.site, row.customer_id)) for row in rows]


async def dues(connection: AsyncConnection, numbers: Sequence[str], site: str | None) -> dict[str, list[Due]]:
    """Find invoices by number, with what is due on each; several where sites share a number."""
    query = sa.select(invoices).where(invoices.c.number.in_(numbers), invoices.c.deleted.is_(sa.false()))
    if site is not None:
        query = query.where(invoices.c.site == site)
    found: dict[str, list[Due]] = {number: [] for number in numbers}
    for row in (await connection.execute(query)).mappings():
        document = DocumentRef(
            site=row["site"],
            kind="invoice",
            number=row["number"],
            customer_id=row["customer_id"],
            currency=row["currency"],
            total_minor=row["total_minor"],
            decimals=decimals_of(row["currency"]),
        )
        payable = row["status"] in PAYABLE_STATUSES
        found[row["number"]].append(Due(document, row["amount_due_minor"] if payable else 0))
    return found
