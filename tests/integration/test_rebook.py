"""`kruispost rebook`: what today's rules would book as it is booked is left, and two at once take a booking back once."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.engines import database_for
from support.facts import OCTOBER_5, customer, invoice, line, observed
from support.installation import Installation, installation
from support.mapper_stage import CONFIGURATION, Stage, payment, period, posted

from backbone.configuration import load_configuration
from backbone.telemetry import Telemetry
from contracts import facts
from contracts.commands import PostEntry
from mapper.configuration import mappings_of
from mapper.plan import Cause, Planner
from mapper.store import Key, Store
from mapper.subjects import Subjects

DAY = 86_400
RULE: dict[str, Any] = {"when": {"item_price": "Team-EUR"}, "account": "8000"}
YEAR = line(120_000, 25_200, id="li_year", date_from=OCTOBER_5 - 30 * DAY, date_to=OCTOBER_5 + 365 * DAY)


async def test_what_was_rebooked_meanwhile_or_changed_in_chargebee_is_left(tmp_path: Path) -> None:
    async with database_for("sqlite", tmp_path, "mapper") as database:
        stage = Stage(database)
        await stage.hear(customer(), invoice())
        await stage.post_all()
        key = Key(invoice().site, "invoice", "INV-1")
        planner = Planner(Subjects(CONFIGURATION, mappings_of(CONFIGURATION)), stage.clock, Telemetry())

        async def take_back(cause: str) -> bool:
            async with database.transaction() as connection:
                assert seen is not None
                return await planner.take_back_wrong(Store(database, connection), seen, Cause(None, cause))

        async with database.reading() as connection:
            seen = await Store(database, connection).document(key)
        assert await take_back("first")
        await stage.post_all()
        entries = [each.your_ref for each in await stage.entries()]
        assert entries == ["INV-1", "INV-1/R", "INV-1/2"]
        assert not await take_back("second")
        assert len(await stage.entries()) == 3


@pytest.mark.parametrize("days", [10, 40])  # in the closed period as a whole, and beyond it
async def test_what_closed_periods_moved_is_booked_as_the_rules_say_until_the_rule_changes(tmp_path: Path, days: int) -> None:
    async with installation("sqlite", tmp_path) as installed:
        rule = {"when": {"item_price": "Team-EUR"}, "account": "8000"}
        path = installed.write(tmp_path / "kruispost.yaml", revenue=[{**rule, "defer": True}])
        stage = Stage(installed.stage.database, load_configuration(path))
        served = line(10_000, 2_100, date_to=OCTOBER_5 + days * 86_400)
        await stage.hear(period(10, is_open=False), period(11, is_open=True), customer(), invoice(lines=[served]))
        await stage.post_all()
        [entry] = await stage.entries()
        assert (entry.reporting_period, entry.lines[0].from_date is None) == (11, days == 10), "it was moved"

        code, found = await installed.json("rebook")
        assert (code, found["documents"]) == (0, [])
        code, found = await installed.json("diff", str(path), "--against", "booked")
        assert (code, found["differing"]) == (0, 0)
        _, explained = await installed.json("explain", "INV-1")
        assert [each["would_change"] for each in explained["documents"]] == [[]]

        installed.write(tmp_path / "kruispost.yaml", revenue=[{**rule, "account": "8020", "defer": True}])
        code, found = await installed.json("rebook")
        assert (code, [each["number"] for each in found["documents"]]) == (1, ["INV-1"])


def sale() -> facts.Observed:
    """Served from 5 September on for 1,200.00, of which 600.00 is credited on 14 November."""
    listed = [{"cn_id": "CN-1", "cn_date": OCTOBER_5 + 40 * DAY, "cn_total": 72_600, "cn_status": "adjusted"}]
    return invoice(lines=[YEAR], adjustment_credit_notes=listed)


def note() -> facts.Observed:
    """The credit of half of that."""
    day = OCTOBER_5 + 40 * DAY
    back = {**YEAR, "id": "li_back", "amount": 60_000, "tax_amount": 12_600, "reference_line_item_id": "li_year"}
    resource = {
        "id": "CN-1",
        "customer_id": "CUST1",
        "type": "adjustment",
        "status": "adjusted",
        "date": day,
        "currency_code": "EUR",
        "base_currency_code": "EUR",
        "reference_invoice_id": "INV-1",
        "total": 72_600,
        "tax": 12_600,
        "line_items": [{**back, "date_from": day, "date_to": day}],
    }
    return observed(facts.CreditNoteObserved, resource)


def by_rules(installed: Installation, stage: Stage | None = None, **division: Any) -> Stage:
    """A mapper by other rules, on the same tables, that knows what Exact has of the one before."""
    path = installed.write(installed.directory / "kruispost.yaml", **division)
    later = Stage(installed.stage.database, load_configuration(path))
    later.posted |= stage.posted if stage is not None else set()
    return later


async def booked_anew(installed: Installation, stage: Stage) -> list[str]:
    """Rebook all that differs and let Exact post it; return whose."""
    _, found = await installed.json("rebook", "--yes")
    assert (found["left"], found["rebooked"]) == (0, len(found["documents"]))
    await stage.post_all()
    return sorted(each["number"] for each in found["documents"])


def released(entries: list[PostEntry]) -> dict[str, list[tuple[int, date | None, date | None]]]:
    return {each.your_ref: [(one.amount_minor, one.from_date, one.to_date) for one in each.lines] for each in entries}


async def test_a_credit_note_is_booked_anew_with_its_invoice_that_is_deferred_only_now(tmp_path: Path) -> None:
    """While the invoice is released at once, so is its credit; what the note becomes hangs on how the invoice is booked then."""
    async with installation("sqlite", tmp_path) as installed:
        stage = by_rules(installed, revenue=[RULE])
        await stage.hear(customer(), sale(), note())
        await stage.post_all()
        later = by_rules(installed, stage, revenue=[{**RULE, "defer": True}], deferral={"account": "1650"})
        assert await booked_anew(installed, later) == ["CN-1", "INV-1"]
        assert (await installed.json("rebook"))[1]["documents"] == []
        lines = released(await later.entries())
        last = date(2027, 10, 4)
        assert lines["INV-1/2"] == [(120_000, date(2026, 9, 5), last)]
        assert lines["CN-1/2"] == [(-60_000, date(2026, 11, 1), last)]


async def test_what_was_deferred_under_wrong_rules_is_booked_back_over_the_days_it_was_released(tmp_path: Path) -> None:
    """So that nothing of it is left in any month, whatever a credit note has taken back meanwhile."""
    async with installation("sqlite", tmp_path) as installed:
        deferral: dict[str, Any] = {"deferral": {"account": "1650"}}
        stage = by_rules(installed, revenue=[{**RULE, "defer": True}], **deferral)
        await stage.hear(customer(), sale(), note())
        await stage.post_all()
        later = by_rules(installed, stage, revenue=[{**RULE, "account": "8020", "defer": True}], **deferral)
        assert await booked_anew(installed, later) == ["CN-1", "INV-1"]
        lines = released(await later.entries())
        for number in ("INV-1", "CN-1"):
            assert lines[f"{number}/R"] == [(-amount, first, last) for amount, first, last in lines[number]]
            assert lines[f"{number}/2"] == lines[number]


async def test_money_that_was_applied_after_its_booking_keeps_its_rate_when_it_is_booked_anew(tmp_path: Path) -> None:
    """What it was applied to since has brought the difference on the debtor; at another rate that would be there twice."""
    async with installation("sqlite", tmp_path) as installed:
        accounts: dict[str, Any] = {"exchange_differences": {"account": "4910"}}
        dollars: dict[str, Any] = {"currency_code": "USD", "base_currency_code": "EUR"}
        stage = by_rules(installed, **accounts)
        await stage.hear(customer(), payment(**dollars, exchange_rate="0.95", linked_invoices=[]))
        await stage.hear(invoice(**dollars, exchange_rate="0.91"))
        await stage.post_all()
        await stage.hear(payment(**dollars, exchange_rate="0.95", version=2))
        await stage.post_all()
        numbers = [each.your_ref for each in await stage.entries()]
        assert numbers == ["txn_1", "INV-1", "txn_1/INV-1/FX"]
        later = by_rules(installed, stage, **accounts, receivable_account="1310")
        await booked_anew(installed, later)
        entries = {each.your_ref: each for each in await later.entries()}
        assert sorted(entries.keys() - numbers) == sorted(f"{number}/{again}" for number in numbers for again in ("R", "2"))
        assert entries["txn_1/2"].exchange_rate == Decimal("0.95")
        assert (await installed.json("rebook"))[1]["documents"] == []


async def test_money_that_is_no_longer_applied_leaves_its_exchange_difference_as_it_is_booked(tmp_path: Path) -> None:
    async with installation("sqlite", tmp_path) as installed:
        dollars: dict[str, Any] = {"currency_code": "USD", "base_currency_code": "EUR"}
        stage = by_rules(installed, exchange_differences={"account": "4910"})
        await stage.hear(customer(), invoice(**dollars, exchange_rate="0.91"), payment(**dollars, exchange_rate="0.95"))
        await stage.post_all()
        await stage.hear(payment(**dollars, exchange_rate="0.95", version=2, linked_invoices=[]))
        await stage.post_all()
        assert "txn_1/FX" in [each.your_ref for each in await stage.entries()]
        assert (await installed.json("rebook"))[1]["documents"] == []


async def test_the_rate_that_exact_gave_is_not_taken_for_a_changed_rule(tmp_path: Path) -> None:
    async with installation("sqlite", tmp_path) as installed:
        stage = by_rules(installed, exchange_rates={"policy": "exact"})
        await stage.hear(customer(), invoice(currency_code="USD"))
        [entry] = await stage.entries()
        await stage.hear(posted(entry, exchange_rate=Decimal("0.92")))
        [found] = (await installed.json("explain", "INV-1"))[1]["documents"]
        assert (found["exchange_rate"], found["would_change"]) == ("0.92", [])


@pytest.mark.parametrize("mode", ["entry", "document", "ledger"])
async def test_a_changed_rule_is_told_of_what_is_booked_in_each_way(mode: str, tmp_path: Path) -> None:
    """Also of a general entry: its texts begin with the reference of the booking, which is no change of rules."""
    async with installation("sqlite", tmp_path) as installed:
        journals = {"invoices": "70", "credit_notes": "70", "payments": "90", "ledger": "91"}
        ways: dict[str, Any] = {"mode": mode, "journals": journals}
        stage = by_rules(installed, **ways, revenue=[RULE])
        long = "Een omschrijving die langer is dan wat Exact van een regel neemt, met en zonder kenmerk ervoor"
        await stage.hear(customer(), invoice(lines=[line(10_000, 2_100, description=long)]))
        await stage.post_all()
        told: list[list[str]] = []
        for account in ("8000", "8020"):
            by_rules(installed, stage, **ways, revenue=[{**RULE, "account": account}])
            path = str(installed.directory / "kruispost.yaml")
            compared = (await installed.json("diff", path, "--against", "booked"))[1]
            told += [each["changes"] for each in compared["documents"]]
            [found] = (await installed.json("explain", "INV-1"))[1]["documents"]
            told += [found["would_change"]]
        assert told == [[], ["account"], ["account"]]
