"""Money in another currency than the division's: booked at the rate of what it settles, in whatever order things arrive."""

import itertools
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.engines import database_for
from support.facts import customer, invoice, line
from support.mapper_stage import Stage, configured, payment

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
    assert set(await stage.reasons()) == {"no_exchange_difference_account"}
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


async def test_money_that_is_applied_only_after_it_was_booked_leaves_the_control_account_as_it_is(database):
    """It stands there at its own rate already; what it was applied to since makes no difference on that account."""
    stage = Stage(database, configured(**POLICY))
    await stage.hear(customer(), INVOICE, dollars(linked_invoices=[]))
    await stage.post_all()
    await stage.hear(dollars(version=2))
    await stage.post_all()
    assert in_euros(await stage.entries())["1290"] == 93_100
    assert in_euros(await stage.entries())["4910"] == 0
