"""What people decided about entries that were changed or deleted in Exact: kept in the mapper's own log, who, when and why."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from contracts.commands import PostEntry
from contracts.envelope import Envelope, Message, derived_id, seal
from contracts.messages import unseal

SOURCE = "mapper"
GONE = "entry_missing"
PAGE = 500
Signature = tuple[str, str, str, str, str, str]


class Accepted(Message, frozen=True, kw_only=True):
    """A difference that stands as it is: the reference and the sentence of a finding, and what it found. Stays in the service.

    `command_id` is the booking's, so that one that was deleted in Exact is not booked again from the logs.
    """

    TYPE: ClassVar[str] = "mapper.difference.accepted"
    reference: str
    name: str
    place: str
    booked: str
    found: str
    entry: str
    who: str
    why: str
    at: datetime
    command_id: str | None = None  # not in decisions of before

    @property
    def signature(self) -> Signature:
        """What a finding must say to be this one; when it says more, it is a new one."""
        return self.reference, self.name, self.place, self.booked, self.found, self.entry


class Countered(Message, frozen=True, kw_only=True):
    """A change in Exact was taken back by an entry of ours: the command that books it. Stays in the service."""

    TYPE: ClassVar[str] = "mapper.difference.countered"
    reference: str
    command_id: str
    who: str
    why: str
    at: datetime


def signature_of(reference: str, name: str, details: dict[str, Any]) -> Signature:
    """Return what tells a finding from others, as texts."""
    told = (str(details.get(each, "")) for each in ("place", "booked", "found", "entry"))
    place, booked, found, entry = told
    return reference, name, place, booked, found, entry


def stream_of(division: int) -> str:
    """Where the decisions of a division are."""
    return f"drift/{division}"


async def decisions(connection: AsyncConnection, division: int) -> list[Accepted | Countered]:
    """Return all decisions of a division, oldest first."""
    found: list[Accepted | Countered] = []
    for recorded in await event_log.read_stream(connection, stream_of(division)):
        kind: type[Accepted | Countered] = Accepted if recorded.envelope.type == Accepted.TYPE else Countered
        found.append(msgspec.json.decode(recorded.envelope.data, type=kind))
    return found


def gone(decided: Sequence[Accepted | Countered]) -> dict[str, Accepted]:
    """Return, by the command that booked it, what was deleted in Exact and stays so by somebody's word."""
    return {each.command_id: each for each in decided if isinstance(each, Accepted) and each.name == GONE and each.command_id}


def id_of_counter(division: int, reference: str) -> str:
    """Return the id of the command that takes a change back under a reference of its own."""
    return derived_id("drift", str(division), reference)


async def entries_of_decisions(connection: AsyncConnection, division: int) -> AsyncIterator[list[tuple[Envelope, PostEntry]]]:
    """Give the entries that took a change in Exact back, a page after another: no booking of the mapper's leads to them."""
    wanted = {each.command_id for each in await decisions(connection, division) if isinstance(each, Countered)}
    after = event_log.START
    while wanted:
        page = await event_log.read_after(connection, after, PAGE, frozenset((PostEntry.TYPE,)))
        asked = [(each.envelope, unseal(each.envelope)) for each in page]
        yield [(envelope, each) for envelope, each in asked if isinstance(each, PostEntry) and each.command_id in wanted]
        if len(page) < PAGE:
            return
        after = page[-1].position


async def decide(connection: AsyncConnection, division: int, made: Sequence[Accepted | Countered], now: datetime) -> None:
    """Append decisions."""
    stream = stream_of(division)
    version = await event_log.stream_version(connection, stream)
    envelopes = [
        seal(each, source=SOURCE, subject=stream, key=str(division), time=now, distinguisher=f"{version + number}")
        for number, each in enumerate(made)
    ]
    await event_log.append(connection, stream, version, envelopes)
