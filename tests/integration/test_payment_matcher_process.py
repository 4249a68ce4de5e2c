"""The payment-matcher as a process: it dies anywhere around the call to Chargebee, and a receipt still becomes one payment."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.chargebee_shop import bill, stock
from support.chargebee_sim import running_chargebee
from support.child import child
from support.engines import DATABASES, settings_for
from support.facts import envelope, observed
from support.kill_engines import each_on_an_engine
from support.lines import eventually
from support.matcher_stage import DIVISION, PAID_ON, outcomes, receivable

from backbone.broker import Outgoing
from backbone.broker_embedded import EmbeddedBroker
from backbone.database import Database
from backbone.settings import Settings
from contracts import facts
from contracts.envelope import Envelope, encode
from contracts.topology import CONSOLE_QUEUE, FACTS_EXCHANGE, MATCHER_QUEUE, fact_routing_key, topology
from simulators.chargebee.settings import ChargebeeSettings

pytestmark = pytest.mark.slow
SERVICE = "payment-matcher"
AROUND_THE_CALL = [f"{SERVICE}.prepared", f"{SERVICE}.called", f"{SERVICE}.closed"]
AROUND_THE_MESSAGE = [f"{SERVICE}.before_commit", f"{SERVICE}.committed", "broker.handled", "relay.published"]


async def publish(settings: Settings, envelopes: Sequence[Envelope]) -> None:
    """Put facts where the matcher hears them, while it does not run."""
    broker = EmbeddedBroker(settings.data_dir / "broker.sqlite")
    await broker.declare(topology([DIVISION]))
    messages = [
        Outgoing(routing_key=fact_routing_key(one.type, one.key), body=encode(one), message_id=one.id) for one in envelopes
    ]
    await broker.publish(FACTS_EXCHANGE, messages)
    await broker.close()


async def depth(settings: Settings, queue: str) -> int:
    """Count what waits in a queue, while the matcher does not run."""
    broker = EmbeddedBroker(settings.data_dir / "broker.sqlite")
    await broker.declare(topology([DIVISION]))
    try:
        return await broker.depth(queue)
    finally:
        await broker.close()


def environment(settings: Settings, chargebee_url: str) -> dict[str, str]:
    database = {} if settings.database_url is None else {"KRUISPOST_DATABASE_URL": settings.database_url}
    return {"KRUISPOST_CHARGEBEE_URL": chargebee_url, "KRUISPOST_CHARGEBEE_API_KEY": "test_key", **database}


async def live(directory: Path, settings: Settings, variables: Mapping[str, str], ends: int = 1) -> list[Any]:
    """Let the matcher live until it has said so many things and stop it; return all that it ever said."""
    database = Database.open(settings, SERVICE)

    async def said_enough() -> bool:
        return len(await outcomes(database)) >= ends

    try:
        async with child("-m", "payment_matcher", directory=directory, settings=variables) as running:
            assert (await running.get("/live")).status_code == 200
            await eventually(said_enough)
            running.terminate()
            assert await running.ended() == 0, running.said
        return await outcomes(database)
    finally:
        await database.close()


async def die(directory: Path, variables: Mapping[str, str], place: str) -> None:
    """Let the matcher live until it dies at a place."""
    async with child("-m", "payment_matcher", directory=directory, settings={**variables, "KRUISPOST_CRASH_AT": place}) as dying:
        assert await dying.ended(60) == -signal.SIGKILL, dying.said


@pytest.mark.parametrize(("dialect", "place"), each_on_an_engine((place,) for place in (*AROUND_THE_MESSAGE, *AROUND_THE_CALL)))
async def test_a_matcher_killed_anywhere_records_one_payment(dialect, place, tmp_path):
    # Chargebee forgets the idempotency key at once, so that only the matcher's own care prevents a second payment.
    site = ChargebeeSettings(idempotency_seconds=0)
    async with running_chargebee(site) as chargebee, settings_for(dialect, tmp_path / "data") as settings:
        invoice = bill(stock(chargebee.app))
        # Less than is due: Chargebee would take a second payment.
        receipt = envelope(receivable(invoice["id"], 5_000))
        await publish(settings, [receipt])
        variables = environment(settings, chargebee.url)
        await die(tmp_path, variables, place)
        (outcome,) = await live(tmp_path, settings, variables)
        (transaction,) = chargebee.app.site.all("transaction")
        assert (transaction["amount"], transaction["reference_number"]) == (5_000, outcome.reference)
        assert (outcome.transaction_id, outcome.payment_date) == (transaction["id"], PAID_ON)
        assert outcome.found == (place == f"{SERVICE}.called")
        assert await depth(settings, MATCHER_QUEUE) == 0
        assert await depth(settings, CONSOLE_QUEUE) >= 1


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_receipt_delivered_twice_and_the_webhooks_of_the_payment_lead_to_one_payment(dialect, tmp_path):
    async with running_chargebee() as chargebee, settings_for(dialect, tmp_path / "data") as settings:
        invoice, other = bill(stock(chargebee.app)), bill(chargebee.app)
        receipt = envelope(receivable(invoice["id"], invoice["total"]))
        await publish(settings, [receipt, receipt, envelope(receivable(invoice["id"], invoice["total"], timestamp=2))])
        variables = environment(settings, chargebee.url)
        (recorded,) = await live(tmp_path, settings, variables)
        (transaction,) = chargebee.app.site.all("transaction")
        assert recorded.reference == transaction["reference_number"]
        # The last receipt ends the second life: when it is recorded, all that came before it has been heard.
        heard = [
            envelope(observed(facts.TransactionObserved, transaction)),
            envelope(observed(facts.InvoiceObserved, invoice, invoice["resource_version"])),
            receipt,
            envelope(receivable(other["id"], other["total"], term="term-2")),
        ]
        await publish(settings, heard)
        said = await live(tmp_path, settings, variables, ends=2)
        assert [one.document.number for one in said] == [invoice["id"], other["id"]]
        assert len(chargebee.app.site.all("transaction")) == 2


async def test_a_matcher_without_an_api_key_says_what_it_needs(tmp_path):
    async with child("-m", "payment_matcher", directory=tmp_path) as refused:
        assert await refused.ended() == 2
        assert "KRUISPOST_CHARGEBEE_API_KEY" in refused.said
