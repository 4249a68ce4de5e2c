"""The calls that a division takes whether or not anything is booked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from exact_writer import watched_years
from exact_writer.master_records import Record
from exact_writer.tables import master_data

MINUTES_OF_HOUR, MINUTES_OF_DAY = 60, 1_440
# Deletions and a move of the division are read four times a day, ledgers, journals and VAT codes and the like once.
OTHER_READS_A_DAY: Final = 11


async def reads_a_minute(connection: AsyncConnection, division: int, now: float) -> float:
    """How many calls it takes to read master data anew, by the minute.

    Periods and the status of each journal in each of them come every hour for the years that are watched and once a day for all,
    so many rows a page: a division of many journals and years takes more calls.
    """
    where = (master_data.c.division == division, master_data.c.kind == "period")
    rows = await connection.execute(sa.select(master_data.c.code, master_data.c.record).where(*where))
    periods = {row.code: msgspec.json.decode(bytes(row.record), type=Record) for row in rows}
    hourly = watched_years.calls_of(periods, watched_years.watched(periods, datetime.fromtimestamp(now, UTC).date()))
    daily = watched_years.calls_of(periods, None) - hourly + OTHER_READS_A_DAY
    return hourly / MINUTES_OF_HOUR + daily / MINUTES_OF_DAY
