"""Discounts: taken off the revenue (net), or shown on accounts of their own beside the full revenue (gross)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction

from msgspec.structs import replace

from bookkeeping.documents import CouponUse, LineDiscount
from bookkeeping.journal import Line, Role
from bookkeeping.money import allocate, half_up
from bookkeeping.other_days import Dated, named
from bookkeeping.troubles import Trouble, refuse
from bookkeeping.vat import describe_conditions
from bookkeeping.versions import InForce, version_troubles

PERCENT = 100
ANY_DISCOUNT = "any discount"


Conditions = tuple[str | None, str | None, str | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscountRule(InForce):
    """Discounts that meet every condition are shown on `account`.

    `coupon` is a coupon's id, also for the codes of its coupon sets, which all stand for it; `coupon_set` and `coupon_code` take
    the codes of one set, or one of them. `type` is Chargebee's discount_type, such as promotional_credits. The date of the
    document decides whether the rule is in force.
    """

    account: str
    coupon_code: str | None = None
    coupon_set: str | None = None
    coupon: str | None = None
    type: str | None = None
    words: str = field(init=False, default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", self.with_days(self._named(), ANY_DISCOUNT))

    @property
    def key(self) -> Conditions:
        """What the rule asks for, the most specific first."""
        return self.coupon_code, self.coupon_set, self.coupon, self.type

    @property
    def conditions(self) -> str:
        """What the rule asks for in words, without its days."""
        return self._named() or ANY_DISCOUNT

    @property
    def item(self) -> str:
        """The rule without its days and its account, as the configuration has it."""
        return named(self._named(), "account")

    def _named(self) -> str:
        names = ("coupon_code", "coupon_set", "coupon", "type")
        return describe_conditions(dict(zip(names, self.key, strict=True)))


@dataclass(frozen=True, slots=True)
class Unclear:
    """Rules ask for a coupon set, and which one it is of `codes` is not certain; `code` is that of the rejection."""

    code: str
    codes: tuple[str, ...] = ()


class DiscountRules:
    """The rules of a division that books gross; two of the same on a day are an error.

    A code's go before a coupon set's, a coupon's, a type's, and those for any discount.
    """

    __slots__ = ("_of_sets", "_rules", "asks_codes")

    def __init__(self, rules: Iterable[DiscountRule] = ()) -> None:
        given = tuple(rules)
        refuse(discount_troubles(given))
        self._rules: dict[Conditions, list[DiscountRule]] = defaultdict(list)
        for rule in given:
            self._rules[rule.key].append(rule)
        self._of_sets = [rule for rule in given if rule.coupon_set is not None]
        self.asks_codes = bool(self._of_sets) or any(rule.coupon_code is not None for rule in given)

    def find(self, discount: LineDiscount, day: date) -> DiscountRule | Unclear | None:
        """Return the most specific rule for a discount of a day, or None: an account that was not written down is never taken."""
        if not self.asks_codes:
            return self._first((None,), discount, day)
        if discount.uses is None:
            return Unclear("coupon_code_unread") if discount.coupon is not None else self._first((None,), discount, day)
        found = [self._of_use(use, discount, day) for use in discount.uses]
        unclear = next((each for each in found if isinstance(each, Unclear)), None)
        if unclear is not None:
            return unclear
        rules = [each for each in found if not isinstance(each, Unclear)]
        if len({None if rule is None else rule.account for rule in rules}) > 1:
            return Unclear("coupon_codes_differ", tuple(use.code for use in discount.uses))
        return rules[0]

    def decides(self, discount: LineDiscount, day: date) -> str | None:
        """Return the words of the rule that decides about a discount on a day, None where none does."""
        found = self.find(discount, day)
        return found.words if isinstance(found, DiscountRule) else None

    @property
    def dated(self) -> list[Dated]:
        """The rules that are in force for a time only."""
        rules = [rule for versions in self._rules.values() for rule in versions]
        return [Dated(words=each.words, item=each.item, first=each.first, last=each.last) for each in rules]

    def _of_use(self, use: CouponUse, discount: LineDiscount, day: date) -> DiscountRule | Unclear | None:
        if not use.code:
            return self._first((None,), discount, day)
        for key in ((use.code, None, None, discount.type), (use.code, None, None, None)):
            for rule in self._rules.get(key, ()):
                if rule.is_in_force(day):
                    return rule
        if use.coupon_set is None and any(_may_fit(rule, discount, day) for rule in self._of_sets):
            return Unclear("coupon_code_gone" if use.is_asked else "waiting_for_coupon_code", (use.code,))
        sets = (use.coupon_set, None) if use.coupon_set is not None else (None,)
        return self._first(sets, discount, day)

    def _first(self, sets: Iterable[str | None], discount: LineDiscount, day: date) -> DiscountRule | None:
        coupon, kind = discount.coupon, discount.type
        pairs = ((coupon, kind), (coupon, None), (None, kind), (None, None))
        keys = ((None, each, *pair) for each in sets for pair in pairs)
        return next((rule for key in keys for rule in self._rules.get(key, ()) if rule.is_in_force(day)), None)


def _may_fit(rule: DiscountRule, discount: LineDiscount, day: date) -> bool:
    """Tell whether a rule fits a discount if its code belongs to the rule's coupon set."""
    return rule.coupon in (None, discount.coupon) and rule.type in (None, discount.type) and rule.is_in_force(day)


def discount_troubles(rules: Sequence[DiscountRule]) -> list[Trouble]:
    """Return each two versions of one rule that are in force on the same days, or leave days between them without one."""
    twice = [f"two discount rules have the same conditions ({rule.words})" for rule in rules]
    return version_troubles(rules, [rule.key for rule in rules], "discount rules", twice)


@dataclass(frozen=True, slots=True)
class ShownDiscount:
    """A discount on an account of its own; both amounts are what the revenue line must have more, positive in a sale.

    `code` is the code that the coupon was given by, where the rule asks for it.
    """

    rule: DiscountRule
    coupon: str | None
    net_minor: int
    tax_minor: int
    code: str = ""


def without_tax(discount_minor: int, rate: Decimal, *, inclusive: bool) -> tuple[int, int]:
    """Return a discount at a rate (percent) without its tax, and the tax, both rounded half up.

    On a tax-inclusive document the discount holds its tax; else the tax comes on top. Revenue and discount together keep the
    document's own net and tax, whatever the rounding of these two.
    """
    if inclusive:
        net = half_up(Fraction(discount_minor) * PERCENT / (PERCENT + Fraction(rate)))
        return net, discount_minor - net
    return discount_minor, half_up(Fraction(discount_minor) * Fraction(rate) / PERCENT)


def share_of_part(amount_minor: int, values: Sequence[int], index: int) -> int:
    """Return what falls of a line's discount on one of its parts, by what the parts are worth; all on the first when nothing."""
    if len(values) == 1:
        return amount_minor
    weights = [abs(value) for value in values]
    return allocate(amount_minor, weights if any(weights) else [1, *([0] * (len(values) - 1))])[index]


def with_discounts(revenue: Sequence[Line], shown: Sequence[ShownDiscount], sign: int, word: str) -> list[Line]:
    """Return the revenue lines in full, and a line for every discount beside each, released over the same days.

    `revenue` are the lines of one document line after its discounts, one for each portion of its service period; `sign` is -1
    where revenue is a credit, as in an invoice.
    """
    full, discounts = list(revenue), list[Line]()
    nets = [line.amount_minor for line in revenue]
    for each in shown:
        spreads = zip(_spread(each.net_minor, nets), _spread(each.tax_minor, nets), strict=True)
        for index, (net, tax) in enumerate(spreads):
            line = full[index]
            full[index] = replace(line, amount_minor=line.amount_minor + sign * net, vat_minor=line.vat_minor + sign * tax)
            discounts.append(
                replace(
                    line,
                    role=Role.DISCOUNT,
                    account=each.rule.account,
                    amount_minor=-sign * net,
                    vat_minor=-sign * tax,
                    description=f"{word} {each.coupon or ''}".rstrip(),
                    notes="",
                )
            )
    return [*full, *discounts]


def _spread(amount_minor: int, portions: Sequence[int]) -> list[int]:
    """Spread a discount over the portions of its revenue line by what they are worth."""
    if len(portions) == 1:
        return [amount_minor]
    weights = [abs(portion) for portion in portions]
    return allocate(amount_minor, weights if any(weights) else [1] * len(weights))


def merged(lines: Iterable[Line], otherwise: str) -> list[Line]:
    """Put discount lines together by account, VAT code, cost centre and service period; never two VAT codes in one line.

    The line is named after its coupon, or `otherwise` where several came together.
    """
    sums: dict[Line, Line] = {}
    for line in lines:
        key = replace(line, amount_minor=0, vat_minor=0, description="")
        known = sums.get(key)
        if known is not None:
            line = replace(  # noqa: PLW2901 - the line with what came before
                line,
                amount_minor=line.amount_minor + known.amount_minor,
                vat_minor=line.vat_minor + known.vat_minor,
                description=line.description if line.description == known.description else otherwise,
            )
        sums[key] = line
    return [line for line in sums.values() if line.amount_minor or line.vat_minor]
