"""The payment-matcher as it was at a moment: invoices, receivables and bank lines as it had heard of them, and what it had done.

It makes no calls: how each payment ended is told by its own log, and so is what was decided of bank lines. What it only proposed
was never written into a log, so that lines without a decision stand there unjudged; nor was that a matched receipt brought no
new money, so that such a one stands there as under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import ManualClock
from backbone.configuration import Configuration, load_configuration
from backbone.database import Database
from backbone.past import Said, Types, beside, merged, whole_logs
from backbone.settings import Settings
from contracts import bank_lines, facts
from contracts.envelope import decode
from contracts.messages import unseal
from payment_matcher import decisions, intents, lines
from payment_matcher.intents import Recorded
from payment_matcher.receipts import Receipts
from payment_matcher.recording import SOURCE
from payment_matcher.tables import bank_lines as line_rows
from payment_matcher.tables import intents as intent_rows

PAGE = 500  # messages that are folded in one transaction
PAYMENT_OF = "payment/"  # before the reference, in the name of a stream
NO_END = frozenset(
    ("taken_back", "matched_anew", "receipt_matched_anew", "money_resolved")
)  # told of a payment that had ended before
HEARD: Mapping[str, Types] = {
    "ingest": frozenset(
        each.TYPE for each in (facts.CustomerObserved, facts.InvoiceObserved, facts.CreditNoteObserved, facts.TransactionObserved)
    ),
    "exact-writer": frozenset(
        each.TYPE for each in (facts.EntryPosted, facts.ReceivableObserved, facts.AccountSaved, bank_lines.BankLineObserved)
    ),
    SOURCE: frozenset(
        each.TYPE
        for each in (
            facts.PaymentRecorded,
            facts.PaymentNotRecorded,
            bank_lines.BankLineDecided,
            bank_lines.ExcessRecorded,
            bank_lines.ExcessNotRecorded,
            bank_lines.ShortageWrittenOff,
        )
    ),
}


async def matcher_at(settings: Settings, until: datetime, directory: Path) -> int:
    """Make that state in a directory; returns of how many messages. Raises PastError and ConfigurationError."""
    count, page = 0, list[Said]()
    async with whole_logs(settings, HEARD) as logs, beside(directory, SOURCE) as past:
        fold = _Fold(past, load_configuration(settings.config))
        async for said in merged(logs, HEARD):
            if said.time > until:
                continue
            count += 1
            page.append(said)
            if len(page) == PAGE:
                await fold.take(page)
                page = []
        await fold.take(page)
    return count


class _Fold:
    def __init__(self, past: Database, configuration: Configuration) -> None:
        self._past = past
        self._clock = ManualClock(datetime(1970, 1, 1, tzinfo=UTC))
        self._receipts = Receipts(past, configuration, self._clock)

    async def take(self, page: list[Said]) -> None:
        """Fold some messages together."""
        async with self._past.transaction() as connection:
            for said in page:
                self._clock.advance(max(0.0, (said.time - self._clock.now()).total_seconds()))
                message, envelope = unseal(said.recorded.envelope), said.recorded.envelope
                if said.service != SOURCE:
                    await self._receipts.handle(connection, envelope, message)
                    continue
                if isinstance(message, bank_lines.BankLineDecided):
                    await self._decided(connection, said, message)
                elif said.recorded.stream.startswith(PAYMENT_OF):
                    await self._ended(connection, said.recorded.stream.removeprefix(PAYMENT_OF), message)

    async def _ended(self, connection: AsyncConnection, reference: str, message: object) -> None:
        match message:
            case facts.PaymentRecorded() | bank_lines.ExcessRecorded():
                payment = Recorded(message.transaction_id, message.amount_minor)
                outcome = "found" if message.found else "recorded"
                await intents.close(connection, reference, state="recorded", outcome=outcome, payment=payment)
            case bank_lines.ShortageWrittenOff():
                payment = Recorded(intents.WRITTEN_OFF, message.amount_minor)
                await intents.close(connection, reference, state="recorded", outcome=message.code or "recorded", payment=payment)
            case facts.PaymentNotRecorded() | bank_lines.ExcessNotRecorded() if message.code not in NO_END:
                await intents.close(connection, reference, state="not_recorded", outcome=message.code)
            case _:
                return
        row = (await connection.execute(sa.select(intent_rows).where(intent_rows.c.reference == reference))).one_or_none()
        cause = decode(bytes(row.cause)) if row is not None else None
        decided = unseal(cause) if cause is not None else None
        if row is None or cause is None or not isinstance(decided, bank_lines.BankLineDecided):
            return
        part = next((each for each in decided.parts if each.document.number == row.number), None)
        if isinstance(message, facts.PaymentRecorded) and part is not None and part.short_minor:
            of_line = (cause, decided, row.site, row.number, self._clock.now())
            await intents.plan_bank_payment(self._past, connection, *of_line, is_shortage=True)
        why = message.sentence if isinstance(message, facts.PaymentNotRecorded | bank_lines.ExcessNotRecorded) else None
        await lines.refresh(connection, decided.division, decided.line_id, why)

    async def _decided(self, connection: AsyncConnection, said: Said, decided: bank_lines.BankLineDecided) -> None:
        mine = (line_rows.c.division == decided.division, line_rows.c.line_id == decided.line_id)
        state = {"record": "accepted", "dismiss": "dismissed", "undo": "open"}[decided.decision]
        values = {"state": state, "round": decided.round, "is_certain": False, "why": decided.why}
        line = await lines.one(connection, decided.division, decided.line_id)
        if line is not None and decided.decision == "record":
            values["base_hundredths"] = max(line.base_hundredths, line.matched_hundredths - line.recorded_hundredths)
        await connection.execute(sa.update(line_rows).where(*mine).values(**values))
        if decided.decision == "record":
            await decisions.plan_payments(self._past, connection, said.recorded.envelope, decided, said.time)
            if line is not None:
                await lines.learn_iban(self._past, connection, decided.division, line.iban, decided.site, decided.customer_id)
        if decided.decision == "undo":
            await decisions.forget_untouched(connection, decided.division, decided.line_id)
            await lines.refresh(connection, decided.division, decided.line_id)
