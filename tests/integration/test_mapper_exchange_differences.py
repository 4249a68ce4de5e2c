"""Money in another currency than the division's: booked at the rate of what it settles, in whatever order things arrive."""

import itertools
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.engines import database_for
from support.facts import OCTOBER_5, customer, invoice, line, observed
from support.installation import installation
from support.mapper_stage import Stage, configured, payment

from contracts import facts
from contracts.commands import PostEntry

DOLLARS: dict[str, Any] = {"currency_code": "USD", "base_currency_code": "EUR"}
LINES = [line(100_000, 0, 0, tax_exempt_reason="reverse_charge", is_taxed=False)]
INVOICE = invoice(lines=LINES, exchange_rate="0.92", **DOLLARS)
POLICY = {"exchange_differences": {"account": "4910"}}


def dollars(**more: Any):
    paid: dict[str, Any] = {
        "amount": 100_000,
        "linked_invoices": [{"invoice_id": "INV-1", "applied_amount": 100_000}],
        "exchange_rate": "0.931",
    }
    return payment(**{**paid, **DOLLARS, **more})


@pytest.fixture
async def database(tmp_path: Path):
    async with database_for("sqlite", tmp_path, "mapper") as found:
        yield found


def in_euros(entries: list[PostEntry]) -> Counter[str]:
    """Sum what stands on each account in the division's currency, as Exact turns each line."""
    sums: Counter[str] = Counter()
    for entry in entries:
        for each in entry.lines:
            amount = int((each.amount_minor * (entry.exchange_rate or Decimal(1))).quantize(Decimal(1)))
            sums[each.gl_account] += -amount if entry.kind == "sales" else amount
            sums["1300"] += amount if entry.kind == "sales" else 0
    return Counter({account: amount for account, amount in sums.items() if amount})


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_the_debtor_is_at_zero_and_the_control_account_has_what_came_in(database, order):
    stage = Stage(database, configured(**POLICY))
    facts = [customer(), INVOICE, dollars()]
    await stage.hear(*(facts[index] for index in order))
    await stage.post_all()
    entries = await stage.entries()
    assert in_euros(entries) == {"8000": -92_000, "1290": 93_100, "4910": -1_100}
    assert {entry.your_ref: entry.exchange_rate for entry in entries} == {
        "INV-1": Decimal("0.92"),
        "txn_1": Decimal("0.92"),
        "txn_1/FX": None,
    }


async def test_a_payment_that_failed_in_the_end_takes_its_difference_along(database):
    stage = Stage(database, configured(**POLICY))
    await stage.hear(customer(), INVOICE, dollars())
    await stage.post_all()
    await stage.hear(dollars(version=2, status="late_failure"))
    await stage.post_all()
    assert in_euros(await stage.entries()) == {"8000": -92_000, "1300": 92_000}


async def test_without_an_account_for_differences_the_payment_is_held_with_the_line_to_add(database):
    stage = Stage(database)
    await stage.hear(customer(), INVOICE, dollars())
    assert set(await stage.reasons()) == {"no_exchange_difference_account", "waiting_for_both_bookings"}
    after = Stage(database, configured(**POLICY))
    await after.start()
    await after.post_all()
    assert in_euros(await after.entries()) == {"8000": -92_000, "1290": 93_100, "4910": -1_100}


async def test_a_payment_of_two_invoices_balances_in_the_currency_of_the_division(database):
    """Exact turns each line by itself: 100.01 and 100.02 dollars at 0.9249 are 92.50 and 92.51 euros, 200.03 are 185.01."""
    stage = Stage(database, configured(**POLICY))
    links = [{"invoice_id": "INV-1", "applied_amount": 10_001}, {"invoice_id": "INV-2", "applied_amount": 10_002}]
    await stage.hear(customer())
    for number, amount in (("INV-1", 10_001), ("INV-2", 10_002)):
        of_one = [line(amount, 0, 0, tax_exempt_reason="reverse_charge", is_taxed=False)]
        await stage.hear(invoice(number, lines=of_one, exchange_rate="0.9249", **DOLLARS))
    await stage.hear(payment(amount=20_003, linked_invoices=links, exchange_rate="0.9249", **DOLLARS))
    (entry,) = [each for each in await stage.entries() if each.kind == "general"]
    assert entry.exchange_rate is not None
    assert not sum(in_euros([entry]).values())
    assert sorted(each.amount_minor for each in entry.lines) == [-10_002, -10_001, 10_001, 10_002]


LATER = OCTOBER_5 + 10 * 86_400


def applied(*parts: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"invoice_id": number, "applied_amount": amount, "applied_at": LATER} for number, amount in parts]


def sold(number: str, amount: int, rate: str, **more: Any):
    of_one = [line(amount, 0, 0, tax_exempt_reason="reverse_charge", is_taxed=False)]
    return invoice(number, lines=of_one, exchange_rate=rate, **DOLLARS, **more)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_money_in_advance_that_is_applied_later_leaves_the_debtor_at_zero_and_the_gateway_with_what_it_has(database, order):
    stage = Stage(database, configured(**POLICY))
    said = [INVOICE, dollars(linked_invoices=[]), dollars(version=2, linked_invoices=applied(("INV-1", 100_000)))]
    await stage.hear(customer())
    for index in order:
        await stage.hear(said[index])
        await stage.post_all()
    assert in_euros(await stage.entries()) == {"8000": -92_000, "1290": 93_100, "4910": -1_100}


async def test_an_application_is_booked_on_its_day_in_the_currency_of_the_division_and_never_as_revenue(database):
    stage = Stage(database, configured(**POLICY))
    await stage.hear(customer(), INVOICE, dollars(linked_invoices=[]))
    await stage.post_all()
    await stage.hear(dollars(version=2, linked_invoices=applied(("INV-1", 100_000))))
    [entry] = [each for each in await stage.entries() if each.document.kind == "application"]
    assert (entry.your_ref, entry.currency, entry.exchange_rate, entry.entry_date) == (
        "txn_1/INV-1/FX",
        "EUR",
        None,
        date(2026, 10, 15),
    )
    assert [(each.gl_account, each.amount_minor, each.is_receivable) for each in entry.lines] == [
        ("1300", 1_100, True),
        ("4910", -1_100, False),
    ]


async def test_money_in_advance_that_is_taken_off_its_invoice_again_takes_the_difference_along(database):
    stage = Stage(database, configured(**POLICY))
    await stage.hear(customer(), INVOICE, dollars(linked_invoices=[]))
    await stage.post_all()
    await stage.hear(dollars(version=2, linked_invoices=applied(("INV-1", 100_000))))
    await stage.post_all()
    await stage.hear(dollars(version=3, linked_invoices=[]))
    await stage.post_all()
    assert in_euros(await stage.entries()) == {"8000": -92_000, "1290": 93_100, "1300": 92_000 - 93_100}


async def test_what_is_applied_in_parts_and_what_was_rounded_by_the_line_leaves_no_cent(database):
    """Three parts of 1,000.00 at 0.9317, and an invoice of 33 lines that were rounded each: both end at nothing to the cent."""
    stage = Stage(database, configured(**POLICY))
    many = [line(1_011, 0, 0, tax_exempt_reason="reverse_charge", is_taxed=False) for _ in range(33)]
    await stage.hear(customer(), dollars(linked_invoices=[], exchange_rate="0.9317"))
    parts = (("INV-1", 33_363), ("INV-2", 33_333), ("INV-3", 33_304))
    for number, amount in parts:
        paid = [{"txn_id": "txn_1", "applied_amount": amount, "txn_status": "success"}]
        lines = many if number == "INV-1" else [line(amount, 0, 0, tax_exempt_reason="reverse_charge", is_taxed=False)]
        await stage.hear(invoice(number, lines=lines, exchange_rate="0.9249", linked_payments=paid, **DOLLARS))
    await stage.post_all()
    for count in (1, 2, 3):
        await stage.hear(dollars(version=count + 1, linked_invoices=applied(*parts[:count]), exchange_rate="0.9317"))
        await stage.post_all()
    sums = in_euros(await stage.entries())
    assert (sums["1300"], sums["1290"]) == (0, 93_170)
    assert sums["4910"] == -93_170 - sums["8000"]


async def test_the_last_of_several_payments_takes_all_that_is_left_of_an_invoice(database):
    stage = Stage(database, configured(**POLICY))
    many = [line(1_011, 0, 0, tax_exempt_reason="reverse_charge", is_taxed=False) for _ in range(33)]
    due: dict[str, Any] = {"lines": many, "exchange_rate": "0.9249", **DOLLARS}
    await stage.hear(customer(), invoice(**due, amount_due=33_363))
    parts = [("txn_1", 10_001), ("txn_2", 20_001), ("txn_3", 3_361)]
    paid: list[dict[str, Any]] = []
    for count, (identity, amount) in enumerate(parts):
        paid.append({"txn_id": identity, "applied_amount": amount, "txn_status": "success", "txn_date": OCTOBER_5 + count})
        left = 33_363 - sum(each["applied_amount"] for each in paid)
        await stage.hear(dollars(id=identity, amount=amount, linked_invoices=applied(("INV-1", amount))))
        await stage.hear(invoice(**due, version=count + 2, linked_payments=list(paid), amount_due=left))
        await stage.post_all()
    assert in_euros(await stage.entries())["1300"] == 0


async def test_one_payment_of_invoices_at_several_rates_is_booked_at_its_own(database):
    stage = Stage(database, configured(**POLICY))
    parts = (("INV-1", 10_000), ("INV-2", 20_000))
    await stage.hear(customer(), sold("INV-1", 10_000, "0.92"), sold("INV-2", 20_000, "0.95"))
    await stage.hear(dollars(amount=30_000, linked_invoices=applied(*parts)))
    await stage.post_all()
    assert in_euros(await stage.entries()) == {"8000": -28_200, "1290": 27_930, "4910": 270}


@pytest.mark.parametrize("named", ["refunded_txn_id", "reference_transaction_id"])
async def test_money_in_advance_that_goes_back_at_another_rate_leaves_the_debtor_at_zero(database, named):
    stage = Stage(database, configured(**POLICY))
    back: dict[str, Any] = {
        "type": "refund" if named == "refunded_txn_id" else "payment_reversal",
        named: "txn_1",
        "linked_invoices": [],
    }
    await stage.hear(customer(), dollars(id="txn_2", exchange_rate="0.95", **back), dollars(linked_invoices=[]))
    await stage.post_all()
    assert in_euros(await stage.entries()) == {"1290": 93_100 - 95_000, "4910": 1_900}


async def test_a_refund_of_credit_notes_at_several_rates_and_a_credit_for_another_invoice_leave_the_debtor_at_zero(database):
    stage = Stage(database, configured(**POLICY))
    await stage.hear(customer(), sold("INV-1", 10_000, "0.92"), sold("INV-2", 20_000, "0.95"), sold("INV-3", 5_000, "0.90"))
    links = {"CN-1": 10_000, "CN-2": 15_000}
    for number, of, amount, allocated in (("CN-1", "INV-1", 10_000, 0), ("CN-2", "INV-2", 20_000, 5_000)):
        note = {
            **msgspec.to_builtins(sold(number, amount, "0.93").resource),
            "type": "refundable",
            "status": "refunded",
            "reference_invoice_id": of,
            "allocations": [{"invoice_id": "INV-3", "allocated_amount": allocated, "allocated_at": LATER}] if allocated else [],
        }
        shown = {"issued_credit_notes": [{"cn_id": number, "cn_date": OCTOBER_5, "cn_total": amount, "cn_status": "refunded"}]}
        await stage.hear(sold(of, amount, "0.92" if of == "INV-1" else "0.95", version=2, **shown))
        await stage.hear(observed(facts.CreditNoteObserved, note))
    await stage.hear(dollars(amount=30_000, linked_invoices=applied(("INV-1", 10_000), ("INV-2", 20_000))))
    back = [{"cn_id": number, "applied_amount": amount, "applied_at": LATER} for number, amount in links.items()]
    await stage.hear(
        dollars(id="txn_2", type="refund", amount=25_000, linked_invoices=[], linked_credit_notes=back, exchange_rate="0.91")
    )
    await stage.post_all()
    sums = in_euros(await stage.entries())
    assert (sums["1300"], sums["1290"]) == (0, 27_930 - 22_750)


async def test_cents_of_an_invoice_settled_by_credit_and_by_payments_are_on_the_account_for_differences(database):
    """100.00 dollars at 0.9217 are 92.17, but 33.00, 33.00 and 34.00 of them 30.42, 30.42 and 31.34, a cent more."""
    shares = {"CN-2": 3_300, "txn_1": 3_300, "txn_2": 3_400}
    stage = Stage(database, configured(**POLICY))
    credits_ = [{"cn_id": "CN-2", "applied_amount": 3_300, "applied_at": LATER}]
    linked = [
        {
            "txn_id": name,
            "applied_amount": shares[name],
            "txn_status": "success",
            "txn_date": LATER + place,
            "txn_amount": shares[name],
        }
        for place, name in enumerate(("txn_1", "txn_2"))
    ]
    paid = {"status": "paid", "amount_due": 0, "applied_credits": credits_, "linked_payments": linked}
    note = {
        **msgspec.to_builtins(sold("CN-2", 3_300, "0.9500").resource),
        "type": "refundable",
        "status": "refunded",
        "reference_invoice_id": "INV-9",
        "allocations": [{"invoice_id": "INV-1", "allocated_amount": 3_300, "allocated_at": LATER}],
    }
    shown = {"issued_credit_notes": [{"cn_id": "CN-2", "cn_date": OCTOBER_5, "cn_total": 3_300, "cn_status": "refunded"}]}
    of_note = [dollars(id="txn_9", amount=3_300, linked_invoices=applied(("INV-9", 3_300)))]
    payments = [
        dollars(id=name, amount=shares[name], linked_invoices=applied(("INV-1", shares[name])), exchange_rate="0.9300")
        for name in ("txn_1", "txn_2")
    ]
    await stage.hear(customer(), sold("INV-9", 3_300, "0.9500", **shown), *of_note, *payments)
    await stage.hear(observed(facts.CreditNoteObserved, note), sold("INV-1", 10_000, "0.9217", version=2, **paid))
    await stage.post_all()
    assert in_euros(await stage.entries())["1300"] == 0


async def test_cents_of_a_credit_note_refunded_in_parts_are_on_the_account_for_differences(database):
    stage = Stage(database, configured(**POLICY))
    parts = {"txn_2": 3_300, "txn_3": 3_300, "txn_4": 3_400}
    note = {
        **msgspec.to_builtins(sold("CN-1", 10_000, "0.9217").resource),
        "type": "refundable",
        "status": "refunded",
        "reference_invoice_id": "INV-1",
        "linked_refunds": [
            {"txn_id": name, "applied_amount": amount, "txn_status": "success", "txn_date": LATER + place, "txn_amount": amount}
            for place, (name, amount) in enumerate(parts.items())
        ],
    }
    shown = {"issued_credit_notes": [{"cn_id": "CN-1", "cn_date": OCTOBER_5, "cn_total": 10_000, "cn_status": "refunded"}]}
    await stage.hear(customer(), sold("INV-1", 10_000, "0.9217", **shown), dollars(amount=10_000))
    for name, amount in parts.items():
        back = {"linked_invoices": [], "linked_credit_notes": [{"cn_id": "CN-1", "applied_amount": amount, "applied_at": LATER}]}
        await stage.hear(dollars(id=name, type="refund", amount=amount, exchange_rate="0.9217", **back))
    await stage.hear(observed(facts.CreditNoteObserved, note))
    await stage.post_all()
    assert in_euros(await stage.entries())["1300"] == 0


async def test_money_from_the_bank_and_rates_of_exact_leave_differences_to_exact(database):
    stage = Stage(database, configured(exchange_rates="exact", **POLICY))
    await stage.hear(customer(), INVOICE, dollars(linked_invoices=[]), dollars(version=2))
    await stage.post_all()
    codes = [each.code for each in await stage.said(facts.DocumentSetAside) if each.document.kind == "application"]
    assert codes == ["exchange_difference_by_exact"]
    await stage.hear(dollars(id="txn_9", gateway="not_applicable", linked_invoices=applied(("INV-1", 100_000))))
    assert not [each for each in await stage.said(facts.DocumentHeld) if each.document.number.startswith("txn_9/")]


async def test_what_is_in_the_sites_currency_and_not_in_the_divisions_ends_at_zero_too(database):
    """The site counts in dollars and the division in euros, by rates of its own list."""
    rates = [{"currency": "USD", "from": "2026-01-01", "rate": "0.92"}, {"currency": "USD", "from": "2026-10-10", "rate": "0.95"}]
    stage = Stage(database, configured(exchange_rates={"policy": "table", "table": rates}, **POLICY))
    own: dict[str, Any] = {"base_currency_code": "USD", "exchange_rate": "1"}
    of_one = [line(10_000, 0, 0, tax_exempt_reason="reverse_charge", is_taxed=False)]
    await stage.hear(customer(), invoice(lines=of_one, **{**DOLLARS, **own}))
    at_once = {"amount": 4_000, "linked_invoices": applied(("INV-1", 4_000)), "date": LATER}
    before = {"amount": 6_000, "date": LATER, "linked_invoices": []}
    await stage.hear(dollars(**{**at_once, **own}), dollars(id="txn_2", **{**before, **own}))
    await stage.post_all()
    await stage.hear(dollars(id="txn_2", version=2, **{**before, **own, "linked_invoices": applied(("INV-1", 6_000))}))
    await stage.post_all()
    assert in_euros(await stage.entries()) == {"8000": -9_200, "1290": 9_500, "4910": -300}


async def test_a_difference_is_explained_with_what_it_comes_to_in_the_currency_of_the_division(tmp_path):
    async with installation("sqlite", tmp_path) as installed:
        installed.write(tmp_path / "kruispost.yaml", **POLICY)
        stage = Stage(installed.stage.database, configured(**POLICY))
        await stage.hear(customer(), INVOICE, dollars())
        await stage.post_all()
        _, found = await installed.json("explain", "txn_1")
    amounts = {each["kind"]: (each["currency"], each["total_minor"]) for each in found["documents"]}
    assert amounts == {"exchange_difference": ("EUR", 1_100), "payment": ("USD", -100_000)}
