"""The controller's YAML as the bookkeeping rules it means."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import Any

from backbone.configuration import Configuration
from backbone.errors import ConfigurationError
from backbone.mapping_configuration import DivisionConfiguration
from bookkeeping.customers import CustomerRules
from bookkeeping.mapping import ControlAccount, Mapping, RevenueRule, RevenueRules, WriteOffs
from bookkeeping.periods import PeriodAnswer, PeriodRules
from bookkeeping.vat import AmbiguousRulesError, VatRule, VatRules
from bookkeeping.write_offs import normal_reason
from mapper.posting_rules import posting_rules


def mappings_of(configuration: Configuration) -> dict[int, Mapping]:
    """Return the mapping of every division. Raises ConfigurationError for rules that contradict each other."""
    return {division: mapping_of(division, each) for division, each in configuration.divisions.items()}


def check(configuration: Configuration) -> list[str]:
    """Return a sentence for each list of rules that contradicts itself; `kruispost doctor` asks before a mapper is started."""
    complaints = []
    for division, each in configuration.divisions.items():
        for rules_of in (_revenue_rules, _vat_rules, posting_rules):
            try:
                rules_of(division, each)
            except ConfigurationError as error:
                complaints.append(error.sentence)
    return complaints


def mapping_of(division: int, configuration: DivisionConfiguration) -> Mapping:
    """Return one division's mapping; its version changes whenever the division's section does."""
    section = configuration.model_dump_json().encode()
    journals, rounding, credit_notes = configuration.journals, configuration.rounding, configuration.credit_notes
    return Mapping(
        division=division,
        version=hashlib.blake2b(section, digest_size=6).hexdigest(),
        currency=configuration.currency,
        invoice_journal=journals.invoices,
        credit_note_journal=journals.credit_notes,
        payment_journal=journals.payments,
        mode=configuration.mode,
        ledger_journal=journals.ledger,
        receivable_account=configuration.receivable_account,
        revenue=_revenue_rules(division, configuration),
        vat=_vat_rules(division, configuration),
        control_accounts=tuple(ControlAccount(**each.model_dump()) for each in configuration.control_accounts),
        rounding_account=rounding.account if rounding else None,
        rounding_vat_code=rounding.vat_code if rounding else None,
        period_policy=configuration.period_policy,
        periods=_period_rules(configuration),
        deferral_account=configuration.deferral.account if configuration.deferral is not None else None,
        deferral_method=configuration.deferral.schedule if configuration.deferral is not None else "per_period",
        book_payments=configuration.book_payments,
        changes=configuration.changes,
        customers=CustomerRules(**configuration.customers.model_dump(include={field.name for field in fields(CustomerRules)})),
        write_offs=_write_offs(configuration),
        credit_note_wait_days=credit_notes.wait_days if credit_notes.without_invoice == "book" else None,
        withheld_tax_account=configuration.withheld_taxes.account if configuration.withheld_taxes else None,
        voided_before_booking=configuration.voided_before_booking,
        **posting_rules(division, configuration),
    )


def _period_rules(configuration: DivisionConfiguration) -> PeriodRules:
    section = configuration.periods
    return PeriodRules(
        max_distance=section.max_distance,
        across_years=section.across_years,
        answers=tuple(PeriodAnswer(**answer.model_dump()) for answer in section.answers),
        vat_return=configuration.vat_return,
        filed_until=configuration.filed_until,
    )


def _write_offs(configuration: DivisionConfiguration) -> WriteOffs | None:
    policy, journal = configuration.write_offs, configuration.journals.write_offs
    if policy is None or journal is None:
        return None
    return WriteOffs(
        account=policy.account,
        journal=journal,
        vat_reclaim=policy.vat_reclaim,
        vat_code=policy.vat_code,
        reasons=frozenset(filter(None, map(normal_reason, policy.reasons))),
    )


def _revenue_rules(division: int, configuration: DivisionConfiguration) -> RevenueRules:
    try:
        return RevenueRules(
            RevenueRule(
                account=rule.account,
                **rule.when.model_dump(),
                cost_center=rule.cost_center,
                cost_unit=rule.cost_unit,
                defer=rule.defer,
            )
            for rule in configuration.revenue
        )
    except AmbiguousRulesError as error:
        raise _contradiction(division, error) from error


def _vat_rules(division: int, configuration: DivisionConfiguration) -> VatRules:
    try:
        return VatRules(VatRule(code=rule.code, **_normal_rate(rule.when.model_dump())) for rule in configuration.vat)
    except AmbiguousRulesError as error:
        raise _contradiction(division, error) from error


def _contradiction(division: int, error: AmbiguousRulesError) -> ConfigurationError:
    return ConfigurationError(f"Division {division}: {error}; make one of them more specific or remove it.")


def _normal_rate(conditions: dict[str, Any]) -> dict[str, Any]:
    # 21, 21.0 and 21.00 are one rate; decimals with different trailing zeros are equal but hash and print alike only so.
    rate = conditions["rate"]
    return {**conditions, "rate": rate.normalize() if rate is not None else None}
