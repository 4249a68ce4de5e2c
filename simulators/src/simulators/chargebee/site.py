"""The state of one Chargebee site: its resources, its event log and its numbering."""

import copy
import random
import string
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from .clock import Clock
from .errors import not_found
from .long_documents import first_lines
from .settings import ChargebeeSettings

Resource = dict[str, Any]
"""A resource as Chargebee sends it: snake_case keys, integers in minor units, absent keys instead of null."""

COLLECTIONS = (
    "customer",
    "subscription",
    "item_family",
    "item",
    "item_price",
    "plan",
    "addon",
    "coupon",
    "coupon_set",
    "coupon_code",
    "invoice",
    "credit_note",
    "transaction",
)
_ALPHABET = string.ascii_letters + string.digits
EVENT_RETENTION_SECONDS = 90 * 86_400


class Site:
    """All resources of a site by kind and id, in order of creation; every change goes through `touch` and `emit`."""

    def __init__(self, settings: ChargebeeSettings) -> None:
        self.settings = settings
        self.clock = Clock(settings.started_at)
        self.zone = ZoneInfo(settings.timezone)
        self.collections: dict[str, dict[str, Resource]] = {kind: {} for kind in COLLECTIONS}
        self.internal_ids: dict[tuple[str, str], int] = {}
        self.events: list[Resource] = []
        self.listeners: list[Callable[[Resource], None]] = []
        self._random = random.Random(f"ids of {settings.site} {settings.seed}")
        self._last_version = 0
        self._last_internal_id = 343_550_000
        self._numbers: dict[str, int] = {}

    # ids, numbers and versions

    def new_id(self, prefix: str = "") -> str:
        """An id in Chargebee's manner: a prefix and sixteen letters and digits, the same for the same seed."""
        return prefix + "".join(self._random.choices(_ALPHABET, k=16))

    def next_number(self, sequence: str) -> int:
        """The next number of a document sequence, starting at 1."""
        self._numbers[sequence] = self._numbers.get(sequence, 0) + 1
        return self._numbers[sequence]

    def next_internal_id(self) -> int:
        """The counter that breaks ties in lists; callers see it only inside an opaque offset."""
        self._last_internal_id += 1
        return self._last_internal_id

    def touch(self, resource: Resource) -> Resource:
        """Give a resource the next resource_version, in ms, and the updated_at that belongs to it."""
        self._last_version = max(self._last_version + 1, self.clock.now_ms())
        resource["resource_version"] = self._last_version
        resource["updated_at"] = self._last_version // 1000
        return resource

    # resources

    def add(self, kind: str, resource: Resource) -> Resource:
        """Store a new resource; raises KeyError when its id is taken, which callers refuse before."""
        if resource["id"] in self.collections[kind]:
            raise KeyError(resource["id"])
        self.collections[kind][resource["id"]] = resource
        self.internal_ids[(kind, resource["id"])] = self.next_internal_id()
        return self.touch(resource)

    def get(self, kind: str, resource_id: str) -> Resource:
        """The living resource; raises ApiError 404 when there is none of that id."""
        try:
            return self.collections[kind][resource_id]
        except KeyError:
            raise not_found(resource_id) from None

    def all(self, kind: str) -> list[Resource]:
        """All resources of a kind, oldest first, deleted ones included."""
        return list(self.collections[kind].values())

    # events

    def emit(
        self,
        event_type: str,
        content: dict[str, Any],
        *,
        source: str = "api",
        occurred_at: int | None = None,
    ) -> Resource:
        """Append an event with snapshots of the given resources and tell the listeners (the webhooks)."""
        event: Resource = {
            "id": self.new_id("ev_"),
            "occurred_at": self.clock.now() if occurred_at is None else occurred_at,
            "source": source,
            "object": "event",
            "api_version": "v2",
            "content": copy.deepcopy(
                {name: first_lines(self.settings, part) if isinstance(part, dict) else part for name, part in content.items()}
            ),
            "event_type": event_type,
            "webhook_status": "not_configured",
        }
        if source == "api":
            event["user"] = "full_access_key_v1"
        self.events.append(event)
        self.internal_ids[("event", event["id"])] = self.next_internal_id()
        for listener in self.listeners:
            listener(event)
        return event

    def living_events(self) -> list[Resource]:
        """Events of the last 90 days; older ones cannot be had from Chargebee any more."""
        oldest = self.clock.now() - EVENT_RETENTION_SECONDS
        return [event for event in self.events if event["occurred_at"] >= oldest]

    # dates

    def local_date(self, seconds: int) -> date:
        """The calendar day of an instant in the site's time zone, which is the day of a document."""
        return datetime.fromtimestamp(seconds, self.zone).date()

    def instant(self, day: date, hour: int = 9, minute: int = 0, second: int = 0) -> int:
        """The instant of a local time in the site's time zone, in seconds since 1970."""
        return int(datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=self.zone).timestamp())
