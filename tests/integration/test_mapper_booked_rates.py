"""What takes an invoice back is booked at the rate and over the days that the invoice itself was booked with."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.engines import database_for
from support.facts import OCTOBER_5, customer, invoice, line, observed
from support.mapper_stage import Stage, configured, posted

from bookkeeping.rejections import PATIENCE_DAYS
from bookkeeping.roll_forward import RollForward, movements
from contracts import facts
from contracts.commands import PostEntry
from mapper.configuration import mappings_of
from mapper.deferred_command import deferred_entries
from mapper.history import PagedStore

DAY = 86_400
RATE = Decimal("0.92")
DOLLARS: dict[str, Any] = {"currency_code": "USD", "base_currency_code": "EUR", "exchange_rate": "0.91"}
YEAR = OCTOBER_5 + 365 * DAY
LINE = line(120_000, 0, 0, tax_exempt_reason="reverse_charge", is_taxed=False, date_to=YEAR, id="li_year")
LISTED = [{"cn_id": "CN-1", "cn_date": OCTOBER_5 + 40 * DAY, "cn_total": 120_000, "cn_status": "adjusted"}]
EXACT = configured(
    exchange_rates={"policy": "exact"},
    deferral={"account": "1650", "schedule": "per_period"},
    revenue=[{"when": {"item_price": "Team-EUR"}, "account": "8000", "defer": True}],
)


def note(amount: int = 120_000, **more: Any) -> facts.Observed:
    """A credit of the invoice's line on 14 November, at another rate of Chargebee's."""
    back = {**LINE, "id": "li_back", "amount": amount, "reference_line_item_id": "li_year", "date_from": OCTOBER_5 + 40 * DAY}
    resource = {"id": "CN-1", "customer_id": "CUST1", "type": "adjustment", "status": "adjusted", "date": OCTOBER_5 + 40 * DAY}
    resource |= {
        "reference_invoice_id": "INV-1",
        "total": amount,
        "tax": 0,
        "line_items": [{**back, "date_to": back["date_from"]}],
    }
    return observed(facts.CreditNoteObserved, {**resource, **DOLLARS, "exchange_rate": "0.95", **more})


def sale(**more: Any) -> facts.Observed:
    return invoice(lines=[LINE], **{"adjustment_credit_notes": LISTED, **DOLLARS, **more})


@pytest.fixture
async def database(tmp_path: Path):
    async with database_for("sqlite", tmp_path, "mapper") as found:
        yield found


def deferred(entry: PostEntry) -> list[tuple[int, date | None, date | None]]:
    return [(each.amount_minor, each.from_date, each.to_date) for each in entry.lines]


async def test_a_mirror_has_the_rate_that_exact_gave_what_it_takes_back(database):
    stage, void = Stage(database, EXACT), {"version": 2, "status": "voided", "voided_at": OCTOBER_5 + DAY}
    await stage.hear(customer(), sale(adjustment_credit_notes=[]))
    [booked] = await stage.entries()
    assert booked.exchange_rate is None
    await stage.hear(posted(booked, exchange_rate=RATE), sale(adjustment_credit_notes=[], **void))
    assert (await stage.entries())[-1].exchange_rate == RATE


async def test_a_credit_note_waits_for_the_rate_that_exact_gives_its_invoice(database):
    stage = Stage(database, EXACT)
    await stage.hear(customer(), note(), sale())
    assert (await stage.reasons())[-1] == "waiting_for_booked_invoice"
    [booked] = await stage.entries()
    await stage.hear(posted(booked, exchange_rate=RATE))
    credit = (await stage.entries())[-1]
    assert (credit.your_ref, credit.exchange_rate) == ("CN-1", RATE)
    await stage.hear(posted(credit, exchange_rate=RATE))
    mapping = mappings_of(EXACT)[100001]
    total = RollForward()
    async with database.reading() as connection:
        store = PagedStore(database, connection)
        async for _, entry in deferred_entries(store, mapping):
            total.add(movements(entry, await store.periods(100001, "70"), "per_period"))
    assert total.rows()[0].invoiced_minor == 110_400, "1,200 dollars at 0.92, in euros"
    assert abs(total.closing_minor("2026-11")) <= 1, "a cent of rounding between two parts of one amount"
    assert total.closing_minor() == 0


async def test_a_credit_note_is_at_its_invoices_rate_whatever_chargebees_own_of_its_day(database):
    stage = Stage(database)
    await stage.hear(customer(), sale(), note())
    await stage.post_all()
    assert [(each.your_ref, each.exchange_rate) for each in await stage.entries()] == [
        ("INV-1", Decimal("0.91")),
        ("CN-1", Decimal("0.91")),
    ]


async def test_what_was_booked_before_rates_were_kept_is_held_by_name_until_its_rate_is_known(database):
    stage = Stage(database, EXACT)
    await stage.hear(customer(), sale(adjustment_credit_notes=[]))
    [booked] = await stage.entries()
    await stage.hear(posted(booked))
    async with database.reading() as connection:
        store = PagedStore(database, connection)
        [(name, entry)] = [each async for each in deferred_entries(store, mappings_of(EXACT)[100001])]
    assert (name, entry.currency) == ("INV-1", "USD")
    await stage.hear(sale(version=2, adjustment_credit_notes=[], status="voided", voided_at=OCTOBER_5 + DAY))
    [held] = await stage.said(facts.DocumentHeld)
    assert (held.code, held.document.suffix) == ("booked_rate_unknown", "R")
    assert "kruispost replay mapper" in held.action
    await stage.hear(posted(booked, exchange_rate=RATE))
    assert (await stage.entries())[-1].exchange_rate == RATE


async def test_a_deleted_invoice_takes_back_only_what_its_credit_note_left_to_release(database):
    """Of 1,200.00 a thirteenth was earned in October, and the credit of 14 November takes 600.00 of the rest back."""
    stage = Stage(database, configured(deferral={"account": "1650"}, revenue=EXACT.divisions[100001].model_dump()["revenue"]))
    await stage.hear(customer(), sale(), note(60_000))
    await stage.post_all()
    credit = (await stage.entries())[-1]
    october, november = date(2026, 10, 5), date(2026, 11, 1)
    assert deferred(credit) == [(-60_000, november, date(2027, 10, 4))]
    await stage.hear(sale(version=2, deleted=True, updated_at=OCTOBER_5 + 41 * DAY))
    mirror = (await stage.entries())[-1]
    assert mirror.your_ref == "INV-1/R"
    assert sum(amount for amount, _, _ in deferred(mirror)) == -120_000
    left = sum(amount for amount, first, _ in deferred(mirror) if first is not None)
    assert left == -(120_000 - 9_231 - 60_000), "less October, which was earned, and what the credit note takes back"
    assert min(first for _, first, _ in deferred(mirror) if first is not None) > october


async def test_a_change_that_was_told_while_the_entry_was_under_way_needs_nobody_once_it_is_booked_back(database):
    stage = Stage(database)
    await stage.hear(customer(), invoice(lines=[line(10_000, 2_100)]), invoice(version=2, lines=[line(9_000, 1_890)]))
    assert await stage.reasons() == ["changed_after_booking"]
    await stage.hear(invoice(version=3, lines=[line(9_000, 1_890)], status="voided", voided_at=OCTOBER_5 + DAY))
    await stage.post_all()
    told = [each for each in await stage.said(facts.DocumentHeld, facts.DocumentPlanned) if not each.document.suffix]
    assert isinstance(told[-1], facts.DocumentPlanned)
    assert told[-1].explanation == ("It is booked back as INV-1/R.",)


IN_EUROS: dict[str, Any] = {"currency_code": "EUR", "base_currency_code": "EUR"}
DEFERRED = {"deferral": {"account": "1650"}, "revenue": EXACT.divisions[100001].model_dump()["revenue"]}
WRITES_OFF = {
    "journals": {"invoices": "70", "credit_notes": "70", "payments": "90", "write_offs": "95"},
    "write_offs": {"account": "4700"},
}


def held_sale(**more: Any) -> facts.Observed:
    """An invoice that waits for the product of its second line."""
    return invoice(lines=[LINE, line(1_000, 210, entity="Other-EUR")], **{"adjustment_credit_notes": LISTED, **more})


@pytest.mark.parametrize(
    ("settings", "reason"), [({}, None), ({**DEFERRED, **WRITES_OFF}, "write_off")], ids=["not deferred", "a write-off"]
)
async def test_a_credit_note_waits_for_no_booking_that_decides_nothing_about_it(database, settings, reason):
    stage = Stage(database, configured(**settings))
    await stage.hear(customer(), held_sale(), note(**IN_EUROS, create_reason_code=reason))
    assert [each.your_ref for each in await stage.entries()] == ["CN-1"]


async def test_a_credit_note_no_longer_waits_for_an_invoice_that_was_deleted_before_it_was_booked(database):
    stage = Stage(database, configured(**DEFERRED, voided_before_booking="skip"))
    await stage.hear(customer(), held_sale(), note(**IN_EUROS))
    assert (await stage.reasons())[-1] == "waiting_for_booked_invoice"
    await stage.hear(held_sale(version=2, deleted=True))
    assert [each.your_ref for each in await stage.entries()] == ["CN-1"]


async def test_a_credit_note_no_longer_waits_for_an_invoice_that_a_new_first_day_leaves_out(database):
    await Stage(database, configured(**DEFERRED)).hear(customer(), held_sale(), note(**IN_EUROS))
    stage = Stage(database, configured(**DEFERRED, book_from="2026-11-01"))
    await stage.start()
    assert [each.your_ref for each in await stage.entries()] == ["CN-1"]


async def test_a_credit_note_whose_invoice_is_never_booked_asks_a_person_after_some_days(database):
    stage = Stage(database, configured(**DEFERRED))
    await stage.hear(customer(), held_sale(), note(**IN_EUROS))
    await stage.days_pass(stage.clock.now().date() + timedelta(days=PATIENCE_DAYS))
    asked = [each for each in await stage.said(facts.DocumentHeld) if each.document.kind == "credit_note"][-1]
    assert (asked.code, asked.waiting) == ("waiting_for_booked_invoice", False)
    assert "kruispost explain INV-1" in asked.action


async def test_a_credit_note_has_the_rate_of_the_invoice_that_has_the_number_now(database):
    """That another one had it before, and was deleted, is heard of late."""
    stage = Stage(database, EXACT)
    await stage.hear(customer(), sale(version=5))
    [booked] = await stage.entries()
    await stage.hear(posted(booked, exchange_rate=RATE), sale(version=2, deleted=True, total=1))
    await stage.hear(note())
    credit = (await stage.entries())[-1]
    assert (credit.your_ref, credit.exchange_rate) == ("CN-1", RATE)


async def test_a_credit_note_is_booked_once_the_rate_of_its_invoice_is_told(database):
    stage = Stage(database, EXACT)
    await stage.hear(customer(), sale())
    [booked] = await stage.entries()
    await stage.hear(posted(booked), note())
    assert (await stage.reasons())[-1] == "booked_rate_unknown"
    await stage.hear(posted(booked, exchange_rate=RATE))
    assert (await stage.entries())[-1].exchange_rate == RATE
