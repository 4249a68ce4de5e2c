"""Webhooks never cost more calls than asking at the interval would have: whatever is heard, and whenever."""

from hypothesis import given, settings
from hypothesis import strategies as st

from exact_writer import polling
from exact_writer.polling import Polling

POLL_SECONDS = 30.0
DAY_LIMIT = 5_000
DEAREST = 4
# What a moment brings: how long after the last one, whether something is hinted at, and how many calls reading it takes.
MOMENTS = st.lists(
    st.tuples(st.sampled_from((0.5, 3.0, 12.0, 40.0)), st.booleans(), st.integers(1, DEAREST), st.booleans()),
    min_size=50,
    max_size=300,
)


def asked_at_the_interval(until):
    """How many polls a writer without webhooks makes."""
    state, now, calls = polling.polled(Polling(), POLL_SECONDS, DAY_LIMIT, 1.0, backlog=False), 1.0, 1
    while True:
        now = polling.poll_due_at(state, POLL_SECONDS, DAY_LIMIT, backlog=False) or now
        if now > until:
            return calls
        state = polling.polled(state, POLL_SECONDS, DAY_LIMIT, now, backlog=False)
        calls += 1


@settings(max_examples=40, deadline=None)
@given(MOMENTS, st.booleans())
def test_hints_cost_at_most_what_the_polls_would_have_cost(moments, listens):
    state, now, calls = polling.polled(Polling(), POLL_SECONDS, DAY_LIMIT, 1.0, backlog=False), 1.0, 1
    for passed, hinted, price, is_payment in moments:
        now += passed
        due = polling.poll_due_at(state, POLL_SECONDS, DAY_LIMIT, backlog=False, listens=listens)
        hinted_due = polling.hinted_due_at(state, POLL_SECONDS, DAY_LIMIT, backlog=False)
        if (due is not None and due <= now) or (hinted and is_payment and hinted_due is not None and hinted_due <= now):
            state = polling.polled(state, POLL_SECONDS, DAY_LIMIT, now, backlog=False)
            calls += 1
        elif hinted and hinted_due is not None and hinted_due <= now:
            state = polling.asked(state, POLL_SECONDS, DAY_LIMIT, now, backlog=False, calls=price)
            calls += price
    # What takes several calls may be that much ahead of what was earned.
    assert calls <= asked_at_the_interval(now) + DEAREST


def test_a_reading_of_hundreds_of_pages_keeps_payments_waiting_for_half_an_hour_at_most_when_nothing_is_saved_up():
    state = Polling(last_at=1_000.0, polled_at=1_000.0, saved_up=0.0)
    state = polling.asked(state, POLL_SECONDS, DAY_LIMIT, 1_030.0, backlog=False, calls=400)
    due = polling.poll_due_at(state, POLL_SECONDS, DAY_LIMIT, backlog=False)
    assert due is not None
    assert due - 1_030.0 < 2_000.0
    state = polling.asked(Polling(last_at=1.0, writes_since=200), POLL_SECONDS, DAY_LIMIT, 2.0, backlog=True, calls=400)
    for _ in range(11 * polling.BACKLOG_WRITES_PER_POLL):
        state = polling.wrote(state)
    assert polling.poll_due_at(state, POLL_SECONDS, DAY_LIMIT, backlog=True) is not None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=300, max_size=3_000))
def test_in_a_backlog_hints_take_at_most_one_call_in_two_hundred(hinted):
    state, now, calls = Polling(last_at=1.0, polled_at=1.0, purse=polling.LARGEST_PURSE), 1.0, 0
    for each in hinted:
        now += 1.0
        state = polling.wrote(state)
        at = polling.hinted_due_at(state, POLL_SECONDS, DAY_LIMIT, backlog=True)
        if each and at is not None and at <= now:
            state = polling.polled(state, POLL_SECONDS, DAY_LIMIT, now, backlog=True)
            calls += 1
    assert calls <= len(hinted) / polling.BACKLOG_WRITES_PER_POLL + polling.LARGEST_PURSE
