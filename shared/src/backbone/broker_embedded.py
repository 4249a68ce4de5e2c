"""The broker of the embedded mode: queues in a SQLite file, served within one process. A kill -9 loses nothing."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from backbone.broker import PREFETCH, DeadLetter, Delivery, Handler, Outgoing
from backbone.clock import Clock, SystemClock
from backbone.crash_points import crash_point
from backbone.errors import BrokerUnavailableError, Permanent, UnroutableError, reason_of
from backbone.locks import FileLock
from backbone.retries import Bury, DeadLetterLimit, after_failure, hand_over, is_set_within
from backbone.telemetry import log
from contracts.topology import Queue, Topology

IDLE_SECONDS = 0.25
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
  number INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, message_id TEXT NOT NULL, routing_key TEXT NOT NULL,
  body BLOB NOT NULL, attempt INTEGER NOT NULL DEFAULT 1, deliveries INTEGER NOT NULL DEFAULT 0, due_at REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS messages_of_queue ON messages (queue, number);
CREATE TABLE IF NOT EXISTS dead_letters (
  number INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, message_id TEXT NOT NULL, routing_key TEXT NOT NULL,
  body BLOB NOT NULL, code TEXT NOT NULL, sentence TEXT NOT NULL, attempt INTEGER NOT NULL, died_at REAL NOT NULL
);
"""
Result = TypeVar("Result")
Waiting = tuple[int, str, str, bytes, int, int]  # number, message id, routing key, body, attempt, earlier deliveries


def topic_pattern(pattern: str) -> re.Pattern[str]:
    """Translate a topic binding (`*` one word, `#` any number of words) into a regular expression."""
    expression = ""
    for word in pattern.split("."):
        if word == "#":
            expression += r"(?:\.[^.]+)*"
        else:
            expression += r"\." + (r"[^.]+" if word == "*" else re.escape(word))
    return re.compile(expression)


class EmbeddedBroker:
    """The Broker port on one SQLite file; publishers and consumers live in the process that opened it."""

    def __init__(self, path: Path, *, dead_letter_limit: int = 20, clock: Clock | None = None) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._clock = clock or SystemClock()
        self._dead_letter_limit = dead_letter_limit
        # One thread owns the connection: SQLite has one writer, and a queue of calls is the fairest lock.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="broker")
        self._connection: sqlite3.Connection | None = None
        self._bindings: list[tuple[str, re.Pattern[str], str]] = []
        self._arrivals: dict[str, asyncio.Event] = {}
        self.in_hand: set[int] = set()
        self._consumers: list[_EmbeddedConsumer] = []

    def seconds(self) -> float:
        """Return the seconds since 1970, which messages are due by."""
        return self._clock.now().timestamp()

    async def declare(self, topology: Topology, *, waits: bool = True) -> None:  # noqa: ARG002 - a file is there at once
        """Remember the bindings; the file keeps only messages."""
        for queue in topology.queues:
            for binding in queue.bindings:
                rule = (binding.exchange, topic_pattern(binding.pattern), queue.name)
                if rule not in self._bindings:
                    self._bindings.append(rule)

    async def publish(self, exchange: str, messages: Sequence[Outgoing]) -> None:
        """Store every message in each queue it is bound to, all in one commit. Raises UnroutableError before storing any."""
        rows = []
        queues = set()
        for message in messages:
            names = {
                name
                for bound, pattern, name in self._bindings
                if bound == exchange and pattern.fullmatch(f".{message.routing_key}")
            }
            if not names:
                raise UnroutableError(f"message {message.message_id} ({message.routing_key}) would reach no queue of {exchange}")
            queues |= names
            rows += [(name, message.message_id, message.routing_key, message.body) for name in sorted(names)]
        await self._store(rows, queues)

    async def send(self, queue_name: str, messages: Sequence[Outgoing]) -> None:
        """Store messages in one queue, all in one commit. Raises UnroutableError for a queue that is not declared."""
        if all(name != queue_name for _, _, name in self._bindings):
            raise UnroutableError(f"there is no queue {queue_name}")
        rows = [(queue_name, message.message_id, message.routing_key, message.body) for message in messages]
        await self._store(rows, {queue_name})

    async def _store(self, rows: Sequence[tuple[str, str, str, bytes]], queues: Collection[str]) -> None:
        def store(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT INTO messages (queue, message_id, routing_key, body) VALUES (?, ?, ?, ?)", rows)

        await self.run(store)
        for name in sorted(queues):  # in one order, so that a simulated run repeats itself in another process
            self.arrival(name).set()

    async def consume(
        self, queue: Queue, handler: Handler, *, prefetch: int = PREFETCH, buried: Callable[[], None] | None = None
    ) -> _EmbeddedConsumer:
        """Start a consumer of the queue; of several for a single-active queue, one works and the others stand by."""
        consumer = _EmbeddedConsumer(self, queue, handler, prefetch, DeadLetterLimit(self._dead_letter_limit, buried))
        self._consumers.append(consumer)
        return consumer

    async def dead_letters(self, queue: str, limit: int) -> list[DeadLetter]:
        """Show the oldest dead letters of a queue."""

        def read(connection: sqlite3.Connection) -> list[Any]:
            statement = (
                "SELECT queue, message_id, routing_key, body, code, sentence, attempt, died_at FROM dead_letters "
                "WHERE queue = ? ORDER BY number LIMIT ?"
            )
            return connection.execute(statement, (queue, limit)).fetchall()

        rows = await self.run(read)
        names = ("queue", "message_id", "routing_key", "body", "code", "sentence", "attempt")
        return [DeadLetter(**dict(zip(names, row, strict=False)), died_at=datetime.fromtimestamp(row[7], UTC)) for row in rows]

    async def requeue(self, queue: str, message_ids: Collection[str] | None = None) -> list[str]:
        """Put dead letters back into their queue in one commit; return their message ids."""

        def move(connection: sqlite3.Connection) -> list[str]:
            found = connection.execute("SELECT number, message_id FROM dead_letters WHERE queue = ? ORDER BY number", (queue,))
            chosen = [row for row in found.fetchall() if message_ids is None or row[1] in message_ids]
            numbers = [(number,) for number, _ in chosen]
            connection.executemany(
                "INSERT INTO messages (queue, message_id, routing_key, body) "
                "SELECT queue, message_id, routing_key, body FROM dead_letters WHERE number = ?",
                numbers,
            )
            connection.executemany("DELETE FROM dead_letters WHERE number = ?", numbers)
            return [str(message_id) for _, message_id in chosen]

        moved = await self.run(move)
        self.arrival(queue).set()
        return moved

    async def depth(self, queue_name: str) -> int:
        """Return how many messages wait in a queue (delayed ones stay in it here), or in its dead-letter queue."""
        table = "dead_letters" if queue_name.endswith(".dead") else "messages"
        statement = f"SELECT count(*) FROM {table} WHERE queue = ?"  # noqa: S608 - one of two constants
        name = queue_name.removesuffix(".dead")
        return await self.run(lambda connection: int(connection.execute(statement, (name,)).fetchone()[0]))

    @property
    def is_away(self) -> bool:
        """Never: it is in this process."""
        return False

    def complaints(self) -> list[str]:
        """Say which lines stand still."""
        return [consumer.complaint for consumer in self._consumers if consumer.complaint]

    async def close(self) -> None:
        """End the consumers, then close the file."""
        for consumer in list(self._consumers):
            await consumer.close()

        def disconnect() -> None:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

        await asyncio.get_running_loop().run_in_executor(self._thread, disconnect)
        self._thread.shutdown()

    def arrival(self, queue: str) -> asyncio.Event:
        """Return the event that is set when a message for the queue comes in."""
        return self._arrivals.setdefault(queue, asyncio.Event())

    def take_turn(self, queue: Queue) -> FileLock | None:
        """Make the caller the one active consumer of a queue, also among several processes on one directory; None: stand by."""
        return FileLock.take(self._path.with_name(f"{self._path.stem}.{queue.name}.lock"))

    def forget(self, consumer: _EmbeddedConsumer) -> None:
        """Drop a consumer that has ended."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)

    async def run(self, work: Callable[[sqlite3.Connection], Result], *, durable: bool = True) -> Result:
        """Do some work on the file, committed at its end. Raises BrokerUnavailableError when the file cannot be used.

        What is not `durable` survives kill -9 but not a power cut: fit for what a repeated delivery mends.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work, durable)
        except sqlite3.Error as error:
            raise BrokerUnavailableError(
                f"The file {self._path} of the embedded broker cannot be used: {reason_of(error)}."
            ) from error

    def _transact(self, work: Callable[[sqlite3.Connection], Result], durable: bool) -> Result:  # noqa: FBT001 - passed by position
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, timeout=30)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.executescript(_SCHEMA)
        self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        with self._connection:  # commits, or rolls back when the work raises
            return work(self._connection)


class _EmbeddedConsumer:
    """Takes messages in batches, hands them over one by one, and removes them when they were handled."""

    def __init__(self, broker: EmbeddedBroker, queue: Queue, handler: Handler, prefetch: int, limit: DeadLetterLimit) -> None:
        self._broker = broker
        self._queue = queue
        self._handler = handler
        self._prefetch = prefetch
        self._limit = limit
        self._stopping = asyncio.Event()
        self.complaint: str | None = None
        self._task = asyncio.create_task(self._run(), name=f"consumer of {queue.name}")

    async def close(self) -> None:
        """Let the message in hand finish; the others stay in the file."""
        self._stopping.set()
        self._broker.arrival(self._queue.name).set()
        await asyncio.gather(self._task, return_exceptions=True)
        self._broker.forget(self)

    async def _run(self) -> None:
        turn: FileLock | None = None
        try:
            while not self._stopping.is_set():
                if turn is None and self._queue.single_active:
                    turn = self._broker.take_turn(self._queue)
                    if turn is None:
                        await is_set_within(self._stopping, IDLE_SECONDS)
                        continue
                try:
                    await self._round()
                except BrokerUnavailableError as error:
                    log.warning("consumer waits", queue=self._queue.name, reason=reason_of(error))
                    await is_set_within(self._stopping, IDLE_SECONDS)
        finally:
            if turn is not None:
                await turn.release()

    async def _round(self) -> None:
        if self._limit.reached:
            self.complaint = self._limit.complaint(self._queue.name)
            await self._stopping.wait()
            return
        arrival = self._broker.arrival(self._queue.name)
        arrival.clear()
        batch = await self._broker.run(self._take, durable=False)
        if not batch:
            await is_set_within(arrival, IDLE_SECONDS)
            return
        done: list[int] = []
        begun = 0
        try:
            for row in batch:
                if self._stopping.is_set() or self._limit.reached:
                    break
                begun += 1
                await self._handle(row, done)
        finally:
            self._broker.in_hand.difference_update(row[0] for row in batch)
            rest = [row[0] for row in batch[begun:]]
            await self._broker.run(lambda connection: self._finish(connection, done, rest), durable=False)

    def _take(self, connection: sqlite3.Connection) -> list[Waiting]:
        """Take the next messages in hand and count the delivery."""
        statement = (
            "SELECT number, message_id, routing_key, body, attempt, deliveries FROM messages "
            "WHERE queue = ? AND due_at <= ? ORDER BY number LIMIT ?"
        )
        # The one active consumer of a queue has nothing in hand when it takes more; several share what they took.
        in_hand: set[int] = set() if self._queue.single_active else self._broker.in_hand
        values = (self._queue.name, self._broker.seconds(), self._prefetch + len(in_hand))
        batch = [row for row in connection.execute(statement, values).fetchall() if row[0] not in in_hand][: self._prefetch]
        if batch and batch[0][5] > 0:
            # It was delivered before and the process died: alone, so that those behind it do not share its fate.
            batch = batch[:1]
        in_hand.update(row[0] for row in batch)
        numbers = [(row[0],) for row in batch]
        connection.executemany("UPDATE messages SET deliveries = deliveries + 1 WHERE number = ?", numbers)
        return batch

    @staticmethod
    def _finish(connection: sqlite3.Connection, done: Sequence[int], rest: Sequence[int]) -> None:
        """Remove what was handled, and uncount the delivery of what was not begun."""
        connection.executemany("DELETE FROM messages WHERE number = ?", [(number,) for number in done])
        connection.executemany("UPDATE messages SET deliveries = deliveries - 1 WHERE number = ?", [(number,) for number in rest])

    async def _handle(self, row: Waiting, done: list[int]) -> None:
        number, message_id, routing_key, body, attempt, deliveries = row
        if deliveries >= self._queue.delivery_limit:
            sentence = f"The process died {deliveries} times while it handled this message; mend the cause, then retry it."
            await self._after_failure(Permanent("delivery_limit", sentence), row)
            return
        delivery = Delivery(body, message_id, routing_key, attempt, redelivered=deliveries > 0 or attempt > 1)
        try:
            handled = await hand_over(self._handler, delivery, self._stopping, self._complain)
        except Exception as error:  # noqa: BLE001 - every failure ends in exactly one of retry and dead letter
            await self._after_failure(error, row)
            return
        if not handled:
            await self._broker.run(lambda connection: self._finish(connection, (), (number,)), durable=False)
            return
        self._limit.handled()
        done.append(number)
        crash_point("broker.handled")

    def _complain(self, sentence: str | None) -> None:
        self.complaint = None if sentence is None else f"queue {self._queue.name} waits: {sentence}"

    async def _after_failure(self, error: Exception, row: Waiting) -> None:
        number, message_id, _, _, attempt, _ = row
        outcome = after_failure(error, attempt, self._queue)
        about = {"queue": self._queue.name, "message_id": message_id}
        if isinstance(outcome, Bury):
            self._limit.buried()
            log.error("message buried", code=outcome.code, reason=outcome.sentence, **about)
            await self._broker.run(lambda connection: self._bury(connection, number, outcome))
            return
        log.warning("message comes back later", delay_seconds=outcome.delay_seconds, reason=reason_of(error), **about)
        due_at = self._broker.seconds() + outcome.delay_seconds
        statement = "UPDATE messages SET attempt = attempt + 1, deliveries = 0, due_at = ? WHERE number = ?"
        await self._broker.run(lambda connection: connection.execute(statement, (due_at, number)))

    def _bury(self, connection: sqlite3.Connection, number: int, reason: Bury) -> None:
        connection.execute(
            "INSERT INTO dead_letters (queue, message_id, routing_key, body, code, sentence, attempt, died_at) "
            "SELECT queue, message_id, routing_key, body, ?, ?, attempt, ? FROM messages WHERE number = ?",
            (reason.code, reason.sentence, self._broker.seconds(), number),
        )
        connection.execute("DELETE FROM messages WHERE number = ?", (number,))
