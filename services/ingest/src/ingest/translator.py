"""The worker that reads stored events in order and appends the facts they hold, with its checkpoint in one transaction."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from backbone.checkpoints import read_checkpoint, write_checkpoint
from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import DATABASE_ERRORS, Database
from backbone.errors import StreamConflictError, reason_of
from backbone.event_log import Recorded
from backbone.locks import advisory_key
from backbone.telemetry import Telemetry, log
from contracts.envelope import Envelope
from ingest.questions import ask
from ingest.tables import resource_versions, unreadable_events
from ingest.translate import EVENT_RECEIVED, Observation, ResourceKey, Unreadable, news, observe

CHECKPOINT = "translator"
BATCH = 200
POLL_SECONDS = 1.0
RETRY_SECONDS = 2.0
# A commit is readable only when no older transaction is open any more, so the log is looked at again soon after a wake-up.
SETTLE_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
ONE_TRANSLATOR = advisory_key("kruispost/ingest/translator")  # of several replicas one translates


class Translator:
    """Turns raw events into facts; several may run, one at a time works."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        telemetry: Telemetry,
        *,
        translated: Callable[[], None],
        asked: Callable[[], None] = lambda: None,
    ) -> None:
        """Read and write the log in `database`; after a commit `translated` wakes the relay, `asked` who asks Chargebee."""
        self._database = database
        self._clock = clock
        self._telemetry = telemetry
        self._translated = translated
        self._asked = asked
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Say that an event was stored."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Translate until `stop` is set; a database that fails is tried again, and nothing is skipped meanwhile."""
        attempts = 0
        while not stop.is_set():
            try:
                translated = await self.translate_batch()
            except (*DATABASE_ERRORS, StreamConflictError) as error:
                log.warning("translation_failed", reason=reason_of(error), retry_after_seconds=RETRY_SECONDS)
                await self._pause(stop, RETRY_SECONDS)
                continue
            if translated:
                attempts = 0
            elif attempts < len(SETTLE_SECONDS):
                await self._clock.sleep(SETTLE_SECONDS[attempts])
                attempts += 1
            else:
                attempts = 0 if await self._pause(stop, POLL_SECONDS) else len(SETTLE_SECONDS)

    async def _pause(self, stop: asyncio.Event, seconds: float) -> bool:
        """Wait for a wake-up, for `stop` or for the time to pass; True when woken."""
        waiters = [asyncio.ensure_future(one) for one in (self._woken.wait(), stop.wait(), self._clock.sleep(seconds))]
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
        woken = self._woken.is_set()
        self._woken.clear()
        return woken

    async def translate_batch(self) -> int:
        """Translate the next events in one transaction; returns how many, 0 when there are none or another replica works."""
        if not await self._anything_new():
            return 0
        async with self._database.transaction() as connection:
            if not await self._alone(connection):
                return 0
            events = await _next_events(connection, BATCH)
            if not events:
                return 0
            recorded, unreadable, asks = await self._translate(connection, events)
            await write_checkpoint(connection, CHECKPOINT, events[-1].position)
            crash_point("ingest.translation_uncommitted")
        crash_point("ingest.translation_committed")
        self._translated()
        if asks:
            self._asked()
        self._count(recorded, unreadable)
        return len(events)

    async def _anything_new(self) -> bool:
        # SQLite's transactions lock out the door, so the log is looked at without one first.
        async with self._database.reading() as connection:
            return bool(await _next_events(connection, 1))

    async def _alone(self, connection: AsyncConnection) -> bool:
        if self._database.dialect != "postgresql":
            return True
        return bool(await connection.scalar(select(func.pg_try_advisory_xact_lock(ONE_TRANSLATOR))))

    async def _translate(
        self, connection: AsyncConnection, events: Sequence[Recorded]
    ) -> tuple[list[Observation], list[Unreadable], bool]:
        parts: list[Observation | Unreadable] = []
        for event in events:
            parts += observe(event.envelope)
            await asyncio.sleep(0)  # the door lives in the same process and must not wait for a whole batch
        observations = [part for part in parts if isinstance(part, Observation)]
        unreadable = [part for part in parts if isinstance(part, Unreadable)]
        ends = {one.end_key for one in observations if one.ends}
        stored = await stored_versions(connection, ends.union(one.key for one in observations))
        seen = {key: version for key, (version, _) in stored.items()}
        fresh = list(news(seen, observations))
        await _append(connection, fresh, {key: facts for key, (_, facts) in stored.items()})
        await self._remember(connection, fresh, stored)
        asks = await ask(self._database, connection, _unanswered(observations, seen))
        await self._note(connection, unreadable)
        return fresh, unreadable, asks

    def _count(self, recorded: Iterable[Observation], unreadable: Iterable[Unreadable]) -> None:
        for message_type, number in Counter(one.fact.type for one in recorded).items():
            self._telemetry.count("facts_recorded", number, type=message_type)
        for kind, number in Counter(one.kind for one in unreadable).items():
            self._telemetry.count("unreadable_resources", number, kind=kind)

    async def _remember(
        self, connection: AsyncConnection, fresh: Sequence[Observation], stored: dict[ResourceKey, tuple[int, int]]
    ) -> None:
        rows: dict[ResourceKey, dict[str, object]] = {}
        facts = {key: number for key, (_, number) in stored.items()}
        for one in fresh:
            facts[one.key] = facts.get(one.key, 0) + 1
            state = {"resource_version": one.resource_version, "facts": facts[one.key], "dated_at": one.dated_at}
            rows[one.key] = {**one.key._asdict(), **state}
        if not rows:
            return
        statement = self._database.insert(resource_versions)
        statement = statement.on_conflict_do_update(
            index_elements=list(resource_versions.primary_key.columns),
            set_={name: statement.excluded[name] for name in ("resource_version", "facts", "dated_at")},
        )
        await connection.execute(statement, list(rows.values()))

    async def _note(self, connection: AsyncConnection, unreadable: Iterable[Unreadable]) -> None:
        rows = []
        for one in unreadable:
            log.warning("event_unreadable", site=one.site, event_id=one.event_id, path=one.path, reason=one.reason)
            rows.append(
                {
                    "site": one.site,
                    "event_id": one.event_id,
                    "path": one.path[:300],
                    "event_type": one.event_type,
                    "reason": one.reason.replace("\x00", ""),
                    "noted_at": self._clock.now(),
                }
            )
        if rows:
            await connection.execute(self._database.insert(unreadable_events).on_conflict_do_nothing(), rows)


def _unanswered(observations: Sequence[Observation], seen: Mapping[ResourceKey, int]) -> set[ResourceKey]:
    """Return what the documents ask that are not known as a whole, in the version they came in or a newer one."""
    return {each for one in observations for each in one.asks if each != one.key or seen.get(one.key, -1) <= one.resource_version}


async def _next_events(connection: AsyncConnection, limit: int) -> list[Recorded]:
    position = await read_checkpoint(connection, CHECKPOINT)
    return await event_log.read_after(connection, position, limit, frozenset({EVENT_RECEIVED}))


async def stored_versions(connection: AsyncConnection, keys: Iterable[ResourceKey]) -> dict[ResourceKey, tuple[int, int]]:
    """Return the newest version and the number of facts of each resource that was seen before."""
    columns = resource_versions.c
    wanted = tuple_(columns.site, columns.kind, columns.resource_id).in_([tuple(key) for key in keys])
    rows = await connection.execute(select(resource_versions).where(wanted))
    return {ResourceKey(row.site, row.kind, row.resource_id): (row.resource_version, row.facts) for row in rows}


async def _append(connection: AsyncConnection, fresh: Sequence[Observation], facts: dict[ResourceKey, int]) -> None:
    """Append the facts in the order of their events, those in a row that open a stream in one statement.

    An invoice is booked by what its customer and its subscription are when it is heard of, so a change that came before it must
    leave before it, too. Raises StreamConflictError.
    """
    recorded = dict(facts)
    opening: dict[str, Envelope] = {}
    for one in fresh:
        if one.key not in recorded:
            opening[one.key.stream] = one.fact
            recorded[one.key] = 1
            continue
        await _open(connection, opening)
        opening.clear()
        await event_log.append(connection, one.key.stream, recorded[one.key], [one.fact])
        recorded[one.key] += 1
    await _open(connection, opening)


async def _open(connection: AsyncConnection, opening: dict[str, Envelope]) -> None:
    if not opening:
        return
    new = await event_log.append_new(connection, list(opening.items()), in_order=True)  # one translator has the lock
    taken = [stream for stream, is_new in zip(opening, new, strict=True) if not is_new]
    if taken:
        raise StreamConflictError(taken[0], 0)
