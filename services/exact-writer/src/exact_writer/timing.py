"""How long a call may last, and when one without an answer is looked up."""

from __future__ import annotations

import msgspec

from backbone.settings import Settings

LONGEST_PER_TIMEOUT = 2.0  # Exact may go on working on a request that we no longer wait for
LATEST_START_SHARE = 0.25
LOCK_CHECK_SECONDS = 5.0
FIRST_LOOK_SHARE = 0.05


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """`timeout_seconds` is how long an answer is waited for."""

    timeout_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Timing:
        """The timing that the settings ask for."""
        return cls(timeout_seconds=settings.exact_timeout_seconds)

    @property
    def longest_request_seconds(self) -> float:
        """How long after it was sent a call without an answer has surely had its effect, or never will."""
        return self.timeout_seconds * LONGEST_PER_TIMEOUT

    @property
    def latest_start_seconds(self) -> float:
        """How long after it was noted a call may still leave: a process that was paused in between must not send it.

        No longer than a new holder keeps quiet, who may have come in the moment after.
        """
        return min(self.timeout_seconds * LATEST_START_SHARE, self.quiet_seconds)

    @property
    def quiet_seconds(self) -> float:
        """How long a new holder makes no call when its predecessor left one unanswered: until that one knows it lost the lock."""
        return min(2 * LOCK_CHECK_SECONDS, self.longest_request_seconds)

    def quiet_after(self, slowest_answer_seconds: float) -> float:
        """The same where Exact was so slow lately: one that hangs gives nothing up, so that its call has to end by itself."""
        return max(self.quiet_seconds, min(2 * slowest_answer_seconds, self.longest_request_seconds))

    @property
    def first_look_seconds(self) -> float:
        """When an unanswered call is looked up first: what is found early is found, and only what is not is looked for again."""
        return self.longest_request_seconds * FIRST_LOOK_SHARE
