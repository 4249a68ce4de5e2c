from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from simulators.exact.refusals import ApiError
from simulators.exact.settings import ExactSettings

COUNTED_ERRORS = frozenset({400, 401, 403, 404})


@dataclass
class Window:
    """One fixed minute of one app in one division."""

    start: float  # seconds since 1970
    limit: int
    client_id: str
    division: int
    used: int = 0


@dataclass
class Limits:
    """The limits as they are now: the control API may change them while calls run."""

    minute_limit: int
    minute_seconds: float
    day_limit: int
    day_seconds: float
    error_limit: int
    error_seconds: float
    error_block_status: int
    day_zone: str | None = None

    @classmethod
    def of(cls, settings: ExactSettings) -> "Limits":
        """The limits a stand-in starts with."""
        return cls(
            settings.minute_limit,
            settings.minute_seconds,
            settings.day_limit,
            settings.day_seconds,
            settings.error_limit,
            settings.error_seconds,
            settings.error_block_status,
            settings.day_zone,
        )

    def day_of(self, now: float) -> tuple[float, float]:
        """When the present day of calls began and ends, in seconds since 1970; where clocks change it has 23 or 25 hours."""
        if self.day_zone is None:
            start = now // self.day_seconds * self.day_seconds
            return start, start + self.day_seconds
        midnight = datetime.fromtimestamp(now, ZoneInfo(self.day_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight.timestamp(), (midnight + timedelta(days=1)).timestamp()


@dataclass
class _Block:
    until: float
    times: int = 1


@dataclass
class Gate:
    """Counts calls in fixed wall-clock windows and errors in the past hour, an app and division apart."""

    limits: Limits
    clock: Callable[[], float]
    block_whole_key: bool
    windows: list[Window] = field(default_factory=list)
    rate_limited: int = 0
    errors_counted: int = 0
    error_blocks: int = 0
    blocked_answers: int = 0
    _open: dict[tuple[str, int], Window] = field(default_factory=dict)
    _days: dict[tuple[str, int], tuple[float, int]] = field(default_factory=dict)
    _errors: dict[tuple[str, int, str], deque[float]] = field(default_factory=dict)
    _blocks: dict[tuple[str, ...], _Block] = field(default_factory=dict)

    def admit(self, client_id: str, division: int) -> dict[str, str]:
        """Counts one call and returns its headers. Raises `ApiError` 429 with the headers of the limit that was hit.

        The minute is the wall clock's, not a sliding one: its window starts at a multiple of its length. The day resets
        at 00:00 UTC, or at midnight of another zone. All resets are in milliseconds since 1970.
        """
        now = self.clock()
        window = self._window(client_id, division, now)
        day_start, day_end = self.limits.day_of(now)
        known_start, today = self._days.get((client_id, division), (day_start, 0))
        if known_start != day_start:
            today = 0
        minute_reset = round((window.start + self.limits.minute_seconds) * 1000)
        day_reset = round(day_end * 1000)
        minute = {
            "X-RateLimit-Minutely-Limit": str(self.limits.minute_limit),
            "X-RateLimit-Minutely-Remaining": str(max(0, self.limits.minute_limit - window.used - 1)),
            "X-RateLimit-Minutely-Reset": str(minute_reset),
        }
        day = {
            "X-RateLimit-Limit": str(self.limits.day_limit),
            "X-RateLimit-Remaining": str(max(0, self.limits.day_limit - today - 1)),
            "X-RateLimit-Reset": str(day_reset),
        }
        if today >= self.limits.day_limit:
            self.rate_limited += 1
            raise ApiError(429, None, day)
        if window.used >= self.limits.minute_limit:
            self.rate_limited += 1
            raise ApiError(429, None, minute)
        window.used += 1
        self._days[client_id, division] = (day_start, today + 1)
        return {**minute, **day}

    def _window(self, client_id: str, division: int, now: float) -> Window:
        start = now // self.limits.minute_seconds * self.limits.minute_seconds
        window = self._open.get((client_id, division))
        if window is None or window.start != start:
            window = Window(start, self.limits.minute_limit, client_id, division)
            self._open[client_id, division] = window
            self.windows.append(window)
        window.limit = self.limits.minute_limit
        return window

    def check_block(self, client_id: str, division: int, endpoint: str) -> None:
        """Raises `ApiError` while the app is blocked for its errors."""
        block = self._blocks.get(self._block_key(client_id, division, endpoint))
        if block is not None and block.until > self.clock():
            self.blocked_answers += 1
            raise ApiError(self.limits.error_block_status, "API error limit exceeded: the API key is temporarily blocked.")

    def _block_key(self, client_id: str, division: int, endpoint: str) -> tuple[str, ...]:
        return (client_id,) if self.block_whole_key else (client_id, str(division), endpoint)

    def count_error(self, client_id: str | None, division: int, endpoint: str, status: int) -> None:
        """Notes an answer. More than ten of 400, 401, 403 and 404 an endpoint within an hour block the app for an hour.

        Each further block lasts twice as long as the one before.
        """
        if status not in COUNTED_ERRORS:
            return
        self.errors_counted += 1
        if client_id is None:
            return
        now = self.clock()
        errors = self._errors.setdefault((client_id, division, endpoint), deque())
        errors.append(now)
        while errors and errors[0] <= now - self.limits.error_seconds:
            errors.popleft()
        if len(errors) > self.limits.error_limit:
            errors.clear()
            self.error_blocks += 1
            key = self._block_key(client_id, division, endpoint)
            times = self._blocks[key].times + 1 if key in self._blocks else 1
            self._blocks[key] = _Block(now + self.limits.error_seconds * 2 ** (times - 1), times)
