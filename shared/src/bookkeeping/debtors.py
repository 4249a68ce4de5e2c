"""What a customer decides: the debtor account that his documents stand on, and the payment condition that Exact shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations

import msgspec

from bookkeeping.conditions import CustomerKind
from bookkeeping.other_days import Dated, named
from bookkeeping.troubles import Trouble, refuse
from bookkeeping.vat import INSIDE_UNION, OUTSIDE_UNION, country_fits, describe_conditions
from bookkeeping.versions import DAY, InForce, version_troubles

ANY_TERMS = "any terms"


class Debtor(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer is to these rules, all as it stands at the customer himself and not on one document.

    `currency` is the one the customer prefers. A business is what it is to the VAT rules: a usable VAT number, or confirmed.
    """

    currency: str | None = None
    country: str | None = None
    kind: CustomerKind = "consumer"


@dataclass(frozen=True, slots=True, kw_only=True)
class DebtorRule:
    """Customers that meet every condition have their debts on `account`, which must be of Exact's type accounts receivable."""

    account: str
    currency: str | None = None
    country: str | None = None
    customer: CustomerKind | None = None
    words: str = field(init=False, default="", compare=False)

    def __post_init__(self) -> None:
        conditions = {"currency": self.currency, "country": self.country, "customer": self.customer}
        object.__setattr__(self, "words", describe_conditions(conditions) or "any customer")

    def rank(self) -> tuple[int, int]:
        """Order rules by the number of conditions, then an exact country before a group of countries."""
        given = sum(value is not None for value in (self.currency, self.country, self.customer))
        return given, int(self.country is not None and self.country not in (INSIDE_UNION, OUTSIDE_UNION))

    def fits(self, debtor: Debtor) -> bool:
        """Tell whether the rule covers a customer."""
        return (
            self.currency in (None, debtor.currency)
            and self.customer in (None, debtor.kind)
            and country_fits(self.country, debtor.country)
        )


class DebtorRules:
    """The debtor accounts of a division; raises AmbiguousRulesError where two equally specific rules fit one customer."""

    __slots__ = ("_otherwise", "_rules")

    def __init__(self, otherwise: str, rules: Iterable[DebtorRule] = ()) -> None:
        self._otherwise = otherwise
        self._rules = tuple(sorted(rules, key=DebtorRule.rank, reverse=True))
        refuse(debtor_troubles(self._rules))

    def __bool__(self) -> bool:
        return bool(self._rules)

    def accounts(self) -> set[str]:
        """Return every debtor account that a customer may have."""
        return {self._otherwise, *(rule.account for rule in self._rules)}

    def account(self, debtor: Debtor) -> str:
        """Return the debtor account of a customer: the most specific rule's, else the division's receivable_account."""
        return next((rule.account for rule in self._rules if rule.fits(debtor)), self._otherwise)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How an invoice or a customer is to be paid, as Chargebee says it.

    `method` is the offline payment method of a customer who pays by himself; `auto_collection` says that Chargebee collects.
    """

    net_term_days: int | None = None
    auto_collection: bool | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsRule(InForce):
    """Terms that meet every condition get this code of Exact's payment conditions, by the date of the invoice."""

    code: str
    net_term_days: int | None = None
    auto_collection: bool | None = None
    method: str | None = None
    words: str = field(init=False, default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", self.with_days(self._named(), ANY_TERMS))

    @property
    def conditions(self) -> str:
        """What the rule asks for in words, without its days."""
        return self._named() or ANY_TERMS

    @property
    def item(self) -> str:
        """The rule without its days and its code, as the configuration has it."""
        return named(self._named(), "code")

    def _named(self) -> str:
        collected = None if self.auto_collection is None else "on" if self.auto_collection else "off"
        return describe_conditions({"net_term_days": self.net_term_days, "auto_collection": collected, "method": self.method})

    def rank(self) -> int:
        """Order rules by the number of their conditions."""
        return sum(value is not None for value in (self.net_term_days, self.auto_collection, self.method))

    def fits(self, terms: Terms) -> bool:
        """Tell whether the rule covers these terms."""
        return (
            self.net_term_days in (None, terms.net_term_days)
            and (self.auto_collection is None or self.auto_collection is terms.auto_collection)
            and self.method in (None, terms.method)
        )


class TermsRules:
    """The payment conditions of a division; `hold_unmapped` asks for a rule instead of letting Exact take its own default."""

    __slots__ = ("_rules", "hold_unmapped")

    def __init__(self, rules: Iterable[TermsRule], *, hold_unmapped: bool) -> None:
        self.hold_unmapped = hold_unmapped
        self._rules = tuple(sorted(rules, key=TermsRule.rank, reverse=True))
        refuse(terms_troubles(self._rules))

    def find(self, terms: Terms, day: date) -> TermsRule | None:
        """Return the most specific rule that is in force on a day, or None."""
        return next((rule for rule in self._rules if rule.is_in_force(day) and rule.fits(terms)), None)

    def decides(self, terms: Terms, day: date) -> str | None:
        """Return the words of the rule that decides about terms on a day, None where none does."""
        found = self.find(terms, day)
        return found.words if found is not None else None

    @property
    def dated(self) -> list[Dated]:
        """The rules that are in force for a time only."""
        return [Dated(words=each.words, item=each.item, first=each.first, last=each.last) for each in self._rules]


def debtor_troubles(rules: Sequence[DebtorRule]) -> list[Trouble]:
    """Return every pair of debtor rules of which neither is more specific, though one customer can meet both."""
    names, sentence = ("currency", "country", "customer"), "two debtor rules can fit one customer"
    conditions = [_given(rule, names) for rule in rules]
    same = [
        Trouble((index, other), _about_both(sentence, rules[index], rules[other]), "remove one of them")
        for index, other in combinations(range(len(rules)), 2)
        if conditions[index] == conditions[other]
    ]
    return sorted([*same, *_ties(rules, conditions, [InForce()] * len(rules), names, sentence)], key=lambda each: each.rules)


def terms_troubles(rules: Sequence[TermsRule]) -> list[Trouble]:
    """Return every pair of payment conditions of which neither is more specific, though one invoice can meet both.

    So it is with two versions of one rule on the same days; days that lie between two versions, without one, are told as well.
    """
    names, sentence = ("net_term_days", "auto_collection", "method"), "two payment conditions can fit one invoice"
    conditions = [_given(rule, names) for rule in rules]
    twice = [f"{sentence} ({rule.words}) and ({rule.words})" for rule in rules]
    keys = [tuple(sorted(each.items())) for each in conditions]
    versions = version_troubles(rules, keys, "rules of payment conditions", twice)
    return sorted([*versions, *_ties(rules, conditions, rules, names, sentence)], key=lambda each: each.rules)


def _given(rule: DebtorRule | TermsRule, names: Sequence[str]) -> dict[str, object]:
    return {name: value for name in names if (value := getattr(rule, name)) is not None}


def _about_both(sentence: str, one: DebtorRule | TermsRule, other: DebtorRule | TermsRule) -> str:
    return f"{sentence} ({one.words}) and ({other.words})"


def _ties(
    rules: Sequence[DebtorRule] | Sequence[TermsRule],
    conditions: Sequence[dict[str, object]],
    days: Sequence[InForce],
    names: Sequence[str],
    sentence: str,
) -> list[Trouble]:
    """Return two rules with as many conditions that can both fit on a day, unless others have those of both on all such days."""
    found = []
    for (index, one), (other_index, other) in combinations(enumerate(conditions), 2):
        both = _both(one, other)
        if len(one) != len(other) or both is None or not days[index].is_ever_with(days[other_index]):
            continue
        # Rules on the same things can both fit only where one names a country and the other its group: the country decides.
        if one.keys() != other.keys():
            thirds = [each for each, given in zip(days, conditions, strict=True) if given == both]
            if not _cover(thirds, days[index], days[other_index]):
                wanted = describe_conditions({name: _as_written(both[name]) for name in names if name in both})
                words = _about_both(sentence, rules[index], rules[other_index])
                found.append(Trouble((index, other_index), words, f"add a rule for both: when: {{{wanted}}}"))
    return found


def _cover(rules: Sequence[InForce], one: InForce, other: InForce) -> bool:
    """Tell whether on every day on which both are in force one of the rules is."""
    day = max(one.first or date.min, other.first or date.min)
    last = min(one.last or date.max, other.last or date.max)
    while True:
        ends = [rule.last or date.max for rule in rules if rule.is_in_force(day)]
        if not ends or max(ends) >= last:
            return bool(ends)
        day = max(ends) + DAY


def _as_written(value: object) -> object:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _both(one: dict[str, object], other: dict[str, object]) -> dict[str, object] | None:
    """Return the conditions of two rules together, the narrower country of both, or None when they exclude each other."""
    together = {**one, **other}
    for name in one.keys() & other.keys():
        values = (one[name], other[name])
        groups = [value for value in values if value in (INSIDE_UNION, OUTSIDE_UNION)]
        if values[0] == values[1]:
            continue
        country = next((value for value in values if value not in groups), None)
        if name != "country" or len(groups) != 1 or not country_fits(str(groups[0]), str(country)):
            return None
        together[name] = country
    return together
