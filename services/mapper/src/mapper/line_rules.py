"""The controller's YAML on accounts, dimensions, VAT codes and routes as the rules of bookkeeping that it means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

from backbone.configuration import SiteConfiguration
from backbone.mapping_configuration import DivisionConfiguration
from backbone.rule_configuration import Dated, DimensionRule, LineWhen, Products, VatWhen
from bookkeeping.conditions import Conditions, Group, countries_of
from bookkeeping.rules import CodeRule, RevenueRule, Rules


class LineRules(TypedDict):
    """A part of the arguments of a mapping."""

    revenue: Rules[RevenueRule]
    cost_centers: Rules[CodeRule] | None
    cost_units: Rules[CodeRule] | None
    vat: Rules[CodeRule]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRule:
    """Documents that meet the conditions go to this division."""

    division: int
    when: Conditions


def line_rules(configuration: DivisionConfiguration) -> LineRules:
    """Return the rules of a division. Raises AmbiguousRulesError for what `troubles` tells of them."""
    goods = _group("goods", configuration.goods) if configuration.goods is not None else None
    centers, units = (dimension_rules(rules, configuration) for rules in (configuration.cost_centers, configuration.cost_units))
    return LineRules(
        revenue=Rules(revenue_rules(configuration), noun="revenue rules", setup_fees_apart=True),
        cost_centers=Rules(centers, noun="rules of cost centres") if centers else None,
        cost_units=Rules(units, noun="rules of cost units") if units else None,
        vat=Rules(vat_rules(configuration), noun="VAT rules", goods=goods),
    )


def revenue_rules(configuration: DivisionConfiguration) -> list[RevenueRule]:
    """Return the revenue rules in the order of the file."""
    return [
        RevenueRule(
            account=rule.account,
            when=_conditions(rule.when, rule, configuration),
            cost_center=rule.cost_center,
            cost_unit=rule.cost_unit,
            defer=rule.defer,
            index=index,
        )
        for index, rule in enumerate(configuration.revenue)
    ]


def dimension_rules(rules: Iterable[DimensionRule], configuration: DivisionConfiguration) -> list[CodeRule]:
    """Return rules of cost centres or cost units in the order of the file."""
    return [CodeRule(code=rule.code, when=_conditions(rule.when, rule, configuration)) for rule in rules]


def vat_rules(configuration: DivisionConfiguration) -> list[CodeRule]:
    """Return the VAT rules in the order of the file."""
    return [
        CodeRule(code=rule.code, when=_conditions(rule.when, rule, configuration), index=index)
        for index, rule in enumerate(configuration.vat)
    ]


def route_rules(site: SiteConfiguration) -> list[RouteRule]:
    """Return the routes of a site in the order of the file."""
    return [RouteRule(division=route.division, when=_conditions(route.when, route, None)) for route in site.routes]


def _conditions(when: LineWhen | VatWhen, dated: Dated, configuration: DivisionConfiguration | None) -> Conditions:
    given = when.model_dump(exclude={"country", "field", "subscription_field", "group", "rate"})
    name = getattr(when, "group", None)
    rate = getattr(when, "rate", None)
    return Conditions(
        **given,
        country=countries_of(when.country) if when.country is not None else None,
        group=_group(name, configuration.groups[name]) if name is not None and configuration is not None else None,
        # 21, 21.0 and 21.00 are one rate; decimals with different trailing zeros are equal but print alike only so.
        rate=rate.normalize() if rate is not None else None,
        fields=_pairs(when, "field"),
        subscription_fields=_pairs(when, "subscription_field"),
        first=dated.first,
        last=dated.last,
    )


def _pairs(when: LineWhen | VatWhen, kind: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((each.name, each.value) for each in getattr(when, kind, ())))


def _group(name: str, products: Products) -> Group:
    return Group(
        name=name,
        item_prices=frozenset(products.item_prices),
        items=frozenset(products.items),
        families=frozenset(products.families),
    )
