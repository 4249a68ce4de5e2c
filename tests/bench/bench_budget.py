"""Share of the allowed calls that the budget's rules use in each full minute of a backlog, at three answer times.

In virtual time: the writer's own rules against the counting gate of the Exact stand-in, one call at a time, minutes of sixty
seconds. What the writer does between two calls is not in it; bench_calls measures the whole writer, in shorter windows.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

from exact_writer import budget as rules
from exact_writer.budget import Budget, WaitUntil
from simulators.exact.limits import Gate, Limits
from simulators.exact.settings import ExactSettings

START = 1_773_136_817.0  # seventeen seconds into a minute
MINUTES = 70  # of sixty calls: below the day's limit
ANSWER_MS = (50, 300, 900)


def used_share(answer_seconds: float) -> float:
    """Make calls back to back for as long as the rules allow; the share used of the full minutes, which are all but both ends."""
    now = START
    gate = Gate(Limits.of(ExactSettings()), lambda: now, block_whole_key=True)
    known, end = Budget(), START + MINUTES * 60.0
    while now < end:
        decision = rules.decide(known, now)
        if isinstance(decision, WaitUntil):
            now = decision.at
            continue
        known = rules.sent(known, now)
        now += answer_seconds / 2
        headers = {**gate.admit("app", 1), "Date": formatdate(now, usegmt=True)}  # raises when a call is refused
        now += answer_seconds / 2
        known = rules.answered(known, headers, now)
    # By the clock and not by the windows that saw a call, so that a minute without any counts as unused.
    full = [window.used for window in gate.windows if START <= window.start <= end - 60.0]
    return sum(full) / (gate.limits.minute_limit * (MINUTES - 1))


def measure() -> dict[str, dict[str, Any]]:
    """Return one figure an answer time; a refused call ends the measurement with an error."""
    shares = {milliseconds: used_share(milliseconds / 1_000) for milliseconds in ANSWER_MS}
    return {
        f"rules_budget_used_share_{milliseconds}ms": {"value": share, "unit": "of full minutes", "ceiling": 1.0, "ratio": share}
        for milliseconds, share in shares.items()
    }
