"""A mapper on a database of its own, for tests: facts in, and what it said so far."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import date
from typing import Any

import msgspec
from support.facts import OCTOBER_5, SITE, envelope, observed
from support.logs import Heard

from backbone.clock import ManualClock
from backbone.configuration import Configuration
from backbone.database import Database
from backbone.errors import OnceMore
from backbone.telemetry import Telemetry
from contracts import commands, facts
from contracts.envelope import Envelope, Message
from mapper.configuration import mappings_of
from mapper.due_days import DueDays
from mapper.handle import Mapper
from mapper.plan import Planner
from mapper.subjects import Subjects

CONFIGURATION = Configuration.model_validate(
    {
        "version": 1,
        "sites": {SITE: {"time_zone": "Europe/Amsterdam", "division": 100001, "business_entities": {"BE-2": 100001}}},
        "divisions": {
            100001: {
                "name": "Test",
                "journals": {"invoices": "70", "credit_notes": "70", "payments": "90"},
                "receivable_account": "1300",
                "rounding": {"account": "4900", "vat_code": "N"},
                "revenue": [
                    {"when": {"item_price": "Team-EUR"}, "account": "8000", "cost_center": "NL"},
                    {"when": {"family": "services"}, "account": "8020"},
                ],
                "vat": [
                    {"when": {"country": "NL", "rate": 21}, "code": "2"},
                    {"when": {"country": "NL", "rate": 9}, "code": "1"},
                    {"when": {"rate": 0, "reason": "reverse_charge"}, "code": "EUV"},
                ],
                "control_accounts": [{"account": "1290"}],
            }
        },
    }
)


class Stage:
    """A mapper on a database, and what it has said so far."""

    def __init__(self, database: Database, configuration: Configuration = CONFIGURATION) -> None:
        self.database = database
        self.posted: set[str] = set()
        self._heard = Heard(database)
        self.clock, mappings = ManualClock(), mappings_of(configuration)
        self.handled_again = 0
        planner = Planner(Subjects(configuration, mappings), self.clock, Telemetry())
        self.mapper = Mapper(database, planner, mappings)
        self.due_days = DueDays(database, planner, mappings.keys(), self.clock)

    async def start(self) -> None:
        """Do what the mapper does once when it starts, such as after a change of the configuration."""
        await self.mapper.take_up_mapping(asyncio.Event())

    async def hear(self, *messages: Message) -> None:
        """Handle facts, each in a transaction of its own."""
        for message in messages:
            await self.handle(envelope(message), message)

    async def handle(self, sealed: Envelope, message: Message) -> None:
        """Handle a fact as the consumer of a queue does."""
        try:
            async with self.database.transaction() as connection:
                await self.mapper.handle(connection, sealed, message)
        except OnceMore as more:
            self.handled_again += 1
            async with self.database.transaction() as connection:
                await more.handle(connection, sealed, message)

    async def hear_at_once(self, *messages: Message) -> None:
        """Handle facts in one transaction, where none of them is what the test is about."""
        async with self.database.transaction() as connection:
            for message in messages:
                await self.mapper.handle_alone(connection, envelope(message), message)

    async def hear_with(self, message: Any, **members: Any) -> None:
        """Handle a fact whose resource has members that this release does not declare, as custom fields are."""
        sealed = envelope(message)
        data = msgspec.json.decode(sealed.data)
        data["resource"] |= members
        sealed = msgspec.structs.replace(sealed, data=msgspec.Raw(msgspec.json.encode(data)))
        await self.handle(sealed, message)

    async def post_all(self) -> None:
        """Let Exact take every entry that is under way, and those that follow from it."""
        while fresh := [entry for entry in await self.entries() if entry.command_id not in self.posted]:
            for entry in fresh:
                self.posted.add(entry.command_id)
                await self.hear(posted(entry))

    async def days_pass(self, today: date) -> None:
        """Let it become that day, and let what waits for days look."""
        self.clock.advance((today - self.clock.now().date()).total_seconds())
        await self.due_days.decide(asyncio.Event())

    async def said(self, *kinds: type[Message]) -> list[Any]:
        """Return what was said, of these types only if given."""
        return await self._heard.said(*kinds)

    async def entries(self) -> list[commands.PostEntry]:
        """Return the entries that were to be posted."""
        return await self.said(commands.PostEntry)

    async def reasons(self) -> list[str]:
        """Return the codes of what was not booked."""
        return [message.code for message in await self.said(facts.DocumentHeld, facts.DocumentSetAside)]


def posted(command: commands.PostEntry, **more: Any) -> facts.EntryPosted:
    """Exact has the entry."""
    return facts.EntryPosted(
        division=command.division,
        command_id=command.command_id,
        document=command.document,
        entry_id="e",
        entry_number=26700001,
        journal=command.journal,
        your_ref=command.your_ref,
        **more,
    )


def refused(command: commands.PostEntry, code: str, message: str = "Exact says no") -> facts.EntryRefused:
    """Exact does not take the entry."""
    return facts.EntryRefused(
        division=command.division, command_id=command.command_id, document=command.document, code=code, message=message
    )


def period(number: int, *, is_open: bool, journal: str = "70", known_until: date | None = None) -> facts.PeriodObserved:
    """A month from September to November 2026 is open or closed."""
    last = {9: 30, 10: 31, 11: 30}[number]
    return facts.PeriodObserved(
        division=100001,
        journal=journal,
        year=2026,
        period=number,
        starts=date(2026, number, 1),
        ends=date(2026, number, last),
        is_open=is_open,
        known_until=known_until,
    )


def payment(**more: Any) -> facts.Observed:
    """A card payment of 121.00 for INV-1."""
    resource = {
        "id": "txn_1",
        "customer_id": "CUST1",
        "type": "payment",
        "status": "success",
        "date": OCTOBER_5,
        "amount": 12_100,
        "currency_code": "EUR",
        "base_currency_code": "EUR",
        "gateway": "stripe",
        "gateway_account_id": "gw_1",
        "linked_invoices": [{"invoice_id": "INV-1", "applied_amount": 12_100}],
        **more,
    }
    return observed(facts.TransactionObserved, resource, resource.pop("version", 1))


def configured(**division: Any) -> Configuration:
    """Return the configuration with other settings of its division."""
    dump = CONFIGURATION.model_dump()
    dump["divisions"][100001].update(division)
    return Configuration.model_validate(dump)


def books(entries: list[commands.PostEntry]) -> Counter[tuple[str, str, str]]:
    """Sum what stands on each account and VAT code of each customer; sales are positive in credit, other entries in debit."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for entry in entries:
        sign = 1 if entry.kind == "sales" else -1
        for each in entry.lines:
            sums[entry.customer_ref, each.gl_account, each.vat_code or ""] += sign * each.amount_minor
            sums[entry.customer_ref, f"VAT {each.vat_code}", ""] += sign * (each.vat_amount_minor or 0)
    return Counter({key: amount for key, amount in sums.items() if amount})


def journal(entries: list[commands.PostEntry]) -> list[tuple[str, date, int]]:
    """Return the references, dates and totals of entries."""
    return sorted((entry.your_ref, entry.entry_date, entry.document.total_minor) for entry in entries)
