"""Documents as a bookkeeper sees them: what they are worth, of which day, for whom. Amounts are in minor units."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

from bookkeeping.debtors import Debtor, Terms
from bookkeeping.deferral import EarlierCredit
from bookkeeping.journal import Entry


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A price point or a plan or addon of the older catalogue, with what the rules ask of it.

    `fields` are its accounting details (sku, accounting_code, accounting_category1 to 4) and its custom fields, in words.
    """

    price_id: str
    item_id: str | None = None
    family_id: str | None = None
    fields: MappingOf[str, str] = msgspec.field(default_factory=dict)


class LineTax(msgspec.Struct, frozen=True, kw_only=True):
    """The tax of a line at one rate (in percent); `country` is the country whose tax it is, when the document says so."""

    rate: Decimal
    amount_minor: int
    taxable_minor: int
    country: str | None = None


class CreditedLine(msgspec.Struct, frozen=True, kw_only=True):
    """The invoice line that a credit line takes back: its amount without tax and its service period (both days served).

    `earlier` are the credits of it that were given before, in the order of their dates and numbers. As the line is booked, its
    release may begin later (`released_from`), because periods were closed, or all of it have been released `at_once`.
    """

    net_minor: int
    service_from: date
    service_to: date
    earlier: tuple[EarlierCredit, ...] = ()
    released_from: date | None = None
    at_once: bool = False


class CouponUse(msgspec.Struct, frozen=True, kw_only=True):
    """How a coupon was given: by a code of a coupon set, or without one, where `code` is empty.

    Which set a code belongs to is asked of Chargebee: until `is_asked` it is not known, and without a set after that the code is
    not there any more.
    """

    code: str = ""
    coupon_set: str | None = None
    is_asked: bool = False


class LineDiscount(msgspec.Struct, frozen=True, kw_only=True):
    """A discount on a line: Chargebee's discount_type, and the coupon where it came from one.

    Types are item_level_coupon, document_level_coupon, item_level_discount, document_level_discount, promotional_credits and
    prorated_credits. Older documents have only the line's sum of them, without a type. `uses` are the ways in which a coupon may
    have been given: several where a document has it more than once, None where it does not say.
    """

    amount_minor: int
    type: str | None = None
    coupon: str | None = None
    uses: tuple[CouponUse, ...] | None = (CouponUse(),)


class DocumentLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an invoice or credit note.

    `amount_minor` is before discounts, and includes tax only on a tax-inclusive document. The service period has
    both its days served, and is absent where nothing is served over time. `subscription_fields` are the custom fields of its
    subscription, in words; None while that has not been seen, and where nobody asks for them.
    """

    description: str
    entity_type: str
    product_id: str | None
    amount_minor: int
    discounts: tuple[LineDiscount, ...] = ()
    taxes: tuple[LineTax, ...] = ()
    exempt_reason: str | None = None
    service_from: date | None = None
    service_to: date | None = None
    credited: CreditedLine | None = None
    subscription_id: str | None = None
    subscription_fields: MappingOf[str, str] | None = None

    @property
    def discount_minor(self) -> int:
        """All discounts of the line; document-level ones are already spread over the lines."""
        return sum(discount.amount_minor for discount in self.discounts)

    @property
    def awaits_subscription(self) -> bool:
        """Whether it belongs to a subscription whose fields are not known."""
        return self.subscription_id is not None and self.subscription_fields is None


class SalesDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What an invoice and a credit note share; amounts are positive on both.

    `exchange_rate` is base currency per unit of `currency`. `customer_country` is where the customer is taxed: of the
    shipping address, else of the billing address, both as they stood on the document. `debtor` is what the customer himself is
    now, not what the document says of him. `custom_fields` are those of the customer and of the document, in words.
    `is_business_without_number` is what Chargebee's user confirmed of a business that has no VAT number.
    """

    number: str
    customer_id: str
    document_date: date
    currency: str
    total_minor: int
    tax_minor: int
    lines: tuple[DocumentLine, ...]
    round_off_minor: int = 0
    tax_inclusive: bool = False
    base_currency: str | None = None
    exchange_rate: Decimal | None = None
    tax_origin: str | None = None
    customer_country: str | None = None
    vat_number: str | None = None
    is_business_without_number: bool = False
    customer_name: str = ""
    po_number: str | None = None
    custom_fields: MappingOf[str, str] = msgspec.field(default_factory=dict)
    debtor: Debtor | None = None

    @property
    def is_business(self) -> bool:
        """Whether the customer buys as a business: he has a usable VAT number, or is confirmed to be one without."""
        return self.vat_number is not None or self.is_business_without_number


class Invoice(SalesDocument, frozen=True, kw_only=True):
    """An invoice; `due_date` is the day on which it must be paid, `terms` how."""

    due_date: date | None = None
    terms: Terms = msgspec.field(default_factory=Terms)


class CreditNote(SalesDocument, frozen=True, kw_only=True):
    """A credit note; it names the invoice that it credits, unless it stands alone.

    `reference_known` is false while that invoice has not been seen; its address decides the country, its lines the deferral,
    and its date (`reference_date`) the VAT rules. `reference_given_up` says that it is not waited for any more. `reason` is why
    the note was made, in lower case with underscores. An adjustment lowers what is due, others leave a credit. `awaits` is what
    must be seen before its deferred lines can be split: earlier credits leave less of them to release. `reference_rate` is the
    rate that the invoice is booked at, where it is in another currency than the division's. `beside` are the invoice and its
    other notes as they are booked, where this one brings what is credited to the whole of it: it takes what they leave.
    """

    reference_invoice: str | None = None
    reference_known: bool = True
    reference_given_up: bool = False
    reference_date: date | None = None
    reference_rate: Decimal | None = None
    reason: str | None = None
    is_adjustment: bool = False
    awaits: str | None = None
    beside: tuple[Entry, ...] = ()


class VatReclaim(msgspec.Struct, frozen=True, kw_only=True):
    """The VAT of a written-off debt, which comes back on `document_date`; `note` is the write-off."""

    note: CreditNote
    document_date: date


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a payment that was applied to one invoice, of a refund to one credit note, or to the payment that goes back.

    `customer_id` and `debtor` say on whose account that document stands, where it is another's than the payer's, and
    `exchange_rate` at which rate, where it is in another currency than the division's.
    """

    number: str
    amount_minor: int
    kind: Literal["invoice", "credit_note", "payment"] = "invoice"
    exchange_rate: Decimal | None = None
    customer_id: str | None = None
    debtor: Debtor | None = None


class MoneyMovement(msgspec.Struct, frozen=True, kw_only=True):
    """What a payment and a refund share: money through a gateway, to be booked against its control account."""

    number: str
    customer_id: str
    document_date: date
    currency: str
    amount_minor: int
    gateway_account: str | None = None
    base_currency: str | None = None
    exchange_rate: Decimal | None = None
    settlements: tuple[Settlement, ...] = ()
    debtor: Debtor | None = None

    def shares(self) -> tuple[Settlement, ...]:
        """Return a share per document that the money settled, and the rest; all in one when they exceed the amount."""
        shares = tuple(settled for settled in self.settlements if settled.amount_minor > 0)
        rest = self.amount_minor - sum(settled.amount_minor for settled in shares)
        if rest < 0:
            return (Settlement(number="", amount_minor=self.amount_minor),)
        return (*shares, Settlement(number="", amount_minor=rest)) if rest else shares


class Payment(MoneyMovement, frozen=True, kw_only=True):
    """Money that a customer paid through a gateway."""


class Refund(MoneyMovement, frozen=True, kw_only=True):
    """Money that went back to a customer through a gateway; also a chargeback, which the bank took back."""


class WithheldTax(MoneyMovement, frozen=True, kw_only=True):
    """Tax that a customer held back from an invoice and pays to its tax office, which lowers what it owes.

    `reference_rate` is the rate that the invoice is booked at, where it is in another currency than the division's.
    """

    invoice: str
    reference_rate: Decimal | None = None


class ExchangeDifference(MoneyMovement, frozen=True, kw_only=True):
    """What money in another currency brought more or less than what it settled was booked at; `went_out` for a refund."""

    went_out: bool = False


class Application(MoneyMovement, frozen=True, kw_only=True):
    """Money or credit in another currency that was applied to a document which may be booked at another rate.

    `source` was applied to `target`, a refund to its credit note; `before_minor` of it had been applied to others. `debit_minor`
    and `credit_minor` are what stands of both on the debtor in the division's currency, at `debit_rate` and `credit_rate`;
    without them one of both is not booked by us, and Exact keeps the debtor at zero.
    """

    source_kind: Literal["payment", "refund", "credit_note"]
    source: str
    target_kind: Literal["invoice", "credit_note"]
    target: str
    before_minor: int = 0
    debit_minor: int | None = None
    credit_minor: int | None = None
    debit_rate: Decimal | None = None
    credit_rate: Decimal | None = None


class Payout(MoneyMovement, frozen=True, kw_only=True):
    """A gateway's transfer to the bank of `amount_minor`, from which it held back fees (`fees_tax_minor` of them VAT).

    `elsewhere` is what of it was booked on other control accounts than that of its own day: account and amount.
    """

    fees_minor: int = 0
    fees_tax_minor: int = 0
    chargeback_fees_minor: int = 0
    elsewhere: tuple[tuple[str, int], ...] = ()


Document = Invoice | CreditNote | Payment | Refund | VatReclaim | WithheldTax | ExchangeDifference | Application | Payout


def numbers_before(document: Document) -> tuple[str, ...]:
    """Return the numbers of the documents that one settles, credits or compares: their bookings are to stand before its own."""
    match document:
        case CreditNote():
            numbers = [document.reference_invoice]
        case VatReclaim():
            numbers = [document.note.number, document.note.reference_invoice]
        case WithheldTax():
            numbers = [document.invoice]
        case Application():
            numbers = [document.source, document.target]
        case MoneyMovement():
            numbers = [settled.number for settled in document.settlements]
        case _:
            numbers = []
    return tuple(each for each in numbers if each)
