"""What ingest asks Chargebee because no event says it: the coupon sets of codes, and the rest of long documents."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest
import sqlalchemy as sa
from support.chargebee_shop import bill, shop
from support.chargebee_sim import running_chargebee
from support.engines import DATABASES, database_for

from backbone.clock import SystemClock
from backbone.tables import event_log
from backbone.telemetry import Telemetry
from contracts.envelope import decode
from contracts.messages import unseal
from ingest.events_api import EventsError
from ingest.questions import UNASKED, Asker, ask
from ingest.questions_api import ChargebeeQuestions, whole
from ingest.received import read_event
from ingest.store import EventStore
from ingest.tables import questions, resource_versions
from ingest.translate import EVENT_RECEIVED, ResourceKey
from ingest.translator import Translator
from simulators.chargebee import catalogue, coupon_sets
from simulators.chargebee.invoices import update_details
from simulators.chargebee.pricing import Coupon, LineSpec

SITE = "acme-test"


class Stage:
    def __init__(self, database, api):
        self.database = database
        self.store = EventStore(database, SystemClock(), stored=lambda: None)
        self.woken = asyncio.Event()
        self.translated = 0
        telemetry = Telemetry()
        self.translator = Translator(database, SystemClock(), telemetry, translated=lambda: None, asked=self.woken.set)
        self.asker = Asker(database, self.store, SystemClock(), api, telemetry, self.woken)

    async def hear(self, *events):
        for event in events:
            await self.store.store(SITE, read_event(msgspec.json.encode(event)))
        await self.translate()

    async def translate(self):
        """Translate everything; PostgreSQL shows a commit once no older transaction of its cluster is open."""
        async with self.database.reading() as connection:
            raw = (event_log.c.type == EVENT_RECEIVED,)
            stored = await connection.scalar(sa.select(sa.func.count()).select_from(event_log).where(*raw))
        async with asyncio.timeout(30):
            while self.translated < stored:
                self.translated += await self.translator.translate_batch()

    async def ask(self):
        pause = await self.asker.ask_next()
        await self.translate()
        return pause

    async def open(self):
        async with self.database.reading() as connection:
            return [(row.kind, row.resource_id) for row in await connection.execute(sa.select(questions))]

    async def facts(self, kind):
        column = event_log.c
        statement = sa.select(column.body).where(column.type == f"chargebee.{kind}.observed").order_by(column.sequence)
        async with self.database.reading() as connection:
            return [unseal(decode(row.body)) for row in await connection.execute(statement)]

    async def due(self):
        async with self.database.transaction() as connection:
            await connection.execute(sa.update(questions).values(not_before=0.0))


@asynccontextmanager
async def stage(tmp_path, api, dialect="sqlite"):
    async with database_for(dialect, tmp_path, "ingest") as database:
        yield Stage(database, api)


@asynccontextmanager
async def asking(tmp_path, app, dialect="sqlite"):
    async with running_chargebee(app=app) as running:
        api = ChargebeeQuestions(api_key="test_key", base_url=running.url, telemetry=Telemetry())
        async with stage(tmp_path, api, dialect) as ingest:
            yield ingest


class Answers:
    """A Chargebee that answers in turn what a test prescribes."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    async def coupon_codes(self, site, codes):
        return self._next((site, *codes))

    async def document(self, site, kind, number):
        return self._next((site, kind, number))

    def _next(self, asked):
        self.asked.append(asked)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def event(identity, resource, kind="invoice"):
    return {"id": identity, "event_type": "invoice_generated", "occurred_at": 1_790_000_000, "content": {kind: resource}}


def discounted(number, *codes, version=1_000):
    rows = [{"entity_type": "document_level_coupon", "entity_id": "TEN", "coupon_set_code": code} for code in codes]
    return {"id": number, "customer_id": "c", "resource_version": version, "discounts": rows}


@pytest.mark.parametrize("dialect", DATABASES)
async def test_the_coupon_set_of_each_code_is_asked_once_and_becomes_a_fact(tmp_path, dialect):
    app = shop()
    catalogue.create_coupon(app.site, "TEN", {"discount_type": "percentage", "discount_percentage": 10.0})
    for name in ("cs_fair", "cs_mail"):
        coupon_sets.create_coupon_set(app.site, name, "TEN", f"Set {name}")
    coupon_sets.add_coupon_codes(app.site, "cs_fair", ["FAIR 1/a"])
    coupon_sets.add_coupon_codes(app.site, "cs_mail", ["MAIL-1", "it's"])
    for code in ("FAIR 1/a", "MAIL-1", "it's"):
        bill(app, coupons=(Coupon("TEN", "Ten", percentage=10, code=code),))
    async with asking(tmp_path, app, dialect) as ingest:
        await ingest.hear(*app.site.events)
        assert ingest.woken.is_set()
        assert await ingest.ask() == 0
        told = {each.resource.id: each.resource.coupon_set_id for each in await ingest.facts("coupon_code")}
        assert told == {"FAIR 1/a": "cs_fair", "MAIL-1": "cs_mail", "it's": "cs_mail"}
        assert await ingest.open() == []
        ingest.woken.clear()
        await ingest.hear(event("ev_again", discounted("INV-9", "MAIL-1")))
        assert (await ingest.open(), ingest.woken.is_set()) == ([], False)


async def test_a_code_that_chargebee_has_not_any_more_is_told_without_a_set(tmp_path):
    async with asking(tmp_path, shop()) as ingest:
        await ingest.hear(event("ev_1", discounted("INV-9", "GONE-1", "GONE-2")))
        await ingest.ask()
        told = {each.resource.id: each.resource.coupon_set_id for each in await ingest.facts("coupon_code")}
        assert told == {"GONE-1": None, "GONE-2": None}


async def test_a_code_in_a_webhook_is_no_answer(tmp_path):
    async with stage(tmp_path, None) as ingest:
        deleted = {"code": "FAIR-1", "coupon_id": "TEN", "coupon_set_id": "cs_old"}
        await ingest.hear(event("ev_1", {**deleted, "id": "FAIR-1"}, kind="coupon_code"))
        assert await ingest.facts("coupon_code") == []


@pytest.mark.parametrize("dialect", DATABASES)
async def test_the_rest_of_a_long_document_is_read_and_takes_the_place_of_the_part(tmp_path, dialect):
    app = shop(enterprise_invoicing=True)
    number = bill(app, lines=[LineSpec("adhoc", f"line {place}", 100) for place in range(700)])["id"]
    async with asking(tmp_path, app, dialect) as ingest:
        await ingest.hear(*app.site.events)
        (part,) = await ingest.facts("invoice")
        assert (len(part.resource.line_items), bool(part.resource.line_items_next_offset)) == (100, True)
        await ingest.ask()
        _, complete = await ingest.facts("invoice")
        version = app.site.get("invoice", number)["resource_version"]
        assert [line.description for line in complete.resource.line_items] == [f"line {place}" for place in range(700)]
        assert (complete.resource_version, complete.resource.line_items_next_offset) == (version, None)
        assert part.resource_version < version
        # The same webhook once more asks nothing, and a change asks anew.
        await ingest.hear({**app.site.events[-1], "id": "ev_again"})
        assert await ingest.open() == []
        update_details(app.site, number, {"po_number": "PO-1"})
        await ingest.hear(app.site.events[-1])
        assert await ingest.open() == [("invoice", number)]
        await ingest.ask()
        # Changed within a millisecond, so that there is no version between the two for its part.
        assert [len(each.resource.line_items) for each in await ingest.facts("invoice")] == [100, 700, 700]


async def test_the_whole_of_a_document_is_news_where_an_older_release_took_its_part_for_the_version(tmp_path):
    whole_of_it = {"id": "INV-9", "customer_id": "c", "resource_version": 1_000, "line_items": []}
    async with stage(tmp_path, Answers(whole_of_it, whole_of_it)) as ingest:
        await ingest.hear(event("ev_1", {**whole_of_it, "line_items_next_offset": "x"}))
        async with ingest.database.transaction() as connection:  # as the older release left it
            await connection.execute(sa.update(resource_versions).values(resource_version=1_000))
        await ingest.ask()
        assert [(each.resource_version, each.resource.line_items_next_offset) for each in await ingest.facts("invoice")] == [
            (999, "x"),
            (1_001, None),
        ]
        # The webhook of the part once more asks nothing; neither does an answer that comes twice, after a crash, tell anything.
        await ingest.hear(event("ev_again", {**whole_of_it, "line_items_next_offset": "x"}))
        assert await ingest.open() == []
        async with ingest.database.transaction() as connection:
            await ask(ingest.database, connection, [ResourceKey(SITE, "invoice", "INV-9")])
        await ingest.ask()
        assert (len(await ingest.facts("invoice")), await ingest.open()) == (2, [])


async def test_a_question_outlives_failures_and_a_refused_key_is_told(tmp_path):
    denied = EventsError("Chargebee answered 401 (api_authentication_failed)", is_denied=True)
    busy = EventsError("Chargebee answered 429", retry_after_seconds=60.0)
    answers = Answers(busy, denied, {"FAIR-1": {"code": "FAIR-1", "coupon_set_id": "cs_fair"}})
    async with stage(tmp_path, answers) as ingest:
        await ingest.hear(event("ev_1", discounted("INV-9", "FAIR-1")))
        assert (await ingest.ask(), await ingest.asker.ready()) == (0, None)
        assert 0 < await ingest.ask() <= 30  # not before Chargebee's own wish
        await ingest.due()
        await ingest.ask()
        assert "check KRUISPOST_CHARGEBEE_API_KEY" in await ingest.asker.ready()
        await ingest.due()
        await ingest.ask()
        assert (await ingest.open(), await ingest.asker.ready()) == ([], None)
        assert len(answers.asked) == 3
        assert [each.resource.coupon_set_id for each in await ingest.facts("coupon_code")] == ["cs_fair"]


async def test_without_a_key_questions_wait_and_the_service_says_so(tmp_path):
    async with stage(tmp_path, None) as ingest:
        await ingest.hear(event("ev_1", discounted("INV-9", "FAIR-1")))
        await ingest.ask()
        assert (await ingest.open(), await ingest.asker.ready()) == ([("coupon_code", "FAIR-1")], UNASKED)


async def test_a_document_that_is_gone_or_changes_while_it_is_read_is_asked_for_no_more_or_again(tmp_path):
    cut = {"id": "INV-9", "customer_id": "c", "resource_version": 1_000, "line_items_next_offset": "x", "line_items": []}
    async with stage(tmp_path, Answers(None)) as ingest:
        await ingest.hear(event("ev_1", cut))
        await ingest.ask()
        assert await ingest.open() == []


def test_rows_of_lines_are_taken_once_whether_a_page_has_all_of_them_or_its_own():
    taxes = [{"line_item_id": f"li_{number}", "tax_amount": number} for number in range(3)]
    loose = {"line_item_id": None, "tax_amount": 9}
    lines = [{"id": f"li_{number}"} for number in range(3)]
    own = [
        {"id": "INV-9", "line_items": lines[:2], "line_item_taxes": [*taxes[:2], loose], "line_items_next_offset": "2"},
        {"id": "INV-9", "line_items": lines[2:], "line_item_taxes": [*taxes[2:], loose]},
    ]
    every = [{**page, "line_item_taxes": [*taxes, loose]} for page in own]
    expected = {"id": "INV-9", "line_items": lines, "line_item_taxes": [loose, *taxes]}
    assert whole(own) == whole(every) == expected
