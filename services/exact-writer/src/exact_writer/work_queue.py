"""What the writer of a division has read of the journal, and whose turn it is."""

from __future__ import annotations

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.database import Database
from backbone.telemetry import Telemetry
from exact_writer import attachments, batches, hearing, polling, schedule, upkeep, waiting
from exact_writer.calls import DivisionCalls
from exact_writer.history_pause import paused_sites
from exact_writer.schedule import Candidate, Choice, Kind
from exact_writer.waiting import Waiting
from exact_writer.work_classes import CURRENT, HISTORY, OF_COMMANDS, Turns, WorkClass

# How soon a new command is seen while others wait, also one that another replica or a person brought.
REREAD_SECONDS: Final = 2.0
# Counting history reads all of it. While so much waits, a minute's calls change little of it.
MUCH_HISTORY: Final = 1_000
HISTORY_COUNT_SECONDS: Final = 60.0
ARRIVALS_SECONDS: Final = 600.0  # how long an estimate of the rest of the day holds


class WorkQueue:
    """The candidates that were read last, and the turns of the classes. Nothing here is needed after a restart."""

    def __init__(
        self,
        division: int,
        *,
        database: Database,
        clock: Clock,
        calls: DivisionCalls,
        telemetry: Telemetry,
        poll_seconds: float,
    ) -> None:
        self._division = division
        self._database = database
        self._clock = clock
        self._calls = calls
        self._telemetry = telemetry
        self._poll_seconds = poll_seconds
        self._candidates: list[Candidate] = []
        self._turns = Turns()
        self._read_at = 0.0
        self._estimated_at = 0.0
        self._batched_at = 0.0
        self.has_asked_pdf = False  # whether a person waits for a PDF
        self._history: list[Waiting] = []
        self._paused = frozenset[str]()
        self._history_counted_at = 0.0

    def start(self) -> None:
        """Start anew after taking over."""
        self.forget()
        self._batched_at = self._now()

    def forget(self) -> None:
        """Read the journal again before the next turn: others may be free now, or gone."""
        self._candidates = []

    def remove(self, candidate: Candidate) -> None:
        """A command is being worked on."""
        self._candidates = [each for each in self._candidates if each.command_id != candidate.command_id]

    def set_aside(self, customer_ref: str) -> None:
        """Leave a customer until the next reading, which shows whether its account was saved or is in doubt.

        That is soon. Reading at once after each account is long work where tens of thousands wait for theirs.
        """
        self._candidates = [each for each in self._candidates if each.customer_ref != customer_ref]

    async def next(self, blocked: frozenset[Kind], batches_wait_until: float) -> Choice | None:
        """The next command, out of what was read before as long as that lasts."""
        await self._estimate_arrivals()
        if self._now() < self._read_at + REREAD_SECONDS:
            found = self._choose(blocked, batches_wait_until)
            if found is not None:
                return found
        await self._read()
        return self._choose(blocked, batches_wait_until)

    def took(self, choice: Choice) -> None:
        """A call was made for a command: the others are owed their share."""
        taken = choice.candidate
        self._turns = self._turns.taken(taken.work_class, taken.site, choice.waiting | {taken.work_class, "pdf"})

    def batched(self) -> None:
        """A batch of mode ledger went, or had nothing to send."""
        self._batched_at = self._now()

    @property
    def owes_pdf(self) -> bool:
        """Whether PDFs were passed over so long that one goes before a booking."""
        return self._turns.next_class((*OF_COMMANDS, "pdf")) == "pdf"

    def took_pdf(self) -> None:
        """PDFs had their turn, whether or not there was one to attach."""
        self._turns = self._turns.skipped("pdf")

    def next_instant(self) -> float | None:
        """When a command that waits for a time can go (unix seconds); None when none does."""
        now = self._now()
        room_at = self._calls.room_for_history_at()
        instants = [each.not_before for each in self._candidates if each.not_before > now]
        if room_at is not None and any(each.work_class in HISTORY for each in self._candidates):
            instants.append(room_at)
        return min(instants, default=None)

    def _choose(self, blocked: frozenset[Kind], batches_wait_until: float) -> Choice | None:
        """Other work goes before batches for a while, so that the documents of new customers come together."""
        now = self._now()
        resting = HISTORY if self._calls.room_for_history_at() is not None else frozenset[WorkClass]()
        without: frozenset[Kind] = blocked | {"ledger"}
        if now < batches_wait_until:
            blocked = without
        elif now < self._batched_at + batches.EVERY_SECONDS:
            other = schedule.choose(self._candidates, now, self._turns, blocked=without, resting=resting, paused=self._paused)
            if other is not None:
                return other
        return schedule.choose(self._candidates, now, self._turns, blocked=blocked, resting=resting, paused=self._paused)

    async def _read(self) -> None:
        self._read_at = self._now()
        async with self._database.reading() as connection:
            counts = await self._count(connection)
            self._paused = await paused_sites(connection)
            self._candidates = await waiting.candidates(connection, self._division, counts, self._read_at)
            self.has_asked_pdf = await attachments.is_asked_for(connection, self._division)
        self._calls.waiting_today = sum(each.calls for each in counts if each.work_class in CURRENT)
        by_class: dict[WorkClass, int] = dict.fromkeys(OF_COMMANDS, 0)
        for each in counts:
            by_class[each.work_class] += each.commands
        for work_class, number in by_class.items():
            self._telemetry.gauge("commands_waiting", number, division=str(self._division), work_class=work_class)

    async def _count(self, connection: AsyncConnection) -> list[Waiting]:
        """What waits, where the sites that have much history and how much are not read anew each time."""
        if self._history and self._read_at < self._history_counted_at + HISTORY_COUNT_SECONDS:
            return [*await waiting.counts_but_history(connection, self._division, self._read_at), *self._history]
        counts = await waiting.counts(connection, self._division, self._read_at)
        self._history_counted_at = self._read_at
        history = [each for each in counts if each.work_class in HISTORY]
        self._history = history if sum(each.commands for each in history) > MUCH_HISTORY else []
        return counts

    async def _estimate_arrivals(self) -> None:
        """Tell the budget what the rest of the day is likely to need, so that history leaves room for it.

        That is the documents to come and what is asked and read besides: else history takes in the morning the calls that the
        last invoices of the afternoon would have needed.
        """
        now = self._now()
        if now < self._estimated_at + ARRIVALS_SECONDS:
            return
        seconds = self._calls.day_seconds_left()
        async with self._database.reading() as connection:
            arrivals = await waiting.usual_arrivals(connection, self._division, now, seconds)
            listens = await hearing.listens(connection, self._division, now)
            reads_a_minute = await upkeep.reads_a_minute(connection, self._division, now)
        polls_a_minute = polling.idle_polls_a_minute(self._poll_seconds, self._calls.day_limit, listens=listens)
        self._calls.expected_today = arrivals + (reads_a_minute + polls_a_minute) * seconds / 60.0
        self._estimated_at = now

    def _now(self) -> float:
        return self._clock.now().timestamp()
