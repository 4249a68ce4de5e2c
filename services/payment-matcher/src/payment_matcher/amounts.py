"""Amounts as people type and read them at the command line."""

from __future__ import annotations

import re

from bookkeeping.money import decimals_of, format_minor

_AMOUNT = re.compile(r"(-?)(\d{1,12})(?:[.,](\d{1,2}))?")


def hundredths_in(text: str) -> int | None:
    """Read 121, 121.5, 121,50 or -9.00 as hundredths; None for anything else."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        return None
    sign, whole, part = match.groups()
    amount = int(whole) * 100 + int((part or "0").ljust(2, "0"))
    return -amount if sign else amount


def minor_in(text: str, currency: str) -> int | None:
    """Read an amount in the smallest unit of its currency; None for anything else, such as cents of a currency without any."""
    amount = hundredths_in(text)
    if amount is None or decimals_of(currency) != 0:
        return amount
    whole, rest = divmod(amount, 100)
    return None if rest else whole


def shown_hundredths(amount: int) -> str:
    """Write hundredths as a bookkeeper reads them."""
    return format_minor(amount, "EUR")
