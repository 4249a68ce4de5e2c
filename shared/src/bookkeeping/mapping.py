"""The mapping: a controller's rules that turn documents into entries. The most specific rule wins, and a tie is an error."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from bookkeeping.customers import CustomerRules
from bookkeeping.debtors import Debtor, DebtorRules, TermsRules
from bookkeeping.deferral import Method
from bookkeeping.discounts import DiscountRules
from bookkeeping.documents import MoneyMovement, Product, SalesDocument
from bookkeeping.exchange import ExchangeRates, RateUsed, rate_of
from bookkeeping.periods import PeriodPolicy, PeriodRules
from bookkeeping.rejections import Rejection
from bookkeeping.texts import Texts
from bookkeeping.vat import INSIDE_UNION, NO_REASON, OUTSIDE_UNION, UNION, AmbiguousRulesError, VatRules, country_fits
from bookkeeping.vat import describe_conditions as _describe

JournalKind = Literal["invoices", "credit_notes", "payments"]

SETUP_FEE = "plan_setup"
WITHOUT_PRODUCT = "adhoc"
# Plans and addons of the older catalogue carry no item and no family, so nothing has to be known about them.
OLDER_CATALOGUE = frozenset(("plan", "addon", SETUP_FEE))


@dataclass(frozen=True, slots=True, kw_only=True)
class RevenueRule:
    """Lines that meet every condition are booked on `account`; `defer` spreads them over their service period."""

    account: str
    item_price: str | None = None
    item: str | None = None
    family: str | None = None
    type: str | None = None
    currency: str | None = None
    country: str | None = None
    reason: str | None = None
    cost_center: str | None = None
    cost_unit: str | None = None
    defer: bool = False
    words: str = field(init=False, default="", compare=False)

    def __post_init__(self) -> None:
        names = ("item_price", "item", "family", "type", "currency", "country", "reason")
        object.__setattr__(self, "words", _describe({name: getattr(self, name) for name in names}) or "any line")

    def rank(self) -> tuple[int, ...]:
        """Order rules by how specific they are: item price, item, family, type, then the number of other conditions."""
        others = sum(value is not None for value in (self.currency, self.country, self.reason))
        exact = self.country is not None and self.country not in (INSIDE_UNION, OUTSIDE_UNION)
        named = (self.item_price, self.item, self.family, self.type)
        return (*(int(value is not None) for value in named), others, int(exact))

    def asks_for_product(self) -> bool:
        """Tell whether the rule depends on the item or the family, which only the product's own record names."""
        return self.item is not None or self.family is not None

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class RevenueQuestion:
    """What a line says of itself to the revenue rules; `country` is where the customer is taxed."""

    entity_type: str
    product_id: str | None
    currency: str
    country: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class ProductNeeded:
    """A rule could fit, but the product's item and family must be known first."""

    product_id: str


class RevenueRules:
    """The revenue rules of a division; raises AmbiguousRulesError where two equally specific rules could fit one line."""

    __slots__ = ("_answers", "_rules")

    def __init__(self, rules: Iterable[RevenueRule]) -> None:
        self._rules = tuple(sorted(rules, key=RevenueRule.rank, reverse=True))
        self._answers: dict[tuple[str | None, ...], RevenueRule | None] = {}
        for one, other in combinations(self._rules, 2):
            if _equally_specific(one, other) and _overlap(one, other):
                raise AmbiguousRulesError(f"two revenue rules are equally specific and can fit one line ({one}) and ({other})")

    def find(self, question: RevenueQuestion, product: Product | None) -> RevenueRule | ProductNeeded | None:
        """Return the most specific rule for a line, or None; ProductNeeded where the answer hangs on an unknown product."""
        unknown = (
            product is None
            and question.product_id is not None
            and question.entity_type not in OLDER_CATALOGUE
            and question.entity_type != WITHOUT_PRODUCT
        )
        if unknown:
            possible = next((rule for rule in self._rules if _fits(rule, question, None, product_unknown=True)), None)
            if possible is not None and possible.asks_for_product() and question.product_id is not None:
                return ProductNeeded(question.product_id)
            return possible
        item = product.item_id if product is not None else None
        family = product.family_id if product is not None else None
        key = (question.entity_type, question.product_id, item, family, question.currency, question.country, question.reason)
        if key not in self._answers:
            # Bounded by the catalogue times the countries; kept because every line of every document asks.
            self._answers[key] = next((rule for rule in self._rules if _fits(rule, question, product)), None)
        return self._answers[key]


def _fits(rule: RevenueRule, question: RevenueQuestion, product: Product | None, *, product_unknown: bool = False) -> bool:
    circumstances = (
        rule.type in (None, question.entity_type)
        and rule.currency in (None, question.currency)
        and rule.reason in (None, question.reason or NO_REASON)
        and country_fits(rule.country, question.country)
    )
    names_product = rule.item_price is not None or rule.asks_for_product()
    if not circumstances or not names_product:
        return circumstances
    # A set-up fee names its plan, but earns other revenue: it takes a product's rule only when that rule is for set-up fees.
    for_others = question.entity_type == SETUP_FEE and rule.type != SETUP_FEE
    if for_others or rule.item_price not in (None, question.product_id):
        return False
    if product_unknown:
        return True
    item = product.item_id if product is not None else None
    family = product.family_id if product is not None else None
    return rule.item in (None, item) and rule.family in (None, family)


def _equally_specific(one: RevenueRule, other: RevenueRule) -> bool:
    """Tell whether neither rule is narrower; a country within a group of countries is, when all else asks for the same."""
    if one.rank()[:-1] != other.rank()[:-1]:
        return False
    asked = [(rule.currency is None, rule.country is None, rule.reason is None) for rule in (one, other)]
    return asked[0] != asked[1] or one.rank() == other.rank()


def _overlap(one: RevenueRule, other: RevenueRule) -> bool:
    names = ("item_price", "item", "family", "type", "currency", "reason")
    pairs = ((getattr(one, name), getattr(other, name)) for name in names)
    return all(None in pair or pair[0] == pair[1] for pair in pairs) and _countries_overlap(one.country, other.country)


def _countries_overlap(one: str | None, other: str | None) -> bool:
    if one is None or other is None or one == other:
        return True
    groups = {INSIDE_UNION, OUTSIDE_UNION}
    if one in groups and other in groups:
        return False
    group, country = (one, other) if one in groups else (other, one)
    return group in groups and (country in UNION) == (group == INSIDE_UNION)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlAccount:
    """The clearing ledger of a gateway account and currency; `*` stands for any."""

    gateway_account: str
    currency: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOffs:
    """Where debts go that nobody pays; `reasons` are the reason codes of credit notes that write off, beside write_off."""

    account: str
    journal: str
    vat_reclaim: Literal["after_one_year", "by_hand"] = "after_one_year"
    vat_code: str | None = None
    reasons: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """All rules of one division; `version` names this state of them."""

    division: int
    version: str
    currency: str
    invoice_journal: str
    credit_note_journal: str
    payment_journal: str
    receivable_account: str
    revenue: RevenueRules
    vat: VatRules
    control_accounts: tuple[ControlAccount, ...] = ()
    rounding_account: str | None = None
    rounding_vat_code: str | None = None
    period_policy: PeriodPolicy = "move"
    periods: PeriodRules = field(default_factory=PeriodRules)
    deferral_account: str | None = None
    deferral_method: Method = "per_period"
    book_payments: bool = True
    mode: Literal["entry", "ledger"] = "entry"
    ledger_journal: str | None = None
    changes: Literal["hold", "correct"] = "hold"
    customers: CustomerRules = field(default_factory=CustomerRules)
    voided_before_booking: Literal["book_both", "skip"] = "book_both"
    write_offs: WriteOffs | None = None
    credit_note_wait_days: int | None = None
    withheld_tax_account: str | None = None
    discounts: DiscountRules | None = None
    zero_invoices: str = "skip"
    texts: Texts = field(default_factory=Texts)
    debtors: DebtorRules | None = None
    terms: TermsRules | None = None
    exchange_rates: ExchangeRates = field(default_factory=ExchangeRates)
    currency_journals: MappingOf[tuple[JournalKind, str], str] = field(default_factory=dict)

    def journal(self, kind: JournalKind, currency: str) -> str:
        """Return the journal of a kind of document, which may be another one for one currency."""
        own = {"invoices": self.invoice_journal, "credit_notes": self.credit_note_journal, "payments": self.payment_journal}
        return self.currency_journals.get((kind, currency)) or own[kind]

    def rate(self, document: SalesDocument | MoneyMovement, name: str) -> RateUsed | Rejection:
        """Return the rate to the division's currency that a document is booked at, or why there is none."""
        return rate_of(document, name, self.exchange_rates, self.division, self.currency)

    def debtor_account(self, debtor: Debtor | None) -> str:
        """Return the debtor account of a customer, which is the account that Exact books his documents on."""
        if debtor is None or not self.debtors:
            return self.receivable_account
        return self.debtors.account(debtor)

    def control_account(self, gateway_account: str | None, currency: str) -> str | None:
        """Return the control account of a gateway account and currency, an exact match before `*`, or None."""
        best: tuple[int, str] | None = None
        for control in self.control_accounts:
            if control.gateway_account not in ("*", gateway_account) or control.currency not in ("*", currency):
                continue
            rank = 2 * (control.gateway_account != "*") + (control.currency != "*")
            if best is None or rank > best[0]:
                best = (rank, control.account)
        return best[1] if best is not None else None
