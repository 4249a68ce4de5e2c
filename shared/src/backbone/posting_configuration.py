"""How a division's entries look beside their accounts: discounts, texts, debtor accounts, payment conditions and rates."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from backbone.configuration_types import Code, Country, Currency, PlacedError, Strict, exact_decimal
from backbone.rule_configuration import CustomerKind, Dated

DiscountType = Literal[
    "item_level_coupon",
    "document_level_coupon",
    "item_level_discount",
    "document_level_discount",
    "promotional_credits",
    "prorated_credits",
]
# Those that bookkeeping does not book without such a word; of any other Chargebee says itself how it gives it.
UnconfirmedCurrency = Literal["BIF", "CLP", "DJF", "GNF", "KMF", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XPF"]
ExchangeRate = Annotated[Decimal, BeforeValidator(exact_decimal), Field(gt=0)]


class DiscountWhen(Strict):
    """What must hold for a discount rule; what is left out may be anything."""

    coupon: Code | None = Field(None, description="the coupon's id; the codes of all its coupon sets stand for it")
    coupon_set: Code | None = Field(None, description="the id of a coupon set: discounts that were given by one of its codes")
    coupon_code: Code | None = Field(None, description="one code of a coupon set")
    type: DiscountType | None = Field(None, description="Chargebee's discount_type")

    @model_validator(mode="after")
    def _code_says_the_rest(self) -> DiscountWhen:
        if self.coupon_code is not None and (self.coupon is not None or self.coupon_set is not None):
            raise ValueError("a coupon_code belongs to one coupon set and one coupon: leave coupon and coupon_set out")
        return self


class DiscountRule(Dated):
    """Which ledger account a discount is shown on; dates are those of documents."""

    when: DiscountWhen = DiscountWhen()
    account: Code


class Discounts(Strict):
    """Whether discounts are taken off the revenue, or shown on accounts of their own."""

    posting: Literal["net", "gross"] = Field("net", description="net: off the revenue; gross: on the accounts of the rules")
    rules: tuple[DiscountRule, ...] = ()

    @model_validator(mode="after")
    def _rules_are_for_gross(self) -> Discounts:
        if self.rules and self.posting == "net":
            message = "the rules are for discounts that are shown: write posting: gross, or remove the rules"
            raise PlacedError([(("rules",), message)])
        return self


class Texts(Strict):
    """Templates for what stands on entries and lines; YourRef is always the document's number, which entries are found by."""

    entry_description: str | None = Field(None, description="such as {kind} {number}[ for invoice {invoice}]; 60 characters")
    line_description: str | None = Field(None, description="such as {line}[ {period}]; 60 characters")
    notes: str | None = Field(None, description="the notes of every line, such as PO {po_number}; left out when empty")
    ellipsis: bool = Field(default=False, description="show by ... that a text was cut at 60 characters")


class DebtorWhen(Strict):
    """What must hold of a customer for a debtor account; what is left out may be anything."""

    currency: Currency | None = Field(None, description="the customer's preferred currency")
    country: Country | None = Field(None, description="of the customer's billing address")
    customer: CustomerKind | None = Field(
        None, description="a business has a usable VAT number, or Chargebee confirms it without"
    )


class DebtorRule(Strict):
    """Which debtor account the customers have whom the conditions fit; all others have receivable_account."""

    when: DebtorWhen
    account: Code


class TermsWhen(Strict):
    """What must hold for a payment condition; what is left out may be anything."""

    net_term_days: int | None = Field(None, ge=0)
    auto_collection: Literal["on", "off"] | None = Field(None, description="whether Chargebee collects from this customer")
    method: Code | None = Field(None, description="the customer's offline payment method in Chargebee")


class TermsRule(Dated):
    """Which payment condition of Exact an invoice gets; dates are those of invoices."""

    when: TermsWhen = TermsWhen()
    code: Code


class PaymentConditions(Strict):
    """Exact's payment conditions on invoices and customers; the due date stays Chargebee's in any case."""

    rules: tuple[TermsRule, ...] = ()
    unmapped: Literal["hold", "exact_default"] = Field(
        "hold", description="an invoice whose terms no rule fits is held, or gets the condition that Exact has for the customer"
    )


class DatedRate(Strict):
    """From this day on a unit of the currency is worth the rate in the division's currency."""

    currency: Currency
    first: date = Field(alias="from")
    rate: ExchangeRate


def _or_one_word(schema: dict[str, Any]) -> None:
    body = dict(schema)
    schema.clear()
    schema |= {"anyOf": [{"enum": ["chargebee", "exact"]}, body]}


class Pdf(Strict):
    """Which entries get Chargebee's original PDF attached in Exact, at two calls each, after the bookings."""

    policy: Literal["always", "business", "on_demand", "never"] = Field(
        "on_demand", description="business: as the condition customer: business of rules; on_demand: `kruispost pdf NUMBER`"
    )
    credit_notes: bool = Field(default=True, description="credit notes as well as invoices")
    lists: bool = Field(default=True, description="mode ledger: a list of its documents on each entry, at two calls an entry")


class ExchangeRates(Strict):
    """Where the rate of an entry in another currency comes from."""

    model_config = ConfigDict(json_schema_extra=_or_one_word)

    policy: Literal["chargebee", "exact", "table"] = Field(
        "chargebee", description="chargebee: its own; exact: that of the day in Exact; table: the rates below"
    )
    table: tuple[DatedRate, ...] = ()
    whole_units: tuple[UnconfirmedCurrency, ...] = Field(
        (), description="currencies without decimals that Chargebee gives in whole units, beside JPY, KRW, XAF and XOF"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_word_is_a_policy(cls, value: Any) -> Any:
        return {"policy": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _table_fits_policy(self) -> ExchangeRates:
        if (self.policy == "table") != bool(self.table):
            message = "a table of rates goes with policy: table, and the other policies have none"
            raise ValueError(message)
        return self
