"""What becomes of a decision about a bank line afterwards: taken back, deleted in Chargebee, deleted in Exact."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.facts import observed
from support.matcher_stage import Stage, bank_line, matcher_stage, matching

from contracts import facts
from payment_matcher import decisions
from payment_matcher.decisions import DecidedAlreadyError
from simulators.chargebee.payments import delete_offline_transaction


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with matcher_stage(request.param, tmp_path, configuration=matching()) as made:
        yield made


async def test_a_decision_can_be_taken_back_as_long_as_nothing_is_recorded(stage: Stage) -> None:
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(12_100))
    line = await stage.line()
    await stage.accept(line, invoice)
    with pytest.raises(DecidedAlreadyError):
        await stage.accept(line, invoice)
    async with stage.database.transaction() as connection:
        (accepted,) = await stage.lines()
        assert accepted.state == "accepted"
        await decisions.undo(connection, accepted, by="a person", now=stage.clock.now())
    await stage.work()
    assert (stage.transactions(), (await stage.line()).state) == ([], "open")
    await stage.accept(await stage.line(), invoice)
    await stage.work()
    assert [payment["amount"] for payment in stage.transactions()] == [12_100]


async def test_a_payment_deleted_in_chargebee_brings_its_line_back(stage: Stage) -> None:
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(12_100))
    await stage.accept(await stage.line(), invoice)
    await stage.work()
    (payment,) = stage.transactions()
    gone = delete_offline_transaction(stage.chargebee.app.site, payment["id"])
    await stage.see(observed(facts.TransactionObserved, {"id": gone["id"], "type": "payment"}, version=9, deleted=True))
    await stage.show_invoice(invoice)
    line = await stage.line()
    assert (line.state, line.left_minor) == ("open", 12_100)
    await stage.accept(line, invoice)
    await stage.work()
    assert [each["deleted"] for each in stage.transactions()] == [True, False]
    assert invoice["status"] == "paid"


async def test_a_line_deleted_in_exact_is_gone_and_one_booked_elsewhere_too(stage: Stage) -> None:
    await stage.see(bank_line(12_100))
    await stage.see(bank_line(0, part_id="", is_gone=True, timestamp=5))
    assert (await stage.line()).state == "gone"
    await stage.see(bank_line(12_100, timestamp=6))
    assert (await stage.line()).state == "open"


async def test_a_line_deleted_after_it_was_recorded_asks_for_a_person_until_its_payment_is_taken_back(stage: Stage) -> None:
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(12_100))
    await stage.accept(await stage.line(), invoice)
    await stage.work()
    await stage.see(bank_line(0, part_id="", is_gone=True, timestamp=5))
    line = await stage.line()
    assert (line.state, line.reason, line.left_hundredths) == ("open", "over_recorded", -12_100)
    (payment,) = stage.transactions()
    gone = delete_offline_transaction(stage.chargebee.app.site, payment["id"])
    await stage.see(observed(facts.TransactionObserved, {"id": gone["id"], "type": "payment"}, version=9, deleted=True))
    assert (await stage.line()).state == "gone"
