"""Documents in another currency are right in the division's own, too: sides equal, debtor at his total, nothing left behind."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support.golden import chart, months

from bookkeeping.deferral import EarlierCredit
from bookkeeping.discounts import DiscountRule, DiscountRules
from bookkeeping.documents import CreditedLine, CreditNote, DocumentLine, Invoice, LineDiscount, LineTax, Payout, VatReclaim
from bookkeeping.entries import make_entry, reverse
from bookkeeping.journal import Entry
from bookkeeping.mapping import Mapping
from bookkeeping.money import allocate, worth_at
from bookkeeping.periods import Periods
from bookkeeping.placement import place_in_period

SOLD_ON, CREDITED_ON = date(2026, 1, 1), date(2026, 7, 1)
YEAR = (SOLD_ON, SOLD_ON + timedelta(days=364))
YEARLY = "team-yearly-EUR"


@dataclass(frozen=True)
class Sale:
    """An invoice and its whole credit: lines as (rate of VAT, amount, spread over the year, percentage of discount)."""

    currency: str
    rate: Decimal
    lines: tuple[tuple[int, int, bool, int], ...]


NEAR_WHOLE = st.builds(
    lambda whole, beyond: whole + beyond,
    st.sampled_from([Decimal(1), Decimal(2)]),
    st.sampled_from([Decimal(each).scaleb(-4) for each in (-500, -77, -9, -1, 1, 3, 60, 500)]),
)
SALES = st.builds(
    Sale,
    currency=st.sampled_from(["USD", "USD", "JPY"]),
    rate=st.decimals(min_value="0.1", max_value="3", places=4) | NEAR_WHOLE,
    lines=st.lists(
        st.tuples(
            st.sampled_from([0, 9, 21]),
            st.integers(min_value=2_000, max_value=999_999),
            st.booleans(),
            st.sampled_from([0, 0, 7, 33, 99]),
        ),
        min_size=1,
        max_size=6,
    ).map(tuple),
)
NET = chart().mapping
GROSS = dataclasses.replace(NET, discounts=DiscountRules([DiscountRule(account="8090")]))
POSTINGS = st.sampled_from([NET, GROSS])


def of_lines(made: Entry) -> Counter[str]:
    """What each account and VAT code gets in euros when each amount is rounded by itself, as Exact does."""
    worth = worth_at(made.exchange_rate, made.currency, "EUR")
    assert worth is not None
    found: Counter[str] = Counter()
    for line in made.lines:
        found[line.account] += worth(line.amount_minor)
        found[f"VAT {line.vat_code}"] += worth(line.vat_minor)
    return found


def document_of(sale: Sale, *, credit: bool) -> Invoice | CreditNote:
    lines = []
    for percent, amount, is_yearly, discounted in sale.lines:
        discount = amount * discounted // 100
        net = amount - discount
        tax = int((net * Decimal(percent) / 100).quantize(Decimal(1), ROUND_HALF_UP))
        product = YEARLY if is_yearly and percent == 21 else "book-EUR" if percent == 9 else "team-EUR"
        lines.append(
            DocumentLine(
                description=product,
                entity_type="plan_item_price",
                product_id=product,
                amount_minor=amount,
                discounts=(LineDiscount(amount_minor=discount, type="document_level_coupon"),) if discount else (),
                taxes=(LineTax(rate=Decimal(percent), amount_minor=tax, taxable_minor=net, country="NL"),) if percent else (),
                exempt_reason=None if percent else "product_exempt",
                service_from=YEAR[0],
                service_to=YEAR[1],
                credited=CreditedLine(net_minor=net, service_from=YEAR[0], service_to=YEAR[1]) if credit else None,
            )
        )
    tax = sum(each.amount_minor for line in lines for each in line.taxes)
    made: type[Invoice | CreditNote] = CreditNote if credit else Invoice
    return made(
        number="CN-1" if credit else "INV-1",
        customer_id="CUST1",
        document_date=CREDITED_ON if credit else SOLD_ON,
        currency=sale.currency,
        base_currency="EUR",
        exchange_rate=sale.rate,
        total_minor=sum(line.amount_minor - line.discount_minor for line in lines) + tax,
        tax_minor=tax,
        lines=tuple(lines),
        customer_country="NL",
    )


def booked(document: Invoice | CreditNote | VatReclaim | Payout, posting: Mapping = NET) -> Entry:
    made = make_entry(document, posting, chart().products)
    assert isinstance(made, Entry), made
    return made


@settings(max_examples=150, deadline=None)
@given(SALES, POSTINGS)
@example(Sale("USD", Decimal("0.9213"), ((21, 100_001, True, 0),)), NET)
@example(Sale("USD", Decimal("0.92"), tuple((21, 3_333 + each, False, 0) for each in range(60))), NET)
def test_the_debtor_is_the_total_at_the_rate_and_both_sides_are_equal_in_both_currencies(sale: Sale, posting: Mapping):
    made = booked(document_of(sale, credit=False), posting)
    worth = worth_at(sale.rate, sale.currency, "EUR")
    assert worth is not None
    assert sum(of_lines(made).values()) == 0
    assert of_lines(made)["1300"] == worth(made.receivable_minor), "what its payment takes off the debtor"
    extra = [line.amount_minor for line in made.lines if line.account == "4910"]
    assert sum(extra) == 0, "it is nothing in the currency of the invoice"
    assert abs(of_lines(made)["4910"]) <= len(made.lines), "only cents of rounding"


def in_open_period(entry: Entry, periods: Periods, posting: Mapping) -> Entry:
    placed = place_in_period(entry, "x", periods, posting)
    assert isinstance(placed, Entry), placed
    return placed


@settings(max_examples=250, deadline=None)
@given(SALES, POSTINGS)
@example(Sale("USD", Decimal("0.9213"), ((21, 100_001, True, 0),)), NET)
@example(Sale("USD", Decimal("1.0001"), ((21, 599_999, True, 0),)), NET)
@example(Sale("USD", Decimal("0.9999"), ((21, 599_999, True, 7), (21, 33_333, True, 7))), GROSS)
def test_an_invoice_with_its_whole_credit_or_mirror_is_nothing_on_any_account_in_both_currencies(sale: Sale, posting: Mapping):
    """Also where the credit of a deferred line is split, by its day or by closed periods, and its discounts with it."""
    invoice = booked(document_of(sale, credit=False), posting)
    credit = booked(document_of(sale, credit=True), posting)
    mirror = reverse(invoice, CREDITED_ON, posting)
    closed = months([f"2026-{month:02d}" for month in range(1, 10)])
    for back in (credit, mirror, in_open_period(credit, closed, posting), in_open_period(mirror, closed, posting)):
        both = of_lines(invoice)
        both.update(of_lines(back))
        assert not any(both.values()), both
        assert sum(line.amount_minor + line.vat_minor for line in back.lines) == 0


Weights = list[list[int]]
WEIGHTS = st.lists(st.lists(st.integers(min_value=0, max_value=9), min_size=6, max_size=6), min_size=2, max_size=5)


def notes_of(sale: Sale, weights: Weights) -> list[CreditNote]:
    """The whole credit of a sale in several notes, which share each line's amount, discount and VAT by these weights."""
    whole = document_of(sale, credit=True)
    assert isinstance(whole, CreditNote)
    lines: list[list[DocumentLine]] = [[] for _ in weights]
    for index, line in enumerate(whole.lines):
        shares = [each[index] for each in weights]
        parts = shares if any(shares) else [1, *([0] * (len(shares) - 1))]
        earlier: list[EarlierCredit] = []
        taxes = allocate(sum(each.amount_minor for each in line.taxes), parts)
        discounts = allocate(line.discount_minor, parts)
        for number, amount in enumerate(allocate(line.amount_minor, parts)):
            net = amount - discounts[number]
            assert line.credited is not None
            lines[number].append(
                replace(
                    line,
                    amount_minor=amount,
                    discounts=tuple(replace(each, amount_minor=discounts[number]) for each in line.discounts),
                    taxes=tuple(replace(each, amount_minor=taxes[number], taxable_minor=net) for each in line.taxes),
                    credited=replace(line.credited, earlier=tuple(earlier)),
                )
            )
            earlier.append(EarlierCredit(net, CREDITED_ON + timedelta(days=number), None))
    notes = []
    for number, some in enumerate(lines):
        tax = sum(each.amount_minor for line in some for each in line.taxes)
        net = sum(line.amount_minor - line.discount_minor for line in some)
        day = CREDITED_ON + timedelta(days=number)
        named = {"number": f"CN-{number}", "document_date": day, "lines": tuple(some)}
        notes.append(replace(whole, **named, total_minor=net + tax, tax_minor=tax, reference_rate=sale.rate))
    return [note for note in notes if note.total_minor]


@settings(max_examples=250, deadline=None)
@given(SALES, POSTINGS, WEIGHTS)
@example(Sale("USD", Decimal("0.9213"), ((21, 100_001, True, 0),)), NET, [[1] * 6] * 3)
@example(Sale("USD", Decimal("1.0001"), ((21, 599_999, True, 7), (9, 33_333, False, 7))), GROSS, [[1, 2] * 3, [3] * 6])
def test_an_invoice_that_several_notes_credit_in_whole_is_nothing_on_any_account(sale: Sale, posting: Mapping, weights: Weights):
    """The last note takes what the others leave, so that each account and box of the VAT return is at nothing in euros."""
    notes, entries = notes_of(sale, weights), [booked(document_of(sale, credit=False), posting)]
    for note in notes:
        is_last = note is notes[-1] and len(notes) > 1
        entries.append(booked(replace(note, beside=tuple(entries)) if is_last else note, posting))
    sums: Counter[str] = Counter()
    for each in entries:
        sums.update(of_lines(each))
        assert sum(of_lines(each).values()) == 0, "each entry balances in euros"
    debtor, cents = sums.pop("1300"), sums.pop("4910", 0)
    assert not any(sums.values()), sums
    assert debtor == -cents, "what applying the notes brings to the account of differences"
    assert sum(each.receivable_minor for each in entries) == 0
    # Made again with all of them booked, none of them is another: nothing is left to take.
    for place, note in enumerate(notes[:-1], start=1):
        others = [each for index, each in enumerate(entries) if index != place]
        assert booked(replace(note, beside=tuple(others)), posting) == entries[place]


@settings(max_examples=150, deadline=None)
@given(SALES, POSTINGS, st.integers(min_value=1, max_value=99_999), st.integers(min_value=1, max_value=9_999))
def test_payouts_and_reclaimed_vat_balance_in_both_currencies(sale: Sale, posting: Mapping, paid: int, fees: int):
    note = document_of(sale, credit=True)
    assert isinstance(note, CreditNote)
    payout = Payout(
        number="po_1",
        customer_id="",
        document_date=CREDITED_ON,
        currency="USD",
        base_currency="EUR",
        exchange_rate=sale.rate,
        amount_minor=paid,
        fees_minor=fees,
        chargeback_fees_minor=fees // 3,
        gateway_account="gw_stripe",
    )
    assert sum(of_lines(booked(payout)).values()) == 0
    reclaim = VatReclaim(note=replace(note, reason="write_off", is_adjustment=True), document_date=CREDITED_ON)
    if note.tax_minor:
        back = of_lines(booked(reclaim, posting))
        assert sum(back.values()) == 0
        both = of_lines(booked(document_of(sale, credit=False), posting))
        both.update(back)
        assert not any(amount for name, amount in both.items() if name.startswith("VAT")), "the VAT that was paid comes back"
