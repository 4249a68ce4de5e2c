"""On whose account a document is booked: its customer's, or the one that Exact needs to match it with what it settles.

In an account hierarchy one customer pays another one's invoices, and a merge moves documents between customers. Exact matches
only within one account, so what settles a booked document follows that document. It only reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec
import sqlalchemy as sa

from bookkeeping.bookings import booking_of
from bookkeeping.documents import CreditNote, Document, Payment, Refund, VatReclaim
from bookkeeping.journal import Entry
from bookkeeping.rejections import Rejection, reject
from contracts import chargebee
from mapper import tables
from mapper.lives import newest_life
from mapper.parties import debtor_of
from mapper.store import ISSUED, Store
from mapper.subjects import Subject

_STRUCTS: dict[str, type[chargebee.Invoice | chargebee.CreditNote]] = {
    "invoice": chargebee.Invoice,
    "credit_note": chargebee.CreditNote,
}


class _Booked(msgspec.Struct, frozen=True):
    """What is read of a command."""

    customer_ref: str


_commands = msgspec.json.Decoder(_Booked)


async def settle_on_accounts(store: Store, subject: Subject, document: Document, name: str) -> Document | Rejection:
    """Say of each part of a payment or refund on whose account the document stands that it settles.

    A payer with others in its hierarchy waits for an invoice that is not known yet, since it may be another one's.
    """
    if not isinstance(document, Payment | Refund) or not document.settlements:
        return document
    site, settlements = subject.key.site, []
    kinds = ("invoice",) if isinstance(document, Payment) else ("credit_note", "invoice")
    for settled in document.settlements:
        holder = await _holder_of(store, site, kinds, settled.number)
        in_hierarchy = subject.customer is not None and subject.customer.relationship is not None
        must_know = in_hierarchy and isinstance(document, Payment)
        if holder is None and must_know and await store.stand_still():
            holder = await _holder_of(store, site, kinds, settled.number)
        if holder is None and must_know:
            return reject(
                "waiting_for_paid_invoice", waits_for=f"invoice:{settled.number}", invoice=settled.number, document=name
            )
        if holder in (None, document.customer_id):
            settlements.append(settled)
            continue
        customer = await store.resource(site, "customer", holder, chargebee.Customer)
        debtor = debtor_of(customer) if customer is not None else None
        settlements.append(replace(settled, customer_id=holder, debtor=debtor))
    return replace(document, settlements=tuple(settlements))


async def on_account(store: Store, subject: Subject, document: Document, entry: Entry, name: str) -> Entry | Rejection:
    """Say of an entry on whose account it is booked when that is not its document's own customer.

    A credit note follows its invoice. Documents of a customer that was merged into another go to that one.
    """
    site, customer_id = subject.key.site, subject.ref.customer_id
    note = document.note if isinstance(document, VatReclaim) else document
    holder: str | None = None
    if isinstance(note, CreditNote) and note.reference_invoice is not None:
        holder = await _booked_on(store, site, "invoice", note.reference_invoice)
    if holder is None and subject.customer is not None and subject.customer.deleted:
        holder = await store.survivor(site, customer_id)
        has_account = holder is not None or await _has_account(store, subject)
        if not has_account and await store.stand_still():
            holder = await store.survivor(site, customer_id)
        if holder is None and not has_account:
            return reject("customer_gone", customer=customer_id, document=name, division=subject.division)
    if holder not in (None, customer_id):
        entry = replace(entry, customer_id=holder)
    for needed in entry.customers(customer_id):
        known = subject.customer if needed == customer_id else await store.resource(site, "customer", needed, chargebee.Customer)
        if known is None and needed != customer_id and await store.stand_still():
            known = await store.resource(site, "customer", needed, chargebee.Customer)
        if known is None:
            return reject("waiting_for_customer", waits_for=f"customer:{needed}", customer=needed, document=name)
    return entry


async def _has_account(store: Store, subject: Subject) -> bool:
    """Tell whether a customer is in the division already, or a person has said which account it is."""
    site, customer_id = subject.key.site, subject.ref.customer_id
    if subject.mapping is None:
        return False
    if subject.mapping.customers.link(site, customer_id) is not None:
        return True
    return await store.account_fingerprint(subject.mapping.division, f"{site}/{customer_id}") is not None


async def _holder_of(store: Store, site: str, kinds: Iterable[str], number: str) -> str | None:
    """Return on whose account a document is booked, or whose it is while it is not; None when it was never seen."""
    for kind in kinds:
        booked = await _booked_on(store, site, kind, number)
        if booked is not None:
            return booked
        resource = await newest_life(store, site, kind, number, _STRUCTS[kind])
        if resource is not None:
            return resource.customer_id
    return None


async def _booked_on(store: Store, site: str, kind: str, number: str) -> str | None:
    """Return on whose account a document's last booking is, of the last document that had the number."""
    table = tables.documents
    statement = sa.select(table.c.suffix, table.c.command).where(
        table.c.site == site, table.c.kind == kind, table.c.number == number, table.c.state.in_(ISSUED)
    )
    rows = [row for row in await store.connection.execute(statement) if row.command is not None]
    if not rows:
        return None
    last = max(rows, key=lambda row: (booking_of(row.suffix).life, booking_of(row.suffix).step))
    return _commands.decode(last.command).customer_ref.split("/", 1)[1]
