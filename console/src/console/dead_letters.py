"""Messages that no retry could help: shown with their reason, and put back once the cause is mended."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from backbone.broker import Broker, DeadLetter
from backbone.configuration import load_configuration
from backbone.errors import BrokerUnavailableError
from backbone.process import open_broker
from backbone.settings import Settings
from contracts import envelope as wire
from contracts.topology import topology


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as people see it; `subject` names the document or event that it is about."""

    queue: str
    message_id: str
    type: str
    subject: str
    code: str
    sentence: str
    died_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        told = {name: getattr(self, name) for name in ("queue", "message_id", "type", "subject", "code", "sentence")}
        return {**told, "died_at": self.died_at.isoformat() if self.died_at is not None else None}


async def dead_letters(settings: Settings, queue: str | None, limit: int) -> list[Letter]:
    """Return the oldest dead letters of every queue or of one; they stay. Raises BrokerUnavailableError."""
    broker = open_broker(settings, "console")
    try:
        return [
            _letter(each) for name in await _queues(settings, broker, queue) for each in await broker.dead_letters(name, limit)
        ]
    finally:
        await broker.close()


async def put_back(settings: Settings, queue: str | None, message_ids: Collection[str] | None) -> list[str]:
    """Put dead letters back into their queues and return their message ids. Raises BrokerUnavailableError."""
    broker = open_broker(settings, "console")
    try:
        return [each for name in await _queues(settings, broker, queue) for each in await broker.requeue(name, message_ids)]
    finally:
        await broker.close()


async def _queues(settings: Settings, broker: Broker, only: str | None) -> list[str]:
    declared = topology(load_configuration(settings.config).divisions)
    names = [queue.name for queue in declared.queues]
    if only is not None and only not in names:
        raise BrokerUnavailableError(f"There is no queue {only}; the queues are {', '.join(names)}.")
    # Else one that was never declared is an error of RabbitMQ, and not an empty queue.
    await broker.declare(declared, waits=False)
    return [only] if only is not None else names


def _letter(dead: DeadLetter) -> Letter:
    try:
        envelope = wire.decode(dead.body)
        kind, subject = envelope.type, envelope.subject
    except msgspec.MsgspecError:
        kind, subject = dead.routing_key, "?"  # what cannot be read is why it is here
    return Letter(dead.queue, dead.message_id, kind, subject, dead.code, dead.sentence, dead.died_at)
