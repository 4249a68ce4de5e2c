"""Matching anew in Exact between two readings: invoice and receipt show as matched all the time, on the same day as before."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from support.payment_world import World, payment_world
from support.payment_years import Year

from contracts import facts
from payment_matcher import standing
from simulators.chargebee import credit_notes
from simulators.exact import receivables
from simulators.exact.wire import Row


class Paid:
    """An invoice paid by bank, whose credit note was paid out by bank, as Exact shows both."""

    def __init__(self, world: World, year: Year) -> None:
        self.world, self.year = world, year

    async def begin(self, days_until_paid_out: float) -> None:
        """Let it happen, and be read."""
        invoice = self.year.bill()
        await self.world.settle()
        await self.year.transfer()
        await self.world.settle()
        note = credit_notes.create_credit_note(self.world.site, invoice["id"], kind="refundable", reason="Order Change")
        await self.world.settle()
        self.world.pass_days(days_until_paid_out)
        await self.year.receive(-note["total"], f"terug {note['id']}")
        await self.world.settle()

    def _term(self, kind: int, *, is_positive: bool) -> Row:
        (found,) = [
            term
            for term in self.world.exact.table(receivables.TERMS)
            if term["TransactionType"] == kind and (term["AmountFC"] > 0) == is_positive
        ]
        return found

    async def match(self, *, with_receipt: bool) -> list[facts.PaymentNotRecorded]:
        """Match the invoice with its receipt and the note with what paid it out, or crosswise; return what is told then."""
        exact, heard = self.world.exact, len(self.world.said)
        money_in, money_out = (self._term(40, is_positive=each) for each in (True, False))
        invoice, note = self._term(20, is_positive=False), self._term(21, is_positive=True)
        for term in (invoice, note, money_in, money_out):
            receivables.unmatch(exact, term["TransactionEntryID"])
        pairs = ((invoice, money_in), (note, money_out)) if with_receipt else ((invoice, note), (money_in, money_out))
        for pair in pairs:
            one, other = (exact.table(receivables.TERMS).get(each["ID"]) for each in pair)
            assert one is not None
            assert other is not None
            receivables.match(exact, one, other)
        await self.world.settle()
        return [each for each in self.world.said[heard:] if isinstance(each, facts.PaymentNotRecorded)]

    async def doubtful(self) -> list[str]:
        """The payments that the list names as having no receipt."""
        async with self.world.matcher.reading() as connection:
            return [each.recorded.transaction_id for each in await standing.doubtful(connection)]


@pytest.mark.parametrize(
    ("opened", "days"),
    [("emptied", 0), ("kept", 1)],
    ids=["all on one day, and the receipt names its invoice no more", "paid out later, so the receipt shows that day"],
)
async def test_a_receipt_that_was_matched_with_money_that_went_out_is_told(
    opened: Literal["kept", "emptied"], days: float, tmp_path: Path
) -> None:
    exact: dict[str, Any] = {"your_ref_of_opened": opened}
    async with payment_world(tmp_path, exact=exact) as world:
        paid = Paid(world, Year(1, world))
        await paid.begin(days)
        (payment,) = [each["id"] for each in paid.year.money()]
        (told,) = await paid.match(with_receipt=False)
        assert (told.code, payment in told.sentence) == ("receipt_matched_anew", True)
        assert await paid.doubtful() == [payment]
        assert await paid.match(with_receipt=True) == []
        assert await paid.doubtful() == []


async def test_where_exact_keeps_the_number_and_all_is_of_one_day_it_shows_nothing(tmp_path: Path) -> None:
    """The limit of what can be seen: no field is another but those that change with whatever is done to a term."""
    async with payment_world(tmp_path, exact={"your_ref_of_opened": "kept"}) as world:
        paid = Paid(world, Year(1, world))
        await paid.begin(0)
        fields = ("Status", "YourRef", "LastPaymentDate", "EndDate", "EndPeriod", "AmountFC")
        before = [[term.get(name) for name in fields] for term in world.exact.table(receivables.TERMS)]
        assert await paid.match(with_receipt=False) == []
        assert [[term.get(name) for name in fields] for term in world.exact.table(receivables.TERMS)] == before


async def test_two_receipts_of_one_amount_that_change_places_trouble_nobody(tmp_path: Path) -> None:
    """As much money is matched as was recorded, although each receipt names another invoice now."""
    async with payment_world(tmp_path, exact={"your_ref_of_opened": "emptied"}) as world:
        year = Year(1, world)
        one, other = year.bill(), year.bill()
        while other["total"] != one["total"]:
            other = year.bill()
        await world.settle()
        for number in (one["id"], other["id"]):
            await year.receive(one["total"], f"factuur {number}")
        await world.settle()
        exact, heard = world.exact, len(world.said)
        matched = [term for term in exact.table(receivables.TERMS) if term["Status"] == receivables.MATCHED]
        receipts, debts = ([term for term in matched if (term["AmountFC"] > 0) == is_money] for is_money in (True, False))
        named = [term["YourRef"] for term in receipts]
        assert sorted(named) == sorted((one["id"], other["id"]))
        for term in receipts:
            receivables.unmatch(exact, term["TransactionEntryID"])
        for receipt, number in zip(receipts, reversed(named), strict=True):
            debt = exact.table(receivables.TERMS).get(next(each["ID"] for each in debts if each["YourRef"] == number))
            assert debt is not None
            receivables.match(exact, debt, exact.table(receivables.TERMS).get(receipt["ID"]) or receipt)
        await world.settle()
        assert [each for each in world.said[heard:] if isinstance(each, facts.PaymentNotRecorded)] == []
        assert len(year.money()) == 2
