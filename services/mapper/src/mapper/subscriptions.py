"""The custom fields of the subscriptions that a document's lines belong to, for rules and texts that ask for them."""

from __future__ import annotations

from msgspec.structs import replace

from bookkeeping.documents import CreditNote, Document, Invoice, VatReclaim
from bookkeeping.rejections import Rejection, SetAside
from contracts import chargebee
from mapper.store import Store


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
    if named - known.keys() and _bills_others(resource) and await store.stand_still():
        known = await store.subscription_fields(site, named)
    lines = (replace(line, subscription_fields=known.get(line.subscription_id or "")) for line in document.lines)
    return replace(document, lines=tuple(lines))


def _bills_others(resource: object) -> bool:
    if not isinstance(resource, chargebee.Document):
        return False
    return any(item.customer_id not in (None, resource.customer_id) for item in resource.line_items)
