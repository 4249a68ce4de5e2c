"""Lists of rules: the most specific one that covers a line wins, and two that could both win are an error.

Order of precedence: a rule for an item price before one for an item, for a family, for a type of line; at each of the first
three the product itself before a group that holds it; then the rule with more other conditions; then, of rules that ask for
the same, the one whose countries lie within the other's. What this order leaves open is a tie.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import combinations, pairwise
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from msgspec import structs

from bookkeeping.conditions import Conditions, Group, Question
from bookkeeping.documents import Product
from bookkeeping.troubles import Trouble, refuse

SETUP_FEE = "plan_setup"
WITHOUT_PRODUCT = "adhoc"
# Plans and addons of the older catalogue carry no item and no family, so nothing has to be known about them.
OLDER_CATALOGUE = frozenset(("plan", "addon", SETUP_FEE))
DAY = timedelta(days=1)


class Rule(Protocol):
    """A rule, whatever it decides."""

    @property
    def when(self) -> Conditions:
        """What must hold."""


AnyRule = TypeVar("AnyRule", bound=Rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevenueRule:
    """Lines that meet the conditions are booked on `account`; `defer` spreads them over their service period."""

    account: str
    when: Conditions = field(default_factory=Conditions)
    cost_center: str | None = None
    cost_unit: str | None = None
    defer: bool = False
    index: int | None = field(default=None, compare=False)  # its place in the configuration's list, from 0
    words: str = field(init=False, default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", str(self.when))


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRule:
    """Lines that meet the conditions get this code of Exact: a VAT code, a cost centre or a cost unit."""

    code: str
    when: Conditions = field(default_factory=Conditions)
    index: int | None = field(default=None, compare=False)  # its place in the configuration's list, from 0
    words: str = field(init=False, default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", str(self.when))


@dataclass(frozen=True, slots=True)
class ProductNeeded:
    """A rule could fit, but what the product's own record says must be known first."""

    product_id: str


@dataclass(frozen=True, slots=True)
class SubscriptionNeeded:
    """A rule could fit, but the fields of the line's subscription must be known first."""


Found: TypeAlias = AnyRule | ProductNeeded | SubscriptionNeeded | None


@dataclass(frozen=True, slots=True)
class _Case(Generic[AnyRule]):
    """A rule as it covers products of one kind: a rule for a group is one for its price points, its items and its families."""

    rule: AnyRule
    index: int
    item_prices: frozenset[str] | None
    items: frozenset[str] | None
    families: frozenset[str] | None
    rank: tuple[int, ...]

    def meets(self, other: _Case[AnyRule]) -> bool:
        """Tell whether one line can be covered by both."""
        names = ("item_prices", "items", "families")
        pairs = ((getattr(self, name), getattr(other, name)) for name in names)
        return all(None in pair or pair[0] & pair[1] for pair in pairs) and self.rule.when.meets(other.rule.when)

    def is_tied(self, other: _Case[AnyRule]) -> bool:
        """Tell whether neither is more specific, though one line can be covered by both."""
        if self.rank != other.rank or not self.meets(other):
            return False
        one, two = self.rule.when, other.rule.when
        if one.asked() != two.asked() or one.country is None or two.country is None:
            return True
        return not (one.country.is_within(two.country) or two.country.is_within(one.country))


def troubles(rules: Sequence[AnyRule], noun: str = "rules") -> list[Trouble]:
    """Return every tie between two rules, and every gap between two versions of one rule that dates tell apart."""
    found: dict[tuple[int, ...], Trouble] = {}
    by_rank: dict[tuple[int, ...], list[_Case[AnyRule]]] = defaultdict(list)
    for case in _cases(rules):
        by_rank[case.rank].append(case)
    for equals in by_rank.values():
        for one, other in combinations(equals, 2):
            pair = tuple(sorted((one.index, other.index)))
            if one.index != other.index and pair not in found and one.is_tied(other):
                first, second = (rules[index].when for index in pair)
                found[pair] = Trouble(pair, *_about_tie(first, second, noun))
    versions: dict[Conditions, list[int]] = defaultdict(list)
    for index, rule in enumerate(rules):
        versions[replace(rule.when, first=None, last=None)].append(index)
    for indexes in versions.values():
        dated = sorted(indexes, key=lambda index: rules[index].when.first or date.min)
        for one_index, other_index in pairwise(dated):
            ends, starts = rules[one_index].when.last, rules[other_index].when.first
            if ends is not None and starts is not None and ends + DAY < starts:
                words = str(replace(rules[one_index].when, first=None, last=None))
                sentence = f"the rule for {words} has no version from {ends + DAY} until {starts - DAY}"
                remedy = f"let the first end until: {starts - DAY}, or the second begin from: {ends + DAY}"
                found[(one_index, other_index)] = Trouble((one_index, other_index), sentence, remedy)
    return [found[key] for key in sorted(found)]


def country_troubles(rules: Sequence[AnyRule], noun: str) -> list[Trouble]:
    """Return each pair of rules of which one is for the narrower countries and the other, by more conditions, would win.

    VAT is a country's, so that neither may decide silently: it could book a country's own reverse charge as one of the Union.
    """
    found = []
    for (first, one), (second, other) in combinations(enumerate(rules), 2):
        narrow, wide = (one.when, other.when) if one.when.count() < other.when.count() else (other.when, one.when)
        if narrow.country is None or wide.country is None or narrow.count() == wide.count():
            continue
        if narrow.country.is_within(wide.country) and narrow.meets(wide):
            missing = ", ".join(sorted(wide.asked() - narrow.asked()))
            sentence = (
                f"of two {noun} that can fit one line, one is for fewer countries ({narrow}), the other asks for more ({wide})"
            )
            found.append(Trouble((first, second), sentence, f"let the first ask for {missing}, too"))
    return found


def _about_tie(one: Conditions, other: Conditions, noun: str) -> tuple[str, str]:
    if replace(one, first=None, last=None) == replace(other, first=None, last=None) and (one.first or other.first):
        earlier, later = sorted((one, other), key=lambda each: each.first or date.min)
        sentence = f"two {noun} with the same conditions are in force on the same days ({one}) and ({other})"
        if later.first is not None and later.first != earlier.first:
            return sentence, f"write until: {later.first - DAY} in the earlier one"
        return sentence, "let one end on the day before the other begins"
    sentence = f"two {noun} are equally specific and can fit one line ({one}) and ({other})"
    if one == other:
        return sentence, "remove one of them"
    return sentence, "make one of them more specific, or add a rule for what both cover and narrow these two"


def _cases(rules: Sequence[AnyRule]) -> list[_Case[AnyRule]]:
    return [case for index, rule in enumerate(rules) for case in _cases_of(rule, index)]


def _cases_of(rule: AnyRule, index: int) -> list[_Case[AnyRule]]:
    when = rule.when
    direct = [None if value is None else frozenset((value,)) for value in (when.item_price, when.item, when.family)]
    if when.group is None:
        return [_case(rule, index, direct, weight=2)]
    members = (when.group.item_prices, when.group.items, when.group.families)
    cases = []
    for kind, ids in enumerate(members):
        if ids:
            named: list[frozenset[str] | None] = [None, None, None]
            named[kind] = ids
            cases.append(_case(rule, index, named, weight=1))
    return cases


def _case(rule: AnyRule, index: int, named: Sequence[frozenset[str] | None], *, weight: int) -> _Case[AnyRule]:
    flags = (*(weight if ids is not None else 0 for ids in named), int(rule.when.type is not None))
    return _Case(rule, index, named[0], named[1], named[2], (*flags, rule.when.count()))


class Rules(Generic[AnyRule]):
    """A list of rules that was found to have no ties; raises AmbiguousRulesError with all of its troubles.

    Where `setup_fees_apart`, a set-up fee takes a product's rule only when that rule is for set-up fees: it names its plan,
    but earns other revenue.
    """

    __slots__ = (
        *("_answers", "_asks", "_asks_more", "_cases", "_days", "_of_subscriptions", "_setup_fees_apart", "_values"),
        *("goods", "rules"),
    )

    def __init__(
        self,
        rules: Iterable[AnyRule],
        *,
        noun: str = "rules",
        setup_fees_apart: bool = False,
        goods: Group | None = None,
    ) -> None:
        self.rules = tuple(rules)
        self.goods = goods
        refuse(troubles(self.rules, noun))
        self._setup_fees_apart = setup_fees_apart
        self._cases = sorted(_cases(self.rules), key=_narrowest_first)
        conditions = [rule.when for rule in self.rules]
        self._asks = frozenset(name for each in conditions for name in each.asked())
        self._days = sorted(
            {day for each in conditions for day in (each.first, each.last + DAY if each.last else None) if day is not None}
            | ({date(each.year + step, 1, 1) for each in conditions if each.year is not None for step in (0, 1)})
        )
        self._values = _values(pair for each in conditions for pair in each.fields)
        self._of_subscriptions = _values(pair for each in conditions for pair in each.subscription_fields)
        self._asks_more = bool(self._days or self._values or self._asks & {"customer", "business_entity"})
        self._answers: dict[tuple[Any, ...], Found[AnyRule]] = {}

    def __bool__(self) -> bool:
        return bool(self.rules)

    @property
    def asks_subscriptions(self) -> bool:
        """Whether a rule asks for a field of a subscription."""
        return bool(self._of_subscriptions)

    def find(self, question: Question, product: Product | None) -> Found[AnyRule]:
        """Return the most specific rule for a line, or None, or what must be known first because the answer hangs on it."""
        return self.find_at(question, product, question.country, question.day)

    def find_at(self, question: Question, product: Product | None, country: str | None, day: date) -> Found[AnyRule]:
        """Return what `find` does for a line of another country and day than the question's own."""
        record = (product.item_id, product.family_id) if product is not None else None
        key: tuple[Any, ...] = (question.entity_type, question.product_id, record, country, question.reason, question.currency)
        if "rate" in self._asks:
            key = (*key, question.rate)
        if self._asks_more:
            values = ((name, _field(name, question, product)) for name in self._values)
            key = (
                *key,
                question.customer,
                question.business_entity,
                bisect_right(self._days, day),
                *(value if value in self._values[name] else None for name, value in values),
            )
        if self._of_subscriptions:
            known = question.subscription_fields
            values = ((name, known.get(name) if known is not None else None) for name in self._of_subscriptions)
            key = (*key, known is None, *(value if value in self._of_subscriptions[name] else None for name, value in values))
        try:
            return self._answers[key]
        except KeyError:
            # Bounded by the catalogue times the countries and the values that rules name; every line of every document asks.
            answer = self._answers[key] = self._find(structs.replace(question, country=country, day=day), product)
            return answer

    def _find(self, question: Question, product: Product | None) -> Found[AnyRule]:
        identity = question.product_id
        in_catalogue = question.entity_type not in OLDER_CATALOGUE and question.entity_type != WITHOUT_PRODUCT
        is_unknown = product is None and identity is not None and in_catalogue
        found = next((case for case in self._cases if self._covers(case, question, product, is_unknown=is_unknown)), None)
        if found is None:
            return None
        if is_unknown and identity is not None and self._hangs_on_record(found):
            return ProductNeeded(identity)
        if question.subscription_fields is None and found.rule.when.subscription_fields:
            return SubscriptionNeeded()
        return found.rule

    def _hangs_on_record(self, case: _Case[AnyRule]) -> bool:
        """Tell whether a rule asks for what only the product's own record says: its item, its family or its fields."""
        asks_supply = case.rule.when.supply is not None and self.goods is not None
        return case.items is not None or case.families is not None or bool(case.rule.when.fields) or asks_supply

    def _covers(self, case: _Case[AnyRule], question: Question, product: Product | None, *, is_unknown: bool) -> bool:
        when = case.rule.when
        if not question.fits(when):
            return False
        apart = self._setup_fees_apart and question.entity_type == SETUP_FEE and when.type != SETUP_FEE
        if (apart and when.names_product()) or (case.item_prices is not None and question.product_id not in case.item_prices):
            return False
        of_subscription = question.subscription_fields
        if of_subscription is not None and any(of_subscription.get(name) != value for name, value in when.subscription_fields):
            return False
        if is_unknown:
            return True
        item = product.item_id if product is not None else None
        family = product.family_id if product is not None else None
        return (
            (case.items is None or item in case.items)
            and (case.families is None or family in case.families)
            and (when.supply is None or when.supply == self._supply(question.product_id, item, family))
            and all(_field(name, question, product) == value for name, value in when.fields)
        )

    def _supply(self, price: str | None, item: str | None, family: str | None) -> str:
        return "goods" if self.goods is not None and self.goods.holds(price, item, family) else "service"


def _values(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Return the values that rules ask each field for."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, value in pairs:
        found[name].add(value)
    return found


def _narrowest_first(case: _Case[AnyRule]) -> tuple[int, ...]:
    country = case.rule.when.country
    return (*(-each for each in case.rank), country.size if country is not None else 0)


def _field(name: str, question: Question, product: Product | None) -> str | None:
    """Return a custom field: of the product, else of the document, else of its customer."""
    own = product.fields.get(name) if product is not None else None
    return own if own is not None else question.fields.get(name)
