"""Which rate an entry in another currency is booked at: Chargebee's own, Exact's of the day, or one that was written down."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from bookkeeping.documents import CreditNote, MoneyMovement, SalesDocument, WithheldTax
from bookkeeping.money import UNCONFIRMED_CURRENCIES
from bookkeeping.rejections import Rejection, reject
from bookkeeping.telling import InTwo, tell
from bookkeeping.troubles import Trouble, refuse, repeated

ExchangePolicy = Literal["chargebee", "exact", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedRate:
    """From this day on a unit of `currency` is worth `rate` of the division's currency, until the next rate of the list."""

    currency: str
    first: date
    rate: Decimal


def rate_troubles(rates: Sequence[DatedRate]) -> list[Trouble]:
    """Return the rates that begin on the day of an earlier one of their currency."""
    sentences = [f"two exchange rates of {each.currency} begin on {each.first}" for each in rates]
    return repeated([(each.currency, each.first) for each in rates], sentences)


class ExchangeRates:
    """The policy of a division; raises AmbiguousRulesError for two rates of one currency on one day.

    `whole_units` are the currencies whose amounts are known to come from Chargebee in whole units, beside those that it names.
    """

    __slots__ = ("_rates", "policy", "whole_units")

    def __init__(
        self, policy: ExchangePolicy = "chargebee", rates: Iterable[DatedRate] = (), whole_units: Iterable[str] = ()
    ) -> None:
        self.policy = policy
        self.whole_units = frozenset(whole_units)
        self._rates: dict[str, list[tuple[date, Decimal]]] = defaultdict(list)
        given = tuple(rates)
        refuse(rate_troubles(given))
        for each in sorted(given, key=lambda rate: rate.first):
            self._rates[each.currency].append((each.first, each.rate))

    def in_table(self, currency: str, day: date) -> Decimal | None:
        """Return the rate that was written down for a day, or None before the first one."""
        rates = self._rates.get(currency, [])
        index = bisect_right(rates, day, key=lambda rate: rate[0])
        return rates[index - 1][1] if index else None


@dataclass(frozen=True, slots=True)
class RateUsed:
    """What the entry says of its rate: division currency per unit, None when Exact takes its own; in words for people."""

    rate: Decimal | None = None
    words: InTwo | None = None


SAME_CURRENCY = RateUsed()


def rate_of(
    document: SalesDocument | MoneyMovement, name: str, rates: ExchangeRates, division: int, division_currency: str
) -> RateUsed | Rejection:
    """Return the rate that the policy asks for, or why there is none.

    Chargebee's rate, to its site's base currency, is sent with the entry: else Exact would take its own of the day, and both
    books would differ for ever. What takes an invoice back, in part or whole, has the invoice's own rate by every policy: so that
    both together are nothing in both currencies.
    """
    currency = document.currency
    if currency == division_currency:
        return SAME_CURRENCY
    pair = f"{division_currency} per {currency}"
    if isinstance(document, CreditNote | WithheldTax) and document.reference_rate is not None:
        invoice = document.invoice if isinstance(document, WithheldTax) else document.reference_invoice
        return RateUsed(
            document.reference_rate, tell("rate_of_invoice", rate=document.reference_rate, pair=pair, invoice=invoice)
        )
    if currency in UNCONFIRMED_CURRENCIES - rates.whole_units:
        return reject("currency_units_unknown", document=name, currency=currency, division=division)
    if rates.policy == "exact":
        return RateUsed(None, tell("rate_of_exact", pair=pair))
    if rates.policy == "table":
        rate = rates.in_table(currency, document.document_date)
        if rate is None:
            return reject("no_rate_in_table", document=name, currency=currency, day=document.document_date, division=division)
        return RateUsed(rate, tell("rate_of_table", rate=rate, pair=pair))
    given = document.exchange_rate
    if document.base_currency != division_currency or given is None or given <= 0:
        return reject("no_exchange_rate", document=name, currency=currency, division_currency=division_currency)
    return RateUsed(given, tell("rate_of_chargebee", rate=given, pair=pair))
