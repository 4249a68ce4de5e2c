"""Credit notes that are no sale taken back, or whose invoice is missing: write-offs and their VAT, roundings, withheld taxes."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.engines import database_for
from support.facts import OCTOBER_5, customer, invoice, line, observed
from support.mapper_stage import Stage, books, configured, journal

from contracts import facts

DAY = 86_400
FIRST = [line(10_000, 2_100)]


@pytest.fixture
async def database(tmp_path: Path):
    async with database_for("sqlite", tmp_path, "mapper") as found:
        yield found


WRITE_OFFS: dict[str, Any] = {
    "journals": {"invoices": "70", "credit_notes": "70", "payments": "90", "write_offs": "95"},
    "write_offs": {"account": "4700"},
}


def note(number: str, *, version: int = 1, on: int = OCTOBER_5 + DAY, **more: Any) -> facts.Observed:
    """A credit note of 121.00 on INV-1, which writes it off unless told otherwise."""
    resource = {
        "id": number,
        "customer_id": "CUST1",
        "type": "adjustment",
        "status": "adjusted",
        "create_reason_code": "Write Off",
        "date": on,
        "currency_code": "EUR",
        "base_currency_code": "EUR",
        "reference_invoice_id": "INV-1",
        "total": 12_100,
        "tax": 2_100,
        "line_items": FIRST,
        **more,
    }
    return observed(facts.CreditNoteObserved, resource, version)


async def test_a_write_off_is_a_loss_and_its_vat_comes_back_a_year_after_the_due_date(database):
    stage = Stage(database, configured(**WRITE_OFFS))
    await stage.hear(customer(), invoice(lines=FIRST), note("CN-1"))
    await stage.post_all()
    [held] = await stage.said(facts.DocumentHeld)
    assert (held.code, held.waiting, held.document.kind, held.document.total_minor) == ("vat_not_due", True, "vat_reclaim", 2_100)
    assert held.document.document_date == date(2027, 10, 5)
    assert "21.00 EUR under code 2" in held.sentence
    await stage.days_pass(date(2027, 10, 4))
    assert len(await stage.entries()) == 2
    await stage.days_pass(date(2027, 10, 5))
    await stage.post_all()
    _, loss, reclaim = await stage.entries()
    assert (loss.kind, loss.journal, loss.your_ref) == ("general", "95", "CN-1")
    assert [(each.gl_account, each.amount_minor, each.is_receivable) for each in loss.lines] == [
        ("4700", 12_100, False),
        ("1300", -12_100, True),
    ]
    assert (reclaim.kind, reclaim.your_ref, reclaim.entry_date) == ("sales", "CN-1/VAT", date(2027, 10, 5))
    assert [(each.gl_account, each.amount_minor, each.vat_code, each.vat_amount_minor) for each in reclaim.lines] == [
        ("4700", -10_000, "2", -2_100),
        ("4700", 12_100, None, None),
    ]
    await stage.hear(note("CN-1", version=2, status="voided", voided_at=OCTOBER_5 + 400 * DAY))
    await stage.post_all()
    assert [entry.your_ref for entry in (await stage.entries())[3:]] == ["CN-1/R", "CN-1/VAT/R"]
    assert books(await stage.entries()) == books((await stage.entries())[:1])


async def test_a_write_off_that_is_undone_in_time_reclaims_nothing(database):
    stage = Stage(database, configured(**WRITE_OFFS))
    await stage.hear(customer(), invoice(lines=FIRST), note("CN-1"), note("CN-1", version=2, status="voided"))
    await stage.post_all()
    await stage.days_pass(date(2028, 1, 1))
    assert [entry.your_ref for entry in await stage.entries()] == ["INV-1", "CN-1", "CN-1/R"]
    assert (await stage.reasons())[-1] == "write_off_undone"


@pytest.mark.parametrize(
    ("policy", "more", "reasons"),
    [
        ({"account": "4700", "vat_reclaim": "by_hand"}, {}, ["vat_reclaim_by_hand"]),
        ({"account": "4700"}, {"tax": 0, "line_items": [line(12_100, 0, 0)]}, ["write_off_without_vat"]),
        ({"account": "4700", "reasons": ["Oninbaar"]}, {"create_reason_code": "oninbaar"}, ["vat_not_due"]),
        (None, {}, ["no_write_off_account", "no_write_off_account"]),
    ],
)
async def test_what_is_not_reclaimed_by_itself_says_why(database, policy, more, reasons):
    stage = Stage(database, configured(**{**WRITE_OFFS, "write_offs": policy}))
    await stage.hear(customer(), invoice(lines=FIRST), note("CN-1", **more))
    assert await stage.reasons() == reasons


@pytest.mark.parametrize(("cents", "reason"), [(1, "no_vat_to_reclaim"), (2, "no_vat_to_reclaim"), (3, "write_off_without_vat")])
async def test_the_cents_of_a_tolerance_hold_no_cent_of_vat_to_reclaim(database, cents, reason):
    """0.02 at 21% is 0.0035 of VAT; of 0.03 it may be a cent, and Chargebee does not say."""
    stage = Stage(database, configured(**WRITE_OFFS))
    lines = [line(5_000, 1_050), line(5_000, 450, 9)]
    await stage.hear(customer(), invoice(lines=lines), note("CN-1", total=cents, tax=0, line_items=[line(cents, 0, 0)]))
    assert await stage.reasons() == [reason]


async def test_a_stacked_tax_counts_as_a_whole_in_what_cents_may_hold(database):
    stage = Stage(database, configured(**WRITE_OFFS))
    taxed = line(10_000, 3_500, 0)
    taxes = [{"line_item_id": taxed["id"], "tax_rate": rate, "tax_amount": 100 * rate} for rate in (20, 15)]
    written_off = note("CN-1", total=2, tax=0, line_items=[line(2, 0, 0)])
    await stage.hear(customer(), invoice(lines=[taxed], line_item_taxes=taxes), written_off)
    assert "write_off_without_vat" in await stage.reasons()


async def test_the_vat_of_a_write_off_waits_for_the_invoice_that_says_when_it_was_due(database):
    stage = Stage(database, configured(**WRITE_OFFS))
    await stage.hear(customer(), note("CN-1"))
    assert [entry.your_ref for entry in await stage.entries()] == ["CN-1"]
    assert await stage.reasons() == ["waiting_for_due_date"]
    await stage.hear(invoice(lines=FIRST))
    assert await stage.reasons() == ["waiting_for_due_date", "vat_not_due"]


async def test_a_withheld_tax_lowers_the_debt_until_it_is_taken_off_the_invoice(database):
    stage = Stage(database, configured(withheld_taxes={"account": "1530"}))
    withheld: dict[str, Any] = {"linked_taxes_withheld": [{"id": "tax_wh_1", "amount": 1_000, "date": OCTOBER_5 + DAY}]}
    await stage.hear(customer(), invoice(lines=FIRST), *[invoice(version=2, lines=FIRST, **withheld)] * 2)
    await stage.post_all()
    [_, entry] = await stage.entries()
    assert (entry.kind, entry.document.kind, entry.your_ref, entry.entry_date) == (
        "general",
        "tax_withheld",
        "tax_wh_1",
        date(2026, 10, 6),
    )
    assert [(each.gl_account, each.amount_minor, each.is_receivable) for each in entry.lines] == [
        ("1530", 1_000, False),
        ("1300", -1_000, True),
    ]
    await stage.hear(invoice(version=3, lines=FIRST, updated_at=OCTOBER_5 + 3 * DAY), invoice(version=4, lines=FIRST))
    await stage.post_all()
    assert journal((await stage.entries())[2:]) == [("tax_wh_1/R", date(2026, 10, 8), 1_000)]


async def test_a_withheld_tax_without_an_account_is_held_and_booked_nowhere(database):
    stage = Stage(database)
    withheld: dict[str, Any] = {"linked_taxes_withheld": [{"id": "tax_wh_1", "amount": 1_000, "date": OCTOBER_5 + DAY}]}
    await stage.hear(customer(), invoice(lines=FIRST, **withheld))
    [held] = await stage.said(facts.DocumentHeld)
    assert (held.code, held.document.number) == ("no_withheld_tax_account", "tax_wh_1")
    assert [entry.your_ref for entry in await stage.entries()] == ["INV-1"]


@pytest.mark.parametrize(("correction", "total", "reasons"), [(-1, 1_209, []), (-2, 1_209, ["amounts_do_not_add_up"])])
async def test_a_fractional_correction_is_a_rounding_where_the_total_needs_it(database, correction, total, reasons):
    stage = Stage(database)
    part = {"create_reason_code": "Other", "line_items": [line(1_000, 210)], "tax": 210, "total": total}
    await stage.hear(customer(), invoice(lines=FIRST), note("CN-1", fractional_correction=correction, **part))
    assert await stage.reasons() == reasons
    if not reasons:
        _, entry = await stage.entries()
        assert [(each.gl_account, each.amount_minor) for each in entry.lines] == [("8000", -1_000), ("4900", 1)]
        assert entry.document.total_minor == -1_209


async def test_a_credit_note_of_an_invoice_from_before_the_start_is_booked_after_the_days_of_the_policy(database):
    stage = Stage(database, configured(credit_notes={"without_invoice": "book", "wait_days": 7}))
    await stage.hear(customer(), note("CN-1", create_reason_code="Other"))
    start = stage.clock.now().date()
    await stage.days_pass(start + timedelta(days=6))
    assert await stage.reasons() == ["waiting_for_invoice"]
    await stage.days_pass(start + timedelta(days=7))
    [entry] = await stage.entries()
    assert [(each.gl_account, each.amount_minor, each.vat_code) for each in entry.lines] == [("8000", -10_000, "2")]
    [planned] = await stage.said(facts.DocumentPlanned)
    assert planned.explanation[-1] == "Invoice INV-1 was never seen: booked with the customer's own country."
    await stage.hear(invoice(lines=FIRST))
    assert [each.your_ref for each in await stage.entries()] == ["CN-1", "INV-1"]


async def test_a_credit_note_waits_for_its_invoice_as_long_as_no_policy_ends_it(database):
    stage = Stage(database)
    await stage.hear(customer(), note("CN-1", create_reason_code="Other"))
    await stage.days_pass(stage.clock.now().date() + timedelta(days=400))
    assert await stage.entries() == []
    waiting, held = await stage.said(facts.DocumentHeld)
    assert (waiting.waiting, held.waiting) == (True, False)
    assert "divisions.100001: credit_notes: {without_invoice: book, wait_days: 7}" in held.action


async def test_deferred_revenue_is_never_taken_back_without_its_invoice(database):
    revenue = [{"when": {"item_price": "Team-EUR"}, "account": "8000", "defer": True}]
    stage = Stage(database, configured(credit_notes={"without_invoice": "book"}, revenue=revenue))
    await stage.hear(customer(), note("CN-1", create_reason_code="Other"))
    await stage.days_pass(stage.clock.now().date() + timedelta(days=8))
    assert await stage.entries() == []
    assert await stage.reasons() == ["waiting_for_invoice", "credited_period_unknown"]
    await stage.hear(invoice(lines=FIRST))
    assert [each.your_ref for each in await stage.entries()] == ["INV-1", "CN-1"]
