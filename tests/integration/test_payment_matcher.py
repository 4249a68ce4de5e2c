"""The payment-matcher on both databases against the Chargebee stand-in: a receipt seen in Exact becomes one payment."""

import asyncio
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.chargebee_shop import bill, stock
from support.chargebee_sim import RunningChargebee, running_chargebee
from support.engines import DATABASES, broker_for, database_for
from support.facts import SITE, envelope

from backbone import event_log
from backbone.clock import SystemClock
from backbone.configuration import Configuration
from backbone.relay import Relay
from backbone.telemetry import Telemetry
from contracts import facts
from contracts.messages import unseal
from contracts.topology import topology
from payment_matcher.chargebee_api import ChargebeeApi
from payment_matcher.receipts import Receipts
from payment_matcher.recording import Recorder
from simulators.chargebee.settings import ChargebeeSettings

CONFIGURATION = Configuration.model_validate({"version": 1, "sites": {SITE: {"time_zone": "Europe/Amsterdam"}}, "divisions": {}})
ENDS = (facts.PaymentRecorded, facts.PaymentNotRecorded)


class Stage:
    """A matcher between what Exact shows and a Chargebee site."""

    def __init__(self, database: Any, broker: Any, chargebee: RunningChargebee) -> None:
        self.database, self.chargebee = database, chargebee
        relay = Relay(database, broker, SystemClock())
        api = ChargebeeApi(api_key="test_key", base_url=chargebee.url)
        self.recorder = Recorder(
            database=database, configuration=CONFIGURATION, clock=SystemClock(), api=api, relay=relay, telemetry=Telemetry()
        )
        self.receipts = Receipts(database, CONFIGURATION, SystemClock())

    async def see(self, number: str, amount_minor: int, *, term: str = "t1", fully_paid: bool = True) -> None:
        """Exact shows a receivable."""
        document = facts.DocumentRef(
            site=SITE, kind="invoice", number=number, customer_id="cust-1", currency="EUR", total_minor=amount_minor
        )
        fact = facts.ReceivableObserved(
            division=100001,
            term_id=term,
            timestamp=1,
            entry_id="e",
            your_ref=number,
            currency="EUR",
            amount_minor=amount_minor,
            is_fully_paid=fully_paid,
            status=50 if fully_paid else 20,
            last_payment_date=date(2026, 9, 25) if fully_paid else None,
            document=document,
        )
        async with self.database.transaction() as connection:
            await self.receipts.handle(connection, envelope(fact), fact)

    async def work(self, ends: int = 1, seconds: float = 40) -> list[Any]:
        """Let the recorder work until so many intents have ended, and return how."""
        stop = asyncio.Event()
        working = asyncio.create_task(self.recorder.run(stop))
        try:
            async with asyncio.timeout(seconds):
                while len(found := await self.said()) < ends:  # noqa: ASYNC110 - the log has no event to wait for
                    await asyncio.sleep(0.05)
        finally:
            stop.set()
            await working
        return found

    async def said(self) -> list[Any]:
        async with self.database.reading() as connection:
            rows = await event_log.read_after(connection, event_log.START, 1000)
        return [message for row in rows if isinstance(message := unseal(row.envelope), ENDS)]

    def payments(self, number: str) -> list[Any]:
        """What Chargebee has applied to an invoice."""
        return [
            link for link in self.chargebee.app.site.get("invoice", number)["linked_payments"] if link["txn_status"] == "success"
        ]

    async def fault(self, **how: Any) -> None:
        async with httpx.AsyncClient(base_url=self.chargebee.url) as client:
            (await client.post("/_simulator/faults", json=how)).raise_for_status()


@asynccontextmanager
async def matcher(dialect: str, directory: Path):
    async with (
        running_chargebee(ChargebeeSettings(started_at=1_790_000_000)) as chargebee,
        database_for(dialect, directory, "payment-matcher") as database,
        broker_for("embedded", directory, topology([])) as broker,
    ):
        stock(chargebee.app)
        yield Stage(database, broker, chargebee)


@pytest.fixture(params=DATABASES)
async def stage(request, tmp_path: Path):
    async with matcher(request.param, tmp_path) as made:
        yield made


async def test_a_receipt_is_recorded_once_however_often_it_is_seen(stage):
    invoice = bill(stage.chargebee.app)
    for _ in range(3):
        await stage.see(invoice["id"], invoice["total"])
    [recorded] = await stage.work()
    assert (recorded.amount_minor, recorded.payment_date, recorded.found) == (12_100, date(2026, 9, 25), False)
    assert recorded.reference.startswith("KP-")
    await stage.see(invoice["id"], invoice["total"])
    assert len(stage.payments(invoice["id"])) == 1
    assert stage.chargebee.app.site.get("invoice", invoice["id"])["status"] == "paid"


async def test_a_lost_answer_is_looked_up_and_not_recorded_again(stage):
    invoice = bill(stage.chargebee.app)
    await stage.fault(fault="lose_answer", method="POST", path_contains="record_payment", times=1)
    await stage.see(invoice["id"], invoice["total"])
    [recorded] = await stage.work()
    assert recorded.found
    assert len(stage.payments(invoice["id"])) == 1


async def test_a_partial_receipt_is_left_alone(stage):
    invoice = bill(stage.chargebee.app)
    await stage.see(invoice["id"], invoice["total"], fully_paid=False)
    await stage.see("UNKNOWN", 100, term="t2")
    [ended] = await stage.work()
    assert (ended.document.number, ended.code) == ("UNKNOWN", "not_found")
    assert stage.payments(invoice["id"]) == []


async def test_what_chargebee_already_has_as_paid_is_not_paid_again(stage):
    invoice = bill(stage.chargebee.app)
    async with httpx.AsyncClient(base_url=stage.chargebee.url, auth=("test_key", "")) as client:
        form = {"transaction[payment_method]": "cash", "transaction[date]": "1790000000"}
        (await client.post(f"/api/v2/invoices/{invoice['id']}/record_payment", data=form)).raise_for_status()
    await stage.see(invoice["id"], invoice["total"])
    [ended] = await stage.work()
    assert ended.code == "already_paid"
    assert len(stage.payments(invoice["id"])) == 1


@pytest.mark.parametrize("how", [{"fault": "status", "status": 503}, {"fault": "html_502"}])
async def test_an_away_chargebee_is_waited_out(stage, how):
    invoice = bill(stage.chargebee.app)
    await stage.fault(**how, method="GET", path_contains="invoices", times=1)
    await stage.see(invoice["id"], invoice["total"])
    [recorded] = await stage.work()
    assert isinstance(recorded, facts.PaymentRecorded)
    assert len(stage.payments(invoice["id"])) == 1
