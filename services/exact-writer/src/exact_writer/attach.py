"""Hangs PDFs and the lists of mode ledger on entries, one step at a time: when there is nothing to book, or when it is owed.

A PDF is asked for by a fact once the budget has room for it; ingest sends it as a parcel. Then come the two calls: the document,
linked to the entry by FinancialTransactionEntryID, and its attachment. A lost answer is looked up by entry and subject, or by
document, before anything is sent again.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import Database
from backbone.posting_configuration import Pdf
from backbone.telemetry import Telemetry, log
from contracts.envelope import Envelope, Message
from contracts.facts import PdfAttached, PdfNotAttached, PdfWanted
from contracts.parcels import LARGEST_PDF_BYTES, PdfFetched
from exact_writer import account_book, announce, attachments, odata, payloads
from exact_writer.attachments import Attachment, State
from exact_writer.calls import DivisionCalls
from exact_writer.client import Answer, CallError, ForbiddenError, NotFoundError, RefusedError, Request, UnknownError
from exact_writer.client_keys import ClientKeys, is_key, or_by_key
from exact_writer.refusals import pdf_action
from exact_writer.sending import DUPLICATE
from exact_writer.timing import Timing
from exact_writer.words import Told, say

DOCUMENTS: Final = "documents/Documents"
ATTACHMENTS: Final = "documents/DocumentAttachments"
ENDPOINTS: Final = frozenset((DOCUMENTS, ATTACHMENTS))
SALES_INVOICE, MISCELLANEOUS = 10, 55  # documents/DocumentTypes
MOST_UNDER_WAY: Final = 5
MOST_ATTEMPTS: Final = 6
MOST_ASKS: Final = 3
ASK_AGAIN_SECONDS: Final = 6 * 3600.0  # ingest tries for hours before it gives up, and its answer cannot get lost in the broker
PAUSE_SECONDS: Final = 3600.0  # after a refusal of the whole resource, such as a missing scope: it counts against the error limit
LOOK_AGAIN_SECONDS: Final = 300.0  # after a look-up that Exact did not answer
NEVER: Final = float("inf")
GONE: Final = "invalid_reference"  # refusals.classify of Exact's words for a key that it does not know


class PdfPoster:
    """Attaches the PDFs of one division.

    While it `rests`, those that nobody asked for and that were not fetched yet wait: the division's policy is that none is
    attached (`never`), and they go on when it is another again. The lists of mode ledger are ours, and go all the same.
    """

    def __init__(
        self,
        division: int,
        wishes: Pdf,
        *,
        database: Database,
        clock: Clock,
        calls: DivisionCalls,
        keys: ClientKeys,
        telemetry: Telemetry,
        timing: Timing,
    ) -> None:
        self._division = division
        self._database = database
        self._clock = clock
        self._calls = calls
        self._keys = keys
        self._telemetry = telemetry
        self._timing = timing
        self._rests = wishes.policy == "never"
        self._paused_until = 0.0

    async def turn(self, epoch: int, *, is_owed: bool = False, is_asked: bool = False) -> float | None:
        """Do one thing for a PDF: None when something was done, else the instant from which there may be something to do.

        One that `is_owed` a call goes even when the minute has few left; with `is_asked` only what a person asked for goes, and
        even when today's bookings need what the day has left. Raises CallError only for what stands in the way of
        every call, such as a limit or a refused token.
        """
        now = self._now()
        closed = [until for endpoint, until in self._calls.closed_endpoints().items() if endpoint in ENDPOINTS]
        wait = max([self._paused_until, *closed])
        if wait > now:
            return wait
        async with self._database.reading() as connection:
            if not await attachments.is_any_open(connection, self._division):
                return NEVER
            ready = await attachments.next_ready(connection, self._division, now, is_asked=is_asked)
            to_ask = attachments.next_to_ask
            most = 0 if self._rests else MOST_UNDER_WAY
            asking = None if ready else await to_ask(connection, self._division, now, most, is_asked=is_asked)
            if ready is None and asking is None:
                return await attachments.next_instant(connection, self._division) or NEVER
        room_at = None if is_asked else self._calls.room_for_extras_at(is_owed=is_owed)
        if room_at is not None:
            return room_at
        if ready is None:
            await self._ask(asking, epoch)
            return None
        try:
            await self._work(ready, epoch)
        except (ForbiddenError, NotFoundError, RefusedError) as error:
            # Of a look-up, or of the right to documents at all: bookings need neither.
            self._calls.forbidden -= ENDPOINTS
            self._paused_until = now + PAUSE_SECONDS
            log.error("Exact takes no documents now", division=self._division, status=error.status, reason=error.message)
            return self._paused_until
        except (UnknownError, odata.UnreadableAnswerError) as error:
            # Of a look-up. Documents may fail alone, and bookings do not wait for them.
            self._paused_until = self._now() + LOOK_AGAIN_SECONDS
            log.warning("a PDF could not be looked up", division=self._division, reason=str(error))
            return self._paused_until
        return None

    async def _work(self, attachment: Attachment, epoch: int) -> None:
        with self._telemetry.span("exact-writer pdf", attachment.envelope):
            match attachment.state:
                case "creating" | "attaching":
                    await self._resolve(attachment, epoch)
                case "created":
                    await self._attach(attachment, epoch)
                case _:
                    await self._create(attachment, epoch)

    async def _ask(self, attachment: Attachment | None, epoch: int) -> None:
        if attachment is None:
            return
        async with self._database.transaction() as connection:
            await attachments.check_lease(connection, self._division, epoch)
            if await attachments.is_succeeded(connection, attachment.command):
                await self._fail(connection, attachment, "pdf_of_another", say("pdf_of_another"))
                return
            if attachment.asks >= MOST_ASKS:
                await self._fail(connection, attachment, "pdf_not_answered", say("pdf_not_answered"))
                return
            wanted = PdfWanted(
                division=self._division,
                request_id=attachment.command_id,
                document=attachment.command.document,
            )
            values = {"asks": attachment.asks + 1, "not_before": self._now() + ASK_AGAIN_SECONDS}
            await attachments.move(connection, attachment, "wanted", **values)
            await self._say(connection, attachment, wanted)

    async def _create(self, attachment: Attachment, epoch: int) -> None:
        command = attachment.command
        async with self._database.reading() as connection:
            known = await account_book.find(connection, self._division, command.customer_ref)
        ref = command.document
        body: dict[str, Any] = {
            "Subject": attachment.subject,
            "Type": MISCELLANEOUS if attachment.is_list else SALES_INVOICE,
            "FinancialTransactionEntryID": attachment.entry_id,
        }
        if not attachment.is_list:
            body |= {"Currency": ref.currency, "AmountFC": payloads.amount(ref.total_minor, ref.decimals)}
        if known is not None and not attachment.is_list:
            body["Account"] = known.account_id
        if ref.document_date is not None:
            body["DocumentDate"] = odata.day_out(ref.document_date)
        answer = await self._post(attachment, DOCUMENTS, body, epoch, "creating")
        document_id = _id_of(answer)
        if document_id is None:
            return
        async with self._database.transaction() as connection:
            await attachments.check_lease(connection, self._division, epoch)
            await attachments.move(connection, attachment, "created", document_id=document_id, attempts=0, not_before=0.0)
            await self._calls.save(connection)
        crash_point("exact_writer.pdf_created")

    async def _attach(self, attachment: Attachment, epoch: int) -> None:
        async with self._database.reading() as connection:
            content = await attachments.content_of(connection, attachment.command_id)
        body = {
            "Document": attachment.document_id,
            "FileName": attachment.file_name,
            "Attachment": base64.b64encode(content).decode(),
        }
        answer = await self._post(attachment, ATTACHMENTS, body, epoch, "attaching")
        if _id_of(answer) is None:
            return
        async with self._database.transaction() as connection:
            await attachments.check_lease(connection, self._division, epoch)
            await self._attached(connection, attachment)
            await self._calls.save(connection)
        crash_point("exact_writer.pdf_attached")

    async def _post(
        self, attachment: Attachment, endpoint: str, body: dict[str, Any], epoch: int, sending: State
    ) -> Answer | None:
        """Make the call; None when its outcome is open, and it is looked up soon, or when Exact refused this one."""
        request = self._keys.post(endpoint, attachment.command_id, body)
        token = await self._calls.token()
        now = self._now()
        values = {"sent_at": now, "attempts": attachment.attempts + 1, "not_before": now + self._timing.first_look_seconds}
        async with self._database.transaction() as connection:
            await attachments.check_lease(connection, self._division, epoch)
            await attachments.move(connection, attachment, sending, **values)
            await self._calls.count(connection, request.endpoint)
        crash_point("exact_writer.pdf_sent")
        try:
            answer = await self._calls.send(request, token)
        except RefusedError as error:
            async with self._database.transaction() as connection:
                if request.key is not None and error.code == DUPLICATE:
                    # It may stand there under its key already, by a call whose answer was lost: it is looked up.
                    await self._calls.save(connection)
                    return None
                await self._fail(connection, attachment, error.code, Told(error.message, error.message))
                await self._calls.save(connection)
            return None
        except UnknownError as error:
            log.warning("whether a PDF was attached is unknown", command=attachment.command_id, reason=error.message)
            async with self._database.transaction() as connection:
                await self._calls.save(connection)
            return None
        except CallError:
            async with self._database.transaction() as connection:
                await attachments.move(connection, attachment, attachment.state, attempts=attachment.attempts, not_before=0.0)
                await self._calls.save(connection)
            raise
        await self._keys.compare(request, answer)
        return answer

    async def _resolve(self, attachment: Attachment, epoch: int) -> None:
        """Look Exact up: go on with what is there, or send again once the lost request can have no effect any more."""
        creating = attachment.state == "creating"
        asked_at = self._now()
        following: State
        endpoint = DOCUMENTS if creating else ATTACHMENTS
        key = self._keys.of(endpoint, attachment.command_id)
        found = _found_in(attachment, await self._calls.read(_lookup(attachment, key)), key)
        if found is not None:
            self._calls.was_done(endpoint)
        settled_at = (attachment.sent_at or 0.0) + self._timing.longest_request_seconds
        async with self._database.transaction() as connection:
            await attachments.check_lease(connection, self._division, epoch)
            if found is not None and creating:
                # Made by a journal that was lost, it may have its file as well, which is looked for in its turn.
                following = "created" if attachment.attempts else "attaching"
                await attachments.move(connection, attachment, following, document_id=found, attempts=0, not_before=0.0)
            elif found is not None:
                await self._attached(connection, attachment)
            elif asked_at < settled_at:
                await attachments.move(connection, attachment, attachment.state, not_before=settled_at)
            elif (attempts := self._calls.failing.counted(attachment.attempts, endpoint, asked_at)) >= MOST_ATTEMPTS:
                await self._fail(connection, attachment, "exact_failure", say("file_failure", times=attempts))
            else:
                following = "fetched" if creating else "created"
                await attachments.move(connection, attachment, following, not_before=0.0, attempts=attempts)

    async def take(self, connection: AsyncConnection, _: Envelope, message: Message) -> None:
        """Take a parcel: the PDF that was asked for, or why there is none. One that nobody waits for any more is dropped."""
        if not isinstance(message, PdfFetched):
            return
        attachment = await attachments.find(connection, message.request_id, "wanted")
        if attachment is None:
            return
        content = message.content
        if await attachments.is_succeeded(connection, attachment.command):
            await self._fail(connection, attachment, "pdf_of_another", say("pdf_of_another"))
        elif content is None:
            await self._fail(connection, attachment, message.code, Told(message.message, message.message_nl or message.message))
        elif len(content) > LARGEST_PDF_BYTES:
            await self._fail(connection, attachment, "pdf_too_large", say("pdf_too_large", bytes=len(content)))
        else:
            state: State = "fetched" if attachment.document_id is None else "created"
            if attachment.sent_at == attachments.DOUBTED:
                state = "creating" if state == "fetched" else "attaching"  # looked for first
            await attachments.move(connection, attachment, state, content=content, not_before=0.0)

    async def _attached(self, connection: AsyncConnection, attachment: Attachment) -> None:
        await attachments.move(connection, attachment, "attached")
        told = PdfAttached(
            division=self._division,
            document=attachment.command.document,
            entry_id=attachment.entry_id,
            document_id=attachment.document_id or "",
            file_name=attachment.file_name,
        )
        await self._say(connection, attachment, told)
        self._telemetry.count("pdfs_finished", outcome="attached")

    async def _fail(self, connection: AsyncConnection, attachment: Attachment, code: str, why: Told) -> None:
        told = why.and_then(pdf_action(code))
        # What refers to nothing is the document, which somebody deleted: asked for again, the file gets another one.
        document_id = None if code == GONE else attachment.document_id
        await attachments.move(connection, attachment, "failed", code=code, message=told.english, document_id=document_id)
        log.warning(
            "a file was not attached", file=attachment.file_name, entry=attachment.entry_id, code=code, reason=told.english
        )
        fact = PdfNotAttached(
            division=self._division,
            document=attachment.command.document,
            code=code,
            message=told.english,
            message_nl=told.dutch,
        )
        await self._say(connection, attachment, fact)
        self._telemetry.count("pdfs_finished", outcome="failed")

    async def _say(
        self, connection: AsyncConnection, attachment: Attachment, fact: PdfWanted | PdfAttached | PdfNotAttached
    ) -> None:
        if attachment.is_list:
            return  # it is no document's; the log and the counter tell of it
        await announce.pdf(connection, attachment.command_id, fact, attachment.envelope, self._clock.now())

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _lookup(attachment: Attachment, key: str | None) -> Request:
    if attachment.state == "creating":
        by_entry = f"FinancialTransactionEntryID eq {odata.guid(attachment.entry_id)}"
        conditions = f"{by_entry} and Subject eq {odata.text(attachment.subject)}"
        path = odata.query(DOCUMENTS, select=("ID", "Subject"), filter_by=or_by_key("ID", key, conditions))
        return Request(method="GET", endpoint=DOCUMENTS, path=path)
    by_document = f"Document eq {odata.guid(attachment.document_id or '')}"
    path = odata.query(ATTACHMENTS, select=("ID", "FileName"), filter_by=or_by_key("ID", key, by_document))
    return Request(method="GET", endpoint=ATTACHMENTS, path=path)


def _found_in(attachment: Attachment, answer: Answer, key: str | None) -> str | None:
    """The id of what a lost call had made after all; filters of Exact compare without case, so the rows are compared again."""
    name, wanted = ("Subject", attachment.subject) if attachment.state == "creating" else ("FileName", attachment.file_name)
    return next((str(row["ID"]) for row in odata.rows(answer.body) if is_key(key, row["ID"]) or row[name] == wanted), None)


def _id_of(answer: Answer | None) -> str | None:
    """The key of what was made; None for an answer that does not show it, whose outcome is looked up."""
    if answer is None:
        return None
    try:
        value = odata.entity(answer.body).get("ID")
    except odata.UnreadableAnswerError:
        return None
    return str(value) if value else None
