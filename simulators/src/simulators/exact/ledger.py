import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from simulators.exact.wire import Row
from simulators.exact.world import Division

CENT = Decimal("0.01")
LINES = "financialtransaction/TransactionLines"
ENTITY_TRANSACTION_LINES = 1
ENTITY_PAYMENT_TERMS = 10
TYPE_DEFERRED_REVENUE = 84
LINE_NORMAL, LINE_VAT = 0, 5


def cents(amount: Decimal) -> Decimal:
    """Rounds to cents, half up."""
    return amount.quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True)
class Heading:
    """What all lines of one entry share. `rate` turns the entry's currency into the division's."""

    entry_id: uuid.UUID
    number: int
    journal: Row
    type: int
    date: datetime
    year: int
    period: int
    currency: str
    rate: Decimal
    your_ref: str | None = None
    invoice_number: int | None = None
    due_date: datetime | None = None
    payment_reference: str | None = None
    external_link: str | None = None
    document: uuid.UUID | None = None


@dataclass(frozen=True)
class Posting:
    """One ledger line before it is written. Amounts are signed, debit positive; `amount_dc` in the division's currency."""

    line_number: int
    gl_account: Row
    amount_fc: Decimal
    amount_dc: Decimal
    description: str | None = None
    account: Row | None = None
    id: uuid.UUID | None = None
    line_type: int = LINE_NORMAL
    type: int | None = None
    date: datetime | None = None
    period: tuple[int, int] | None = None
    vat_code: Row | None = None
    vat_fc: Decimal | None = None
    vat_base_fc: Decimal | None = None
    cost_center: str | None = None
    cost_unit: str | None = None
    offset_id: uuid.UUID | None = None
    notes: str | None = None
    quantity: Decimal | None = None
    our_ref: int | None = None


def post(division: Division, heading: Heading, postings: Iterable[Posting]) -> list[Row]:
    """Writes the lines of an entry into the ledger and returns them. The caller guarantees that they balance."""
    return [division.create(LINES, _line(division, heading, posting)) for posting in postings]


def _line(division: Division, heading: Heading, posting: Posting) -> Row:
    year, period = posting.period or (heading.year, heading.period)
    line: Row = {
        "ID": posting.id or division.world.next_id(),
        "EntryID": heading.entry_id,
        "EntryNumber": heading.number,
        "JournalCode": heading.journal["Code"],
        "JournalDescription": heading.journal["Description"],
        "Type": posting.type if posting.type is not None else heading.type,
        "LineNumber": posting.line_number,
        "LineType": posting.line_type,
        "Date": posting.date or heading.date,
        "FinancialYear": year,
        "FinancialPeriod": period,
        "Currency": heading.currency,
        "ExchangeRate": heading.rate,
        "AmountFC": posting.amount_fc,
        "AmountDC": posting.amount_dc,
        "GLAccount": posting.gl_account["ID"],
        "GLAccountCode": posting.gl_account["Code"],
        "GLAccountDescription": posting.gl_account["Description"],
        "Status": 20,
    }
    optional: Row = {
        "Description": posting.description,
        "YourRef": heading.your_ref,
        "InvoiceNumber": posting.our_ref if posting.our_ref is not None else heading.invoice_number,
        "PaymentReference": heading.payment_reference,
        "ExternalLinkReference": heading.external_link,
        "Document": heading.document,
        "DueDate": heading.due_date,
        "CostCenter": posting.cost_center,
        "CostUnit": posting.cost_unit,
        "OffsetID": posting.offset_id,
        "Notes": posting.notes,
        "Quantity": posting.quantity,
        "AmountVATFC": posting.vat_fc,
        "AmountVATBaseFC": posting.vat_base_fc,
    }
    if posting.account is not None:
        optional |= {
            "Account": posting.account["ID"],
            "AccountCode": posting.account["Code"],
            "AccountName": posting.account["Name"],
        }
    if posting.vat_code is not None:
        optional |= {
            "VATCode": posting.vat_code["Code"],
            "VATCodeDescription": posting.vat_code["Description"],
            "VATPercentage": posting.vat_code.get("Percentage", Decimal(0)),
            "VATType": posting.vat_code["Type"],
        }
    line.update({name: value for name, value in optional.items() if value is not None})
    return line


def spread(
    division: Division, amount: Decimal, first: datetime, last: datetime
) -> list[tuple[datetime, tuple[int, int], Decimal]]:
    """Divides an amount over the periods from `first` to `last`: (date, (year, period), amount) each.

    By the division's setting: equal parts a period rounded half up with the rest in the last one, or by days.
    Periods without a row in the period-date table are left out by the caller's own check.
    """
    periods = []
    for row in sorted(division.table("financial/FinancialPeriods"), key=lambda row: row["StartDate"]):
        start, end = max(row["StartDate"], first), min(row["EndDate"], last)
        if start <= end:
            periods.append((start, (row["FinYear"], row["FinPeriod"]), (end - start).days + 1))
    days = sum(length for _, _, length in periods)
    parts = []
    left = amount
    for at, (start, period, length) in enumerate(periods):
        if at == len(periods) - 1:
            part = left
        elif division.settings.deferral_method == "day":
            part = cents(amount * length / days)
        else:
            part = cents(amount / len(periods))
        left -= part
        parts.append((start, period, part))
    return parts


def covers(division: Division, first: datetime, last: datetime) -> bool:
    """Whether the period-date table has rows for the whole range."""
    days = 0
    for row in division.table("financial/FinancialPeriods"):
        start, end = max(row["StartDate"], first), min(row["EndDate"], last)
        days += max(0, (end - start).days + 1)
    return days == (last - first).days + 1


def entry_number(division: Division, journal: str, year: int, wanted: int | None) -> int | None:
    """Takes the next free number of a journal (YYJJNNNN), or the wanted one.

    A wanted number that is taken gives None, or the next free one where the division renumbers.
    """
    if wanted is not None:
        if (journal, year, wanted) not in division.used_numbers:
            division.used_numbers.add((journal, year, wanted))
            return wanted
        if division.settings.duplicate_entry_number == "refused":
            return None
    digits = int(journal) % 100 if journal.isdigit() else 0
    number = division.entry_numbers.get((journal, year), (year % 100) * 1_000_000 + digits * 10_000)
    while True:
        number += 1
        if (journal, year, number) not in division.used_numbers:
            break
    division.entry_numbers[journal, year] = number
    division.used_numbers.add((journal, year, number))
    return number
