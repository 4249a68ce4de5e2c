"""On whose account a document is booked: its customer's, or the one that Exact needs to match it with what it settles.

In an account hierarchy one customer pays another one's invoices, and a merge moves documents between customers. Exact matches
only within one account, so what settles a booked document follows that document. It only reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from bookkeeping.bookings import booking_of
from bookkeeping.deferral import UnreadableInstantError, local_date
from bookkeeping.documents import CreditNote, Document, ExchangeDifference, MoneyMovement, Payment, Refund, Settlement, VatReclaim
from bookkeeping.journal import Entry
from bookkeeping.rejections import Rejection, reject
from contracts import chargebee
from mapper.lives import newest_life
from mapper.lives import waits_for as booking_to_come
from mapper.parties import debtor_of
from mapper.store import ISSUED, OPEN_STATES, Store
from mapper.subjects import Subject

_STRUCTS: dict[str, type[chargebee.Invoice | chargebee.CreditNote]] = {
    "invoice": chargebee.Invoice,
    "credit_note": chargebee.CreditNote,
}


class _Booked(msgspec.Struct, frozen=True):
    """What is read of a command."""

    customer_ref: str
    exchange_rate: Decimal | None = None
    lines: tuple[_BookedLine, ...] = ()


class _BookedLine(msgspec.Struct, frozen=True):
    amount_minor: int
    is_receivable: bool = False


@dataclass(frozen=True, slots=True)
class Holder:
    """On whose account a document stands, and at which rate where it is in another currency than the division's.

    `shares_minor` are the debtor's lines of money that is booked.
    """

    customer_id: str | None
    exchange_rate: Decimal | None
    shares_minor: tuple[int, ...] = ()


_commands = msgspec.json.Decoder(_Booked)


async def settle_on_accounts(store: Store, subject: Subject, document: Document, name: str) -> Document | Rejection:
    """Say of each part of a payment or refund on whose account the document stands that it settles, and at which rate.

    A payer with others in its hierarchy waits for an invoice that is not known yet, since it may be another one's; so does money
    in another currency, since it is booked at the rate of what it settles. What is booked keeps its rate when it is booked anew:
    what it was applied to since has brought its own differences.
    """
    if not isinstance(document, Payment | Refund | ExchangeDifference):
        return document
    site, settlements, mapping = subject.key.site, [], subject.mapping
    is_payment = isinstance(document, Payment) or (isinstance(document, ExchangeDifference) and not document.went_out)
    is_foreign = mapping is not None and document.currency != mapping.currency and mapping.exchange_rates.policy != "exact"
    in_hierarchy = subject.customer is not None and subject.customer.relationship is not None
    booked = await _booked_on(store, site, "payment" if is_payment else "refund", document.number) if is_foreign else None
    must_know = (in_hierarchy and is_payment) or (is_foreign and booked is None)
    if isinstance(document, ExchangeDifference) and booked is not None:
        shares = (Settlement(number="", amount_minor=each, exchange_rate=booked.exchange_rate) for each in booked.shares_minor)
        return replace(document, settlements=tuple(shares))
    for settled in document.settlements:
        known = await _known(store, subject, document, settled, name, is_foreign=is_foreign, must_know=must_know)
        if isinstance(known, Rejection):
            return known
        settlements += [known] if known is not None else []
    if booked is not None and booked.exchange_rate is not None:
        parts = settlements or [Settlement(number="", amount_minor=document.amount_minor)]
        settlements = [replace(each, exchange_rate=booked.exchange_rate) for each in parts]
    return replace(document, settlements=tuple(settlements))


async def _known(
    store: Store,
    subject: Subject,
    document: MoneyMovement,
    settled: Settlement,
    name: str,
    *,
    is_foreign: bool,
    must_know: bool,
) -> Settlement | Rejection | None:
    """Return a part with the account and the rate of what it settles; None for a payment given back that is not booked here."""
    site = subject.key.site
    if settled.kind == "payment":
        return await _given_back(store, site, settled, name, is_foreign=is_foreign)
    holder = await _holder_of(store, subject, settled)
    if holder is None and must_know:
        store.stand_still()
    if holder is None and must_know:
        waits_for = f"{settled.kind}:{settled.number}"
        return reject("waiting_for_paid_invoice", waits_for=waits_for, invoice=settled.number, document=name)
    if holder is None:
        return settled
    known = replace(settled, exchange_rate=holder.exchange_rate if is_foreign else None)
    if holder.customer_id not in (None, document.customer_id):
        customer = await store.resource(site, "customer", holder.customer_id, chargebee.Customer)
        known = replace(known, customer_id=holder.customer_id, debtor=debtor_of(customer) if customer is not None else None)
    return known


async def _given_back(
    store: Store, site: str, settled: Settlement, name: str, *, is_foreign: bool
) -> Settlement | Rejection | None:
    """Say at which rate the payment stands that a refund gives back; None where that matters not, or it is not booked."""
    if not is_foreign:
        return None
    booked = await _booked_on(store, site, "payment", settled.number)
    if booked is not None:
        return replace(settled, exchange_rate=booked.exchange_rate)
    rows = await store.rows_of(site, "payment", settled.number)
    if not rows:
        store.stand_still()
    if rows and not any(row.state in OPEN_STATES for row in rows):
        return None
    waits = booking_to_come(settled.number)
    return reject("waiting_for_both_bookings", waits_for=waits, document=name, other=f"payment {settled.number}")


async def on_account(store: Store, subject: Subject, document: Document, entry: Entry, name: str) -> Entry | Rejection:
    """Say of an entry on whose account it is booked when that is not its document's own customer.

    A credit note follows its invoice. Documents of a customer that was merged into another go to that one.
    """
    site, customer_id = subject.key.site, subject.ref.customer_id
    if not customer_id:
        return entry  # a payout is nobody's
    note = document.note if isinstance(document, VatReclaim) else document
    holder: str | None = None
    if isinstance(note, CreditNote) and note.reference_invoice is not None:
        booked = await _booked_on(store, site, "invoice", note.reference_invoice)
        holder = booked.customer_id if booked is not None else None
    if holder is None and subject.customer is not None and subject.customer.deleted:
        holder = await store.survivor(site, customer_id)
        has_account = holder is not None or await _has_account(store, subject)
        if not has_account:
            store.stand_still()
        if holder is None and not has_account:
            return reject("customer_gone", customer=customer_id, document=name, division=subject.division)
    if holder not in (None, customer_id):
        entry = replace(entry, customer_id=holder)
    for needed in entry.customers(customer_id):
        known = subject.customer if needed == customer_id else await store.resource(site, "customer", needed, chargebee.Customer)
        if known is None and needed != customer_id:
            store.stand_still()
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


async def _holder_of(store: Store, subject: Subject, settled: Settlement) -> Holder | None:
    """Return on whose account and at which rate a document is booked, or will be; None when it was never seen."""
    site = subject.key.site
    booked = await _booked_on(store, site, settled.kind, settled.number)
    if booked is not None:
        return booked
    resource = await newest_life(store, site, settled.kind, settled.number, _STRUCTS[settled.kind])
    return None if resource is None else Holder(resource.customer_id, rate_to_be(resource, subject))


def rate_to_be(resource: chargebee.Document, subject: Subject) -> Decimal | None:
    """Return the rate at which a document will be booked; None where that is not known, or it is in the division's currency."""
    if subject.mapping is None or resource.date is None or not resource.currency_code:
        return None
    try:
        day = local_date(resource.date, subject.zone)
    except UnreadableInstantError:
        return None
    money = MoneyMovement(
        number=resource.id,
        customer_id=resource.customer_id or "",
        document_date=day,
        currency=resource.currency_code,
        amount_minor=resource.total,
        base_currency=resource.base_currency_code,
        exchange_rate=resource.exchange_rate,
    )
    used = subject.mapping.rate(money, resource.id)
    return None if isinstance(used, Rejection) else used.rate


async def _booked_on(store: Store, site: str, kind: str, number: str) -> Holder | None:
    """Return on whose account and at which rate a document's last booking is, of the last document that had the number."""
    rows = [(booking_of(row.key.suffix), row) for row in await store.rows_of(site, kind, number) if row.state in ISSUED]
    issued = [(booking.life, booking.step, row.command) for booking, row in rows if row.command is not None]
    if not issued:
        return None
    *_, last = max(issued)
    command = _commands.decode(last)
    shares = tuple(abs(line.amount_minor) for line in command.lines if line.is_receivable)
    return Holder(command.customer_ref.split("/", 1)[1], command.exchange_rate, shares)
