"""What `kruispost matches` says where it cannot be done."""

from __future__ import annotations

from backbone.errors import KruispostError


class MatchesError(KruispostError):
    """What was asked of `kruispost matches` cannot be done; the sentence says why."""
