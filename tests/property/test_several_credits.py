"""Several notes that together credit one invoice in another currency: nothing is left in euros, in whatever order they arrive."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.engines import database_for
from support.facts import OCTOBER_5, customer, invoice, line, observed
from support.mapper_stage import Stage, configured

from bookkeeping.money import allocate
from contracts import facts
from contracts.commands import PostEntry

DAY = 86_400
RATES = ("0.9217", "0.0061", "1.0001", "0.9999", "1.3333", "2.0000")
CONFIGURED = configured(exchange_differences={"account": "4910"})


def tax_of(amount: int, percent: int) -> int:
    return int((Decimal(amount) * percent / 100).quantize(Decimal(1), ROUND_HALF_UP))


def history(seed: int) -> list[facts.Observed]:
    """A sale, its notes, and the sale as it lists them; the notes share the amount and the VAT of each line at random."""
    luck = random.Random(seed)
    dollars = {"currency_code": "USD", "base_currency_code": "EUR", "exchange_rate": luck.choice(RATES)}
    sold = [(luck.randint(500, 99_999), luck.choice((21, 9))) for _ in range(luck.randint(1, 5))]
    lines = [line(amount, tax_of(amount, rate), rate, id=f"li_{index}") for index, (amount, rate) in enumerate(sold)]
    count = luck.randint(2, 5)
    weights = [[luck.randint(0, 3) for _ in range(count - 1)] + [1] for _ in sold]
    shares = [
        (allocate(amount, weight), allocate(tax_of(amount, rate), weight))
        for (amount, rate), weight in zip(sold, weights, strict=True)
    ]
    notes: list[dict[str, Any]] = []
    for number in range(count):
        back = [
            line(amounts[number], taxes[number], sold[index][1], id=f"back_{index}", reference_line_item_id=f"li_{index}")
            for index, (amounts, taxes) in enumerate(shares)
            if amounts[number]
        ]
        tax = sum(taxes[number] for _, taxes in shares)
        kind = luck.choice(("adjustment", "refundable"))
        notes.append(
            {
                "id": f"CN-{number}",
                "customer_id": "CUST1",
                "type": kind,
                "status": "adjusted" if kind == "adjustment" else "refunded",
                "date": OCTOBER_5 + luck.randint(1, 3) * DAY,
                "reference_invoice_id": "INV-1",
                "total": sum(amounts[number] for amounts, _ in shares) + tax,
                "tax": tax,
                "line_items": back,
                **dollars,
            }
        )
    notes = [note for note in notes if note["line_items"]]
    listed = [
        {"cn_id": note["id"], "cn_date": note["date"], "cn_total": note["total"], "cn_status": note["status"]} for note in notes
    ]
    sale: dict[str, Any] = {"lines": lines, **dollars}
    return [
        invoice(**sale),
        invoice(**sale, version=2, adjustment_credit_notes=listed),
        *(observed(facts.CreditNoteObserved, note) for note in notes),
    ]


def in_euros(entries: Sequence[PostEntry]) -> Counter[str]:
    """What Exact makes of them: each amount rounded by itself, on its account and on the box of its VAT code."""
    sums: Counter[str] = Counter()
    for entry in entries:
        rate = entry.exchange_rate or Decimal(1)
        for each in entry.lines:
            base, tax = (
                int((amount * rate).quantize(Decimal(1), ROUND_HALF_UP))
                for amount in (each.amount_minor, each.vat_amount_minor or 0)
            )
            sums.update(
                {each.gl_account: base, f"base of {each.vat_code}": base, f"VAT of {each.vat_code}": tax, "1300": -base - tax}
            )
    return sums


async def booked(arriving: Sequence[facts.Observed], directory: Path, luck: random.Random) -> dict[str, PostEntry]:
    """Let a new mapper hear them, Exact posting at any moment, and return the entry of each document."""
    async with database_for("sqlite", directory, "mapper", one_at_a_time=True) as database:
        stage = Stage(database, CONFIGURED)
        await stage.hear(customer())
        for fact in arriving:
            await stage.hear(fact)
            if luck.random() < 1 / 3:
                await stage.post_all()
        await stage.post_all()
        entries = [each for each in await stage.entries() if each.document.kind in ("invoice", "credit_note")]
    assert len({each.your_ref for each in entries}) == len(entries)
    return {each.your_ref: each for each in entries}


def places(directory: Path) -> list[Path]:
    found = [directory / name for name in ("one", "other")]
    for each in found:
        each.mkdir()
    return found


@pytest.mark.parametrize("seed", range(24))
async def test_notes_that_credit_a_whole_invoice_leave_nothing_on_any_account_in_whatever_order_they_arrive(seed, tmp_path: Path):
    documents, luck = history(seed), random.Random(seed)
    made = [await booked(luck.sample(documents, len(documents)), directory, luck) for directory in places(tmp_path)]
    assert len(made[0]) == len(documents) - 1, "the sale was shown twice"
    contents = [{number: msgspec.structs.replace(each, command_id="") for number, each in books.items()} for books in made]
    assert contents[0] == contents[1], "the order of arrival changes nothing"
    sums = in_euros(list(made[0].values()))
    debtor = sums.pop("1300")
    assert abs(debtor) <= len(documents), "cents, which applying the notes brings to the account of differences"
    assert sums.pop("4910", 0) == -debtor
    sums.pop("base of N", 0)  # the code of the account of differences
    assert not any(sums.values()), sums
