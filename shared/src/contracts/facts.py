"""Facts: what happened, in the past tense, never changed once stored.

Who says which: ingest says what Chargebee showed, mapper what it decided, exact-writer what Exact did and shows,
payment-matcher what it recorded in Chargebee.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import ClassVar, Literal

import msgspec

from contracts import chargebee, settlements
from contracts.envelope import Message

DocumentKind = Literal[
    "invoice", "credit_note", "payment", "refund", "vat_reclaim", "tax_withheld", "exchange_difference", "application", "payout"
]


class DocumentRef(msgspec.Struct, frozen=True, kw_only=True):
    """Which document a message is about, with what a person needs to recognise it.

    `total_minor` is in hundredths of `currency`, or whole units where `decimals` is 0; negative for what lowers a debt.
    `number` is the invoice number, the credit note's id or the transaction's id. `suffix` tells bookings of one document
    apart: empty for the document itself, "R" for its reversal.
    """

    site: str
    kind: DocumentKind
    number: str
    customer_id: str
    currency: str
    total_minor: int
    decimals: int = 2
    document_date: date | None = None
    suffix: str = ""


# ---------------------------------------------------------------------------------------------- ingest


class Observed(Message, frozen=True, kw_only=True):
    """A resource of Chargebee as it was at `resource_version`.

    Older versions than the newest seen are not published, but for the deletion of a document whose number was used again.
    """

    site: str
    event_id: str
    event_type: str
    occurred_at: int
    resource_version: int
    deleted: bool = False


class CustomerObserved(Observed, frozen=True, kw_only=True):
    """A customer was created, changed or deleted."""

    TYPE: ClassVar[str] = "chargebee.customer.observed"
    resource: chargebee.Customer


class ItemObserved(Observed, frozen=True, kw_only=True):
    """A product of Product Catalog 2.0 was created, changed or deleted."""

    TYPE: ClassVar[str] = "chargebee.item.observed"
    resource: chargebee.Item


class ItemPriceObserved(Observed, frozen=True, kw_only=True):
    """A price point was created, changed or deleted."""

    TYPE: ClassVar[str] = "chargebee.item_price.observed"
    resource: chargebee.ItemPrice


class PlanObserved(Observed, frozen=True, kw_only=True):
    """A plan of Product Catalog 1.0 was created, changed or deleted."""

    TYPE: ClassVar[str] = "chargebee.plan.observed"
    resource: chargebee.CatalogProduct


class AddonObserved(Observed, frozen=True, kw_only=True):
    """An addon of Product Catalog 1.0 was created, changed or deleted."""

    TYPE: ClassVar[str] = "chargebee.addon.observed"
    resource: chargebee.CatalogProduct


class SubscriptionObserved(Observed, frozen=True, kw_only=True):
    """A subscription was made, changed, renewed or deleted."""

    TYPE: ClassVar[str] = "chargebee.subscription.observed"
    resource: chargebee.Subscription


class InvoiceObserved(Observed, frozen=True, kw_only=True):
    """An invoice was made, changed, voided or deleted."""

    TYPE: ClassVar[str] = "chargebee.invoice.observed"
    resource: chargebee.Invoice


class CreditNoteObserved(Observed, frozen=True, kw_only=True):
    """A credit note was made, changed, voided or deleted."""

    TYPE: ClassVar[str] = "chargebee.credit_note.observed"
    resource: chargebee.CreditNote


class TransactionObserved(Observed, frozen=True, kw_only=True):
    """Money moved, or a movement changed its state."""

    TYPE: ClassVar[str] = "chargebee.transaction.observed"
    resource: chargebee.Transaction


class PayoutImported(Observed, frozen=True, kw_only=True):
    """A person imported a gateway's settlement file, and this payout stood in it; `event_id` is the file's digest."""

    TYPE: ClassVar[str] = "gateway.payout.imported"
    resource: settlements.Payout


# ---------------------------------------------------------------------------------------------- mapper


class VatOfCode(msgspec.Struct, frozen=True, kw_only=True):
    """The VAT of an entry under one of Exact's codes; positive for a sale."""

    code: str
    amount_minor: int


class PeriodMove(msgspec.Struct, frozen=True, kw_only=True):
    """What is reported in another period than its date says; amounts in minor units of `currency`, positive for a sale.

    An `entry` has its whole debt and its VAT by code, a `deferral` the revenue of the closed periods. `filed_return` is the VAT
    return (2026-02, 2026-Q1, 2026) that was filed without this VAT: whether to correct it is for a person to decide.
    """

    kind: Literal["entry", "deferral"]
    journal: str
    from_period: str
    to_period: str
    currency: str
    decimals: int
    amount_minor: int
    vat: tuple[VatOfCode, ...] = ()
    filed_return: str | None = None


class ShareOfLine(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a line's net amount and the days that it is earned in, both inclusive; without days it is earned at once."""

    amount_minor: int
    first: date | None = None
    last: date | None = None


class ReasonOfLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a line went where it went; amounts as the document has them, positive in a sale.

    The rules are told by their conditions and by their places in the lists of the configuration. `moved_minor` is by how much
    the VAT differs from the line's own, to come to the VAT of the document.
    """

    description: str
    account: str
    net_minor: int
    revenue_rule: str
    vat_code: str
    vat_minor: int
    vat_rule: str
    rate: Decimal
    revenue_index: int | None = None
    vat_index: int | None = None
    moved_minor: int = 0
    about_dimensions: str = ""
    about_dimensions_nl: str = ""
    shares: tuple[ShareOfLine, ...] = ()


class DocumentPlanned(Message, frozen=True, kw_only=True):
    """An entry was made for the document and its command issued; `explanation` says in words which rules made the lines.

    The same sentences stand in Dutch in `explanation_nl`; what was told before there was Dutch has none.
    """

    TYPE: ClassVar[str] = "mapper.document.planned"
    document: DocumentRef
    division: int
    command_id: str
    mapping_version: str
    explanation: tuple[str, ...] = ()
    explanation_nl: tuple[str, ...] = ()
    reasons: tuple[ReasonOfLine, ...] = ()
    moves: tuple[PeriodMove, ...] = ()


class DocumentHeld(Message, frozen=True, kw_only=True):
    """The document cannot be booked now; `code` is stable, `sentence` says why, `action` what a person can do.

    `waiting` is true when the cause is expected to pass by itself (a customer whose event is still under way). The sentence and
    the action stand in Dutch as well.
    """

    TYPE: ClassVar[str] = "mapper.document.held"
    document: DocumentRef
    code: str
    sentence: str
    action: str
    waiting: bool = False
    sentence_nl: str = ""
    action_nl: str = ""


class DocumentSetAside(Message, frozen=True, kw_only=True):
    """The document is not to be booked, and why: a pending invoice, an offline payment, a total of zero."""

    TYPE: ClassVar[str] = "mapper.document.set_aside"
    document: DocumentRef
    code: str
    sentence: str
    sentence_nl: str = ""


# ---------------------------------------------------------------------------------------------- exact-writer


class AccountSaved(Message, frozen=True, kw_only=True):
    """A customer stands in Exact as the account `account_id` (a GUID)."""

    TYPE: ClassVar[str] = "exact.account.saved"
    division: int
    customer_ref: str
    account_id: str
    created: bool


class AccountRefused(Message, frozen=True, kw_only=True):
    """Exact refused a customer; entries for it wait until a person or a newer version of the customer mends it."""

    TYPE: ClassVar[str] = "exact.account.refused"
    division: int
    customer_ref: str
    code: str
    message: str
    message_nl: str = ""


class EntryPosted(Message, frozen=True, kw_only=True):
    """A command ended as an entry in Exact; `found` is true when a look-up after a lost answer found it there.

    `exchange_rate` is the rate that a foreign currency was booked at: the command's, or Exact's own where the command had none.
    `mapping_version` is that of the command.
    `booked_as` says how: a command of mode document whose cents Exact would not have kept was booked as a sales entry. The
    `entry_number` is 0 where Exact's answer does not tell it. `is_linked`: somebody else had booked it, and it was not posted.
    """

    TYPE: ClassVar[str] = "exact.entry.posted"
    division: int
    command_id: str
    document: DocumentRef
    entry_id: str
    entry_number: int
    journal: str
    your_ref: str
    reporting_year: int | None = None
    reporting_period: int | None = None
    exchange_rate: Decimal | None = None
    found: bool = False
    mapping_version: str = ""
    booked_as: Literal["entry", "document", "ledger"] = "entry"
    is_linked: bool = False


class EntryRefused(Message, frozen=True, kw_only=True):
    """Exact, or the check before the call, refused a command for good; `code` is stable, `message` says it in words."""

    TYPE: ClassVar[str] = "exact.entry.refused"
    division: int
    command_id: str
    document: DocumentRef
    code: str
    message: str
    message_nl: str = ""


class ReceivableObserved(Message, frozen=True, kw_only=True):
    """Exact's state of one receivable (sync/Cashflow/PaymentTerms); `document` is set when the entry is one of ours.

    `amount_minor` is what was to be received, in hundredths of the receivable's currency. `description` is that of the ledger
    line, which tells apart the receivables of one entry that books several documents. `account_id` is Exact's account (a GUID)
    that it stands with. `entry_number` is 0 where it was not told.
    """

    TYPE: ClassVar[str] = "exact.receivable.observed"
    division: int
    term_id: str
    timestamp: int
    entry_id: str
    your_ref: str | None
    currency: str
    amount_minor: int
    is_fully_paid: bool
    status: int
    last_payment_date: date | None
    document: DocumentRef | None = None
    description: str = ""
    account_id: str = ""
    entry_number: int = 0


class PeriodObserved(Message, frozen=True, kw_only=True):
    """Whether a journal of Exact takes entries in a period, and the days of that period.

    Periods are told one by one in the order of time; `known_until` is the last day that Exact's list reaches for the journal, by
    which a year that Exact lacks is told apart from one that is still to be told.
    """

    TYPE: ClassVar[str] = "exact.period.observed"
    division: int
    journal: str
    year: int
    period: int
    starts: date
    ends: date
    is_open: bool
    known_until: date | None = None


class ConnectionChanged(Message, frozen=True, kw_only=True):
    """The writer can or cannot reach Exact: connected, consent_needed (a person must log in) or blocked, and why."""

    TYPE: ClassVar[str] = "exact.connection.changed"
    division: int
    state: Literal["connected", "consent_needed", "blocked"]
    reason: str
    reason_nl: str = ""


class PdfWanted(Message, frozen=True, kw_only=True):
    """The writer can attach a document's PDF soon and wants it; `request_id` is the command that booked it."""

    TYPE: ClassVar[str] = "exact.pdf.wanted"
    division: int
    request_id: str
    document: DocumentRef


class PdfAttached(Message, frozen=True, kw_only=True):
    """The PDF hangs on the entry in Exact, as an attachment of the document `document_id` (a GUID) that is linked to it."""

    TYPE: ClassVar[str] = "exact.pdf.attached"
    division: int
    document: DocumentRef
    entry_id: str
    document_id: str
    file_name: str


class PdfNotAttached(Message, frozen=True, kw_only=True):
    """The PDF will not be attached unless a person asks again; `code` is stable. The entry stays as it was booked."""

    TYPE: ClassVar[str] = "exact.pdf.not_attached"
    division: int
    document: DocumentRef
    code: str
    message: str
    message_nl: str = ""


# ---------------------------------------------------------------------------------------------- payment-matcher


class PaymentRecorded(Message, frozen=True, kw_only=True):
    """A receipt seen in Exact was recorded in Chargebee as `transaction_id`, under our own `reference`."""

    TYPE: ClassVar[str] = "matcher.payment.recorded"
    document: DocumentRef
    transaction_id: str
    amount_minor: int
    payment_date: date
    reference: str
    found: bool = False


class PaymentNotRecorded(Message, frozen=True, kw_only=True):
    """A receipt seen in Exact was not recorded in Chargebee, and why (already paid there, voided, refused)."""

    TYPE: ClassVar[str] = "matcher.payment.not_recorded"
    document: DocumentRef
    code: str
    sentence: str
    sentence_nl: str = ""
