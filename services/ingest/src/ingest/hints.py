"""Draws Exact's webhooks together into hints for the writers: one message a division and topic, at most every few seconds.

A hint is kept in memory only. When it is lost the writer sees the change at its next poll, so nothing has to wait for a database,
and a flood of webhooks costs neither storage nor calls.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from backbone.broker import Broker, Outgoing
from backbone.clock import Clock
from backbone.errors import BrokerUnavailableError, UnroutableError, reason_of
from backbone.retries import is_set_within
from backbone.telemetry import Telemetry, log
from contracts import envelope as wire
from contracts.envelope import seal
from contracts.parcels import MOST_KEYS, ChangeHinted
from contracts.topology import PARCELS_EXCHANGE, parcel_routing_key
from ingest.translate import SOURCE

EVERY_SECONDS: Final = 5.0
AWAY_PAUSE_SECONDS: Final = 5.0
MOST_TOPICS: Final = 1_000  # of all divisions together; Exact has some tens of topics


class _Waiting(msgspec.Struct):
    keys: set[str] = msgspec.field(default_factory=set)
    is_many: bool = False
    has_deleted: bool = False
    heard_at: float = 0.0


class Hints:
    """What was heard and not sent yet, by division and topic."""

    def __init__(self, broker: Broker, clock: Clock, telemetry: Telemetry) -> None:
        self._broker = broker
        self._clock = clock
        self._telemetry = telemetry
        self._waiting: dict[tuple[int, str], _Waiting] = {}
        self._sent_at: dict[tuple[int, str], float] = {}
        self._woken = asyncio.Event()

    def hear(self, division: int, topic: str, key: str, *, is_deleted: bool = False) -> bool:
        """Take what one webhook said; False when so many topics are heard that it can be no topic of Exact's."""
        about = (division, topic)
        if about not in self._sent_at:
            if len(self._sent_at) >= MOST_TOPICS:
                return False
            self._sent_at[about] = float("-inf")
        waiting = self._waiting.setdefault(about, _Waiting())
        waiting.heard_at = self._clock.now().timestamp()
        waiting.has_deleted |= is_deleted
        if key in waiting.keys or waiting.is_many:
            return True
        if len(waiting.keys) < MOST_KEYS and key:
            waiting.keys.add(key)
        else:
            waiting.is_many = True
            waiting.keys.clear()
        self._woken.set()
        return True

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set, and then what waits for its turn; a broker that is away is waited for."""
        while not stop.is_set():
            self._woken.clear()
            try:
                pause = await self.send_due()
            except (BrokerUnavailableError, UnroutableError, OSError) as error:
                log.warning("hints wait", reason=reason_of(error), retry_after_seconds=AWAY_PAUSE_SECONDS)
                await is_set_within(stop, AWAY_PAUSE_SECONDS)
                continue
            await self._pause(stop, pause)
        # Exact was told that these were taken and does not repeat them, and the writer asks for some parts once a day only.
        self._sent_at = dict.fromkeys(self._sent_at, float("-inf"))
        try:
            await self.send_due()
        except (BrokerUnavailableError, UnroutableError, OSError) as error:
            log.warning("hints are lost", topics=len(self._waiting), reason=reason_of(error))

    async def send_due(self) -> float | None:
        """Send what may go now; returns for how many seconds nothing may, None when nothing waits.

        Raises what publishing raises; what could not be sent waits.
        """
        now = self._clock.monotonic()
        due = [about for about in self._waiting if self._sent_at[about] + EVERY_SECONDS <= now]
        for about in due:
            waiting = self._waiting.pop(about)
            self._sent_at[about] = now
            try:
                await self._send(about, waiting)
            except BaseException:
                # What was heard meanwhile joins it; which things they were matters little, so it becomes "many".
                later = self._waiting.get(about, waiting)
                has_deleted = waiting.has_deleted or later.has_deleted
                self._waiting[about] = _Waiting(is_many=True, has_deleted=has_deleted, heard_at=later.heard_at)
                raise
        return min((self._sent_at[about] + EVERY_SECONDS - now for about in self._waiting), default=None)

    async def _send(self, about: tuple[int, str], waiting: _Waiting) -> None:
        division, topic = about
        hint = ChangeHinted(
            division=division,
            topic=topic,
            heard_at=waiting.heard_at,
            keys=tuple(sorted(waiting.keys)),
            has_deleted=waiting.has_deleted,
        )
        envelope = seal(
            hint,
            source=SOURCE,
            subject=f"{division}/{topic}",
            key=str(division),
            time=self._clock.now(),
            distinguisher=self._clock.random_id(),
        )
        routing_key = parcel_routing_key(hint.TYPE, division)
        await self._broker.publish(PARCELS_EXCHANGE, [Outgoing(routing_key, wire.encode(envelope), envelope.id)])
        self._telemetry.count("exact_hints_sent", topic=topic)

    async def _pause(self, stop: asyncio.Event, seconds: float | None) -> None:
        waiting = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(self._woken.wait())]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
