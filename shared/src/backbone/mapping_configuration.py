"""The division's section of the YAML file: journals, accounts and the rules that turn documents into entries."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from backbone.configuration_types import OWN_COUNTRY, Code, Currency, PlacedError, Strict
from backbone.customer_configuration import CustomersConfiguration
from backbone.journal_configuration import Journals
from backbone.matching_configuration import BankMatching
from backbone.period_configuration import Deferral, Periods
from backbone.posting_configuration import (
    DebtorRule,
    Discounts,
    ExchangeRates,
    PaymentConditions,
    Pdf,
    Texts,
)
from backbone.rule_configuration import Dated, DimensionRule, Products, RevenueRule, VatRule

PERCENT = r"^\d{1,2}(\.\d{1,2})?$"
CURRENCY_OR_ANY = r"^([A-Z]{3}|\*)$"


class Rounding(Strict):
    """Where the difference goes that Chargebee calls round_off."""

    account: Code
    vat_code: Code | None = None


class WriteOffs(Strict):
    """Where debts go that nobody pays. Their VAT is reclaimed a year after they were due, or by a person."""

    account: Code
    vat_reclaim: Literal["after_one_year", "by_hand"] = "after_one_year"
    vat_code: Code | None = Field(None, description="a code without VAT, where the account has another one of its own in Exact")
    reasons: tuple[Code, ...] = Field((), description="reason codes of credit notes that write off, beside write_off")


class CreditNotes(Strict):
    """What becomes of a credit note whose invoice is not known, such as one from before the start."""

    without_invoice: Literal["wait", "book"] = Field("wait", description="book: after wait_days, with the customer's own country")
    wait_days: Annotated[int, Field(ge=1, le=366)] = 7


class WithheldTaxes(Strict):
    """Where taxes go that customers hold back from invoices and pay to their tax office."""

    account: Code


class ExchangeDifferences(Strict):
    """Where it goes that money in another currency was worth more or less than what it settled: never to revenue."""

    account: Code


class FeeVat(Strict):
    """How a gateway's fees are taxed. Shifted VAT is booked by Exact on both sides, under a purchase code of its own."""

    treatment: Literal["exempt", "reverse_charge", "domestic"] = "exempt"
    code: Code | None = Field(None, description="a VAT code for purchases; needed unless the fees are exempt")
    rate: Annotated[str, Field(pattern=PERCENT)] | None = Field(
        None, description="percent, for domestic VAT that the settlement file does not show"
    )

    @model_validator(mode="after")
    def _taxed_fees_have_a_code(self) -> FeeVat:
        if self.treatment != "exempt" and self.code is None:
            raise ValueError(f"fee_vat: {{treatment: {self.treatment}}} needs a VAT code for purchases; add code")
        return self


class Settlements(Strict):
    """Where the payouts of gateways go, which `kruispost import-settlement` reads from their files."""

    payout_account: Code = Field(description="money under way to the bank; the bank's statement is booked against it")
    fee_account: Code
    chargeback_fee_account: Code | None = Field(None, description="absent: fee_account")
    fee_vat: FeeVat = FeeVat()


class ControlAccount(Dated):
    """The clearing ledger account of one payment gateway and currency; `*` is any, and dates are those of payments."""

    gateway_account: Code = "*"
    currency: Annotated[str, Field(pattern=CURRENCY_OR_ANY)] = "*"
    account: Code


class Licence(Strict):
    """What the contract with Exact allows beside calls; Exact tells no app of it, so it is taken from the contract."""

    lines_a_month: int | None = Field(None, ge=1, description="entry lines that may be booked in a month; `plan` warns beyond")


class DivisionConfiguration(Strict):
    """One Exact administration and the mapping that turns documents into its entries."""

    name: str
    currency: Currency = "EUR"
    vat_number: str | None = Field(
        None, min_length=1, max_length=30, description="the company's own VAT number, which a Dutch audit file has to name"
    )
    country: str = Field("NL", pattern=OWN_COUNTRY, description="where the company pays VAT, for the audit file")
    mode: Literal["entry", "document", "ledger"] = Field(
        "entry",
        description="how documents are booked: each as a sales entry, each as a sales invoice of items, or many together in one"
        " general-journal entry, each with a debtor line of its own",
    )
    journals: Journals
    receivable_account: Code
    period_policy: Literal["move", "hold", "ask"] = Field(
        "move", description="a document dated in a closed period goes to the next open one, is held, or held with a question"
    )
    periods: Periods = Periods()
    vat_return: Literal["monthly", "quarterly", "yearly"] = Field("monthly", description="how often VAT is declared")
    filed_until: date | None = Field(
        None, description="the last day whose VAT return was filed; absent: a closed period counts as filed"
    )
    deferral: Deferral | None = Field(None, description="absent: per period, and nothing is known of the account")
    rounding: Rounding | None = None
    mapping_version: Annotated[str, Field(max_length=40)] | None = Field(
        None, description="your own name for this state of the rules, shown at each booking beside the one made of its content"
    )
    groups: dict[Code, Products] = Field(default_factory=dict, description="lists of products that rules may name")
    goods: Products | None = Field(None, description="the products that are goods; all others are services")
    revenue: tuple[RevenueRule, ...] = ()
    cost_centers: tuple[DimensionRule, ...] = Field((), description="for lines whose revenue rule names no cost centre")
    cost_units: tuple[DimensionRule, ...] = Field((), description="for lines whose revenue rule names no cost unit")
    vat: tuple[VatRule, ...] = ()
    vat_boxes: dict[Code, Code] = Field(
        default_factory=dict,
        description="the box of the VAT return that each VAT code counts in, as it is set up in Exact; reports add up by it",
    )
    control_accounts: tuple[ControlAccount, ...] = ()
    book_payments: bool = True
    payments: Literal["each", "daily"] = Field(
        "each",
        description="online payments and refunds are booked one by one as they come, or those of a control account, currency and"
        " day together in one entry after the day, each with a debtor line of its own",
    )
    customers: CustomersConfiguration = CustomersConfiguration()
    write_offs: WriteOffs | None = None
    credit_notes: CreditNotes = CreditNotes()
    withheld_taxes: WithheldTaxes | None = None
    exchange_differences: ExchangeDifferences | None = None
    settlements: Settlements | None = None
    bank_matching: BankMatching = BankMatching()
    language: Literal["en", "nl"] = Field("en", description="of the texts on entries")
    texts: Texts = Texts()
    discounts: Discounts = Discounts()
    zero_invoices: Literal["skip", "book"] = Field(
        "skip", description="an invoice that discounts bring to zero is only recorded, or booked as revenue and discount"
    )
    debtors: tuple[DebtorRule, ...] = Field((), description="other debtor accounts than receivable_account, by customer")
    payment_conditions: PaymentConditions | None = Field(None, description="absent: Exact's own for the customer")
    exchange_rates: ExchangeRates = ExchangeRates()
    pdf: Pdf = Pdf()
    licence: Licence = Licence()
    changes: Literal["hold", "correct"] = Field(
        "hold",
        description="a document whose amounts change after it was booked is held for a person, or booked back and booked anew",
    )
    book_from: date | None = Field(
        None,
        description="the first day that is booked here: documents dated before are known to what refers to them, never booked;"
        " absent: every document is booked",
    )
    link_before: date | None = Field(
        None,
        description="documents dated before this day may stand in Exact already, booked by another connector or by hand: each is"
        " looked for there, and linked where number, amount and customer agree; absent: none is looked for",
    )
    shadow: bool = Field(
        default=False,
        description="write nothing, neither in Exact nor in Chargebee: documents are looked for in Exact's ledger, where another"
        " connector books them, and `kruispost shadow` tells what ours would have been otherwise",
    )
    voided_before_booking: Literal["book_both", "skip"] = Field(
        "book_both",
        description="a document that was voided or deleted before it was booked is booked and booked back, which keeps the"
        " numbers complete, or skipped and told as a gap",
    )

    @model_validator(mode="after")
    def _mode_has_a_journal(self) -> DivisionConfiguration:
        if self.mode == "ledger" and self.journals.ledger is None:
            message = "mode ledger needs journals.ledger, a general journal of Exact that allows VAT; add it, or use mode: entry"
            raise PlacedError([(("mode",), message)])
        return self

    @model_validator(mode="after")
    def _groups_and_goods_exist(self) -> DivisionConfiguration:
        mistakes: list[tuple[tuple[int | str, ...], str]] = []
        named = {
            "revenue": [rule.when.group for rule in self.revenue],
            "cost_centers": [rule.when.group for rule in self.cost_centers],
            "cost_units": [rule.when.group for rule in self.cost_units],
        }
        for key, names in named.items():
            for index, name in enumerate(names):
                if name is not None and name not in self.groups:
                    known = f"groups has {', '.join(self.groups)}" if self.groups else "there are no groups; add them as groups"
                    mistakes.append(((key, index, "when", "group"), f"there is no group {name}; {known}"))
        if self.goods is None:
            mistakes += [
                (("vat", index, "when", "supply"), "name the products that are goods under goods first; else nothing is goods")
                for index, rule in enumerate(self.vat)
                if rule.when.supply is not None
            ]
        if mistakes:
            raise PlacedError(mistakes)
        return self

    @model_validator(mode="after")
    def _every_code_has_its_box(self) -> DivisionConfiguration:
        without = [(("vat", index, "code"), rule.code) for index, rule in enumerate(self.vat) if rule.code not in self.vat_boxes]
        if self.vat_boxes and without:
            raise PlacedError([(place, f"VAT code {code} has no box; add it under vat_boxes") for place, code in without])
        return self

    @model_validator(mode="after")
    def _write_offs_have_a_journal(self) -> DivisionConfiguration:
        if self.write_offs is not None and self.journals.write_offs is None:
            message = "write_offs needs a general journal of Exact; add journals.write_offs"
            raise PlacedError([(("write_offs",), message)])
        return self

    @model_validator(mode="after")
    def _settlements_have_a_journal(self) -> DivisionConfiguration:
        if self.settlements is not None and self.journals.settlements is None:
            message = "settlements needs a general journal of Exact; add journals.settlements"
            raise PlacedError([(("settlements",), message)])
        return self

    @model_validator(mode="after")
    def _zero_invoices_have_lines(self) -> DivisionConfiguration:
        if self.zero_invoices == "book" and self.discounts.posting == "net":
            message = "zero_invoices: book shows revenue and discount, so it needs discounts: {posting: gross, rules: [...]}"
            raise PlacedError([(("zero_invoices",), message)])
        return self
