"""Lines that are split: in the division's currency the parts are together worth what the whole was, on every account.

A few minor units that move between the parts (`division_currency`) do it for most rates. Near a whole rate they do not: what is
1.0001 worth of a unit is a cent more only after fifty of them. There, and for discounts that were split, lines that are nothing
in the entry's own currency bring the cents: on the same account and VAT code, so that an invoice and its whole credit are zero.
So they do where several notes credit an invoice, each rounded by itself: the one that completes the credit brings what is left.
In the entry's own currency that happens, too, to the discounts of tax-inclusive prices, from which each note takes the tax.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, Decimal
from itertools import count, zip_longest

from msgspec.structs import replace

from bookkeeping.journal import Entry, Line, Role
from bookkeeping.mapping import Mapping
from bookkeeping.money import Worth, decimals_of, format_minor, worth_at
from bookkeeping.telling import InTwo, tell

QUARTER = Decimal("0.25")


def worth_the_same(entry: Entry, whole: Sequence[Line], parts: Sequence[Line], mapping: Mapping) -> Entry:
    """Return the entry with what makes `parts`, lines of it, worth the same as `whole`: what they are before they are split.

    Compared by account, VAT code and dimensions, base and VAT apart; amounts in the entry's own currency are the same in both.
    """
    worth = worth_at(entry.exchange_rate, entry.currency, mapping.currency)
    if worth is None or whole == parts:
        return entry
    base, tax = _missing(whole, parts, worth)
    told = [
        tell("split_cents", amount=_amount(base[place], tax[place], mapping), currency=mapping.currency, account=place.account)
        for place in base
        if base[place] or tax[place]
    ]
    return _with(entry, base, tax, worth, mapping, told)


def with_the_rest(entry: Entry, beside: Sequence[Entry], mapping: Mapping) -> Entry:
    """Return the entry of the note that brings what is credited of an invoice to the whole of it, with what the others leave.

    On tax-inclusive prices the invoice and each note take the tax out of a shown discount and round it by themselves, so that
    revenue and discount may keep cents of each other under one VAT code. Only such cents move: what is left of a VAT code as a
    whole, or more than cents, as after a change of the rules, stays.
    """
    lines = [
        replace(line, role=Role.REVENUE, customer_id=None)
        for each in (entry, *beside)
        for line in each.lines
        if not line.is_receivable
    ]
    base, tax = _missing((), lines, int)
    of_codes, taxes_of_codes = Counter[str | None](), Counter[str | None]()
    for place in base:
        of_codes[place.vat_code] += base[place]
        taxes_of_codes[place.vat_code] += tax[place]
    cents = [
        place
        for place, amount_minor in base.items()
        if 0 < abs(amount_minor) <= len(lines) and not of_codes[place.vat_code] and not taxes_of_codes[place.vat_code]
    ]
    made = list(entry.lines)
    for place in cents:
        own = [line for line in made if not line.is_receivable and replace(_place(line), role=place.role) == place]
        largest = max(own, key=lambda line: abs(line.amount_minor), default=None)
        if largest is None:
            largest = replace(place, role=Role.DISCOUNT, description=mapping.texts.word("discount"))
            made.append(largest)
        vat_minor = largest.vat_minor + tax[place]
        made[made.index(largest)] = replace(largest, amount_minor=largest.amount_minor + base[place], vat_minor=vat_minor)
    told = [
        tell(
            "rest_of_credits",
            amount=format_minor(abs(base[place]), entry.currency),
            currency=entry.currency,
            account=place.account,
        )
        for place in cents
    ]
    return replace(entry, lines=tuple(made), explanation=(*entry.explanation, *told))


def worth_the_rest(entry: Entry, beside: Sequence[Entry], mapping: Mapping) -> Entry:
    """Return the entry of the note that brings what is credited of an invoice to the whole of it, worth what the others leave.

    `beside` are the invoice and the other notes as booked. Wherever all of them are nothing in their own currency, they are
    nothing in the division's too: bases by account, VAT code and dimensions, VAT by its code. Not where one of them is booked at
    another rate.
    """
    worth = worth_at(entry.exchange_rate, entry.currency, mapping.currency)
    if not beside or worth is None or any(other.exchange_rate != entry.exchange_rate for other in beside):
        return entry
    lines = [
        replace(line, role=Role.REVENUE, customer_id=None)
        for each in (entry, *beside)
        for line in each.lines
        if not line.is_receivable and line.account != mapping.exchange_difference_account
    ]
    base, tax = _missing((), lines, worth)
    left, left_tax = _missing((), lines, int)
    # VAT counts by its code, on whatever account its base is: what is missing of a code comes beside the first base of it.
    by_code: dict[str | None, Line] = {}
    taxes, left_taxes = Counter[Line](), Counter[Line]()
    for place, amount_minor in tax.items():
        beside_base = by_code.setdefault(place.vat_code, place)
        taxes[beside_base] += amount_minor
        left_taxes[beside_base] += left_tax[place]
    bases = Counter({place: 0 if left[place] else amount_minor for place, amount_minor in base.items()})
    taxes = Counter({place: 0 if left_taxes[place] else amount_minor for place, amount_minor in taxes.items()})
    told = [
        tell("rest_of_credits", amount=_amount(amount_minor, 0, mapping), currency=mapping.currency, account=place.account)
        for place, amount_minor in bases.items()
        if amount_minor
    ]
    told += [
        tell("rest_of_vat", amount=_amount(0, amount_minor, mapping), currency=mapping.currency, code=place.vat_code or "")
        for place, amount_minor in taxes.items()
        if amount_minor
    ]
    return _with(entry, bases, taxes, worth, mapping, told)


def _amount(base_minor: int, tax_minor: int, mapping: Mapping) -> str:
    return format_minor(abs(base_minor) + abs(tax_minor), mapping.currency)


def _with(entry: Entry, base: Counter[Line], tax: Counter[Line], worth: Worth, mapping: Mapping, told: Sequence[InTwo]) -> Entry:
    """Return the entry with lines that are nothing in its own currency, and worth so much base and VAT at these places."""
    places = [place for place in dict.fromkeys((*base, *tax)) if base[place] or tax[place]]
    if not places or entry.exchange_rate is None:
        return entry
    rate = entry.exchange_rate.scaleb(decimals_of(mapping.currency) - decimals_of(entry.currency))
    lines: list[Line] = []
    for place in places:
        taxes = amounts_worth(tax[place], worth, rate)
        bases = amounts_worth(base[place], worth, rate) or (_beside(worth) if taxes else [])
        lines += [
            replace(place, amount_minor=amount, vat_minor=vat, description=mapping.texts.word("exchange_rounding"))
            for amount, vat in zip_longest(bases, taxes, fillvalue=0)
        ]
    return replace(entry, lines=(*entry.lines, *lines), explanation=(*entry.explanation, *told))


def amounts_worth(missing_minor: int, worth: Worth, rate: Decimal) -> list[int]:
    """Return amounts that together are nothing and, each rounded by itself, are worth so many minor units: some equal ones and
    their sum taken off again.

    An equal one is the least whose worth is far from a whole unit, so that several of them are worth another amount than their
    sum; a rate in whole units loses nothing, and comes here never with a missing unit.
    """
    if missing_minor == 0:
        return []
    beyond = abs(rate - rate.to_integral_value())
    one = int((QUARTER / beyond).to_integral_value(ROUND_CEILING))
    while 2 * worth(one) == worth(2 * one):
        one += 1
    if (2 * worth(one) > worth(2 * one)) is not (missing_minor > 0):
        one = -one
    times = next(times for times in count(2) if times * worth(one) - worth(times * one) == missing_minor)
    return [*([one] * times), -times * one]


def _beside(worth: Worth) -> list[int]:
    """Return the smallest amounts that are nothing together in both currencies: VAT stands beside a base."""
    one = next(one for one in count(1) if 2 * worth(one) == worth(2 * one))
    return [one, one, -2 * one]


def _missing(whole: Iterable[Line], lines: Iterable[Line], worth: Worth) -> tuple[Counter[Line], Counter[Line]]:
    """Return by place how much more the base and the VAT of `whole` are worth than those of `lines`."""
    base, tax = Counter[Line](), Counter[Line]()
    for sign, some in ((1, whole), (-1, lines)):
        for line in some:
            place = _place(line)
            base[place] += sign * worth(line.amount_minor)
            tax[place] += sign * worth(line.vat_minor)
    return base, tax


def _place(line: Line) -> Line:
    """Return where a line counts, as a line of nothing there."""
    return Line(
        role=line.role,
        account=line.account,
        amount_minor=0,
        vat_code=line.vat_code,
        cost_center=line.cost_center,
        cost_unit=line.cost_unit,
        customer_id=line.customer_id,
    )
