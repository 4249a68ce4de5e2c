"""Our subscriptions to Exact's webhooks in one division: made, looked at once a day, and made anew where one is missing.

One call lists them all; each that is missing takes a POST, each of ours that is not wanted any more (another address, a topic
that was left out) a DELETE, since Exact does not take a PUT. While Exact makes one it posts an empty body to the address, which
ingest must answer. What fails is tried again later and keeps nothing from being booked: the polls stay.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.database import Database
from backbone.errors import ConfigurationError
from backbone.telemetry import Telemetry, log
from exact_writer import odata
from exact_writer.calls import DivisionCalls
from exact_writer.client import ForbiddenError, NotFoundError, RefusedError, Request
from exact_writer.hearing import PARTS
from exact_writer.tables import REFUSED, webhook_topics

ENDPOINT: Final = "webhooks/WebhookSubscriptions"
NONE: Final = "none"
DAY_SECONDS: Final = 86_400.0
FIRST_PAUSE_SECONDS: Final = 60.0
LONGEST_PAUSE_SECONDS: Final = 3_600.0
NO_RIGHT: Final = "The app has no right to webhooks in Exact: it needs the scope Organization administration (manage)."
TAKEN: Final = "Exact has this topic already, for another app or another address of the same customer; delete that one there."


def topics_of(setting: str) -> tuple[str, ...]:
    """The topics of KRUISPOST_EXACT_WEBHOOK_TOPICS, none for `none`; raises ConfigurationError for one that nothing hangs on."""
    found = tuple(sorted({each.strip() for each in setting.split(",") if each.strip()}))
    if found == (NONE,):
        return ()
    strange = [each for each in found if each not in PARTS]
    if strange or not found:
        raise ConfigurationError(
            f"KRUISPOST_EXACT_WEBHOOK_TOPICS names {', '.join(strange) or 'no topic'}; it takes `none`, or some of "
            f"{', '.join(sorted(PARTS))}, separated by commas."
        )
    return found


class Subscriptions:
    """Keeps the subscriptions of one division as they are wanted; without an address it does nothing."""

    def __init__(
        self,
        division: int,
        *,
        client_id: str,
        url: str | None,
        topics: tuple[str, ...],
        database: Database,
        clock: Clock,
        calls: DivisionCalls,
        telemetry: Telemetry,
    ) -> None:
        self._division = division
        self._client_id = _bare(client_id)
        self._url = url
        self._topics = topics
        self._database = database
        self._clock = clock
        self._calls = calls
        self._telemetry = telemetry
        self._failures = 0
        self._check_at = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to look at them."""
        return self._url is not None and self._now() >= self._check_at and ENDPOINT not in self._calls.blocked_endpoints()

    async def check(self) -> None:
        """Look at what is there and mend it; raises what calls raise that stands in the way of every call."""
        # Whatever is raised: not again at once.
        self._check_at = self._now() + min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10))
        self._failures += 1
        try:
            refused = await self._mend()
        except (ForbiddenError, NotFoundError) as error:
            # It says nothing of our bookings, and each try counts against the error limit.
            self._calls.forbidden.discard(ENDPOINT)
            self._check_at = self._now() + DAY_SECONDS
            refused = dict.fromkeys(self._topics, NO_RIGHT)
            log.warning("webhooks cannot be subscribed", division=self._division, status=error.status, reason=error.message)
            await self._note(refused)
        except RefusedError as error:
            refused = dict.fromkeys(self._topics, f"Exact does not show what is subscribed: {error.message}")
            log.warning("webhooks cannot be looked at", division=self._division, status=error.status, reason=error.message)
            await self._note(refused)
        if not refused:
            self._failures = 0
            self._check_at = self._now() + DAY_SECONDS
        self._telemetry.gauge("exact_webhooks_subscribed", len(self._topics) - len(refused), division=str(self._division))

    async def _mend(self) -> dict[str, str]:
        """Make and delete what is to be; returns why, by the topics that are not subscribed."""
        path = odata.query(ENDPOINT, select=("ID", "Topic", "CallbackURL", "ClientID"))
        there: set[str] = set()
        for row in await self._calls.read_all(ENDPOINT, path):
            if _bare(str(row.get("ClientID") or "")) != self._client_id:
                continue
            if row["Topic"] in self._topics and row["CallbackURL"] == self._url:
                there.add(row["Topic"])
            else:
                await self._delete(row)
        refused: dict[str, str] = {}
        made: set[str] = set()
        for topic in self._topics:
            if topic in there:
                continue
            body = msgspec.json.encode({"Topic": topic, "CallbackURL": self._url})
            try:
                await self._calls.read(Request(method="POST", endpoint=ENDPOINT, path=ENDPOINT, body=body))
            except RefusedError as error:
                if error.code != "duplicate":
                    # What is wrong with the address is wrong for every topic.
                    reason = f"Exact did not take the address {self._url}: {error.message}"
                    refused |= {each: reason for each in self._topics if each not in there | made and each not in refused}
                    break
                refused[topic] = TAKEN
            else:
                made.add(topic)
        if refused:
            reason = min(refused.values())
            log.warning("webhooks are not subscribed", division=self._division, topics=sorted(refused), reason=reason)
        await self._note(refused, made)
        return refused

    async def _delete(self, row: dict[str, Any]) -> None:
        """Delete one of ours; what Exact keeps all the same stands in the way of its own topic only."""
        try:
            await self._calls.read(Request(method="DELETE", endpoint=ENDPOINT, path=f"{ENDPOINT}(guid'{row['ID']}')"))
        except (NotFoundError, RefusedError) as error:
            log.warning("a webhook cannot be deleted", division=self._division, topic=row["Topic"], reason=error.message)

    async def _note(self, refused: dict[str, str], made: set[str] | frozenset[str] = frozenset()) -> None:
        now = self._now()
        async with self._database.transaction() as connection:
            unwanted = (webhook_topics.c.division == self._division, webhook_topics.c.topic.not_in(self._topics))
            await connection.execute(sa.update(webhook_topics).where(*unwanted).values(state="", reason="", checked_at=now))
            for topic in self._topics:
                values: dict[str, Any] = {
                    "state": REFUSED if topic in refused else "subscribed",
                    "reason": refused.get(topic, ""),
                    "checked_at": now,
                }
                if topic in made:
                    values["heard_at"] = now  # ingest answered what Exact posted to try the address
                insert = self._database.insert(webhook_topics).values(division=self._division, topic=topic, **values)
                await connection.execute(insert.on_conflict_do_update(index_elements=["division", "topic"], set_=values))

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _bare(client_id: str) -> str:
    """A client id as both sides write it: Exact's app centre shows it in braces, its lists do not."""
    return client_id.strip("{}").lower()


async def standing(connection: AsyncConnection, division: int) -> list[dict[str, Any]]:
    """How the subscriptions of a division stand, by topic; instants are unix seconds, None for never."""
    statement = sa.select(webhook_topics).where(webhook_topics.c.division == division).order_by(webhook_topics.c.topic)
    return [
        {
            "division": division,
            "topic": row.topic,
            "state": row.state or "not_subscribed",
            "reason": row.reason,
            "heard_at": row.heard_at or None,
            "checked_at": row.checked_at or None,
        }
        for row in await connection.execute(statement)
    ]
