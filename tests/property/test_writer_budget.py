"""Exact's limits are never exceeded, whatever the latencies, the lost answers, the clocks and the restarts; and they are used."""

from __future__ import annotations

import math
from email.utils import formatdate

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exact_writer import budget as rules
from exact_writer.budget import Budget, Send, WaitUntil

START = 1_773_136_800.0  # a whole minute
LONGEST = 6.0  # seconds that a lost request may still take to arrive


class Server:
    """Counts calls in fixed windows of its own clock, as Exact does."""

    def __init__(self, limit: int, minute: float, day_limit: int) -> None:
        self.limit, self.minute, self.day_limit = limit, minute, day_limit
        self.used: dict[int, int] = {}
        self.today: dict[int, int] = {}

    def take(self, at: float) -> dict[str, str]:
        """Process a call at an instant of the server's clock; returns the headers of the answer."""
        window, day = math.floor(at / self.minute), math.floor(at / 86_400)
        self.used[window] = self.used.get(window, 0) + 1
        self.today[day] = self.today.get(day, 0) + 1
        return {
            "X-RateLimit-Limit": str(self.day_limit),
            "X-RateLimit-Remaining": str(max(0, self.day_limit - self.today[day])),
            "X-RateLimit-Reset": str((day + 1) * 86_400_000),
            "X-RateLimit-Minutely-Limit": str(self.limit),
            "X-RateLimit-Minutely-Remaining": str(max(0, self.limit - self.used[window])),
            "X-RateLimit-Minutely-Reset": str(round((window + 1) * self.minute * 1000)),
            "Date": formatdate(at, usegmt=True),
        }


CALLS = st.lists(
    st.tuples(
        st.sampled_from(["answered", "answered", "answered", "lost", "restart"]),
        st.floats(0.001, 3.0),  # until Exact processes it
        st.floats(0.001, 3.0),  # until the answer is here
    ),
    min_size=1,
    max_size=120,
)


# A call that was lost and comes after the next answer was written, which is itself slow to arrive.
LATE = [("answered", 1.0, 1.0), ("lost", 1.0, 3.0), ("answered", 1.0, 0.5), ("answered", 2.0, 3.0), ("answered", 1.0, 1.0)]


@example(calls=LATE, limit=5, day_limit=5, ahead=1.0, offset=0.0)
@example(calls=LATE, limit=4, day_limit=60, ahead=1.0, offset=0.0)
@settings(max_examples=400, deadline=None)
@given(
    calls=CALLS,
    limit=st.integers(2, 12),
    day_limit=st.integers(5, 60),
    ahead=st.floats(-120.0, 120.0) | st.floats(-6.0, 6.0),
    offset=st.floats(0, 60),
)
def test_no_window_ever_holds_more_calls_than_its_limit(
    calls: list[tuple[str, float, float]], limit: int, day_limit: int, ahead: float, offset: float
) -> None:
    server, known, now = Server(limit, 60.0, day_limit), Budget(), START + offset
    late: list[float] = []  # calls without an answer arrive on their own time
    for outcome, out, back in [("answered", 0.1, 0.1), *calls]:  # before any answer nobody can know the limits
        known, now = _allowed(known, now)
        known = rules.sent(known, now)
        processed_at = now + out
        if outcome == "answered":
            for arrival in [at for at in late if at <= processed_at]:
                server.take(arrival - ahead)
                late.remove(arrival)
            headers = server.take(processed_at - ahead)
            now = processed_at + back
            known = rules.answered(known, headers, now)
            continue
        late.append(processed_at + back)
        if outcome == "lost":
            known = rules.lost(known, now + LONGEST)
        else:
            known = rules.restored(msgspec.json.decode(msgspec.json.encode(known), type=Budget), now + LONGEST)
    for arrival in late:
        server.take(arrival - ahead)
    assert max(server.used.values()) <= limit
    assert max(server.today.values()) <= day_limit


@pytest.mark.parametrize("minute", [60.0, 1.0])
def test_every_full_window_is_used_to_the_last_call(minute: float) -> None:
    server, known, now = Server(60, minute, 1_000_000), Budget(), START + 0.4 * minute
    latency = minute / 120
    while now < START + 12 * minute:
        known, now = _allowed(known, now)
        known = rules.sent(known, now)
        headers = server.take(now + latency / 2)
        now += latency
        known = rules.answered(known, headers, now)
    full = sorted(server.used)[4:-1]  # before that it learns how long a window is
    assert full
    assert [server.used[window] for window in full] == [60] * len(full)


@pytest.mark.parametrize("ahead", [-40.0, -3.0, -0.4, 0.0, 0.4, 3.0, 40.0])
@pytest.mark.parametrize("latency", [0.05, 0.3, 0.9])
def test_a_minute_is_used_to_the_last_call_whatever_our_clock_shows(ahead: float, latency: float) -> None:
    server, known, now = Server(60, 60.0, 1_000_000), Budget(), START + 17.0
    while now < START + 600:
        known, now = _allowed(known, now)
        known = rules.sent(known, now)
        headers = server.take(now + latency / 2 - ahead)
        now += latency
        known = rules.answered(known, headers, now)
    full = sorted(server.used)[1:-1]
    assert full
    assert [server.used[window] for window in full] == [60] * len(full)


def test_the_first_call_goes_alone_and_nothing_is_assumed_about_the_limits() -> None:
    known = rules.sent(Budget(), START)
    assert isinstance(rules.decide(known, START), WaitUntil)
    told = rules.answered(known, Server(7, 60.0, 100).take(START), START + 0.1)
    assert isinstance(rules.decide(told, START + 0.1), Send)
    assert told.minute is not None
    assert told.minute.remaining == 6


def test_a_refusal_shows_only_the_limit_that_was_hit_and_the_other_stays_known() -> None:
    told = rules.answered(rules.sent(Budget(), START), Server(60, 60.0, 5_000).take(START), START + 0.1)
    headers = {
        "X-RateLimit-Limit": "5000",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(round((START + 3_600) * 1000)),
    }
    refused = rules.refused(rules.sent(told, START + 1), headers, START + 1)
    waiting = rules.decide(refused, START + 1)
    assert isinstance(waiting, WaitUntil)
    assert waiting.at >= START + 3_600
    assert refused.minute is not None
    assert refused.minute.limit == 60


def test_a_refusal_without_headers_waits_out_a_minute() -> None:
    refused = rules.refused(rules.sent(Budget(), START), {}, START)
    assert rules.decide(refused, START + 59) == WaitUntil(at=START + 60, why="refused")


def test_a_clock_far_ahead_waits_for_exacts_own() -> None:
    ahead = 30.0
    server = Server(1, 60.0, 1_000)
    headers = server.take(START + 10)
    told = rules.answered(rules.sent(Budget(), START + 10 + ahead), headers, START + 10.2 + ahead)
    waiting = rules.decide(told, START + 10.2 + ahead)
    assert isinstance(waiting, WaitUntil)
    assert waiting.at - ahead >= START + 60


def _allowed(known: Budget, now: float) -> tuple[Budget, float]:
    """Wait as the rules say."""
    for _ in range(10_000):
        decision = rules.decide(known, now)
        if isinstance(decision, Send):
            return known, now
        assert decision.at > now
        now = decision.at
    raise AssertionError("the budget never allows a call again")
