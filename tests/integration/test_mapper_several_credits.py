"""Several notes credit one invoice of 121.00 dollars in whole, and are voided, replaced, dated back or written off meanwhile."""

from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from support.engines import DATABASES, database_for
from support.facts import OCTOBER_5, customer, invoice, line, observed
from support.installation import installation
from support.mapper_stage import Stage, configured, posted

from contracts import facts
from contracts.commands import PostEntry

DAY = 86_400
RATE = Decimal("0.905")
DOLLARS: dict[str, Any] = {"currency_code": "USD", "base_currency_code": "EUR", "exchange_rate": str(RATE)}
LINES = [line(10_000, 2_100, id="li_1")]
DIFFERENCES: dict[str, Any] = {"exchange_differences": {"account": "4910"}}
LEDGER: dict[str, Any] = {
    "mode": "ledger",
    "journals": {"invoices": "70", "credit_notes": "70", "payments": "90", "ledger": "91"},
}
WRITE_OFFS: dict[str, Any] = {
    "write_offs": {"account": "4700"},
    "journals": {"invoices": "70", "credit_notes": "70", "payments": "90", "write_offs": "91"},
}


def note(number: str, net: int, tax: int = 700, *, day: int, **more: Any) -> facts.Observed:
    """A credit of a third of the invoice's line."""
    resource: dict[str, Any] = {
        "id": number,
        "customer_id": "CUST1",
        "type": "adjustment",
        "status": "adjusted",
        "reference_invoice_id": "INV-1",
    }
    resource |= {"date": OCTOBER_5 + day * DAY, "total": net + tax, "tax": tax, **DOLLARS}
    resource["line_items"] = [line(net, tax, id=f"back_{number}", reference_line_item_id="li_1")]
    version = more.pop("version", 1)
    return observed(facts.CreditNoteObserved, {**resource, **more}, version)


def sale(version: int, *notes: facts.Observed) -> facts.Observed:
    """The invoice as it lists these notes."""
    shown = [each.resource for each in notes if isinstance(each, facts.CreditNoteObserved)]
    listed = [{"cn_id": each.id, "cn_date": each.date, "cn_total": each.total, "cn_status": each.status} for each in shown]
    return invoice(version=version, lines=LINES, adjustment_credit_notes=listed, **DOLLARS)


A, B, C = note("CN-A", 3_333, day=1), note("CN-B", 3_333, day=2), note("CN-C", 3_334, day=3)


@pytest.fixture(params=DATABASES)
async def database(request, tmp_path: Path):
    async with database_for(request.param, tmp_path, "mapper") as found:
        yield found


@pytest.fixture
async def stage(database):
    return Stage(database, configured(**DIFFERENCES))


def in_euros(entries: list[PostEntry]) -> Counter[str]:
    """What Exact makes of them: each amount rounded by itself, on its account and its VAT code; debit is positive."""
    sums: Counter[str] = Counter()
    for entry in entries:
        rate = Decimal(1) if entry.currency == "EUR" else entry.exchange_rate or RATE
        for each in entry.lines:
            sign = -1 if entry.kind == "sales" else 1
            base, tax = (
                sign * int((amount * rate).quantize(Decimal(1), ROUND_HALF_UP))
                for amount in (each.amount_minor, each.vat_amount_minor or 0)
            )
            sums.update({each.gl_account: base, f"VAT {each.vat_code}": tax})
    return sums


def left(entries: list[PostEntry]) -> dict[str, int]:
    """What is left on revenue and VAT."""
    sums = in_euros([each for each in entries if each.document.kind in ("invoice", "credit_note")])
    return {name: sums[name] for name in ("8000", "VAT 2")}


async def of(stage: Stage, number: str) -> dict[str, int]:
    return left([each for each in await stage.entries() if each.your_ref == number])


async def test_the_last_note_takes_what_the_others_leave_of_the_invoices_euros(stage):
    await stage.hear(customer(), sale(1, A, B, C), A, B, C)
    await stage.post_all()
    assert left(await stage.entries()) == {"8000": 0, "VAT 2": 0}
    assert [await of(stage, number) for number in ("CN-A", "CN-B", "CN-C")] == [
        {"8000": 3_016, "VAT 2": 634},
        {"8000": 3_016, "VAT 2": 634},
        {"8000": 3_018, "VAT 2": 633},
    ]


async def test_the_last_note_waits_until_the_others_are_seen_and_booked(stage):
    await stage.hear(customer(), sale(1, A, B, C), C)
    [held] = await stage.said(facts.DocumentHeld)
    assert (held.code, held.waiting, "invoice INV-1" in held.sentence or "credit note CN-A" in held.sentence) == (
        "waiting_for_credits",
        True,
        True,
    )
    await stage.hear(B, A)
    await stage.post_all()
    assert left(await stage.entries()) == {"8000": 0, "VAT 2": 0}
    assert await of(stage, "CN-C") == {"8000": 3_018, "VAT 2": 633}


async def test_a_note_waits_until_the_invoice_lists_it(stage):
    await stage.hear(customer(), sale(1), A)
    assert await stage.reasons() == ["waiting_for_credits"]
    await stage.hear(sale(2, A))
    assert await of(stage, "CN-A") == {"8000": 3_016, "VAT 2": 634}


async def test_what_replaces_a_voided_note_takes_what_that_one_left(stage):
    voided = note("CN-A", 3_333, day=1, version=2, status="voided", voided_at=OCTOBER_5 + 5 * DAY)
    later = note("CN-D", 3_333, day=6)
    await stage.hear(customer(), sale(1, A, B, C), A, B, C)
    await stage.post_all()
    await stage.hear(voided, sale(2, voided, B, C, later), later)
    await stage.post_all()
    assert left(await stage.entries()) == {"8000": 0, "VAT 2": 0}
    assert len([each for each in await stage.entries() if each.your_ref == "CN-A/R"]) == 1
    assert await of(stage, "CN-D") == {"8000": 3_016, "VAT 2": 634}


@pytest.mark.parametrize("is_told_first", [True, False])
async def test_a_void_after_the_last_note_was_made_changes_nothing_in_it_whenever_it_is_told(stage, is_told_first):
    voided = note("CN-A", 3_333, day=1, version=2, status="voided", voided_at=OCTOBER_5 + 5 * DAY)
    await stage.hear(customer(), sale(1, A, B, C), B, *([voided, C] if is_told_first else [A, C, voided]))
    await stage.post_all()
    assert await of(stage, "CN-C") == {"8000": 3_018, "VAT 2": 633}


async def test_a_note_that_was_voided_before_the_last_one_was_made_counts_for_nothing(stage):
    voided = note("CN-A", 3_333, day=1, status="voided", voided_at=OCTOBER_5 + 2 * DAY)
    instead = note("CN-D", 3_334, day=3)
    await stage.hear(customer(), sale(1, voided, B, instead, C2), voided, B, instead, C2)
    await stage.post_all()
    assert left(await stage.entries()) == {"8000": 0, "VAT 2": 0}


C2 = note("CN-E", 3_333, day=4)


async def test_the_last_note_waits_no_more_for_one_that_was_voided_before_it_was_booked(database):
    """CN-A waits for its product, and CN-C for CN-A, until CN-A is left out: then nothing completes the credit in these books."""
    stage = Stage(database, configured(**DIFFERENCES, voided_before_booking="skip"))
    unknown = [line(3_333, 700, entity="Unseen-EUR", id="back_CN-A", reference_line_item_id="li_1")]
    held = note("CN-A", 3_333, day=1, line_items=unknown)
    voided = note("CN-A", 3_333, day=1, line_items=unknown, version=2, status="voided", voided_at=OCTOBER_5 + 5 * DAY)
    await stage.hear(customer(), sale(1, held, B, C), held, B, C)
    await stage.post_all()
    assert await stage.reasons() == ["waiting_for_product", "waiting_for_credits"]
    await stage.hear(voided)
    assert await of(stage, "CN-C") == {"8000": 3_017, "VAT 2": 634}


async def test_a_note_that_is_dated_before_those_that_are_booked_takes_what_they_leave(stage):
    await stage.hear(customer(), sale(1, B, C), B, C)
    await stage.post_all()
    assert await of(stage, "CN-C") == {"8000": 3_017, "VAT 2": 634}
    await stage.hear(sale(2, A, B, C), A)
    await stage.post_all()
    assert left(await stage.entries()) == {"8000": 0, "VAT 2": 0}
    assert await of(stage, "CN-A") == {"8000": 3_017, "VAT 2": 633}


async def test_a_write_off_credits_no_revenue_so_nothing_is_taken_along(database):
    stage = Stage(database, configured(**DIFFERENCES, **WRITE_OFFS))
    written_off = note("CN-A", 3_333, day=1, create_reason_code="Write-off")
    await stage.hear(customer(), sale(1, written_off, B, C), written_off, B, C)
    await stage.post_all()
    assert await of(stage, "CN-C") == {"8000": 3_017, "VAT 2": 634}


async def test_in_mode_ledger_nothing_is_left_either(database):
    stage = Stage(database, configured(**DIFFERENCES, **LEDGER))
    await stage.hear(customer(), sale(1, A, B, C), C, A, B)
    await stage.post_all()
    entries = await stage.entries()
    assert {each.kind for each in entries if each.document.kind == "credit_note"} == {"general"}
    assert left(entries) == {"8000": 0, "VAT 2": 0}


async def test_at_exacts_own_rate_the_notes_have_the_one_that_exact_gave_the_invoice(database):
    stage = Stage(database, configured(exchange_rates={"policy": "exact"}))
    await stage.hear(customer(), sale(1, A, B, C), C, A, B)
    [booked] = await stage.entries()
    await stage.hear(posted(booked, exchange_rate=RATE))
    stage.posted.add(booked.command_id)
    await stage.post_all()
    assert left(await stage.entries()) == {"8000": 0, "VAT 2": 0}


async def test_commands_make_each_note_as_it_is_booked_and_explain_says_what_went_with_the_last(tmp_path: Path):
    async with installation("sqlite", tmp_path) as installed:
        installed.write(tmp_path / "kruispost.yaml", **DIFFERENCES)
        stage = Stage(installed.stage.database, configured(**DIFFERENCES))
        await stage.hear(customer(), sale(1, B, C), B, C)
        await stage.post_all()
        await stage.hear(sale(2, A, B, C), A)
        await stage.post_all()
        _, found = await installed.json("diff", str(tmp_path / "kruispost.yaml"), "--against", "booked")
        assert found["documents"] == []
        _, found = await installed.json("rebook")
        assert found["documents"] == []
        told = (await installed.run("explain", "CN-A")).stdout
        assert "With this note the whole invoice is credited: 0.01 EUR that rounding left of VAT code 2 goes with it." in told
        assert "whole invoice" not in (await installed.run("explain", "CN-C")).stdout


def with_tax(amount: int, tax: int, discount: int, line_id: str, **more: Any) -> dict[str, Any]:
    """What a document on tax-inclusive prices says of its one line and the discount of that."""
    items = [line(amount, tax, id=line_id, discount_amount=discount, **more)]
    discounts = [{"line_item_id": line_id, "discount_type": "document_level_discount", "discount_amount": discount}]
    return {
        "line_items": items,
        "line_item_discounts": discounts,
        "price_type": "tax_inclusive",
        "total": amount - discount,
        "tax": tax,
    }


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_of_discounts_shown_on_prices_with_tax_the_last_note_takes_the_cent_that_rounding_leaves(database, order):
    """9.99 is 8.26 without its tax; three times 3.33 is 2.75 each."""
    stage = Stage(database, configured(discounts={"posting": "gross", "rules": [{"account": "8090"}]}))
    euros: dict[str, Any] = {"currency_code": "EUR", "exchange_rate": None}
    notes = [
        note(f"CN-{day}", 0, day=day, **with_tax(1_333, tax, 333, f"back_{day}", reference_line_item_id="li_1"), **euros)
        for day, tax in ((1, 174), (2, 174), (3, 173))
    ]
    listed = [{"cn_id": f"CN-{day}", "cn_date": OCTOBER_5 + day * DAY, "cn_total": 1_000} for day in (1, 2, 3)]
    sold = {**with_tax(3_999, 521, 999, "li_1"), "adjustment_credit_notes": listed}
    await stage.hear(customer(), invoice(lines=sold.pop("line_items"), **sold), *(notes[each] for each in order))
    await stage.post_all()
    entries = await stage.entries()
    assert [len(entries), {name: amount for name, amount in in_euros(entries).items() if amount}] == [4, {}]
    booked = {each.your_ref: [(line.gl_account, abs(line.amount_minor)) for line in each.lines] for each in entries}
    assert booked["CN-2"] == [("8000", 1_101), ("8090", 275)]
    assert booked["CN-3"] == [("8000", 1_103), ("8090", 276)]
    [last] = [each for each in await stage.said(facts.DocumentPlanned) if each.document.number == "CN-3"]
    assert any("0.01 EUR that rounding left on 8090 goes with it" in sentence for sentence in last.explanation)
