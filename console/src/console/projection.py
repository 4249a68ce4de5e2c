"""Folds every message into the console's tables, in the transaction that notes it in the inbox."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.configuration import Configuration
from backbone.database import Database
from console import moves, tables
from console.folding import DocumentRow, customer_of, customer_subject, document_of, document_subject, fold, microseconds
from contracts import facts
from contracts.envelope import Envelope, Message
from contracts.facts import DocumentRef

SOURCE = "console"
_IDENTITY = ("site", "kind", "number", "suffix")
_columns = tuple(tables.documents.c)


def read_row(values: Any) -> DocumentRow:
    """Read a row of the documents table."""
    return DocumentRow(**dict(zip((column.name for column in _columns), values, strict=True)))


class Projection:
    """What the console knows; it only listens."""

    def __init__(self, database: Database, configuration: Configuration) -> None:
        self._database = database
        self._zones = {name: ZoneInfo(site.time_zone) for name, site in configuration.sites.items()}

    async def handle(self, connection: AsyncConnection, envelope: Envelope, message: Message) -> None:
        """Fold one message; those about products and periods leave no trace here."""
        if isinstance(message, facts.ConnectionChanged):
            await self._connection(connection, envelope, message)
            return
        document = document_of(message, self._zones)
        if document is not None:
            await self._document(connection, envelope, message, document)
            subject = document_subject(document.site, document.kind, document.number, document.suffix)
            await self._note(connection, subject, envelope, message)
        customer = customer_of(message)
        if customer is not None:
            await self._note(connection, customer_subject(customer), envelope, message)

    async def _document(self, connection: AsyncConnection, envelope: Envelope, message: Message, document: DocumentRef) -> None:
        table = tables.documents
        identity = {name: getattr(document, name) for name in _IDENTITY}
        where = [table.c[name] == value for name, value in identity.items()]
        values = (await connection.execute(sa.select(*_columns).where(*where).with_for_update())).one_or_none()
        row = fold(read_row(values) if values is not None else DocumentRow(**identity), envelope, message, document)
        changed = asdict(row)
        statement = self._database.insert(table).values(changed)
        rest = {name: value for name, value in changed.items() if name not in _IDENTITY}
        await connection.execute(statement.on_conflict_do_update(index_elements=list(_IDENTITY), set_=rest))
        if isinstance(message, facts.DocumentPlanned) and microseconds(envelope.time) >= row.stated_at_us:
            await moves.note(self._database, connection, message)

    async def _note(self, connection: AsyncConnection, subject: str, envelope: Envelope, message: Message) -> None:
        values = {
            "message_id": envelope.id,
            "subject": subject,
            "time_us": microseconds(envelope.time),
            "type": envelope.type,
            "details": msgspec.json.encode(_details(message)).decode(),
        }
        await connection.execute(self._database.insert(tables.timeline).values(values).on_conflict_do_nothing())

    async def _connection(self, connection: AsyncConnection, envelope: Envelope, fact: facts.ConnectionChanged) -> None:
        table = tables.connections
        told = {"state": fact.state, "reason": fact.reason, "reason_nl": fact.reason_nl}
        changed = {**told, "stated_at_us": microseconds(envelope.time)}
        statement = self._database.insert(table).values({"division": fact.division, **changed})
        newer = table.c.stated_at_us <= changed["stated_at_us"]
        await connection.execute(statement.on_conflict_do_update(index_elements=["division"], set_=changed, where=newer))


def _details(message: Message) -> dict[str, Any]:
    """Return what a sentence about the message needs; never the whole resource, which holds people's addresses."""
    if isinstance(message, facts.Observed):
        resource = getattr(message, "resource", None)
        status = getattr(resource, "status", None)
        seen = {"event": message.event_type, "version": message.resource_version, "deleted": message.deleted}
        return seen if status is None else {**seen, "status": status}
    data: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(message))
    kept = ("division", "command_id", "journal", "entry_number", "your_ref", "code", "sentence", "action", "message", "found")
    dutch = ("sentence_nl", "action_nl", "message_nl", "explanation_nl")
    more = ("reporting_year", "reporting_period", "entry_date", "explanation", "transaction_id", "amount_minor", "created")
    dates = ("payment_date", "last_payment_date", "is_fully_paid", "mapping_version", "reference", "name", "waiting", "file_name")
    return {name: data[name] for name in (*kept, *dutch, *more, *dates) if data.get(name) is not None}
