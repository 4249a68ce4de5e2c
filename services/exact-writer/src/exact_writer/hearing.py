"""What Exact's webhooks said about a division: kept until the writer has asked, and why it may ask less often of itself.

A webhook carries no data and may be lost, late, repeated or out of order: it only says what is worth asking for now. The polls
stay, rarer, and find what no webhook told. Our own bookings come back as webhooks; those cost no call.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final, Literal, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.database import Database
from contracts.parcels import ChangeHinted
from exact_writer import master_records, receivables
from exact_writer.master_records import Kind
from exact_writer.polling import ATTENTIVE_SECONDS
from exact_writer.tables import REFUSED, commands, hints, webhook_topics

Part = Kind | Literal["payment_term"]

PAYMENTS: Final = "payment_term"
# Exact has no topic for payment terms: entries that can settle them are the nearest. Documents and sales are not asked for.
PARTS: Final[dict[str, Part]] = {
    "BankEntries": PAYMENTS,
    "CashEntries": PAYMENTS,
    "GeneralJournalEntries": PAYMENTS,
    "FinancialTransactions": PAYMENTS,
    "JournalStatusList": "period",
    "Accounts": "account",
    "GLAccounts": "ledger",
}
LISTENING_SECONDS: Final = 3 * 86_400.0  # a long weekend without bank statements
# How far apart our sending of something and its webhook may be; Exact repeats an undelivered one after 2, 4, 8 ... minutes.
OWN_BEFORE_SECONDS: Final = 60.0
OWN_SECONDS: Final = 600.0
MOST_KEPT: Final = 300  # of a part: while nothing can be asked for long, more of them say no more than that there were many
REREAD_SECONDS: Final = 2.0  # another replica may have taken a hint


class Hearing:
    """The hints of one division. Whoever takes the messages stores them; whoever acts in the division reads them."""

    def __init__(self, division: int, database: Database, clock: Clock) -> None:
        self._division = division
        self._database = database
        self._clock = clock
        self._read_at = 0.0
        self._parts: set[Part] = set()
        self._answered_at: dict[Part, float] = {}
        self._attentive_until = 0.0
        self._heard_at = 0.0
        self._until: dict[Part, int] = {}  # the newest hint that was read about a part, by its sequence

    def forget(self) -> None:
        """Read what was heard before the next turn."""
        self._read_at = 0.0

    async def take(self, connection: AsyncConnection, hint: ChangeHinted) -> None:
        """Keep a hint; one of a topic that nothing hangs on is dropped."""
        if hint.topic not in PARTS:
            return
        about: list[tuple[Part, str]] = [(PARTS[hint.topic], key.lower()) for key in hint.keys or ("",)]
        if hint.has_deleted:
            about.append(("deleted", ""))
        known = {"division": self._division, "heard_at": hint.heard_at}
        rows = [{**known, "part": part, "key": key} for part, key in about]
        await connection.execute(sa.insert(hints), rows)
        for part in {part for part, _ in about}:
            await self._draw_together(connection, part, hint.heard_at)
        heard = {"heard_at": hint.heard_at}
        insert = self._database.insert(webhook_topics).values(division=self._division, topic=hint.topic, **heard)
        await connection.execute(insert.on_conflict_do_update(index_elements=["division", "topic"], set_=heard))

    async def look(self) -> None:
        """Read what was heard, and drop what is only the echo of our own bookings."""
        now = self._now()
        if now < self._read_at + REREAD_SECONDS:
            return
        self._read_at = now
        async with self._database.reading() as connection:
            where = hints.c.division == self._division
            rows = (await connection.execute(sa.select(hints).where(where).order_by(hints.c.sequence))).all()
            ours = await self._ours(connection, {row.key for row in rows if row.key})
            self._heard_at = await _payments_heard_at(connection, self._division)
        echoes = [row for row in rows if _is_echo(row.heard_at, ours.get(row.key))]
        told = [row for row in rows if not _is_echo(row.heard_at, ours.get(row.key))]
        if echoes:
            async with self._database.transaction() as connection:
                await connection.execute(sa.delete(hints).where(hints.c.sequence.in_([row.sequence for row in echoes])))
        self._until = {cast("Part", row.part): row.sequence for row in told}
        self._parts = set(self._until)
        payments = [row.heard_at for row in told if row.part == PAYMENTS]
        self._attentive_until = max(self._attentive_until, max(payments, default=0.0) + ATTENTIVE_SECONDS)

    @property
    def listens(self) -> bool:
        """Whether webhooks about payments are heard, so that polls need only find what those miss."""
        return self._now() < self._heard_at + LISTENING_SECONDS

    def wanted(self, poll_again_at: float, closed: Container[str], *, with_payments: bool) -> list[Part]:
        """What was hinted at, what was asked for longest ago first; payments once more at an instant while somebody matches.

        `with_payments`: they are due in any case. What has an endpoint that the error limit closes is left out.
        """
        now = self._now()
        parts: set[Part] = set(self._parts)
        if with_payments or (self.listens and poll_again_at <= now < self._attentive_until):
            parts.add(PAYMENTS)
        is_open = [part for part in parts if not any(endpoint in closed for endpoint in _endpoints(part))]
        return sorted(is_open, key=lambda part: (self._answered_at.get(part, 0.0), part))

    def next_instant(self, poll_again_at: float) -> float | None:
        """When payments are to be asked for once more because somebody may be matching."""
        return poll_again_at if self.listens and self._now() < poll_again_at < self._attentive_until else None

    async def answered(self, part: Part) -> None:
        """A part was asked for after the last look: the hints about it that were read then are done with.

        Only up to its own newest one. SQLite gives the number of the newest row of all again once that is deleted, so that what
        is heard of this part during the call may have a smaller number than what was read of another part.
        """
        self._answered_at[part] = self._now()
        if part not in self._parts:
            return
        self._parts.discard(part)
        done = (hints.c.division == self._division, hints.c.part == part, hints.c.sequence <= self._until[part])
        async with self._database.transaction() as connection:
            await connection.execute(sa.delete(hints).where(*done))

    async def _draw_together(self, connection: AsyncConnection, part: Part, heard_at: float) -> None:
        """Keep one hint of no key in place of too many: consent may be missing for weeks, and a look reads them all."""
        of_part = (hints.c.division == self._division, hints.c.part == part)
        counted = sa.select(sa.func.count(), sa.func.max(hints.c.sequence)).select_from(hints).where(*of_part)
        count, newest = (await connection.execute(counted)).one()
        if count <= MOST_KEPT:
            return
        # First the new one, so that it is newer than what was read by a look whose question is on its way.
        about = {"division": self._division, "part": part, "key": "", "heard_at": heard_at}
        await connection.execute(sa.insert(hints).values(about))
        # What the writer is just deleting is left to it: two that wait for each other's rows would be a deadlock.
        older = sa.select(hints.c.sequence).where(*of_part, hints.c.sequence <= newest).with_for_update(skip_locked=True)
        await connection.execute(sa.delete(hints).where(hints.c.sequence.in_(older)))

    async def _ours(self, connection: AsyncConnection, keys: set[str]) -> dict[str, float]:
        """When we last sent what has one of these keys in Exact."""
        statement = (
            sa.select(commands.c.exact_id, sa.func.max(commands.c.sent_at).label("sent_at"))
            .where(commands.c.division == self._division, commands.c.exact_id.in_(keys), commands.c.sent_at.is_not(None))
            .group_by(commands.c.exact_id)
        )
        return {row.exact_id: float(row.sent_at) for row in await connection.execute(statement)} if keys else {}

    def _now(self) -> float:
        return self._clock.now().timestamp()


async def listens(connection: AsyncConnection, division: int, now: float) -> bool:
    """Whether webhooks about payments are heard in a division."""
    return now < await _payments_heard_at(connection, division) + LISTENING_SECONDS


async def _payments_heard_at(connection: AsyncConnection, division: int) -> float:
    about_payments = [topic for topic, part in PARTS.items() if part == PAYMENTS]
    of_payments = sa.select(webhook_topics.c.heard_at, webhook_topics.c.state).where(
        webhook_topics.c.division == division, webhook_topics.c.topic.in_(about_payments)
    )
    topics = (await connection.execute(of_payments)).all()
    # Our own journal entries are heard, too, so that one topic says nothing of another that Exact does not let us have.
    is_deaf = any(topic.state == REFUSED for topic in topics)
    return 0.0 if is_deaf else max((topic.heard_at for topic in topics), default=0.0)


def _endpoints(part: Part) -> tuple[str, ...]:
    return (receivables.ENDPOINT,) if part == PAYMENTS else master_records.endpoints(part)


def _is_echo(heard_at: float, sent_at: float | None) -> bool:
    return sent_at is not None and sent_at - OWN_BEFORE_SECONDS <= heard_at <= sent_at + OWN_SECONDS
