"""`kruispost restored`: after an older backup was put back, nothing is posted before Exact was looked at."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from backbone.clock import SystemClock
from backbone.configuration import load_configuration
from backbone.database import is_away
from backbone.errors import KruispostError, reason_of
from backbone.settings import Settings
from exact_writer.__main__ import open_ledger


def doubt_all(division: int | None, hours: float, patience_seconds: float) -> list[dict[str, Any]]:
    """Let the journal of each division be doubted, and read its ledger unless `patience_seconds` is 0.

    Raises KruispostError where that could not be done; what was put in doubt stays so.
    """
    try:
        return asyncio.run(_doubt_all(division, hours, patience_seconds))
    except Exception as error:
        if not is_away(error) and not isinstance(error, SQLAlchemyError):
            raise
        sentence = f"The writer's database cannot be used ({reason_of(error)}); check its address and run `kruispost migrate`."
        raise KruispostError("database_unavailable", sentence) from error


async def _doubt_all(division: int | None, hours: float, patience_seconds: float) -> list[dict[str, Any]]:
    settings = Settings()
    divisions = sorted(load_configuration(settings.config).divisions)
    found: list[dict[str, Any]] = []
    async with open_ledger(settings) as shelf:
        # All in doubt first: while a ledger is read a writer may be running, and then posts nothing unseen in any division.
        for each in divisions if division is None else [division]:
            until = SystemClock().now() + timedelta(hours=hours)
            waiting = await shelf.doubt(each, until.timestamp())
            found.append({"division": each, "waiting": waiting, "until": until.isoformat(timespec="seconds")})
        for told in found if patience_seconds else ():
            await shelf.refresh(told["division"], patience_seconds)
    return found
