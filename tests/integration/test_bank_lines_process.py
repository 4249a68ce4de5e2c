"""The payment-matcher as a process with bank lines: killed anywhere, what was decided is recorded once, on both engines."""

from __future__ import annotations

import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.chargebee_shop import bill, stock
from support.chargebee_sim import RunningChargebee, running_chargebee
from support.child import child
from support.engines import AMQP_URL, settings_for
from support.facts import SITE, envelope, observed
from support.kill_engines import each_on_an_engine
from support.lines import eventually
from support.matcher_stage import DIVISION, bank_line, matching, receivable

from backbone.broker import Broker, Outgoing
from backbone.broker_embedded import EmbeddedBroker
from backbone.broker_rabbitmq import RabbitBroker, remove_prefixed
from backbone.clock import SystemClock
from backbone.database import Database
from backbone.settings import Settings
from contracts import facts
from contracts.envelope import Message, encode
from contracts.topology import FACTS_EXCHANGE, fact_routing_key, topology
from payment_matcher import decisions, lines, open_invoices
from payment_matcher.decisions import Recording
from payment_matcher.lines import Line
from payment_matcher.shares import share_out
from simulators.chargebee.settings import ChargebeeSettings

pytestmark = pytest.mark.slow
SERVICE = "payment-matcher"
BY_ITSELF = [f"{SERVICE}.{place}" for place in ("judged", "decided", "prepared", "called", "closed")]
BY_A_PERSON = [f"{SERVICE}.{place}" for place in ("excess_called", "written_off", "closed:2")]


class Service:
    """A matcher that can be started and killed, its database, and the Chargebee that it records in."""

    def __init__(
        self, directory: Path, settings: Settings, broker: Broker, chargebee: RunningChargebee, variables: dict[str, str]
    ) -> None:
        self.directory, self.chargebee, self._broker = directory, chargebee, broker
        self.database = Database.open(settings, SERVICE)
        self._variables = variables

    async def hear(self, *messages: Message) -> None:
        """Put facts where the matcher hears them."""
        sealed = [envelope(message) for message in messages]
        outgoing = [Outgoing(fact_routing_key(one.type, one.key), encode(one), one.id) for one in sealed]
        await self._broker.publish(FACTS_EXCHANGE, outgoing)

    async def lines(self) -> list[Line]:
        async with self.database.reading() as connection:
            return await lines.load(connection)

    async def live(self, state: str, reason: str | None = None) -> None:
        """Let the matcher live until its bank line is in a state, and nothing is left to do."""

        async def is_there() -> bool:
            found = await self.lines()
            return bool(found) and all(line.state == state and reason in (None, line.reason) for line in found)

        async with child("-m", "payment_matcher", directory=self.directory, settings=self._variables) as running:
            assert (await running.get("/live")).status_code == 200
            await eventually(is_there)
            running.terminate()
            assert await running.ended() == 0, running.said

    async def die(self, place: str) -> None:
        """Let the matcher live until it dies at a place."""
        settings = {**self._variables, "KRUISPOST_CRASH_AT": place}
        async with child("-m", "payment_matcher", directory=self.directory, settings=settings) as dying:
            assert await dying.ended(90) == -signal.SIGKILL, dying.said

    async def accept(self, *numbers: str) -> None:
        """A person says what the line pays."""
        (line,) = await self.lines()
        async with self.database.transaction() as connection:
            dues = await open_invoices.dues(connection, numbers, None)
            parts, excess = share_out(line.left_minor or 0, [dues[number][0] for number in numbers], 2)
            recording = Recording(parts=parts, excess_minor=excess, site=SITE, customer_id="cust-1")
            await decisions.record(self.database, connection, line, recording, by="a person", now=SystemClock().now())

    def payments(self) -> list[int]:
        return sorted(payment["amount"] for payment in self.chargebee.app.site.all("transaction"))


@asynccontextmanager
async def service(dialect: str, directory: Path, **matching_settings: Any) -> AsyncIterator[Service]:
    """Give a matcher on SQLite in one process, or on PostgreSQL and RabbitMQ."""
    configuration = matching(**matching_settings).model_dump(mode="json", exclude_none=True, exclude_unset=True)
    (directory / "kruispost.yaml").write_text(yaml.safe_dump(configuration))
    prefix, declared = f"kp_test_{secrets.token_hex(6)}.", topology([DIVISION])
    # Chargebee forgets the idempotency key at once, so that only the matcher's own care prevents a second payment.
    site = ChargebeeSettings(idempotency_seconds=0)
    async with running_chargebee(site) as chargebee, settings_for(dialect, directory / "data") as settings:
        variables = {"KRUISPOST_CHARGEBEE_URL": chargebee.url, "KRUISPOST_CHARGEBEE_API_KEY": "test_key"}
        if settings.database_url is None:
            broker: Broker = EmbeddedBroker(settings.data_dir / "broker.sqlite")
        else:
            variables |= {"KRUISPOST_DATABASE_URL": settings.database_url}
            variables |= {"KRUISPOST_AMQP_URL": AMQP_URL, "KRUISPOST_AMQP_PREFIX": prefix}
            broker = RabbitBroker(AMQP_URL, prefix=prefix)
        await broker.declare(declared)
        made = Service(directory, settings, broker, chargebee, variables)
        stock(chargebee.app)
        try:
            yield made
        finally:
            await made.database.close()
            await broker.close()
            if settings.database_url is not None:
                await remove_prefixed(AMQP_URL, prefix, declared)


def known(invoice: dict[str, Any]) -> list[Message]:
    """Say that an invoice is due in Chargebee and open in Exact."""
    is_open: dict[str, Any] = {"is_fully_paid": False, "status": 20, "last_payment_date": None, "account_id": "account-1"}
    return [
        observed(facts.InvoiceObserved, dict(invoice), version=int(invoice["resource_version"])),
        receivable(invoice["id"], invoice["total"], **is_open),
    ]


@pytest.mark.parametrize(("dialect", "place"), each_on_an_engine((place,) for place in BY_ITSELF))
async def test_what_is_certain_is_recorded_once_wherever_the_matcher_is_killed(dialect: str, place: str, tmp_path: Path) -> None:
    async with service(dialect, tmp_path, record_certain=True) as made:
        invoice = bill(made.chargebee.app)
        await made.hear(*known(invoice), bank_line(12_100, f"factuur {invoice['id']}"))
        await made.die(place)
        await made.live("recorded")
        assert (made.payments(), invoice["status"]) == ([12_100], "paid")


@pytest.mark.parametrize(("dialect", "place"), each_on_an_engine((place,) for place in BY_A_PERSON))
async def test_what_a_person_decided_is_recorded_once_wherever_the_matcher_is_killed(
    dialect: str, place: str, tmp_path: Path
) -> None:
    async with service(dialect, tmp_path, tolerances={"EUR": 2}) as made:
        invoice = bill(made.chargebee.app)
        received = 12_099 if place.endswith("written_off") else 13_000
        await made.hear(*known(invoice), bank_line(received, f"factuur {invoice['id']}"))
        await made.live("open", "to_judge")
        await made.accept(invoice["id"])
        await made.die(place)
        await made.live("recorded")
        assert sum(made.payments()) == received
        assert (invoice["status"], invoice["write_off_amount"]) == ("paid", 12_100 - min(received, 12_100))
