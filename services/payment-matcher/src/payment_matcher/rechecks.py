"""Looking again at the payments of an account once Exact matched anew what may be theirs.

Between two looks at Exact a person may match the invoice with something else. Then it shows as matched all the time, while the
receipt that its payment was recorded for is free again, or went out by bank. Exact does not say what it matched with what; but
where more is recorded of an account than Exact has matched of money there, one of these payments has no receipt any more. Where
that depends on what went out by bank, the day on which Exact says that an invoice was paid tells whether it was matched anew, or
the invoice and the day that it shows at the receipt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from bookkeeping.money import decimals_of
from contracts import envelope as envelopes
from contracts.bank_lines import BankLineObserved
from contracts.envelope import Envelope
from contracts.facts import ReceivableObserved
from payment_matcher import account_money, afterwards, intents, standing
from payment_matcher.decision import HUNDREDTHS
from payment_matcher.intents import MILLISECONDS, SETTLE
from payment_matcher.standing import Payment
from payment_matcher.tables import bank_lines
from payment_matcher.tables import intents as table

CHECKED = "checked"
CHECK_OF = "check/"  # what an intent's term is called that looks again


@dataclass(frozen=True)
class Recheck:
    """A bank line of which Exact took a match back, which it matched anew or which went out, or a receivable paid otherwise.

    No call to Chargebee is needed.
    """

    intent: intents.Intent
    seen: BankLineObserved | ReceivableObserved


@dataclass(frozen=True)
class _Account:
    """Where to look; `freed_minor` is money that Exact has free again, None where it may have gone out instead."""

    division: int
    account_id: str
    currency: str
    text: str
    freed_minor: int | None


async def plan(
    database: Database, connection: AsyncConnection, cause: Envelope, division: int, seen_id: str, now: datetime
) -> None:
    """Look again, once what Exact showed with it has come in, too."""
    row = {
        "reference": f"CHECK-{division}-{seen_id}",
        "division": division,
        "term_id": f"{CHECK_OF}{seen_id}",
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
    """Tell the payments that no receipt of the account stands for any more, those of a freed line first."""
    account = await _account(connection, work.seen)
    if account is not None and account.account_id:
        if account.freed_minor is None:
            await _check_matched_anew(connection, work, account, now)
        else:
            await _check_freed(connection, work, account, account.freed_minor, now)
    await intents.close(connection, work.intent.reference, state="not_recorded", outcome=CHECKED)


async def _account(connection: AsyncConnection, seen: BankLineObserved | ReceivableObserved) -> _Account | None:
    if isinstance(seen, ReceivableObserved):
        return _Account(seen.division, seen.account_id, seen.currency, "", None)
    of_line = (bank_lines.c.division == seen.division, bank_lines.c.line_id == seen.line_id)
    line = (await connection.execute(sa.select(bank_lines).where(*of_line))).mappings().one_or_none()
    if line is None:
        return None
    freed = None if seen.is_matched and not seen.is_gone else seen.amount_minor // _to_hundredths(line["currency"])
    return _Account(seen.division, line["account_id"], line["currency"], line["text"], freed)


def _to_hundredths(currency: str) -> int:
    return HUNDREDTHS if decimals_of(currency) == 0 else 1


async def _check_freed(connection: AsyncConnection, work: Recheck, account: _Account, freed_minor: int, now: datetime) -> None:
    place = (account.division, account.account_id, account.currency)
    money = await account_money.money_hundredths(connection, *place)
    if money is None or money >= 0:
        return
    suspects, missing_minor = await _suspects(connection, account, -money)
    # Where the line names an invoice, that was it; else one of the amount that is free now.
    suspects.sort(key=lambda each: (each.document.number not in account.text, each.recorded.amount_minor != freed_minor))
    for payment in _lacking(suspects, missing_minor):
        await afterwards.tell_taken_back(
            connection, payment.reference, payment.document, payment.recorded, work.intent.cause, now
        )


async def _check_matched_anew(connection: AsyncConnection, work: Recheck, account: _Account, now: datetime) -> None:
    place = (account.division, account.account_id, account.currency)
    most = await account_money.at_most_hundredths(connection, *place)
    least = await account_money.money_hundredths(connection, *place, may_pay_notes=False)
    if most is None or least is None:
        return
    if most < 0:
        suspects, missing_minor = await _suspects(connection, account, -most)
        suspects.sort(key=lambda each: not each.is_matched_anew)
        for payment in _lacking(suspects, missing_minor):
            told = (payment.reference, payment.document, payment.recorded)
            await afterwards.tell_taken_back(connection, *told, work.intent.cause, now)
    elif least < 0:
        suspects, missing_minor = await _suspects(connection, account, -least)
        for payment in _lacking([each for each in suspects if each.is_matched_anew], missing_minor):
            told = (payment.reference, payment.document, payment.recorded)
            days = (payment.paid_on, payment.shown_paid_on) if payment.is_paid_otherwise else None
            await afterwards.tell_matched_anew(connection, *told, days, work.intent.cause, now)


async def _suspects(connection: AsyncConnection, account: _Account, missing: int) -> tuple[list[Payment], int]:
    """Return the payments that nobody was told of, and how much of what is missing, in hundredths, they lack."""
    missing_minor = missing // _to_hundredths(account.currency)
    suspects = []
    for payment in await standing.on_account(connection, account.division, account.account_id, account.currency):
        if payment.is_matched and payment.doubt is None:
            suspects.append(payment)
        else:
            missing_minor -= payment.recorded.amount_minor  # a person was told of it when its invoice was opened
    return suspects, missing_minor


def _lacking(suspects: Sequence[Payment], missing_minor: int) -> list[Payment]:
    found = []
    for payment in suspects:
        if payment.recorded.amount_minor <= missing_minor:
            missing_minor -= payment.recorded.amount_minor
            found.append(payment)
    return found
