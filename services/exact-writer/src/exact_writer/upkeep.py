"""The calls that a division takes whether or not anything is booked."""

from __future__ import annotations

from math import ceil
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from exact_writer.tables import master_data

ROWS_A_PAGE: Final = 60  # of financial/FinancialPeriods and read/financial/JournalStatusList
MINUTES_OF_HOUR, MINUTES_OF_DAY = 60, 1_440
# Deletions and a move of the division are read four times a day, ledgers, journals and VAT codes and the like once.
OTHER_READS_A_DAY: Final = 11


async def reads_a_minute(connection: AsyncConnection, division: int) -> float:
    """How many calls it takes to read master data anew, by the minute.

    Periods and the status of each journal in each of them come every hour, so many rows a page: a division of many journals
    and years takes more calls.
    """
    where = (master_data.c.division == division, master_data.c.kind == "period")
    codes = (await connection.execute(sa.select(master_data.c.code).where(*where))).scalars().all()
    periods = {code.partition("/")[2] for code in codes}
    # Without any yet: a page of each.
    hourly = max(1, ceil(len(periods) / ROWS_A_PAGE)) + max(1, ceil(len(codes) / ROWS_A_PAGE))
    return hourly / MINUTES_OF_HOUR + OTHER_READS_A_DAY / MINUTES_OF_DAY
