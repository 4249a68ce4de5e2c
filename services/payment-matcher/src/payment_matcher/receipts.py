"""What the service does with what it hears: it keeps invoices, receivables and reversals; a matched one becomes an intent."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.configuration import Configuration
from backbone.database import Database
from backbone.errors import Permanent
from bookkeeping.bookings import booking_of
from contracts.bank_lines import BankLineObserved
from contracts.chargebee import Customer
from contracts.envelope import Envelope, Message
from contracts.facts import (
    AccountSaved,
    CreditNoteObserved,
    CustomerObserved,
    DocumentRef,
    EntryPosted,
    InvoiceObserved,
    ReceivableObserved,
    TransactionObserved,
)
from payment_matcher import (
    account_money,
    afterwards,
    by_hand,
    credit_notes,
    intents,
    lines,
    own_payments,
    rechecks,
    terms,
    write_offs,
)
from payment_matcher.decision import is_settled


class Receipts:
    """Handles the facts of this service's queue, inside the consumer's transaction; it makes no calls."""

    def __init__(self, database: Database, configuration: Configuration, clock: Clock) -> None:
        self._database = database
        self._configuration = configuration
        self._clock = clock
        self._write_off_reasons = write_offs.reasons_of(configuration)

    async def handle(self, connection: AsyncConnection, envelope: Envelope, message: Message) -> None:
        """Fold one fact; those that are about no receipt and no invoice change nothing here, and those of a shadow neither.

        Where another connector still books, it records what was paid.
        """
        if not self._is_of_shadow(message):
            await self._fold(connection, envelope, message)

    def _is_of_shadow(self, message: Message) -> bool:
        if not isinstance(message, ReceivableObserved | BankLineObserved):
            return False
        division = self._configuration.divisions.get(message.division)
        return division is not None and division.shadow

    async def _fold(self, connection: AsyncConnection, envelope: Envelope, message: Message) -> None:
        match message:
            case InvoiceObserved() | CreditNoteObserved():
                await self._fold_document(connection, message)
            case ReceivableObserved():
                await self._plan(connection, envelope, message)
            case EntryPosted(document=document) if document.kind == "invoice":
                booking = booking_of(document.suffix)
                if booking.is_reversal:
                    taken_back = booking.preceding().suffix
                    await intents.note_booked_back(self._database, connection, document.site, document.number, taken_back)
            case CustomerObserved(site=site, resource=customer):
                version, name = message.resource_version, _name(customer)
                await lines.note_name(self._database, connection, site, customer.id, version=version, name=name)
            case BankLineObserved():
                await self._fold_bank_line(connection, envelope, message)
            case AccountSaved(division=division, account_id=account):
                await self._note_account(connection, division, account, *message.customer_ref.split("/", 1))
            case TransactionObserved():
                await self._fold_money(connection, envelope, message)
            case _:
                pass

    async def _fold_money(self, connection: AsyncConnection, envelope: Envelope, fact: TransactionObserved) -> None:
        money = fact.resource
        if fact.deleted or money.deleted:
            await self._forget_payment(connection, fact.site, money.id)
        paid_on, now = self._day(fact.site, money.date), self._clock.now()
        await own_payments.fold(self._database, connection, envelope, fact, paid_on, now)
        for number in sorted(await by_hand.fold(self._database, connection, fact)):
            await self._look_at_account_of(connection, fact.site, number)

    async def _look_at_account_of(self, connection: AsyncConnection, site: str, number: str) -> None:
        """Look again at receipts of a customer of whose money Chargebee has more, or less, than it had."""
        now = self._clock.now()
        for division, account_id in await terms.accounts_of(connection, site, number):
            await intents.open_again(connection, terms.on_account(division, account_id), now)
            await intents.look_again(connection, terms.on_account(division, account_id), now)

    async def _fold_bank_line(self, connection: AsyncConnection, envelope: Envelope, message: BankLineObserved) -> None:
        now = self._clock.now()
        is_out = message.is_matched and message.amount_minor < 0
        change = await lines.fold(self._database, connection, message)
        if change != "none" or is_out:
            place = (message.division, message.line_id)
            await rechecks.plan(self._database, connection, envelope, *place, now)
        if not message.is_gone:
            await own_payments.assign_to(self._database, connection, envelope, message.division, message.line_id)
        of_account = terms.on_account(message.division, message.account_id)
        await intents.look_again(connection, of_account, now)
        if is_out:
            # What went out by bank was no invoice's: more of what Exact matched on the account came in, then.
            await intents.open_again(connection, of_account, now)

    async def _note_account(
        self, connection: AsyncConnection, division: int, account_id: str, site: str, customer_id: str
    ) -> None:
        await lines.note_account(self._database, connection, division, account_id, site, customer_id)

    async def _forget_payment(self, connection: AsyncConnection, site: str, transaction_id: str) -> None:
        for line in await lines.forget_payment(connection, site, transaction_id):
            # Exact may have matched the line with another invoice, which is paid by it from now on.
            await intents.open_again(connection, terms.on_account(line.division, line.account_id), self._clock.now())
        for division, account_id in await intents.forget_payment(connection, site, transaction_id):
            await intents.open_again(connection, terms.on_account(division, account_id), self._clock.now())

    async def _fold_document(self, connection: AsyncConnection, fact: InvoiceObserved | CreditNoteObserved) -> None:
        if isinstance(fact, CreditNoteObserved):
            await credit_notes.fold(self._database, connection, fact)
            await write_offs.fold(self._database, connection, fact, self._write_off_reasons)
            return
        invoice = fact.resource
        before = await intents.known_invoice(connection, fact.site, invoice.id)
        await intents.fold_invoice(
            self._database,
            connection,
            key=(fact.site, invoice.id),
            version=fact.resource_version,
            values={
                "status": invoice.status or "",
                "amount_due_minor": invoice.amount_due,
                "deleted": fact.deleted or invoice.deleted,
                "customer_id": invoice.customer_id or "",
                "currency": invoice.currency_code or "",
                "total_minor": invoice.total,
                "due_on": self._day(fact.site, invoice.due_date),
            },
        )
        await self._look_at_due(connection, fact, before)

    async def _look_at_due(self, connection: AsyncConnection, fact: InvoiceObserved, before: sa.RowMapping | None) -> None:
        """Look again at receipts of an invoice on which more is due in Chargebee than was: something was taken off it there.

        What was held for counted already, such as beside a withheld tax that is open in Exact, may have to be recorded now.
        """
        if before is None or fact.resource_version <= before["resource_version"]:
            return
        if fact.resource.amount_due > before["amount_due_minor"]:
            mine, now = terms.of_invoice(fact.site, fact.resource.id), self._clock.now()
            await intents.open_again(connection, mine, now)
            await intents.look_again(connection, mine, now)

    def _day(self, site: str, instant: int | None) -> date | None:
        if instant is None:
            return None
        known = self._configuration.sites.get(site)
        return datetime.fromtimestamp(instant, tz=UTC if known is None else ZoneInfo(known.time_zone)).date()

    async def _plan(self, connection: AsyncConnection, envelope: Envelope, fact: ReceivableObserved) -> None:
        document = fact.document
        if document is None:
            return
        await self._note_account(connection, fact.division, fact.account_id, document.site, document.customer_id)
        change = await terms.fold(self._database, connection, document, fact)
        await self._follow(connection, envelope, fact, document, change)
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
        known, now = await intents.known_invoice(connection, document.site, document.number), self._clock.now()
        reference = intents.reference_of(fact.division, fact.term_id)
        is_recorded = await own_payments.stands(connection, document.site, reference)
        # An invoice paid online is seen paid in Exact too, by our own booking of that payment; but Exact may have matched money
        # with an invoice that Chargebee has as settled by something else.
        is_paid = known is not None and is_settled(known["status"], known["amount_due_minor"], deleted=known["deleted"])
        if is_paid and not is_recorded:
            money = await account_money.money_hundredths(connection, fact.division, fact.account_id, fact.currency)
            if not money or money <= 0:
                return
            now += intents.SETTLE  # an invoice on which something is due goes first
        await intents.plan(self._database, connection, cause=envelope, receivable=fact, document=document, now=now)

    async def _follow(
        self,
        connection: AsyncConnection,
        envelope: Envelope,
        fact: ReceivableObserved,
        document: DocumentRef,
        change: terms.Change,
    ) -> None:
        if change == "taken_back":
            await self._taken_back(connection, envelope, fact, document)
        elif change == "matched":
            await self._look_at_others(connection, fact, document)
        elif change == "paid_otherwise" and document.kind == "invoice":
            await rechecks.plan(self._database, connection, envelope, fact.division, fact.term_id, self._clock.now())

    async def _look_at_others(self, connection: AsyncConnection, fact: ReceivableObserved, document: DocumentRef) -> None:
        """Look again at the other receipts of an account, of which Exact matched one more of our documents."""
        others = terms.on_account(fact.division, fact.account_id, besides=fact.term_id)
        if document.kind == "invoice":
            await intents.open_again(connection, others, self._clock.now())
        else:
            # It may be what settled an invoice of which money without a debt was told.
            await intents.look_again(connection, others, self._clock.now())

    async def _taken_back(
        self, connection: AsyncConnection, envelope: Envelope, fact: ReceivableObserved, document: DocumentRef
    ) -> None:
        """Tell that Exact took a receipt back which stands in Chargebee: a person has to say which of them is right."""
        for reference in (intents.reference_of(fact.division, fact.term_id), intents.rest_of(fact.division, fact.term_id)):
            payment = await intents.recorded(connection, reference)
            if payment is None:
                await intents.forget_money(connection, reference)
                await afterwards.tell_resolved(connection, reference, document, envelope, self._clock.now())
            else:
                await afterwards.tell_taken_back(connection, reference, document, payment, envelope, self._clock.now())


def _name(customer: Customer) -> str:
    """Return the name that a payer may have: the company, or the person."""
    address = customer.billing_address
    company = customer.company or (address.company if address is not None else None)
    return company or " ".join(part for part in (customer.first_name, customer.last_name) if part)
