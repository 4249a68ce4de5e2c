"""Exact blocks an app after ten errors on an endpoint within an hour: the writer stops before, over restarts too."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.exact_server import DIVISION
from support.virtual_writer import VirtualWriter, virtual_writer
from support.writer_stage import said, sale, save_account

from contracts import facts
from contracts.commands import EntryLine
from exact_writer.error_limit import STOP_AT

HOUR, STEP = 3_600.0, 300.0
STEPS_AN_HOUR = 12
SALES = "salesentry/SalesEntries"
INVOICES = 30


async def asked(stage: VirtualWriter) -> int:
    """How many calls went to the endpoint."""
    return int((await stage.server.calls())["by_endpoint"].get(f"POST {SALES}", 0))


async def counts(stage: VirtualWriter, hours: int, *, restarts: bool) -> list[int]:
    """The number of calls to the endpoint after every five minutes, from now on."""
    found = [await asked(stage)]
    for _ in range(hours * STEPS_AN_HOUR):
        if restarts:
            await stage.restart()
        await stage.run(stage.clock.seconds() + STEP)
        found.append(await asked(stage))
    return found


def most_in_an_hour(found: list[int]) -> int:
    """The most calls that any hour had."""
    return max(later - earlier for earlier, later in zip(found, found[STEPS_AN_HOUR:], strict=False))


@pytest.mark.parametrize("restarts", [False, True], ids=["one_process", "restarts"])
@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_an_endpoint_that_answers_with_errors_gets_no_more_than_eight_calls_an_hour(
    tmp_path: Path, status: int, *, restarts: bool
) -> None:
    async with virtual_writer(tmp_path, poll_seconds=HOUR) as stage:
        await stage.plan(save_account())
        await stage.run(stage.clock.seconds() + HOUR, while_waiting=True)
        await stage.server.fault("status", method="POST", path_contains=SALES, status=status, times=10_000)
        await stage.plan(*(sale(f"INV-{number}") for number in range(INVOICES)))
        found = await counts(stage, 3, restarts=restarts)
        if status == 401 and not restarts:
            # A token that is not accepted is replaced first, which Exact allows every ten minutes.
            assert 1 < most_in_an_hour(found) <= STOP_AT
        else:
            assert most_in_an_hour(found) == STOP_AT, found
        told = await said(stage.database, facts.ConnectionChanged)
        if status != 401:
            assert any(fact.state == "blocked" and SALES in fact.reason for fact in told)
        stage.server.simulator.traffic.faults.clear()
        await stage.run(stage.clock.seconds() + 2 * HOUR)
        refused = await said(stage.database, facts.EntryRefused)
        assert len(refused) == (found[-1] if status == 400 else 0)
        assert len(await stage.server.booked()) == INVOICES - len(refused), "when the hour is over it goes on"


FINAL = "salesinvoice/PrintedSalesInvoices"


async def test_invoices_that_cannot_be_made_final_wait_with_their_pdfs_and_others_go_on(tmp_path: Path) -> None:
    """In mode document the second call has an endpoint of its own, whose errors Exact counts apart."""
    async with virtual_writer(tmp_path, poll_seconds=HOUR) as stage:
        await stage.plan(save_account(), save_account("OTHER"))
        await stage.run(stage.clock.seconds() + HOUR, while_waiting=True)
        await stage.server.fault("status", method="POST", path_contains=FINAL, status=403, times=10_000)
        line = EntryLine(gl_account="8000", amount_minor=10_000, vat_code="2", vat_amount_minor=2_100, item_code="I-1")
        invoices = [sale(f"INV-{number}", lines=(line,), mode="document", pdf=True) for number in range(3)]
        await stage.plan(*invoices)
        found = [0]
        for _ in range(3 * STEPS_AN_HOUR):
            await stage.run(stage.clock.seconds() + STEP)
            found.append(int((await stage.server.calls())["by_endpoint"].get(f"POST {FINAL}", 0)))
        assert most_in_an_hour(found) == STOP_AT
        invoices.append(sale("INV-3", "OTHER", lines=(line,), mode="document", pdf=True))
        await stage.plan(sale("OTHER-1", "OTHER"), invoices[-1])
        await stage.run(stage.clock.seconds() + STEP)
        drafts = [row["YourRef"] for row in stage.server.simulator.world.divisions[DIVISION].table("salesinvoice/SalesInvoices")]
        assert "INV-3" not in drafts, "no draft is made that cannot become final"
        assert [fact.document.number for fact in await said(stage.database, facts.EntryPosted)] == ["OTHER-1"]
        told = await said(stage.database, facts.ConnectionChanged)
        assert any(fact.state == "blocked" and FINAL in fact.reason for fact in told)
        assert await said(stage.database, facts.PdfAttached) == []
        stage.server.simulator.traffic.faults.clear()
        await stage.run(stage.clock.seconds() + 3 * HOUR, while_waiting=True)
        assert sorted(await stage.server.booked()) == ["INV-0", "INV-1", "INV-2", "INV-3", "OTHER-1"]
        assert len(await said(stage.database, facts.PdfAttached)) == len(invoices)
        assert (await stage.server.calls())["error_blocks"] == 0
