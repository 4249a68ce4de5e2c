"""What a long queue costs: taking in and choosing the next command read no more of it when it is ten times as long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from support.exact_server import DIVISION
from support.virtual_writer import VirtualWriter, virtual_writer
from support.writer_stage import SITE, ledger_sale, outgoing, payment, sale

from contracts.commands import PostEntry
from contracts.envelope import decode
from exact_writer import batches, gathering, journal, waiting
from exact_writer.tables import accounts
from exact_writer.tables import commands as journal_rows

LAST_YEAR = date(2026, 1, 5)
OF_EACH_CUSTOMER = 20
SHORT, LONG = 400, 4_000
MORE = 1.5
Act = Callable[[VirtualWriter, AsyncConnection], Awaitable[Any]]


def taking(command: PostEntry) -> Act:
    async def act(stage: VirtualWriter, connection: AsyncConnection) -> None:
        await journal.plan(stage.database, connection, decode(outgoing(command).body), command, stage.clock.seconds())

    return act


async def gather(stage: VirtualWriter, connection: AsyncConnection) -> None:
    key = batches.key_of(ledger_sale("L", entry_date=LAST_YEAR))
    found = await gathering.gather(connection, DIVISION, key, batches.MOST_DOCUMENTS, stage.clock.seconds() + 10.0)
    assert len(found) == batches.MOST_DOCUMENTS


async def choose(stage: VirtualWriter, connection: AsyncConnection) -> None:
    now = stage.clock.seconds() + 10.0
    history = [waiting.Waiting(work_class="backfill", site=SITE, commands=LONG)]
    assert len(await waiting.candidates(connection, DIVISION, history, now)) == waiting.MOST_OF_EACH


ACTS: dict[str, tuple[PostEntry, Act]] = {
    "an invoice comes in": (sale("OLD", entry_date=LAST_YEAR), taking(sale("INV-1", "C1"))),
    "a payment comes in": (sale("OLD", entry_date=LAST_YEAR), taking(payment("TX-1", "C1"))),
    "the next of history is chosen": (sale("OLD", entry_date=LAST_YEAR), choose),
    "an entry of mode ledger is filled": (ledger_sale("OLD", entry_date=LAST_YEAR), gather),
}


async def steps(directory: Path, kind: PostEntry, number: int, act: Act) -> int:
    """How many hundreds of steps SQLite's machine makes for it while so many of a kind wait."""
    async with virtual_writer(directory) as stage:
        await stage.plan(kind)
        async with stage.database.transaction() as connection:
            one = dict((await connection.execute(sa.select(journal_rows))).mappings().one())
            del one["sequence"]
            of_customers = [f"{SITE}/C{place // OF_EACH_CUSTOMER}" for place in range(number)]
            rows = [{**one, "command_id": f"H{place}", "customer_ref": ref} for place, ref in enumerate(of_customers)]
            await connection.execute(sa.insert(journal_rows), rows)
            known = [
                {"division": DIVISION, "customer_ref": ref, "account_id": ref, "fingerprint": "1"} for ref in set(of_customers)
            ]
            await connection.execute(sa.insert(accounts), known)
        made = 0

        def count() -> int:
            nonlocal made
            made += 1
            return 0

        async with stage.database.transaction() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.set_progress_handler(count, 100)
            await act(stage, connection)
            await driver.set_progress_handler(None, 0)
    return made


@pytest.mark.parametrize("what", ACTS)
async def test_ten_times_the_backlog_is_not_read_for(tmp_path: Path, what: str) -> None:
    kind, act = ACTS[what]
    (tmp_path / "short").mkdir()
    (tmp_path / "long").mkdir()
    short = await steps(tmp_path / "short", kind, SHORT, act)
    long = await steps(tmp_path / "long", kind, LONG, act)
    assert long <= MORE * short + 1, (short, long)
