"""What `kruispost backfill` asks of the writer: that it pauses the booking of history, goes on with it, or says how it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.configuration import Configuration
from backbone.database import Database
from exact_writer.history_pause import pause, paused_sites, resume, waiting_history
from exact_writer.installation import in_the_writers_database


@dataclass(frozen=True, slots=True)
class Standing:
    """Which of some sites are paused, and how many documents of history wait to be booked, by site."""

    paused: frozenset[str]
    waiting: dict[str, int]


def pause_history(sites: Sequence[str]) -> Standing:
    """Pause the booking of history. Raises KruispostError where the writer's database cannot be used."""

    async def do(database: Database, connection: AsyncConnection, _: Configuration) -> Standing:
        await pause(database, connection, sites)
        return await _standing(connection, sites)

    return in_the_writers_database(do)


def resume_history(sites: Sequence[str]) -> int:
    """Go on with the booking of history; return of how many sites it was paused. Raises KruispostError."""

    async def do(_: Database, connection: AsyncConnection, __: Configuration) -> int:
        return await resume(connection, sites)

    return in_the_writers_database(do)


def history_standing(sites: Sequence[str]) -> Standing:
    """Say how the booking of history stands. Raises KruispostError."""

    async def do(_: Database, connection: AsyncConnection, __: Configuration) -> Standing:
        return await _standing(connection, sites)

    return in_the_writers_database(do)


async def _standing(connection: AsyncConnection, sites: Sequence[str]) -> Standing:
    return Standing((await paused_sites(connection)) & frozenset(sites), await waiting_history(connection, sites))
