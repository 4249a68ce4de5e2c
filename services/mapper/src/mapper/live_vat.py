"""What is wrong between a division's VAT rules and its VAT codes as they stand. Pure: no database, no calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from backbone.mapping_configuration import DivisionConfiguration
from backbone.rule_configuration import VatRule
from bookkeeping.vat import INSIDE_UNION, NO_REASON, REVERSE_CHARGE, UNION, ZERO
from contracts.master_data import MasterData, VatCode
from mapper.live_words import Complaint, named_things

INCLUSIVE, PURCHASE = "I", "P"
HOME = "NL"


def vat_complaints(path: tuple[str | int, ...], configuration: DivisionConfiguration, data: MasterData) -> Iterator[Complaint]:
    """Compare every VAT code that the section names with Exact's, in the order of the file."""
    home = data.country or HOME
    known = {code.code: code for code in data.vat_codes}
    plain = [
        (("rounding", "vat_code"), configuration.rounding.vat_code if configuration.rounding is not None else None),
        (("write_offs", "vat_code"), configuration.write_offs.vat_code if configuration.write_offs is not None else None),
    ]
    for steps, named in plain:
        if named is not None:
            yield from _usable((*path, *steps), named, known, lambda code: code.percentage == ZERO)
    for index, rule in enumerate(configuration.vat):
        place = (*path, "vat", index, "code")

        def fits(code: VatCode, rule: VatRule = rule) -> bool:
            return _misfit(rule, code, home) is None

        complaints = list(_usable(place, rule.code, known, fits))
        yield from complaints
        if complaints:
            continue
        code = known[rule.code]
        misfit = _misfit(rule, code, home)
        if misfit is not None:
            yield _complaint(
                place,
                misfit,
                code,
                {
                    "candidates": _candidates(known, fits),
                    "rate": f"{_rate(rule):f}",
                    "country": ", ".join(rule.when.country or ()) or None,
                    "actual": code.oss_country if misfit == "wrong_oss_country" else f"{code.percentage.normalize():f}",
                },
            )


def _usable(
    place: tuple[str | int, ...], named: str, known: dict[str, VatCode], fits: Callable[[VatCode], bool]
) -> Iterator[Complaint]:
    code, candidates = known.get(named), _candidates(known, fits)
    if code is None:
        yield _complaint(place, "no_such_vat_code", VatCode(code=named), {"candidates": candidates})
    elif code.is_blocked:
        yield _complaint(place, "vat_code_blocked", code, {"candidates": candidates})
    elif code.transaction_type == PURCHASE:
        yield _complaint(place, "vat_code_for_purchase", code, {"candidates": candidates})
    elif code.type == INCLUSIVE:
        yield _complaint(place, "vat_code_inclusive", code, {"candidates": candidates})


def _misfit(rule: VatRule, code: VatCode, home: str) -> str | None:
    """Return why a usable code does not fit a rule, or None."""
    rate, countries = _rate(rule), rule.when.country or ()
    if rate is not None and rate != code.percentage:
        return "wrong_vat_percentage"
    if code.oss_country is not None and any(country != code.oss_country for country in countries):
        return "wrong_oss_country"
    foreign = any(country in UNION and country != home for country in countries)
    if foreign and code.oss_country is None and rate is not None and rate > ZERO:
        return "not_an_oss_code"
    if rule.when.reason == REVERSE_CHARGE and (foreign or INSIDE_UNION in countries) and code.eu_sales_listing == "N":
        return "not_in_eu_listing"
    return None


def _rate(rule: VatRule) -> Decimal | None:
    """Return the rate of a rule's lines: a line with a reason for no tax has none."""
    if rule.when.rate is not None:
        return rule.when.rate.normalize()
    return ZERO if rule.when.reason not in (None, NO_REASON) else None


def _candidates(known: dict[str, VatCode], fits: Callable[[VatCode], bool]) -> str:
    return named_things(
        code
        for code in known.values()
        if fits(code) and not code.is_blocked and code.type != INCLUSIVE and code.transaction_type != PURCHASE
    )


def _complaint(place: tuple[str | int, ...], why: str, code: VatCode, values: dict[str, object]) -> Complaint:
    return Complaint(path=place, code=why, values={**values, "code": code.code, "description": code.description})
