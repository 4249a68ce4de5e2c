"""A year of a company in the databases: Chargebee's events, and what the writer has of them once Exact has taken everything."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from backbone import event_log
from backbone.database import Database
from backbone.event_log import START
from contracts import commands, facts
from contracts.envelope import Envelope, derived_id, encode, seal
from contracts.ledger import VAT_LINE
from contracts.messages import unseal
from exact_writer import tables as writer_tables
from ingest.translate import EVENT_RECEIVED

SITE, DIVISION = "acme-test", 100001
CONFIGURATION = Path(__file__).parents[2] / "console/src/console/demo_configuration.yaml"
FIRST = datetime(2025, 1, 1, 12, tzinfo=UTC)  # in the past: a replay goes up to now
YEAR = timedelta(days=364)
READ_AT = datetime(2026, 2, 1, tzinfo=UTC)
BATCH = 500
LINES = range(2, 13)  # an invoice's lines, seven of them on average


def events(size: int, first: int = 0) -> Iterator[Envelope]:
    """Give an event for each invoice, and before it one for its customer when that is new; a customer has ten of them."""
    if not first:
        yield _event("item_created", 0, FIRST, {"item": {"id": "support", "item_family_id": "services", "name": "Support"}})
        price = {"id": "support-EUR", "item_id": "support", "item_family_id": "services", "name": "Support"}
        yield _event("item_price_created", 1, FIRST, {"item_price": price})
    for number in range(first, first + size):
        at = FIRST + YEAR * (number / (first + size))
        if number % 10 == 0:
            yield _event("customer_created", number, at, {"customer": _customer(number)})
        yield _event("invoice_generated", number, at, {"invoice": _invoice(number, at), "customer": _customer(number)})


def _event(kind: str, number: int, at: datetime, content: dict[str, Any]) -> Envelope:
    name = f"ev_{kind}_{number}"
    for resource in content.values():
        resource["resource_version"] = 1
    body = {"id": name, "event_type": kind, "occurred_at": int(at.timestamp()), "content": content}
    identity = derived_id("chargebee.event", SITE, name)
    subject, data = f"{SITE}/event/{name}", msgspec.Raw(msgspec.json.encode(body))
    return Envelope(
        id=identity, type=EVENT_RECEIVED, version=1, source="ingest", subject=subject, time=at, key=f"{SITE}/{name}",
        correlation=identity, data=data,
    )  # fmt: skip


def _customer(number: int) -> dict[str, Any]:
    name = f"CUST{number // 10}"
    address = {"line1": f"Kerkstraat {number // 10}", "city": "Utrecht", "zip": "3511 AB", "country": "NL"}
    return {"id": name, "company": f"Voorbeeld {name} B.V.", "email": f"{name}@voorbeeld.example", "billing_address": address}


def _invoice(number: int, at: datetime) -> dict[str, Any]:
    count = LINES[number % len(LINES)]
    date = int(at.timestamp())
    lines = [_line(place, 1_000 + (number + 7 * place) % 9_000, date) for place in range(count)]
    net, tax = sum(line["amount"] for line in lines), sum(line["tax_amount"] for line in lines)
    taxes = [
        {
            "line_item_id": line["id"], "tax_rate": 21, "taxable_amount": line["amount"], "tax_amount": line["tax_amount"],
            "tax_juris_type": "country", "tax_juris_code": "NL", "tax_name": "BTW",
        }
        for line in lines
    ]  # fmt: skip
    return {
        "id": f"INV-{number}", "customer_id": f"CUST{number // 10}", "status": "payment_due", "date": date, "due_date": date,
        "currency_code": "EUR", "base_currency_code": "EUR", "price_type": "tax_exclusive", "total": net + tax, "tax": tax,
        "sub_total": net, "amount_due": net + tax, "line_items": lines, "line_item_taxes": taxes, "recurring": True,
        "billing_address": {"country": "NL", "city": "Utrecht"}, "term_finalized": True, "net_term_days": 14,
    }  # fmt: skip


def _line(place: int, amount: int, date: int) -> dict[str, Any]:
    sold = ("charge_item_price", "support-EUR") if place % 2 else ("adhoc", None)
    return {
        "id": f"li_{place}", "amount": amount, "tax_amount": (amount * 21 + 50) // 100, "tax_rate": 21, "is_taxed": True,
        "unit_amount": amount, "quantity": 1, "entity_type": sold[0], "entity_id": sold[1], "description": f"Line {place}",
        "date_from": date, "date_to": date, "pricing_model": "per_unit",
    }  # fmt: skip


async def store_events(ingest: Database, size: int, first: int = 0) -> int:
    """Append the events as the door does, a group in one statement; returns how many."""
    count, group = 0, list[tuple[str, Envelope]]()
    for event in events(size, first):
        group.append((f"chargebee-event/{event.subject}", event))
        count += 1
        if len(group) == BATCH:
            await _store(ingest, group)
            group = []
    await _store(ingest, group)
    return count


async def _store(ingest: Database, group: list[tuple[str, Envelope]]) -> None:
    async with ingest.transaction() as connection:
        await event_log.append_new(connection, group, in_order=True)


async def book_everything(mapper: Database, writer: Database) -> tuple[int, int]:
    """Let the writer have booked every entry of the mapper's log; returns how many entries and how many lines Exact has."""
    position, entries, lines = START, 0, 0
    types = frozenset((commands.PostEntry.TYPE,))
    while True:
        async with mapper.reading() as connection:
            page = await event_log.read_after(connection, position, BATCH, types)
        if not page:
            break
        position = page[-1].position
        told, journal, ledger = list[tuple[str, Envelope]](), list[dict[str, Any]](), list[dict[str, Any]]()
        for recorded in page:
            command = unseal(recorded.envelope)
            assert isinstance(command, commands.PostEntry)
            entries += 1
            told.append((f"entry/{command.command_id}", _posted(command, entries, recorded.envelope)))
            journal.append(_journal(command, entries, recorded.envelope))
            ledger += _ledger(command, entries)
        lines += len(ledger)
        async with writer.transaction() as connection:
            await event_log.append_new(connection, told)
            await connection.execute(sa.insert(writer_tables.commands), journal)
            await connection.execute(sa.insert(writer_tables.ledger_lines), ledger)
    async with writer.transaction() as connection:
        await connection.execute(
            sa.insert(writer_tables.ledger_readings).values(division=DIVISION, read_at=READ_AT.timestamp(), answered=0)
        )
    return entries, lines


def _posted(command: commands.PostEntry, number: int, cause: Envelope) -> Envelope:
    fact = facts.EntryPosted(
        division=DIVISION, command_id=command.command_id, document=command.document, entry_id=f"entry-{number}",
        entry_number=number, journal=command.journal, your_ref=command.your_ref, reporting_year=command.entry_date.year,
        reporting_period=command.entry_date.month,
    )  # fmt: skip
    moment = cause.time + timedelta(seconds=30)
    return seal(fact, source="exact-writer", subject=command.your_ref, key=cause.key, time=moment, distinguisher="1")


def _journal(command: commands.PostEntry, number: int, envelope: Envelope) -> dict[str, Any]:
    return {
        "command_id": command.command_id, "division": DIVISION, "kind": command.kind, "customer_ref": command.customer_ref,
        "state": "posted", "is_open": False, "planned_at": envelope.time.timestamp(), "exact_id": f"entry-{number}",
        "exact_number": number, "your_ref": command.your_ref, "envelope": encode(envelope),
    }  # fmt: skip


def _ledger(command: commands.PostEntry, number: int) -> list[dict[str, Any]]:
    vat, lines = Counter[str | None](), list[tuple[str, int, int, str | None, str | None, str | None]]()
    for line in command.lines:
        lines.append((line.gl_account, -line.amount_minor, 0, line.vat_code, line.cost_center, line.cost_unit))
        vat[line.vat_code] += line.vat_amount_minor or 0
    lines += [("1500", -amount, VAT_LINE, code, None, None) for code, amount in vat.items()]
    debt: defaultdict[str, int] = defaultdict(int)
    for _, amount, *_ in lines:
        debt[command.receivable_account or ""] -= amount
    lines += [(account, amount, 0, None, None, None) for account, amount in debt.items()]
    return [
        {
            "division": DIVISION, "line_id": f"{number}-{place}", "timestamp": number, "entry_id": f"entry-{number}",
            "entry_number": number, "line_number": place, "line_type": line_type, "type": 20, "journal": command.journal,
            "day": command.entry_date, "year": command.entry_date.year, "period": command.entry_date.month, "account": account,
            "dc_hundredths": amount, "fc_hundredths": amount, "currency": "EUR", "vat_code": code,
            "cost_center": center, "cost_unit": unit, "your_ref": command.your_ref,
        }
        for place, (account, amount, line_type, code, center, unit) in enumerate(lines)
    ]  # fmt: skip
