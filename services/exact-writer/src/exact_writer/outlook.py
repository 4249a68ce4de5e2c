"""What the journal of a division says about the calls that lie ahead: reads, and changes nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from exact_writer import batches, custom_fields, grouping, hearing, upkeep, waiting_runs
from exact_writer.budget import DAY_SECONDS, Budget, remaining_today
from exact_writer.forecast import Limits, Outlook
from exact_writer.journal import waits_for_day
from exact_writer.tables import attachments, commands, divisions
from exact_writer.waiting import DAYS_LOOKED_BACK
from exact_writer.work_classes import CURRENT, WorkClass

# Exact's documented limits, until its first answer says more.
UNTOLD: Final = Limits(minute=60, day=5_000, left_today=5_000.0, day_seconds_left=DAY_SECONDS)
HOUR_SECONDS: Final = 3_600.0
CALLS_PER_DOCUMENT: Final = 2.0
CALLS_PER_PDF: Final = 2.0


async def limits_of(connection: AsyncConnection, division: int, now: float) -> Limits:
    """What Exact allows, as its last answer showed it."""
    kept = await connection.scalar(sa.select(divisions.c.budget).where(divisions.c.division == division))
    budget = msgspec.json.decode(bytes(kept), type=Budget) if kept else Budget()
    left = remaining_today(budget, now)
    if budget.day is None or budget.minute is None or left is None:
        return UNTOLD
    over = budget.day.is_over(now)
    seconds_left = DAY_SECONDS if over else budget.day.ends_at - now
    return Limits(minute=budget.minute.limit, day=budget.day.limit, left_today=float(left), day_seconds_left=seconds_left)


async def outlook_of(
    connection: AsyncConnection, division: int, now: float, *, poll_seconds: float, lists: bool, with_pdfs: bool
) -> Outlook:
    """The calls that wait and those to expect, by what came in on the last seven days.

    `lists` says whether a list of its documents hangs on each entry of mode ledger, `with_pdfs` whether PDFs are attached at all.
    """
    waiting, later, shared = await _waiting(connection, division, now, lists=lists)
    waiting["pdf"] = await _pdf_calls(connection, division, with_pdfs=with_pdfs) + waiting.get("pdf", 0.0)
    waiting["pdf"] += await custom_fields.count_waiting(connection, division)
    return Outlook(
        waiting=waiting,
        later={work_class: tuple(parts) for work_class, parts in later.items()},
        hourly=await _hourly(connection, division, now),
        pdf_calls_per_call=await _pdf_calls_per_call(connection, division, now, shared) if with_pdfs else {},
        poll_seconds=poll_seconds,
        listens=await hearing.listens(connection, division, now),
        reads_a_minute=await upkeep.reads_a_minute(connection, division, now),
    )


Later = defaultdict["WorkClass", list[tuple[float, float]]]


async def _waiting(
    connection: AsyncConnection, division: int, now: float, *, lists: bool
) -> tuple[dict[WorkClass, float], Later, Counter[WorkClass]]:
    """Return the calls that may go now, those that wait for their day to end, and how many of both are entries of mode ledger."""
    open_ones = (commands.c.division == division, commands.c.is_open)
    one_by_one = (
        sa.select(commands.c.work_class, commands.c.kind, sa.func.count().label("commands"))
        .where(*open_ones, commands.c.kind != "ledger")
        .group_by(commands.c.work_class, commands.c.kind)
    )
    found: dict[WorkClass, float] = defaultdict(float)
    for row in await connection.execute(one_by_one):
        found[cast("WorkClass", row.work_class)] += calls_of(row.kind, row.commands)
    entries = grouping.entries_of(await waiting_runs.runs(connection, division, now))
    ledger = entries.calls
    for work_class, number in ledger.items():
        found[work_class] += number
    found["pdf"] += CALLS_PER_PDF * entries.shared.total() if lists else 0.0
    of_day = (commands.c.work_class, commands.c.batch_key)
    after_day = (
        sa.select(*of_day, sa.func.count().label("commands"), sa.func.max(commands.c.not_before).label("not_before"))
        .where(*open_ones, waits_for_day(commands, now))
        .group_by(*of_day)
    )
    later: Later = defaultdict(list)
    for row in await connection.execute(after_day):
        calls = batches.calls_of(row.commands, row.batch_key)
        later[cast("WorkClass", row.work_class)].append((row.not_before - now, calls))
        ledger[cast("WorkClass", row.work_class)] += round(calls)
        if lists and row.commands > 1:
            later["pdf"].append((row.not_before - now, CALLS_PER_PDF * calls))
    return {work_class: calls for work_class, calls in found.items() if calls}, later, ledger


def calls_of(kind: str, number: int) -> float:
    """How many calls so many commands take that share none: a sales invoice is drafted and made final with two."""
    return number * (CALLS_PER_DOCUMENT if kind == "document" else 1.0)


def _entries_since(division: int, since: float) -> sa.Subquery:
    """How many commands that came since then each entry of mode ledger had."""
    return (
        sa.select(commands.c.batch_id, sa.func.count().label("size"))
        .where(commands.c.division == division, commands.c.batch_id.is_not(None), commands.c.planned_at >= since)
        .group_by(commands.c.batch_id)
        .subquery()
    )


async def _pdf_calls(connection: AsyncConnection, division: int, *, with_pdfs: bool) -> float:
    """Two calls for each PDF that waits, one for each whose document is in Exact already.

    Not `with_pdfs`, those that nobody asked for and that are not under way go on waiting.
    """
    goes = [] if with_pdfs else [attachments.c.is_asked | (attachments.c.state != "waiting")]
    statement = (
        sa.select(sa.func.count().label("pdfs"), sa.func.count(attachments.c.document_id).label("half_done"))
        .select_from(attachments)
        .where(attachments.c.division == division, attachments.c.is_open, *goes)
    )
    row = (await connection.execute(statement)).one()
    return CALLS_PER_PDF * int(row.pdfs) - int(row.half_done)


async def _pdf_calls_per_call(
    connection: AsyncConnection, division: int, now: float, ledger: Mapping[WorkClass, int]
) -> dict[WorkClass, float]:
    """What a call of each class brings of calls for PDFs: by its entries that wait or came in lately, and how many have one.

    Where no entry of a class was booked yet, as many as of all others. `ledger` has the calls of mode ledger that wait.
    """
    had_pdf = (attachments.c.command_id == commands.c.command_id) & attachments.c.of_command.is_(None)
    entries = (commands.c.division == division, commands.c.kind != "account")
    booked = (
        sa.select(commands.c.work_class, sa.func.count().label("entries"), sa.func.count(attachments.c.command_id).label("pdfs"))
        .outerjoin(attachments, had_pdf)
        .where(*entries, commands.c.state == "posted")
        .group_by(commands.c.work_class)
    )
    rows = (await connection.execute(booked)).all()
    shares = {row.work_class: row.pdfs / row.entries for row in rows}
    usual = sum(row.pdfs for row in rows) / max(1, sum(row.entries for row in rows))
    since = now - DAYS_LOOKED_BACK * DAY_SECONDS
    sizes = _entries_since(division, since)
    made = sa.func.sum(sa.case((commands.c.is_open, 0.0), else_=1.0 / sizes.c.size))
    waiting = (
        sa.select(commands.c.work_class, commands.c.kind, sa.func.count().label("entries"), made.label("made"))
        .outerjoin(sizes, sizes.c.batch_id == commands.c.batch_id)
        .where(*entries, commands.c.is_open | (commands.c.planned_at >= since))
        .group_by(commands.c.work_class, commands.c.kind)
    )
    calls = defaultdict[WorkClass, float](float, ledger)
    of_pdfs: dict[WorkClass, float] = defaultdict(float)
    for row in await connection.execute(waiting):
        # Exact makes the document of a sales invoice itself.
        each = 1.0 if row.kind == "document" else CALLS_PER_PDF
        calls[row.work_class] += float(row.made or 0.0) if row.kind == "ledger" else calls_of(row.kind, row.entries)
        of_pdfs[row.work_class] += shares.get(row.work_class, usual) * row.entries * each
    return {work_class: of_pdfs[work_class] / number for work_class, number in calls.items() if number}


async def _hourly(connection: AsyncConnection, division: int, now: float) -> Mapping[WorkClass, tuple[float, ...]]:
    """What came in on the last days in each hour from now on, by class.

    History is not expected to come in, nor are customers as many as on the first day or with history.
    """
    first = await connection.scalar(sa.select(sa.func.min(commands.c.planned_at)).where(commands.c.division == division))
    if first is None or now - first < HOUR_SECONDS:
        return {}
    days = min(DAYS_LOOKED_BACK, max(1, int((now - first) // DAY_SECONDS)))
    since = now - days * DAY_SECONDS
    hour = sa.cast(commands.c.planned_at - since, sa.Integer()) // int(HOUR_SECONDS) % 24
    expected = (*CURRENT, "master")
    of_history = commands.alias("of_history")
    has_history = sa.exists().where(
        of_history.c.division == division,
        of_history.c.customer_ref == commands.c.customer_ref,
        of_history.c.work_class == "backfill",
    )
    is_usual = (commands.c.kind != "account") | ((commands.c.planned_at >= first + DAY_SECONDS) & ~has_history)
    sizes = _entries_since(division, since)
    made, sent = sa.func.sum(1.0 / sizes.c.size).label("made"), sa.func.count(sizes.c.size).label("sent")
    groups = (commands.c.work_class, commands.c.kind, commands.c.batch_key, hour)
    statement = (
        sa.select(*groups[:-1], hour.label("hour"), sa.func.count().label("commands"), made, sent)
        .outerjoin(sizes, sizes.c.batch_id == commands.c.batch_id)
        .where(commands.c.division == division, commands.c.planned_at >= since, commands.c.work_class.in_(expected), is_usual)
        .group_by(*groups)
    )
    rows = (await connection.execute(statement)).all()
    together = Counter[str | None]()
    for row in rows:
        together[row.batch_key] += row.commands - row.sent
    usual_share = _usual_share(rows)
    found: dict[WorkClass, list[float]] = {}
    for row in rows:
        rates = found.setdefault(cast("WorkClass", row.work_class), [0.0] * 24)
        rates[min(23, row.hour)] += _share_of_calls(row, together[row.batch_key], usual_share) / days
    return {work_class: tuple(rates) for work_class, rates in found.items()}


def _usual_share(rows: Sequence[Any]) -> float:
    """What a command of mode ledger took of a call lately: by day they come one by one, and few share an entry."""
    shared = [row for row in rows if row.sent and not batches.is_bundle(row.batch_key)]
    if not shared:
        return 1.0 / batches.MOST_DOCUMENTS
    return sum(float(row.made) for row in shared) / sum(int(row.sent) for row in shared)


def _share_of_calls(row: Any, together: int, usual_share: float) -> float:
    """Return what the commands of a row add to the calls: of a bundle, which goes at its day's end, a part of its own calls."""
    if row.kind != "ledger":
        return calls_of(row.kind, row.commands)
    made, unsent = float(row.made or 0.0), int(row.commands - row.sent)
    if batches.is_bundle(row.batch_key):
        return made + (batches.calls_of(together, row.batch_key) / together if together else 0.0) * unsent
    return made + usual_share * unsent


def variants(
    outlook: Outlook, limits: Limits, history: Mapping[str, float], *, without: Outlook
) -> dict[str, tuple[Outlook, Limits]]:
    """What could be chosen otherwise; `without` is the outlook where no PDFs are attached.

    `history` has the calls of history outside mode ledger, and what they would be there.
    """
    have_pdfs = any(outlook.pdf_calls_per_call.values()) or outlook.waiting.get("pdf") != without.waiting.get("pdf")
    found = {"no_pdfs": (without, limits)} if have_pdfs else {}
    if history["calls"]:
        apart = outlook.waiting.get("backfill", 0.0)
        together = apart - history["calls"] + history["ledger_calls"]
        pdfs = {**outlook.pdf_calls_per_call}
        pdfs["backfill"] = pdfs.get("backfill", 0.0) * apart / together  # as many PDFs, for fewer calls
        in_ledger = msgspec.structs.replace(outlook, waiting={**outlook.waiting, "backfill": together}, pdf_calls_per_call=pdfs)
        found["history_in_ledger"] = (in_ledger, limits)
    more = msgspec.structs.replace(limits, day=2 * limits.day, left_today=limits.left_today + limits.day)
    return {**found, "double_daily_calls": (outlook, more)}


async def history_of(connection: AsyncConnection, division: int) -> dict[str, float]:
    """The calls of history that waits outside mode ledger, and those it would take there."""
    runs = await waiting_runs.history_in_ledger(connection, division)
    calls = sum(calls_of(kind, number) for kind, number in runs.documents.items())
    return {"calls": calls, "ledger_calls": float(grouping.entries_of(runs.runs).calls.total())}
