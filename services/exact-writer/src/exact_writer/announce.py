"""The writer's facts: sealed and appended to its log, in the transaction of what they tell."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from contracts.bank_lines import BankLineObserved
from contracts.envelope import Envelope, seal
from contracts.facts import (
    AccountRefused,
    AccountSaved,
    ConnectionChanged,
    DocumentRef,
    EntryPosted,
    EntryRefused,
    PdfAttached,
    PdfNotAttached,
    PdfWanted,
    PeriodObserved,
    ReceivableObserved,
)

SOURCE = "exact-writer"


def subject_of(document: DocumentRef) -> str:
    """How a document is named in an envelope."""
    return f"{document.site}/{document.kind}/{document.number}"


def key_of(document: DocumentRef) -> str:
    """The customer whose messages keep their order."""
    return f"{document.site}/{document.customer_id}"


def entry_stream(command_id: str) -> str:
    """Where it is told how a command ended."""
    return f"entry/{command_id}"


async def entries(
    connection: AsyncConnection, ended: Iterable[tuple[EntryPosted | EntryRefused, Envelope]], now: datetime
) -> None:
    """Tell how commands ended, each with its cause; a command ends once, so its stream has one message."""
    rows = []
    for fact, cause in ended:
        subject, key = subject_of(fact.document), key_of(fact.document)
        rows.append(
            (entry_stream(fact.command_id), 1, seal(fact, source=SOURCE, subject=subject, key=key, time=now, cause=cause))
        )
    await event_log.append_at(connection, rows)


async def pdf(
    connection: AsyncConnection, command_id: str, fact: PdfWanted | PdfAttached | PdfNotAttached, cause: Envelope, now: datetime
) -> None:
    """Tell how the PDF of an entry stands; it may fail, and be asked for again by a person."""
    stream = f"pdf/{command_id}"
    version = await event_log.stream_version(connection, stream)
    subject, key = subject_of(fact.document), key_of(fact.document)
    envelope = seal(fact, source=SOURCE, subject=subject, key=key, time=now, cause=cause, distinguisher=str(version))
    await event_log.append(connection, stream, version, [envelope])


async def account(connection: AsyncConnection, fact: AccountSaved | AccountRefused, cause: Envelope, now: datetime) -> None:
    """Tell how saving a customer ended."""
    subject = f"{fact.division}/account/{fact.customer_ref}"
    envelope = seal(fact, source=SOURCE, subject=subject, key=fact.customer_ref, time=now, cause=cause)
    await event_log.append(connection, f"account/{cause.id}", 0, [envelope])


async def connection_changed(connection: AsyncConnection, fact: ConnectionChanged, now: datetime) -> None:
    """Tell that Exact can or cannot be reached."""
    await _append_next(connection, fact, f"{fact.division}/connection", fact.division, now)


async def periods(connection: AsyncConnection, facts: list[PeriodObserved], now: datetime) -> None:
    """Tell of periods, each of them once, whether they are open or closed for a journal; in this order."""
    of_subjects = {f"{fact.division}/period/{fact.journal}/{fact.year}/{fact.period}": fact for fact in facts}
    versions = await event_log.stream_versions(connection, of_subjects)
    rows = []
    for subject, fact in of_subjects.items():
        version, key = versions[subject], str(fact.division)
        envelope = seal(fact, source=SOURCE, subject=subject, key=key, time=now, distinguisher=str(version))
        rows.append((subject, version + 1, envelope))
    await event_log.append_at(connection, rows)


async def receivables(connection: AsyncConnection, facts: list[ReceivableObserved], now: datetime) -> None:
    """Tell how receivables stand; each version of one is told once, and again when it turns out to be ours."""
    rows = []
    for fact in facts:
        subject = f"{fact.division}/receivable/{fact.term_id}"
        version = f"{fact.timestamp}{'/ours' if fact.document else ''}"
        key = key_of(fact.document) if fact.document else str(fact.division)
        rows.append(
            (
                f"{subject}/{version}",
                seal(fact, source=SOURCE, subject=subject, key=key, time=now, distinguisher=version),
            )
        )
    await event_log.append_new(connection, rows)


def bank_line_stream(division: int, line_id: str) -> str:
    """Where it is told how the parts of a bank line on a debtor account stand."""
    return f"{division}/bank_line/{line_id}"


async def bank_line(connection: AsyncConnection, fact: BankLineObserved, stream: str, now: datetime) -> None:
    """Tell how a bank line stands."""
    await _append_next(connection, fact, stream, fact.division, now)


async def _append_next(
    connection: AsyncConnection,
    fact: ConnectionChanged | BankLineObserved,
    subject: str,
    division: int,
    now: datetime,
) -> None:
    version = await event_log.stream_version(connection, subject)
    envelope = seal(fact, source=SOURCE, subject=subject, key=str(division), time=now, distinguisher=str(version))
    await event_log.append(connection, subject, version, [envelope])
