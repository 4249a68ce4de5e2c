"""What the mapper makes of documents that somebody else may have booked: looked for, linked, asked, and not taken back by us."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.engines import DATABASES, database_for
from support.facts import customer, invoice, line
from support.mapper_stage import Stage, configured, payment, posted, refused

from backbone.telemetry import Telemetry
from contracts import facts
from contracts.commands import LinkedEntry
from mapper.configuration import mappings_of
from mapper.linked import linked_in
from mapper.plan import Cause, Planner
from mapper.store import Key, Row, Store
from mapper.subjects import Subjects

THEIRS = LinkedEntry(entry_id="theirs", entry_number=42, journal="75", who="M. de Vries", why="from the old connector")
LINKING = configured(link_before="2026-12-01", changes="correct")


async def decide(stage: Stage, cause: Cause) -> None:
    """Let a person decide about the invoice, as `kruispost links` does."""
    planner = Planner(Subjects(LINKING, mappings_of(LINKING)), stage.clock, Telemetry())
    async with stage.database.transaction() as connection:
        await planner.plan(Store(stage.database, connection), Key(invoice().site, "invoice", "INV-1"), cause, again=True)


async def row_of(stage: Stage) -> Row:
    async with stage.database.reading() as connection:
        (row,) = await Store(stage.database, connection).rows_of(invoice().site, "invoice", "INV-1")
    return row


@pytest.mark.parametrize("day", ["2026-12-01", "2026-10-05"])
async def test_only_what_is_dated_before_the_day_is_looked_for(tmp_path: Path, day: str) -> None:
    async with database_for("sqlite", tmp_path, "mapper") as database:
        stage = Stage(database, configured(link_before=day))
        await stage.hear(customer(), invoice(), payment())
        entries = await stage.entries()
        assert {entry.document.kind for entry in entries} == {"invoice", "payment"}
        assert {entry.may_exist for entry in entries} == {day == "2026-12-01"}
        # An online payment is known in Exact by the invoice that it pays.
        (paid,) = (entry for entry in entries if entry.document.kind == "payment")
        assert any("INV-1" in line.description for line in paid.lines)


DOLLARS: dict[str, Any] = {"currency_code": "USD", "base_currency_code": "EUR"}


@pytest.mark.parametrize("is_linked", [True, False])
@pytest.mark.parametrize("settings", [{"link_before": "2026-12-01"}, {"shadow": True}])
async def test_the_exchange_difference_of_money_that_somebody_else_booked_is_theirs(
    tmp_path: Path, settings: dict[str, Any], *, is_linked: bool
) -> None:
    """Booked at once, before anybody knows whose the payment is, it would stand in Exact a second time."""
    async with database_for("sqlite", tmp_path, "mapper") as database:
        stage = Stage(database, configured(**settings, exchange_differences={"account": "4910"}))
        lines = [line(100_000, 0, 0, tax_exempt_reason="reverse_charge", is_taxed=False)]
        paid = [{"invoice_id": "INV-1", "applied_amount": 100_000}]
        await stage.hear(customer(), invoice(lines=lines, exchange_rate="0.92", **DOLLARS))
        (billed,) = await stage.entries()
        await stage.hear(posted(billed, is_linked=is_linked, exchange_rate=Decimal("0.92")))
        await stage.hear(payment(amount=100_000, linked_invoices=paid, exchange_rate="0.931", **DOLLARS))
        assert await stage.reasons() == ["waiting_for_both_bookings", "no_exchange_difference"]  # the latter of the debtor
        _, money = await stage.entries()
        await stage.hear(posted(money, is_linked=is_linked, exchange_rate=Decimal("0.92")))
        made = [(entry.document.kind, entry.currency) for entry in (await stage.entries())[2:]]
        assert made == ([] if is_linked else [("exchange_difference", "EUR")])
        assert ("exchange_difference_by_others" in await stage.reasons()) == is_linked


@pytest.mark.parametrize("dialect", DATABASES)
async def test_what_is_linked_is_not_booked_back_when_it_is_voided_but_told(tmp_path: Path, dialect: str) -> None:
    async with database_for(dialect, tmp_path, "mapper") as database:
        stage = Stage(database, LINKING)
        lines = [line(10_000, 2_100)]
        await stage.hear(customer(), invoice(lines=lines))
        (entry,) = await stage.entries()
        await stage.hear(posted(msgspec.structs.replace(entry, journal="75"), is_linked=True))
        linked = linked_in(await row_of(stage))
        assert linked is not None
        assert (linked.entry_number, linked.journal) == (26700001, "75")
        for version in (2, 3):
            await stage.hear(invoice(lines=lines, status="voided", version=version))
        (held,) = await stage.said(facts.DocumentHeld)
        assert held.code == "linked_changed"
        assert "entry 26700001 in journal 75" in held.sentence
        assert len(await stage.entries()) == 1


async def test_a_document_that_exact_may_have_is_held_with_what_the_writer_saw(tmp_path: Path) -> None:
    async with database_for("sqlite", tmp_path, "mapper") as database:
        stage = Stage(database, LINKING)
        await stage.hear(customer(), invoice())
        (entry,) = await stage.entries()
        await stage.hear(refused(entry, "exists_otherwise", "Exact's ledger has entry 42 with EUR 122.00."))
        (held,) = await stage.said(facts.DocumentHeld)
        assert held.code == "exists_otherwise"
        assert "entry 42 with EUR 122.00" in held.sentence
        assert "kruispost links accept INV-1 --entry ENTRY" in held.action
        # It is another document: booked, and not looked for again.
        await decide(stage, Cause(None, "book ", is_other=True))
        again = (await stage.entries())[-1]
        assert (again.command_id != entry.command_id, again.may_exist, again.linked) == (True, False, None)


@pytest.mark.parametrize("why_not", ["no rule", "before book_from", "refused"])
async def test_a_person_may_link_what_the_rules_do_not_book(tmp_path: Path, why_not: str) -> None:
    async with database_for("sqlite", tmp_path, "mapper") as database:
        settings: dict[str, dict[str, Any]] = {"no rule": {"revenue": []}, "before book_from": {"book_from": "2026-12-01"}}
        configuration = configured(link_before="2026-12-01", **settings.get(why_not, {}))
        stage = Stage(database, configuration)
        await stage.hear(customer(), invoice())
        if why_not == "refused":
            (entry,) = await stage.entries()
            await stage.hear(refused(entry, "exists_otherwise"))
        before = len(await stage.entries())
        planner = Planner(Subjects(configuration, mappings_of(configuration)), stage.clock, Telemetry())
        async with database.transaction() as connection:
            key = Key(invoice().site, "invoice", "INV-1")
            await planner.plan(Store(database, connection), key, Cause(None, "link ", linked=THEIRS), again=True)
        made = (await stage.entries())[before:]
        assert [(each.linked, each.may_exist, each.document.total_minor) for each in made] == [(THEIRS, False, 12_100)]
        await stage.hear(posted(msgspec.structs.replace(made[0], journal="75"), is_linked=True))
        row = await row_of(stage)
        assert (row.state, linked_in(row)) == ("booked", THEIRS)


async def test_what_was_never_final_is_not_linked(tmp_path: Path) -> None:
    async with database_for("sqlite", tmp_path, "mapper") as database:
        stage = Stage(database, LINKING)
        await stage.hear(customer(), invoice(status="pending"))
        await decide(stage, Cause(None, "link ", linked=THEIRS))
        assert await stage.entries() == []
