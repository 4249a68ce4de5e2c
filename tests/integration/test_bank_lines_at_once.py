"""Two who change one bank line at the same moment: neither overlooks the other, and neither waits for the other for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.facts import observed
from support.matcher_stage import Stage, bank_line, matcher_stage, matching

from contracts import facts
from payment_matcher import decisions, lines
from payment_matcher.decisions import DecidedAlreadyError
from simulators.chargebee.payments import Money, pay_invoice


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with matcher_stage(request.param, tmp_path, configuration=matching()) as made:
        yield made


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Stage]:
    """A database that several processes use; SQLite lets only one of them write at a time."""
    async with matcher_stage("postgresql", tmp_path, configuration=matching()) as made:
        yield made


async def waiting(stage: Stage, count: int) -> None:
    """Return once so many transactions wait for a lock."""
    query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
    async with asyncio.timeout(60):
        while True:
            async with stage.database.reading() as connection:
                if int(await connection.scalar(query) or 0) >= count:
                    return
            await asyncio.sleep(0.02)


async def test_two_processes_that_close_the_two_payments_of_a_line_at_once_leave_it_recorded(shared: Stage) -> None:
    first, second = bill(shared.chargebee.app), bill(shared.chargebee.app)
    for each in (first, second):
        await shared.show_invoice(each)
    await shared.see(bank_line(24_200))
    line = await shared.line()
    await shared.accept(line, first, second)
    other, _ = shared.another_recorder(ahead_seconds=1, configuration=shared.configuration)
    async with shared.database.transaction() as held:
        await lines.lock(held, line.division, line.line_id)
        steps = [asyncio.create_task(shared.recorder.step())]
        await waiting(shared, 1)
        steps.append(asyncio.create_task(other.step()))
        await waiting(shared, 2)
    await asyncio.gather(*steps)
    line = await shared.line()
    assert (line.state, line.pending, line.left_hundredths) == ("recorded", 0, 0)
    assert [payment["amount"] for payment in shared.transactions()] == [12_100, 12_100]


@pytest.mark.parametrize("event", ["deleted in Exact", "payment deleted in Chargebee"])
async def test_what_happens_to_a_line_while_its_last_payment_is_closed_brings_it_back_to_the_inbox(
    shared: Stage, event: str
) -> None:
    first, second = bill(shared.chargebee.app), bill(shared.chargebee.app)
    for each in (first, second):
        await shared.show_invoice(each)
    await shared.see(bank_line(24_200))
    line = await shared.line()
    await shared.accept(line, first, second)
    await shared.recorder.step()
    (payment,) = shared.transactions()
    deleted = observed(facts.TransactionObserved, {"id": payment["id"], "type": "payment"}, version=9, deleted=True)
    gone = bank_line(0, part_id="", is_gone=True, timestamp=5)
    shared.clock.advance(1)
    async with shared.database.transaction() as held:
        await lines.lock(held, line.division, line.line_id)
        step = asyncio.create_task(shared.recorder.step())
        await waiting(shared, 1)
        told = asyncio.create_task(shared.see(gone if event == "deleted in Exact" else deleted))
        await waiting(shared, 2)
    await asyncio.gather(step, told)
    line = await shared.line()
    assert (line.state, line.pending) == ("open", 0)
    assert line.left_hundredths == (-24_200 if event == "deleted in Exact" else 12_100)


async def test_taking_a_decision_back_while_its_payment_is_refused_waits_its_turn(shared: Stage) -> None:
    invoice = bill(shared.chargebee.app)
    await shared.show_invoice(invoice)
    await shared.see(bank_line(12_100))
    await shared.accept(await shared.line(), invoice)
    pay_invoice(shared.chargebee.app.site, invoice["id"], Money("card", gateway="stripe"))
    (accepted,) = await shared.lines()

    async def take_back() -> None:
        async with shared.database.transaction() as connection:
            await decisions.undo(connection, accepted, by="a person", now=shared.clock.now())

    async with shared.database.transaction() as held:
        await lines.lock(held, accepted.division, accepted.line_id)
        undone = asyncio.create_task(take_back())
        await waiting(shared, 1)
        step = asyncio.create_task(shared.recorder.step())
        await waiting(shared, 2)
    await asyncio.gather(undone, step)
    line = await shared.line()
    assert (line.state, line.pending, await shared.told(facts.PaymentNotRecorded)) == ("open", 0, [])


@pytest.mark.parametrize("decision", ["record", "dismiss"])
async def test_a_line_that_exact_corrected_after_it_was_shown_is_not_decided_by_its_old_amount(
    stage: Stage, decision: str
) -> None:
    invoice = bill(stage.chargebee.app, 20_000)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(24_200))
    shown = await stage.line()
    await stage.see(bank_line(12_100, timestamp=2))

    async def dismiss() -> None:
        async with stage.database.transaction() as connection:
            await decisions.dismiss(connection, shown, why="?", by="a person", now=stage.clock.now())

    with pytest.raises(DecidedAlreadyError):
        await (stage.accept(shown, invoice) if decision == "record" else dismiss())
    await stage.work()
    line = await stage.line()
    assert (line.state, line.left_minor, stage.transactions()) == ("open", 12_100, [])
