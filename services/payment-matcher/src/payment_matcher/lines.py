"""Bank lines as Exact has them and as they were decided about: what is left of each, and in which state it is.

Exact tells a line in parts once some of it is matched. What our decisions recorded and what Exact matched later are the same
money, so of the two the larger counts; only what Exact had matched before the first decision comes on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from bookkeeping.evidence import compact, iban_in
from bookkeeping.money import decimals_of
from contracts.bank_lines import BankLineObserved
from payment_matcher.decision import HUNDREDTHS
from payment_matcher.tables import account_owners, bank_line_parts, bank_lines, customers, intents, known_ibans

State = Literal["open", "accepted", "recorded", "dismissed", "settled", "gone"]
MONEY_OF = "line/"  # what an intent's term is called when it records money of a bank line
NOT_JUDGED = ""  # the reason of an open line that the ladder has not seen since it was opened
SHORTAGE_OF = "short/"  # and when it writes off what a line fell short


class StoredProposal(msgspec.Struct, frozen=True, kw_only=True):
    """Invoices of one site that a line may pay, with the evidence by name; the difference in minor units of the currency."""

    site: str
    customer_id: str
    numbers: tuple[str, ...]
    dues_minor: tuple[int, ...]
    evidence: tuple[str, ...]
    difference_minor: int


@dataclass(frozen=True, kw_only=True)
class Line:
    """One bank line; amounts in hundredths. `site` and `customer_id` are empty while nobody said whose account it is on."""

    division: int
    line_id: str
    entry_id: str
    entry_number: int
    journal: str
    day: date | None
    currency: str
    gl_account: str
    account_id: str
    account_name: str
    text: str
    iban: str
    state: State
    round: int
    reason: str
    why: str
    is_certain: bool
    was_matched: bool
    matched_account: str
    base_hundredths: int
    total_hundredths: int
    matched_hundredths: int
    recorded_hundredths: int
    pending: int
    parts: int
    site: str = ""
    customer_id: str = ""
    proposals: tuple[StoredProposal, ...] = field(default=())

    @property
    def left_hundredths(self) -> int:
        """What of it is neither matched in Exact nor recorded in Chargebee."""
        if self.total_hundredths <= 0 and not self.recorded_hundredths:
            return self.total_hundredths - self.matched_hundredths
        return self.total_hundredths - max(self.matched_hundredths, self.base_hundredths + self.recorded_hundredths)

    @property
    def left_minor(self) -> int | None:
        """The same in Chargebee's unit; None where that is no whole amount."""
        if decimals_of(self.currency) != 0:
            return self.left_hundredths
        whole, rest = divmod(self.left_hundredths, HUNDREDTHS)
        return None if rest else whole

    @property
    def is_to_match(self) -> bool:
        """Whether it is recorded in Chargebee, and a person still has to match it in Exact."""
        return self.recorded_hundredths > 0 and self.state != "gone" and self.matched_hundredths < self.total_hundredths

    def next_state(self) -> State:
        """Return the state that follows from the amounts, a person's decision to dismiss it standing as long as money is left."""
        if self.pending:
            return "accepted"
        if not self.parts:
            # What is recorded of a line that Exact has no more needs a person.
            return "open" if self.recorded_hundredths else "gone"
        if self.left_hundredths == 0 and self.total_hundredths != 0:
            return "recorded" if self.recorded_hundredths else "settled"
        return "dismissed" if self.state == "dismissed" else "open"


async def lock(connection: AsyncConnection, division: int, line_id: str) -> None:
    """Wait for everybody else who changes a line, until this transaction ends: before its parts or payments are touched.

    Whoever closes one of two payments of a line, or folds one of its parts, would otherwise not see what the other has done, and
    the line would keep the state of neither. Always taken before rows of parts and intents, so that no two wait for each other.
    """
    query = sa.select(bank_lines.c.line_id).where(bank_lines.c.division == division, bank_lines.c.line_id == line_id)
    await connection.execute(query.with_for_update())


Change = Literal["freed", "matched_anew", "none"]


async def fold(database: Database, connection: AsyncConnection, fact: BankLineObserved) -> Change:
    """Keep the newest state of a part, and what its line says; an older message changes nothing.

    Returns whether Exact took back what it had matched of the line, or matched it with something else than before.
    """
    await lock(connection, fact.division, fact.line_id)
    if fact.is_gone and not fact.part_id:
        return "freed" if await _forget_parts(connection, fact) else "none"
    of_part = (bank_line_parts.c.division == fact.division, bank_line_parts.c.part_id == fact.part_id)
    before = (await connection.execute(sa.select(bank_line_parts).where(*of_part))).one_or_none()
    if (before is None and fact.is_gone) or (before is not None and before.timestamp > fact.timestamp):
        return "none"
    was_matched = before is not None and before.is_matched and not before.is_gone
    is_freed = was_matched and (fact.is_gone or not fact.is_matched)
    if fact.is_gone:
        values = {"is_gone": True, "timestamp": fact.timestamp}
        await connection.execute(sa.update(bank_line_parts).where(*of_part).values(**values))
    else:
        is_left = await _is_left(connection, fact)
        part = {
            "line_id": fact.line_id,
            "timestamp": fact.timestamp,
            "amount_hundredths": fact.amount_minor,
            "is_matched": fact.is_matched,
            "is_gone": is_left,
            **_matched_with(before if was_matched else None, fact),
        }
        insert = database.insert(bank_line_parts).values(division=fact.division, part_id=fact.part_id, **part)
        await connection.execute(insert.on_conflict_do_update(index_elements=["division", "part_id"], set_=part))
        if not is_left:
            await _keep_line(database, connection, fact)
    if is_freed:
        of_line = (bank_lines.c.division == fact.division, bank_lines.c.line_id == fact.line_id)
        await connection.execute(sa.update(bank_lines).where(*of_line).values(was_matched=True))
    await refresh(connection, fact.division, fact.line_id)
    is_anew = was_matched and not is_freed and await connection.scalar(sa.select(is_matched_anew()).where(*of_part))
    return "freed" if is_freed else "matched_anew" if is_anew else "none"


def _matched_with(before: Any, fact: BankLineObserved) -> dict[str, str | date | None]:
    """Return what a part is settled with, as Exact shows it and as it did at first; `before` is the part while it was matched."""
    shown = (fact.your_ref, fact.settled_on) if fact.is_matched else ("", None)
    first = (None, None) if before is None else (before.first_your_ref, before.first_settled_on)
    kept = [old or new for old, new in zip(first, shown, strict=True)] if fact.is_matched else shown
    return {"your_ref": shown[0], "settled_on": shown[1], "first_your_ref": kept[0], "first_settled_on": kept[1]}


def is_matched_anew() -> sa.ColumnElement[bool]:
    """Whether Exact shows a part as settled with something else than at first, without having shown it as open since."""
    part = bank_line_parts.c
    other_invoice = (part.first_your_ref != "") & (part.your_ref != part.first_your_ref)
    stands = part.is_matched & part.is_gone.is_(sa.false())
    return stands & (other_invoice | (sa.func.coalesce(part.settled_on, part.first_settled_on) != part.first_settled_on))


async def _is_left(connection: AsyncConnection, fact: BankLineObserved) -> bool:
    """Say whether this is a line's part on a suspense account that it has left for a debtor account since.

    A part on a debtor account, whose id is another than the line's own, is told at the next poll; that the older one on the
    suspense account is gone only when the ledger is read, hours later. Until then the money would count twice.
    """
    of_line = (bank_line_parts.c.division == fact.division, bank_line_parts.c.line_id == fact.line_id)
    on_suspense = bank_line_parts.c.part_id == fact.line_id
    if fact.part_id != fact.line_id:
        older = (*of_line, on_suspense, bank_line_parts.c.timestamp < fact.timestamp)
        await connection.execute(sa.update(bank_line_parts).where(*older).values(is_gone=True))
        return False
    newer = (*of_line, ~on_suspense, bank_line_parts.c.is_gone.is_(sa.false()), bank_line_parts.c.timestamp > fact.timestamp)
    return await connection.scalar(sa.select(bank_line_parts.c.part_id).where(*newer).limit(1)) is not None


async def _forget_parts(connection: AsyncConnection, fact: BankLineObserved) -> bool:
    of_line = (bank_line_parts.c.division == fact.division, bank_line_parts.c.line_id == fact.line_id)
    older = (bank_line_parts.c.timestamp <= fact.timestamp, bank_line_parts.c.is_gone.is_(sa.false()))
    matched = sa.select(bank_line_parts.c.part_id).where(*of_line, *older, bank_line_parts.c.is_matched)
    was_matched = (await connection.execute(matched.limit(1))).first() is not None
    await connection.execute(sa.update(bank_line_parts).where(*of_line, *older).values(is_gone=True))
    await refresh(connection, fact.division, fact.line_id)
    return was_matched


async def _keep_line(database: Database, connection: AsyncConnection, fact: BankLineObserved) -> None:
    text = " ".join(dict.fromkeys(word for word in (fact.description, fact.payment_reference, fact.your_ref) if word))
    told = {
        "entry_id": fact.entry_id,
        "entry_number": fact.entry_number,
        "journal": fact.journal,
        "day": fact.day,
        "currency": fact.currency,
        "gl_account": fact.gl_account,
        "account_id": fact.account_id,
        "account_name": fact.account_name,
        "text": text,
        # Exact mostly has the payer's IBAN in the description only.
        "iban": compact(fact.iban) or iban_in(text),
    }
    fresh = {
        "state": "open",
        "base_hundredths": 0,
        "round": 0,
        "reason": NOT_JUDGED,
        "why": "",
        "proposals": b"[]",
        "is_certain": False,
    }
    if fact.is_matched:
        told["matched_account"] = fact.account_id
    insert = database.insert(bank_lines).values(division=fact.division, line_id=fact.line_id, **told, **fresh)
    await connection.execute(insert.on_conflict_do_update(index_elements=["division", "line_id"], set_=told))
    owner = await owner_of(connection, fact.division, fact.account_id)
    if fact.is_matched and owner is not None:
        await learn_iban(database, connection, fact.division, str(told["iban"]), *owner)


async def note_account(
    database: Database, connection: AsyncConnection, division: int, account_id: str, site: str, customer_id: str
) -> None:
    """Remember whose account in Exact one is; a person may have linked several customers to it."""
    if account_id:
        insert = database.insert(account_owners).values(
            division=division, account_id=account_id, site=site, customer_id=customer_id
        )
        await connection.execute(insert.on_conflict_do_nothing())


async def note_name(
    database: Database, connection: AsyncConnection, site: str, customer_id: str, *, version: int, name: str
) -> None:
    """Remember what a customer is called; an older version changes nothing."""
    row = {"resource_version": version, "name": name}
    insert = database.insert(customers).values(site=site, customer_id=customer_id, **row)
    newer = customers.c.resource_version < version
    await connection.execute(insert.on_conflict_do_update(index_elements=["site", "customer_id"], set_=row, where=newer))


async def owner_of(connection: AsyncConnection, division: int, account_id: str) -> tuple[str, str] | None:
    """Return site and id of the only customer whose account it is, None for one that is not ours or that several share."""
    of_account = (account_owners.c.division == division, account_owners.c.account_id == account_id)
    query = sa.select(account_owners.c.site, account_owners.c.customer_id).where(*of_account)
    found = (await connection.execute(query.limit(2))).all()
    return (found[0].site, found[0].customer_id) if len(found) == 1 else None


async def learn_iban(
    database: Database, connection: AsyncConnection, division: int, iban: str, site: str, customer_id: str
) -> None:
    """Remember that a customer paid from this IBAN."""
    if iban:
        insert = database.insert(known_ibans).values(division=division, iban=iban, site=site, customer_id=customer_id)
        await connection.execute(insert.on_conflict_do_nothing())


async def load(connection: AsyncConnection, *conditions: sa.ColumnElement[bool]) -> list[Line]:
    """Read lines with their amounts, in the order of their day."""
    of_line = (
        bank_line_parts.c.division == bank_lines.c.division,
        bank_line_parts.c.line_id == bank_lines.c.line_id,
        bank_line_parts.c.is_gone.is_(sa.false()),
    )
    of_money = (
        intents.c.division == bank_lines.c.division,
        intents.c.term_id == sa.literal(MONEY_OF) + bank_lines.c.line_id,
    )
    # A subquery a sum, so that reading one line looks at the rows of that line only.
    amount = sa.func.sum(bank_line_parts.c.amount_hundredths)
    total = sa.select(amount).where(*of_line)
    matched = sa.select(amount).where(*of_line, bank_line_parts.c.is_matched)
    parts = sa.select(sa.func.count()).select_from(bank_line_parts).where(*of_line)
    recorded = sa.select(sa.func.sum(intents.c.amount_minor)).where(*of_money, intents.c.transaction_id.is_not(None))
    pending = sa.select(sa.func.count()).select_from(intents).where(*of_money, intents.c.outcome.is_(None))
    of_account = (account_owners.c.division == bank_lines.c.division, account_owners.c.account_id == bank_lines.c.account_id)
    # Of an account that several customers share, nothing tells which of them paid.
    is_one = sa.func.count() == 1
    site = sa.select(sa.case((is_one, sa.func.min(account_owners.c.site)))).where(*of_account)
    customer_id = sa.select(sa.case((is_one, sa.func.min(account_owners.c.customer_id)))).where(*of_account)
    query = (
        sa.select(
            bank_lines,
            total.scalar_subquery().label("total"),
            matched.scalar_subquery().label("matched"),
            parts.scalar_subquery().label("parts"),
            recorded.scalar_subquery().label("recorded"),
            pending.scalar_subquery().label("pending"),
            site.scalar_subquery().label("site"),
            customer_id.scalar_subquery().label("customer_id"),
        )
        .where(*conditions)
        .order_by(bank_lines.c.day, bank_lines.c.entry_number, bank_lines.c.line_id)
    )
    return [_line(row) for row in (await connection.execute(query)).mappings()]


async def one(connection: AsyncConnection, division: int, line_id: str) -> Line | None:
    """Read one line."""
    found = await load(connection, bank_lines.c.division == division, bank_lines.c.line_id == line_id)
    return found[0] if found else None


async def refresh(connection: AsyncConnection, division: int, line_id: str, why: str | None = None) -> None:
    """Bring the state of a locked line in step with its parts and payments; `why` is what a payment was refused for."""
    line = await one(connection, division, line_id)
    if line is None:
        return
    state = line.next_state()
    values: dict[str, object] = {"state": state}
    if why is not None:
        values["why"] = why
    if state != "open":
        values["is_certain"] = False
    elif line.state != "open":
        values["reason"] = NOT_JUDGED
    await connection.execute(
        sa.update(bank_lines).where(bank_lines.c.division == division, bank_lines.c.line_id == line_id).values(**values)
    )


async def note_round(connection: AsyncConnection, division: int, line_id: str, round_: int) -> None:
    """Note by which decision a locked line's payment was made that was found in Chargebee, so that the next one is another."""
    mine = (bank_lines.c.division == division, bank_lines.c.line_id == line_id)
    later = sa.case((bank_lines.c.round < round_, round_), else_=bank_lines.c.round)
    await connection.execute(sa.update(bank_lines).where(*mine).values(round=later, reason=NOT_JUDGED))
    await refresh(connection, division, line_id)


async def forget_payment(connection: AsyncConnection, site: str, transaction_id: str) -> list[Line]:
    """Take a payment off its line: somebody deleted it in Chargebee, so the money has to be decided about again.

    Returns the lines that it was of.
    """
    mine = (intents.c.site == site, intents.c.transaction_id == transaction_id, intents.c.term_id.startswith(MONEY_OF))
    rows = (await connection.execute(sa.select(intents.c.reference, intents.c.division, intents.c.term_id).where(*mine))).all()
    for row in rows:
        await lock(connection, row.division, row.term_id.removeprefix(MONEY_OF))
        gone = {"transaction_id": None, "amount_minor": None, "state": "not_recorded", "outcome": "deleted"}
        await connection.execute(sa.update(intents).where(intents.c.reference == row.reference).values(**gone))
        await refresh(connection, row.division, row.term_id.removeprefix(MONEY_OF))
    found = [await one(connection, row.division, row.term_id.removeprefix(MONEY_OF)) for row in rows]
    return [line for line in found if line is not None]


def _line(row: sa.RowMapping) -> Line:
    to_hundredths = HUNDREDTHS if decimals_of(row["currency"]) == 0 else 1
    kept: Sequence[str] = (
        *("division", "line_id", "entry_id", "entry_number", "journal", "day", "currency", "gl_account", "account_id"),
        *("account_name", "text", "iban", "state", "round", "reason", "why", "is_certain", "was_matched"),
        *("base_hundredths", "matched_account"),
    )
    return Line(
        **{name: row[name] for name in kept},
        parts=int(row["parts"] or 0),
        total_hundredths=int(row["total"] or 0),
        matched_hundredths=int(row["matched"] or 0),
        recorded_hundredths=int(row["recorded"] or 0) * to_hundredths,
        pending=int(row["pending"] or 0),
        site=row["site"] or "",
        customer_id=row["customer_id"] or "",
        proposals=msgspec.json.decode(bytes(row["proposals"]), type=tuple[StoredProposal, ...]),
    )
