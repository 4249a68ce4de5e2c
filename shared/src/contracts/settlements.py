"""What a payment gateway paid out, read from its own settlement file: Chargebee knows neither fees nor payouts."""

from __future__ import annotations

from typing import Literal

import msgspec

from contracts.chargebee import Wire

LineKind = Literal["charge", "refund", "chargeback", "fee", "other"]


class SettledLine(msgspec.Struct, frozen=True, kw_only=True):
    """One movement on the gateway's balance: `amount` is signed as it changes that balance before `fee` is taken off it.

    `ids` are the ids that the gateway gives it; one of them is Chargebee's `id_at_gateway` of a transaction.
    """

    kind: LineKind
    ids: tuple[str, ...]
    amount: int
    fee: int = 0


class Payout(Wire, frozen=True, kw_only=True):
    """One transfer of a gateway to the company's bank; amounts are in the currency's minor units, `date` in unix seconds.

    `amount` came to the bank. `fees` (with `fees_tax`, the VAT in them) and `chargeback_fees` were held back from it, so that the
    balance at the gateway fell by all three together. `lines` are what it consists of, where the file says so.
    """

    id: str
    currency_code: str
    date: int
    amount: int
    gateway_account_id: str
    fees: int = 0
    fees_tax: int = 0
    chargeback_fees: int = 0
    lines: tuple[SettledLine, ...] = ()
    customer_id: str | None = None
    business_entity_id: str | None = None
    updated_at: int | None = None
    deleted: bool = False
