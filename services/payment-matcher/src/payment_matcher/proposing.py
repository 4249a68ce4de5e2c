"""The worker that judges open bank lines whenever a line or an invoice changed, and decides those that leave no doubt.

All open invoices of a division are indexed anew each time, which takes a second for a hundred thousand; so it waits between two
times, and longer the more there is to index. Several processes may judge at once: they come to the same, and decide once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.configuration import Configuration
from backbone.crash_points import crash_point
from backbone.database import Database, is_away
from backbone.errors import reason_of
from backbone.matching_configuration import BankMatching
from backbone.relay import Relay
from backbone.retries import is_set_within
from backbone.telemetry import Telemetry, log
from payment_matcher import decisions, due_again, lines, open_invoices, settled_invoices, standing
from payment_matcher.decisions import DecidedAlreadyError, Recording
from payment_matcher.judging import Judge, Judgement, Reason
from payment_matcher.lines import Line
from payment_matcher.shares import CannotShareError, share_out
from payment_matcher.standing import PaymentStandsError
from payment_matcher.tables import bank_lines, intents

# What Exact shows of one moment is told one by one, and what it matches by itself it matches soon.
SETTLE = timedelta(seconds=3)
REST_PER_SECOND_OF_WORK = 20.0
RETRY_SECONDS = 5.0
LOOK_SECONDS = 5.0


class Proposer:
    """Judges the lines of every division that has open ones."""

    def __init__(
        self,
        database: Database,
        configuration: Configuration,
        clock: Clock,
        relay: Relay,
        telemetry: Telemetry,
        *,
        wake_recorder: Callable[[], None],
    ) -> None:
        """Take the parts of the service; `wake_recorder` is called when payments were planned."""
        self._database = database
        self._configuration = configuration
        self._clock = clock
        self._relay = relay
        self._telemetry = telemetry
        self._wake_recorder = wake_recorder
        self._changed = asyncio.Event()
        self._changed.set()  # what changed while no process ran is judged at the start

    def touch(self) -> None:
        """Say that a line or an invoice may have changed."""
        self._changed.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Judge after every change until `stop` is set; waits out a database that is away."""
        while not stop.is_set():
            if not await self._is_changed(stop) or await is_set_within(stop, SETTLE.total_seconds()):
                continue
            self._changed.clear()
            started = self._clock.monotonic()
            try:
                await self.step()
            except Exception as error:
                if not is_away(error):
                    raise
                log.warning("judging bank lines waits for the database", reason=reason_of(error))
                self._changed.set()
                await is_set_within(stop, RETRY_SECONDS)
            await is_set_within(stop, (self._clock.monotonic() - started) * REST_PER_SECOND_OF_WORK)

    async def _is_changed(self, stop: asyncio.Event) -> bool:
        """Wait for a message or for a line that another process opened again; False after a while without either."""
        waits = [asyncio.ensure_future(self._changed.wait()), asyncio.ensure_future(stop.wait())]
        await asyncio.wait(waits, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if stop.is_set():
            return False
        if self._changed.is_set():
            return True
        new = sa.select(bank_lines.c.line_id).where(bank_lines.c.state == "open", bank_lines.c.reason == lines.NOT_JUDGED)
        try:
            async with self._database.reading() as connection:
                return (await connection.execute(new.limit(1))).first() is not None
        except Exception as error:
            if not is_away(error):
                raise
            return False

    async def step(self) -> int:
        """Judge every open line once; return how many were decided without a person."""
        decided = 0
        for division, configured in self._configuration.divisions.items():
            decided += await self._judge_division(division, configured.bank_matching)
        if decided:
            self._wake_recorder()
            self._relay.wake()
        return decided

    async def _judge_division(self, division: int, settings: BankMatching) -> int:
        async with self._database.reading() as connection:
            found = await lines.load(connection, bank_lines.c.division == division, bank_lines.c.state == "open")
            self._telemetry.gauge("bank_lines_open", len(found), division=str(division))
            if not found:
                return 0
            invoices = await open_invoices.read(connection, division)
            ibans = await open_invoices.ibans(connection, division)
            taken = await _being_paid(connection)

        def judge_all() -> list[tuple[Line, Judgement]]:
            judge = Judge(invoices, ibans, settings.tolerances, taken)
            return [(line, judge.judge(line)) for line in found]

        judged = await asyncio.to_thread(judge_all)
        async with self._database.transaction() as connection:
            judged = await _with_standing(connection, await _with_settled(connection, judged))
            for line, judgement in judged:
                await _keep(connection, line, judgement)
        crash_point("payment-matcher.judged")
        if not settings.record_certain:
            return 0
        certain = [(line, judgement) for line, judgement in judged if judgement.is_certain]
        return sum([await self._decide(line, judgement) for line, judgement in certain])

    async def _decide(self, line: Line, judgement: Judgement) -> bool:
        """Record what leaves no doubt, as the division wishes; whatever changed meanwhile leaves it for the next time."""
        first, now = judgement.proposals[0], self._clock.now()
        async with self._database.transaction() as connection:
            found = await open_invoices.dues(connection, first.numbers, first.site)
            dues = [due for number in first.numbers for due in found[number]]
            if len(dues) != len(first.numbers):
                return False  # one of them was deleted in Chargebee while it was judged
            try:
                parts, excess_minor = share_out(line.left_minor or 0, dues, 0)
                if excess_minor or any(part.amount_minor != due for part, due in zip(parts, first.dues_minor, strict=True)):
                    return False
                recording = Recording(parts=parts)
                await decisions.record(self._database, connection, line, recording, by=decisions.BY_ITSELF, now=now)
            except (CannotShareError, DecidedAlreadyError, PaymentStandsError) as error:
                log.info("bank line not decided", line=line.line_id, reason=type(error).__name__)
                return False
        crash_point("payment-matcher.decided")
        log.info("bank line decided", line=line.line_id, invoices=first.numbers)
        return True


async def _being_paid(connection: AsyncConnection) -> set[tuple[str, str]]:
    rows = await connection.execute(sa.select(intents.c.site, intents.c.number).where(intents.c.outcome.is_(None)))
    return {(row.site, row.number) for row in rows}


async def _with_standing(connection: AsyncConnection, judged: list[tuple[Line, Judgement]]) -> list[tuple[Line, Judgement]]:
    """Leave to a person the lines whose money stands in Chargebee already, by a payment that Exact shows no receipt for."""
    as_proposed = [replace(line, proposals=judgement.proposals) for line, judgement in judged]
    found = await standing.lines_with(connection, as_proposed)
    stands: Reason = "payment_stands"
    return [
        (line, replace(judgement, reason=stands, is_certain=False) if line.line_id in found else judgement)
        for line, judgement in judged
    ]


async def _with_settled(connection: AsyncConnection, judged: list[tuple[Line, Judgement]]) -> list[tuple[Line, Judgement]]:
    """Say of lines for which nothing fits that they name an invoice on which nothing is due any more, or is due again."""
    unknown = [line for line, judgement in judged if judgement.reason == "unknown_customer"]
    named = await settled_invoices.named_in(connection, [line.text for line in unknown])
    names_settled: Reason = "names_settled"
    reasons = {line.line_id: names_settled for line, found in zip(unknown, named, strict=True) if found}
    without = [line for line, judgement in judged if judgement.reason in ("unknown_customer", "nothing_open")]
    due: Reason = "due_again"
    reasons |= dict.fromkeys(await due_again.of_lines(connection, without), due)
    return [(line, replace(judgement, reason=reasons.get(line.line_id, judgement.reason))) for line, judgement in judged]


async def _keep(connection: AsyncConnection, line: Line, judgement: Judgement) -> None:
    new = (judgement.proposals, judgement.reason, judgement.is_certain)
    if new == (line.proposals, line.reason, line.is_certain):
        return
    same = (
        bank_lines.c.division == line.division,
        bank_lines.c.line_id == line.line_id,
        bank_lines.c.state == "open",
        bank_lines.c.round == line.round,
    )
    values = {
        "proposals": msgspec.json.encode(judgement.proposals),
        "reason": judgement.reason,
        "is_certain": judgement.is_certain,
    }
    await connection.execute(sa.update(bank_lines).where(*same).values(**values))
