"""What is written off of an invoice that a bank line falls short of: the missing cents, and a loud word at anything else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.facts import SITE
from support.matcher_stage import Stage, bank_line, matcher_stage, matching

from contracts import facts
from contracts.bank_lines import ShortageWrittenOff
from payment_matcher.chargebee_api import ChargebeeApi, UnavailableError
from simulators.chargebee.payments import Money, pay_invoice, remove_payment


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with matcher_stage(request.param, tmp_path, configuration=matching(tolerances={"EUR": 2})) as made:
        yield made


class Colleague(ChargebeeApi):
    """Somebody takes the payment off the invoice between the look at it and the write-off; the answer may be lost, too."""

    def __init__(self, stage: Stage, *, is_lost: bool) -> None:
        super().__init__(api_key="test_key", base_url=stage.chargebee.url)
        self._stage, self._is_lost = stage, is_lost

    async def write_off(self, site: str, number: str, *, reference: str, comment: str) -> int:
        (payment,) = self._stage.transactions()
        if payment["linked_invoices"]:
            remove_payment(self._stage.chargebee.app.site, number, payment["id"])
        written_minor = await super().write_off(site, number, reference=reference, comment=comment)
        if self._is_lost:
            raise UnavailableError("lost", "the answer was lost")
        return written_minor


async def short_of_a_cent(stage: Stage) -> dict[str, Any]:
    """A line of 120.99 for an invoice of 121.00 whose payment stands in Chargebee; the cent is still to be written off."""
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(12_099, f"factuur {invoice['id']}"))
    await stage.accept(await stage.line(), invoice)
    await stage.recorder.step()
    assert (invoice["amount_due"], await stage.open_intents()) == (1, 1)
    return invoice


@pytest.mark.parametrize("is_lost", [False, True], ids=["answered", "answer lost"])
async def test_a_write_off_of_more_than_was_missing_is_told_loudly(stage: Stage, *, is_lost: bool) -> None:
    invoice = await short_of_a_cent(stage)
    recorder, clock = stage.another_recorder(
        ahead_seconds=1, api=Colleague(stage, is_lost=is_lost), configuration=stage.configuration
    )
    while await stage.open_intents():
        await recorder.step()
        clock.advance(1)
    assert invoice["write_off_amount"] == 12_100
    (told,) = await stage.told(ShortageWrittenOff)
    assert (told.amount_minor, told.code) == (12_100, "write_off_differs")
    assert told.sentence == (
        f"Chargebee wrote EUR 121.00 off on invoice {invoice['id']} instead of the EUR 0.01 that the receipt fell short, "
        "since that was due at that moment."
    )
    assert "in plaats van de EUR 0.01" in told.sentence_nl
    assert (await stage.line()).why == told.sentence


async def test_an_invoice_that_somebody_paid_after_a_lost_call_is_not_taken_for_written_off(stage: Stage) -> None:
    invoice = await short_of_a_cent(stage)
    await stage.fault(fault="drop_before", method="POST", path_contains="/write_off")
    stage.clock.advance(1)
    await stage.recorder.step()
    pay_invoice(stage.chargebee.app.site, invoice["id"], Money("card", gateway="stripe"))
    await stage.work()
    assert (invoice["status"], invoice["write_off_amount"]) == ("paid", 0)
    assert await stage.told(ShortageWrittenOff) == []
    (refused,) = await stage.told(facts.PaymentNotRecorded)
    assert (refused.code, (await stage.line()).why) == ("shortage_changed", refused.sentence)


async def test_chargebee_says_how_much_it_wrote_off(stage: Stage) -> None:
    api = ChargebeeApi(api_key="test_key", base_url=stage.chargebee.url)
    invoice = bill(stage.chargebee.app)
    assert await api.write_off(SITE, invoice["id"], reference="KP-1", comment="a cent") == 12_100
    assert (await api.invoice(SITE, invoice["id"])).written_off_minor == 12_100
