"""Products and coupons that the rules name and Chargebee has never shown are named, with the id that was probably meant."""

from __future__ import annotations

from typing import Any

from backbone.configuration import Configuration
from mapper.catalogue_check import Catalogue, unseen

SHOWN = Catalogue(
    item_price=frozenset(("team-EUR", "book-EUR")),
    item=frozenset(("team", "book")),
    family=frozenset(("subscriptions", "books")),
    coupon=frozenset(("WELCOME10",)),
    coupon_set=frozenset(("cs_fair",)),
    coupon_code=frozenset(("FAIR-1",)),
    field=frozenset(("cf_project",)),
    subscription_field=frozenset(("cf_team",)),
)
DIVISION: dict[str, Any] = {
    "name": "Test",
    "journals": {"invoices": "70", "credit_notes": "71", "payments": "90"},
    "receivable_account": "1300",
}


def found(catalogues: dict[str, Catalogue], site: dict[str, Any] | None = None, **settings: Any) -> dict[str, tuple[str, str]]:
    """Return the code and what was probably meant, by the place in the division's section or the site's."""
    sites = {"acme": {"time_zone": "Europe/Amsterdam", "division": 100001, **(site or {})}}
    content = {"version": 1, "sites": sites, "divisions": {100001: {**DIVISION, **settings}, 100002: DIVISION}}
    told = unseen(Configuration.model_validate(content), catalogues).complaints
    for complaint in told:
        assert all("{" not in text for lang in ("en", "nl") for text in complaint.words(lang))
    return {".".join(map(str, each.path[2:])): (each.code, str(each.values["candidates"])) for each in told}


def test_every_place_that_names_a_product_is_looked_at():
    def when(**conditions: str) -> dict[str, Any]:
        return {"when": conditions, "account": "8000"}

    dimension = {"when": {"family": "bookz"}, "code": "NL"}
    assert found(
        {"acme": SHOWN},
        site={"routes": [{"when": {"item": "taem"}, "division": 100002}]},
        revenue=[when(item_price="team-EURO"), when(item="team"), when(family="subscription"), when(group="all")],
        groups={"all": {"item_prices": ["team-EUR", "bok-EUR"], "items": ["boook"], "families": ["books"]}},
        goods={"families": ["bokos"]},
        cost_centers=[dimension],
        cost_units=[dimension],
        discounts={
            "posting": "gross",
            "rules": [
                {"when": {"coupon": "WELCOM10"}, "account": "8090"},
                {"when": {"coupon_set": "cs_fiar"}, "account": "8090"},
                {"when": {"coupon_code": "FAIR-2"}, "account": "8090"},
                {"account": "8090"},
            ],
        },
    ) == {
        "routes.0.when.item": ("unseen_item", "team"),
        "revenue.0.when.item_price": ("unseen_item_price", "team-EUR"),
        "revenue.2.when.family": ("unseen_family", "subscriptions"),
        "groups.all.item_prices.1": ("unseen_item_price", "book-EUR"),
        "groups.all.items.0": ("unseen_item", "book"),
        "goods.families.0": ("unseen_family", "books"),
        "cost_centers.0.when.family": ("unseen_family", "books"),
        "cost_units.0.when.family": ("unseen_family", "books"),
        "discounts.rules.0.when.coupon": ("unseen_coupon", "WELCOME10"),
        "discounts.rules.1.when.coupon_set": ("unseen_coupon_set", "cs_fair"),
        "discounts.rules.2.when.coupon_code": ("unseen_coupon_code", "FAIR-1"),
    }


def test_a_custom_field_that_nothing_had_yet_is_named_with_the_one_that_was_probably_meant():
    def rules(field: str, of_subscription: str) -> list[dict[str, Any]]:
        asked = [{"name": "sku", "value": "a"}, {"name": field, "value": "a"}]
        return [{"when": {"field": asked, "subscription_field": {"name": of_subscription, "value": "a"}}, "account": "8000"}]

    assert found({"acme": SHOWN}, revenue=rules("cf_projekt", "cf_teams")) == {
        "revenue.0.when.field.1.name": ("unseen_field", "cf_project"),
        "revenue.0.when.subscription_field.0.name": ("unseen_subscription_field", "cf_team"),
    }
    assert found({"acme": SHOWN}, revenue=rules("cf_project", "cf_team")) == {}


def test_an_id_like_no_other_is_told_with_those_that_are_there():
    rule = {"when": {"family": "zzz"}, "account": "8000"}
    assert found({"acme": SHOWN}, revenue=[rule]) == {"revenue.0.when.family": ("unseen_family", "books, subscriptions")}


def test_a_kind_of_which_nothing_came_in_is_not_judged_and_neither_is_another_site():
    rule = {"when": {"family": "subscription"}, "account": "8000"}
    assert found({}, revenue=[rule]) == {}
    assert found({"acme": Catalogue(item_price=frozenset(("plan-1",)))}, revenue=[rule]) == {}, "the older catalogue"
    assert found({"other": SHOWN}, revenue=[rule]) == {}
