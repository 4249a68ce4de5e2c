"""Webhook delivery: asynchronous, out of order, more than once, and again later when it fails."""

import asyncio
import heapq
import itertools
import json
import random
from dataclasses import dataclass, field
from typing import Any

import httpx

from .settings import RETRY_SCHEDULE_SECONDS, ChargebeeSettings, WebhookEndpoint
from .site import Resource, Site


@dataclass(order=True)
class Delivery:
    """One event to one endpoint; due at a time of the event loop, in seconds."""

    due_seconds: float
    sequence: int
    event: Resource = field(compare=False)
    endpoint: WebhookEndpoint = field(compare=False)
    attempt: int = field(default=0, compare=False)


class WebhookSender:
    """Sends every event to each endpoint, one endpoint after another, and keeps the retry schedule."""

    def __init__(self, site: Site) -> None:
        self.settings: ChargebeeSettings = site.settings
        self.site = site
        self.endpoints: list[WebhookEndpoint] = list(site.settings.webhooks)
        self.waiting: list[Delivery] = []
        self.in_flight = 0
        self.sent = 0
        self.failed: list[str] = []
        self.dropped = 0
        self._sequence = itertools.count()
        self._random = random.Random(f"webhooks of {site.settings.site} {site.settings.seed}")
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._clients: dict[str, httpx.AsyncClient] = {}
        site.listeners.append(self.offer)

    @property
    def pending(self) -> int:
        """Deliveries that are still to be made, retries included."""
        return len(self.waiting) + self.in_flight

    def offer(self, event: Resource) -> None:
        """Queue an event for every endpoint that wants it; the seed decides about drops, delays and duplicates."""
        settings = self.settings
        for endpoint in self.endpoints:
            event["webhook_status"] = "scheduled"
            if endpoint.enabled_events and event["event_type"] not in endpoint.enabled_events:
                continue
            if self._random.randrange(1000) < settings.webhook_dropped_per_mille:
                self.dropped += 1
                event["webhook_status"] = "skipped"
                continue
            delay = settings.webhook_delay_seconds
            if self._random.randrange(1000) < settings.webhook_disordered_per_mille:
                delay += settings.webhook_disorder_seconds * self._random.random()
            self._push(event, endpoint, delay)
            if self._random.randrange(1000) < settings.webhook_duplicated_per_mille:
                again = settings.webhook_disorder_seconds * self._random.random()
                self._push(event, endpoint, delay + again)

    def _push(self, event: Resource, endpoint: WebhookEndpoint, delay_seconds: float, attempt: int = 0) -> None:
        due = _loop_time() + delay_seconds
        heapq.heappush(self.waiting, Delivery(due, next(self._sequence), event, endpoint, attempt))
        self._wake.set()

    def resend(self, event_id: str) -> bool:
        """Deliver an event again as a person does in Logs > Events; False when there is no such event."""
        for event in self.site.events:
            if event["id"] == event_id:
                for endpoint in self.endpoints:
                    self._push(event, endpoint, 0.0, attempt=1)
                return True
        return False

    async def start(self) -> None:
        """Start the workers on the running event loop."""
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self.settings.webhook_workers)]

    async def stop(self) -> None:
        """Stop the workers; what is still waiting is lost, as the simulator keeps everything in memory."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._clients.values():
            await client.aclose()
        self._tasks, self._clients = [], {}

    def _client(self, endpoint: WebhookEndpoint) -> httpx.AsyncClient:
        if endpoint.url not in self._clients:
            timeout = httpx.Timeout(self.settings.webhook_read_seconds, connect=self.settings.webhook_connect_seconds, pool=None)
            auth = (endpoint.username, endpoint.password) if endpoint.username else None
            self._clients[endpoint.url] = httpx.AsyncClient(timeout=timeout, auth=auth, trust_env=False)
        return self._clients[endpoint.url]

    async def _work(self) -> None:
        while True:
            delivery = await self._next()
            self.in_flight += 1
            try:
                await self._deliver(delivery)
            finally:
                self.in_flight -= 1

    async def _next(self) -> Delivery:
        while True:
            self._wake.clear()
            wait = None
            if self.waiting:
                wait = self.waiting[0].due_seconds - _loop_time()
                if wait <= 0:
                    return heapq.heappop(self.waiting)
            try:
                await asyncio.wait_for(self._wake.wait(), wait)
            except TimeoutError:
                continue

    async def _deliver(self, delivery: Delivery) -> None:
        reason = await self._post(delivery)
        event = delivery.event
        self.sent += 1
        if reason is None:
            event["webhook_status"] = "succeeded"
            event.pop("webhook_failure_reason", None)
        else:
            event["webhook_failure_reason"] = reason
            if delivery.attempt < len(RETRY_SCHEDULE_SECONDS):
                event["webhook_status"] = "re_scheduled"
                wait = RETRY_SCHEDULE_SECONDS[delivery.attempt] * self.settings.retry_scale
                self._push(event, delivery.endpoint, wait, delivery.attempt + 1)
            else:
                event["webhook_status"] = "failed"
                self.failed.append(event["id"])
        mark = {"id": delivery.endpoint.id, "object": "webhook", "webhook_status": event["webhook_status"]}
        others = [each for each in event.get("webhooks", ()) if each["id"] != delivery.endpoint.id]
        event["webhooks"] = [*others, mark]

    async def _post(self, delivery: Delivery) -> str | None:
        """Post once; returns None on any 2xx, otherwise the failure reason in Chargebee's manner."""
        body = delivery_body(delivery.event, first=delivery.attempt == 0)
        client = self._client(delivery.endpoint)
        headers = {"Content-Type": "application/json", "User-Agent": "ChargeBee"}
        try:
            async with asyncio.timeout(self.settings.webhook_total_seconds):
                answer = await client.post(delivery.endpoint.url, content=body, headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            return f"Could not reach the server: {type(error).__name__}"
        if answer.is_success:
            return None
        return f"Received error code {answer.status_code} from server."


def delivery_body(event: Resource, *, first: bool) -> bytes:
    """The bytes of a delivery: the event itself; `webhooks` stands in it only when it is delivered again."""
    shown: dict[str, Any] = dict(event)
    if first:
        shown.pop("webhooks", None)
        shown.pop("webhook_failure_reason", None)
        shown["webhook_status"] = "scheduled"
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()


def _loop_time() -> float:
    """Seconds of the running loop; outside of one, for operations done before the start, zero: due at once."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return 0.0
