"""Documents of the past are fetched from Chargebee: the same facts as webhooks made, a plan first, and again without harm."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.chargebee_shop import STARTED_AT, bill, stock
from support.chargebee_sim import RunningChargebee, running_chargebee
from support.command_line import kruispost, kruispost_here
from support.engines import BROKER_BESIDE, DATABASES, broker_for, settings_for
from support.ingest_stage import SITE, Stage, ingest_stage
from support.lines import Notebook
from support.mapper_stage import configured
from support.newest_facts import live, told

from backbone.broker import Broker
from backbone.clock import SystemClock
from backbone.database import Database
from backbone.migrations import migrate
from backbone.relay import Relay
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from contracts.facts import InvoiceObserved
from contracts.topology import topology
from ingest.backfill import Backfill, BackfillError
from ingest.backfill_command import alone, calls_by_mode
from ingest.backfill_progress import DONE, PAUSED, Count, PausedError, begun, lines_of, lock_of, set_state
from ingest.events_api import ChargebeeEvents, EventsError
from simulators.chargebee.catalogue import create_customer, create_subscription, delete_customer, update_subscription
from simulators.chargebee.invoices import delete_invoice
from simulators.chargebee.settings import ChargebeeSettings

EVER = (STARTED_AT - 1, STARTED_AT + 1_000_000)


def fetching(ingest: Stage, api: Any) -> Backfill:
    return Backfill(ingest.database, api, SystemClock())


def events_of(chargebee: RunningChargebee) -> ChargebeeEvents:
    return ChargebeeEvents(api_key="test_key", base_url=chargebee.url, telemetry=Telemetry())


def new(counts: list[Count]) -> dict[str, int]:
    return {count.kind: count.new for count in counts if count.new}


def subscribe_and_leave(app: Any) -> None:
    """One subscription is changed, and another goes with its customer."""
    create_subscription(app.site, "cust-1", "sub-1", {"cf_cost_center": "North"})
    update_subscription(app.site, "sub-1", {"cf_cost_center": "South"})
    create_customer(app.site, "cust-2", {})
    create_subscription(app.site, "cust-2", "sub-2", {"cf_cost_center": "North"})
    delete_customer(app.site, "cust-2")


class Recording:
    """Chargebee's lists, and which kinds were asked for; with `loses_places` it takes no offset of another one's."""

    def __init__(self, inner: Any, *, loses_places: bool = False) -> None:
        self.kinds: list[str] = []
        self._inner = inner
        self._given: set[str | None] = {None}
        self._loses_places = loses_places

    async def resources(self, site: str, kind: str, params: dict[str, Any], offset: str | None) -> Any:
        self.kinds.append(kind)
        if self._loses_places and offset not in self._given:
            raise EventsError("Chargebee answered 400 (param_wrong_value)", code="param_wrong_value")
        page = await self._inner.resources(site, kind, params, offset)
        self._given.add(page[1])
        return page


@pytest.fixture
async def chargebee():
    async with running_chargebee(ChargebeeSettings(started_at=STARTED_AT)) as running:
        stock(running.app)
        yield running


@pytest.fixture(params=DATABASES)
async def ingest(request, tmp_path: Path):
    async with ingest_stage(request.param, tmp_path) as stage:
        yield stage


@pytest.mark.parametrize("dialect", DATABASES)
async def test_an_ingest_that_knows_nothing_comes_to_what_the_webhooks_would_have_told(chargebee, tmp_path, dialect):
    live(chargebee.app, 120)
    delete_invoice(chargebee.app.site, bill(chargebee.app)["id"])
    subscribe_and_leave(chargebee.app)
    async with ingest_stage(dialect, tmp_path / "lost") as lost, ingest_stage("sqlite", tmp_path / "whole") as whole:
        await whole.accept(*chargebee.app.site.events)
        backfill = fetching(lost, events_of(chargebee))
        plan = await backfill.run(SITE, *EVER, store=False)
        assert await lost.stored() == [], "a plan writes nothing"
        assert (new(plan)["invoice"], new(plan)["subscription"]) == (121, 3)
        done = await backfill.run(SITE, *EVER, store=True)
        assert new(done) == new(plan)
        assert told(await lost.facts()) == told(await whole.facts())
        assert new(await backfill.run(SITE, *EVER, store=True)) == {}, "a second time finds nothing new"
        assert new(await fetching(whole, events_of(chargebee)).run(SITE, *EVER, store=False)) == {}, "nor where webhooks told all"


async def test_documents_are_taken_by_their_date_and_what_they_refer_to_whole(chargebee, ingest):
    old = bill(chargebee.app)
    chargebee.app.site.clock.advance_to(STARTED_AT + 500)
    wanted = bill(chargebee.app)
    chargebee.app.site.clock.advance_to(STARTED_AT + 1_000)
    late = bill(chargebee.app)
    done = await fetching(ingest, events_of(chargebee)).run(SITE, STARTED_AT + 500, STARTED_AT + 1_000, store=True)
    assert new(done) == {"customer": 1, "item": 1, "item_price": 1, "invoice": 1}
    invoices = {fact.resource.id for fact in await ingest.facts() if fact.TYPE.endswith("invoice.observed")}
    assert invoices == {wanted["id"]}, f"neither {old['id']} nor {late['id']}"


async def test_one_that_broke_off_goes_on_when_it_is_started_again(chargebee, ingest):
    live(chargebee.app, 150)
    inner = events_of(chargebee)

    class FailsLater:
        """Goes away at the second page of invoices, for good; a failure that passes is waited out before."""

        passing = 1

        async def resources(self, site: str, kind: str, params: dict[str, Any], offset: str | None) -> Any:
            if kind == "invoice" and self.passing:
                self.passing -= 1
                raise EventsError("Chargebee answered 429", retry_after_seconds=0.001)
            if kind == "invoice" and offset is not None:
                raise EventsError("away", retry_after_seconds=0.001)
            return await inner.resources(site, kind, params, offset)

    with pytest.raises(BackfillError, match="start the same backfill again"):
        await fetching(ingest, FailsLater()).run(SITE, *EVER, store=True)
    asked = Recording(inner)
    assert new(await fetching(ingest, asked).run(SITE, *EVER, store=True))["invoice"] == 150, (
        "with the page that was stored before"
    )
    assert asked.kinds == ["invoice", "credit_note", "transaction"], "what was fetched is not asked for again"
    invoices = {fact.resource.id for fact in await ingest.facts() if fact.TYPE.endswith("invoice.observed")}
    assert len(invoices) == 150
    assert new(await fetching(ingest, inner).run(SITE, *EVER, store=True)) == {}


@pytest.mark.parametrize("dialect", DATABASES)
async def test_one_that_was_paused_goes_on_where_it_was_also_when_chargebee_forgot_the_place(chargebee, tmp_path, dialect):
    live(chargebee.app, 150)
    async with ingest_stage(dialect, tmp_path) as ingest:
        inner = events_of(chargebee)

        class PausesAtInvoices(Recording):
            async def resources(self, site: str, kind: str, params: dict[str, Any], offset: str | None) -> Any:
                if kind == "invoice" and offset is None:
                    await set_state(ingest.database, [SITE], PAUSED)
                return await super().resources(site, kind, params, offset)

        with pytest.raises(PausedError):
            await fetching(ingest, PausesAtInvoices(inner)).run(SITE, *EVER, store=True)
        (here,) = await begun(ingest.database, [SITE])
        invoices = next(place for place in here.kinds if place.count.kind == "invoice")
        assert (here.state, invoices.count.listed, invoices.is_done) == (PAUSED, 100, False)
        assert 0 < here.share(("invoice",)) < 1
        text = "\n".join(lines_of(here, ("invoice",), 0, ZoneInfo("Europe/Amsterdam")))
        assert "paused" in text
        assert "invoice: 100 listed, 100 of them new here, up to 2026-" in text
        done = await fetching(ingest, Recording(inner, loses_places=True)).run(SITE, *EVER, store=True)
        assert new(done)["invoice"] == 150
        found = [fact.resource.id for fact in await ingest.facts() if isinstance(fact, InvoiceObserved)]
        assert (len(found), len(set(found))) == (150, 150)
        (here,) = await begun(ingest.database, [SITE])
        assert here.state == DONE


@pytest.mark.parametrize("dates", [(900, 800), (2_000_000,), (-100_000,)], ids=["newest first", "too new", "too old"])
async def test_a_list_in_another_order_or_range_is_told_and_not_trusted(ingest, dates):
    class Answers:
        async def resources(self, _site: str, kind: str, _params: dict[str, Any], _offset: str | None) -> Any:
            return ([{"id": str(each), "date": STARTED_AT + each} for each in dates] if kind == "invoice" else []), None

    with pytest.raises(BackfillError, match="order or the range"):
        await fetching(ingest, Answers()).run(SITE, *EVER, store=True)
    assert await ingest.stored() == []


async def test_a_site_on_the_first_product_catalog_gives_plans_and_no_items(ingest):
    async with running_chargebee(ChargebeeSettings(started_at=STARTED_AT, product_catalog="1.0")) as chargebee:
        stock(chargebee.app)
        assert new(await fetching(ingest, events_of(chargebee)).run(SITE, *EVER, store=True)) == {"customer": 1}


async def published(database: Database, broker: Broker, count: int) -> Counter[str]:
    """Publish what ingest tells, and hear it in all of the mapper's queues; how often each of these came."""
    notebook, queues = Notebook(), topology([]).queues
    for queue in queues:
        if queue.name.startswith("mapper."):
            await broker.consume(queue, notebook)
    stop = asyncio.Event()
    relaying = asyncio.create_task(Relay(database, broker, SystemClock()).run(stop))
    await notebook.wait_for(count)
    stop.set()
    await relaying
    return Counter(notebook.ids)


@pytest.mark.parametrize("dialect", DATABASES)
async def test_the_command_plans_first_and_fetches_when_told_to(chargebee, dialect, tmp_path):
    live(chargebee.app, 5)
    async with settings_for(dialect, tmp_path, empty=True) as found:
        database = Database.open(found, "ingest")
        await migrate(database, "ingest")
        ingest = Stage(database)
        try:
            async with ingest.client, broker_for(BROKER_BESIDE[dialect], tmp_path, topology([])) as broker:
                await give_commands(chargebee, ingest, found, tmp_path)
                facts = [envelope.id for envelope, _ in await ingest.sealed_facts()]
                assert await published(database, broker, len(facts)) == Counter(facts)
        finally:
            await database.close()


async def refused_beside_another(database: Database, command: Callable[..., Awaitable[Any]]) -> None:
    """While another process fetches for the site it is said to run, and neither begun nor gone on with a second time."""
    lock = await database.try_lock(lock_of(SITE))
    assert lock is not None, "what was killed holds nothing"
    status = (await command("--status")).stdout
    assert (": running" in status, "--resume" in status) == (True, False)
    for words in (("--from", "2026-09-01", "--yes"), ("--resume",)):
        second = await command(*words)
        assert second.returncode == 2
        assert f"A backfill of {SITE} is running" in second.stderr
    assert (await command("--from", "2026-09-01")).returncode == 0, "a plan writes nothing"
    await lock.release()


@pytest.mark.parametrize("dialect", DATABASES)
async def test_one_that_begins_while_a_status_looks_whether_one_runs_is_not_refused(dialect, tmp_path):
    async with settings_for(dialect, tmp_path, empty=True) as found, AsyncExitStack() as stack:
        databases = [Database.open(found, "ingest") for _ in range(2)]
        for database in databases:
            stack.push_async_callback(database.close)
        looking = await databases[0].try_lock(lock_of(SITE))
        assert looking is not None

        async def look_for_a_moment() -> None:
            await asyncio.sleep(0.3)
            await looking.release()

        looked = asyncio.create_task(look_for_a_moment())
        async with alone(databases[1], SITE):
            assert await databases[0].try_lock(lock_of(SITE)) is None
        await looked


async def give_commands(chargebee: RunningChargebee, ingest: Stage, found: Settings, tmp_path: Path) -> None:
    """Plan, pause, be killed, go on, and be refused; in an installation that has ingest alone at first."""
    configuration = {"version": 1, "sites": {SITE: {"time_zone": "Europe/Amsterdam"}}, "divisions": {}}
    (tmp_path / "kruispost.yaml").write_text(json.dumps(configuration))
    settings = {
        "KRUISPOST_DATA_DIR": str(tmp_path),
        "KRUISPOST_CHARGEBEE_URL": chargebee.url,
        "KRUISPOST_CHARGEBEE_API_KEY": "test_key",
        **({"KRUISPOST_DATABASE_URL": found.database_url} if found.database_url is not None else {}),
    }

    async def command(*arguments: str) -> Any:
        give = kruispost if "KRUISPOST_CRASH_AT" in settings else kruispost_here
        return await asyncio.to_thread(give, "backfill", *arguments, directory=tmp_path, settings=settings)

    async def run(*arguments: str) -> Any:
        return await command("--from", "2026-09-01", *arguments)

    plan = await run()
    assert (plan.returncode, await ingest.stored()) == (0, []), plan.stderr
    assert f"{SITE}: 5 of kind invoice at Chargebee, 5 of them new here" in plan.stdout
    assert "Nothing was written" in plan.stdout
    assert "  mode entry" in plan.stdout
    (tmp_path / "kruispost.yaml").write_text(configured(shadow=True).model_dump_json(exclude_defaults=True))
    in_shadow = (await run()).stdout
    assert "Division 100001 is in shadow: these are compared with what stands in Exact, and nothing is booked." in in_shadow
    assert "would be booked a second time" not in in_shadow
    (tmp_path / "kruispost.yaml").write_text(json.dumps(configuration))
    status = await command("--status")
    assert status.stdout == "No backfill was begun here.\n"
    assert "history is paused cannot be told" in status.stderr, "ingest is alone here"
    settings["KRUISPOST_CRASH_AT"] = "ingest.page_backfilled:4"
    killed = await run("--yes")
    assert killed.returncode == -signal.SIGKILL
    del settings["KRUISPOST_CRASH_AT"]
    assert ": broken off, " in (await command("--status")).stdout
    await refused_beside_another(ingest.database, command)
    assert (await command("--pause")).returncode == 2, "fetching is paused, booking cannot be"
    writer = Database.open(found, "exact-writer")
    await migrate(writer, "exact-writer")  # now it is there, and has booked nothing yet
    await writer.close()
    paused = await command("--pause")
    assert (paused.returncode, "History is not booked until" in paused.stdout) == (0, True)
    status = await command("--status")
    assert f"{SITE}, documents from 2026-09-01" in status.stdout
    assert f"{SITE}: 0 documents of history wait to be booked: paused" in status.stdout
    assert "customer: 1 listed, 1 of them new here (all)" in status.stdout
    done = await command("--resume", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["new_documents"] > 5
    assert json.loads((await command("--status", "--json")).stdout)["history"] == {"paused": [], "waiting": {}}
    await command("--pause")
    again = await command("--resume")
    assert (again.returncode, again.stdout) == (0, "History is booked again; nothing was left to fetch.\n")
    assert len({fact.resource.id for fact in await ingest.facts() if isinstance(fact, InvoiceObserved)}) == 5
    settings["KRUISPOST_CHARGEBEE_API_KEY"] = "wrong"
    refused = await run()
    assert refused.returncode == 2
    assert "check KRUISPOST_CHARGEBEE_API_KEY" in refused.stderr


def test_a_plan_reckons_with_customers_and_with_what_a_document_costs_in_each_mode():
    counts = {"customer": 10, "invoice": 900, "credit_note": 100, "transaction": 1_000}
    found = [Count(site=SITE, kind=kind, listed=count, new=count) for kind, count in counts.items()]
    assert calls_by_mode(found) == {"entry": 2_010, "document": 3_010, "ledger": 50}
