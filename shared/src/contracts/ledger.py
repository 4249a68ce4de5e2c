"""Exact's ledger as the writer keeps it, for others to compare with: read from its tables, never sent as a message."""

from __future__ import annotations

from datetime import date

import msgspec

VAT_LINE = 5  # LineType of the line that Exact itself adds for the VAT of another one
EXCHANGE_DIFFERENCE = 82  # Type of the entries by which Exact closes what it matched in another currency in its own, too
DEFERRED_REVENUE = 84  # Type of the lines by which Exact releases revenue over time


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of Exact's ledger; debit is positive, and amounts are hundredths, whatever the currency.

    `dc` is the division's currency, `fc` the entry's own. Line 0 is the entry's header. `day` is the entry's date, but of
    deferred revenue the day of its release. `modified_at` (unix seconds, by Exact's clock) and `modifier` tell who changed the
    line last.
    """

    line_id: str
    timestamp: int
    entry_id: str
    entry_number: int
    line_number: int
    line_type: int
    type: int
    journal: str
    day: date
    year: int
    period: int
    account: str
    relation_id: str | None
    dc_hundredths: int
    currency: str
    fc_hundredths: int
    vat_code: str | None
    vat_fc_hundredths: int | None
    cost_center: str | None
    cost_unit: str | None
    your_ref: str | None
    description: str | None
    payment_reference: str | None
    invoice_number: int | None
    modified_at: float | None = None
    modifier: str | None = None

    @property
    def is_vat(self) -> bool:
        """Whether Exact added it for the VAT of another line."""
        return self.line_type == VAT_LINE

    @property
    def is_deferral(self) -> bool:
        """Whether it moves revenue between periods."""
        return self.type == DEFERRED_REVENUE


class LedgerOwner(msgspec.Struct, frozen=True, kw_only=True):
    """A command of ours that an entry of Exact's comes of; `entry_number` is 0 where Exact's answer did not tell it."""

    command_id: str
    your_ref: str
    entry_id: str
    entry_number: int


class LedgerState(msgspec.Struct, frozen=True, kw_only=True):
    """When the last complete reading of the ledger began (unix seconds), and whether Exact lets us see what was deleted."""

    read_at: float | None
    sees_deletions: bool


class LedgerName(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger account, journal, VAT code or account of a customer that a year's lines name; `type` as Exact numbers it.

    `key` is what the lines have: a code, or the GUID of a customer's account. `percentage` is a VAT code's, in percent.
    """

    key: str
    code: str
    name: str = ""
    type: int = 0
    percentage: str = "0"
    vat_number: str = ""


class LedgerYear(msgspec.Struct, frozen=True, kw_only=True):
    """What the lines of one financial year come to, in hundredths of the division's currency, and what they name.

    `opening` is what stands on each account of all years before, debit positive, without those that have nothing.
    """

    lines: int
    debit_hundredths: int
    credit_hundredths: int
    accounts: tuple[LedgerName, ...]
    journals: tuple[LedgerName, ...]
    vat_codes: tuple[LedgerName, ...]
    customers: tuple[LedgerName, ...]
    periods: tuple[tuple[int, date, date], ...]
    opening: tuple[tuple[str, int], ...] = ()
