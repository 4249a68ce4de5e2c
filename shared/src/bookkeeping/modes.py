"""How an entry goes to Exact: as a sales entry, a sales invoice, or lines of a general entry that holds many documents."""

from __future__ import annotations

from msgspec.structs import replace

from bookkeeping.journal import Entry, Role
from bookkeeping.mapping import Mapping
from bookkeeping.money import worth_at
from bookkeeping.telling import InTwo, tell


def in_mode(entry: Entry, mapping: Mapping) -> Entry:
    """Turn a sales entry into a general one where the division books in mode ledger; both give the same balances.

    What a general entry cannot say goes as a sales entry all the same, and the explanation says why: Exact defers revenue only
    on sales lines (a general-journal line has no From and To), and a general entry has to balance in the division's currency,
    while the debtor of a sales entry is the sum of its rounded lines.
    """
    if entry.kind != "sales":
        return entry
    if mapping.mode == "document" and entry.currency != mapping.currency:
        return _told(entry, tell("no_rate_on_invoice"))
    if mapping.mode != "ledger":
        return entry
    if any(line.first is not None for line in entry.lines):
        return _told(entry, tell("deferred_by_itself"))
    if entry.currency != mapping.currency and entry.exchange_rate is None:
        return _told(entry, tell("rate_of_another_day"))
    if not _balances_converted(entry, mapping.currency):
        return _told(entry, tell("would_not_balance", currency=mapping.currency))
    lines = tuple(line for line in entry.lines if line.role is not Role.RECEIVABLE or line.amount_minor)
    journal = mapping.journals.code("ledger", entry.currency, entry.entry_date)
    return replace(entry, kind="general", journal=journal, lines=lines)


def _told(entry: Entry, sentence: InTwo) -> Entry:
    return replace(entry, explanation=(*entry.explanation, sentence))


def _balances_converted(entry: Entry, currency: str) -> bool:
    """Tell whether each amount rounded apart still adds up to zero, as Exact asks of a general entry."""
    worth = worth_at(entry.exchange_rate, entry.currency, currency)
    return worth is None or sum(worth(line.amount_minor) + worth(line.vat_minor) for line in entry.lines) == 0
