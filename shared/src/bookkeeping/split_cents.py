"""Lines that are split: in the division's currency the parts are together worth what the whole was, on every account.

A few minor units that move between the parts (`division_currency`) do it for most rates. Near a whole rate they do not: what is
1.0001 worth of a unit is a cent more only after fifty of them. There, and for discounts that were split, lines that are nothing
in the entry's own currency bring the cents: on the same account and VAT code, so that an invoice and its whole credit are zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, Decimal
from itertools import count, zip_longest

from msgspec.structs import replace

from bookkeeping.journal import Entry, Line
from bookkeeping.mapping import Mapping
from bookkeeping.money import Worth, decimals_of, format_minor, worth_at
from bookkeeping.telling import tell

QUARTER = Decimal("0.25")


def worth_the_same(entry: Entry, whole: Sequence[Line], parts: Sequence[Line], mapping: Mapping) -> Entry:
    """Return the entry with what makes `parts`, lines of it, worth the same as `whole`: what they are before they are split.

    Compared by account, VAT code and dimensions, base and VAT apart; amounts in the entry's own currency are the same in both.
    """
    worth = worth_at(entry.exchange_rate, entry.currency, mapping.currency)
    if worth is None or entry.exchange_rate is None or whole == parts:
        return entry
    base, tax = _missing(whole, parts, worth)
    places = [place for place in dict.fromkeys((*base, *tax)) if base[place] or tax[place]]
    if not places:
        return entry
    rate = entry.exchange_rate.scaleb(decimals_of(mapping.currency) - decimals_of(entry.currency))
    lines, told = list[Line](), []
    for place in places:
        taxes = amounts_worth(tax[place], worth, rate)
        bases = amounts_worth(base[place], worth, rate) or (_beside(worth) if taxes else [])
        lines += [
            replace(place, amount_minor=amount, vat_minor=vat, description=mapping.texts.word("exchange_rounding"))
            for amount, vat in zip_longest(bases, taxes, fillvalue=0)
        ]
        amount = format_minor(abs(base[place]) + abs(tax[place]), mapping.currency)
        told.append(tell("split_cents", amount=amount, currency=mapping.currency, account=place.account))
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
