"""Whatever a document holds: its entry balances, its cents are Chargebee's, and its mirror takes back all of it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st
from support.golden import chart, months

from bookkeeping.deferral import credit_portions, schedule
from bookkeeping.discounts import DiscountRule, DiscountRules
from bookkeeping.documents import CreditNote, DocumentLine, Invoice, LineDiscount, LineTax, Payment, Refund, Settlement
from bookkeeping.entries import make_entry, reverse
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.money import allocate, settle_difference
from bookkeeping.placement import place_in_period

CENTS = st.integers(min_value=-5_000_000, max_value=5_000_000)
DAYS = st.dates(min_value=date(2026, 1, 1), max_value=date(2026, 12, 31))
RATES = st.sampled_from([Decimal(0), Decimal(9), Decimal(21)])
ANY_DISCOUNT = DiscountRules([DiscountRule(account="8090")])
PRODUCTS = {Decimal(9): "book-EUR", Decimal(21): "team-yearly-EUR", Decimal(0): "team-EUR"}


def rounded(amount: Fraction) -> int:
    return int((Decimal(amount.numerator) / Decimal(amount.denominator)).quantize(Decimal(1), ROUND_HALF_UP))


@st.composite
def document_lines(draw: st.DrawFn, inclusive: bool) -> DocumentLine:  # noqa: FBT001 - hypothesis passes it on
    rate, amount = draw(RATES), draw(CENTS)
    discount = draw(st.integers(min_value=0, max_value=abs(amount))) * (1 if amount >= 0 else -1)
    value = amount - discount
    tax = rounded(Fraction(value) * Fraction(rate) / ((100 + Fraction(rate)) if inclusive else 100))
    first = draw(DAYS)
    net = value - tax if inclusive else value
    taxed = LineTax(rate=rate, amount_minor=tax, taxable_minor=net, country="NL")
    return DocumentLine(
        description=draw(st.text(max_size=5)),
        entity_type="plan_item_price",
        product_id=PRODUCTS[rate],
        amount_minor=amount,
        discounts=(LineDiscount(amount_minor=discount, type="document_level_discount"),) if discount else (),
        taxes=(taxed,) if rate else (),
        exempt_reason=None if rate else "product_exempt",
        service_from=first,
        service_to=first + timedelta(days=draw(st.integers(min_value=1, max_value=500))),
    )


@st.composite
def sales(draw: st.DrawFn) -> Invoice | CreditNote:
    inclusive = draw(st.booleans())
    lines = tuple(draw(st.lists(document_lines(inclusive), min_size=1, max_size=6)))
    # The document's own rounding may differ from the lines' by less than a cent each.
    taxed = sum(bool(line.taxes) for line in lines)
    tax = sum(each.amount_minor for line in lines for each in line.taxes) + draw(st.integers(min_value=-taxed, max_value=taxed))
    value = sum(line.amount_minor - line.discount_minor for line in lines)
    round_off = draw(st.integers(min_value=-50, max_value=50))
    made = Invoice if draw(st.booleans()) else CreditNote
    return made(
        number="X-1",
        customer_id="CUST1",
        document_date=draw(DAYS),
        currency="EUR",
        total_minor=(value if inclusive else value + tax) + round_off,
        tax_minor=tax,
        lines=lines,
        round_off_minor=round_off,
        tax_inclusive=inclusive,
        customer_country="NL",
    )


def booked(document: Invoice | CreditNote | Payment | Refund) -> Entry:
    made = make_entry(document, chart().mapping, chart().products)
    assume(isinstance(made, Entry))
    assert isinstance(made, Entry)
    return made


@given(sales())
def test_every_sale_balances_with_the_cents_of_the_document(document: Invoice | CreditNote):
    entry = booked(document)
    sign = 1 if isinstance(document, Invoice) else -1
    assert sum(line.amount_minor + line.vat_minor for line in entry.lines) == 0
    assert entry.receivable_minor == sign * document.total_minor
    assert -sum(line.vat_minor for line in entry.lines) == sign * document.tax_minor
    rounding = [line.amount_minor for line in entry.lines if line.role is Role.ROUNDING]
    assert -sum(rounding) == sign * document.round_off_minor


@given(sales(), st.lists(st.integers(min_value=1, max_value=12), max_size=11, unique=True))
def test_moving_to_an_open_period_changes_no_amount_and_no_date(document: Invoice | CreditNote, closed: list[int]):
    entry = booked(document)
    placed = place_in_period(entry, "x", months([f"2026-{month:02d}" for month in closed]), chart().mapping)
    if not isinstance(placed, Entry):
        assert placed.code == "period_closed"
        assert entry.entry_date.month in closed
        return
    assert placed.entry_date == entry.entry_date
    assert placed.postings() == entry.postings()
    assert (placed.reporting_period or entry.entry_date.month) not in closed
    starts = [line.first for line in placed.lines if line.first is not None and line.first.year == 2026]
    last_open = max(set(range(1, 13)) - set(closed))
    assert all(start.month not in closed for start in starts if start.month < last_open)


@given(sales())
def test_discounts_shown_or_taken_off_give_the_same_debt_and_the_same_vat_return(document: Invoice | CreditNote):
    net = booked(document)
    gross = make_entry(document, replace(chart().mapping, discounts=ANY_DISCOUNT), chart().products)
    assert isinstance(gross, Entry)
    assert gross.receivable_minor == net.receivable_minor

    def released(entry: Entry, amount: Callable[[Line], int]) -> dict[tuple[object, ...], int]:
        sums: Counter[tuple[object, ...]] = Counter()
        for line in entry.lines:
            sums[line.vat_code, line.first, line.last] += amount(line)
        return {key: value for key, value in sums.items() if value}

    for amount in (lambda line: line.amount_minor, lambda line: line.vat_minor):
        assert released(gross, amount) == released(net, amount)
    lines = [
        (line.account, line.vat_code, line.cost_center, line.first, line.last)
        for line in gross.lines
        if line.role is Role.DISCOUNT
    ]
    assert len(lines) == len(set(lines))
    if not document.tax_inclusive:
        sign = 1 if isinstance(document, Invoice) else -1
        shown = sum(line.amount_minor for line in gross.lines if line.role is Role.DISCOUNT)
        assert shown == sign * sum(line.discount_minor for line in document.lines)


@given(sales(), DAYS)
def test_an_entry_and_its_mirror_leave_nothing_behind(document: Invoice | CreditNote, day: date):
    entry = booked(document)
    mirror = reverse(entry, day, chart().mapping)
    both: dict[tuple[str, str | None], int] = {}
    for line in (*entry.lines, *mirror.lines):
        both[line.account, line.vat_code] = both.get((line.account, line.vat_code), 0) + line.amount_minor
        both["VAT", line.vat_code] = both.get(("VAT", line.vat_code), 0) + line.vat_minor
    assert set(both.values()) <= {0}


@given(
    st.sampled_from([Payment, Refund]),
    st.integers(min_value=1, max_value=10**9),
    st.lists(st.integers(min_value=-100, max_value=10**9), max_size=4),
)
def test_money_balances_whatever_it_was_applied_to(made: type[Payment | Refund], amount: int, shares: list[int]):
    entry = booked(
        made(
            number="txn_1",
            customer_id="CUST1",
            document_date=date(2026, 3, 3),
            currency="EUR",
            amount_minor=amount,
            gateway_account="gw_stripe",
            settlements=tuple(Settlement(number=f"INV-{n}", amount_minor=share) for n, share in enumerate(shares)),
        )
    )
    assert entry.receivable_minor == (-amount if made is Payment else amount)
    assert all(line.description.startswith("txn_1") for line in entry.lines)


@given(st.integers(), st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=8))
def test_spreading_loses_no_cent_and_no_part_is_a_cent_off(amount: int, weights: list[int]):
    assume(any(weights))
    parts = allocate(amount, weights)
    assert sum(parts) == amount
    assert all(abs(part - Fraction(amount * weight, sum(weights))) < 1 for part, weight in zip(parts, weights, strict=True))


@given(st.lists(CENTS, min_size=1, max_size=8), st.integers(min_value=-10, max_value=10))
def test_a_rounding_difference_moves_single_cents_or_nothing(amounts: list[int], difference: int):
    settled = settle_difference(amounts, [Fraction(amount) for amount in amounts], sum(amounts) + difference)
    assert (settled is None) == (abs(difference) > len(amounts))
    if settled is not None:
        assert sum(settled) == sum(amounts) + difference
        assert all(abs(one - other) <= 1 for one, other in zip(settled, amounts, strict=True))


@given(CENTS, DAYS, st.integers(min_value=0, max_value=800))
def test_a_schedule_ends_at_zero(amount: int, first: date, days: int):
    portions = schedule(amount, first, first + timedelta(days=days))
    assert sum(portion.amount_minor for portion in portions) == amount
    assert portions[0].first == first
    assert portions[-1].last == first + timedelta(days=days)


@given(CENTS, st.integers(min_value=0, max_value=100), DAYS, DAYS, st.integers(min_value=1, max_value=500))
def test_a_credit_never_releases_more_than_is_left(invoiced: int, percent: int, credit_date: date, first: date, days: int):
    credit = invoiced * percent // 100
    last = first + timedelta(days=days)
    portions = credit_portions(credit, credit_date, invoiced, (first, last), None)
    assert sum(portion.amount_minor for portion in portions) == credit
    deferred = [portion for portion in portions if portion.first is not None]
    for portion in deferred:
        assert portion.first is not None
        assert portion.last == last
        assert portion.first >= first
        assert portion.first >= credit_date.replace(day=1)
