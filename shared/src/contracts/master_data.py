"""The master data of an Exact division as the writer reads it for whoever checks a mapping; asked for over HTTP."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger account; `type` is Exact's number (20 debtors, 22 creditors, 24 VAT, 90 general, 110 revenue).

    `cost_center_use` and `cost_unit_use`: 0 optional, 1 mandatory, 2 not allowed.
    """

    code: str
    description: str = ""
    type: int = 0
    is_blocked: bool = False
    vat_code: str | None = None
    cost_center_use: int = 0
    cost_unit_use: int = 0


class VatCode(msgspec.Struct, frozen=True, kw_only=True):
    """A VAT code; `percentage` is in percent. `type`: B base only, E excluding, I including, N none.

    `transaction_type`: B both, P purchase, S sales; `eu_sales_listing`: N none, L goods, S services, as far as is known.
    """

    code: str
    description: str = ""
    type: str = ""
    percentage: Decimal = Decimal(0)
    is_blocked: bool = False
    oss_country: str | None = None
    eu_sales_listing: str = ""
    is_reverse_charged: bool = False
    transaction_type: str = ""


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """A journal; `type` is Exact's number (16 payment service, 20 sales, 21 return invoices, 90 general)."""

    code: str
    description: str = ""
    type: int = 0
    is_blocked: bool = False
    allows_vat: bool = False
    currency: str | None = None
    allows_other_currencies: bool = True


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """Anything with a code: cost centres, cost units, currencies."""

    code: str
    description: str = ""


class PaymentCondition(msgspec.Struct, frozen=True, kw_only=True):
    """A payment condition: due so many days after the date."""

    code: str
    description: str = ""
    days: int = 0


class PeriodRange(msgspec.Struct, frozen=True, kw_only=True):
    """A period and its days, both inclusive."""

    year: int
    period: int
    starts: date
    ends: date


# What is read, and then what is only tried with one row, to see whether the app may work with it.
Part = Literal[
    "division",
    "ledgers",
    "vat_codes",
    "journals",
    "cost_centers",
    "cost_units",
    "currencies",
    "payment_conditions",
    "periods",
    "accounts",
    "contacts",
    "sales_entries",
    "general_entries",
    "sales_invoices",
    "items",
    "documents",
]


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """A part that Exact did not give, its endpoint, and Exact's words: a scope is missing, or the licence has it not."""

    part: Part
    endpoint: str
    reason: str


class MasterData(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, as it was a moment ago; a part that is in `unreadable` is empty here.

    `package` is the code of the licence's package as Exact gives it to the user that the app works for.
    """

    division: int
    name: str = ""
    currency: str | None = None
    country: str | None = None
    is_blocked: bool = False
    package: str = ""
    ledgers: tuple[Ledger, ...] = ()
    vat_codes: tuple[VatCode, ...] = ()
    journals: tuple[Journal, ...] = ()
    cost_centers: tuple[Named, ...] = ()
    cost_units: tuple[Named, ...] = ()
    currencies: tuple[Named, ...] = ()
    payment_conditions: tuple[PaymentCondition, ...] = ()
    periods: tuple[PeriodRange, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
