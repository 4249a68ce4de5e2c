"""Everything that deciding about one document needs, read in one go: the resource, its customer, its division's mapping."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec.structs import replace

from backbone.configuration import Configuration
from bookkeeping.bookings import booking_of
from bookkeeping.deferral import UnreadableInstantError, local_date
from bookkeeping.documents import CreditNote, Document, Invoice, MoneyMovement, VatReclaim, numbers_before
from bookkeeping.exchange_differences import difference_of
from bookkeeping.mapping import Mapping
from bookkeeping.money import decimals_of
from bookkeeping.rejections import Rejection, SetAside, reject
from contracts import chargebee, settlements
from contracts.facts import DocumentKind, DocumentRef
from mapper.applications import closing
from mapper.applied import Applied
from mapper.coupon_sets import with_coupon_sets
from mapper.credits import credits_before
from mapper.issue import account_name, base_reference, your_ref
from mapper.lives import newest_life, resource_id
from mapper.parties import debtor_of, terms_of
from mapper.routing import Routing
from mapper.store import Key, Row, Store
from mapper.subscriptions import with_subscription_fields
from mapper.translate import credit_note_of, invoice_of, vat_reclaim_of
from mapper.translate_money import NO_MONEY, application_of, money_of, payout_of, withheld_of

RESOURCE_OF: dict[str, tuple[str, type[chargebee.Wire]]] = {
    "invoice": ("invoice", chargebee.Invoice),
    "credit_note": ("credit_note", chargebee.CreditNote),
    "vat_reclaim": ("credit_note", chargebee.CreditNote),
    "tax_withheld": ("tax_withheld", chargebee.TaxWithheld),
    "payment": ("transaction", chargebee.Transaction),
    "refund": ("transaction", chargebee.Transaction),
    "exchange_difference": ("transaction", chargebee.Transaction),
    "application": ("application", Applied),
    "payout": ("payout", settlements.Payout),
}
OWED_BY_NOBODY = frozenset(("exchange_difference", "application", "payout"))
LOWERS_DEBT = frozenset(("credit_note", "payment", "tax_withheld"))
Money = chargebee.Transaction | chargebee.TaxWithheld | Applied | settlements.Payout
Resource = chargebee.Invoice | chargebee.CreditNote | Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A document and what surrounds it.

    `translated` is the document as a bookkeeper sees it, or why it cannot or shall not be booked. `is_gone` says that it was
    voided, deleted or taken back, `gone_on` when, and `changed_on` when it was last changed. `fingerprint` changes with what a
    booking would look like, not with payments or statuses.
    """

    key: Key
    ref: DocumentRef
    customer: chargebee.Customer | None
    division: int | None
    mapping: Mapping | None
    translated: Document | Rejection | SetAside
    is_gone: bool
    is_deleted: bool
    is_money: bool
    gone_on: date | None
    changed_on: date | None
    zone: ZoneInfo
    resource_version: int
    fingerprint: str

    @property
    def is_partial(self) -> bool:
        """Whether only some of its lines came yet."""
        return isinstance(self.translated, Rejection) and self.translated.code == "incomplete_lines"


def kind_of(transaction: chargebee.Transaction) -> str:
    """Return the kind of document that a transaction is."""
    return "refund" if transaction.type in ("refund", "payment_reversal") else "payment"


class Subjects:
    """Loads subjects from the store."""

    def __init__(self, configuration: Configuration, mappings: MappingOf[int, Mapping]) -> None:
        self._configuration = configuration
        self._mappings = mappings
        self._routing = Routing(configuration, self.load)
        self.asks_subscriptions = self._routing.asks_subscriptions or any(each.asks_subscriptions for each in mappings.values())
        self._asks_codes = any(each.discounts is not None and each.discounts.asks_codes for each in mappings.values())

    @property
    def sites(self) -> Collection[str]:
        """The names of the configured sites."""
        return self._configuration.sites

    def mapping(self, division: int) -> Mapping | None:
        """Return a division's mapping, None when it is no longer configured."""
        return self._mappings.get(division)

    async def load(self, store: Store, key: Key) -> Subject | None:
        """Read a document; None when its resource was never seen."""
        kind, struct = RESOURCE_OF[key.kind]
        found = await store.resource_and_version(key.site, kind, resource_id(key), struct)
        if found is None:
            return None
        resource, version = cast("Resource", found[0]), found[1]
        customer = await store.resource(key.site, "customer", resource.customer_id, chargebee.Customer)
        site = self._configuration.sites.get(key.site)
        zone = _zone(_own_zone(resource), site.time_zone if site is not None else "UTC")
        division = None
        translated: Document | Rejection | SetAside
        if site is None:
            translated = reject("unknown_site", document=_label(key), site=key.site)
        else:
            translated = _for_customer(await self._translate(store, key, resource, customer, zone), customer)
            if self._asks_codes:
                translated = await with_coupon_sets(store, key.site, translated)
            if self.asks_subscriptions:
                translated = await with_subscription_fields(store, key.site, translated, resource)
            division = self._routing.by_entity(key.site, resource.business_entity_id)
            if not isinstance(translated, SetAside):
                of = None if isinstance(translated, Rejection) else translated
                routed = await self._routing.division_of(store, key.site, of, resource.business_entity_id, _label(key))
                division = None if isinstance(routed, Rejection) else routed
                translated = routed if isinstance(routed, Rejection) and of is not None else translated
        is_deleted = resource.deleted
        is_gone = is_deleted or is_void(resource)
        return Subject(
            key=key,
            ref=_ref(key, resource, translated, zone),
            customer=customer,
            division=division,
            mapping=self._mappings.get(division) if division is not None else None,
            translated=translated,
            is_gone=is_gone,
            is_deleted=is_deleted,
            is_money=isinstance(resource, Money),
            gone_on=_gone_on(resource, zone) if is_gone else None,
            changed_on=_day(resource.updated_at, zone),
            zone=zone,
            resource_version=version,
            fingerprint=await self._fingerprint(store, key.site, resource),
        )

    async def _fingerprint(self, store: Store, site: str, resource: Resource) -> str:
        own = fingerprint_of(resource)
        if not isinstance(resource, Applied):
            return own
        others = await closing(store, site, resource.target_kind, resource.target, resource.source)
        return own if others is None else f"{own}/last"

    async def _translate(
        self, store: Store, key: Key, resource: Resource, customer: chargebee.Customer | None, zone: ZoneInfo
    ) -> Document | Rejection | SetAside:
        if isinstance(resource, chargebee.Invoice):
            return invoice_of(resource, customer, zone)
        if isinstance(resource, chargebee.CreditNote):
            invoice = await newest_life(store, key.site, "invoice", resource.reference_invoice_id, chargebee.Invoice)
            if key.kind == "vat_reclaim":
                return vat_reclaim_of(resource, invoice, customer, zone)
            before = await credits_before(store, key.site, resource, invoice, zone) if invoice is not None else None
            return credit_note_of(resource, invoice, customer, zone, before)
        if isinstance(resource, chargebee.TaxWithheld):
            return withheld_of(resource, zone)
        if isinstance(resource, settlements.Payout):
            return payout_of(resource, zone)
        if isinstance(resource, Applied):
            return application_of(resource, zone)
        money = money_of(resource, zone)
        return difference_of(money) if key.kind == "exchange_difference" and isinstance(money, MoneyMovement) else money


def _for_customer(
    document: Document | Rejection | SetAside, customer: chargebee.Customer | None
) -> Document | Rejection | SetAside:
    """Add to a document what the customer is now: name, terms, custom fields, and what decides on the debtor account."""
    if customer is None or isinstance(document, Rejection | SetAside):
        return document
    if isinstance(document, VatReclaim):
        note = _for_customer(document.note, customer)
        return replace(document, note=note) if isinstance(note, CreditNote) else document
    if isinstance(document, MoneyMovement):
        return replace(document, debtor=debtor_of(customer))
    custom_fields = {**customer.custom_field_texts, **document.custom_fields}
    shared: dict[str, Any] = {
        "customer_name": account_name(customer),
        "custom_fields": custom_fields,
        "debtor": debtor_of(customer),
        "is_business_without_number": customer.business_customer_without_vat_number,
    }
    if isinstance(document, Invoice):
        return replace(document, terms=terms_of(customer, document.terms.net_term_days), **shared)
    return replace(document, **shared)


def _own_zone(resource: Resource) -> str | None:
    """Return the zone of the site as it stood when the document was made, which Chargebee puts on invoices and credit notes."""
    if isinstance(resource, Money) or resource.site_details_at_creation is None:
        return None
    return resource.site_details_at_creation.timezone


@lru_cache(maxsize=256)
def _zone(name: str | None, otherwise: str) -> ZoneInfo:
    """Return a document's own time zone, or the configured one where it has none that is known here."""
    try:
        return ZoneInfo(name or otherwise)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(otherwise)


def product_ids(document: Document) -> set[str]:
    """Return the products that decide about a document's lines."""
    if not isinstance(document, Invoice | CreditNote):
        return set()
    return {line.product_id for line in document.lines if line.product_id is not None}


def is_void(resource: Resource) -> bool:
    """Tell whether a document was taken back in Chargebee and no credit note does it; a movement, whether it moved no money."""
    if isinstance(resource, chargebee.TaxWithheld | Applied | settlements.Payout):
        return False
    if isinstance(resource, chargebee.Transaction):
        return resource.status in NO_MONEY
    return resource.status == "voided" and not _is_credited(resource)


def _is_credited(document: chargebee.Invoice | chargebee.CreditNote) -> bool:
    """Tell whether a void made a credit note, as a setting of the site lets it; the note, which is booked, takes the sale back.

    An invoice that was adjusted before cannot be voided, so that a note which still counts is the void's own.
    """
    notes = document.adjustment_credit_notes if isinstance(document, chargebee.Invoice) else ()
    return any(note.cn_status != "voided" and note.cn_total for note in notes)


def _label(key: Key) -> str:
    return f"{key.kind.replace('_', ' ')} {key.number}"


def _day(instant: int | None, zone: ZoneInfo) -> date | None:
    if instant is None:
        return None
    try:
        return local_date(instant, zone)
    except UnreadableInstantError:
        return None


def _gone_on(resource: Resource, zone: ZoneInfo) -> date | None:
    """Return the day on which a document ceased to be: Chargebee says when it was voided, else when it was last changed."""
    voided = None if isinstance(resource, Money) else _day(resource.voided_at, zone)
    return voided or _day(resource.updated_at, zone)


def _ref(key: Key, resource: Resource, translated: Document | Rejection | SetAside, zone: ZoneInfo) -> DocumentRef:
    amount = resource.amount if isinstance(resource, Money) else resource.total
    day = _day(resource.date, zone)
    if key.kind in OWED_BY_NOBODY:
        amount = 0
    if isinstance(translated, VatReclaim):
        amount, day = translated.note.tax_minor, translated.document_date
    currency = resource.currency_code or ""
    if key.kind not in get_args(DocumentKind):
        raise KeyError(key.kind)
    return DocumentRef(
        site=key.site,
        kind=cast("DocumentKind", key.kind),
        number=key.number,
        customer_id=resource.customer_id or "",
        currency=currency,
        total_minor=-amount if key.kind in LOWERS_DEBT else amount,
        decimals=decimals_of(currency),
        document_date=day,
        suffix=key.suffix,
    )


def fingerprint_of(resource: Resource) -> str:
    """Hash what a booking is made of. Statuses, payments and allocations change without changing the booking.

    The customer is not in it: a merge in Chargebee moves documents to another one, and what is booked stays where it is.
    """
    if isinstance(resource, Money):
        parts: tuple[object, ...] = (resource.amount, resource.currency_code, resource.date)
    else:
        lines = [
            (item.id, item.amount, item.discount_amount, item.tax_amount, item.entity_id, item.date_from, item.date_to)
            for item in resource.line_items
        ]
        taxes = [(row.line_item_id, str(row.tax_rate), row.tax_amount) for row in resource.line_item_taxes]
        head = (resource.total, resource.tax, resource.round_off_amount, resource.currency_code, resource.date)
        parts = (*head, lines, taxes)
    return hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()


def is_changed(row: Row, subject: Subject) -> bool:
    """Tell whether a booking that was refused is to be tried: for another customer, of another state or by other rules."""
    version = subject.mapping.version if subject.mapping is not None else None
    moved = row.customer_id != subject.ref.customer_id
    return moved or row.fingerprint != subject.fingerprint or row.mapping_version != version


def followed(subject: Subject, ref: DocumentRef) -> tuple[str, ...]:
    """Return how Exact names the entries that a booking comes after: what it settles or credits, and what it takes back."""
    numbers = () if isinstance(subject.translated, Rejection | SetAside) else numbers_before(subject.translated)
    own = (base_reference(ref),) if booking_of(ref.suffix).step else ()
    return tuple(dict.fromkeys(your_ref(each) for each in (*own, *numbers)))


def booking_ref(subject: Subject, suffix: str) -> DocumentRef:
    """Return how messages name one booking of a document; what takes one back has the opposite amount."""
    total = subject.ref.total_minor
    return replace(subject.ref, suffix=suffix, total_minor=-total if booking_of(suffix).is_reversal else total)


def customer_key(ref: DocumentRef) -> str:
    """Return the key whose messages keep their order: the customer's."""
    return f"{ref.site}/{ref.customer_id}"


def name_of(subject: Subject) -> str:
    """Name a document in a sentence."""
    if subject.key.kind == "vat_reclaim":
        return f"VAT of write-off {subject.key.number}"
    if subject.key.kind == "application":
        return f"exchange difference on the debtor of {subject.key.number}"
    return f"{subject.key.kind.replace('_', ' ')} {subject.key.number}"
