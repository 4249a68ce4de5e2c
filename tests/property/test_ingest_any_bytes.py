"""Whatever arrives at the door is answered 200 or 4xx, and whatever is answered 200 can be translated."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ingest_stage import GOLDEN, ingest_stage

from contracts.envelope import Envelope, decode, encode
from contracts.messages import unseal
from ingest.received import UnusableEventError, read_event
from ingest.translate import OBSERVED, Observation, observe

NAMES = sorted(path.name for path in GOLDEN.glob("*.json"))

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
some_ids = st.text(max_size=12) | st.sampled_from(["INV-1", "klant-1"])
resources = st.fixed_dictionaries(
    {},
    optional={
        "id": some_ids | anything,
        "customer_id": some_ids | anything,
        "resource_version": st.integers() | anything,
        "updated_at": st.integers() | anything,
        "deleted": st.booleans() | anything,
        "total": st.integers() | anything,
        "line_items": st.lists(
            st.dictionaries(st.sampled_from(["id", "amount", "tax_rate", "quantity"]), anything, max_size=3), max_size=2
        ),
    },
)
contents = st.dictionaries(
    st.sampled_from([*OBSERVED, "credit_notes", "invoices", "subscription"]),
    resources | st.lists(resources, max_size=2) | anything,
    max_size=3,
)
events = st.fixed_dictionaries(
    {"id": some_ids | anything, "event_type": some_ids | anything, "content": contents | anything},
    optional={"occurred_at": st.integers() | anything, "api_version": anything},
)


@st.composite
def damaged(draw):
    """A real body with a piece cut out, doubled or overwritten."""
    body = (GOLDEN / draw(st.sampled_from(NAMES))).read_bytes()
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 200)))
    return body[:start] + draw(st.binary(max_size=20) | st.just(body[start:end] * 2)) + body[end:]


bodies = st.binary(max_size=300) | damaged() | events.map(lambda event: json.dumps(event, ensure_ascii=True).encode())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(bodies, min_size=1, max_size=5))
async def test_the_door_answers_200_or_4xx_to_any_bytes(tmp_path_factory, several):
    async with ingest_stage("sqlite", tmp_path_factory.mktemp("door")) as stage:
        answers = [await stage.post(body) for body in several]
        assert all(answer.status_code == 200 or 400 <= answer.status_code < 500 for answer in answers)
        stored = {answer.json()["status"] for answer in answers if answer.status_code == 200}
        assert len(await stage.stored()) == sum(answer.json().get("status") == "stored" for answer in answers)
        assert stored <= {"stored", "duplicate"}
        await stage.sealed_facts()


@settings(max_examples=400, deadline=None)
@given(bodies)
def test_what_is_taken_is_read_or_named_unreadable(body):
    try:
        event = read_event(body)
    except UnusableEventError:
        return
    time = datetime(2026, 1, 1, tzinfo=UTC)
    raw = Envelope(
        id="raw",
        type="t",
        version=1,
        source="s",
        subject="site/event/e",
        time=time,
        key="k",
        correlation="raw",
        data=msgspec.Raw(event.body),
    )
    for part in observe(decode(encode(raw))):
        if isinstance(part, Observation):
            assert unseal(decode(encode(part.fact))) == unseal(part.fact)
        else:
            assert part.reason
            assert part.path.startswith("$")
