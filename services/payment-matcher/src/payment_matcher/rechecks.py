"""Looking again at the payments of an account once Exact took a bank line's match back.

Between two looks at Exact a person may match the invoice with something else. Then it shows as matched all the time, while the
receipt that its payment was recorded for is free again. Exact does not say what it matched with what; but where more is recorded
of an account than Exact has matched of money there, one of these payments has no receipt any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from bookkeeping.money import decimals_of
from contracts import envelope as envelopes
from contracts.bank_lines import BankLineObserved
from contracts.envelope import Envelope
from payment_matcher import afterwards, intents, standing
from payment_matcher import terms as receivables
from payment_matcher.decision import HUNDREDTHS
from payment_matcher.intents import MILLISECONDS, SETTLE
from payment_matcher.tables import bank_lines
from payment_matcher.tables import intents as table

CHECKED = "checked"
CHECK_OF = "check/"  # what an intent's term is called that looks again


@dataclass(frozen=True)
class Recheck:
    """A bank line that Exact took a match of back; no call to Chargebee is needed."""

    intent: intents.Intent
    line: BankLineObserved


async def plan(database: Database, connection: AsyncConnection, cause: Envelope, line: BankLineObserved, now: datetime) -> None:
    """Look again, once what Exact showed with it has come in, too."""
    row = {
        "reference": f"CHECK-{line.division}-{line.line_id}",
        "division": line.division,
        "term_id": f"{CHECK_OF}{line.line_id}",
        "site": "",
        "number": "",
        "cause": envelopes.encode(cause),
        "state": "planned",
        "attempts": 0,
        "due_at_ms": int((now + 2 * SETTLE).timestamp() * MILLISECONDS),  # payments that came with it go first
    }
    again = {name: row[name] for name in ("cause", "state", "attempts", "due_at_ms")}
    insert = database.insert(table).values(**row)
    await connection.execute(insert.on_conflict_do_update(index_elements=["reference"], set_={**again, "outcome": None}))


async def check(connection: AsyncConnection, work: Recheck, now: datetime) -> None:
    """Tell the payments that no receipt of the account stands for any more, those of the line first."""
    division, line_id = work.line.division, work.line.line_id
    of_line = (bank_lines.c.division == division, bank_lines.c.line_id == line_id)
    line = (await connection.execute(sa.select(bank_lines).where(*of_line))).mappings().one_or_none()
    if line is not None and line["account_id"]:
        await _check_account(connection, work, line, now)
    await intents.close(connection, work.intent.reference, state="not_recorded", outcome=CHECKED)


async def _check_account(connection: AsyncConnection, work: Recheck, line: sa.RowMapping, now: datetime) -> None:
    division, account_id, currency = line["division"], line["account_id"], line["currency"]
    money = await receivables.money_hundredths(connection, division, account_id, currency)
    if money is None or money >= 0:
        return
    to_hundredths = HUNDREDTHS if decimals_of(currency) == 0 else 1
    missing_minor = -money // to_hundredths
    suspects = []
    for payment in await standing.on_account(connection, division, account_id, currency):
        if payment.is_matched and not await afterwards.is_told_taken_back(connection, payment.reference):
            suspects.append(payment)
        else:
            missing_minor -= payment.recorded.amount_minor  # a person was told of it when its invoice was opened
    # Where the line names an invoice, that was it; else one of the amount that is free now.
    freed_minor = work.line.amount_minor // to_hundredths
    suspects.sort(key=lambda each: (each.document.number not in line["text"], each.recorded.amount_minor != freed_minor))
    for payment in suspects:
        if payment.recorded.amount_minor <= missing_minor:
            missing_minor -= payment.recorded.amount_minor
            cause = work.intent.cause
            await afterwards.tell_taken_back(connection, payment.reference, payment.document, payment.recorded, cause, now)
