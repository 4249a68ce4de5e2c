import asyncio
import hashlib
import hmac
import random
import uuid
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import httpx

from simulators.exact import references
from simulators.exact.refusals import Findings
from simulators.exact.settings import ExactSettings
from simulators.exact.wire import Row, encode
from simulators.exact.world import Division

SUBSCRIPTIONS = "webhooks/WebhookSubscriptions"
_ENDPOINTS = {
    "Accounts": "crm/Accounts",
    "BankEntries": "financialtransaction/BankEntries",
    "CashEntries": "financialtransaction/CashEntries",
    "Contacts": "crm/Contacts",
    "DocumentAttachments": "documents/DocumentAttachments",
    "Documents": "documents/Documents",
    "FinancialTransactions": "financialtransaction/TransactionLines",
    "GLAccounts": "financial/GLAccounts",
    "GeneralJournalEntries": "generaljournalentry/GeneralJournalEntries",
    "JournalStatusList": "read/financial/JournalStatusList",
    "SalesEntries": "salesentry/SalesEntries",
}
# Topics whose lines cause an event of their own: a booking gives one for the header and one for the lines.
_WITH_LINES = frozenset({"SalesEntries", "BankEntries", "GeneralJournalEntries"})
_ACCEPTED = (200, 201)


@dataclass
class Webhooks:
    """Delivers signed events to the subscribers of a topic, with retries, duplicates and no promise of order."""

    settings: ExactSettings
    root: str = "https://start.exactonline.nl"
    delivered: int = 0
    lost: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _chance: random.Random = field(default_factory=lambda: random.Random(20))

    def publish(self, division: Division, topic: str, action: str, key: uuid.UUID) -> None:
        """Sends an event to everyone who subscribed; outside a running loop (while seeding) there is nobody to send to."""
        subscriptions = [row for row in division.table(SUBSCRIPTIONS) if row["Topic"] == topic]
        if not subscriptions:
            return
        loop = asyncio.get_running_loop()
        copies = self.settings.webhook_copies * (2 if topic in _WITH_LINES else 1)
        for row in subscriptions:
            body = self.body(division, row["ClientID"], topic, action, key)
            for _ in range(copies):
                if self._chance.randrange(1_000) < self.settings.webhook_lost_per_mille:
                    self.lost += 1
                    continue
                wait = self.settings.webhook_delay_seconds + self._chance.random() * self.settings.webhook_disorder_seconds
                task = loop.create_task(self._deliver(reached_at(self.settings, row["CallbackURL"]), body, wait))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def body(self, division: Division, client_id: uuid.UUID, topic: str, action: str, key: uuid.UUID) -> bytes:
        """The event as bytes; its HashCode signs the bytes of Content: upper-case hex of HMAC-SHA256."""
        moment = division.world.now()
        content = encode(
            {
                "Topic": topic,
                "ClientId": str(client_id),
                "Division": division.code,
                "Action": action,
                "Key": str(key),
                "ExactOnlineEndpoint": f"{self.root}/api/v1/{division.code}/{_ENDPOINTS[topic]}(guid'{key}')",
                "EventCreatedOn": moment.isoformat(timespec="milliseconds"),
            }
        )
        digest = hmac.new(self.settings.webhook_secret.encode(), content, hashlib.sha256).hexdigest().upper()
        return b'{"Content":' + content + b',"HashCode":"' + digest.encode() + b'"}'

    async def _deliver(self, url: str, body: bytes, wait_seconds: float) -> None:
        await asyncio.sleep(wait_seconds)
        for attempt in range(self.settings.webhook_retries + 1):
            if await _post(url, body) in _ACCEPTED:
                self.delivered += 1
                return
            await asyncio.sleep(self.settings.webhook_retry_seconds * 2**attempt)
        self.lost += 1

    async def drain(self) -> None:
        """Waits until everything on its way has arrived or was lost."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Gives up what is still on its way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def reached_at(settings: ExactSettings, url: str) -> str:
    """Where a callback is listened to: behind `webhook_ingress` in place of its own host."""
    return url if settings.webhook_ingress is None else settings.webhook_ingress + urlsplit(url).path


async def _post(url: str, body: bytes) -> int:
    """The status of the answer, 0 when nobody answered."""
    try:
        async with httpx.AsyncClient(timeout=10) as client:
            answer = await client.post(url, content=body, headers={"Content-Type": "application/json"})
            return answer.status_code
    except httpx.HTTPError:
        return 0


async def subscribe(division: Division, body: Row, client_id: str) -> Row:
    """Adds a subscription after an empty POST to its address was answered with 200 or 201.

    A second one for the same topic is refused with `Gegeven bestaat reeds.`, whoever made the first.
    """
    findings = Findings()
    topic, url = body.get("Topic"), body.get("CallbackURL")
    if not topic:
        findings.add("mandatory", "topic")
    elif topic not in _ENDPOINTS:
        findings.add("invalid", "topic")
    parts = urlsplit(url or "")
    if not url:
        findings.add("mandatory", "callback")
    elif not _is_allowed(parts, division.settings):
        findings.add("invalid", "callback")
    if any(row["Topic"] == topic for row in division.table(SUBSCRIPTIONS)):
        findings.add("data_exists")
    findings.raise_if_any()
    if await _post(reached_at(division.settings, str(url)), b"") not in _ACCEPTED:
        findings.add("invalid", "callback")
        findings.raise_if_any()
    row = {**body, "ID": division.world.next_id(), "ClientID": uuid.UUID(client_id), "UserID": division.world.user_id}
    return division.create(SUBSCRIPTIONS, references.without_empty(row))


def _is_allowed(address: SplitResult, settings: ExactSettings) -> bool:
    if settings.webhook_address == "any":
        return address.scheme in ("http", "https")
    home = urlsplit(settings.redirect_uri or "").hostname
    return address.scheme == "https" and home in (None, address.hostname)
