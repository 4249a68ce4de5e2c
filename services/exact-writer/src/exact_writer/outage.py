"""A time in which Exact does not work with us: logged when it begins and when it is over, and not at each try in between."""

from __future__ import annotations

from backbone.clock import Clock
from backbone.telemetry import Telemetry, log


class Outage:
    """What stands in the way of all calls of one division, if anything does."""

    def __init__(self, division: int, clock: Clock, telemetry: Telemetry) -> None:
        self._division = division
        self._clock = clock
        self._telemetry = telemetry
        self._began_at = 0.0
        self._tries = 0
        self._told: set[str] = set()

    def failed(self, kind: str, reason: str) -> None:
        """A try that brought nothing; each kind of reason is logged once."""
        self._telemetry.count("exact_tries_in_vain", division=str(self._division), kind=kind)
        if self._tries == 0:
            self._began_at = self._now()
        self._tries += 1
        if kind not in self._told:
            self._told.add(kind)
            log.warning("Exact does not work with us for now", division=self._division, kind=kind, reason=reason)

    def over(self) -> None:
        """Exact did what it was asked."""
        if self._tries:
            seconds = round(self._now() - self._began_at, 1)
            log.info("Exact works with us again", division=self._division, after_seconds=seconds, tries_in_vain=self._tries)
        self._tries = 0
        self._told.clear()

    def _now(self) -> float:
        return self._clock.now().timestamp()
