"""Rules: the most specific wins, ties are errors, nothing is guessed, and money keeps its currency."""

from datetime import date
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from stdnum.util import get_cc_module

from bookkeeping.deferral import UnreadableInstantError, local_date, schedule, service_days
from bookkeeping.hold_reasons import REASONS
from bookkeeping.journal import Entry, Line, Role, UnbalancedEntryError
from bookkeeping.money import CurrencyMismatchError, Money, allocate, format_minor, settle_difference
from bookkeeping.periods import Period, Periods
from bookkeeping.rejections import SET_ASIDES, reject, set_aside
from bookkeeping.vat import _CHECKED_AS, _NUMBER_SHAPES, vat_number_of

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


@pytest.mark.parametrize(
    ("raw", "country", "number"),
    [
        ("NL123456782B01", "NL", "NL123456782B01"),
        ("nl 1234.56.782.B01", "NL", "NL123456782B01"),
        ("123456782B01", "NL", "NL123456782B01"),
        ("GR094259216", "GR", "EL094259216"),
        ("094259216", "GR", "EL094259216"),
        ("el 094259216", "GR", "EL094259216"),
        ("094259217", "GR", None),
        ("XI432525179", "GB", "XI432525179"),
        ("432525179", "GB", "GB432525179"),
        ("NL123456789B01", "NL", None),
        ("NL002455799B11", "NL", "NL002455799B11"),
        ("DE136695978", "DE", None),
        ("BE 0411.905.847", "BE", "BE0411905847"),
        ("FR40303265045", "FR", "FR40303265045"),
        ("DE12345", "DE", None),
        ("onbekend", "NL", None),
        ("", "NL", None),
        (None, "NL", None),
        ("12-3456789", "US", "123456789"),
    ],
)
def test_a_vat_number_has_the_shape_and_check_digit_of_its_country_or_is_none(raw, country, number):
    assert vat_number_of(raw, country) == number


def test_every_country_with_a_shape_has_a_check_digit():
    for prefix in _NUMBER_SHAPES:
        assert get_cc_module(_CHECKED_AS.get(prefix, prefix.lower()), "vat") is not None, prefix


def test_an_entry_that_does_not_balance_cannot_exist():
    lines = (
        Line(role=Role.RECEIVABLE, account="1300", amount_minor=121),
        Line(role=Role.REVENUE, account="8000", amount_minor=-100, vat_code="2", vat_minor=-20),
    )
    with pytest.raises(UnbalancedEntryError):
        Entry(kind="sales", journal="70", reference="INV-1", entry_date=date(2026, 1, 1), currency="EUR", lines=lines)
    with pytest.raises(UnbalancedEntryError):
        Entry(kind="sales", journal="70", reference="INV-1", entry_date=date(2026, 1, 1), currency="EUR", lines=())


def test_money_of_two_currencies_does_not_mix():
    assert str(Money(123_456, "EUR") + Money(4, "EUR")) == "EUR 1,234.60"
    assert str(-Money(5, "JPY")) == "JPY -5"
    with pytest.raises(CurrencyMismatchError):
        Money(1, "EUR") - Money(1, "USD")
    assert format_minor(-7, "EUR") == "-0.07"


def test_cents_are_spread_by_largest_remainder_and_ties_go_to_the_earlier():
    assert allocate(100, [1, 1, 1]) == [34, 33, 33]
    assert allocate(-100, [1, 1, 1]) == [-33, -33, -34]
    with pytest.raises(ValueError, match="weights"):
        allocate(1, [0, 0])
    assert settle_difference([788, 263], [Fraction(7875, 10), Fraction(2625, 10)], 1050) == [788, 262]
    assert settle_difference([787, 262], [Fraction(7875, 10), Fraction(2625, 10)], 1050) == [788, 262]
    assert settle_difference([100], [Fraction(100)], 102) is None, "two cents on one line are no rounding"


def test_days_are_cut_in_the_time_zone_of_the_site():
    last_evening = 1_793_487_600 - 1_800  # half past eleven at night on 31 October in Amsterdam, an hour less in UTC
    assert local_date(last_evening, AMSTERDAM) == date(2026, 10, 31)
    summer_night = 1_782_858_600  # half past midnight on 1 July there, still June in UTC
    assert local_date(summer_night, AMSTERDAM) == date(2026, 7, 1)
    assert local_date(summer_night, ZoneInfo("UTC")) == date(2026, 6, 30)
    for nonsense in (-1, 10**15):
        with pytest.raises(UnreadableInstantError):
            local_date(nonsense, AMSTERDAM)


def test_the_day_on_which_the_next_term_starts_is_not_served():
    midnight = 1_767_222_000  # 1 January 2026 in Amsterdam
    year_later = midnight + 365 * 86_400
    assert service_days(midnight, year_later, AMSTERDAM) == (date(2026, 1, 1), date(2026, 12, 31))
    assert service_days(midnight, year_later - 1, AMSTERDAM) == (date(2026, 1, 1), date(2026, 12, 31))
    noon = 43_200
    first, second = (
        service_days(midnight + noon + n * 2_678_400, midnight + noon + (n + 1) * 2_678_400, AMSTERDAM) for n in (0, 1)
    )
    assert first is not None
    assert second is not None
    assert (second[0] - first[1]).days == 1, "terms that start at noon neither overlap nor leave a gap"
    assert service_days(midnight, midnight, AMSTERDAM) is None


def test_a_year_of_a_hundred_leaves_nothing_behind():
    amounts = [portion.amount_minor for portion in schedule(10_000, date(2026, 1, 1), date(2026, 12, 31))]
    assert amounts == [833] * 11 + [837]


def test_the_first_open_period_after_a_closed_one_is_found_across_the_year_end():
    periods = Periods(
        [
            Period(year=2026, number=12, starts=date(2026, 12, 1), ends=date(2026, 12, 31), is_open=False),
            Period(year=2027, number=1, starts=date(2027, 1, 1), ends=date(2027, 1, 31), is_open=True),
        ]
    )
    december = periods.of(date(2026, 12, 15))
    assert december is not None
    assert str(periods.first_open_after(december)) == "2027-01"
    assert periods.first_open_day(date(2026, 12, 15)) == date(2027, 1, 1)
    assert periods.first_open_day(date(2025, 1, 1)) == date(2025, 1, 1), "what Exact never showed is not assumed closed"


@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_reason_is_one_sentence_with_an_action(code):
    rejection = reject(code, document="invoice INV-1", line="x {y}")
    assert rejection.sentence[0].isupper()
    assert rejection.action.endswith((".", "}"))


@pytest.mark.parametrize("code", sorted(SET_ASIDES))
def test_every_set_aside_names_the_document(code):
    assert "nvoice INV-1" in set_aside(code, document="invoice INV-1").sentence
