"""Laws of deferred invoices that are credited and taken back while months are closed: nothing takes back more than is left."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from support.golden import chart, months

from bookkeeping.deferral import Days, EarlierCredit, Method
from bookkeeping.documents import CreditedLine, CreditNote, DocumentLine, Invoice, LineTax
from bookkeeping.entries import make_entry, reverse
from bookkeeping.journal import Entry
from bookkeeping.mapping import Mapping
from bookkeeping.periods import Periods
from bookkeeping.placement import place_in_period
from bookkeeping.roll_forward import RollForward, movements

METHODS: st.SearchStrategy[Method] = st.sampled_from(["per_period", "per_day"])
ALL_OPEN = months([], last_year=2028)
PRODUCT = "team-yearly-EUR"


@dataclass(frozen=True)
class Credit:
    """A credit note of one line of the invoice; months before `open_from` are closed when it is booked."""

    line: int
    amount: int
    day: date
    own: Days | None
    open_from: date


@dataclass(frozen=True)
class Story:
    """An invoice of one or two lines (amount and days served), its credit notes, and the day on which it is taken back."""

    lines: tuple[tuple[int, Days], ...]
    open_from: date
    credits: tuple[Credit, ...]
    gone_on: date
    open_at_the_end: date
    method: Method


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Draw a story of 2026 and 2027 in which months are closed one after another."""
    start = date(2026, 1, 1)
    lines = []
    for _ in range(draw(st.integers(min_value=1, max_value=2))):
        first = start + timedelta(days=draw(st.integers(min_value=0, max_value=300)))
        served = (first, first + timedelta(days=draw(st.integers(min_value=1, max_value=400))))
        lines.append((draw(st.integers(min_value=1, max_value=500_000)), served))
    open_from = min(served[0] for _, served in lines) + timedelta(days=draw(st.integers(min_value=-40, max_value=120)))
    first_open, left, given = open_from, [amount for amount, _ in lines], list[Credit]()
    day = max(open_from, min(served[0] for _, served in lines))
    for _ in range(draw(st.integers(min_value=0, max_value=4))):
        line = draw(st.integers(min_value=0, max_value=len(lines) - 1))
        amount = draw(st.integers(min_value=0, max_value=left[line]))
        left[line] -= amount
        day += timedelta(days=draw(st.integers(min_value=0, max_value=100)))
        first_open = max(first_open, day + timedelta(days=draw(st.integers(min_value=-90, max_value=60))))
        own, (first, last) = None, lines[line][1]
        if draw(st.booleans()):
            begin = first + timedelta(days=draw(st.integers(min_value=0, max_value=(last - first).days)))
            own = (begin, last) if begin < last else None
        if amount:
            given.append(Credit(line, amount, day, own, first_open))
    day += timedelta(days=draw(st.integers(min_value=0, max_value=60)))
    at_the_end = max(first_open, day + timedelta(days=draw(st.integers(min_value=-90, max_value=40))))
    return Story(tuple(lines), open_from, tuple(given), day, at_the_end, draw(METHODS))


def open_since(day: date) -> Periods:
    """Return the months, of which those are closed that end before the one of `day`."""
    return _open_since(day.replace(day=1))


@cache
def _open_since(month: date) -> Periods:
    return months([f"{each.year}-{each.number:02d}" for each in ALL_OPEN if each.ends < month], last_year=2028)


def entry_of(document: Invoice | CreditNote, open_from: date, mapping: Mapping) -> Entry:
    made = make_entry(document, mapping, chart().products)
    assert isinstance(made, Entry), made
    placed = place_in_period(made, document.number, open_since(open_from), mapping)
    assert isinstance(placed, Entry), placed
    return placed


def line_of(amount: int, product: str, days: Days | None) -> DocumentLine:
    return DocumentLine(
        description=product,
        entity_type="plan_item_price",
        product_id=product,
        amount_minor=amount,
        taxes=(LineTax(rate=Decimal(21), amount_minor=0, taxable_minor=amount, country="NL"),),
        service_from=days[0] if days is not None else None,
        service_to=days[1] if days is not None else None,
    )


def head(number: str, day: date, lines: Sequence[DocumentLine]) -> dict[str, object]:
    total = sum(line.amount_minor for line in lines)
    shared = {"number": number, "customer_id": "C", "document_date": day, "currency": "EUR", "total_minor": total, "tax_minor": 0}
    return {**shared, "lines": tuple(lines), "customer_country": "NL"}


def booked(story: Story, mapping: Mapping) -> tuple[Entry, list[Entry]]:
    """Book the invoice and its credit notes, each in the periods that are open then, after what is booked of the invoice."""
    sold = [line_of(amount, PRODUCT, days) for index, (amount, days) in enumerate(story.lines)]
    day = min(first for _, (first, _) in story.lines)
    invoice = entry_of(Invoice(**head("INV-1", day, sold)), story.open_from, mapping)  # type: ignore[arg-type]  # made as one dict
    starts = [line.first for line in invoice.lines if not line.is_receivable]
    notes, before = [], {index: list[EarlierCredit]() for index in range(len(story.lines))}
    for number, credit in enumerate(story.credits):
        amount, days = story.lines[credit.line]
        line = line_of(credit.amount, PRODUCT, credit.own)
        moved = starts[credit.line]
        credited = CreditedLine(net_minor=amount, service_from=days[0], service_to=days[1], earlier=tuple(before[credit.line]))
        line = structs.replace(line, credited=structs.replace(credited, released_from=moved, at_once=moved is None))
        before[credit.line].append(EarlierCredit(credit.amount, credit.day, credit.own))
        note = CreditNote(**head(f"CN-{number}", credit.day, [line]), reference_invoice="INV-1")  # type: ignore[arg-type]  # see above
        notes.append(entry_of(note, credit.open_from, mapping))
    return invoice, notes


def mirrored(entry: Entry, story: Story, mapping: Mapping, notes: Sequence[Entry] = ()) -> Entry:
    mirror = reverse(entry, max(story.gone_on, entry.entry_date), mapping, notes)
    placed = place_in_period(mirror, "x", open_since(story.open_at_the_end), mapping)
    assert isinstance(placed, Entry), placed
    return placed


def balance_is_kept(entries: Sequence[Entry], method: Method) -> None:
    """Nothing on the balance account is taken back twice, and all of it is released in the end."""
    total = RollForward()
    for entry in entries:
        total.add(movements(entry, ALL_OPEN, method))
    assert total.closing_minor() == 0
    by_period: Counter[str] = Counter()
    for row in total.rows():
        by_period[row.period] += row.closing_minor
    slack = len(entries) * 40  # single cents of rounding, in each month at most one an entry
    assert all(left >= -slack for left in by_period.values()), by_period


def left_after(entries: Sequence[Entry], last: Entry, method: Method) -> list[int]:
    """Return the balance at the end of the period that the last entry is reported in, and of each one after it."""
    total = RollForward()
    for entry in entries:
        total.add(movements(entry, ALL_OPEN, method))
    reported = f"{last.entry_date:%Y-%m}"
    if last.reporting_year is not None:
        reported = f"{last.reporting_year}-{last.reporting_period:02d}"
    return [row.closing_minor for row in total.rows(reported)]


@settings(max_examples=30, deadline=None)
@given(stories())
def test_credits_and_a_reversal_take_back_what_is_left_to_release_and_no_more(story: Story):
    mapping = replace(chart().mapping, deferral_method=story.method)
    invoice, notes = booked(story, mapping)
    balance_is_kept([invoice, *notes], story.method)
    mirror = mirrored(invoice, story, mapping, notes)
    balance_is_kept([invoice, *notes, mirror], story.method)
    sums: Counter[str] = Counter()
    undone = [mirrored(note, story, mapping) for note in notes]
    for entry in (invoice, *notes, mirror, *undone):
        for posting in entry.postings():
            sums[posting.account] += posting.debit_minor - posting.credit_minor
    assert not any(sums.values()), "with the credit notes taken back too, every account is at zero"
    balance_is_kept([invoice, *notes, mirror, *undone], story.method)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(min_value=1, max_value=500_000),
    st.integers(min_value=60, max_value=400),
    st.integers(min_value=-20, max_value=150),
    st.integers(min_value=0, max_value=200),
    st.integers(min_value=-60, max_value=30),
    METHODS,
)
def test_a_full_credit_leaves_nothing_to_release_wherever_the_release_was_moved_to(
    amount: int, days: int, closed_days: int, after: int, closed_since: int, method: Method
):
    """The release of a line that began in closed months begins later: its credit must follow it there."""
    mapping = replace(chart().mapping, deferral_method=method)
    first = date(2026, 1, 20)
    open_from = first + timedelta(days=closed_days)
    day = max(first, open_from) + timedelta(days=after)
    then_open = max(open_from, day + timedelta(days=closed_since))
    whole = Credit(0, amount, day, None, then_open)
    story = Story(((amount, (first, first + timedelta(days=days))),), open_from, (whole,), day, then_open, method)
    invoice, notes = booked(story, mapping)
    assert all(abs(left) <= 40 for left in left_after([invoice, *notes], notes[0], method))
