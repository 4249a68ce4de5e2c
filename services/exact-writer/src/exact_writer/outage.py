"""A time in which Exact does not work with us: logged when it begins and when it is over, and not at each try in between."""

from __future__ import annotations

from backbone.clock import Clock
from backbone.telemetry import Telemetry, log

TOLD_AFTER_SECONDS = 120.0  # an answer that is late, or a restart on Exact's side, is nobody's news


class Outage:
    """What stands in the way of all calls of one division, if anything does."""

    def __init__(self, division: int, clock: Clock, telemetry: Telemetry) -> None:
        self._division = division
        self._clock = clock
        self._telemetry = telemetry
        self._began_at = 0.0
        self._away_since: float | None = None
        self._tries = 0
        self._told: set[str] = set()

    def failed(self, kind: str, reason: str, *, is_away: bool = False) -> None:
        """A try that brought nothing, as Exact is away or refuses; each kind of reason is logged once."""
        self._telemetry.count("exact_tries_in_vain", division=str(self._division), kind=kind)
        if self._tries == 0:
            self._began_at = self._now()
        self._tries += 1
        if not is_away:
            self._away_since = None
        elif self._away_since is None:
            self._away_since = self._now()
        if kind not in self._told:
            self._told.add(kind)
            log.warning("Exact does not work with us for now", division=self._division, kind=kind, reason=reason)

    @property
    def is_told_since(self) -> float | None:
        """Since when Exact is away, once that is long enough for people to know."""
        since = self._away_since
        return since if since is not None and self._now() - since >= TOLD_AFTER_SECONDS else None

    def over(self) -> None:
        """Exact did what it was asked."""
        if self._tries:
            seconds = round(self._now() - self._began_at, 1)
            log.info("Exact works with us again", division=self._division, after_seconds=seconds, tries_in_vain=self._tries)
        self._tries, self._away_since = 0, None
        self._told.clear()

    def _now(self) -> float:
        return self._clock.now().timestamp()
