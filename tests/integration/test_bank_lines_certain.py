"""What is recorded without asking where the controller switched it on: once, and never against what changed or was taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.facts import observed
from support.matcher_stage import Stage, bank_line, matcher_stage, matching

from contracts import facts
from payment_matcher import decisions
from simulators.chargebee.payments import delete_offline_transaction


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with matcher_stage(request.param, tmp_path, configuration=matching(record_certain=True)) as made:
        yield made


async def test_an_invoice_deleted_while_its_line_is_judged_leaves_the_line_to_the_next_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(12_100, f"factuur {invoice['id']}"))
    in_thread = asyncio.to_thread

    async def slow(judge: Callable[[], Any]) -> Any:
        judged = await in_thread(judge)
        version = int(invoice["resource_version"]) + 1
        await stage.see(observed(facts.InvoiceObserved, {**invoice, "deleted": True}, version=version, deleted=True))
        return judged

    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "to_thread", slow)
        assert await stage.proposer.step() == 0
    line = await stage.line()
    assert (line.state, line.reason, line.proposals) == ("open", "nothing_open", ())


async def test_what_a_person_took_back_is_not_decided_again_without_asking(stage: Stage) -> None:
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(12_100, f"factuur {invoice['id']}"))
    assert await stage.proposer.step() == 1
    (accepted,) = await stage.lines()
    async with stage.database.transaction() as connection:
        await decisions.undo(connection, accepted, by="a person", now=stage.clock.now())
    line = await stage.line()
    assert (line.state, line.reason, line.is_certain) == ("open", "decided_before", False)
    assert line.proposals[0].numbers == (invoice["id"],)
    await stage.work()
    assert stage.transactions() == []


async def test_a_payment_deleted_in_chargebee_is_not_recorded_again_without_asking(stage: Stage) -> None:
    """`undo` tells a person to delete it there, who does not want it back within seconds."""
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(12_100, f"factuur {invoice['id']}"))
    assert await stage.proposer.step() == 1
    await stage.work()
    (payment,) = stage.transactions()
    gone = delete_offline_transaction(stage.chargebee.app.site, payment["id"])
    await stage.see(observed(facts.TransactionObserved, {"id": gone["id"], "type": "payment"}, version=9, deleted=True))
    await stage.show_invoice(invoice)
    assert await stage.proposer.step() == 0
    # Nor does another line for the invoice become certain beside it.
    await stage.see(bank_line(12_100, f"factuur {invoice['id']}", line_id="22222222-aaaa"))
    assert await stage.proposer.step() == 0
    await stage.work()
    assert [each["deleted"] for each in stage.transactions()] == [True]
