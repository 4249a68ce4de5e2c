"""The controller's YAML on discounts, texts, debtors, terms, rates and journals as the bookkeeping rules that it means."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict, TypeVar

from backbone.errors import ConfigurationError
from backbone.mapping_configuration import DivisionConfiguration
from bookkeeping.debtors import DebtorRule, DebtorRules, TermsRule, TermsRules
from bookkeeping.discounts import DiscountRule, DiscountRules
from bookkeeping.exchange import DatedRate, ExchangeRates
from bookkeeping.mapping import JournalKind
from bookkeeping.texts import OF_ENTRIES, OF_LINES, Template, TemplateError, Texts
from bookkeeping.vat import AmbiguousRulesError

Made = TypeVar("Made")


class PostingMistakeError(ConfigurationError):
    """A part of a division's section that contradicts itself; `place` is where it stands in the file."""

    def __init__(self, division: int, place: tuple[str, ...], reason: str) -> None:
        self.place: tuple[int | str, ...] = ("divisions", division, *place)
        self.reason = reason
        super().__init__(f"{'.'.join(map(str, self.place))}: {reason}")


class PostingRules(TypedDict):
    """A part of the arguments of a mapping."""

    discounts: DiscountRules | None
    zero_invoices: str
    texts: Texts
    debtors: DebtorRules
    terms: TermsRules | None
    exchange_rates: ExchangeRates
    currency_journals: dict[tuple[JournalKind, str], str]


def posting_rules(division: int, configuration: DivisionConfiguration) -> PostingRules:
    """Return the rules of a division. Raises PostingMistakeError for what contradicts itself."""
    return PostingRules(
        discounts=_checked(division, "discounts", lambda: _discounts(configuration)),
        zero_invoices=configuration.zero_invoices,
        texts=_texts(division, configuration),
        debtors=_checked(division, "debtors", lambda: _debtors(configuration)),
        terms=_checked(division, "payment_conditions", lambda: _terms(configuration)),
        exchange_rates=_checked(division, "exchange_rates", lambda: _exchange_rates(configuration)),
        currency_journals=_currency_journals(configuration),
    )


def _checked(division: int, key: str, make: Callable[[], Made]) -> Made:
    try:
        return make()
    except AmbiguousRulesError as error:
        raise PostingMistakeError(division, (key,), f"{error}; make one of them more specific or remove it.") from error


def _discounts(configuration: DivisionConfiguration) -> DiscountRules | None:
    section = configuration.discounts
    if section.posting == "net":
        return None
    return DiscountRules(
        DiscountRule(account=rule.account, coupon=rule.when.coupon, type=rule.when.type) for rule in section.rules
    )


def _texts(division: int, configuration: DivisionConfiguration) -> Texts:
    section = configuration.texts

    def template(key: str, source: str | None, allowed: dict[str, str]) -> Template | None:
        try:
            return Template.parse(source, allowed) if source is not None else None
        except TemplateError as error:
            raise PostingMistakeError(division, ("texts", key), f"{error}.") from error

    return Texts(
        language=configuration.language,
        entry=template("entry_description", section.entry_description, OF_ENTRIES),
        line=template("line_description", section.line_description, OF_LINES),
        notes=template("notes", section.notes, OF_LINES),
        ellipsis=section.ellipsis,
    )


def _debtors(configuration: DivisionConfiguration) -> DebtorRules:
    rules = (DebtorRule(account=rule.account, **rule.when.model_dump()) for rule in configuration.debtors)
    return DebtorRules(configuration.receivable_account, rules)


def _terms(configuration: DivisionConfiguration) -> TermsRules | None:
    section = configuration.payment_conditions
    if section is None:
        return None
    rules = (
        TermsRule(
            code=rule.code,
            net_term_days=rule.when.net_term_days,
            auto_collection=None if rule.when.auto_collection is None else rule.when.auto_collection == "on",
            method=rule.when.method,
        )
        for rule in section.rules
    )
    return TermsRules(rules, hold_unmapped=section.unmapped == "hold")


def _exchange_rates(configuration: DivisionConfiguration) -> ExchangeRates:
    section = configuration.exchange_rates
    rates = (DatedRate(currency=each.currency, first=each.first, rate=each.rate) for each in section.table)
    return ExchangeRates(section.policy, rates)


def _currency_journals(configuration: DivisionConfiguration) -> dict[tuple[JournalKind, str], str]:
    found: dict[tuple[JournalKind, str], str] = {}
    kinds: tuple[JournalKind, ...] = ("invoices", "credit_notes", "payments")
    for currency, journals in configuration.journals.currencies.items():
        for kind in kinds:
            code = getattr(journals, kind)
            if code is not None:
                found[kind, currency] = code
    return found
