"""What the connector reads of Chargebee's resources (API v2): only these fields are typed, the rest stays in the raw bytes.

Money is an integer in Chargebee's unit: hundredths, or whole units for zero-decimal currencies. Instants are unix seconds.
Statuses, types and reason codes are open strings, because Chargebee adds values without a new API version.
Chargebee leaves empty fields out, so everything but the identity has a default.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

DELETED_NOTE = re.compile(r"(?P<id>.+)_\d{9,}$")


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a Chargebee resource; members that are not declared are passed over when reading."""


class Address(Wire, frozen=True, kw_only=True):
    """A billing or shipping address; `country` is ISO 3166 alpha-2, with XI for Northern Ireland."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    company: str | None = None
    phone: str | None = None
    line1: str | None = None
    line2: str | None = None
    line3: str | None = None
    city: str | None = None
    state_code: str | None = None
    state: str | None = None
    country: str | None = None
    zip: str | None = None


class Relationship(Wire, frozen=True, kw_only=True):
    """A customer's place in an account hierarchy: who gets its invoices, and who pays them."""

    parent_id: str | None = None
    payment_owner_id: str | None = None
    invoice_owner_id: str | None = None


class Customer(Wire, frozen=True, kw_only=True):
    """A customer; `net_term_days` is the payment term of its invoices.

    `custom_field_texts` are its cf_ members in words, which Chargebee has flat on the resource; the mapper gathers them.
    `pii_cleared` is `cleared` once it was made anonymous.
    """

    id: str
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    company: str | None = None
    vat_number: str | None = None
    vat_number_prefix: str | None = None
    vat_number_status: str | None = None
    billing_address: Address | None = None
    net_term_days: int = 0
    taxability: str | None = None
    locale: str | None = None
    preferred_currency_code: str | None = None
    business_customer_without_vat_number: bool = False
    auto_collection: str | None = None
    offline_payment_method: str | None = None
    business_entity_id: str | None = None
    custom_field_texts: dict[str, str] = {}
    relationship: Relationship | None = None
    pii_cleared: str | None = None
    deleted: bool = False


class Item(Wire, frozen=True, kw_only=True):
    """A product of Product Catalog 2.0; `type` is plan, addon or charge. Its custom fields are gathered as a customer's are."""

    id: str
    name: str | None = None
    type: str | None = None
    item_family_id: str | None = None
    status: str | None = None
    custom_field_texts: dict[str, str] = {}
    deleted: bool = False


class AccountingDetail(Wire, frozen=True, kw_only=True):
    """What a Chargebee user may enter at an item price for bookkeeping."""

    sku: str | None = None
    accounting_code: str | None = None
    accounting_category1: str | None = None
    accounting_category2: str | None = None
    accounting_category3: str | None = None
    accounting_category4: str | None = None


class ItemPrice(Wire, frozen=True, kw_only=True):
    """A price point of Product Catalog 2.0; invoice lines name it as their entity."""

    id: str
    name: str | None = None
    external_name: str | None = None
    item_id: str | None = None
    item_type: str | None = None
    item_family_id: str | None = None
    currency_code: str | None = None
    accounting_detail: AccountingDetail | None = None
    status: str | None = None
    custom_field_texts: dict[str, str] = {}
    deleted: bool = False


class CatalogProduct(Wire, frozen=True, kw_only=True):
    """A plan or an addon of Product Catalog 1.0, which carry their accounting codes themselves."""

    id: str
    name: str | None = None
    currency_code: str | None = None
    sku: str | None = None
    accounting_code: str | None = None
    accounting_category1: str | None = None
    accounting_category2: str | None = None
    accounting_category3: str | None = None
    accounting_category4: str | None = None
    status: str | None = None
    custom_field_texts: dict[str, str] = {}
    deleted: bool = False


class Subscription(Wire, frozen=True, kw_only=True):
    """A subscription, of which only the custom fields matter: invoices carry what is billed.

    They are gathered as those of a customer are.
    """

    id: str
    customer_id: str | None = None
    custom_field_texts: dict[str, str] = {}
    deleted: bool = False


class LineItem(Wire, frozen=True, kw_only=True):
    """One line; `amount` is before discounts and includes tax only when the document's price type is tax_inclusive.

    `date_to` is the instant at which the next term starts.
    """

    id: str | None = None
    amount: int = 0
    unit_amount: int = 0
    quantity: int = 1
    date_from: int | None = None
    date_to: int | None = None
    is_taxed: bool = False
    tax_amount: int = 0
    tax_rate: Decimal | None = None
    discount_amount: int = 0
    item_level_discount_amount: int = 0
    description: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    tax_exempt_reason: str | None = None
    subscription_id: str | None = None
    customer_id: str | None = None
    reference_line_item_id: str | None = None


class LineItemTax(Wire, frozen=True, kw_only=True):
    """The tax of one line at one rate; a line may have several."""

    line_item_id: str | None = None
    tax_name: str | None = None
    tax_rate: Decimal | None = None
    taxable_amount: int = 0
    tax_amount: int = 0
    tax_juris_type: str | None = None
    tax_juris_name: str | None = None
    tax_juris_code: str | None = None


class LineItemDiscount(Wire, frozen=True, kw_only=True):
    """The part of a discount that falls on one line; document-level discounts are already spread here."""

    line_item_id: str | None = None
    discount_type: str | None = None
    coupon_id: str | None = None
    entity_id: str | None = None
    discount_amount: int = 0


class Discount(Wire, frozen=True, kw_only=True):
    """A discount of the whole document, or of one line; `coupon_set_code`, the code that was used, stands only here."""

    entity_type: str | None = None
    entity_id: str | None = None
    line_item_id: str | None = None
    coupon_set_code: str | None = None


class Tax(Wire, frozen=True, kw_only=True):
    """A row of the document's tax summary."""

    name: str | None = None
    amount: int = 0


class TaxOrigin(Wire, frozen=True, kw_only=True):
    """The registration of the seller under which the tax was charged."""

    country: str | None = None
    registration_number: str | None = None


class SiteDetails(Wire, frozen=True, kw_only=True):
    """How the site stood when the document was made."""

    timezone: str | None = None


class LinkedPayment(Wire, frozen=True, kw_only=True):
    """A transaction applied to an invoice, or a refund of a credit note; failed ones stand here too."""

    txn_id: str | None = None
    applied_amount: int = 0
    txn_status: str | None = None
    txn_date: int | None = None
    txn_amount: int = 0


class Document(Wire, frozen=True, kw_only=True):
    """What invoices and credit notes share; `custom_field_texts` are gathered as those of a customer are."""

    id: str
    customer_id: str | None = None
    subscription_id: str | None = None
    status: str | None = None
    date: int | None = None
    price_type: str | None = None
    currency_code: str | None = None
    base_currency_code: str | None = None
    exchange_rate: Decimal | None = None
    total: int = 0
    sub_total: int = 0
    tax: int = 0
    round_off_amount: int = 0
    line_items: tuple[LineItem, ...] = ()
    line_item_taxes: tuple[LineItemTax, ...] = ()
    line_item_discounts: tuple[LineItemDiscount, ...] = ()
    discounts: tuple[Discount, ...] = ()
    taxes: tuple[Tax, ...] = ()
    tax_origin: TaxOrigin | None = None
    site_details_at_creation: SiteDetails | None = None
    business_entity_id: str | None = None
    voided_at: int | None = None
    updated_at: int | None = None
    custom_field_texts: dict[str, str] = {}
    deleted: bool = False


class LinkedTaxWithheld(Wire, frozen=True, kw_only=True):
    """Tax that the customer held back from an invoice and pays to its tax office."""

    id: str
    amount: int = 0
    date: int | None = None
    reference_number: str | None = None


class TaxWithheld(LinkedTaxWithheld, frozen=True, kw_only=True):
    """A withheld tax with the invoice that it was held back from; Chargebee shows it only there."""

    invoice_id: str
    customer_id: str | None = None
    currency_code: str | None = None
    base_currency_code: str | None = None
    exchange_rate: Decimal | None = None
    business_entity_id: str | None = None
    updated_at: int | None = None
    deleted: bool = False


class CreatedCreditNote(Wire, frozen=True, kw_only=True):
    """A credit note as the invoice lists it that it credits."""

    cn_id: str | None = None
    cn_date: int | None = None
    cn_total: int = 0
    cn_status: str | None = None


class AppliedCredit(Wire, frozen=True, kw_only=True):
    """A refundable credit note that paid for some of an invoice."""

    cn_id: str | None = None
    applied_amount: int = 0
    applied_at: int | None = None


class Invoice(Document, frozen=True, kw_only=True):
    """An invoice; `id` is its number."""

    due_date: int | None = None
    net_term_days: int = 0
    amount_due: int = 0
    amount_paid: int = 0
    amount_adjusted: int = 0
    credits_applied: int = 0
    write_off_amount: int = 0
    paid_at: int | None = None
    po_number: str | None = None
    vat_number: str | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None
    linked_payments: tuple[LinkedPayment, ...] = ()
    linked_taxes_withheld: tuple[LinkedTaxWithheld, ...] = ()
    issued_credit_notes: tuple[CreatedCreditNote, ...] = ()
    adjustment_credit_notes: tuple[CreatedCreditNote, ...] = ()
    applied_credits: tuple[AppliedCredit, ...] = ()
    line_items_next_offset: str | None = None


class Allocation(Wire, frozen=True, kw_only=True):
    """An invoice that a credit note paid for; a match, never a booking."""

    invoice_id: str | None = None
    allocated_amount: int = 0
    allocated_at: int | None = None


class CreditNote(Document, frozen=True, kw_only=True):
    """A credit note with positive amounts; `type` is adjustment, refundable or store."""

    amount_available: int = 0
    type: str | None = None
    reference_invoice_id: str | None = None
    reason_code: str | None = None
    create_reason_code: str | None = None
    allocations: tuple[Allocation, ...] = ()
    linked_refunds: tuple[LinkedPayment, ...] = ()
    fractional_correction: int = 0
    line_items_next_offset: str | None = None

    @property
    def number(self) -> str:
        """Its id, behind which the event of its deletion has an underscore and an instant (`CN-4_171000000014`)."""
        found = DELETED_NOTE.match(self.id) if self.deleted else None
        return found["id"] if found is not None else self.id


class LinkedInvoice(Wire, frozen=True, kw_only=True):
    """An invoice that a payment was applied to."""

    invoice_id: str | None = None
    applied_amount: int = 0
    applied_at: int | None = None
    invoice_total: int = 0
    invoice_status: str | None = None


class LinkedCreditNote(Wire, frozen=True, kw_only=True):
    """A credit note that a refund paid out."""

    cn_id: str | None = None
    applied_amount: int = 0
    applied_at: int | None = None
    cn_reference_invoice_id: str | None = None


class Transaction(Wire, frozen=True, kw_only=True):
    """A movement of money; `gateway` is not_applicable for those that a person or a connector recorded."""

    id: str
    customer_id: str | None = None
    subscription_id: str | None = None
    type: str | None = None
    status: str | None = None
    date: int | None = None
    amount: int = 0
    amount_unused: int = 0
    currency_code: str | None = None
    base_currency_code: str | None = None
    exchange_rate: Decimal | None = None
    gateway: str | None = None
    gateway_account_id: str | None = None
    payment_method: str | None = None
    reference_number: str | None = None
    id_at_gateway: str | None = None
    refunded_txn_id: str | None = None
    reference_transaction_id: str | None = None
    linked_invoices: tuple[LinkedInvoice, ...] = ()
    linked_credit_notes: tuple[LinkedCreditNote, ...] = ()
    business_entity_id: str | None = None
    updated_at: int | None = None
    deleted: bool = False
