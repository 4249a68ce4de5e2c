"""Which rule wins: each condition, their order of precedence, dates, and what is refused at load."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from bookkeeping.conditions import Conditions, Group, Question, countries_of
from bookkeeping.documents import Product
from bookkeeping.rules import CodeRule, ProductNeeded, RevenueRule, Rules, SubscriptionNeeded, country_troubles, troubles
from bookkeeping.vat import AmbiguousRulesError

KNOWN = Product(price_id="team-EUR", item_id="team", family_id="subscriptions", fields={"sku": "S-1", "cf_line": "saas"})
DAY = date(2026, 3, 15)
GOODS = Group(name="goods", items=frozenset(("team",)))


def when(**conditions: Any) -> Conditions:
    if "country" in conditions:
        conditions["country"] = countries_of(conditions["country"])
    if "group" in conditions:
        conditions["group"] = Group(name="g", **{kind: frozenset(ids) for kind, ids in conditions["group"].items()})
    return Conditions(**conditions)


def rule(account: str, **conditions: Any) -> RevenueRule:
    return RevenueRule(account=account, when=when(**conditions))


def question(
    kind: str = "plan_item_price", product: str | None = "team-EUR", country: str | None = "NL", **more: Any
) -> Question:
    asked = Question(entity_type=kind, product_id=product, currency="EUR", country=country, reason=None, day=DAY)
    return replace(asked, **more)


def account(rules: list[RevenueRule], asked: Question, product: Product | None = KNOWN) -> str | None:
    found = Rules(rules, setup_fees_apart=True).find(asked, product)
    assert not isinstance(found, ProductNeeded | SubscriptionNeeded)
    return found.account if found else None


def test_a_product_beats_a_group_that_holds_it_and_both_beat_what_is_wider():
    rules = [
        rule("type", type="plan_item_price"),
        rule("families", group={"families": ["subscriptions", "other"]}),
        rule("family", family="subscriptions"),
        rule("items", group={"items": ["team", "solo"]}),
        rule("item", item="team"),
        rule("prices", group={"item_prices": ["team-EUR"]}),
        rule("price", item_price="team-EUR"),
    ]
    for left in range(len(rules), 0, -1):
        assert account(rules[:left], question()) == rules[left - 1].account


def test_a_group_covers_its_price_points_items_and_families_and_nothing_else():
    everything = [rule("g", group={"item_prices": ["one-EUR"], "items": ["two"], "families": ["three"]})]
    two = Product(price_id="two-EUR", item_id="two", family_id="x")
    three = Product(price_id="y-EUR", item_id="y", family_id="three")
    assert account(everything, question(product="one-EUR"), Product(price_id="one-EUR")) == "g"
    assert account(everything, question(product="two-EUR"), two) == "g"
    assert account(everything, question(product="y-EUR"), three) == "g"
    assert account(everything, question()) is None
    assert account([rule("p", group={"item_prices": ["team-EUR"]})], question(), None) == "p", "nothing has to be known of it"


@pytest.mark.parametrize(
    ("conditions", "fits", "misses"),
    [
        ({"type": "adhoc"}, {"kind": "adhoc"}, {"kind": "plan"}),
        ({"currency": "USD"}, {"currency": "USD"}, {"currency": "EUR"}),
        ({"country": "NL"}, {"country": "NL"}, {"country": "BE"}),
        ({"country": "EU"}, {"country": "DE"}, {"country": "GB"}),
        ({"country": "non-EU"}, {"country": "GB"}, {"country": "DE"}),
        ({"country": ["BE", "LU"]}, {"country": "LU"}, {"country": "NL"}),
        ({"country": ["non-EU", "NL"]}, {"country": "NL"}, {"country": "FR"}),
        ({"country": "non-EU"}, {"country": "US"}, {"country": None}),
        ({"reason": "export"}, {"reason": "export"}, {"reason": None}),
        ({"reason": "none"}, {"reason": None}, {"reason": "export"}),
        ({"rate": Decimal(9)}, {"rate": Decimal("9.0")}, {"rate": Decimal(21)}),
        ({"customer": "business"}, {"customer": "business"}, {"customer": "consumer"}),
        ({"year": 2026}, {"day": date(2026, 12, 31)}, {"day": date(2027, 1, 1)}),
        ({"fields": (("cf_team", "x"),)}, {"fields": {"cf_team": "x"}}, {"fields": {"cf_team": "y"}}),
        ({"fields": (("cf_line", "saas"),)}, {}, {"product": None, "kind": "adhoc"}),
        ({"fields": (("sku", "S-1"), ("cf_a", "b"))}, {"fields": {"cf_a": "b"}}, {"fields": {}}),
        ({"first": date(2026, 7, 1)}, {"day": date(2026, 7, 1)}, {"day": date(2026, 6, 30)}),
        ({"last": date(2026, 6, 30)}, {"day": date(2026, 6, 30)}, {"day": date(2026, 7, 1)}),
        ({"business_entity": "be_1"}, {"business_entity": "be_1"}, {"business_entity": None}),
    ],
)
def test_each_condition_covers_what_it_says(conditions, fits, misses):
    rules = Rules(
        [rule("yes", **conditions), rule("no")] if conditions.keys() - {"first", "last"} else [rule("yes", **conditions)]
    )
    for _ in range(2):  # the second answer comes from memory
        found = rules.find(question(**fits), KNOWN if "kind" not in fits else None)
        assert isinstance(found, RevenueRule)
        assert found.account == "yes"
        missed = rules.find(question(**misses), KNOWN if "kind" not in misses else None)
        assert missed is None or (isinstance(missed, RevenueRule) and missed.account == "no")


def test_goods_are_told_apart_from_services_by_the_list_of_goods():
    rules = Rules(
        [CodeRule(code="ICP-goods", when=when(supply="goods")), CodeRule(code="ICP-service", when=when(supply="service"))],
        goods=GOODS,
    )

    def code(asked: Question, product: Product | None) -> str | None:
        found = rules.find(asked, product)
        return found.code if isinstance(found, CodeRule) else None

    assert code(question(), KNOWN) == "ICP-goods"
    assert code(question(), Product(price_id="team-EUR", item_id="support")) == "ICP-service"
    assert code(question("adhoc", None), None) == "ICP-service"
    assert isinstance(rules.find(question(), None), ProductNeeded)


def test_a_field_of_the_product_goes_before_one_of_the_document():
    rules = [rule("product", fields=(("cf_line", "saas"),)), rule("document", fields=(("cf_line", "books"),))]
    assert account(rules, question(fields={"cf_line": "books"})) == "product"
    assert account(rules, question(fields={"cf_line": "books"}), Product(price_id="team-EUR")) == "document"


def test_more_conditions_beat_fewer():
    rules = [rule("all", family="subscriptions"), rule("NL", family="subscriptions", country="NL")]
    assert account(rules, question()) == "NL"
    assert account(rules, question(country="DE")) == "all"


def test_of_rules_that_ask_for_the_same_the_narrower_countries_win():
    rules = [
        rule("any"),
        rule("EU", country="EU"),
        rule("Benelux", country=["BE", "NL", "LU"]),
        rule("BE", country="BE"),
        rule("outside", country="non-EU"),
        rule("America", country=["US", "CA"]),
    ]
    asked = ["BE", "LU", "FR", "US", "JP", None]
    assert [account(rules, question(country=country)) for country in asked] == [
        *("BE", "Benelux", "EU", "America", "outside"),
        "any",
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"item": "team"}, {"item": "team"}),
        ({}, {}),
        ({"family": "a", "currency": "EUR"}, {"family": "a", "country": "NL"}),
        ({"type": "plan", "country": "EU"}, {"type": "plan", "currency": "USD"}),
        ({"country": ["NL", "BE"]}, {"country": ["BE", "LU"]}),
        ({"country": ["EU", "GB"]}, {"country": "non-EU"}),
        ({"group": {"items": ["a", "b"]}}, {"group": {"items": ["b", "c"]}}),
        ({"customer": "business"}, {"fields": (("cf_a", "1"),)}),
        ({"fields": (("cf_a", "1"),)}, {"fields": (("cf_b", "1"),)}),
        ({"country": "NL", "rate": Decimal(0)}, {"country": "EU", "reason": "reverse_charge"}),
        ({"item": "a", "first": date(2026, 1, 1)}, {"item": "a"}),
        ({"item": "a", "last": date(2026, 6, 30)}, {"item": "a", "first": date(2026, 6, 30)}),
    ],
)
def test_two_rules_that_could_both_decide_are_refused_at_load(one, other):
    with pytest.raises(AmbiguousRulesError):
        Rules([rule("1", **one), rule("2", **other)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"country": "EU"}, {"country": "non-EU"}),
        ({"country": ["NL", "BE"]}, {"country": ["DE", "FR"]}),
        ({"item": "a"}, {"item": "b"}),
        ({"group": {"items": ["a"]}}, {"group": {"families": ["f"]}}),
        ({"group": {"items": ["a"]}}, {"group": {"items": ["b"]}}),
        ({"customer": "business"}, {"customer": "consumer"}),
        ({"year": 2026}, {"year": 2027}),
        ({"country": "NL", "rate": Decimal(21)}, {"country": "EU", "reason": "reverse_charge"}),
        ({"fields": (("cf_a", "1"),)}, {"fields": (("cf_a", "2"),)}),
        ({"item": "a", "last": date(2026, 6, 30)}, {"item": "a", "first": date(2026, 7, 1)}),
    ],
)
def test_rules_that_never_meet_are_accepted(one, other):
    Rules([rule("1", **one), rule("2", **other)])


def test_a_vat_rule_for_the_union_does_not_silently_win_over_one_for_a_country():
    domestic = CodeRule(code="6", when=when(country="NL", reason="reverse_charge"))
    union = CodeRule(code="7", when=when(country="EU", reason="reverse_charge", supply="service"))
    (trouble,) = country_troubles([domestic, union], "VAT rules")
    assert trouble.rules == (0, 1)
    assert trouble.remedy == "let the first ask for supply, too"
    asking = CodeRule(code="6", when=when(country="NL", reason="reverse_charge", supply="service"))
    assert country_troubles([asking, union, CodeRule(code="2", when=when(country="NL", rate=Decimal(21)))], "VAT rules") == []


def test_a_gap_between_the_versions_of_a_rule_is_told_with_its_days():
    rules = [
        rule("new", item="a", first=date(2026, 8, 1)),
        rule("old", item="a", last=date(2026, 6, 30)),
        rule("other", item="b", first=date(2027, 1, 1)),
    ]
    (trouble,) = troubles(rules)
    assert trouble.rules == (1, 0)
    assert trouble.sentence == "the rule for item: a has no version from 2026-07-01 until 2026-07-31"
    assert trouble.remedy == "let the first end until: 2026-07-31, or the second begin from: 2026-07-01"


def test_an_overlap_of_two_versions_says_when_the_earlier_one_must_end():
    (trouble,) = troubles([rule("old", item="a"), rule("new", item="a", first=date(2027, 1, 1))])
    assert trouble.remedy == "write until: 2026-12-31 in the earlier one"


def test_all_troubles_of_a_list_are_told_at_once():
    rules = [rule("1", item="a"), rule("2", item="a"), rule("3", family="f"), rule("4", family="f"), rule("5")]
    assert [trouble.rules for trouble in troubles(rules)] == [(0, 1), (2, 3)]


def test_a_setup_fee_takes_a_product_rule_only_when_that_is_for_setup_fees():
    plain = [rule("8000", item_price="team-EUR")]
    assert account(plain, question("plan_setup")) is None
    assert account([*plain, rule("8020", item_price="team-EUR", type="plan_setup")], question("plan_setup")) == "8020"


def test_an_unknown_product_is_waited_for_only_when_it_can_decide():
    by_price = rule("8000", item_price="team-EUR")
    by_family = rule("8010", family="subscriptions")
    assert isinstance(Rules([by_family]).find(question(), None), ProductNeeded)
    assert account([by_price, by_family], question(), None) == "8000"
    assert account([rule("8010", family="x", country="DE")], question(), None) is None
    assert account([by_family], question("plan"), None) is None, "the older catalogue has no families"


def test_vat_is_found_by_country_rate_and_reason():
    rules = Rules(
        [
            CodeRule(code="2", when=when(country="NL", rate=Decimal(21))),
            CodeRule(code="EUV", when=when(country="EU", rate=Decimal(0), reason="reverse_charge")),
            CodeRule(code="NLV", when=when(country="NL", rate=Decimal(0), reason="reverse_charge")),
            CodeRule(code="N", when=when(reason="none", rate=Decimal(0))),
        ]
    )

    def code(country: str | None, rate: str, reason: str | None = None) -> str | None:
        found = rules.find_at(question(rate=Decimal(rate), reason=reason), None, country, DAY)
        return found.code if isinstance(found, CodeRule) else None

    assert code("NL", "21.0") == "2"
    assert code("DE", "0", "reverse_charge") == "EUV"
    assert code("NL", "0", "reverse_charge") == "NLV"
    assert code("DE", "19") is None
    assert code(None, "0") == "N"


OF_TEAM_A = (("cf_team", "A"),)


def test_a_field_of_the_subscription_is_another_than_a_field_of_that_name_elsewhere():
    rules = [rule("8000"), rule("8001", subscription_fields=OF_TEAM_A)]
    assert account(rules, question(subscription_fields={"cf_team": "A"})) == "8001"
    assert account(rules, question(subscription_fields={"cf_team": "B"})) == "8000"
    assert account(rules, question(fields={"cf_team": "A"})) == "8000"
    assert account([rule("8000"), rule("8001", fields=OF_TEAM_A)], question(subscription_fields={"cf_team": "A"})) == "8000"
    assert str(when(subscription_fields=OF_TEAM_A)) == "subscription_field: {name: cf_team, value: A}"


def test_a_line_waits_for_its_subscription_only_where_the_rule_that_could_win_asks_for_it():
    rules = Rules([rule("8000"), rule("8001", subscription_fields=OF_TEAM_A, type="plan_item_price")])
    assert isinstance(rules.find(question(subscription_fields=None), KNOWN), SubscriptionNeeded)
    assert account(list(rules.rules), question(subscription_fields={})) == "8000", "known, and without the field"
    assert account(list(rules.rules), question(kind="charge_item_price", subscription_fields=None)) == "8000"
    wins = [*rules.rules, rule("8002", item="team")]
    assert account(wins, question(subscription_fields=None)) == "8002", "a rule for the item beats what the subscription says"
    assert account(wins, question(subscription_fields={"cf_team": "A"})) == "8002"


def test_a_subscription_that_is_known_rules_out_what_an_unknown_product_could_have_fitted():
    rules = Rules([rule("8000"), rule("8001", family="books", subscription_fields=OF_TEAM_A)])
    assert isinstance(rules.find(question(subscription_fields={"cf_team": "A"}), None), ProductNeeded)
    found = rules.find(question(subscription_fields={"cf_team": "B"}), None)
    assert isinstance(found, RevenueRule)
    assert found.account == "8000"


def test_two_rules_for_one_field_of_the_subscription_tie_only_where_one_line_can_meet_both():
    team_b = (("cf_team", "B"),)
    assert troubles([rule("8000", subscription_fields=OF_TEAM_A), rule("8001", subscription_fields=team_b)]) == []
    [tie] = troubles([rule("8000", subscription_fields=OF_TEAM_A), rule("8001", subscription_fields=(("cf_region", "N"),))])
    assert "equally specific" in tie.sentence
    [tie] = troubles([rule("8000", subscription_fields=OF_TEAM_A), rule("8001", fields=OF_TEAM_A)])
    assert "equally specific" in tie.sentence
