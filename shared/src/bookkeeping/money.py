"""Money is an integer of minor units with its currency; cents are spread so that none is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

# Chargebee gives these in whole units and every other currency, also those with three decimals, in hundredths. Its documentation
# names four of them; the others are so at payment gateways, and are booked only where the controller says that they are.
_NAMED = frozenset(("JPY", "KRW", "XAF", "XOF"))
UNCONFIRMED_CURRENCIES = frozenset(("BIF", "CLP", "DJF", "GNF", "KMF", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XPF"))
ZERO_DECIMAL_CURRENCIES = _NAMED | UNCONFIRMED_CURRENCIES


class CurrencyMismatchError(ValueError):
    """Amounts of two currencies were put together."""


def decimals_of(currency: str) -> int:
    """Return how many decimals an amount in minor units of `currency` has: 0 or 2, as Chargebee counts them."""
    return 0 if currency in ZERO_DECIMAL_CURRENCIES else 2


def format_minor(amount_minor: int, currency: str) -> str:
    """Write an amount the way a bookkeeper reads it, without its currency: `1,234.56`."""
    if currency in ZERO_DECIMAL_CURRENCIES:
        return f"{amount_minor:,}"
    whole, hundredths = divmod(abs(amount_minor), 100)
    return f"{'-' if amount_minor < 0 else ''}{whole:,}.{hundredths:02d}"


Worth = Callable[[int], int]


def worth_at(rate: Decimal | None, currency: str, division_currency: str) -> Worth | None:
    """Return what turns an amount into minor units of the division's currency as Exact does, or None."""
    if rate is None or currency == division_currency:
        return None
    in_minor = rate.scaleb(decimals_of(division_currency) - decimals_of(currency))
    return lambda amount_minor: int((amount_minor * in_minor).quantize(Decimal(1), ROUND_HALF_UP))


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of its currency (hundredths, or whole units of a zero-decimal currency)."""

    minor: int
    currency: str

    def __add__(self, other: Money) -> Money:
        """Add an amount of the same currency; raises CurrencyMismatchError for another one."""
        self._check(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        """Subtract an amount of the same currency; raises CurrencyMismatchError for another one."""
        self._check(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __str__(self) -> str:
        return f"{self.currency} {format_minor(self.minor, self.currency)}"

    def _check(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatchError(f"{self} and {other} are of two currencies")


def half_up(amount: Fraction) -> int:
    """Round to a whole minor unit, halves away from zero, as Dutch bookkeeping does."""
    doubled = 2 * abs(amount.numerator) + amount.denominator
    rounded = doubled // (2 * amount.denominator)
    return rounded if amount >= 0 else -rounded


def allocate(amount_minor: int, weights: Sequence[Fraction | int]) -> list[int]:
    """Spread an amount over weights by largest remainder, ties to the earlier one; the parts add up to the amount.

    Raises ValueError when there is no weight, or when weights are negative or all zero.
    """
    total = sum(weights)
    if total <= 0 or any(weight < 0 for weight in weights):
        raise ValueError("an amount can be spread only over weights of which none is negative and one is positive")
    shares = [Fraction(amount_minor) * weight / total for weight in weights]
    parts = [share.numerator // share.denominator for share in shares]
    by_remainder = sorted(range(len(parts)), key=lambda index: (parts[index] - shares[index], index))
    for index in by_remainder[: amount_minor - sum(parts)]:
        parts[index] += 1
    return parts


def settle_difference(amounts: Sequence[int], ideals: Sequence[Fraction], total: int) -> list[int] | None:
    """Move single cents so that `amounts` add up to `total`: where the ideal lies farthest in that direction first.

    The earlier of equal ones keeps or gets its cent. Returns None when more than one cent per amount had to move, because
    that is no rounding any more.
    """
    difference = total - sum(amounts)
    if abs(difference) > len(amounts):
        return None
    settled = list(amounts)
    if difference > 0:
        order = sorted(range(len(settled)), key=lambda index: (settled[index] - ideals[index], index))
    else:
        order = sorted(range(len(settled)), key=lambda index: (ideals[index] - settled[index], -index))
    step = 1 if difference > 0 else -1
    for index in order[: abs(difference)]:
        settled[index] += step
    return settled
