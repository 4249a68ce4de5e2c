"""A process that dies again and again: what it knew of endpoints that fail survives, and Exact never blocks the app for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from support.faulty_exact import Rehearsal, rehearsal
from support.writer_stage import sale, save_account

from exact_writer.auth import LONGEST_RETRY_SECONDS
from exact_writer.error_limit import STOP_AT
from exact_writer.sending import MOST_ATTEMPTS
from exact_writer.tables import counted_errors, mirror_state
from simulators.exact.traffic import Fault

HOUR = 3_600.0
DEATHS = 15  # within an hour
SALES, STATUSES, DELETED = "salesentry/SalesEntries", "read/financial/JournalStatusList", "sync/Deleted"
TOKEN = "oauth2/token"
RESTART_SECONDS, QUIET_SECONDS = 60.0, 15.0  # a new holder waits until its predecessor's call has ended


async def known_customer(stage: Rehearsal) -> None:
    await stage.plan(save_account("FIRST"))
    await stage.work()


async def restarts(stage: Rehearsal, number: int, seconds: float = RESTART_SECONDS, turns: int = 3) -> None:
    """Start the writer so often, whatever becomes of it."""
    for _ in range(number):
        await stage.start()
        stage.clock.advance(QUIET_SECONDS)
        await stage.act(turns)
        stage.clock.advance(seconds)


def asked(stage: Rehearsal, endpoint: str) -> int:
    return sum(number for name, number in stage.simulator.traffic.by_endpoint.items() if name.endswith(endpoint))


@pytest.mark.parametrize("kills", [True, False], ids=["dies_of_each_answer", "stopped"])
@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_no_loop_of_restarts_runs_into_exacts_block_with_what_it_writes(
    tmp_path: Path, status: int, *, kills: bool
) -> None:
    async with rehearsal(tmp_path) as stage:
        await known_customer(stage)
        stage.simulator.traffic.faults.append(Fault("status", "POST", SALES, 10_000, status))
        stage.exact.kills = SALES if kills else ""
        await stage.plan(*(sale(f"INV-{number}", "FIRST") for number in range(DEATHS)))
        await restarts(stage, DEATHS)
        # Looking up what became of a lost call goes to the same endpoint.
        assert (asked(stage, SALES), stage.simulator.gate.error_blocks) == (STOP_AT, 0)
        stage.simulator.traffic.faults.clear()
        stage.exact.kills = ""
        stage.clock.advance(2 * HOUR)
        await stage.work()
        assert stage.simulator.gate.error_blocks == 0


@pytest.mark.parametrize("endpoint", [STATUSES, DELETED, "system/Divisions", "sync/Cashflow/PaymentTerms"])
async def test_nor_with_what_it_reads(tmp_path: Path, endpoint: str) -> None:
    async with rehearsal(tmp_path) as stage:
        await known_customer(stage)
        stage.simulator.traffic.faults.append(Fault("status", "GET", endpoint, 10_000, 403))
        stage.exact.kills = endpoint
        await forget_when_it_was_read(stage)
        before = asked(stage, f"GET {endpoint}")
        await restarts(stage, DEATHS)
        assert asked(stage, f"GET {endpoint}") - before == STOP_AT
        assert stage.simulator.gate.error_blocks == 0
        # What is closed there holds up nothing that was read before.
        await stage.plan(sale("INV-1", "FIRST"))
        await stage.work()
        assert stage.bookings(sale("INV-1", "FIRST")) == 1


async def test_a_missing_right_is_asked_for_no_more_often_when_the_writer_is_restarted(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as stage:
        stage.simulator.traffic.faults.append(Fault("status", "GET", DELETED, 10_000, 403))
        await known_customer(stage)
        await restarts(stage, DEATHS)
        assert asked(stage, f"GET {DELETED}") == 1
        await stage.plan(sale("INV-1", "FIRST"))
        await stage.work()
        stage.clock.advance(6 * HOUR)
        await restarts(stage, 1)
        assert asked(stage, f"GET {DELETED}") == 2, "tomorrow somebody may have given it"


async def test_an_error_that_was_none_is_forgiven_once_exact_shows_the_booking(tmp_path: Path) -> None:
    """Else processes that die for another reason would close the endpoint for an hour."""
    async with rehearsal(tmp_path) as stage:
        await known_customer(stage)
        invoices = [sale(f"INV-{number}", "FIRST") for number in range(2 * STOP_AT)]
        for invoice in invoices:
            await stage.plan(invoice)
            stage.exact.planned.append(("dies_after", "POST", SALES))
            await stage.work()
        assert stage.deaths == len(invoices)
        assert {stage.bookings(invoice) for invoice in invoices} == {1}
        async with stage.database.reading() as connection:
            assert (await connection.execute(sa.select(counted_errors))).all() == []


async def test_writes_that_fail_in_a_row_are_known_after_a_restart_and_refuse_no_document(tmp_path: Path) -> None:
    """Exact's maintenance is no fault of a document's: five tries count against it only where others succeed."""
    async with rehearsal(tmp_path) as stage:
        await known_customer(stage)
        stage.exact.failing = SALES.encode()
        await stage.plan(*(sale(f"INV-{number}", "FIRST") for number in range(3)))
        await restarts(stage, 20, 300.0, 12)
        tries = stage.exact.failed
        assert MOST_ATTEMPTS < tries <= 40, "one try now and then"
        assert all(each.state != "refused" for each in await stage.open_commands())
        assert len(await stage.open_commands()) == 3
        stage.exact.failing = b""
        stage.clock.advance(HOUR)
        await stage.work()
        assert {stage.bookings(sale(f"INV-{number}", "FIRST")) for number in range(3)} == {1}


async def test_a_loop_of_restarts_does_not_use_up_the_token_calls_of_a_day(tmp_path: Path) -> None:
    """The process dies of every answer of the token endpoint, which fails besides."""
    async with rehearsal(tmp_path) as stage:
        await known_customer(stage)
        stage.clock.advance(700.0)
        stage.simulator.traffic.faults.append(Fault("status", "POST", TOKEN, 10_000, 503))
        stage.exact.kills = TOKEN
        await stage.plan(sale("INV-1", "FIRST"))
        began = stage.clock.now().timestamp()
        await restarts(stage, 60, 10.0)
        longest = (stage.clock.now().timestamp() - began) / LONGEST_RETRY_SECONDS
        assert 3 <= stage.deaths <= longest + 6, "ever more rarely, as without restarts"
        stage.simulator.traffic.faults.clear()
        stage.exact.kills = ""
        stage.clock.advance(LONGEST_RETRY_SECONDS)
        await stage.work()
        assert stage.bookings(sale("INV-1", "FIRST")) == 1


async def forget_when_it_was_read(stage: Rehearsal) -> None:
    """Let all that is read at intervals be due."""
    async with stage.database.transaction() as connection:
        await connection.execute(sa.update(mirror_state).values(read_at=1.0))
