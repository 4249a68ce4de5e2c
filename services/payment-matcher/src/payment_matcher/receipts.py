"""What the service does with what it hears: it keeps invoices, receivables and reversals; a matched one becomes an intent."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from backbone.clock import Clock
from backbone.configuration import Configuration
from backbone.database import Database
from backbone.errors import Permanent
from bookkeeping.bookings import booking_of
from bookkeeping.money import format_minor
from contracts.envelope import Envelope, Message, seal
from contracts.facts import CreditNoteObserved, DocumentRef, EntryPosted, InvoiceObserved, PaymentNotRecorded, ReceivableObserved
from payment_matcher import intents, refusals, terms
from payment_matcher.decision import is_settled
from payment_matcher.recording import SOURCE


class Receipts:
    """Handles the facts of this service's queue, inside the consumer's transaction; it makes no calls."""

    def __init__(self, database: Database, configuration: Configuration, clock: Clock) -> None:
        self._database = database
        self._configuration = configuration
        self._clock = clock

    async def handle(self, connection: AsyncConnection, envelope: Envelope, message: Message) -> None:
        """Fold one fact; other facts than invoices, reversals and receivables change nothing here."""
        match message:
            case InvoiceObserved():
                await self._fold_invoice(connection, message)
            case CreditNoteObserved(site=site, resource=note):
                available = 0 if message.deleted or note.deleted else note.amount_available
                key, version = (site, note.id), message.resource_version
                await terms.fold_credit_note(self._database, connection, key=key, version=version, available_minor=available)
                await intents.open_again(connection, terms.on_account_of(site, note.id), self._clock.now())
            case ReceivableObserved():
                await self._plan(connection, envelope, message)
            case EntryPosted(document=document) if document.kind == "invoice":
                booking = booking_of(document.suffix)
                if booking.is_reversal:
                    taken_back = booking.preceding().suffix
                    await intents.note_booked_back(self._database, connection, document.site, document.number, taken_back)
            case _:
                pass

    async def _fold_invoice(self, connection: AsyncConnection, fact: InvoiceObserved) -> None:
        invoice = fact.resource
        await intents.fold_invoice(
            self._database,
            connection,
            key=(fact.site, invoice.id),
            version=fact.resource_version,
            values={
                "status": invoice.status or "",
                "amount_due_minor": invoice.amount_due,
                "deleted": fact.deleted or invoice.deleted,
            },
        )

    async def _plan(self, connection: AsyncConnection, envelope: Envelope, fact: ReceivableObserved) -> None:
        document = fact.document
        if document is None:
            return
        if await terms.fold(self._database, connection, document, fact):
            await self._taken_back(connection, envelope, fact, document)
        if document.kind != "invoice":
            return
        # Only what Exact has matched is recorded; a reversal and what it takes back settle each other without money.
        if not terms.is_matched(fact) or fact.amount_minor <= 0:
            return
        if booking_of(document.suffix).is_reversal or await intents.is_booked_back(connection, document):
            return
        if document.site not in self._configuration.sites:
            raise Permanent(
                "unknown_site",
                f"invoice {document.number} is paid in Exact but its site {document.site} is not in the configuration; add it",
            )
        known = await intents.known_invoice(connection, document.site, document.number)
        # An invoice paid online is seen paid in Exact too, by our own booking of that payment.
        if known is not None and is_settled(known["status"], known["amount_due_minor"], deleted=known["deleted"]):
            return
        await intents.plan(self._database, connection, cause=envelope, receivable=fact, document=document, now=self._clock.now())

    async def _taken_back(
        self, connection: AsyncConnection, envelope: Envelope, fact: ReceivableObserved, document: DocumentRef
    ) -> None:
        """Tell that Exact took a receipt back which stands in Chargebee: a person has to say which of them is right."""
        reference = intents.reference_of(fact.division, fact.term_id)
        payment = await intents.recorded(connection, reference)
        if payment is None:
            return
        amount = f"{document.currency} {format_minor(payment.amount_minor, document.currency)}"
        details = {"number": document.number, "amount": amount, "transaction": payment.transaction_id}
        sentence = f"{refusals.sentence('taken_back', **details)} {refusals.action('taken_back')}"
        told = PaymentNotRecorded(document=document, code="taken_back", sentence=sentence)
        stream = f"payment/{reference}"
        version = await event_log.stream_version(connection, stream)
        sealed = seal(
            told,
            source=SOURCE,
            subject=f"{document.site}/invoice/{document.number}",
            key=f"{document.site}/{document.customer_id}",
            time=self._clock.now(),
            cause=envelope,
            distinguisher=str(version),
        )
        await event_log.append(connection, stream, version, [sealed])
