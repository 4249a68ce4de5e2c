"""One command through its states: prepared, sent, then posted, refused or unknown; and an unknown one looked up.

Each change of state is one transaction, together with the fact that tells it and the budget that the call used.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import Database
from backbone.telemetry import Telemetry, log
from contracts.commands import PostEntry, SaveAccount
from exact_writer import account_book, adopting, journal, linking, lookup, odata, payloads, precheck
from exact_writer.account_matching import Unmatched
from exact_writer.accounts import Accounts
from exact_writer.batch_post import OTHER_ACCOUNT_SECONDS, BatchPoster
from exact_writer.calls import SHADOW_SECONDS, DivisionCalls
from exact_writer.client import Answer, NotFoundError, RefusedError
from exact_writer.client_keys import ClientKeys
from exact_writer.document_post import DocumentPoster
from exact_writer.journal import Work
from exact_writer.linking import Linker
from exact_writer.lookup import Found
from exact_writer.mirror import Mirror
from exact_writer.outcomes import Outcomes
from exact_writer.refusals import action
from exact_writer.schedule import ENDPOINTS, State
from exact_writer.sending import MOST_ATTEMPTS, REFUSED_LOOK_SECONDS, Sending
from exact_writer.timing import Timing


class Poster:
    """Carries out the commands of one division in one epoch."""

    def __init__(
        self,
        division: int,
        currency: str,
        *,
        attaches_lists: bool = True,
        read_seconds: float,
        is_shadow: bool = False,
        database: Database,
        clock: Clock,
        calls: DivisionCalls,
        mirror: Mirror,
        accounts: Accounts,
        keys: ClientKeys,
        telemetry: Telemetry,
        timing: Timing,
    ) -> None:
        self._division = division
        self._accounts = accounts
        self._keys = keys
        self._currency = currency
        self._database = database
        self._clock = clock
        self._calls = calls
        self._mirror = mirror
        self._telemetry = telemetry
        self._timing = timing
        self._outcomes = Outcomes(division, currency, database=database, clock=clock, mirror=mirror, telemetry=telemetry)
        self._sending = Sending(division, database=database, clock=clock, calls=calls, keys=keys, timing=timing)
        shared: dict[str, Any] = {
            "database": database,
            "clock": clock,
            "calls": calls,
            "mirror": mirror,
            "outcomes": self._outcomes,
            "sending": self._sending,
            "keys": keys,
            "telemetry": telemetry,
            "timing": timing,
        }
        self._batches = BatchPoster(division, currency, attaches_lists=attaches_lists, **shared)
        self._documents = DocumentPoster(division, **shared)
        books: dict[str, Any] = {"database": database, "clock": clock, "mirror": mirror, "outcomes": self._outcomes}
        self._linker = Linker(division, read_seconds=read_seconds, is_shadow=is_shadow, **books)
        self._is_shadow = is_shadow

    @property
    def batches_wait_until(self) -> float:
        """The instant before which no batch of mode ledger goes, since more company is coming."""
        return self._batches.wait_until

    async def work(self, command_id: str, epoch: int) -> bool:
        """Take a command as far as it goes now; says whether a writing call was made.

        Raises CallError and NotAllowedNowError when the division has to pause; the command then waits in a state that is safe.
        """
        async with self._database.reading() as connection:
            work = await journal.load(connection, command_id)
        if work is None:
            return False
        with self._telemetry.span(f"exact-writer {work.kind}", work.envelope):
            if work.state == "unknown":
                await self._look_up(work, epoch)
                return False
            if self._is_shadow:
                await self._rest(work, epoch)
                return False
            if isinstance(work.command, SaveAccount):
                return await self._save_account(work, work.command, epoch)
            if work.kind == "ledger":
                return await self._batches.post(work, epoch)
            if work.kind == "document":
                return await self._documents.post(work, work.command, epoch)
            return await self._post_entry(work, work.command, epoch)

    async def _rest(self, work: Work, epoch: int) -> None:
        """In shadow mode: find the account of a customer, and leave the command for the day on which we write."""
        known = None
        if isinstance(work.command, SaveAccount):
            step = await self._accounts.next_step(work.command, work.command_id)
            if isinstance(step, Unmatched):
                await self._save_account(work, work.command, epoch)  # a person is to name the account: that is no call
                return
            if step.saved.account_id:
                # Whatever is to be changed of it is changed when the command is carried out.
                known = msgspec.structs.replace(step.saved, fingerprint="", sent=None)
        async with self._database.transaction() as connection:
            if known is not None:
                await account_book.remember(self._database, connection, self._division, work.command.customer_ref, known)
            later = self._now() + SHADOW_SECONDS
            await journal.mark(connection, self._division, work.command_id, epoch, work.state, not_before=later)

    async def look_in_shadow(self, epoch: int) -> bool:
        """In shadow mode, look for what another connector may have booked by now; says whether anything was decided."""
        return self._is_shadow and await self._linker.look_waiting(epoch)

    async def _look_up(self, work: Work, epoch: int) -> None:
        if linking.is_for(work):
            await self._linker.look(work, epoch)
            return
        if isinstance(work.command, PostEntry) and await self._is_in_ledger(work, work.command, epoch):
            return
        if isinstance(work.command, SaveAccount) or work.kind in {"sales", "general"}:
            await self._resolve(work, epoch)
        elif work.kind == "ledger":
            await self._batches.resolve(work, epoch)
        else:
            await self._documents.resolve(work, work.command, epoch)

    async def _is_in_ledger(self, work: Work, command: PostEntry, epoch: int) -> bool:
        """Adopt what the ledger shows that was read already, which costs no call; says whether it was there.

        One at a rate of Exact's own is asked for: only its entry tells the rate, at which what takes it back is to be booked.
        """
        if self._is_at_own_rate(command):
            return False
        async with self._database.reading() as connection:
            known = await account_book.find(connection, self._division, command.customer_ref)
            found = await adopting.find(connection, command, known.account_id if known else None)
        if found is None:
            return False
        entity = {"EntryNumber": found.number, "ReportingYear": found.year, "ReportingPeriod": found.period}
        self._telemetry.count("unknown_outcomes", outcome="found")
        async with self._database.transaction() as connection:
            await self._outcomes.posted(connection, work, _adopted(work, command), found.entry_id, entity, epoch, found=True)
        return True

    async def _save_account(self, work: Work, command: SaveAccount, epoch: int) -> bool:
        step = await self._accounts.next_step(command, work.command_id)
        if isinstance(step, Unmatched):
            async with self._database.transaction() as connection:
                await self._outcomes.refused(connection, work, epoch, step.code, step.told.and_then(action(step.code)))
            return False
        if step.request is None:
            async with self._database.transaction() as connection:
                await self._outcomes.account_saved(connection, work, command, step.saved, epoch, created=False)
            return False
        try:
            answer = await self._sending.send([work], step.request, epoch, partial(self._refused, work, epoch))
        except NotFoundError:
            # Somebody removed the account in Exact. Forgotten here, the customer gets another one at the next turn.
            log.warning("an account is no longer in Exact", customer=command.customer_ref, account=step.saved.account_id)
            async with self._database.transaction() as connection:
                await self._accounts.forget(connection, step.saved.account_id)
                await journal.mark(connection, self._division, work.command_id, epoch, "prepared")
                await self._calls.save(connection)
            return True
        if answer is None:
            return True
        account_id = step.saved.account_id or _id_of(answer, "ID")
        if account_id is None:
            await self._sending.set_unknown([work], epoch)
            return True
        saved = msgspec.structs.replace(step.saved, account_id=account_id)
        async with self._database.transaction() as connection:
            await self._outcomes.account_saved(connection, work, command, saved, epoch, created=not step.saved.account_id)
            await self._calls.save(connection)
        crash_point("exact_writer.saved")
        return True

    async def _post_entry(self, work: Work, command: PostEntry, epoch: int) -> bool:
        problem = await precheck.after_reading(command, self._mirror, work.planned_at)
        if problem is not None:
            await self._outcomes.refused_unsent(work, epoch, problem)
            return False
        async with self._database.reading() as connection:
            known = await account_book.find(connection, self._division, command.customer_ref)
            others = await account_book.of_lines(connection, self._division, command)
        if known is None and command.customer_ref != journal.NOBODY:
            return False
        if others is None:
            await self._sending.move([work], epoch, "prepared", not_before=self._now() + OTHER_ACCOUNT_SECONDS)
            return False
        account_ids = [*others.values(), *([known.account_id] if known is not None else [])]
        problem = await precheck.of_accounts(command, account_ids, self._mirror, work.planned_at)
        if problem is not None:
            await self._outcomes.refused_unsent(work, epoch, problem)
            return False
        body = self._body_of(command, known.account_id if known else "", others)
        request = self._keys.post(ENDPOINTS[work.kind], work.command_id, body)
        answer = await self._sending.send([work], request, epoch, partial(self._refused, work, epoch))
        if answer is None:
            return True
        entry_id = _id_of(answer, "EntryID")
        if entry_id is None:
            await self._sending.set_unknown([work], epoch)
            return True
        entity = odata.entity(answer.body)
        async with self._database.transaction() as connection:
            await self._outcomes.posted(connection, work, command, entry_id, entity, epoch)
            await self._calls.save(connection)
        crash_point("exact_writer.posted")
        return True

    def _body_of(self, command: PostEntry, account_id: str, others: dict[str, str]) -> dict[str, Any]:
        if command.kind == "sales":
            return payloads.sales_entry(command, account_id, self._mirror.ledgers(), self._currency)
        return payloads.general_entry(command, account_id, self._mirror.ledgers(), self._currency, others)

    async def _refused(self, work: Work, epoch: int, connection: AsyncConnection, error: RefusedError) -> None:
        await self._outcomes.refused(connection, work, epoch, error.code, error.message)

    async def _resolve(self, work: Work, epoch: int) -> None:
        """Look Exact up: adopt what is there, or send again once the lost request can have no effect any more."""
        async with self._database.reading() as connection:
            known = await account_book.find(connection, self._division, work.command.customer_ref)
        asked_at = self._now()
        settled_at = (work.sent_at or 0.0) + self._timing.longest_request_seconds
        if isinstance(work.command, SaveAccount) and (known or await self._accounts.is_in_mirror(work.command)):
            # It was a PUT, which writes the same again; but not before the lost one can no longer undo a newer one.
            state: State = "prepared" if asked_at >= settled_at else "unknown"
            await self._sending.move([work], epoch, state, not_before=settled_at)
            return
        key = self._keys.of(ENDPOINTS[work.kind], work.command_id)
        try:
            answer = await self._calls.read(lookup.request_for(work.command, known.account_id if known else None, key))
        except RefusedError as error:
            # Only this command's question is refused; it waits for a person or a new release, and the others go on.
            log.error("an unknown outcome cannot be looked up", command=work.command_id, reason=error.message)
            await self._sending.move([work], epoch, "unknown", not_before=self._now() + REFUSED_LOOK_SECONDS)
            return
        found = lookup.found_in(work.command, answer, key)
        if found and work.kind != "account":
            async with self._database.reading() as connection:
                taken = await journal.owners(connection, self._division, [each.exact_id for each in found])
            found = [each for each in found if each.exact_id not in taken]
        ours, doubtful = lookup.sorted_out(work.command, found, known.account_id if known else None)
        if ours:
            await self._adopt(work, ours[0], epoch)
            return
        async with self._database.transaction() as connection:
            if asked_at < settled_at:
                await journal.mark(connection, self._division, work.command_id, epoch, "unknown", not_before=settled_at)
                return
            if doubtful and isinstance(work.command, PostEntry):
                self._telemetry.count("unknown_outcomes", outcome="doubtful")
                await self._outcomes.doubtful(connection, work, work.command, doubtful[0], epoch)
                return
            attempts = self._calls.failing.counted(work.attempts, ENDPOINTS[work.kind], asked_at)
            if attempts >= MOST_ATTEMPTS:
                self._telemetry.count("unknown_outcomes", outcome="given_up")
                await self._outcomes.failed(connection, work, epoch, attempts)
                return
            self._telemetry.count("unknown_outcomes", outcome="not_there")
            again = {"not_before": 0.0, "attempts": attempts}
            await journal.mark(connection, self._division, work.command_id, epoch, "prepared", **again)

    async def _adopt(self, work: Work, found: Found, epoch: int) -> None:
        self._telemetry.count("unknown_outcomes", outcome="found")
        self._calls.was_done(ENDPOINTS[work.kind])
        command = work.command
        entity = {"EntryNumber": found.number, "Currency": found.currency, "Rate": found.rate}
        if isinstance(command, PostEntry) and command.kind == "general" and self._is_at_own_rate(command):
            answer = await self._calls.read(lookup.rate_request(found.exact_id))
            entity |= next(iter(odata.rows(answer.body)), {})
        async with self._database.transaction() as connection:
            if isinstance(work.command, SaveAccount):
                saved = self._accounts.created(work.command, found.exact_id)
                await self._outcomes.account_saved(connection, work, work.command, saved, epoch, created=True)
                return
            await self._outcomes.posted(connection, work, _adopted(work, work.command), found.exact_id, entity, epoch, found=True)

    def _is_at_own_rate(self, command: PostEntry) -> bool:
        """Whether Exact takes its own rate of the day."""
        return command.exchange_rate is None and command.currency != self._currency

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _adopted(work: Work, command: PostEntry) -> PostEntry:
    """What a journal that was lost had sent may have its PDF already, and a second one could not be taken away."""
    return command if work.attempts else msgspec.structs.replace(command, pdf=False)


def _id_of(answer: Answer, name: str) -> str | None:
    """The key of what was made; None for an answer that does not show it, whose outcome has to be looked up."""
    try:
        value = odata.entity(answer.body).get(name)
    except odata.UnreadableAnswerError:
        return None
    return str(value) if value else None
