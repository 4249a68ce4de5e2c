"""The time of a site, which a scenario may move, and the time of the process, which a test may move."""

import time


class Clock:
    """Two times: `now` is what Chargebee writes into documents, `elapsed` is what time-outs are counted in."""

    def __init__(self, start_seconds: int | None = None) -> None:
        self._frozen_ms: int | None = None if start_seconds is None else start_seconds * 1000
        self._skipped_seconds = 0.0

    def now_ms(self) -> int:
        """Milliseconds since 1970 on the site's clock."""
        if self._frozen_ms is not None:
            return self._frozen_ms
        return time.time_ns() // 1_000_000 + int(self._skipped_seconds * 1000)

    def now(self) -> int:
        """Whole seconds since 1970 on the site's clock."""
        return self.now_ms() // 1000

    def advance_to(self, seconds: int) -> None:
        """Move the site's clock forward to that second; a clock that follows the wall clock or is later stays."""
        if self._frozen_ms is not None:
            self._frozen_ms = max(self._frozen_ms, seconds * 1000)

    def elapsed(self) -> float:
        """Seconds on a clock that only idempotency keys, download links and limits are measured with."""
        return time.monotonic() + self._skipped_seconds

    def skip(self, seconds: float) -> None:
        """Let that many seconds pass at once, on both times."""
        self._skipped_seconds += seconds
        if self._frozen_ms is not None:
            self._frozen_ms += int(seconds * 1000)
