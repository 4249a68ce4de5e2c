"""An invoice in dollars of which a bank transfer pays the last, booked by the bank's import in Exact at a rate of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.chargebee_shop import VAT_21
from support.payment_world import World, payment_world
from support.payment_years import Year, cents

from exact_writer.ledger_shelf import LedgerShelf
from mapper.configuration import mappings_of
from mapper.reconcile_columns import Columns, Wish
from mapper.reconcile_scratch import Scratch
from mapper.reconcile_sources import Sources
from mapper.reconcile_strangers import Strangers
from mapper.store import Row
from payment_matcher import unequal
from simulators.chargebee import invoices, payments
from simulators.chargebee.pricing import LineSpec
from simulators.exact import bank_entries, receivables

DAY = datetime(2026, 3, 10)  # noqa: DTZ001 (Exact's dates have no zone)
OWN = ("90", "4910")


async def paid_in_two(world: World, *, bank_rate: str) -> dict[str, Any]:
    """Let a card pay a part of an invoice at another rate, and the bank the rest, matched in Exact as a bookkeeper does."""
    customer = Year(1, world)
    lines = (LineSpec("plan_item_price", "Plan", 33_333, "Plan-EUR-Monthly", tax=VAT_21),)
    spec = invoices.InvoiceSpec(customer.customer_id, lines, net_term_days=14, currency="USD", exchange_rate="0.9217")
    invoice = invoices.create_invoice(world.site, spec)
    await world.settle()
    card = payments.Money(
        "card", 11_111, gateway="stripe", gateway_account_id="gw_1", id_at_gateway="ch_1", exchange_rate="0.9310"
    )
    payments.pay_invoice(world.site, invoice["id"], card)
    await world.settle()
    exact = world.exact
    debtors = exact.by_code("financial/GLAccounts", "1300")
    assert debtors is not None
    (account,) = [row["ID"] for row in exact.table("crm/Accounts") if row["Name"] == customer.name]
    line = {"GLAccount": debtors["ID"], "Account": account, "AmountFC": Decimal(invoice["amount_due"]) / 100, "Date": DAY}
    line |= {"Description": invoice["id"], "ExchangeRate": Decimal(bank_rate)}
    bank_entries.create(exact, {"JournalCode": "20", "Currency": "USD", "BankEntryLines": [line]})
    debt, by_card, by_bank = (_open(world, kind) for kind in (20, 90, 40))
    receivables.match_part(exact, debt, by_card, abs(by_card["AmountFC"]))
    receivables.match(exact, _open(world, 20), by_bank)
    world.pass_days(1)
    await world.settle()
    return invoice


def _open(world: World, kind: int) -> dict[str, Any]:
    terms = world.exact.table(receivables.TERMS)
    return next(term for term in terms if term["TransactionType"] == kind and term["Status"] == receivables.OPEN)


def standing(world: World, account: str) -> tuple[int, int]:
    """Return what stands on a ledger account: in cents of dollars, and of euros."""
    lines = [each for each in world.exact.table("financialtransaction/TransactionLines") if each["GLAccountCode"] == account]
    foreign = sum(cents(each["AmountFC"]) for each in lines if each["Currency"] == "USD")
    return foreign, sum(cents(each["AmountDC"]) for each in lines)


@pytest.mark.parametrize("bank_rate", ["0.9405", "0.9217", "0.9001"])
async def test_the_debtor_ends_at_zero_in_both_currencies_and_each_difference_on_its_own_account(
    bank_rate: str, tmp_path: Path
) -> None:
    """Ours is what the card's rate made, Exact's own what the bank's rate and the cents of rounding made: never revenue."""
    async with payment_world(tmp_path, exact={"exchange_difference": OWN}) as world:
        invoice = await paid_in_two(world, bank_rate=bank_rate)
        assert (invoice["status"], invoice["amount_due"]) == ("paid", 0)
        assert standing(world, "1300") == (0, 0)
        lines = [each for each in world.exact.table("financialtransaction/TransactionLines") if each["GLAccountCode"] == "4910"]
        by_type: Counter[int] = Counter()
        for each in lines:
            by_type[each["Type"]] += cents(each["AmountDC"])
        # The card's 111.11 dollars are worth 102.41 at the invoice's rate and 103.44 at their own; the bank pays what is left.
        by_bank = int((Decimal(29_222) * Decimal(bank_rate)).quantize(Decimal(1)))
        assert (by_type[90], by_type[82]) == (-(10_344 - 10_241), -(by_bank - (37_175 - 10_241)))
        async with world.matcher.reading() as connection:
            assert await unequal.read(connection, until=world.clock.now()) == []
        said = await of_reconcile(world)
        assert said == ({("not_ours", "entry_exchange_difference")} if by_type[82] else set())


async def of_reconcile(world: World) -> set[tuple[str, str]]:
    """What a reconciliation says of entries that no command of ours made, in the journal of payments."""

    async def nobody(*_: Any) -> bool:
        raise AssertionError("nothing is read of Exact")

    sources = Sources(world.mapper.database, None, LedgerShelf(world.writer.database, nobody))
    mapping = next(iter(mappings_of(world.settings).values()))
    wish = Wish(division=mapping.division, first=DAY.date().replace(day=1), last=DAY.date().replace(day=28), by="day")

    async def judge(rows: Sequence[Row]) -> None:
        del rows  # what is ours is judged elsewhere

    with Scratch() as scratch:
        columns = Columns(wish, scratch, "1300")
        await Strangers(wish, ["90"], "1300", sources, scratch, columns, judge).run()
        return {(each.kind, each.name) for each in scratch.findings()}
