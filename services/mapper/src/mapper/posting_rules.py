"""The controller's YAML on discounts, texts, debtors, terms, rates and journals as the bookkeeping rules that it means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypedDict, get_args

from backbone.journal_configuration import Journals as ConfiguredJournals
from backbone.journal_configuration import JournalsOfCurrency
from backbone.mapping_configuration import DivisionConfiguration
from bookkeeping.debtors import DebtorRule, DebtorRules, TermsRule, TermsRules, debtor_troubles, terms_troubles
from bookkeeping.discounts import DiscountRule, DiscountRules, discount_troubles
from bookkeeping.exchange import DatedRate, ExchangeRates, rate_troubles
from bookkeeping.journals import JournalPurpose, JournalRule, Journals, journal_troubles
from bookkeeping.mapping import ControlAccount, control_troubles
from bookkeeping.texts import OF_ENTRIES, OF_LINES, Template, TemplateError, Texts
from bookkeeping.troubles import Trouble

Place = tuple[str, ...]


class PostingRules(TypedDict):
    """A part of the arguments of a mapping."""

    discounts: DiscountRules | None
    zero_invoices: str
    texts: Texts
    debtors: DebtorRules
    terms: TermsRules | None
    exchange_rates: ExchangeRates
    journals: Journals


def posting_rules(configuration: DivisionConfiguration) -> PostingRules:
    """Return the rules of a division. Raises AmbiguousRulesError or TemplateError for what the two functions below tell of."""
    return PostingRules(
        discounts=_discounts(configuration),
        zero_invoices=configuration.zero_invoices,
        texts=_texts(configuration),
        debtors=_debtors(configuration),
        terms=_terms(configuration),
        exchange_rates=_exchange_rates(configuration),
        journals=Journals(_journal_rules(configuration)),
    )


def posting_troubles(configuration: DivisionConfiguration) -> Iterator[tuple[Place, list[Trouble]]]:
    """Yield the contradictions in each list of rules, with its place in the division's section."""
    yield ("discounts", "rules"), discount_troubles(_discount_rules(configuration))
    yield ("debtors",), debtor_troubles(_debtor_rules(configuration))
    yield ("payment_conditions", "rules"), terms_troubles(_terms_rules(configuration))
    yield ("exchange_rates", "table"), rate_troubles(_rates(configuration))
    yield ("control_accounts",), control_troubles(control_accounts(configuration))
    yield ("journals", "dated"), _dated_journal_troubles(configuration)


def text_mistakes(configuration: DivisionConfiguration) -> Iterator[tuple[Place, str]]:
    """Yield each template that cannot be filled in, with its place in the division's section and what to write."""
    for key, source, allowed in _templates(configuration):
        try:
            Template.parse(source, allowed)
        except TemplateError as error:
            yield ("texts", key), str(error)


def control_accounts(configuration: DivisionConfiguration) -> tuple[ControlAccount, ...]:
    """Return the control accounts in the order of the file."""
    return tuple(
        ControlAccount(
            gateway_account=each.gateway_account, currency=each.currency, account=each.account, first=each.first, last=each.last
        )
        for each in configuration.control_accounts
    )


def _discount_rules(configuration: DivisionConfiguration) -> list[DiscountRule]:
    rules = configuration.discounts.rules
    return [DiscountRule(account=rule.account, **rule.when.model_dump(), first=rule.first, last=rule.last) for rule in rules]


def _discounts(configuration: DivisionConfiguration) -> DiscountRules | None:
    return DiscountRules(_discount_rules(configuration)) if configuration.discounts.posting == "gross" else None


def _templates(configuration: DivisionConfiguration) -> list[tuple[str, str, dict[str, str]]]:
    """Return the templates that are written down: the key, the template, and its placeholders."""
    section = configuration.texts
    templates = (
        ("entry_description", section.entry_description, OF_ENTRIES),
        ("line_description", section.line_description, OF_LINES),
        ("notes", section.notes, OF_LINES),
    )
    return [(key, source, allowed) for key, source, allowed in templates if source is not None]


def _texts(configuration: DivisionConfiguration) -> Texts:
    made = {key: Template.parse(source, allowed) for key, source, allowed in _templates(configuration)}
    return Texts(
        language=configuration.language,
        entry=made.get("entry_description"),
        line=made.get("line_description"),
        notes=made.get("notes"),
        ellipsis=configuration.texts.ellipsis,
    )


def _debtor_rules(configuration: DivisionConfiguration) -> list[DebtorRule]:
    return [DebtorRule(account=rule.account, **rule.when.model_dump()) for rule in configuration.debtors]


def _debtors(configuration: DivisionConfiguration) -> DebtorRules:
    return DebtorRules(configuration.receivable_account, _debtor_rules(configuration))


def _terms_rules(configuration: DivisionConfiguration) -> list[TermsRule]:
    section = configuration.payment_conditions
    return [
        TermsRule(
            code=rule.code,
            net_term_days=rule.when.net_term_days,
            auto_collection=None if rule.when.auto_collection is None else rule.when.auto_collection == "on",
            method=rule.when.method,
            first=rule.first,
            last=rule.last,
        )
        for rule in (section.rules if section is not None else ())
    ]


def _terms(configuration: DivisionConfiguration) -> TermsRules | None:
    section = configuration.payment_conditions
    if section is None:
        return None
    return TermsRules(_terms_rules(configuration), hold_unmapped=section.unmapped == "hold")


def _rates(configuration: DivisionConfiguration) -> Sequence[DatedRate]:
    table = configuration.exchange_rates.table
    return [DatedRate(currency=each.currency, first=each.first, rate=each.rate) for each in table]


def _exchange_rates(configuration: DivisionConfiguration) -> ExchangeRates:
    section = configuration.exchange_rates
    return ExchangeRates(section.policy, _rates(configuration), section.whole_units)


def _journal_rules(configuration: DivisionConfiguration) -> list[JournalRule]:
    journals = configuration.journals
    rules = _named_journals(journals)
    for currency, own in journals.currencies.items():
        rules += [replace(rule, currency=currency) for rule in _named_journals(own)]
    return rules + [rule for _, rule in _dated_journals(configuration)]


def _dated_journals(configuration: DivisionConfiguration) -> list[tuple[int, JournalRule]]:
    """Return the journals that are in force for a time, each with the place of its item in the list."""
    return [
        (index, replace(rule, currency=dated.currency, first=dated.first, last=dated.last))
        for index, dated in enumerate(configuration.journals.dated)
        for rule in _named_journals(dated)
    ]


def _named_journals(section: ConfiguredJournals | JournalsOfCurrency) -> list[JournalRule]:
    purposes: tuple[JournalPurpose, ...] = get_args(JournalPurpose)
    named = ((purpose, getattr(section, purpose, None)) for purpose in purposes)
    return [JournalRule(purpose=purpose, code=code) for purpose, code in named if code is not None]


def _dated_journal_troubles(configuration: DivisionConfiguration) -> list[Trouble]:
    """Return what is wrong with dated journals, by their items: one item may be the journal of several purposes."""
    dated = _dated_journals(configuration)
    found = journal_troubles([rule for _, rule in dated])
    return [replace(each, rules=tuple(dated[index][0] for index in each.rules)) for each in found]
