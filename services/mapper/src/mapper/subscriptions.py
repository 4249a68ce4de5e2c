"""The custom fields of the subscriptions that a document's lines belong to, for rules and texts that ask for them."""

from __future__ import annotations

import sqlalchemy as sa
from msgspec.structs import replace

from bookkeeping.documents import CreditNote, Document, Invoice, VatReclaim
from bookkeeping.rejections import Rejection, SetAside
from contracts import chargebee
from mapper import tables
from mapper.lives import resource_id
from mapper.store import Key, Store

# What rules that ask for a subscription's field decide: the account of revenue, and the division.
WITHOUT_A_RULE = frozenset(("no_revenue_account", "routes_disagree", "unknown_business_entity"))


async def with_subscription_fields(
    store: Store, site: str, document: Document | Rejection | SetAside, resource: object
) -> Document | Rejection | SetAside:
    """Add to each line the fields of its subscription as it stands now; lines of one that was not seen are left as they are.

    `resource` is the document as Chargebee has it: an invoice may bill the subscriptions of other customers, whose facts are
    handled in other partitions.
    """
    if isinstance(document, VatReclaim):
        note = await with_subscription_fields(store, site, document.note, resource)
        return replace(document, note=note) if isinstance(note, CreditNote) else document
    if not isinstance(document, Invoice | CreditNote):
        return document
    named = {line.subscription_id for line in document.lines if line.subscription_id is not None}
    known = await store.subscription_fields(site, named)
    if named - known.keys() and _bills_others(resource):
        store.stand_still()
    lines = (replace(line, subscription_fields=known.get(line.subscription_id or "")) for line in document.lines)
    return replace(document, lines=tuple(lines))


async def held_for_a_field(store: Store, site: str, subscription: chargebee.Subscription) -> list[Key]:
    """Return what is held for want of a rule that a field of this subscription may find: its customer's, and what bills it.

    An invoice of a parent bills the subscriptions of its children, so the lines say it, not the customer.
    """
    found = await store.of_customer(site, subscription.customer_id or "", "held")
    table = tables.documents.c
    columns = (table.site, table.kind, table.number, table.suffix)
    without = (table.site == site, table.code.in_(sorted(WITHOUT_A_RULE)), table.state == "held")
    rows = await store.connection.execute(sa.select(*columns).where(*without).order_by(*columns))
    for key in (Key(*row) for row in rows):
        struct = chargebee.CreditNote if key.kind in ("credit_note", "vat_reclaim") else chargebee.Invoice
        stored_as = "credit_note" if struct is chargebee.CreditNote else "invoice"
        document = await store.resource(site, stored_as, resource_id(key), struct)
        billed = {item.subscription_id or document.subscription_id for item in document.line_items} if document else set()
        if subscription.id in billed:
            found.append(key)
    return found


def _bills_others(resource: object) -> bool:
    if not isinstance(resource, chargebee.Document):
        return False
    return any(item.customer_id not in (None, resource.customer_id) for item in resource.line_items)
