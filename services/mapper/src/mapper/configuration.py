"""The controller's YAML as the bookkeeping rules it means."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import fields

from backbone.configuration import Configuration
from backbone.errors import ConfigurationError
from backbone.mapping_configuration import DivisionConfiguration
from bookkeeping.customers import CustomerRules
from bookkeeping.mapping import FeeVat, Mapping, Settlements, WriteOffs
from bookkeeping.periods import PeriodAnswer, PeriodRules
from bookkeeping.rules import Rule, country_troubles, troubles
from bookkeeping.troubles import Trouble
from bookkeeping.write_offs import normal_reason
from mapper.line_rules import dimension_rules, line_rules, revenue_rules, route_rules, vat_rules
from mapper.posting_rules import control_accounts, posting_rules, posting_troubles, text_mistakes


def mappings_of(configuration: Configuration) -> dict[int, Mapping]:
    """Return the mapping of every division. Raises ConfigurationError that names every contradiction between rules."""
    complaints = check(configuration)
    if complaints:
        raise ConfigurationError("\n".join(complaints))
    return {division: mapping_of(division, each) for division, each in configuration.divisions.items()}


def check(configuration: Configuration) -> list[str]:
    """Return a sentence with file and line for each contradiction, gap and unusable template in the rules.

    `kruispost doctor` asks before a mapper is started.
    """
    complaints = [
        _complaint(configuration, place, trouble)
        for place, rules, noun in _rule_lists(configuration)
        for trouble in troubles(rules, noun)
    ]
    for division, each in configuration.divisions.items():
        lists = [(("vat",), country_troubles(vat_rules(each), "VAT rules")), *posting_troubles(each)]
        complaints += [
            _complaint(configuration, ("divisions", division, *place), trouble) for place, found in lists for trouble in found
        ]
        complaints += [
            configuration.mistake(("divisions", division, *place), sentence) for place, sentence in text_mistakes(each)
        ]
    return complaints


def _rule_lists(configuration: Configuration) -> Iterator[tuple[tuple[int | str, ...], Sequence[Rule], str]]:
    """Yield every list of rules with its place in the file and what its rules are called."""
    for name, site in configuration.sites.items():
        yield ("sites", name, "routes"), route_rules(site), "routes"
    for division, each in configuration.divisions.items():
        place = ("divisions", division)
        yield (*place, "revenue"), revenue_rules(each), "revenue rules"
        yield (*place, "cost_centers"), dimension_rules(each.cost_centers, each), "rules of cost centres"
        yield (*place, "cost_units"), dimension_rules(each.cost_units, each), "rules of cost units"
        yield (*place, "vat"), vat_rules(each), "VAT rules"


def _complaint(configuration: Configuration, place: tuple[int | str, ...], trouble: Trouble) -> str:
    first, second = ((*place, index) for index in trouble.rules)
    line = configuration.line(second)
    other = f" (the other is on line {line})" if line is not None else f" (the other is {place[-1]}[{second[-1]}])"
    return configuration.mistake(first, f"{trouble.sentence}{other}; {trouble.remedy}.")


def mapping_of(division: int, configuration: DivisionConfiguration) -> Mapping:
    """Return one division's mapping; its version changes whenever the division's section does."""
    # Settings that are left out do not count, so that a release with new ones makes no new version.
    section = configuration.model_dump_json(exclude_defaults=True).encode()
    content = hashlib.blake2b(section, digest_size=6).hexdigest()
    name = configuration.mapping_version
    rounding, credit_notes = configuration.rounding, configuration.credit_notes
    return Mapping(
        division=division,
        version=f"{name} ({content})" if name else content,
        currency=configuration.currency,
        mode=configuration.mode,
        receivable_account=configuration.receivable_account,
        **line_rules(configuration),
        control_accounts=control_accounts(configuration),
        vat_boxes=configuration.vat_boxes,
        rounding_account=rounding.account if rounding else None,
        rounding_vat_code=rounding.vat_code if rounding else None,
        period_policy=configuration.period_policy,
        periods=_period_rules(configuration),
        deferral_account=configuration.deferral.account if configuration.deferral is not None else None,
        deferral_method=configuration.deferral.schedule if configuration.deferral is not None else "per_period",
        book_payments=configuration.book_payments,
        payments=configuration.payments,
        changes=configuration.changes,
        customers=CustomerRules(**configuration.customers.model_dump(include={field.name for field in fields(CustomerRules)})),
        write_offs=_write_offs(configuration),
        credit_note_wait_days=credit_notes.wait_days if credit_notes.without_invoice == "book" else None,
        withheld_tax_account=configuration.withheld_taxes.account if configuration.withheld_taxes else None,
        exchange_difference_account=configuration.exchange_differences.account if configuration.exchange_differences else None,
        settlements=_settlements(configuration),
        voided_before_booking=configuration.voided_before_booking,
        book_from=configuration.book_from,
        link_before=configuration.link_before,
        shadow=configuration.shadow,
        pdf_policy=configuration.pdf.policy,
        pdf_of_credit_notes=configuration.pdf.credit_notes,
        **posting_rules(configuration),
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
    policy = configuration.write_offs
    if policy is None:
        return None
    return WriteOffs(
        account=policy.account,
        vat_reclaim=policy.vat_reclaim,
        vat_code=policy.vat_code,
        reasons=frozenset(filter(None, map(normal_reason, policy.reasons))),
    )


def _settlements(configuration: DivisionConfiguration) -> Settlements | None:
    section = configuration.settlements
    if section is None:
        return None
    fee_vat = FeeVat(**section.fee_vat.model_dump())
    return Settlements(fee_vat=fee_vat, **section.model_dump(exclude={"fee_vat"}))
