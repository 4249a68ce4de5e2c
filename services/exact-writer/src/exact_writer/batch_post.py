"""Many commands in one general-journal entry: mode ledger. Each has its own lines there and keeps an outcome of its own.

A batch that Exact refuses is split in two until the command is alone that cannot be booked. An answer that was lost is looked up
by the reference of the first command, since Exact books an entry as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import Database
from backbone.telemetry import Telemetry, log
from contracts.commands import PostEntry
from exact_writer import account_book, attachments, batches, gathering, journal, ledger_lists, lookup, odata, payloads, precheck
from exact_writer.calls import DivisionCalls
from exact_writer.client import RefusedError, Request
from exact_writer.client_keys import ClientKeys, cause_of
from exact_writer.journal import Work
from exact_writer.mirror import Mirror
from exact_writer.outcomes import Outcomes
from exact_writer.schedule import ENDPOINTS, State
from exact_writer.sending import MOST_ATTEMPTS, REFUSED_LOOK_SECONDS, Sending
from exact_writer.timing import Timing

WHOLE_ATTEMPTS = 2
OTHER_ACCOUNT_SECONDS = 5.0  # how long an entry waits for the account of a customer that only one of its lines names


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One command of a batch, the account of its customer, and those of the customers that its lines name."""

    work: Work
    command: PostEntry
    account_id: str
    others: dict[str, str] = {}

    @property
    def account_ids(self) -> list[str]:
        """The accounts that its lines go to."""
        return [self.account_id, *self.others.values()]


class BatchPoster:
    """Carries out the commands of mode ledger of one division, many in one call."""

    def __init__(
        self,
        division: int,
        currency: str,
        *,
        attaches_lists: bool,
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
        self._currency = currency
        self._attaches_lists = attaches_lists
        self._database = database
        self._clock = clock
        self._calls = calls
        self._mirror = mirror
        self._outcomes = outcomes
        self._sending = sending
        self._keys = keys
        self._telemetry = telemetry
        self._timing = timing
        self.wait_until = 0.0  # no batch goes before this instant, since more may come

    async def post(self, first: Work, epoch: int) -> bool:
        """Send a command together with what fits to it; says whether a call was made.

        Raises CallError and NotAllowedNowError when the division has to pause; the commands then wait in a state that is safe.
        """
        gathered = await self._gathered(first)
        if not gathered:
            # The account of a customer that only a line names is not there yet.
            await self._sending.move([first], epoch, "prepared", not_before=self._now() + OTHER_ACCOUNT_SECONDS)
            return False
        if first.batch_id is None:
            until = batches.wait_until([member.work.planned_at for member in gathered], self._now())
            if until is not None:
                self.wait_until = until
                return False
        members = await self._sound(gathered, epoch)
        if not members:
            return False
        request, members = self._request_for(members)
        batch_id = members[0].work.command_id
        works = [member.work for member in members]
        refused = partial(self._refused, works, epoch)
        answer = await self._sending.send(works, request, epoch, refused, batch_id=batch_id)
        if answer is None:
            return True
        try:
            entity = odata.entity(answer.body)
        except odata.UnreadableAnswerError:
            entity = {}
        if not entity.get("EntryID"):
            await self._sending.set_unknown(works, epoch)
            return True
        await self._posted(works, entity, epoch)
        crash_point("exact_writer.posted")
        return True

    async def resolve(self, first: Work, epoch: int) -> None:
        """Look up a batch whose answer was lost: adopt it, or send it again once the lost call can have no effect any more."""
        async with self._database.reading() as connection:
            works = [first]  # without a batch it was never sent from this journal, which is in doubt
            if first.batch_id is not None:
                works = await journal.batch(connection, self._division, first.batch_id, ("unknown",))
            known = await account_book.find(connection, self._division, works[0].command.customer_ref)
        named = cast("PostEntry", works[0].command)
        key = self._keys.of(ENDPOINTS["ledger"], cause_of(work.command_id for work in works))
        asked_at = self._now()
        try:
            answer = await self._calls.read(lookup.request_for(named, known.account_id if known else None, key))
        except RefusedError as error:
            log.error("an unknown outcome cannot be looked up", command=first.command_id, reason=error.message)
            await self._sending.move(works, epoch, "unknown", not_before=self._now() + REFUSED_LOOK_SECONDS)
            return
        found = lookup.found_in(named, answer, key)
        async with self._database.reading() as connection:
            taken = await journal.owners(connection, self._division, [each.exact_id for each in found])
        # An entry that other documents share is theirs as well.
        found = [each for each in found if not any(one.your_ref == named.your_ref for one in taken.get(each.exact_id, []))]
        if found:
            self._telemetry.count("unknown_outcomes", outcome="found")
            self._calls.was_done(ENDPOINTS["ledger"])
            entity = {"EntryID": found[0].exact_id, "EntryNumber": found[0].number}
            await self._posted(works, entity, epoch, found=True)
            return
        settled_at = max(work.sent_at or 0.0 for work in works) + self._timing.longest_request_seconds
        if asked_at < settled_at:
            await self._sending.move(works, epoch, "unknown", not_before=settled_at)
            return
        await self._send_again(works, epoch)

    async def _send_again(self, works: Sequence[Work], epoch: int) -> None:
        attempts = max(work.attempts for work in works)
        if len(works) == 1:  # several may fail for their number alone, so they are split in any case
            attempts = self._calls.failing.counted(attempts, ENDPOINTS["ledger"], self._now())
        async with self._database.transaction() as connection:
            if len(works) > 1 and attempts >= WHOLE_ATTEMPTS:
                await self._split(connection, works, epoch)
            elif attempts >= MOST_ATTEMPTS:
                self._telemetry.count("unknown_outcomes", outcome="given_up")
                for work in works:
                    await self._outcomes.failed(connection, work, epoch, attempts)
            else:
                self._telemetry.count("unknown_outcomes", outcome="not_there")
                for work in works:
                    # One that was in doubt before its day ended waits for the others of that day as before.
                    at = batches.earliest(cast("PostEntry", work.command), 0.0)
                    state: State = "planned" if at > self._now() else "prepared"
                    again = {"not_before": at, "attempts": attempts}
                    await journal.mark(connection, self._division, work.command_id, epoch, state, **again)

    async def _gathered(self, first: Work) -> list[Member]:
        """The command and its company: the batch it belongs to, else what came since and agrees with it."""
        async with self._database.reading() as connection:
            if first.batch_id is not None:
                works = await journal.batch(connection, self._division, first.batch_id, ("planned", "prepared"))
            else:
                command = cast("PostEntry", first.command)
                key, most = batches.key_of(command), batches.most_documents(command)
                works = await gathering.gather(connection, self._division, key, most, self._now())
            told = [(work, cast("PostEntry", work.command)) for work in works]
            named = {ref for _, command in told for ref in (command.customer_ref, *account_book.named_in(command))}
            known = await account_book.account_ids(connection, self._division, named)
        members = []
        for work, command in told:
            refs = account_book.named_in(command)
            if command.customer_ref in known and all(ref in known for ref in refs):
                others = {ref: known[ref] for ref in refs}
                members.append(Member(work=work, command=command, account_id=known[command.customer_ref], others=others))
        return self._of_one_period(members)

    def _of_one_period(self, members: Sequence[Member]) -> list[Member]:
        """Those of the first one's period, and no more lines than a call may have; what is skipped holds up its customer."""
        kept: list[Member] = []
        skipped: set[str] = set()
        lines = 0
        for member in members:
            fits = not kept or precheck.period_of(member.command, self._mirror) == precheck.period_of(
                kept[0].command, self._mirror
            )
            lines += len(member.command.lines)
            if fits and member.command.customer_ref not in skipped and (not kept or lines <= batches.MOST_LINES):
                kept.append(member)
            else:
                skipped.add(member.command.customer_ref)
        return kept

    async def _sound(self, members: Sequence[Member], epoch: int) -> list[Member]:
        """Those that Exact can take by what the mirror knows; the others are refused without a call."""
        sound = []
        accounts = await self._mirror.accounts.get(sorted({each for member in members for each in member.account_ids}))
        records = {each.account_id: each for each in accounts}
        for member in members:
            command, planned_at = member.command, member.work.planned_at
            problem = await precheck.after_reading(command, self._mirror, planned_at)
            if problem is None:
                problem = precheck.check_accounts(command, [records[each] for each in member.account_ids if each in records])
            if problem is not None and problem.part == "account":
                problem = await precheck.of_accounts(command, member.account_ids, self._mirror, planned_at)
            if problem is None:
                sound.append(member)
            else:
                await self._outcomes.refused_unsent(member.work, epoch, problem)
        return sound

    def _request_for(self, members: list[Member]) -> tuple[Request, list[Member]]:
        """The call, and the members that fit into it."""
        period = precheck.period_of(members[0].command, self._mirror) or (None, None)
        while True:
            pairs = [(member.command, member.account_id) for member in members]
            others = {ref: account for member in members for ref, account in member.others.items()}
            body = payloads.ledger_entry(pairs, self._mirror.ledgers(), self._currency, period, others)
            cause = cause_of(member.work.command_id for member in members)
            request = self._keys.post(ENDPOINTS["ledger"], cause, body)
            if len(request.body or b"") <= batches.MOST_BYTES or len(members) == 1:
                return request, members
            members = list(batches.halves(members)[0])

    async def _posted(self, works: Sequence[Work], entity: dict[str, Any], epoch: int, *, found: bool = False) -> None:
        async with self._database.transaction() as connection:
            pairs = [(work, cast("PostEntry", work.command)) for work in works]
            await self._outcomes.all_posted(connection, pairs, str(entity["EntryID"]), entity, epoch, found=found)
            if self._attaches_lists and len(works) > 1:
                listed = ledger_lists.content_of(cast("PostEntry", work.command) for work in works)
                name = f"documents-{entity.get('EntryNumber') or works[0].command_id[:8]}.csv"
                await attachments.plan_list(
                    self._database, connection, self._division, works[0].command_id, file_name=name, content=listed
                )
            await self._calls.save(connection)

    async def _refused(self, works: Sequence[Work], epoch: int, connection: AsyncConnection, error: RefusedError) -> None:
        if len(works) > 1 and error.code not in batches.OF_THE_WHOLE:
            await self._split(connection, works, epoch)
            return
        for work in works:
            await self._outcomes.refused(connection, work, epoch, error.code, error.message)

    async def _split(self, connection: AsyncConnection, works: Sequence[Work], epoch: int) -> None:
        log.info("a batch is split to find what Exact refuses", division=self._division, commands=len(works))
        for half in batches.halves(works):
            values = {"batch_id": half[0].command_id, "attempts": 0, "not_before": 0.0}
            await journal.mark_all(connection, self._division, [work.command_id for work in half], epoch, "prepared", **values)

    def _now(self) -> float:
        return self._clock.now().timestamp()
