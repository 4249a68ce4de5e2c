"""What becomes of a message that failed."""

from __future__ import annotations

import pytest

from backbone.errors import Backpressure, Permanent, Transient
from backbone.retries import Bury, DeadLetterLimit, Retry, after_failure
from contracts.topology import Queue

QUEUE = Queue(name="q", owner="test", bindings=(), single_active=True, retry_delays_seconds=(1, 5, 30))


@pytest.mark.parametrize(
    ("error", "attempt", "outcome"),
    [
        (Permanent("no_vat_code", "Add the code."), 1, Bury("no_vat_code", "Add the code.")),
        (Permanent("no_vat_code", "Add the code."), 9, Bury("no_vat_code", "Add the code.")),
        (Transient(), 1, Retry(1)),
        (Transient(), 3, Retry(30)),
        (Transient(), 99, Retry(30)),
        (Transient(0), 1, Retry(1)),
        (Transient(2), 1, Retry(5)),
        (Transient(5), 1, Retry(5)),
        (Transient(3600), 1, Retry(30)),
        (Backpressure(2), 7, Retry(5)),
        (ValueError("x"), 1, Retry(1)),
        (ValueError("x"), 3, Retry(30)),
    ],
)
def test_the_kind_of_the_error_decides(error, attempt, outcome):
    assert after_failure(error, attempt, QUEUE) == outcome


def test_an_unknown_error_is_buried_with_its_words_when_the_delays_are_used_up():
    outcome = after_failure(ValueError("the reason"), 4, QUEUE)
    assert isinstance(outcome, Bury)
    assert "ValueError: the reason" in outcome.sentence


def test_only_dead_letters_in_a_row_stop_a_line():
    limit = DeadLetterLimit(2)
    limit.buried()
    limit.handled()
    limit.buried()
    reached = [limit.reached]
    limit.buried()
    reached.append(limit.reached)
    assert reached == [False, True]
    assert "work.dead" in limit.complaint("work")
