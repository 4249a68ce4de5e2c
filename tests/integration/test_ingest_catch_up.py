"""What no webhook brought is asked of Chargebee: the same facts, whatever was dropped, doubled or out of order."""

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from support.chargebee_shop import STARTED_AT, bill, stock
from support.chargebee_sim import RunningChargebee, running_chargebee
from support.engines import DATABASES
from support.ingest_stage import SITE, Stage, ingest_stage
from support.newest_facts import live, told

from backbone.clock import ManualClock, SystemClock
from backbone.telemetry import Telemetry
from ingest.backfill import Backfill
from ingest.catch_up import LAG_SECONDS, CatchUp, OutOfOrderError
from ingest.events_api import ChargebeeEvents, EventsError, ListedEvent, Page
from simulators.chargebee.settings import ChargebeeSettings


class Site:
    """A Chargebee site, an ingest, and the catching up between them, on clocks that only the tests move."""

    def __init__(self, chargebee: RunningChargebee, ingest: Stage) -> None:
        self.chargebee, self.ingest = chargebee, ingest
        self.clock = ManualClock(datetime.fromtimestamp(STARTED_AT, UTC))
        self.catch_up = self.with_api(ChargebeeEvents(api_key="test_key", base_url=chargebee.url, telemetry=Telemetry()))

    def with_api(self, api: Any) -> CatchUp:
        return CatchUp(self.ingest.database, self.ingest.store, api, self.clock, Telemetry(), sites=(SITE,), every_seconds=300)

    def pass_time(self, seconds: int = 3_600) -> None:
        self.clock.advance(seconds)
        self.chargebee.app.site.clock.advance_to(int(self.clock.now().timestamp()))


@pytest.fixture(params=DATABASES)
async def site(request, tmp_path: Path):
    async with (
        running_chargebee(ChargebeeSettings(started_at=STARTED_AT)) as chargebee,
        ingest_stage(request.param, tmp_path) as ingest,
    ):
        stock(chargebee.app)
        yield Site(chargebee, ingest)


@pytest.mark.parametrize("seed", range(3))
async def test_ten_per_cent_dropped_the_rest_doubled_and_disordered_end_in_the_same_facts(tmp_path, seed):
    chance = random.Random(seed)
    async with running_chargebee(ChargebeeSettings(started_at=STARTED_AT)) as chargebee:
        stock(chargebee.app)
        async with ingest_stage("sqlite", tmp_path / "whole") as whole, ingest_stage("sqlite", tmp_path / "holes") as ingest:
            site = Site(chargebee, ingest)
            site.pass_time()
            await site.catch_up.catch_up(SITE)
            before = len(chargebee.app.site.events)
            live(chargebee.app, 60)
            site.clock.advance(chargebee.app.site.clock.now() - site.clock.now().timestamp() + LAG_SECONDS + 1)
            events = chargebee.app.site.events[before:]
            await whole.accept(*events)
            delivered = [event for event in events if chance.random() > 0.1]
            delivered += chance.sample(delivered, len(delivered) // 5)
            chance.shuffle(delivered)
            await ingest.accept(*delivered)
            found = await site.catch_up.catch_up(SITE)
            assert found == len(events) - len({event["id"] for event in delivered}) > 0
            assert told(await ingest.facts()) == told(await whole.facts())
            assert await site.catch_up.catch_up(SITE) == 0, "a second look finds nothing new"


async def test_a_site_is_caught_up_with_from_its_first_start_and_not_before(site):
    bill(site.chargebee.app)
    site.pass_time()
    assert await site.catch_up.catch_up(SITE) == 0
    site.pass_time(700)
    invoice = bill(site.chargebee.app)
    site.pass_time()
    assert await site.catch_up.catch_up(SITE) > 0
    assert {fact.resource.id for fact in await site.ingest.facts() if fact.TYPE.endswith("invoice.observed")} == {invoice["id"]}


async def test_after_more_than_ninety_days_the_rest_comes_in_and_the_log_names_the_backfill_of_what_is_gone(site):
    await site.catch_up.catch_up(SITE)
    site.pass_time(700)
    gone = bill(site.chargebee.app)
    site.pass_time(100 * 86_400)
    kept = bill(site.chargebee.app)
    site.pass_time()
    with capture_logs() as logs:
        await site.catch_up.catch_up(SITE)
    assert {fact.resource.id for fact in await site.ingest.facts() if fact.TYPE.endswith("invoice.observed")} == {kept["id"]}
    [told] = [entry for entry in logs if "command" in entry]
    assert told["command"] == f"kruispost backfill --from 2026-09-20 --site {SITE}"
    backfill = Backfill(site.ingest.database, site.catch_up._api, SystemClock())
    await backfill.run(SITE, STARTED_AT - 86_400, STARTED_AT + 1_000, store=True)
    assert {fact.resource.id for fact in await site.ingest.facts() if fact.TYPE.endswith("invoice.observed")} == {
        gone["id"],
        kept["id"],
    }


async def test_many_pages_are_read_and_a_failure_between_them_goes_on_where_it_was(site):
    await site.catch_up.catch_up(SITE)
    live(site.chargebee.app, 120)
    site.clock.advance(site.chargebee.app.site.clock.now() - STARTED_AT + 120)
    inner = ChargebeeEvents(api_key="test_key", base_url=site.chargebee.url, telemetry=Telemetry())

    class FailsOnce:
        """Fails at the second page."""

        pages = 0

        async def events(self, name: str, after: int, before: int, offset: str | None) -> Page:
            self.pages += 1
            if self.pages == 2:
                raise EventsError("away")
            return await inner.events(name, after, before, offset)

    catching = site.with_api(FailsOnce())
    with pytest.raises(EventsError):
        await catching.catch_up(SITE)
    stored = len(await site.ingest.stored())
    assert 0 < stored < len(site.chargebee.app.site.events)
    await catching.catch_up(SITE)
    identities = {event["id"] for event in site.chargebee.app.site.events if event["occurred_at"] >= STARTED_AT + 1}
    assert {envelope.subject.rpartition("/")[2] for envelope in await site.ingest.stored()} >= identities


class Answers:
    """An API that gives what a test says."""

    def __init__(self, *events: ListedEvent) -> None:
        self.given = events

    async def events(self, _site: str, _after: int, _before: int, _offset: str | None) -> Page:
        return Page(self.given, None)


def listed(number: int, occurred_at: int) -> ListedEvent:
    return ListedEvent(f"ev_{number}", occurred_at, b'{"id": "ev_%d", "event_type": "invoice_updated", "content": {}}' % number)


@pytest.mark.parametrize("times", [(900, 800), (100_000,), (-100_000,)], ids=["newest first", "too new", "too old"])
async def test_a_list_in_another_order_or_range_concludes_nothing(site, times):
    await site.catch_up.catch_up(SITE)
    site.pass_time()
    answers = Answers(*(listed(number, STARTED_AT + each) for number, each in enumerate(times)))
    with pytest.raises(OutOfOrderError):
        await site.with_api(answers).catch_up(SITE)
    bill(site.chargebee.app)
    site.pass_time()
    assert await site.catch_up.catch_up(SITE) > 0, "the window is looked at again"


async def test_an_event_that_cannot_be_stored_stops_no_other(site):
    await site.catch_up.catch_up(SITE)
    site.pass_time()
    odd = ListedEvent("ev_odd", STARTED_AT + 10, b'{"id": "ev_odd"}')
    assert await site.with_api(Answers(odd, listed(1, STARTED_AT + 20))).catch_up(SITE) == 1


@pytest.mark.parametrize(("wish", "pause"), [(7, 7), (None, 60)])
async def test_while_chargebee_refuses_the_window_waits_as_long_as_it_says_and_stays_open(site, wish, pause):
    class Away:
        async def events(self, _site: str, _after: int, _before: int, _offset: str | None) -> Page:
            raise EventsError("Chargebee answered 401 (api_authentication_failed)", is_denied=True, retry_after_seconds=wish)

    await site.catch_up.catch_up(SITE)
    site.pass_time()
    invoice = bill(site.chargebee.app)
    site.pass_time()
    assert await site.with_api(Away())._look(SITE) == pause
    assert await site.catch_up._look(SITE) == 300
    assert invoice["id"] in {fact.resource.id for fact in await site.ingest.facts()}


async def test_the_limit_of_chargebee_is_waited_out(site):
    await site.catch_up.catch_up(SITE)
    site.pass_time()
    async with httpx.AsyncClient(base_url=site.chargebee.url) as client:
        fault = {"fault": "rate_limit", "path_contains": "events"}
        answer = await client.post("/_simulator/faults", json=fault)
    assert answer.is_success, answer.text
    with pytest.raises(EventsError) as caught:
        await site.catch_up.catch_up(SITE)
    assert "429" in caught.value.message
    await site.catch_up.catch_up(SITE)
