"""The three columns: what Chargebee, our bookings and Exact's ledger have, by day, customer, VAT code or account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from bookkeeping.reconciliation import VAT, places
from contracts.ledger import LedgerLine
from mapper.reconcile_judging import Booking, Case, found_of, minor
from mapper.reconcile_scratch import Scratch, Side

By = Literal["day", "customer", "vat", "account"]
UNDIVIDED = "?"  # what Chargebee has of a document that is not booked as it is: it knows neither accounts nor codes


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which days, of which division, and what the columns are summed by."""

    division: int
    first: date
    last: date
    by: By


class Columns:
    """Adds documents and entries to the columns. Days and customers sum up debts, VAT codes the VAT of sales, accounts debits."""

    def __init__(self, wish: Wish, scratch: Scratch, receivable_account: str) -> None:
        self._wish = wish
        self._scratch = scratch
        self._debtors = {receivable_account}

    def document(self, case: Case, customer: str, customers: Mapping[str, list[str]]) -> int:
        """Add a document; return what it adds to the debt in Exact. `customers` are those of Exact's accounts."""
        agrees, exact = case.owed_minor == case.booked_minor and case.changed is None, 0
        if not agrees:
            self._add(case.day, customer, UNDIVIDED, case.currency, "chargebee", case.owed_minor)
        for place, booking in enumerate(case.bookings):
            entry = booking.entry
            self._debtors |= booking.debtor_accounts
            for name, amount in places(entry).items():
                is_debt = name in booking.debtor_accounts
                self._add(entry.entry_date, customer, name, entry.currency, "logs", amount, is_debt=is_debt)
                if agrees:
                    # Chargebee has one date a document; what was booked back or anew has its own.
                    day = case.day if place == 0 and case.day is not None else entry.entry_date
                    self._add(day, customer, name, entry.currency, "chargebee", amount, is_debt=is_debt)
            for line in booking.lines:
                if line.is_deferral:
                    continue
                amount, is_debt = minor(line.fc_hundredths, line.currency), line.account in booking.debtor_accounts
                exact += amount if is_debt and booking.row.key.kind == case.kind else 0
                owner = _owner(line, booking, customers) if is_debt else customer
                self._add(line.day, owner, found_of(line).place, line.currency, "exact", amount, is_debt=is_debt)
        return exact

    def stranger(self, entry: Sequence[LedgerLine], customers: Mapping[str, list[str]]) -> int:
        """Add an entry that is not ours; return what it adds to a customer's debt."""
        debt = 0
        for line in entry:
            if line.is_deferral:
                continue
            known = customers.get(line.relation_id or "", [])
            customer = known[0].split("/", 1)[1] if known else UNDIVIDED
            amount, is_debt = minor(line.fc_hundredths, line.currency), line.account in self._debtors
            debt += amount if is_debt else 0
            self._add(line.day, customer, found_of(line).place, line.currency, "exact", amount, is_debt=is_debt)
        return debt

    def _add(
        self, day: date | None, customer: str, place: str, currency: str, side: Side, amount_minor: int, *, is_debt: bool = True
    ) -> None:
        """Add an amount under the key that the columns are summed by, where its day is in the range."""
        if day is None or not self._wish.first <= day <= self._wish.last:
            return
        match self._wish.by:
            case "account":
                self._scratch.add(place, currency, side, amount_minor)
            case "vat" if place.startswith(VAT):
                self._scratch.add(place.removeprefix(VAT), currency, side, -amount_minor)
            case "day" if is_debt:
                self._scratch.add(day.isoformat(), currency, side, amount_minor)
            case "customer" if is_debt:
                self._scratch.add(customer, currency, side, amount_minor)
            case _:
                pass


def _owner(line: LedgerLine, booking: Booking, customers: Mapping[str, list[str]]) -> str:
    """Return whose debt a line of Exact's is: the document's customer, unless the account is another's or nobody's."""
    known = customers.get(line.relation_id or "", [])
    ids = [ref.split("/", 1)[1] for ref in known]
    document, payer = booking.command.document, booking.command.customer_ref
    if line.relation_id is None or document.customer_id in ids or payer in known:
        return document.customer_id
    return ids[0] if ids else UNDIVIDED
