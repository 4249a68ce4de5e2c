"""From any document to its entry, and back again by a reversal."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from datetime import date

from msgspec.structs import replace

from bookkeeping.deferral import Method, Portion, credit_portions, left_to_release
from bookkeeping.division_currency import portions_in_step, taxes_of_portions, with_cents
from bookkeeping.documents import (
    Application,
    CreditNote,
    Document,
    ExchangeDifference,
    Invoice,
    Payout,
    Product,
    VatReclaim,
    WithheldTax,
)
from bookkeeping.exchange_differences import application_entry, difference_entry
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.mapping import Mapping
from bookkeeping.modes import in_mode
from bookkeeping.money import worth_at
from bookkeeping.parts import label
from bookkeeping.payments import money_entry, withheld_entry
from bookkeeping.rejections import Rejection, SetAside
from bookkeeping.sales import sales_entry
from bookkeeping.settlements import payout_entry
from bookkeeping.split_cents import worth_the_same
from bookkeeping.telling import tell
from bookkeeping.write_offs import is_write_off, reclaim_entry, write_off_entry


def make_entry(document: Document, mapping: Mapping, products: MappingOf[str, Product]) -> Entry | Rejection | SetAside:
    """Make the balanced entry of a document, or say why it cannot be booked now, or why it is not to be booked."""
    made = _made(document, mapping, products)
    told = mapping.journals.explanation(made) if isinstance(made, Entry) else []
    return replace(made, explanation=(*made.explanation, *told)) if isinstance(made, Entry) and told else made


def _made(document: Document, mapping: Mapping, products: MappingOf[str, Product]) -> Entry | Rejection | SetAside:
    if isinstance(document, VatReclaim):
        return reclaim_entry(document, mapping)
    if isinstance(document, CreditNote) and is_write_off(document, mapping):
        return write_off_entry(document, mapping)
    if isinstance(document, Invoice | CreditNote):
        made = sales_entry(document, mapping, products)
        whole = with_cents(made, mapping, label(document)) if isinstance(made, Entry) else made
        return in_mode(whole, mapping) if isinstance(whole, Entry) else whole
    if isinstance(document, WithheldTax):
        return withheld_entry(document, mapping)
    if isinstance(document, Payout):
        return payout_entry(document, mapping)
    if isinstance(document, ExchangeDifference):
        return difference_entry(document, mapping)
    if isinstance(document, Application):
        return application_entry(document, mapping)
    return money_entry(document, mapping)


def reverse(entry: Entry, day: date, mapping: Mapping, credits_of_it: Sequence[Entry] = ()) -> Entry:
    """Make the mirror of an entry on another day, under the same number with `/R`; nothing is ever deleted.

    What a deferred line has earned until that day is taken back at once, what is left over the rest of its service period: less
    what the credit notes of an invoice that stand (`credits_of_it`, as they are booked) take back there already.
    """
    whole = _turned(entry)
    lines: list[Line] = []
    taken = _taken_back(entry, credits_of_it, mapping.deferral_method)
    worth = worth_at(entry.exchange_rate, entry.currency, mapping.currency)
    for index, line in enumerate(entry.lines):
        if line.first is None or line.last is None:
            lines.append(whole[index])
            continue
        portions = credit_portions(
            -line.amount_minor,
            day,
            line.amount_minor,
            (line.first, line.last),
            None,
            method=mapping.deferral_method,
            taken=taken[index],
        )
        portions = portions_in_step(portions, worth)
        taxes = taxes_of_portions(-line.vat_minor, portions, worth)
        lines += [
            replace(
                line,
                amount_minor=portion.amount_minor,
                vat_minor=tax,
                first=portion.first,
                last=portion.last,
                takes_back=portion.first is not None,
            )
            for portion, tax in zip(portions, taxes, strict=True)
        ]
    return worth_the_same(_mirror(entry, day, lines, mapping), whole, lines, mapping)


def undo(entry: Entry, mapping: Mapping) -> Entry:
    """Make the mirror of an entry that was wrong from the start: on its own day, and over the days it was released over.

    So nothing is left of the two in any month, and what credit notes take back of it stands beside what is booked anew.
    """
    lines = [replace(line, takes_back=line.first is not None) for line in _turned(entry)]
    return _mirror(entry, entry.entry_date, lines, mapping)


def _turned(entry: Entry) -> list[Line]:
    return [replace(line, amount_minor=-line.amount_minor, vat_minor=-line.vat_minor) for line in entry.lines]


def _mirror(entry: Entry, day: date, lines: Sequence[Line], mapping: Mapping) -> Entry:
    if entry.kind == "sales":
        debt = sum(line.amount_minor for line in lines if line.role is Role.RECEIVABLE)
        journal = mapping.journals.code("credit_notes" if debt < 0 else "invoices", entry.currency, day)
    else:
        journal = mapping.journals.of_mirror(entry, day)
    return replace(
        entry,
        journal=journal,
        reference=f"{entry.reference}/R",
        entry_date=day,
        due_date=None,
        reporting_year=None,
        reporting_period=None,
        lines=tuple(lines),
        description=mapping.texts.reversal(entry.description),
        explanation=(tell("mirror", date=entry.entry_date, day=day),),
    )


def _taken_back(entry: Entry, credits_of_it: Sequence[Entry], method: Method) -> list[list[Portion]]:
    """Return what credit notes take back of each deferred line: of the one it names best, then of others that have some left."""
    taken: list[list[Portion]] = [[] for _ in entry.lines]
    for credit in (line for note in credits_of_it for line in note.lines):
        if credit.first is None or credit.last is None:
            continue
        rest, first, last = abs(credit.amount_minor), credit.first, credit.last
        fitting = [
            index
            for index, line in enumerate(entry.lines)
            if line.first is not None
            and line.last is not None
            and line.first <= last
            and first <= line.last
            and line.amount_minor * credit.amount_minor < 0
        ]
        for index in sorted(fitting, key=lambda each: _unlike(entry.lines[each], credit)):
            line = entry.lines[index]
            if line.first is None or line.last is None:
                continue
            days = (max(first, line.first), min(last, line.last))
            left = left_to_release(line.amount_minor, (line.first, line.last), taken[index], method)
            most = sum(max(each.amount_minor, 0) for each in left if each.last >= days[0] and each.first <= days[1])
            if part := min(rest, most):
                taken[index].append(Portion(part, *days))
                rest -= part
    return taken


def _unlike(line: Line, credit: Line) -> tuple[bool, bool, int, bool, int]:
    """Say how badly a credit's line fits one of the invoice: within its days, on its account, alike in the rest, to its end."""
    first, last = line.first or date.min, line.last or date.max
    own_first, own_last = credit.first or date.min, credit.last or date.max
    others = (line.vat_code != credit.vat_code, line.cost_center != credit.cost_center, line.cost_unit != credit.cost_unit)
    is_outside = own_first < first or last < own_last
    return is_outside, line.account != credit.account, sum(others), last != own_last, (own_first - first).days
