"""The conditions of a rule: which lines it covers, how narrow it is, and whether two rules can meet on one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

from bookkeeping.vat import INSIDE_UNION, NO_REASON, OUTSIDE_UNION, UNION

CustomerKind = Literal["business", "consumer"]
Supply = Literal["goods", "service"]
# More than there are countries, so that all of them outside the Union are wider than any list.
OUTSIDE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Countries:
    """A set of countries: ISO codes, and with `outside` every country that is not in the Union."""

    members: frozenset[str]
    outside: bool = False
    words: str = field(default="", compare=False)

    def __contains__(self, country: str | None) -> bool:
        return country is not None and (country in self.members or (self.outside and country not in UNION))

    @property
    def size(self) -> int:
        """How wide it is, for telling the narrower of two where one lies in the other."""
        return len(self.members) + OUTSIDE_SIZE * self.outside

    def meets(self, other: Countries) -> bool:
        """Tell whether a country is in both."""
        if self.outside and other.outside:
            return True
        return any(country in other for country in self.members) or any(country in self for country in other.members)

    def is_within(self, other: Countries) -> bool:
        """Tell whether every country of this one is in the other, which has more."""
        covered = all(country in other for country in self.members) and (other.outside or not self.outside)
        return covered and self.size < other.size

    def __str__(self) -> str:
        return self.words


def countries_of(codes: str | Iterable[str]) -> Countries:
    """Return the countries that a rule names: ISO codes, `EU` and `non-EU`."""
    named = [codes] if isinstance(codes, str) else list(codes)
    members: set[str] = set()
    for code in named:
        members |= UNION if code == INSIDE_UNION else set() if code == OUTSIDE_UNION else {code}
    words = named[0] if len(named) == 1 else f"[{', '.join(named)}]"
    return Countries(frozenset(members), OUTSIDE_UNION in named, words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A named list of products: price points (or plans and addons of the older catalogue), items and families."""

    name: str
    item_prices: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()

    def holds(self, price: str | None, item: str | None, family: str | None) -> bool:
        """Tell whether a product is in the group."""
        return price in self.item_prices or item in self.items or family in self.families

    def __str__(self) -> str:
        return self.name


# The conditions beside the product that each count once in telling which rule is more specific.
OTHERS = ("currency", "country", "reason", "rate", "customer", "supply", "year", "business_entity")
SINGLE = ("type", "currency", "reason", "rate", "customer", "supply", "year", "business_entity")
WRITTEN = ("item_price", "item", "family", "group", "type", *OTHERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What must hold of a line for a rule to cover it; None stands for anything, and `reason` none for no reason.

    `rate` is in percent. `fields` are custom fields with their values, `subscription_fields` those of the subscription. `first`
    and `last` are the days from and until which the rule is in force, both inclusive; they make a rule no more specific.
    """

    item_price: str | None = None
    item: str | None = None
    family: str | None = None
    group: Group | None = None
    type: str | None = None
    currency: str | None = None
    country: Countries | None = None
    reason: str | None = None
    rate: Decimal | None = None
    customer: CustomerKind | None = None
    supply: Supply | None = None
    year: int | None = None
    business_entity: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    subscription_fields: tuple[tuple[str, str], ...] = ()
    first: date | None = None
    last: date | None = None

    def __str__(self) -> str:
        # A rate of 20 without trailing zeros is 2E+1; `f` writes it as people do.
        values = ((name, getattr(self, name)) for name in WRITTEN)
        words = [f"{name}: {value:f}" if name == "rate" else f"{name}: {value}" for name, value in values if value is not None]
        words += [f"field: {{name: {name}, value: {value}}}" for name, value in self.fields]
        words += [f"subscription_field: {{name: {name}, value: {value}}}" for name, value in self.subscription_fields]
        words += [f"{name}: {day.isoformat()}" for name, day in (("from", self.first), ("until", self.last)) if day is not None]
        return ", ".join(words) or "any line"

    def names_product(self) -> bool:
        """Tell whether the rule is for certain products."""
        return any(value is not None for value in (self.item_price, self.item, self.family, self.group))

    def count(self) -> int:
        """Return the number of conditions beside product and type."""
        single = sum(getattr(self, name) is not None for name in OTHERS)
        return single + len(self.fields) + len(self.subscription_fields)

    def asked(self) -> frozenset[str]:
        """Return what the conditions beside product and type are about."""
        single = frozenset(name for name in OTHERS if getattr(self, name) is not None)
        return single | {name for name, _ in self.fields} | {f"subscription's {name}" for name, _ in self.subscription_fields}

    def meets(self, other: Conditions) -> bool:
        """Tell whether a line can meet both, as far as their products do."""
        for name in SINGLE:
            one, two = getattr(self, name), getattr(other, name)
            if one is not None and two is not None and one != two:
                return False
        if (_taxed(self) and _exempt(other)) or (_taxed(other) and _exempt(self)):
            return False
        if self.country is not None and other.country is not None and not self.country.meets(other.country):
            return False
        if _differ(self.fields, other.fields) or _differ(self.subscription_fields, other.subscription_fields):
            return False
        return (self.first or date.min) <= (other.last or date.max) and (other.first or date.min) <= (self.last or date.max)


def _differ(one: tuple[tuple[str, str], ...], other: tuple[tuple[str, str], ...]) -> bool:
    """Tell whether two rules ask one field for two values."""
    theirs = dict(other)
    return any(theirs.get(name, value) != value for name, value in one)


def _taxed(conditions: Conditions) -> bool:
    return bool(conditions.rate)


def _exempt(conditions: Conditions) -> bool:
    """Tell whether lines without tax are meant: a line that carries tax has no reason not to."""
    return conditions.reason not in (None, NO_REASON)


class Question(msgspec.Struct, kw_only=True):
    """What a line says of itself to the rules.

    `country` is where the customer is taxed, or whose tax it is; `rate` is in percent; `day` is the day that decides which
    version of a rule is in force, and `year` that of the document. `fields` are the custom fields of customer and document,
    `subscription_fields` those of the line's subscription: None while that has not been seen.
    """

    entity_type: str
    product_id: str | None
    currency: str
    country: str | None
    reason: str | None
    day: date
    rate: Decimal = Decimal(0)
    customer: CustomerKind = "consumer"
    fields: Mapping[str, str] = msgspec.field(default_factory=dict)
    subscription_fields: Mapping[str, str] | None = msgspec.field(default_factory=dict)
    business_entity: str | None = None

    def fits(self, conditions: Conditions) -> bool:
        """Tell whether the conditions beside product, supply and fields hold."""
        return (
            conditions.type in (None, self.entity_type)
            and conditions.currency in (None, self.currency)
            and conditions.reason in (None, self.reason or NO_REASON)
            and (conditions.country is None or self.country in conditions.country)
            and (conditions.rate is None or conditions.rate == self.rate)
            and conditions.customer in (None, self.customer)
            and conditions.year in (None, self.day.year)
            and conditions.business_entity in (None, self.business_entity)
            and (conditions.first is None or conditions.first <= self.day)
            and (conditions.last is None or self.day <= conditions.last)
        )
