"""Bank lines as Exact shows them: on debtor accounts by their payment terms, on suspense accounts by the ledger.

A term says whether Exact has matched the line, and needs no calls beside those for receivables. A suspense account has no terms:
what stands there is never told as matched, and is gone once it is deleted or booked elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from contracts.bank_lines import BankLineObserved
from contracts.ledger import LedgerLine
from exact_writer import announce, odata
from exact_writer.mirror import Mirror

TERM_SELECT: Final = (
    *("TransactionID", "Journal", "EntryNumber", "EntryDate", "GLAccountCode", "AccountName", "PaymentReference"),
    *("AccountBankAccountNumber", "EndDate"),
)
# Types of financial/Journals that money comes in by: cash, bank, payment service.
MONEY_JOURNALS: Final = frozenset((10, 12, 16))
DEBTORS: Final = 20  # Type of financial/GLAccounts
MATCHED: Final = 50  # Status of sync/Cashflow/PaymentTerms
# Exact does not say what became of a line on a suspense account, so those of the past are taken to be dealt with.
SUSPENSE_DAYS: Final = 62


def of_term(division: int, row: Mapping[str, Any], mirror: Mirror) -> BankLineObserved | None:
    """Return the part of a bank line that a payment term is of; None for what came by no bank line."""
    journal = odata.code(row["Journal"])
    if not _is_money(mirror, journal):
        return None
    return BankLineObserved(
        division=division,
        line_id=str(row["TransactionID"]),
        part_id=str(row["ID"]),
        timestamp=mirror.versions_base + int(row["Timestamp"]),
        entry_id=str(row["TransactionEntryID"] or ""),
        entry_number=int(row["EntryNumber"] or 0),
        journal=journal,
        day=odata.day_in(row["EntryDate"]),
        currency=odata.code(row["Currency"]) or "EUR",
        amount_minor=int((Decimal(str(row["AmountFC"] or 0)) * 100).to_integral_value()),
        is_matched=bool(row["IsFullyPaid"]) or int(row["Status"] or 0) == MATCHED,
        settled_on=odata.day_in(row["EndDate"]),
        gl_account=odata.code(row["GLAccountCode"]),
        account_id=str(row["Account"] or ""),
        account_name=row["AccountName"] or "",
        description=row["Description"] or "",
        your_ref=row["YourRef"] or "",
        payment_reference=row["PaymentReference"] or "",
        iban=row["AccountBankAccountNumber"] or "",
    )


async def tell(connection: AsyncConnection, found: Sequence[BankLineObserved], now: datetime, *, with_past: bool = True) -> None:
    """Tell how bank lines stand; without the past what is matched is left out, unless something of its line was told before."""
    streams = {fact.line_id: announce.bank_line_stream(fact.division, fact.line_id) for fact in found}
    known = set() if with_past else await event_log.known_streams(connection, streams.values())
    for fact in found:
        stream = streams[fact.line_id]
        if with_past or not fact.is_matched or stream in known:
            await announce.bank_line(connection, fact, stream, now)


class SuspenseLines:
    """Tells of a division's ledger what came by bank onto its suspense accounts, and which lines are on neither any more."""

    def __init__(self, division: int, accounts: Collection[str], mirror: Mirror) -> None:
        """Watch these accounts, by their codes."""
        self._division = division
        self._accounts = frozenset(accounts)
        self._mirror = mirror

    async def prepare(self, lines: Sequence[LedgerLine]) -> None:
        """Have the journals known that the lines of a page came by; raises what calls raise."""
        await self._mirror.learn_journals(line.journal for line in lines)

    async def tell(self, connection: AsyncConnection, lines: Sequence[LedgerLine], now: datetime) -> None:
        """Tell the lines of a page that stand on a suspense account, and which that were told stand elsewhere now."""
        first_day = (now - timedelta(days=SUSPENSE_DAYS)).date()
        money = [line for line in lines if line.line_number and _is_money(self._mirror, line.journal)]
        left: dict[str, tuple[LedgerLine, str]] = {}
        for line in money:
            if not self._is_debtor(line.account):
                left[announce.bank_line_stream(self._division, line.line_id)] = (line, "")
            if line.account not in self._accounts:
                left[_suspense_stream(self._division, line.line_id)] = (line, line.line_id)
        for stream in sorted(await event_log.known_streams(connection, left)):
            line, part_id = left[stream]
            gone = BankLineObserved(
                division=self._division,
                line_id=line.line_id,
                part_id=part_id,
                timestamp=self._mirror.versions_base + line.timestamp,
                is_gone=True,
            )
            await announce.bank_line(connection, gone, stream, now)
        for line in money:
            if line.account in self._accounts and line.day >= first_day:
                await announce.bank_line(connection, self._observed(line), _suspense_stream(self._division, line.line_id), now)

    async def tell_deleted(self, connection: AsyncConnection, deleted: Mapping[str, int], now: datetime) -> None:
        """Tell which of the lines that were told are deleted; the row version of the deletion by the line's id."""
        streams = {announce.bank_line_stream(self._division, line_id): line_id for line_id in deleted}
        streams |= {_suspense_stream(self._division, line_id): line_id for line_id in deleted}
        for stream in sorted(await event_log.known_streams(connection, streams)):
            line_id = streams[stream]
            gone = BankLineObserved(
                division=self._division,
                line_id=line_id,
                part_id="",
                timestamp=self._mirror.versions_base + deleted[line_id],
                is_gone=True,
            )
            await announce.bank_line(connection, gone, stream, now)

    def _is_debtor(self, account: str) -> bool:
        known = self._mirror.find("ledger", account)
        return known is None or known.type == DEBTORS

    def _observed(self, line: LedgerLine) -> BankLineObserved:
        return BankLineObserved(
            division=self._division,
            line_id=line.line_id,
            part_id=line.line_id,
            timestamp=self._mirror.versions_base + line.timestamp,
            entry_id=line.entry_id,
            entry_number=line.entry_number,
            journal=line.journal,
            day=line.day,
            currency=line.currency,
            amount_minor=-line.fc_hundredths,
            gl_account=line.account,
            account_id=line.relation_id or "",
            description=line.description or "",
            your_ref=line.your_ref or "",
            payment_reference=line.payment_reference or "",
        )


def _is_money(mirror: Mirror, journal: str) -> bool:
    known = mirror.find("journal", journal)
    return known is not None and known.type in MONEY_JOURNALS


def _suspense_stream(division: int, line_id: str) -> str:
    return f"{announce.bank_line_stream(division, line_id)}/suspense"
