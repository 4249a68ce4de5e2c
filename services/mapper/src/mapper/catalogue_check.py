"""Which products, coupons and custom fields the rules name that Chargebee has not shown. Pure: no database, no calls."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from backbone.configuration import Configuration
from backbone.mapping_configuration import DivisionConfiguration
from backbone.rule_configuration import LineWhen, Products
from mapper.custom_fields import PREFIX
from mapper.live_words import CANDIDATES, Complaint, Step

Kind = Literal["item_price", "item", "family", "coupon", "coupon_set", "coupon_code", "field", "subscription_field"]
Named = tuple[tuple[Step, ...], Kind, str]
_FIELDS: Final[tuple[Kind, ...]] = ("field", "subscription_field")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The ids that a site has shown: price points (and plans and addons of the older catalogue), items, families, coupons.

    Of coupon sets and their codes those that documents had; of custom fields those that had a value, of subscriptions apart.
    """

    item_price: frozenset[str] = frozenset()
    item: frozenset[str] = frozenset()
    family: frozenset[str] = frozenset()
    coupon: frozenset[str] = frozenset()
    coupon_set: frozenset[str] = frozenset()
    coupon_code: frozenset[str] = frozenset()
    field: frozenset[str] = frozenset()
    subscription_field: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Found:
    """How many names the rules have that could be looked up, and the complaints about those that are not there."""

    named: int
    complaints: list[Complaint]


def unseen(configuration: Configuration, catalogues: MappingOf[str, Catalogue]) -> Found:
    """Compare what the rules name with what the sites have shown, each division with the sites whose documents it may get.

    A kind of which nothing was seen is not judged: it did not come in yet, or the site has the older catalogue.
    """
    named, complaints = 0, list[Complaint]()
    for sites, references in _references(configuration):
        for path, kind, code in references:
            known = {each for site in sites for each in getattr(catalogues.get(site, Catalogue()), kind)}
            if not known:
                continue
            named += 1
            if code not in known:
                meant = get_close_matches(code, known, n=1) or sorted(known)[:CANDIDATES]
                values: dict[str, object] = {"code": code, "candidates": ", ".join(meant)}
                complaints.append(Complaint(path=path, code=f"unseen_{kind}", values=values))
    return Found(named, complaints)


def names_coupons(configuration: Configuration) -> bool:
    """Tell whether a rule names a coupon: finding out which there are takes a look at every document."""
    return any(rule.when.coupon for each in configuration.divisions.values() for rule in each.discounts.rules)


def names_fields(configuration: Configuration) -> bool:
    """Tell whether a rule names a custom field: finding out which there are takes a look at everything that may have some."""
    return any(kind in _FIELDS for _, named in _references(configuration) for _, kind, _ in named)


def _references(configuration: Configuration) -> Iterator[tuple[list[str], list[Named]]]:
    for name, site in configuration.sites.items():
        routes = [
            each for index, route in enumerate(site.routes) for each in _of_when(("sites", name, "routes", index), route.when)
        ]
        yield [name], routes
    for number, division in configuration.divisions.items():
        sites = [
            name
            for name, site in configuration.sites.items()
            if number in (site.division, *site.business_entities.values(), *(route.division for route in site.routes))
        ]
        yield sites, list(_of_division(("divisions", number), division))


def _of_division(place: tuple[Step, ...], division: DivisionConfiguration) -> Iterator[Named]:
    for name, group in division.groups.items():
        yield from _of_products((*place, "groups", name), group)
    if division.goods is not None:
        yield from _of_products((*place, "goods"), division.goods)
    for index, rule in enumerate(division.revenue):
        yield from _of_when((*place, "revenue", index), rule.when)
    for part, rules in (("cost_centers", division.cost_centers), ("cost_units", division.cost_units)):
        for index, dimension in enumerate(rules):
            yield from _of_when((*place, part, index), dimension.when)
    for index, discount in enumerate(division.discounts.rules):
        named: tuple[Kind, ...] = ("coupon", "coupon_set", "coupon_code")
        for kind in named:
            code: str | None = getattr(discount.when, kind)
            if code is not None:
                yield (*place, "discounts", "rules", index, "when", kind), kind, code


def _of_when(place: tuple[Step, ...], when: LineWhen) -> Iterator[Named]:
    kinds: tuple[Kind, ...] = ("item_price", "item", "family")
    for kind in kinds:
        code: str | None = getattr(when, kind)
        if code is not None:
            yield (*place, "when", kind), kind, code
    yield from _of_fields(place, when)


def _of_fields(place: tuple[Step, ...], when: LineWhen) -> Iterator[Named]:
    for kind in _FIELDS:
        for index, each in enumerate(getattr(when, kind)):
            if each.name.startswith(PREFIX):  # what is no custom field is always there
                yield (*place, "when", kind, index, "name"), kind, each.name


def _of_products(place: tuple[Step, ...], products: Products) -> Iterator[Named]:
    lists: tuple[tuple[str, Kind, tuple[str, ...]], ...] = (
        ("item_prices", "item_price", products.item_prices),
        ("items", "item", products.items),
        ("families", "family", products.families),
    )
    for name, kind, codes in lists:
        for index, code in enumerate(codes):
            yield (*place, name, index), kind, code
