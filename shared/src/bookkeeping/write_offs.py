"""Write-offs: a debt that will not be paid is a loss at once, and its VAT comes back when the law says so.

Chargebee makes an adjustment credit note for a write-off, and also counts it in the invoice's write_off_amount; only the note is
booked. It takes back no sale and no VAT: the VAT may be reclaimed when it is certain that nobody pays, which is taken to be so
one year after the due date at the latest (Dutch VAT act, article 29).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, replace
from datetime import date

from msgspec import structs

from bookkeeping.documents import CreditNote, VatReclaim
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.mapping import Mapping, WriteOffs
from bookkeeping.money import Worth, format_minor, worth_at
from bookkeeping.rejections import Rejection, SetAside, reject, set_aside
from bookkeeping.rules import RevenueRule, Rules
from bookkeeping.sales import sales_entry
from bookkeeping.telling import InTwo, tell


def normal_reason(reason: str | None) -> str | None:
    """Write a reason code one way: Chargebee has `write_off` in an older list and a label such as `Write Off` in a newer one."""
    return reason.strip().lower().replace(" ", "_").replace("-", "_") if reason else None


def is_write_off(note: CreditNote, mapping: Mapping) -> bool:
    """Tell whether a credit note writes a debt off, by its reason; only an adjustment lowers what is due."""
    return note.is_adjustment and mapping.writes_off(note.reason)


def write_off_entry(note: CreditNote, mapping: Mapping) -> Entry | Rejection | SetAside:
    """Make the entry of a write-off: bad debt against the customer, for the whole amount with its VAT."""
    name = f"write-off {note.number}"
    policy = mapping.write_offs
    if policy is None:
        return _no_account(name, mapping)
    if note.total_minor == 0:
        return set_aside("zero_total", document=name)
    used = mapping.rate(note, name)
    if isinstance(used, Rejection):
        return used
    debtors = mapping.debtor_account(note.debtor)
    of_invoice = note.reference_invoice or note.customer_id
    words = f"{note.number} {of_invoice}"
    return Entry(
        kind="general",
        journal=mapping.journals.code("write_offs", note.currency, note.document_date),
        reference=note.number,
        entry_date=note.document_date,
        currency=note.currency,
        exchange_rate=used.rate,
        lines=(
            Line(role=Role.LOSS, account=policy.account, amount_minor=note.total_minor, description=words),
            Line(role=Role.RECEIVABLE, account=debtors, amount_minor=-note.total_minor, description=words),
        ),
        description=mapping.texts.word("write_off", number=note.number, invoice=of_invoice),
        explanation=(tell("written_off", amount=format_minor(note.total_minor, note.currency), account=policy.account),),
    )


def reclaim_label(reclaim: VatReclaim) -> str:
    """Name the VAT of a write-off in a sentence, with the debt that it belongs to."""
    note = reclaim.note
    debt = f"{format_minor(note.total_minor, note.currency)} {note.currency}"
    return f"VAT of write-off {note.number} ({debt} of invoice {note.reference_invoice})"


def reclaim_day(due: date, written_off: date) -> date:
    """Return the day on which the VAT of a written-off debt comes back: a year after it was due, not before the write-off."""
    try:
        later = due.replace(year=due.year + 1)
    except ValueError:
        later = due.replace(year=due.year + 1, day=28)
    return max(later, written_off)


def reclaim_entry(reclaim: VatReclaim, mapping: Mapping) -> Entry | Rejection | SetAside:
    """Make the entry that takes a written-off debt's VAT back from the bad debt account, under the VAT codes of the sale.

    Exact takes VAT only beside its base, so the base goes onto the account with the code and comes off again without one.
    """
    note, policy = reclaim.note, mapping.write_offs
    name = reclaim_label(reclaim)
    if policy is None:
        return _no_account(name, mapping)
    # A write-off carries the lines and taxes of its part of the invoice: as a sale taken back it shows base and VAT by code.
    loss = Rules([RevenueRule(account=policy.account)])
    on_loss = replace(mapping, revenue=loss, cost_centers=None, cost_units=None)
    made = sales_entry(note, on_loss, {})
    if not isinstance(made, Entry):
        return made
    by_code = _by_code(made, worth_at(made.exchange_rate, made.currency, mapping.currency))
    if not by_code:
        return set_aside("no_vat_to_reclaim", document=name)
    told = _told({code: sum(each.tax_minor for each in amounts) for code, amounts in by_code.items()}, note.currency)
    if policy.vat_reclaim == "by_hand":
        return set_aside("vat_reclaim_by_hand", document=name, vat=told, date=reclaim.document_date.isoformat())
    lines = [
        _line(policy, mapping.texts.word("base_of_vat_code", code=code), each.base_minor, code, each.tax_minor)
        for code, amounts in by_code.items()
        for each in amounts
    ]
    # In another currency Exact rounds each amount by itself: pairs of equal ones balance in the division's currency, too.
    apart = [amount for line in lines for amount in (line.amount_minor, line.vat_minor)]
    off = [sum(apart)] if note.currency == mapping.currency else apart
    lines += [_line(policy, mapping.texts.word("base_taken_off"), -amount, policy.vat_code, 0) for amount in off]
    return structs.replace(
        made,
        journal=mapping.journals.code("credit_notes", note.currency, reclaim.document_date),
        reference=note.number,
        entry_date=reclaim.document_date,
        lines=tuple(lines),
        description=mapping.texts.word(
            "vat_of_write_off", number=note.number, invoice=note.reference_invoice or note.customer_id
        ),
        explanation=(tell("vat_reclaimed", date=reclaim.document_date, invoice=note.reference_invoice, vat=told),),
    )


@dataclass(slots=True)
class _Taxed:
    """What is taken back under a VAT code in one line, in the currency of the sale."""

    base_minor: int = 0
    tax_minor: int = 0


def _by_code(sale: Entry, worth: Worth | None) -> dict[str | None, list[_Taxed]]:
    """Return base and VAT of a sale taken back by code, in the fewest lines that are worth what its own lines are worth.

    Exact rounded each line of the sale to the division's currency by itself, and as much was paid in the VAT return.
    """
    by_code: defaultdict[str | None, list[_Taxed]] = defaultdict(list)
    for line in sale.lines:
        amounts = by_code[line.vat_code]
        if not amounts or (worth is not None and not _adds_up(amounts[-1], line, worth)):
            amounts.append(_Taxed())
        amounts[-1].base_minor += line.amount_minor
        amounts[-1].tax_minor += line.vat_minor
    return {code: amounts for code, amounts in by_code.items() if any(each.tax_minor for each in amounts)}


def _adds_up(amounts: _Taxed, line: Line, worth: Worth) -> bool:
    pairs = ((amounts.base_minor, line.amount_minor), (amounts.tax_minor, line.vat_minor))
    return all(worth(one + other) == worth(one) + worth(other) for one, other in pairs)


def vat_of(entry: Entry) -> InTwo:
    """Say how much VAT an entry takes back, by code."""
    return _told({line.vat_code: line.vat_minor for line in entry.lines if line.vat_minor}, entry.currency)


def _told(taxes: MappingOf[str | None, int], currency: str) -> InTwo:
    amounts = [(f"{format_minor(tax, currency)} {currency}", code) for code, tax in taxes.items()]
    english = ", ".join(f"{amount} under code {code}" for amount, code in amounts)
    return InTwo(english, ", ".join(f"{amount} met code {code}" for amount, code in amounts))


def _line(policy: WriteOffs, description: str, amount_minor: int, vat_code: str | None, vat_minor: int) -> Line:
    return Line(
        role=Role.LOSS,
        account=policy.account,
        amount_minor=amount_minor,
        description=description,
        vat_code=vat_code,
        vat_minor=vat_minor,
    )


def _no_account(name: str, mapping: Mapping) -> Rejection:
    return reject("no_write_off_account", document=name, division=mapping.division)
