"""Entries in another currency, in the division's own: Exact rounds each amount by itself, and here the cents are kept together.

So that the debtor of an invoice is its total at the rate, which is what its payment takes off him, however many lines it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from msgspec.structs import replace

from bookkeeping.deferral import Portion
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.mapping import Mapping
from bookkeeping.money import Worth, allocate, decimals_of, format_minor, worth_at
from bookkeeping.rejections import Rejection, reject
from bookkeeping.split_cents import amounts_worth
from bookkeeping.telling import tell

MOST_STEPS = 25


def with_cents(entry: Entry, mapping: Mapping, name: str) -> Entry | Rejection:
    """Return the entry of a sale or credit with the debtor at its total in the division's currency, too.

    What the rounding of its lines makes of it more or less goes to the account for exchange differences, by lines that together
    are nothing in the entry's own currency. At Exact's own rate of the day it is Exact that sees to that.
    """
    worth = worth_at(entry.exchange_rate, entry.currency, mapping.currency)
    if worth is None or entry.exchange_rate is None or mapping.exchange_rates.policy == "exact":
        return entry
    of_lines = sum(worth(line.amount_minor) + worth(line.vat_minor) for line in entry.lines if not line.is_receivable)
    missing = -worth(entry.receivable_minor) - of_lines
    if missing == 0:
        return entry
    account, amount = mapping.exchange_difference_account, format_minor(abs(missing), mapping.currency)
    if account is None:
        if not mapping.book_payments:
            return entry
        return reject("no_account_for_cents", document=name, amount=amount, currency=mapping.currency, division=mapping.division)
    rate = entry.exchange_rate.scaleb(decimals_of(mapping.currency) - decimals_of(entry.currency))
    lines = tuple(
        Line(
            role=Role.EXCHANGE,
            account=account,
            amount_minor=each,
            description=mapping.texts.word("exchange_rounding"),
            vat_code=mapping.rounding_vat_code,
        )
        for each in amounts_worth(missing, worth, rate)
    )
    told = tell("division_cents", amount=amount, currency=mapping.currency, account=account)
    return replace(entry, lines=(*entry.lines, *lines), explanation=(*entry.explanation, told))


def portions_in_step(portions: Sequence[Portion], worth: Worth | None) -> list[Portion]:
    """Keep the portions of a line together worth what the line is: what is deferred may give a few units to the others."""
    if worth is None or len(portions) == 1:
        return list(portions)
    givers = [index for index, portion in enumerate(portions) if portion.first is not None]
    amounts = in_step([portion.amount_minor for portion in portions], worth, givers)
    return [Portion(amount, each.first, each.last) for amount, each in zip(amounts, portions, strict=True)]


def taxes_of_portions(tax_minor: int, portions: Sequence[Portion], worth: Worth | None) -> list[int]:
    """Spread the VAT of a line over its portions, together worth what the whole of it is in the division's currency."""
    if len(portions) == 1:
        return [tax_minor]
    weights = [abs(portion.amount_minor) for portion in portions]
    return in_step(allocate(tax_minor, weights if any(weights) else [1] * len(weights)), worth, range(len(weights)))


def in_step(amounts: Sequence[int], worth: Worth | None, givers: Sequence[int]) -> list[int]:
    """Move the fewest minor units from one of the `givers` to another amount, so that all are worth what their sum is worth.

    Amounts keep their sum, and none gets another sign. Where no few units do it, they stay as they are (see `split_cents`).
    """
    found = list(amounts)
    if worth is None:
        return found
    whole = worth(sum(found))
    while off := abs(sum(map(worth, found)) - whole):
        nearer = _one_move(found, worth, givers, whole, off)
        if nearer is None:
            break
        found = nearer
    return found


def _one_move(amounts: list[int], worth: Worth, givers: Sequence[int], whole: int, off: int) -> list[int] | None:
    """Return the amounts after the smallest move that brings them nearer to what they are worth together, or None."""
    for step in range(1, MOST_STEPS + 1):
        for giver, taker in permutations(range(len(amounts)), 2):
            units = step if amounts[giver] > 0 else -step
            moved = list(amounts)
            moved[giver] -= units
            moved[taker] += units
            keeps_signs = all(one * other >= 0 for one, other in zip(moved, amounts, strict=True))
            if giver in givers and keeps_signs and abs(sum(map(worth, moved)) - whole) < off:
                return moved
    return None
