"""The mapping: a controller's rules that turn documents into entries. The most specific rule wins, and a tie is an error."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from bookkeeping.customers import CustomerRules
from bookkeeping.debtors import Debtor, DebtorRules, TermsRules
from bookkeeping.deferral import Method
from bookkeeping.discounts import DiscountRules
from bookkeeping.documents import MoneyMovement, SalesDocument
from bookkeeping.exchange import ExchangeRates, RateUsed, rate_of
from bookkeeping.journals import Journals
from bookkeeping.other_days import Dated, with_other_days
from bookkeeping.periods import PeriodPolicy, PeriodRules
from bookkeeping.rejections import Rejection, reject
from bookkeeping.rules import CodeRule, RevenueRule, Rules
from bookkeeping.texts import Texts
from bookkeeping.troubles import Trouble
from bookkeeping.versions import DAY, InForce, version_troubles

WRITE_OFF = "write_off"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlAccount(InForce):
    """The clearing ledger of a gateway account and currency; `*` stands for any. The day of the movement decides."""

    gateway_account: str
    currency: str
    account: str
    words: str = field(init=False, default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", self.with_days(self.conditions, ""))

    @property
    def conditions(self) -> str:
        """What it is for in words, without its days."""
        return f"gateway_account: {self.gateway_account}, currency: {self.currency}"

    def fits(self, gateway_account: str | None, currency: str, day: date) -> bool:
        """Tell whether it is for a movement of this gateway account and currency on a day."""
        own = self.gateway_account in ("*", gateway_account) and self.currency in ("*", currency)
        return own and self.is_in_force(day)

    def rank(self) -> int:
        """Order accounts: a gateway account of its own before a currency of its own."""
        return 2 * (self.gateway_account != "*") + (self.currency != "*")


def control_troubles(controls: Sequence[ControlAccount]) -> list[Trouble]:
    """Return each two that are for the same money on the same days, or leave days between them without an account."""
    twice = [f"two control accounts are for {each.words}" for each in controls]
    keys = [(each.gateway_account, each.currency) for each in controls]
    return version_troubles(controls, keys, "control accounts", twice)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOffs:
    """Where debts go that nobody pays; `reasons` are the reason codes of credit notes that write off, beside write_off."""

    account: str
    vat_reclaim: Literal["after_one_year", "by_hand"] = "after_one_year"
    vat_code: str | None = None
    reasons: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeVat:
    """How a gateway's fees are taxed: exempt, shifted to us from abroad, or with VAT of our own country in them.

    `rate` in percent is used where the settlement file does not say how much VAT is in the fees.
    """

    treatment: Literal["exempt", "reverse_charge", "domestic"] = "exempt"
    code: str | None = None
    rate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlements:
    """Where payouts of gateways go: `payout_account` is money under way to the bank, whose statement takes it off again."""

    payout_account: str
    fee_account: str
    chargeback_fee_account: str | None = None
    fee_vat: FeeVat = field(default_factory=FeeVat)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """All rules of one division; `version` names this state of them."""

    division: int
    version: str
    currency: str
    journals: Journals
    receivable_account: str
    revenue: Rules[RevenueRule]
    vat: Rules[CodeRule]
    cost_centers: Rules[CodeRule] | None = None
    cost_units: Rules[CodeRule] | None = None
    control_accounts: tuple[ControlAccount, ...] = ()
    vat_boxes: MappingOf[str, str] = field(default_factory=dict)
    rounding_account: str | None = None
    rounding_vat_code: str | None = None
    period_policy: PeriodPolicy = "move"
    periods: PeriodRules = field(default_factory=PeriodRules)
    deferral_account: str | None = None
    deferral_method: Method = "per_period"
    book_payments: bool = True
    payments: Literal["each", "daily"] = "each"
    mode: Literal["entry", "document", "ledger"] = "entry"
    changes: Literal["hold", "correct"] = "hold"
    customers: CustomerRules = field(default_factory=CustomerRules)
    voided_before_booking: Literal["book_both", "skip"] = "book_both"
    book_from: date | None = None
    link_before: date | None = None
    shadow: bool = False
    write_offs: WriteOffs | None = None
    credit_note_wait_days: int | None = None
    withheld_tax_account: str | None = None
    exchange_difference_account: str | None = None
    settlements: Settlements | None = None
    discounts: DiscountRules | None = None
    zero_invoices: str = "skip"
    texts: Texts = field(default_factory=Texts)
    debtors: DebtorRules | None = None
    terms: TermsRules | None = None
    exchange_rates: ExchangeRates = field(default_factory=ExchangeRates)
    pdf_policy: Literal["always", "business", "on_demand", "never"] = "on_demand"
    pdf_of_credit_notes: bool = True

    @property
    def asks_subscriptions(self) -> bool:
        """Whether a rule or a text asks for fields of subscriptions."""
        rules = (self.revenue, self.cost_centers, self.cost_units)
        return bool(self.texts.subscription_fields) or any(each is not None and each.asks_subscriptions for each in rules)

    def wants_pdf(self, kind: str, *, is_business: bool) -> bool:
        """Tell whether a document's entry gets its PDF without being asked; payments have none."""
        if kind not in ("invoice", "credit_note") or (kind == "credit_note" and not self.pdf_of_credit_notes):
            return False
        return self.pdf_policy == "always" or (self.pdf_policy == "business" and is_business)

    def writes_off(self, reason: str | None) -> bool:
        """Tell whether an adjustment with this reason writes a debt off: Chargebee's own, or one of the division's."""
        return reason == WRITE_OFF or (self.write_offs is not None and reason in self.write_offs.reasons)

    def rate(self, document: SalesDocument | MoneyMovement, name: str) -> RateUsed | Rejection:
        """Return the rate to the division's currency that a document is booked at, or why there is none."""
        return rate_of(document, name, self.exchange_rates, self.division, self.currency)

    def debtor_account(self, debtor: Debtor | None) -> str:
        """Return the debtor account of a customer, which is the account that Exact books his documents on."""
        if debtor is None or not self.debtors:
            return self.receivable_account
        return self.debtors.account(debtor)

    def control_rule(self, gateway_account: str | None, currency: str, day: date) -> ControlAccount | None:
        """Return what names the control account of a gateway account and currency on a day: an exact match before `*`."""
        fitting = [control for control in self.control_accounts if control.fits(gateway_account, currency, day)]
        return max(fitting, key=ControlAccount.rank) if fitting else None

    def control_account(self, gateway_account: str | None, currency: str, day: date) -> str | None:
        """Return the control account of a gateway account and currency on a day, or None."""
        rule = self.control_rule(gateway_account, currency, day)
        return rule.account if rule is not None else None

    def control_accounts_between(self, gateway_account: str | None, currency: str, first: date, last: date) -> set[str]:
        """Return every control account that a gateway account and currency have on one of these days."""
        starts = (control.first for control in self.control_accounts)
        ends = (control.last + DAY for control in self.control_accounts if control.last and control.last < date.max)
        days = {first, last, *(day for day in (*starts, *ends) if day is not None and first <= day <= last)}
        return {account for day in days if (account := self.control_account(gateway_account, currency, day)) is not None}

    def control_of(self, money: MoneyMovement, name: str) -> str | Rejection:
        """Return the control account that money goes over on its day, or why there is none."""
        gateway, currency, day = money.gateway_account, money.currency, money.document_date
        account = self.control_account(gateway, currency, day)
        if account is not None:
            return account
        held = reject("no_control_account", document=name, gateway=gateway or "*", currency=currency, division=self.division)
        dated = [
            Dated(
                words=each.words,
                item=f'{{gateway_account: "{each.gateway_account}", currency: "{each.currency}", account: "..."',
                first=each.first,
                last=each.last,
            )
            for each in self.control_accounts
        ]

        def decides(other: date) -> str | None:
            rule = self.control_rule(gateway, currency, other)
            return rule.words if rule is not None else None

        return with_other_days(held, dated, day, f"divisions.{self.division}.control_accounts", decides)
