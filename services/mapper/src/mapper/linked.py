"""Documents that somebody else booked in Exact: linked to that entry, and never booked, changed or taken back by us."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

import msgspec

from bookkeeping.documents import ExchangeDifference
from bookkeeping.exchange_differences import difference_label
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.journals import JournalPurpose
from bookkeeping.mapping import Mapping
from bookkeeping.rejections import Rejection, SetAside, reject, set_aside
from contracts.commands import LinkedEntry, PostEntry
from contracts.facts import EntryPosted
from contracts.ledger import LedgerLine
from mapper.issue import may_be_theirs
from mapper.lives import waits_for
from mapper.store import ISSUED, OPEN_STATES, Row, Store
from mapper.subjects import Subject, name_of

BEFORE_BOOK_FROM = "before_book_from"
NO_ACCOUNT = "?"  # what somebody else booked it on is not ours to say


def linked_in(row: Row) -> LinkedEntry | None:
    """Return the entry that a booking is linked to, None for one that we booked."""
    if row.command is None or b'"linked":{' not in row.command:
        return None  # most are ours, and a whole command takes longer to read
    return msgspec.json.decode(row.command, type=PostEntry).linked


def as_posted(row: Row, fact: EntryPosted) -> Row:
    """Return a booking after the writer said that it stands in Exact; one that is linked keeps to which entry, and its rate."""
    rate = row.exchange_rate if fact.exchange_rate is None else str(fact.exchange_rate)
    row = replace(row, state="booked", code=None, waits_for=None, exchange_rate=rate)
    if not fact.is_linked or row.command is None:
        return row
    command = msgspec.json.decode(row.command, type=PostEntry)
    linked = command.linked or LinkedEntry(entry_id=fact.entry_id, entry_number=fact.entry_number, journal=fact.journal)
    command = msgspec.structs.replace(command, linked=linked, exchange_rate=fact.exchange_rate or command.exchange_rate)
    return replace(row, command=msgspec.json.encode(command))


def changed_since(subject: Subject, last: Row) -> tuple[Rejection, str] | None:
    """Return what a person is told of a linked document that changed or was voided, and by what that is known again.

    What we did not book we do not book back: whoever did corrects it.
    """
    linked = linked_in(last)
    if linked is None or last.state != "booked" or not (subject.is_gone or subject.fingerprint != last.fingerprint):
        return None
    decision = reject("linked_changed", document=name_of(subject), entry=linked.entry_number, journal=linked.journal)
    return decision, f"{subject.fingerprint}/gone" if subject.is_gone else subject.fingerprint


async def with_its_payment(
    store: Store, subject: Subject, document: ExchangeDifference, mapping: Mapping
) -> Rejection | SetAside | None:
    """Say why an exchange difference is not booked by us, or not yet, for the sake of its payment; None where that is ours.

    Whoever booked the payment has booked what it brought more or less, or lets Exact do that.
    """
    kind = "refund" if document.went_out else "payment"
    rows = await store.rows_of(subject.key.site, kind, document.number)
    if any(row.state in ISSUED and linked_in(row) is not None for row in rows):
        return set_aside("exchange_difference_by_others", document=difference_label(document))
    is_to_come = any(row.state == "planned" or row.state in OPEN_STATES for row in rows)
    if is_to_come and may_be_theirs(mapping, document.document_date):
        label, other = difference_label(document), f"{kind} {document.number}"
        return reject("waiting_for_both_bookings", waits_for=waits_for(document.number), document=label, other=other)
    return None


def stand_in(subject: Subject, decision: Rejection | SetAside) -> Entry | Rejection | SetAside:
    """Return an entry of the bare debt of a document that the rules do not book, for one that a person links.

    What was never final, or moved no money, stays what it is.
    """
    mapping, ref = subject.mapping, subject.ref
    is_nothing = isinstance(decision, SetAside) and decision.code != BEFORE_BOOK_FROM
    if is_nothing or mapping is None or subject.customer is None or ref.document_date is None or not ref.total_minor:
        return decision
    purpose: JournalPurpose = "credit_notes" if ref.kind == "credit_note" else "payments" if subject.is_money else "invoices"
    other = Role.CONTROL if subject.is_money else Role.REVENUE
    return Entry(
        kind="general" if subject.is_money else "sales",
        journal=mapping.journals.code(purpose, ref.currency, ref.document_date),
        reference=ref.number,
        entry_date=ref.document_date,
        currency=ref.currency,
        lines=(
            Line(role=Role.RECEIVABLE, account=mapping.receivable_account, amount_minor=ref.total_minor),
            Line(role=other, account=NO_ACCOUNT, amount_minor=-ref.total_minor),
        ),
    )


def debtor_accounts(mapping: Mapping) -> set[str]:
    """Return the accounts of debts that the configuration names."""
    return {mapping.receivable_account, *(mapping.debtors.accounts() if mapping.debtors else ())}


def debt_lines(lines: Sequence[LedgerLine], accounts: Collection[str]) -> list[LedgerLine]:
    """Return the lines of an entry that are debts: those on a debtor account, else the head of a sale."""
    found = [line for line in lines if line.account in accounts and not line.is_deferral]
    return found or [line for line in lines if line.line_number == 0 and not line.is_deferral]


def own_lines(lines: Sequence[LedgerLine], number: str, accounts: Collection[str]) -> list[LedgerLine]:
    """Return the lines of somebody else's entry that are of one document: all, unless its debts name several."""
    named = re.compile(rf"(?<![\w-]){re.escape(number)}(?![\w-])", re.IGNORECASE)
    debts = debt_lines(lines, accounts)
    mine = [line for line in lines if named.search(f"{line.description or ''} {line.payment_reference or ''}")]
    return mine if 0 < sum(line in mine for line in debts) < len(debts) else list(lines)
