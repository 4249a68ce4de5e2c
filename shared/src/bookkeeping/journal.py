"""Entries: balanced sets of journal lines. One that does not balance cannot be made."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Literal

import msgspec
from msgspec.structs import replace

from bookkeeping.money import worth_at
from bookkeeping.periods import Move
from bookkeeping.reasons import LineReason
from bookkeeping.telling import InTwo


class UnbalancedEntryError(ValueError):
    """The debit and credit sides of an entry differ; this is a defect of the program, never of a document."""


class Role(StrEnum):
    """What a line is in its entry."""

    RECEIVABLE = "receivable"
    REVENUE = "revenue"
    DISCOUNT = "discount"
    ROUNDING = "rounding"
    CONTROL = "control"
    LOSS = "loss"
    EXCHANGE = "exchange"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line; `amount_minor` and its VAT are positive in debit and negative in credit.

    The VAT stands beside its base, as Exact wants it: Exact's VAT code decides the ledger account it goes to. `customer_id` is
    whose debt a receivable line is, where that is not the customer of the entry. `is_vat_by_exact` leaves the VAT to Exact, which
    books it to pay and to claim: VAT that is shifted to us. `takes_back` says of a deferred line that it takes back, period by
    period, what another one releases.
    """

    role: Role
    account: str
    amount_minor: int
    description: str = ""
    vat_code: str | None = None
    vat_minor: int = 0
    cost_center: str | None = None
    cost_unit: str | None = None
    first: date | None = None
    last: date | None = None
    notes: str = ""
    customer_id: str | None = None
    product: str | None = None
    is_vat_by_exact: bool = False
    takes_back: bool = False

    @property
    def is_receivable(self) -> bool:
        """Whether it is the customer's line."""
        return self.role is Role.RECEIVABLE


class Posting(msgspec.Struct, frozen=True):
    """What an account or a VAT code gets from an entry: one of the sides is zero."""

    account: str
    debit_minor: int
    credit_minor: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A balanced entry: `sales` for invoices and credit notes, `general` for money. Raises UnbalancedEntryError otherwise.

    `exchange_rate` is division currency per unit of `currency`, None when they are the same. `explanation` says in words
    which rules made the lines, `reasons` the same of each line as data. Without a reporting period the entry is reported in the
    period of its date; `moves` lists what is reported elsewhere than its date says. `customer_id` is on whose account it is
    booked, where that is not the document's customer.
    """

    kind: Literal["sales", "general"]
    journal: str
    reference: str
    entry_date: date
    currency: str
    lines: tuple[Line, ...]
    description: str = ""
    due_date: date | None = None
    exchange_rate: Decimal | None = None
    reporting_year: int | None = None
    reporting_period: int | None = None
    payment_condition: str | None = None
    explanation: tuple[InTwo, ...] = ()
    reasons: tuple[LineReason, ...] = ()
    moves: tuple[Move, ...] = ()
    customer_id: str | None = None

    def __post_init__(self) -> None:
        difference = 0
        for line in self.lines:
            difference += line.amount_minor + line.vat_minor
        if difference or not self.lines:
            raise UnbalancedEntryError(f"{self.reference}: the sides differ by {difference} in {len(self.lines)} lines")

    @property
    def receivable_minor(self) -> int:
        """What the customer's debt grows by; negative where it falls."""
        return sum(line.amount_minor for line in self.lines if line.role is Role.RECEIVABLE)

    def customers(self, customer_id: str) -> list[str]:
        """Return the customers on whose accounts it is booked, in the order of its lines; `customer_id` is its document's."""
        own = self.customer_id or customer_id
        debtors = [line.customer_id or own for line in self.lines if line.role is Role.RECEIVABLE]
        return list(dict.fromkeys(debtors or [own]))

    def postings(self) -> list[Posting]:
        """Return the journal in debit and credit, one row per account, VAT by its code: debtor first, then as they came."""
        sums: dict[str, int] = {}
        for line in sorted(self.lines, key=lambda line: line.role is not Role.RECEIVABLE):
            sums[line.account] = sums.get(line.account, 0) + line.amount_minor
        for line in self.lines:
            if line.vat_minor:
                name = f"VAT {line.vat_code}"
                sums[name] = sums.get(name, 0) + line.vat_minor
        return [Posting(name, max(amount, 0), max(-amount, 0)) for name, amount in sums.items() if amount]

    def in_currency(self, currency: str) -> Entry:
        """Return the entry in the division's currency: every line and its VAT rounded apart, the debtor as their sum."""
        convert = worth_at(self.exchange_rate, self.currency, currency)
        if convert is None:
            return self
        others = [
            replace(line, amount_minor=convert(line.amount_minor), vat_minor=convert(line.vat_minor))
            for line in self.lines
            if line.role is not Role.RECEIVABLE
        ]
        debtors = [line for line in self.lines if line.role is Role.RECEIVABLE]
        debt = -sum(line.amount_minor + line.vat_minor for line in others)
        converted = [replace(line, amount_minor=convert(line.amount_minor)) for line in debtors[:-1]]
        if debtors:
            rest = debt - sum(line.amount_minor for line in converted)
            converted.append(replace(debtors[-1], amount_minor=rest))
        return replace(self, lines=(*converted, *others), currency=currency, exchange_rate=None)
