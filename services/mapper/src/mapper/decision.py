"""What is to become of one document as it stands now: an entry, a hold or nothing. It only reads; the planner acts upon it."""

from __future__ import annotations

from datetime import date, timedelta

from msgspec.structs import replace

from bookkeeping.documents import Application, CreditNote, Document, ExchangeDifference, Payout, VatReclaim
from bookkeeping.entries import make_entry
from bookkeeping.journal import Entry
from bookkeeping.mapping import Mapping
from bookkeeping.placement import place_in_period
from bookkeeping.rejections import PATIENCE_DAYS, Rejection, SetAside, reject, set_aside
from bookkeeping.write_offs import reclaim_label, vat_of
from mapper.account_holders import on_account, settle_on_accounts
from mapper.applications import as_both_booked
from mapper.credited_bookings import as_booked
from mapper.linked import with_its_payment
from mapper.payout_accounts import off_their_accounts
from mapper.store import Row, Store
from mapper.subjects import Subject, name_of, product_ids

OWN_PAYMENT = "own_payment"


async def decide(store: Store, subject: Subject, row: Row | None, today: date, *, is_first: bool) -> Entry | Rejection | SetAside:
    """Make the entry of a document in an open period, or say why there is none now; `row` is what is kept of this booking."""
    made = await make(store, subject, row, today, is_first=is_first)
    if isinstance(made, Entry) and subject.mapping is not None:
        made = await in_open_period(store, made, subject, subject.mapping)
    return _overdue(made, row, today) if isinstance(made, Rejection) and row is not None else made


async def make(store: Store, subject: Subject, row: Row | None, today: date, *, is_first: bool) -> Entry | Rejection | SetAside:
    """Make the entry of a document with its legal date, whatever periods are open."""
    document, mapping = subject.translated, subject.mapping
    left_out = _left_out(subject, row, is_first=is_first)
    if left_out is not None:
        return left_out
    if isinstance(document, Rejection | SetAside):
        return document
    if mapping is None:
        return reject("unknown_business_entity", document=name_of(subject), entity="?", site=subject.key.site, setting="division")
    if isinstance(document, CreditNote) and not document.reference_known and _is_given_up(row, mapping, today):
        document = replace(document, reference_given_up=True)
    document = await _beside_others(store, subject, document, mapping)
    if isinstance(document, Rejection):
        return document
    made = make_entry(document, mapping, await store.products(subject.key.site, product_ids(document)))
    if isinstance(made, Entry) and isinstance(document, VatReclaim) and document.document_date > today:
        day, told = document.document_date.isoformat(), vat_of(made)
        waits_for = f"invoice:{document.note.reference_invoice}"
        return reject("vat_not_due", waits_for=waits_for, document=reclaim_label(document), date=day, vat=told)
    if isinstance(made, Entry) and isinstance(document, ExchangeDifference):
        not_ours = await with_its_payment(store, subject, document, mapping)
        if not_ours is not None:
            return not_ours
    if isinstance(made, Entry):
        return await on_account(store, subject, document, made, name_of(subject))
    return made


async def _beside_others(store: Store, subject: Subject, document: Document, mapping: Mapping) -> Document | Rejection:
    """Add to a document what the bookings of others decide: whose account, which rate, which days, which control account."""
    if isinstance(document, Application):
        return await as_both_booked(store, subject.key.site, mapping, document)
    if isinstance(document, Payout):
        return await off_their_accounts(store, subject.key.site, document, mapping)
    settled = await settle_on_accounts(store, subject, document, name_of(subject))
    return settled if isinstance(settled, Rejection) else await as_booked(store, subject, settled, name_of(subject))


def _left_out(subject: Subject, row: Row | None, *, is_first: bool) -> SetAside | None:
    """Say why a document is not for these books, whatever an entry of it would be; None when it is."""
    document, mapping, name = subject.translated, subject.mapping, name_of(subject)
    if row is not None and row.code == OWN_PAYMENT:
        # Recorded by the payment-matcher; told once the transaction itself has been seen, with its amount and date.
        return set_aside(OWN_PAYMENT, document=name)
    if subject.is_deleted and (subject.is_money or isinstance(document, SetAside)):
        return set_aside("deleted", document=name)
    if mapping is None or not is_first:
        # What was booked already keeps its later life; a day that is set afterwards takes nothing back.
        return None
    if subject.is_gone and mapping.voided_before_booking == "skip":
        return set_aside("gone_before_booking", document=name)
    day = None if isinstance(document, Rejection | SetAside) else document.document_date
    if day is not None and mapping.book_from is not None and day < mapping.book_from:
        return set_aside("before_book_from", document=name, date=day, first=mapping.book_from)
    return None


def _is_given_up(row: Row | None, mapping: Mapping, today: date) -> bool:
    """Tell whether a credit note waited for its invoice as long as the policy says."""
    days = mapping.credit_note_wait_days
    if days is None or row is None or row.code != "waiting_for_invoice" or row.waiting_since is None:
        return False
    return today - row.waiting_since >= timedelta(days=days)


def _overdue(rejection: Rejection, row: Row, today: date) -> Rejection:
    """Ask a person about what has waited longer than Chargebee takes to tell of it; it still comes by itself."""
    if not rejection.overdue or row.waiting_since is None or row.code != rejection.code:
        return rejection
    return rejection.waited(row.waiting_since) if today - row.waiting_since >= timedelta(days=PATIENCE_DAYS) else rejection


async def in_open_period(store: Store, entry: Entry, subject: Subject, mapping: Mapping) -> Entry | Rejection:
    """Report an entry in an open period of its journal, as the division's policy is."""
    periods = await store.periods(mapping.division, entry.journal)
    return place_in_period(entry, name_of(subject), periods, mapping)
