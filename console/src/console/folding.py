"""How messages make up the present state of a document. Pure: the old row and a message in, the new row out.

States: received (seen in Chargebee, not decided yet), waiting (for something that comes by itself), held (a person is needed),
set_aside (not to be booked), planned (an entry is under way to Exact), booked.

Messages may come in any order: a statement replaces an older one only. An entry in Exact outranks them all, since the mapper
may speak of a refusal after the writer has mended it, except one: that the document changed in Chargebee since its plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import msgspec

from contracts import bank_lines, commands, facts
from contracts.chargebee import Document, Transaction
from contracts.envelope import Envelope, Message
from contracts.facts import DocumentKind, DocumentRef

Statement = facts.DocumentPlanned | facts.DocumentHeld | facts.DocumentSetAside | facts.EntryRefused
State = Literal["received", "waiting", "held", "set_aside", "planned", "booked"]
STATES: tuple[State, ...] = ("received", "waiting", "held", "set_aside", "planned", "booked")
# The one hold that concerns what is booked: it stands whether the mapper saw the change before the entry was made or after.
# Refusals that follow a recorded payment: of it, or of another receipt of the same invoice.
AFTER_PAYMENT = frozenset({"taken_back", "matched_anew", "receipt_matched_anew", "shortage_changed", "money_without_debt"})
CHANGED_AFTER_BOOKING = "changed_after_booking"
TOLD_OF_BOOKED = frozenset((CHANGED_AFTER_BOOKING, "linked_changed"))
KINDS: tuple[DocumentKind, ...] = get_args(DocumentKind)
# Chargebee counts these in whole units and all others in hundredths.
WHOLE_UNIT_CURRENCIES = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"}
)
MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class DocumentRow:
    """One booking of a document as people see it; times in microseconds since 1970, amounts in the currency's smallest unit."""

    site: str
    kind: str
    number: str
    suffix: str = ""
    customer_id: str = ""
    currency: str = ""
    decimals: int = 2
    total_minor: int = 0
    document_date: date | None = None
    division: int | None = None
    state: State = "received"
    stated_at_us: int = 0
    code: str = ""
    sentence: str = ""
    action: str = ""
    entry_id: str = ""
    entry_number: int | None = None
    journal: str = ""
    receipt: str = ""
    receipt_sentence: str = ""
    pdf: str = ""
    pdf_sentence: str = ""
    pdf_sentence_nl: str = ""
    pdf_stated_at_us: int = 0
    updated_at_us: int = 0
    sentence_nl: str = ""
    action_nl: str = ""
    receipt_sentence_nl: str = ""

    @property
    def subject(self) -> str:
        """The document's name in the timeline."""
        return document_subject(self.site, self.kind, self.number, self.suffix)


def microseconds(moment: datetime) -> int:
    """Return an instant as whole microseconds since 1970."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * MICROSECONDS + since.microseconds


def moment_of(time_us: int) -> datetime:
    """Return the instant, in UTC, of microseconds since 1970."""
    seconds, rest = divmod(time_us, MICROSECONDS)
    return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=rest)


def document_subject(site: str, kind: str, number: str, suffix: str) -> str:
    """Name a booking of a document in the timeline."""
    return f"{site}/{kind}/{number}" + (f"/{suffix}" if suffix else "")


def customer_subject(customer_ref: str) -> str:
    """Name a customer (`site/customer id`) in the timeline."""
    return f"customer/{customer_ref}"


def document_of(message: Message, zone_of: dict[str, ZoneInfo]) -> DocumentRef | None:
    """Return which document a message is about; None for customers, products, periods and unassigned money.

    Dates of Chargebee's resources are cut in the site's time zone; a site that is not configured has its dates in UTC.
    """
    match message:
        case facts.InvoiceObserved(resource=resource, site=site):
            return _observed(site, "invoice", resource, resource.total, zone_of)
        case facts.CreditNoteObserved(resource=resource, site=site, deleted=deleted):
            note = msgspec.structs.replace(resource, deleted=deleted or resource.deleted)
            resource = msgspec.structs.replace(note, id=note.number)
            return _observed(site, "credit_note", resource, -resource.total, zone_of)
        case facts.TransactionObserved(resource=resource, site=site) if resource.type == "payment":
            return _observed(site, "payment", resource, -resource.amount, zone_of)
        case facts.TransactionObserved(resource=resource, site=site) if resource.type == "refund":
            return _observed(site, "refund", resource, resource.amount, zone_of)
        case (
            facts.DocumentPlanned()
            | facts.DocumentHeld()
            | facts.DocumentSetAside()
            | facts.EntryPosted()
            | facts.EntryRefused()
            | facts.PdfWanted()
            | facts.PdfAttached()
            | facts.PdfNotAttached()
            | facts.PaymentRecorded()
            | facts.PaymentNotRecorded()
            | bank_lines.ShortageWrittenOff()
            | facts.ReceivableObserved()
            | commands.PostEntry()
        ):
            return message.document
        case _:
            return None


def customer_of(message: Message) -> str | None:
    """Return which customer (`site/customer id`) a message about an account in Exact is about."""
    match message:
        case facts.AccountSaved() | facts.AccountRefused() | commands.SaveAccount():
            return message.customer_ref
        case _:
            return None


def fold(row: DocumentRow, envelope: Envelope, message: Message, document: DocumentRef) -> DocumentRow:
    """Return the row after the message; its identity stays."""
    now_us = microseconds(envelope.time)
    if now_us >= row.updated_at_us:
        row = replace(_described(row, document), updated_at_us=now_us)
    elif row.document_date is None:
        row = replace(row, document_date=document.document_date)
    if row.division is None:
        row = replace(row, division=getattr(message, "division", None))
    match message:
        case facts.EntryPosted():
            return _booked(row, message)
        case facts.PdfWanted() | facts.PdfAttached() | facts.PdfNotAttached():
            return _with_pdf(row, message, now_us)
        case facts.PaymentRecorded() | facts.PaymentNotRecorded() | bank_lines.ShortageWrittenOff():
            return _with_receipt(row, message)
        case facts.DocumentPlanned() | facts.DocumentHeld() | facts.DocumentSetAside() | facts.EntryRefused():
            if now_us < row.stated_at_us:
                return row
            return _restated(row, message, now_us) if row.entry_id else _stated(row, message, now_us)
        case _:
            return row


def _with_receipt(
    row: DocumentRow, fact: facts.PaymentRecorded | facts.PaymentNotRecorded | bank_lines.ShortageWrittenOff
) -> DocumentRow:
    """Return the row with what became of its receipt: recorded, or the code of what a person has to know."""
    match fact:
        case facts.PaymentRecorded():
            return replace(row, receipt="recorded", receipt_sentence="", receipt_sentence_nl="")
        case facts.PaymentNotRecorded(code=code) if row.receipt == "recorded" and code not in AFTER_PAYMENT:
            return row
        case bank_lines.ShortageWrittenOff(code=""):
            return row
        case _:
            return replace(row, receipt=fact.code, receipt_sentence=fact.sentence, receipt_sentence_nl=fact.sentence_nl)


def _with_pdf(row: DocumentRow, fact: facts.PdfWanted | facts.PdfAttached | facts.PdfNotAttached, now_us: int) -> DocumentRow:
    """Return the row with how its PDF stands: wanted, attached, or the code why not; an older message replaces nothing."""
    if row.pdf == "attached" or (now_us < row.pdf_stated_at_us and not isinstance(fact, facts.PdfAttached)):
        return row
    row = replace(row, pdf_stated_at_us=now_us, pdf_sentence="", pdf_sentence_nl="")
    match fact:
        case facts.PdfWanted():
            return replace(row, pdf="wanted")
        case facts.PdfAttached():
            return replace(row, pdf="attached")
        case facts.PdfNotAttached():
            return replace(row, pdf=fact.code, pdf_sentence=fact.message, pdf_sentence_nl=fact.message_nl)


def _described(row: DocumentRow, document: DocumentRef) -> DocumentRow:
    return replace(
        row,
        customer_id=document.customer_id,
        currency=document.currency,
        decimals=document.decimals,
        total_minor=document.total_minor,
        document_date=document.document_date or row.document_date,
    )


def _booked(row: DocumentRow, fact: facts.EntryPosted) -> DocumentRow:
    row = replace(row, division=fact.division, entry_id=fact.entry_id, entry_number=fact.entry_number, journal=fact.journal)
    if row.state == "held" and row.code in TOLD_OF_BOOKED:
        return row
    # Of what was stated only a plan still counts: it says which changes the entry has in it.
    planned_at_us = row.stated_at_us if row.state in ("planned", "booked") else 0
    return _cleared(row, "booked", planned_at_us)


def _restated(row: DocumentRow, statement: Statement, now_us: int) -> DocumentRow:
    """Return the row of a document that has its entry, after a statement of the mapper or the writer."""
    match statement:
        case facts.DocumentHeld(code=code) if code in TOLD_OF_BOOKED:
            return _stated(row, statement, now_us)
        case facts.DocumentPlanned():
            return _cleared(row, "booked", now_us)
        case _:
            return row


def _stated(row: DocumentRow, statement: Statement, now_us: int) -> DocumentRow:
    match statement:
        case facts.DocumentHeld():
            row = replace(row, state="waiting" if statement.waiting else "held", stated_at_us=now_us, code=statement.code)
            row = replace(row, sentence=statement.sentence, sentence_nl=statement.sentence_nl)
            return replace(row, action=statement.action, action_nl=statement.action_nl)
        case facts.DocumentPlanned():
            return replace(_cleared(row, "planned", now_us), division=statement.division)
        case facts.DocumentSetAside():
            row = replace(_cleared(row, "set_aside", now_us), code=statement.code)
            return replace(row, sentence=statement.sentence, sentence_nl=statement.sentence_nl)
        case facts.EntryRefused():
            # The mapper answers a refusal with a new plan or with a hold; until then it is under way.
            row = replace(_cleared(row, "waiting", now_us), division=statement.division)
            return replace(row, code=statement.code, sentence=statement.message, sentence_nl=statement.message_nl)


def _cleared(row: DocumentRow, state: State, stated_at_us: int) -> DocumentRow:
    row = replace(row, state=state, stated_at_us=stated_at_us, code="", sentence="", action="")
    return replace(row, sentence_nl="", action_nl="")


def _observed(
    site: str, kind: DocumentKind, resource: Document | Transaction, total_minor: int, zone_of: dict[str, ZoneInfo]
) -> DocumentRef:
    currency = resource.currency_code or ""
    day = None if resource.date is None else datetime.fromtimestamp(resource.date, tz=zone_of.get(site, UTC)).date()
    return DocumentRef(
        site=site,
        kind=kind,
        number=resource.id,
        customer_id=resource.customer_id or "",
        currency=currency,
        total_minor=total_minor,
        decimals=0 if currency in WHOLE_UNIT_CURRENCIES else 2,
        document_date=day,
    )
