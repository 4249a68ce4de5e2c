"""Comparing an entry with the ledger, and number series: the pure rules behind `kruispost reconcile`."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from msgspec import structs

from bookkeeping.journal import Entry, Line, Role
from bookkeeping.number_series import Gap, Lacking, gaps, named_like, numbered
from bookkeeping.reconciliation import Difference, Found, compare
from mapper.reconcile_wording import untranslated

DAY = date(2026, 10, 5)
ENTRY = Entry(
    kind="sales",
    journal="70",
    reference="INV-1",
    entry_date=DAY,
    currency="EUR",
    lines=(
        Line(role=Role.RECEIVABLE, account="1300", amount_minor=12_100),
        Line(role=Role.REVENUE, account="8000", amount_minor=-10_000, vat_code="2", vat_minor=-2_100, cost_center="NL"),
    ),
)


def found(account: str, amount: int, **more: object) -> Found:
    known = {"base_minor": amount, "day": DAY, "year": 2026, "period": 10, **more}
    return Found(account=account, amount_minor=amount, **known)  # type: ignore[arg-type]  # keywords of the test


LEDGER = [
    found("1300", 12_100),
    found("8000", -10_000, vat_code="2", cost_center="NL"),
    found("1500", -2_100, vat_code="2", is_vat=True),
]


def differences(*lines: Found, entry: Entry = ENTRY, computes_vat: bool = False) -> list[Difference]:
    return compare(entry, lines, currency="EUR", period=(2026, 10), computes_vat=computes_vat)


def test_an_entry_that_nobody_touched_has_no_difference() -> None:
    assert differences(*LEDGER) == []


def test_a_cent_is_an_edit_where_exact_keeps_our_cents_and_rounding_where_it_computes_them() -> None:
    changed = [replace(LEDGER[0], amount_minor=12_101), LEDGER[1], replace(LEDGER[2], amount_minor=-2_101)]
    assert {each.kind for each in differences(*changed)} == {"edited"}
    assert {(each.kind, each.amount_minor) for each in differences(*changed, computes_vat=True)} == {
        ("rounding", 1),
        ("rounding", -1),
    }


def test_another_account_period_day_and_cost_centre_have_their_names() -> None:
    account = differences(LEDGER[0], replace(LEDGER[1], account="8020"), LEDGER[2])
    assert {(each.what, each.place) for each in account} == {("account", "8000"), ("account", "8020")}
    (period,) = differences(*(replace(line, period=11) for line in LEDGER))
    assert (period.kind, period.booked, period.found) == ("period_moved", "2026-10", "2026-11")
    (day,) = differences(*(replace(line, day=date(2026, 10, 6)) for line in LEDGER))
    assert (day.what, day.found) == ("date", "2026-10-06")
    (dimension,) = differences(LEDGER[0], replace(LEDGER[1], cost_center="EU"), LEDGER[2])
    assert (dimension.what, dimension.booked, dimension.found) == ("dimension", "NL", "EU")


def test_another_rate_is_no_rounding() -> None:
    dollars = structs.replace(ENTRY, currency="USD", exchange_rate=Decimal("0.9"))
    converted = [replace(line, base_minor=line.amount_minor * 9 // 10) for line in LEDGER]
    assert differences(*converted, entry=dollars) == []
    cents = [replace(converted[0], base_minor=10_889), converted[1], replace(converted[2], base_minor=-1_889)]
    assert {each.kind for each in differences(*cents, entry=dollars)} == {"rounding"}
    other = [replace(line, base_minor=line.amount_minor * 95 // 100) for line in LEDGER]
    assert {each.kind for each in differences(*other, entry=dollars)} == {"exchange_rate"}


def test_series_have_gaps_where_numbers_are_not_there() -> None:
    assert list(gaps([1, 2, 2, 5, 6, 9])) == [Gap(3, 4), Gap(7, 8)]
    assert list(gaps([])) == []
    one = numbered("INV-0042")
    assert one is not None
    assert (one.prefix, one.value, one.text) == ("INV-", 42, "INV-0042")
    assert numbered("zonder") is None
    assert [named_like("INV-0042", 7), named_like("INV-0042", 10_000), named_like("INV-42", 7)] == [
        "INV-0007",
        "INV-10000",
        "INV-7",
    ]


def test_each_sentence_says_the_same_in_both_languages() -> None:
    assert untranslated() == []


def test_what_a_series_lacks_is_named_as_documents_would_carry_it() -> None:
    lacking = Lacking("INV-0098", (Gap(99, 101), Gap(105, 105)))
    assert (lacking.count, list(lacking)) == (4, ["INV-0099", "INV-0100", "INV-0101", "INV-0105"])
    assert all(number in lacking for number in lacking)
    assert not any(number in lacking for number in ("INV-0098", "INV-0102", "INV-0106", "INV-0001", "CN-0099", "INV-", "later"))
