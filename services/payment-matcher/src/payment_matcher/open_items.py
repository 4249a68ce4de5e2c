"""What stands open in Exact on the account of an invoice or a credit note: what a person may have to match it with.

Exact does not say what belongs to what, so whatever may is named. Money that Chargebee has on the very invoice comes first, then
what is exactly the amount in question.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bookkeeping.money import decimals_of
from payment_matcher import lines
from payment_matcher.decision import HUNDREDTHS
from payment_matcher.lines import MONEY_OF, Line
from payment_matcher.tables import bank_lines, credit_notes, intents, own_payments, terms

BANK_LINE = "bank_line"
ACCOUNTS_AT_ONCE = 500
UNDECIDED = ("open", "accepted")  # a line that was recorded for something else, or dismissed, is not for this

Place = tuple[int, str, str]
"""A division, the account of a customer in Exact (GUID), and a currency."""
Document = tuple[str, str]
"""A site and an invoice's number."""


@dataclass(frozen=True, kw_only=True)
class OpenItem:
    """A document of ours or a bank line, as far as Exact has it open; a positive amount (hundredths) lowers what is owed.

    `number` is a document's, or a bank line's id. `is_on_it` says that Chargebee has money of this bank line on the invoice, and
    `is_elsewhere` that Exact has it on another account than the invoice.
    """

    kind: str
    number: str
    amount_hundredths: int
    division: int
    entry_id: str
    entry_number: int
    journal: str = ""
    day: date | None = None
    gl_account: str = ""
    is_on_it: bool = False
    is_elsewhere: bool = False


class OpenItems:
    """What is open on some accounts; read once for all of them."""

    def __init__(
        self,
        documents: dict[Place, list[OpenItem]],
        lines_of: dict[Place, list[Line]],
        paid_by: dict[tuple[int, str, str], list[Line]],
    ) -> None:
        self._documents, self._lines_of, self._paid_by = documents, lines_of, paid_by

    def credits(self, place: Place) -> list[OpenItem]:
        """Return our own documents that lower what the customer owes and that Chargebee has no use for any more."""
        return [each for each in self._documents.get(place, ()) if each.amount_hundredths > 0]

    def of(self, place: Place, document: Document, asked_hundredths: int) -> list[OpenItem]:
        """Return what may settle so much of an invoice, or what may stand against it where that is less than nothing."""
        division, _, currency = place
        paying = [each for each in self._paid_by.get((division, *document), ()) if each.currency == currency]
        known = {each.line_id for each in paying}
        undecided = [each for each in self._lines_of.get(place, ()) if each.line_id not in known]
        found = [replace(_of_line(each, place), is_on_it=True) for each in paying]
        found += [*self._documents.get(place, ()), *(_of_line(each, place) for each in undecided)]
        sign = 1 if asked_hundredths > 0 else -1
        fitting = [each for each in found if each.amount_hundredths * sign > 0]
        return sorted(
            fitting,
            key=lambda each: (
                not each.is_on_it,
                each.amount_hundredths != asked_hundredths,
                each.kind == BANK_LINE,
                each.entry_number,
            ),
        )


async def read(connection: AsyncConnection, places: Iterable[Place], documents: Iterable[Document]) -> OpenItems:
    """Read what is open on these accounts, and what bank lines Chargebee has on these invoices."""
    wanted, paid = sorted(set(places)), sorted(set(documents))
    found: dict[Place, list[OpenItem]] = defaultdict(list)
    lines_of: dict[Place, list[Line]] = defaultdict(list)
    paid_by: dict[tuple[int, str, str], list[Line]] = defaultdict(list)
    for at in range(0, len(wanted), ACCOUNTS_AT_ONCE):
        some = wanted[at : at + ACCOUNTS_AT_ONCE]
        for place, item in await _documents(connection, some):
            found[place].append(item)
        on_them = sa.tuple_(bank_lines.c.division, bank_lines.c.account_id).in_([place[:2] for place in some])
        for line in await lines.load(connection, on_them, bank_lines.c.state.in_(UNDECIDED)):
            if _open_hundredths(line):
                lines_of[line.division, line.account_id, line.currency].append(line)
    for at in range(0, len(paid), ACCOUNTS_AT_ONCE):
        for document, line in await _paying(connection, paid[at : at + ACCOUNTS_AT_ONCE]):
            if _open_hundredths(line) and line not in paid_by[line.division, *document]:
                paid_by[line.division, *document].append(line)
    return OpenItems(dict(found), dict(lines_of), dict(paid_by))


async def _documents(connection: AsyncConnection, places: Sequence[Place]) -> list[tuple[Place, OpenItem]]:
    """Read our documents but invoices; a document and the reversal that takes it back count together."""
    by = (terms.c.division, terms.c.account_id, terms.c.currency, terms.c.site, terms.c.kind, terms.c.number)
    first, last = sa.func.min(terms.c.suffix), sa.func.max(terms.c.suffix)
    open_sum = -sa.func.sum(terms.c.amount_hundredths)
    same = (credit_notes.c.site == terms.c.site) & (credit_notes.c.number == terms.c.number) & (terms.c.kind == "credit_note")
    to_give = sa.func.coalesce(sa.func.max(credit_notes.c.available_minor), 0)
    one, other = sa.func.min(terms.c.entry_id), sa.func.max(terms.c.entry_id)
    entry_id = sa.case((one == other, one), else_="")  # the number names the first of several entries, and none has an address
    of_entry = (entry_id.label("entry_id"), sa.func.min(terms.c.entry_number).label("entry_number"))
    query = (
        sa.select(*by, first.label("first"), last.label("last"), open_sum.label("open"), to_give.label("to_give"), *of_entry)
        .select_from(terms.outerjoin(credit_notes, same))
        .where(sa.tuple_(*by[:3]).in_(places), terms.c.is_matched.is_(sa.false()), terms.c.kind != "invoice")
        .group_by(*by)
        .having(open_sum != 0)
    )
    found = []
    for row in (await connection.execute(query)).all():
        to_hundredths = HUNDREDTHS if decimals_of(row.currency) == 0 else 1
        if 0 < int(row.open) <= int(row.to_give) * to_hundredths:
            continue  # it is the customer's still, in both books
        number = f"{row.number}/{row.first}" if row.first and row.first == row.last else row.number
        item = OpenItem(
            kind=row.kind,
            number=number,
            amount_hundredths=int(row.open),
            division=row.division,
            entry_id=row.entry_id,
            entry_number=row.entry_number,
        )
        found.append(((row.division, row.account_id, row.currency), item))
    return found


async def _paying(connection: AsyncConnection, documents: Sequence[Document]) -> list[tuple[Document, Line]]:
    """Read the bank lines whose money Chargebee has on invoices: recorded there, or kept for the customer and used since."""
    wanted = set(documents)
    of_lines = (intents.c.term_id.startswith(MONEY_OF), intents.c.transaction_id.is_not(None))
    columns = (intents.c.division, intents.c.term_id, intents.c.site, intents.c.number)
    direct = sa.select(*columns).where(sa.tuple_(intents.c.site, intents.c.number).in_(documents), *of_lines)
    pays = [((row.site, row.number), row.division, row.term_id) for row in (await connection.execute(direct)).all()]
    is_ours = (own_payments.c.site == intents.c.site) & (own_payments.c.reference == intents.c.reference)
    kept = sa.select(*columns, own_payments.c.numbers).select_from(intents.join(own_payments, is_ours))
    of_sites = own_payments.c.site.in_({site for site, _ in documents})
    for row in (await connection.execute(kept.where(*of_lines, of_sites, intents.c.number == "", own_payments.c.stands))).all():
        used_for = {(row.site, number) for number in msgspec.json.decode(bytes(row.numbers), type=list[str])}
        pays += [(document, row.division, row.term_id) for document in sorted(used_for & wanted)]
    ids = sorted({term_id.removeprefix(MONEY_OF) for _, _, term_id in pays})
    known = {}
    for at in range(0, len(ids), ACCOUNTS_AT_ONCE):
        for line in await lines.load(connection, bank_lines.c.line_id.in_(ids[at : at + ACCOUNTS_AT_ONCE])):
            known[line.division, MONEY_OF + line.line_id] = line
    return [(document, known[division, term_id]) for document, division, term_id in pays if (division, term_id) in known]


def _open_hundredths(line: Line) -> int:
    return line.total_hundredths - line.matched_hundredths


def _of_line(line: Line, place: Place) -> OpenItem:
    return OpenItem(
        kind=BANK_LINE,
        number=line.line_id,
        amount_hundredths=_open_hundredths(line),
        division=line.division,
        entry_id=line.entry_id,
        entry_number=line.entry_number,
        journal=line.journal,
        day=line.day,
        gl_account=line.gl_account,
        is_elsewhere=line.account_id != place[1],
    )
