"""For any rules that are accepted and any line: one winner at most, and a narrower rule changes only what it covers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from bookkeeping.conditions import Conditions, Group, Question, countries_of
from bookkeeping.documents import Product
from bookkeeping.rules import CodeRule, Rules, troubles
from bookkeeping.vat import AmbiguousRulesError

PRODUCTS = [
    Product(price_id=f"{item}-EUR", item_id=item, family_id=family, fields=fields)
    for item, family, fields in (("a", "f", {}), ("b", "f", {"cf_x": "1"}), ("c", "g", {"cf_x": "2"}))
]
GROUPS = [
    Group(name="one", items=frozenset(("a", "c"))),
    Group(name="two", families=frozenset(("g",)), item_prices=frozenset(("b-EUR",))),
]
DAYS = [date(2026, 1, 1), date(2026, 6, 30), date(2026, 7, 1), date(2026, 12, 31)]
GOODS = Group(name="goods", families=frozenset(("g",)))
COUNTRIES: list[Any] = ["NL", "BE", "EU", "non-EU", ["NL", "BE"], ["BE", "US"], ["non-EU", "NL"]]

conditions = st.builds(
    lambda named, first, last, **others: Conditions(**named, **others, first=first, last=last),
    st.sampled_from(
        [{}, {"item_price": "a-EUR"}, {"item": "a"}, {"item": "b"}, {"family": "f"}, {"family": "g"}]
        + [{"group": group} for group in GROUPS]
    ),
    st.none() | st.sampled_from(DAYS),
    st.none() | st.sampled_from(DAYS),
    type=st.none() | st.just("plan_item_price"),
    currency=st.none() | st.just("EUR"),
    country=st.none() | st.sampled_from(COUNTRIES).map(countries_of),
    reason=st.none() | st.sampled_from(["none", "export"]),
    rate=st.none() | st.sampled_from([Decimal(0), Decimal(21)]),
    customer=st.none() | st.sampled_from(["business", "consumer"]),
    supply=st.none() | st.sampled_from(["goods", "service"]),
    fields=st.sampled_from([(), (("cf_x", "1"),), (("cf_x", "2"), ("cf_y", "1"))]),
)
questions = st.builds(
    Question,
    entity_type=st.sampled_from(["plan_item_price", "addon_item_price"]),
    product_id=st.none(),
    currency=st.sampled_from(["EUR", "USD"]),
    country=st.sampled_from(["NL", "BE", "US", "JP", None]),
    reason=st.sampled_from([None, "export"]),
    rate=st.sampled_from([Decimal(0), Decimal("21.0")]),
    customer=st.sampled_from(["business", "consumer"]),
    day=st.sampled_from(DAYS),
    fields=st.sampled_from([{}, {"cf_x": "1"}, {"cf_y": "1"}]),
)
lines = st.tuples(questions, st.sampled_from(PRODUCTS)).map(
    lambda each: (structs.replace(each[0], product_id=each[1].price_id), each[1])
)


def accepted(whens: list[Conditions]) -> tuple[list[CodeRule], Rules[CodeRule]]:
    """Keep every rule that the ones before it leave room for, so that few examples are wasted."""
    kept: list[CodeRule] = []
    for when in whens:
        candidate = CodeRule(code=str(len(kept)), when=when)
        if not troubles([*kept, candidate]):
            kept.append(candidate)
    return kept, Rules(kept, goods=GOODS)


def covering(rules: list[CodeRule], question: Question, product: Product) -> list[CodeRule]:
    """Ask each rule alone, without the order and the memory of the list."""
    return [rule for rule in rules if Rules([rule], goods=GOODS).find(question, product) is rule]


@settings(max_examples=150, deadline=None)
@given(st.lists(conditions, max_size=6), st.lists(lines, min_size=1, max_size=6))
def test_one_rule_wins_whatever_the_order_and_only_one_that_covers_the_line(whens, asked):
    kept, rules = accepted(whens)
    backwards = Rules(list(reversed(kept)), goods=GOODS)
    for question, product in [*asked, *asked]:
        covers = covering(kept, question, product)
        winner = rules.find(question, product)
        assert (winner in covers) if covers else winner is None
        assert backwards.find(question, product) is winner, "the order of the file decides nothing"


@settings(max_examples=150, deadline=None)
@given(st.lists(conditions, max_size=5), conditions, st.lists(lines, min_size=1, max_size=6))
def test_a_new_rule_changes_nothing_on_lines_that_it_does_not_cover(whens, added, asked):
    kept, before = accepted(whens)
    new = CodeRule(code="new", when=added)
    try:
        after = Rules([*kept, new], goods=GOODS)
    except AmbiguousRulesError:
        assume(False)
    for question, product in asked:
        if covering([new], question, product):
            assert after.find(question, product) in (new, before.find(question, product))
        else:
            assert after.find(question, product) is before.find(question, product)


@settings(max_examples=150, deadline=None)
@given(conditions, st.sampled_from(["type", "currency", "reason", "rate", "customer", "supply"]), st.lists(lines, min_size=1))
def test_a_rule_with_one_condition_more_wins_wherever_both_cover_a_line(wide, name, asked):
    assume(getattr(wide, name) is None and not (wide.first and wide.last and wide.last < wide.first))
    values = {"type": "plan_item_price", "currency": "EUR", "reason": "none", "rate": Decimal(0), "customer": "business"}
    narrow = replace(wide, **{name: values.get(name, "goods")})
    rules = [CodeRule(code="wide", when=wide), CodeRule(code="narrow", when=narrow)]
    both = Rules(rules, goods=GOODS)
    for question, product in asked:
        if len(covering(rules, question, product)) == len(rules):
            assert both.find(question, product) is rules[1]


@settings(max_examples=100, deadline=None)
@given(conditions, conditions, lines)
def test_rules_that_are_tied_are_refused_and_those_that_meet_on_a_line_are_never_equal(one, other, asked):
    pair = [CodeRule(code="1", when=one), CodeRule(code="2", when=other)]
    question, product = asked
    found = troubles(pair)
    if len(covering(pair, question, product)) == len(pair) and not found:
        assert one != other
    assert troubles(list(reversed(pair))) == [] if not found else len(troubles(list(reversed(pair)))) == len(found)
