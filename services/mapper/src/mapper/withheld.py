"""Taxes that customers hold back: Chargebee shows them only on their invoice, and here each is a document of its own."""

from __future__ import annotations

import msgspec

from contracts import chargebee
from contracts.facts import Observed
from mapper.store import Key, Store

KIND = "tax_withheld"
INDEX = "taxes_withheld"


class Listed(chargebee.Wire, frozen=True, kw_only=True):
    """The withheld taxes that an invoice ever listed."""

    ids: tuple[str, ...] = ()


async def fold_withheld(store: Store, fact: Observed, invoice: chargebee.Invoice) -> list[Key]:
    """Keep what a newer invoice lists, and that it does not list any more what it did; return whose bookings may change."""
    known = await store.resource(fact.site, INDEX, invoice.id, Listed)
    now = {tax.id: tax for tax in invoice.linked_taxes_withheld}
    before = known.ids if known is not None else ()
    if not now and not before:
        return []
    everything = dict.fromkeys((*before, *now))
    await store.fold(INDEX, fact, invoice.id, Listed(ids=tuple(everything)))
    changed = []
    for identity in everything:
        tax = now.get(identity)
        if tax is not None:
            resource: chargebee.TaxWithheld | None = _of(invoice, tax)
        else:
            resource = await store.resource(fact.site, KIND, identity, chargebee.TaxWithheld)
            resource = _gone(resource, invoice) if resource is not None else None
        if resource is not None and await store.fold(KIND, fact, identity, resource):
            changed.append(Key(fact.site, KIND, identity))
    return changed


def _of(invoice: chargebee.Invoice, tax: chargebee.LinkedTaxWithheld) -> chargebee.TaxWithheld:
    return chargebee.TaxWithheld(
        id=tax.id,
        amount=tax.amount,
        date=tax.date,
        reference_number=tax.reference_number,
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        currency_code=invoice.currency_code,
        base_currency_code=invoice.base_currency_code,
        exchange_rate=invoice.exchange_rate,
        business_entity_id=invoice.business_entity_id,
        updated_at=invoice.updated_at,
    )


def _gone(tax: chargebee.TaxWithheld, invoice: chargebee.Invoice) -> chargebee.TaxWithheld:
    return msgspec.structs.replace(tax, deleted=True, updated_at=invoice.updated_at)
