"""The cents of the Chargebee stand-in's documents: VAT by line, residual VAT of inclusive prices, coupons, rounding."""

import itertools

import pytest

from simulators.chargebee.pricing import Coupon, LineSpec, Priced, PriceType, Tax, price, spread, tax_of

HIGH = Tax("BTW", "21", "NL", "Netherlands")
LOW = Tax("BTW laag", "9", "NL", "Netherlands")
TEN_PERCENT = Coupon("TEN", "10%", percentage=10)


def _line(amount_minor: int, tax: Tax | None = HIGH, item: str = "a", quantity: int = 1) -> LineSpec:
    return LineSpec("plan_item_price", item, amount_minor, item, quantity, tax=tax)


def _price(*lines: LineSpec, price_type: PriceType = "tax_exclusive", coupons: tuple[Coupon, ...] = ()) -> Priced:
    numbers = itertools.count()
    return price(lines, price_type=price_type, coupons=coupons, new_line_id=lambda: f"li_{next(numbers)}")


@pytest.mark.parametrize(
    ("gross_minor", "rate", "tax_minor"), [(349, "21", 61), (1_299, "21", 225), (1_299, "19", 207), (349, "20", 58)]
)
def test_the_tax_in_an_inclusive_price_is_what_the_rounded_net_leaves(gross_minor, rate, tax_minor):
    assert tax_of(gross_minor, rate, "tax_inclusive") == tax_minor


@pytest.mark.parametrize(("net_minor", "rate", "tax_minor"), [(3_750, "21", 788), (-3_548, "21", -745), (-50, "21", -11)])
def test_half_a_cent_is_rounded_away_from_zero(net_minor, rate, tax_minor):
    assert tax_of(net_minor, rate, "tax_exclusive") == tax_minor


def test_the_tax_of_a_document_is_the_sum_of_its_lines_rounded_taxes():
    priced = _price(_line(3_750), _line(1_250))
    assert (priced.tax_minor, priced.total_minor) == (788 + 263, 6_051)


def test_rates_have_a_tax_row_each():
    members = _price(_line(20_000), _line(10_000, LOW), _line(5_000, None)).members
    assert [(tax["name"], tax["amount"]) for tax in members["taxes"]] == [("BTW", 4_200), ("BTW laag", 900)]
    assert [row["taxable_amount"] for row in members["line_item_taxes"]] == [20_000, 10_000]
    assert members["total"] == 40_100


def test_a_document_level_coupon_lowers_every_rate_by_its_share():
    priced = _price(_line(20_000), _line(10_000, LOW), coupons=(TEN_PERCENT,))
    assert [each["discount_amount"] for each in priced.members["line_item_discounts"]] == [2_000, 1_000]
    assert [line["tax_amount"] for line in priced.members["line_items"]] == [3_780, 810]
    assert priced.members["discounts"][0]["amount"] == 3_000
    assert priced.total_minor == 31_590


def test_a_line_level_coupon_lowers_its_own_line_and_comes_before_the_others():
    own = Coupon("HALF", "half", 50, apply_on="each_specified_item", item_price_ids=("b",))
    members = _price(_line(10_000), _line(10_000, item="b"), coupons=(TEN_PERCENT, own)).members
    assert [line["discount_amount"] for line in members["line_items"]] == [1_000, 5_500]
    assert [line["item_level_discount_amount"] for line in members["line_items"]] == [0, 5_000]


def test_a_negative_line_has_negative_tax_at_its_own_rate():
    priced = _price(_line(5_000), _line(-2_000, LOW))
    assert [line["tax_amount"] for line in priced.members["line_items"]] == [1_050, -180]
    assert priced.total_minor == 3_870


def test_rounding_to_whole_units_shows_the_difference():
    lines = (_line(8_262),)
    members = price(lines, price_type="tax_exclusive", round_to_minor=100, new_line_id=lambda: "li_0").members
    assert (members["tax"], members["round_off_amount"], members["total"]) == (1_735, 3, 10_000)


def test_a_fixed_amount_is_spread_without_losing_a_cent():
    assert spread(1_000, [1, 1, 1]) == [334, 333, 333]
    assert spread(2_500, [2_900, 4_250]) == [1_014, 1_486]
