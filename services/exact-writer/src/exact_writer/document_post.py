"""Mode document: a sales invoice of items, drafted with one call and made final with a second.

Exact computes the VAT of a sales invoice itself. Where it would not come to Chargebee's cents, the command is booked as a sales
entry; a draft is compared with the document before it becomes final. Nothing that is final has other cents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import Database
from backbone.telemetry import Telemetry, log
from contracts.commands import PostEntry
from exact_writer import account_book, journal, lookup, odata, payloads, precheck
from exact_writer.calls import DivisionCalls
from exact_writer.client import Answer, RefusedError, Request
from exact_writer.client_keys import ClientKeys, is_key, or_by_key, same_id
from exact_writer.items import Items
from exact_writer.journal import Work
from exact_writer.lookup import Found
from exact_writer.mirror import Mirror
from exact_writer.outcomes import Outcomes
from exact_writer.sending import MOST_ATTEMPTS, REFUSED_LOOK_SECONDS, Sending
from exact_writer.timing import Timing

DRAFTS = "salesinvoice/SalesInvoices"
FINAL = "salesinvoice/PrintedSalesInvoices"
PROCESSED = 50


class DocumentPoster:
    """Carries out the commands of mode document of one division."""

    def __init__(
        self,
        division: int,
        *,
        database: Database,
        clock: Clock,
        calls: DivisionCalls,
        mirror: Mirror,
        outcomes: Outcomes,
        sending: Sending,
        keys: ClientKeys,
        telemetry: Telemetry,
        timing: Timing,
    ) -> None:
        self._division = division
        self._database = database
        self._clock = clock
        self._calls = calls
        self._mirror = mirror
        self._outcomes = outcomes
        self._sending = sending
        self._keys = keys
        self._telemetry = telemetry
        self._timing = timing
        self._items = Items(division, database=database, calls=calls, mirror=mirror)

    async def post(self, work: Work, command: PostEntry, epoch: int) -> bool:
        """Draft the invoice, or make the draft final; says whether a writing call was made. Raises what calls raise."""
        if work.exact_id is not None:
            return await self._make_final(work, command, work.exact_id, epoch)
        problem = await precheck.after_reading(command, self._mirror, work.planned_at)
        if problem is not None:
            await self._outcomes.refused_unsent(work, epoch, problem)
            return False
        if not keeps_cents(command, self._percentage_of):
            await self._book_as_entry(work, epoch)
            return False
        async with self._database.reading() as connection:
            known = await account_book.find(connection, self._division, command.customer_ref)
        if known is None:
            return False
        problem = await precheck.of_accounts(command, [known.account_id], self._mirror, work.planned_at)
        if problem is not None:
            await self._outcomes.refused_unsent(work, epoch, problem)
            return False
        try:
            items = await self._items.of(command)
        except RefusedError as error:
            async with self._database.transaction() as connection:
                await self._outcomes.refused(connection, work, epoch, error.code, error.message)
            return True
        body = payloads.sales_invoice(command, known.account_id, items, self._mirror.ledgers())
        request = self._keys.post(DRAFTS, work.command_id, body)
        answer = await self._sending.send([work], request, epoch, partial(self._refused, work, epoch))
        if answer is None:
            return True
        await self._take_draft(work, command, _entity_of(answer), epoch)
        crash_point("exact_writer.drafted")
        return True

    async def resolve(self, work: Work, command: PostEntry, epoch: int) -> None:
        """Look the invoice up after a lost answer: final, drafted, or not there."""
        key = self._keys.of(DRAFTS, work.command_id)
        by_reference = f"YourRef eq {odata.text(command.your_ref)} and Journal eq {odata.text(command.journal)}"
        path = odata.query(
            DRAFTS,
            select=("InvoiceID", "InvoiceNumber", "YourRef", "Status", "AmountFC", "VATAmountFC", "InvoiceTo"),
            filter_by=or_by_key("InvoiceID", key, by_reference),
        )
        asked_at = self._now()
        try:
            answer = await self._calls.read(Request(method="GET", endpoint=DRAFTS, path=path))
        except RefusedError as error:
            log.error("an unknown outcome cannot be looked up", command=work.command_id, reason=error.message)
            await self._sending.move([work], epoch, "unknown", not_before=self._now() + REFUSED_LOOK_SECONDS)
            return
        rows = [
            row
            for row in odata.rows(answer.body)
            if is_key(key, row["InvoiceID"]) or str(row["YourRef"] or "") == command.your_ref
        ]
        async with self._database.reading() as connection:
            taken = await journal.owners(connection, self._division, [str(row["InvoiceID"]) for row in rows])
            known = await account_book.find(connection, self._division, command.customer_ref)
        free = [row for row in rows if command in taken.get(str(row["InvoiceID"]), [command])]
        finals = [_found(row, is_ours=is_key(key, row["InvoiceID"])) for row in free if int(row["Status"] or 0) == PROCESSED]
        ours_final, doubtful = lookup.sorted_out(command, finals, known.account_id if known else None)
        ours = [
            row
            for row in free
            if int(row["Status"] or 0) != PROCESSED
            and (is_key(key, row["InvoiceID"]) or known is None or same_id(str(row["InvoiceTo"]), known.account_id))
        ]
        final = next((row for row in free if ours_final and str(row["InvoiceID"]) == ours_final[0].exact_id), None)
        if final is not None:
            self._telemetry.count("unknown_outcomes", outcome="found")
            self._calls.was_done(FINAL)
            await self._posted(work, command, final, epoch, found=True)
            return
        settled_at = (work.sent_at or 0.0) + self._timing.longest_request_seconds
        if ours and work.exact_id is None:
            await self._take_draft(work, command, ours[0], epoch)
        elif asked_at < settled_at:
            await self._sending.move([work], epoch, "unknown", not_before=settled_at)
        elif doubtful:
            self._telemetry.count("unknown_outcomes", outcome="doubtful")
            async with self._database.transaction() as connection:
                await self._outcomes.doubtful(connection, work, command, doubtful[0], epoch)
        elif (attempts := self._counted(work.attempts, asked_at)) >= MOST_ATTEMPTS:
            async with self._database.transaction() as connection:
                await self._outcomes.failed(connection, work, epoch, attempts)
        else:
            self._telemetry.count("unknown_outcomes", outcome="not_there")
            again = {"not_before": 0.0, "exact_id": work.exact_id if ours else None, "attempts": attempts}
            await self._sending.move([work], epoch, "prepared", **again)

    def _counted(self, attempts: int, now: float) -> int:
        """How many tries count: none while Exact fails at all drafts, or at making any of them final."""
        return min(self._calls.failing.counted(attempts, each, now) for each in (DRAFTS, FINAL))

    async def _take_draft(self, work: Work, command: PostEntry, draft: Mapping[str, Any], epoch: int) -> None:
        """Keep the draft for the second call when it has Chargebee's cents; else take it away and book a sales entry."""
        invoice_id = draft.get("InvoiceID")
        if not invoice_id:
            await self._sending.set_unknown([work], epoch)
            return
        if _amounts_of(draft) == _amounts(command):
            await self._sending.move([work], epoch, "prepared", not_before=0.0, exact_id=str(invoice_id), attempts=0)
            return
        # Unknown until the draft is gone: when that call fails, the draft is looked up again, and the customer is not held up.
        await self._sending.set_unknown([work], epoch)
        await self._take_away(str(invoice_id))
        await self._book_as_entry(work, epoch)

    async def _take_away(self, invoice_id: str) -> None:
        """Delete a draft that is not to become final; nothing was booked with it."""
        path = f"{DRAFTS}({odata.guid(invoice_id)})"
        try:
            await self._calls.read(Request(method="DELETE", endpoint=DRAFTS, path=path))
        except RefusedError as error:
            log.error("a draft that is not to become final stays in Exact", invoice=invoice_id, reason=error.message)

    async def _make_final(self, work: Work, command: PostEntry, invoice_id: str, epoch: int) -> bool:
        closed_until = self._calls.closed_endpoints().get(FINAL)
        if closed_until is not None:
            await self._sending.move([work], epoch, "prepared", not_before=closed_until)
            return False
        body = payloads.encode(payloads.printed_invoice(command, invoice_id))
        request = Request(method="POST", endpoint=FINAL, path=FINAL, body=body)
        refusals: list[RefusedError] = []

        async def refused(connection: AsyncConnection, error: RefusedError) -> None:
            refusals.append(error)
            await self._refused(work, epoch, connection, error)

        answer = await self._sending.send([work], request, epoch, refused)
        if refusals:
            await self._take_away(invoice_id)
        if answer is None:
            return True
        await self._posted(work, command, {**_entity_of(answer), "InvoiceID": invoice_id}, epoch)
        crash_point("exact_writer.posted")
        return True

    async def _posted(
        self, work: Work, command: PostEntry, invoice: Mapping[str, Any], epoch: int, *, found: bool = False
    ) -> None:
        entity = {"EntryNumber": invoice.get("InvoiceNumber") or 0, "Document": None if found else invoice.get("Document")}
        async with self._database.transaction() as connection:
            await self._outcomes.posted(connection, work, command, str(invoice["InvoiceID"]), entity, epoch, found=found)
            await self._calls.save(connection)

    async def _book_as_entry(self, work: Work, epoch: int) -> None:
        log.info("a document is booked as a sales entry, to keep its cents", command=work.command_id)
        await self._sending.move([work], epoch, "prepared", kind="sales", not_before=0.0, exact_id=None, attempts=0)

    def _percentage_of(self, vat_code: str) -> Decimal | None:
        code = self._mirror.find("vat_code", vat_code)
        return code.percentage if code is not None else None

    async def _refused(self, work: Work, epoch: int, connection: AsyncConnection, error: RefusedError) -> None:
        await self._outcomes.refused(connection, work, epoch, error.code, error.message)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _found(invoice: Mapping[str, Any], *, is_ours: bool) -> Found:
    return Found(
        exact_id=str(invoice["InvoiceID"]),
        number=int(invoice.get("InvoiceNumber") or 0),
        amount=Decimal(str(invoice.get("AmountFC") or 0)),
        account_id=str(invoice.get("InvoiceTo") or "") or None,
        is_ours=is_ours,
    )


def keeps_cents(command: PostEntry, percentage_of: Callable[[str], Decimal | None]) -> bool:
    """Whether Exact's own VAT on each line is Chargebee's, so that it does not matter which of them a sales invoice takes.

    `percentage_of` gives the fraction that a VAT code adds, or None for one that works otherwise.
    """
    for line in command.lines:
        if line.vat_code is None:
            continue
        percentage = percentage_of(line.vat_code)
        if percentage is None:
            return False
        computed = (line.amount_minor * percentage).quantize(Decimal(1), ROUND_HALF_UP)
        if computed != (line.vat_amount_minor or 0):
            return False
    return True


def _amounts(command: PostEntry) -> tuple[Decimal, Decimal]:
    tax = sum(line.vat_amount_minor or 0 for line in command.lines)
    return payloads.total(command), payloads.amount(tax, command.decimals)


def _amounts_of(draft: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    return Decimal(str(draft.get("AmountFC") or 0)), Decimal(str(draft.get("VATAmountFC") or 0))


def _entity_of(answer: Answer) -> dict[str, Any]:
    try:
        return odata.entity(answer.body)
    except odata.UnreadableAnswerError:
        return {}
