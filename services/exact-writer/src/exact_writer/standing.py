"""What Exact has already of a document, booked by another connector or typed by hand: pure.

It is the document when its number, its amount and its customer agree. Where the number agrees and something else does not, and
where an entry without any reference has the amount of the customer in those days, a person is asked: both would be booked twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Final, Literal

import msgspec

from contracts.commands import PostEntry
from contracts.ledger import LedgerLine
from exact_writer import payloads
from exact_writer.words import Told, say

SALES_TYPES: Final = frozenset({20, 21})  # sales entries and their credit notes
NEAR_DAYS: Final = 7
MOST_SHOWN: Final = 3
MONEY: Final = frozenset({"payment", "refund"})


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of somebody else's, as far as it is about one document: what it adds to debts, in hundredths of its currency.

    `named` says by what the document is named there: its own number, the number of an invoice that money is for, or nothing.
    `has_reference` says that the entry names something, be it another document. `account_ids` are Exact's accounts of the debt.
    `base_hundredths` is the same debt in the division's currency.
    """

    entry_id: str
    entry_number: int
    journal: str
    day: date
    year: int
    period: int
    type: int
    currency: str
    hundredths: int
    base_hundredths: int
    account_ids: frozenset[str]
    named: Literal["own", "other", ""]
    has_reference: bool


class Differs(msgspec.Struct, frozen=True, kw_only=True):
    """What Exact has may be the document, or may not."""

    entries: tuple[Standing, ...]


def expected_hundredths(command: PostEntry) -> int:
    """What a command adds to the debt of its customers, in hundredths, as Exact has amounts of every currency."""
    if command.kind == "sales":
        debt = sum(line.amount_minor + (line.vat_amount_minor or 0) for line in command.lines)
    else:
        debt = sum(line.amount_minor for line in command.lines if line.is_receivable)
    return debt if command.decimals else debt * 100


def numbers_of(command: PostEntry) -> tuple[frozenset[str], frozenset[str]]:
    """The document's own numbers, and those of the invoices that money is for, as its lines name them."""
    own = frozenset((command.your_ref, command.document.number))
    if command.document.kind not in MONEY:
        return own, frozenset()
    words = {word.strip(",;.()") for line in command.lines for word in line.description.split()}
    return own, frozenset(word for word in words if any(letter.isdigit() for letter in word)) - own


def standing_of(
    command: PostEntry, lines: Sequence[LedgerLine], debtors: Collection[str], *, is_shared: bool = False
) -> Standing | None:
    """What the lines of one entry say of a command's document; None where it has no debt, or only that of other documents.

    `debtors` are the ledgers of debts. Where lines of a debt name different documents, those that name this one count; with
    `is_shared`, since another document has the entry already, no others do.
    """
    debts = [line for line in lines if line.account in debtors and not line.is_deferral]
    if not debts:
        return None
    own, other = numbers_of(command)
    named_so: Literal["own", "other", ""] = ""
    numbers: frozenset[str] = frozenset()
    for kind, candidates in (("own", own), ("other", other)):
        if any(_names(line, candidates) for line in lines):
            named_so, numbers = ("own", candidates) if kind == "own" else ("other", candidates)
            break
    mine = [line for line in debts if _names(line, numbers)]
    if is_shared and (not mine or len(mine) == len(debts)):
        return None
    counted = mine or debts
    head = counted[0]
    return Standing(
        entry_id=head.entry_id,
        entry_number=head.entry_number,
        journal=head.journal,
        day=head.day,
        year=head.year,
        period=head.period,
        type=head.type,
        currency=head.currency,
        hundredths=sum(line.fc_hundredths for line in counted),
        base_hundredths=sum(line.dc_hundredths for line in counted),
        account_ids=frozenset(line.relation_id for line in counted if line.relation_id is not None),
        named=named_so,
        has_reference=any(line.your_ref or line.payment_reference for line in lines),
    )


def judge(command: PostEntry, account_id: str | None, entries: Iterable[Standing]) -> Standing | Differs | None:
    """Which of these entries is the document: one, or none, or a person has to say; `account_id` is that of its customer."""
    expected, is_money = expected_hundredths(command), command.document.kind in MONEY
    fitting = [
        each for each in entries if each.hundredths * expected > 0 and not (is_money and each.type in SALES_TYPES) and expected
    ]

    def agrees(each: Standing) -> bool:
        same_customer = account_id is None or each.account_ids == {account_id}
        return each.hundredths == expected and each.currency == command.currency and same_customer

    agreeing = [each for each in fitting if each.named and agrees(each)]
    if is_money and len(agreeing) > 1:
        # An invoice may be paid in equal parts: the one of the day is meant.
        agreeing = [each for each in agreeing if each.day == command.entry_date] or agreeing
    if len(agreeing) == 1:
        return agreeing[0]
    disputed = agreeing or [each for each in fitting if each.named == "own"]
    if not disputed:
        disputed = [each for each in fitting if not each.has_reference and agrees(each) and _is_near(each, command)]
    return Differs(entries=tuple(disputed)) if disputed else None


def told(command: PostEntry, account: str, differs: Differs, accounts: Mapping[str, str]) -> Told:
    """Say what both sides have; `account` and `accounts` are the names of Exact's accounts."""
    shown = [
        say(
            "standing_entry",
            entry=each.entry_number,
            journal=each.journal,
            day=each.day.isoformat(),
            amount=_amount(each.currency, each.hundredths),
            account=", ".join(accounts.get(found, "?") for found in sorted(each.account_ids)) or "?",
        )
        for each in differs.entries[:MOST_SHOWN]
    ]
    listed = Told("; ".join(each.english for each in shown), "; ".join(each.dutch for each in shown))
    amount = _amount(command.currency, expected_hundredths(command))
    return say("exists_otherwise", reference=command.your_ref, amount=amount, account=account, listed=listed)


def _amount(currency: str, hundredths: int) -> str:
    sign = "-" if hundredths < 0 else ""
    whole, cents = divmod(abs(hundredths), 100)
    return f"{currency} {sign}{whole:,}.{cents:02d}"


def _is_near(each: Standing, command: PostEntry) -> bool:
    return abs((each.day - command.entry_date).days) <= NEAR_DAYS


def _names(line: LedgerLine, numbers: Collection[str]) -> bool:
    texts = (line.your_ref, line.payment_reference, line.description)
    by_number = str(line.invoice_number) if line.invoice_number else ""
    return any(
        number == by_number or any(text and payloads.mentions(text.casefold(), number.casefold()) for text in texts)
        for number in numbers
    )
