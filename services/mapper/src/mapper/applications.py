"""Money and credits in another currency that were applied to documents: each application is a document of its own.

What was applied when the money was booked is booked at the rate of that document. What is applied later, or to documents of
several rates, leaves a difference on the debtor in the division's currency: it is known once both are booked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec.structs import replace

from bookkeeping import documents
from bookkeeping.bookings import booking_of
from bookkeeping.exchange_differences import application_label
from bookkeeping.mapping import Mapping
from bookkeeping.money import Worth, worth_at
from bookkeeping.rejections import Rejection, reject
from contracts import chargebee
from contracts.commands import PostEntry
from contracts.facts import Observed
from mapper.applied import Applied
from mapper.lives import newest_life, waits_for
from mapper.store import ISSUED, OPEN_STATES, Key, Store
from mapper.translate_money import OFFLINE_GATEWAY

KIND = "application"
INDEX = "applications"


class Listed(chargebee.Wire, frozen=True, kw_only=True):
    """The applications that a transaction or credit note ever listed."""

    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Booked:
    """What stands of a document on the debtor, without a sign: in its own currency and, at its rate, in the division's."""

    rate: Decimal
    at_rate: Worth
    own_minor: int
    division_minor: int
    day: date

    def worth(self, amount_minor: int) -> int:
        """Return what the first so much of it is worth; all of it is what stands there, whatever was rounded."""
        return self.division_minor if amount_minor >= self.own_minor else self.at_rate(amount_minor)


async def fold_applications(store: Store, fact: Observed, resource: chargebee.Wire) -> list[Key]:
    """Keep what a newer transaction or note was applied to, and that it is not any more; return whose bookings may change."""
    if isinstance(resource, chargebee.Invoice):
        return await _closing_changed(store, fact.site, resource)
    if not isinstance(resource, chargebee.Transaction | chargebee.CreditNote):
        return []
    closed = await _closing_changed(store, fact.site, resource) if isinstance(resource, chargebee.CreditNote) else []
    kind = _kind_of(resource)
    source = resource.number if isinstance(resource, chargebee.CreditNote) else resource.id
    known = await store.resource(fact.site, INDEX, f"{kind}:{source}", Listed)
    now = {each.id: each for each in _applications(resource, kind, source)}
    before = known.ids if known is not None else ()
    if not now and not before:
        return closed
    everything = dict.fromkeys((*before, *now))
    await store.fold(INDEX, fact, f"{kind}:{source}", Listed(ids=tuple(everything)))
    changed = closed
    for identity in everything:
        applied = now.get(identity)
        if applied is None:
            applied = await store.resource(fact.site, KIND, identity, Applied)
            applied = replace(applied, deleted=True, updated_at=resource.updated_at) if applied is not None else None
        if applied is not None and await store.fold(KIND, fact, identity, applied):
            changed.append(Key(fact.site, KIND, identity))
    return changed


def _kind_of(resource: chargebee.Transaction | chargebee.CreditNote) -> Literal["payment", "refund", "credit_note"]:
    if isinstance(resource, chargebee.CreditNote):
        return "credit_note"
    return "refund" if resource.type in ("refund", "payment_reversal") else "payment"


def _applications(
    resource: chargebee.Transaction | chargebee.CreditNote, kind: Literal["payment", "refund", "credit_note"], source: str
) -> Iterable[Applied]:
    links: list[tuple[int, str, int]] = []
    if isinstance(resource, chargebee.CreditNote):
        if resource.status != "voided" and not resource.deleted:
            links = [(each.allocated_at or 0, each.invoice_id or "", each.allocated_amount) for each in resource.allocations]
    elif resource.status == "success" and not resource.deleted and resource.gateway not in (None, OFFLINE_GATEWAY):
        invoices = ((each.applied_at or 0, each.invoice_id or "", each.applied_amount) for each in resource.linked_invoices)
        notes = ((each.applied_at or 0, each.cn_id or "", each.applied_amount) for each in resource.linked_credit_notes)
        links = list(notes if kind == "refund" else invoices)
    amounts: defaultdict[str, int] = defaultdict(int)
    instants: dict[str, int] = {}
    for instant, target, amount in sorted(links):
        amounts[target] += amount
        instants[target] = instant
    before = 0
    for target, amount in amounts.items():
        if target and amount > 0:
            yield Applied(
                id=f"{source}/{target}",
                source_kind=kind,
                source=source,
                target_kind="credit_note" if kind == "refund" else "invoice",
                target=target,
                amount=amount,
                before=before,
                date=instants[target] or resource.date,
                customer_id=resource.customer_id,
                currency_code=resource.currency_code,
                base_currency_code=resource.base_currency_code,
                business_entity_id=resource.business_entity_id,
                updated_at=resource.updated_at,
            )
        before += amount


async def _closing_changed(store: Store, site: str, target: chargebee.Invoice | chargebee.CreditNote) -> list[Key]:
    """Return the applications to a document: the last one takes all that is left of it, and which that is, the document says."""
    number = target.number if isinstance(target, chargebee.CreditNote) else target.id
    keys = [Key(site, KIND, f"{each.source}/{number}") for each in _settlers(target)]
    return [key for key in dict.fromkeys(keys) if await store.version_of(site, KIND, key.number) is not None]


@dataclass(frozen=True, slots=True, order=True)
class _Settler:
    """A payment, credit note or refund that settled some of a document."""

    instant: int
    source: str
    amount: int


def _settlers(target: chargebee.Invoice | chargebee.CreditNote) -> list[_Settler]:
    """Return what settled some of a document, the last one last. What a credit note paid for is no settler of it."""
    money = target.linked_refunds if isinstance(target, chargebee.CreditNote) else target.linked_payments
    shown = [(each.txn_date, each.txn_id, each.applied_amount) for each in money if each.txn_status == "success"]
    if isinstance(target, chargebee.Invoice):
        shown += [(each.applied_at, each.cn_id, each.applied_amount) for each in target.applied_credits]
        adjusted = (each for each in target.adjustment_credit_notes if each.cn_status != "voided")
        shown += [(each.cn_date, each.cn_id, each.cn_total) for each in adjusted]
    amounts: defaultdict[str, int] = defaultdict(int)
    instants: dict[str, int] = {}
    for instant, source, amount in shown:
        if source and amount:
            amounts[source] += amount
            instants[source] = max(instants.get(source, 0), instant or 0)
    return sorted(_Settler(instants[source], source, amount) for source, amount in amounts.items())


async def closing(store: Store, site: str, kind: str, target: str, source: str) -> tuple[int, ...] | None:
    """Return in which amounts others settled a document of which nothing is left, where this one was the last; else None."""
    found: chargebee.Invoice | chargebee.CreditNote | None
    if kind == "invoice":
        found = await newest_life(store, site, kind, target, chargebee.Invoice)
    else:
        found = await newest_life(store, site, kind, target, chargebee.CreditNote)
    if found is None or found.deleted:
        return None
    settlers = _settlers(found)
    used = sum(each.allocated_amount for each in found.allocations) if isinstance(found, chargebee.CreditNote) else 0
    if not settlers or settlers[-1].source != source or sum(each.amount for each in settlers) + used != found.total:
        return None
    return *(each.amount for each in settlers[:-1]), *((used,) if used else ())


async def as_both_booked(
    store: Store, site: str, mapping: Mapping, document: documents.Application
) -> documents.Application | Rejection:
    """Return an application with what stands of both sides on the debtor, or let it wait until both are, or are under way.

    Where one of them is not booked by us, as money that Exact has from the bank, it stays without.
    """
    if document.currency == mapping.currency or mapping.exchange_rates.policy == "exact":
        return document
    source = await _booked(store, site, document.source_kind, document.source, document, mapping)
    target = await _booked(store, site, document.target_kind, document.target, document, mapping)
    if target == "to come" and await _is_anothers(store, site, document):
        store.stand_still()  # another partition may be handling it at this moment
    if source is None or target is None:
        return document
    for booked, kind, number in (
        (source, document.source_kind, document.source),
        (target, document.target_kind, document.target),
    ):
        if booked == "to come":
            other = f"{kind.replace('_', ' ')} {number}"
            label, waits = application_label(document), waits_for(number)
            return reject("waiting_for_both_bookings", waits_for=waits, document=label, other=other)
    if isinstance(source, str) or isinstance(target, str):
        return document
    amount = document.amount_minor
    of_source = source.worth(document.before_minor + amount) - source.worth(document.before_minor)
    others = await closing(store, site, document.target_kind, document.target, document.source)
    of_target = target.worth(amount) if others is None else target.division_minor - sum(map(target.at_rate, others))
    is_refund = document.source_kind == "refund"
    debit, credit = (source, target) if is_refund else (target, source)
    return replace(
        document,
        document_date=max(document.document_date, source.day, target.day),
        debit_minor=of_source if is_refund else of_target,
        credit_minor=of_target if is_refund else of_source,
        debit_rate=debit.rate,
        credit_rate=credit.rate,
    )


async def _is_anothers(store: Store, site: str, document: documents.Application) -> bool:
    rows = await store.rows_of(site, document.target_kind, document.target)
    return {row.customer_id for row in rows} != {document.customer_id}


async def _booked(
    store: Store, site: str, kind: str, number: str, document: documents.Application, mapping: Mapping
) -> _Booked | Literal["to come"] | None:
    """Return what stands of a document, or that it is still to be booked; None where it is not for these books."""
    rows = sorted(await store.rows_of(site, kind, number), key=lambda row: _place(row.key.suffix))
    last = next((row for row in reversed(rows) if row.state in ISSUED), None)
    if last is None or booking_of(last.key.suffix).is_reversal:
        is_to_come = not rows or any(row.state in (*OPEN_STATES, "planned") for row in rows)
        return "to come" if is_to_come else None
    command = msgspec.json.decode(last.command or b"", type=PostEntry)
    rate = command.exchange_rate or (Decimal(last.exchange_rate) if last.exchange_rate is not None else None)
    worth = worth_at(rate, command.currency, mapping.currency)
    if command.division != mapping.division or command.currency != document.currency or rate is None or worth is None:
        return None
    if command.kind == "sales":
        amounts = [amount for line in command.lines for amount in (line.amount_minor, line.vat_amount_minor or 0)]
    else:
        amounts = [line.amount_minor for line in command.lines if line.is_receivable]
    return _Booked(rate, worth, abs(sum(amounts)), abs(sum(map(worth, amounts))), command.entry_date)


def _place(suffix: str) -> tuple[int, int]:
    booking = booking_of(suffix)
    return booking.life, booking.step
