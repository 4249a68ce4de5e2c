"""Notes that together credit an invoice on tax-inclusive prices, its discounts shown: nothing is left on any account."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_changes
from support.golden import chart

from bookkeeping.discounts import DiscountRule, DiscountRules
from bookkeeping.documents import CreditedLine, CreditNote, DocumentLine, Invoice, LineDiscount, LineTax
from bookkeeping.entries import make_entry
from bookkeeping.journal import Entry
from bookkeeping.money import allocate, half_up

PRODUCTS = {Decimal(0): "team-EUR", Decimal(9): "book-EUR", Decimal(21): "team-yearly-EUR"}
RULES = DiscountRules([DiscountRule(account="8090"), DiscountRule(account="8091", coupon="TEN")])
MAPPING = replace(chart().mapping, discounts=RULES)
DAY = date(2026, 3, 3)
RATE = Decimal("0.9217")


class Sold:
    """A line with its discounts and its tax, and how each of the notes credits it."""

    def __init__(self, luck: random.Random, notes: int) -> None:
        self.rate = luck.choice(sorted(PRODUCTS))
        self.amount = luck.randint(100, 50_000)
        share = luck.randint(0, self.amount // 2)
        self.discounts = {"TEN": share, None: luck.randint(0, self.amount // 3)}
        value = self.amount - sum(self.discounts.values())
        self.tax = half_up(Fraction(value) * Fraction(self.rate) / (100 + Fraction(self.rate)))
        weights = [luck.randint(0, 5) for _ in range(notes - 1)] + [luck.randint(1, 5)]
        self.amounts = allocate(self.amount, weights)
        self.taxes = allocate(self.tax, weights)
        self.shares = {coupon: allocate(amount, weights) for coupon, amount in self.discounts.items()}

    def line(self, note: int | None = None) -> DocumentLine:
        """The line of the invoice, or that of a note."""
        tax = self.tax if note is None else self.taxes[note]
        amount = self.amount if note is None else self.amounts[note]
        discounts = self.discounts if note is None else {coupon: shares[note] for coupon, shares in self.shares.items()}
        net = amount - sum(discounts.values()) - tax
        whole = self.amount - sum(self.discounts.values()) - self.tax
        last = DAY + timedelta(days=364)
        return DocumentLine(
            description="x",
            entity_type="plan_item_price",
            product_id=PRODUCTS[self.rate],
            amount_minor=amount,
            discounts=tuple(
                LineDiscount(amount_minor=each, type="document_level_coupon", coupon=coupon)
                for coupon, each in discounts.items()
                if each
            ),
            taxes=(LineTax(rate=self.rate, amount_minor=tax, taxable_minor=net, country="NL"),) if self.rate else (),
            exempt_reason=None if self.rate else "product_exempt",
            credited=CreditedLine(net_minor=whole, service_from=DAY, service_to=last) if note is not None else None,
            service_from=DAY,
            service_to=last,
        )


def entry_of(document: Invoice | CreditNote) -> Entry | None:
    made = make_entry(document, MAPPING, chart().products)
    return made if isinstance(made, Entry) else None  # of nothing


def history(seed: int) -> list[Entry]:
    """The entries of an invoice and its notes; the last of them knows how the others are booked."""
    luck = random.Random(seed)
    count = luck.randint(1, 4)
    sold = [Sold(luck, count) for _ in range(luck.randint(1, 5))]
    shared: dict[str, Any] = {"customer_id": "CUST1", "tax_inclusive": True, "customer_country": "NL", "currency": "EUR"}
    if luck.random() < 1 / 2:
        shared |= {"currency": "USD", "base_currency": "EUR", "exchange_rate": RATE}

    def document(made: type[Invoice | CreditNote], lines: Sequence[DocumentLine], **more: Any) -> Invoice | CreditNote:
        tax = sum(tax.amount_minor for line in lines for tax in line.taxes)
        total = sum(line.amount_minor - line.discount_minor for line in lines)
        return made(lines=tuple(lines), tax_minor=tax, total_minor=total, **shared, **more)

    booked = [entry_of(document(Invoice, [each.line() for each in sold], number="INV-1", document_date=DAY))]
    for note in range(count):
        lines = [each.line(note) for each in sold if each.amounts[note] or any(shares[note] for shares in each.shares.values())]
        day = DAY + timedelta(days=30 * note)
        made = document(CreditNote, lines, number=f"CN-{note}", document_date=day, reference_invoice="INV-1")
        if note == count - 1 and isinstance(made, CreditNote):
            made = with_changes(made, beside=tuple(each for each in booked if each is not None))
        booked.append(entry_of(made))
    return [each for each in booked if each is not None]


def in_euros(amount: int) -> int:
    return int((amount * RATE).quantize(Decimal(1), ROUND_HALF_UP))


@settings(max_examples=300, deadline=None)
@given(st.integers(min_value=0, max_value=2**32))
def test_an_invoice_and_the_notes_that_credit_all_of_it_are_zero_on_every_account_and_vat_code(seed: int):
    entries = history(seed)
    own, worth = Counter[tuple[str, str | None]](), Counter[tuple[str, str | None]]()
    for entry in entries:
        assert sum(line.amount_minor + line.vat_minor for line in entry.lines) == 0
        for line in entry.lines:
            for sums, amount_of in ((own, int), (worth, in_euros)):
                sums[line.account, line.vat_code] += amount_of(line.amount_minor)
                sums["VAT", line.vat_code] += amount_of(line.vat_minor)
    assert not any(own.values()), own
    if any(entry.exchange_rate is not None for entry in entries):
        # The debtor keeps cents of rounding, which go to the account of differences when the notes are applied.
        assert not any(amount for (account, _), amount in worth.items() if account not in ("1300", "4910")), worth
