"""The journal of PDFs: waiting, wanted, fetched, creating, created, attaching, then attached or failed.

A PDF costs two calls: documents/Documents, linked to the entry, and documents/DocumentAttachments with the file. Before each call
`creating` or `attaching` is committed, so that whoever finds it there looks Exact up before sending again. Until a PDF is about
to be attached only its place in the queue is kept; at most a few are fetched ahead.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from contracts import envelope as wire
from contracts.commands import PostEntry
from contracts.envelope import Envelope, derived_id
from contracts.messages import unseal
from exact_writer.journal import LeaseLostError
from exact_writer.tables import attachments, commands, divisions

State = Literal["waiting", "wanted", "fetched", "creating", "created", "attaching", "attached", "failed"]
READY: tuple[State, ...] = ("fetched", "creating", "created", "attaching")
ENDS: tuple[State, ...] = ("attached", "failed")
UNDER_WAY: tuple[State, ...] = ("wanted", *READY)
DOUBTED = 0.0  # when the call of a PDF left that a lost journal may have attached: long ago
ATTEMPTS = 6  # of one booking; the mapper gives up before


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """One PDF and the entry that it belongs to; `envelope` is that of the command that booked it."""

    command_id: str
    state: State
    asks: int
    attempts: int
    not_before: float
    sent_at: float | None
    document_id: str | None
    entry_id: str
    command: PostEntry
    envelope: Envelope
    list_name: str | None = None

    @property
    def is_list(self) -> bool:
        """Whether it is the list of an entry's documents, and no document's PDF."""
        return self.list_name is not None

    @property
    def subject(self) -> str:
        """What Exact shows as the document's subject, and what it is looked up by together with the entry."""
        return self.list_name or self.command.your_ref

    @property
    def file_name(self) -> str:
        """The file's name: the document's reference with nothing that a file system or Exact could stumble over."""
        if self.list_name is not None:
            return self.list_name
        kept = "".join(each if each.isalnum() or each in "-_. " else "-" for each in self.command.your_ref)
        return f"{kept}.pdf"


async def plan(
    database: Database,
    connection: AsyncConnection,
    division: int,
    command_id: str,
    *,
    is_asked: bool = False,
    document_id: str | None = None,
) -> bool:
    """Queue the PDF of a booked entry; one that failed is queued anew. False when it is queued or attached already.

    One that a person `is_asked` by goes before all others, also when it waited already. `document_id` is the document that Exact
    made with the entry, where it made one: the PDF is filed there, and no other is made.
    """
    values = {"command_id": command_id, "division": division, "state": "waiting", "is_open": True, "is_asked": is_asked}
    values["document_id"] = document_id
    if is_asked:
        waits = (attachments.c.command_id == command_id, attachments.c.is_open)
        await connection.execute(sa.update(attachments).where(*waits).values(is_asked=True))
    again = {"state": "waiting", "is_open": True, "asks": 0, "attempts": 0, "not_before": 0.0, "code": None, "message": None}
    again["is_asked"] = is_asked
    insert = database.insert(attachments).values(values)
    statement = insert.on_conflict_do_update(
        index_elements=["command_id"], set_=again, where=attachments.c.state == "failed"
    ).returning(attachments.c.command_id)
    return (await connection.execute(statement)).one_or_none() is not None


async def doubt(connection: AsyncConnection, division: int) -> None:
    """Let every PDF that waits be looked for in Exact before it is attached: a journal that was lost may have attached it."""
    of_division = (attachments.c.division == division, attachments.c.is_open)
    await connection.execute(sa.update(attachments).where(*of_division, attachments.c.sent_at.is_(None)).values(sent_at=DOUBTED))
    for state, looked_up in (("fetched", "creating"), ("created", "attaching")):
        values = {"state": looked_up, "attempts": 0, "sent_at": DOUBTED, "not_before": 0.0}
        await connection.execute(sa.update(attachments).where(*of_division, attachments.c.state == state).values(values))


async def is_succeeded(connection: AsyncConnection, command: PostEntry) -> bool:
    """Whether the document of a booking was taken back, or its number given to another one: Chargebee's PDF is not its own then.

    The commands that follow a booking have ids that follow from the document, whatever a long number is cut to in Exact.
    """
    ref = command.document
    life, own = "", ref.suffix
    if own.startswith("#"):
        life, _, own = own.partition("/")
    following = (f"{life}/R{own}".lstrip("/"), f"#{int(life[1:] or 1) + 1}")
    named = (str(command.division), ref.site, ref.kind, ref.number)
    ids = [derived_id("entry", *named, suffix, str(attempt)) for suffix in following for attempt in range(ATTEMPTS)]
    known = sa.select(commands.c.command_id).where(commands.c.command_id.in_(ids)).limit(1)
    return (await connection.execute(known)).first() is not None


async def plan_list(
    database: Database, connection: AsyncConnection, division: int, first: str, *, file_name: str, content: bytes
) -> None:
    """Queue the list of an entry that several commands are in, of which `first` is the first."""
    values = {
        "command_id": f"list/{first}",
        "of_command": first,
        "division": division,
        "state": "fetched",
        "is_open": True,
        "file_name": file_name,
        "content": content,
    }
    await connection.execute(database.insert(attachments).values(values).on_conflict_do_nothing(index_elements=["command_id"]))


async def next_ready(connection: AsyncConnection, division: int, now: float, *, is_asked: bool = False) -> Attachment | None:
    """The oldest PDF for which a call can be made now, of those that a person asked for if there are any, or of those only."""
    ready = (attachments.c.state.in_(READY), attachments.c.not_before <= now)
    asked = await _first(connection, division, attachments.c.is_asked, *ready)
    return asked if asked is not None or is_asked else await _first(connection, division, *ready)


async def next_to_ask(
    connection: AsyncConnection, division: int, now: float, most_under_way: int, *, is_asked: bool = False
) -> Attachment | None:
    """The oldest PDF to be asked for: one whose answer is overdue, or a new one while few enough are under way.

    Those that a person asked for come first, and with `is_asked` no others.
    """
    asked = await _first(connection, division, attachments.c.is_asked, attachments.c.state == "waiting")
    if asked is not None or is_asked:
        return asked
    overdue = await _first(connection, division, attachments.c.state == "wanted", attachments.c.not_before <= now)
    if overdue is not None:
        return overdue
    under_way = sa.select(sa.func.count()).select_from(attachments)
    under_way = under_way.where(attachments.c.division == division, attachments.c.is_open, attachments.c.state.in_(UNDER_WAY))
    if int((await connection.execute(under_way)).scalar_one()) >= most_under_way:
        return None
    return await _first(connection, division, attachments.c.state == "waiting")


async def is_asked_for(connection: AsyncConnection, division: int) -> bool:
    """Whether a PDF that a person asked for is not attached yet."""
    found = sa.select(attachments.c.command_id).where(
        attachments.c.division == division, attachments.c.is_open, attachments.c.is_asked
    )
    return bool(await connection.scalar(sa.select(sa.exists(found))))


async def is_any_open(connection: AsyncConnection, division: int) -> bool:
    """Whether there is a PDF that has not ended."""
    found = sa.select(attachments.c.command_id).where(attachments.c.division == division, attachments.c.is_open)
    return bool(await connection.scalar(sa.select(sa.exists(found))))


async def next_instant(connection: AsyncConnection, division: int) -> float | None:
    """When the next one under way is to be looked at (unix seconds); None when none is."""
    statement = sa.select(sa.func.min(attachments.c.not_before)).where(
        attachments.c.division == division, attachments.c.is_open, attachments.c.state.in_(UNDER_WAY)
    )
    found = (await connection.execute(statement)).scalar_one()
    return float(found) if found is not None else None


async def find(connection: AsyncConnection, command_id: str, state: State) -> Attachment | None:
    """The PDF of a command while it is in a state."""
    return await _first(connection, None, attachments.c.command_id == command_id, attachments.c.state == state)


async def content_of(connection: AsyncConnection, command_id: str) -> bytes:
    """The PDF itself."""
    statement = sa.select(attachments.c.content).where(attachments.c.command_id == command_id)
    return bytes((await connection.execute(statement)).scalar_one())


async def move(connection: AsyncConnection, attachment: Attachment, state: State, **values: Any) -> None:
    """Move a PDF to another state; at its end the file itself is forgotten."""
    if state in ENDS:
        values |= {"content": None}
    statement = (
        sa.update(attachments)
        .where(attachments.c.command_id == attachment.command_id)
        .values(state=state, is_open=state not in ENDS, **values)
    )
    await connection.execute(statement)


async def check_lease(connection: AsyncConnection, division: int, epoch: int) -> None:
    """Raises LeaseLostError when another process has the division now."""
    held = await connection.scalar(sa.select(divisions.c.epoch).where(divisions.c.division == division).with_for_update())
    if held != epoch:
        raise LeaseLostError(f"division {division} is no longer held in epoch {epoch}")


async def counts(connection: AsyncConnection, division: int) -> dict[str, int]:
    """How many PDFs are in each state."""
    statement = sa.select(attachments.c.state, sa.func.count().label("pdfs")).where(attachments.c.division == division)
    return {row.state: row.pdfs for row in await connection.execute(statement.group_by(attachments.c.state))}


async def _first(connection: AsyncConnection, division: int | None, *conditions: Any) -> Attachment | None:
    own = [attachments.c[name] for name in Attachment.__struct_fields__ if name in attachments.c]
    columns = (*own, attachments.c.file_name)
    statement = (
        sa.select(*columns, commands.c.exact_id, commands.c.envelope)
        .join(commands, commands.c.command_id == sa.func.coalesce(attachments.c.of_command, attachments.c.command_id))
        .where(attachments.c.is_open, *conditions)
        .order_by(attachments.c.sequence)
        .limit(1)
    )
    if division is not None:
        statement = statement.where(attachments.c.division == division)
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return None
    envelope = wire.decode(bytes(row.envelope))
    return Attachment(
        command_id=row.command_id,
        state=cast("State", row.state),
        asks=row.asks,
        attempts=row.attempts,
        not_before=row.not_before,
        sent_at=row.sent_at,
        document_id=row.document_id,
        entry_id=row.exact_id,
        command=cast("PostEntry", unseal(envelope)),
        envelope=envelope,
        list_name=row.file_name,
    )
