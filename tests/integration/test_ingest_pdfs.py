"""Fetching PDFs from Chargebee: the file as it is, each once, and a told reason where there is none."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from support.chargebee_shop import bill, shop
from support.chargebee_sim import running_chargebee
from support.engines import DATABASES, database_for

from backbone.broker_embedded import EmbeddedBroker
from backbone.clock import SystemClock
from backbone.telemetry import Telemetry
from contracts.envelope import decode, seal
from contracts.facts import DocumentRef, PdfWanted
from contracts.messages import unseal
from contracts.topology import parcels_queue, topology
from ingest.pdf_api import ChargebeePdfs, DeniedError, NoPdfError, NotNowError
from ingest.pdfs import MOST_ATTEMPTS, PdfFetcher, pause_seconds
from ingest.tables import wanted_pdfs
from simulators.chargebee.invoices import void_invoice

DIVISION, SITE = 100001, "acme-test"


def api(url, key="test_key"):
    return ChargebeePdfs(api_key=key, base_url=url, clock=SystemClock(), telemetry=Telemetry())


@asynccontextmanager
async def chargebee(**settings):
    app = shop(**settings)
    async with running_chargebee(app=app) as running:
        yield app, running.url


class Answers:
    """A Chargebee that answers in turn what a test prescribes: a file or an error."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []

    async def fetch(self, site, kind, number):
        self.asked.append((site, kind, number))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Stage:
    def __init__(self, database, broker, fetcher):
        self.database, self.broker, self.fetcher = database, broker, fetcher

    async def want(self, number="INV-1", kind="invoice", again=""):
        ref = DocumentRef(site=SITE, kind=kind, number=number, customer_id="cust-1", currency="EUR", total_minor=100)
        fact = PdfWanted(division=DIVISION, request_id=f"command-{number}", document=ref)
        now = datetime(2026, 3, 10, tzinfo=UTC)
        envelope = seal(fact, source="exact-writer", subject=number, key="k", time=now, distinguisher=again)
        async with self.database.transaction() as connection:
            await self.fetcher.handle(connection, envelope, fact)

    async def due(self):
        """Let the time of every pause pass."""
        async with self.database.transaction() as connection:
            await connection.execute(sa.update(wanted_pdfs).values(not_before=0.0))

    async def left(self):
        async with self.database.reading() as connection:
            return [row.number for row in await connection.execute(sa.select(wanted_pdfs))]

    async def parcels(self, count):
        """Take so many parcels from the writer's queue."""
        got, done = [], asyncio.Event()

        async def take(delivery):
            envelope = decode(delivery.body)
            got.append((envelope.id, unseal(envelope)))
            if len(got) >= count:
                done.set()

        consumer = await self.broker.consume(topology([DIVISION]).queue(parcels_queue(DIVISION)), take)
        async with asyncio.timeout(20):
            await done.wait()
        await consumer.close()
        return got


@asynccontextmanager
async def stage(tmp_path, fetched_from, dialect="sqlite"):
    async with database_for(dialect, tmp_path, "ingest") as database:
        broker = EmbeddedBroker(tmp_path / "broker.sqlite")
        try:
            await broker.declare(topology([DIVISION]))
            yield Stage(database, broker, PdfFetcher(database, broker, SystemClock(), fetched_from, Telemetry()))
        finally:
            await broker.close()


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_wanted_pdf_goes_to_the_writer_as_it_is(tmp_path, dialect):
    async with stage(tmp_path, Answers(b"%PDF-1"), dialect) as ingest:
        await ingest.want()
        await ingest.want()  # wanted once more while it is fetched
        assert await ingest.fetcher.fetch_next() == 0
        ((_, parcel),) = await ingest.parcels(1)
        assert (parcel.request_id, parcel.content, parcel.code) == ("command-INV-1", b"%PDF-1", "")
        assert await ingest.left() == []


async def test_a_pdf_that_is_wanted_again_after_its_answer_is_answered_again(tmp_path):
    async with stage(tmp_path, Answers(NoPdfError("pdf_missing", "missing", name="invoice INV-1"), b"%PDF-1")) as ingest:
        await ingest.want()
        await ingest.fetcher.fetch_next()
        await ingest.want(again="2")
        await ingest.fetcher.fetch_next()
        (first, missing), (second, found) = await ingest.parcels(2)
        assert first != second, "the writer's inbox would drop it"
        assert (missing.content, missing.code, missing.message) == (None, "pdf_missing", "Chargebee has no invoice INV-1.")
        assert missing.message_nl == "Chargebee heeft geen factuur INV-1."
        assert found.content == b"%PDF-1"


async def test_what_does_not_answer_is_tried_again_later_each_time_and_told_in_the_end(tmp_path):
    errors = [NotNowError("pdf_unusable", "no_pdf", name="invoice INV-1")] * MOST_ATTEMPTS
    answers = Answers(*errors)
    async with stage(tmp_path, answers) as ingest:
        await ingest.want()
        for _ in range(MOST_ATTEMPTS):
            await ingest.due()
            await ingest.fetcher.fetch_next()
            if len(answers.asked) < MOST_ATTEMPTS:
                assert await ingest.fetcher.fetch_next() > 0, "it waits"
        ((_, parcel),) = await ingest.parcels(1)
        assert (parcel.content, parcel.code) == (None, "pdf_unusable")
        assert await ingest.left() == []


async def test_a_refused_key_keeps_the_pdf_and_says_what_to_do(tmp_path):
    async with stage(tmp_path, Answers(DeniedError("pdf_unavailable", "denied", message="401"), b"%PDF-1")) as ingest:
        await ingest.want()
        await ingest.fetcher.fetch_next()
        assert "KRUISPOST_CHARGEBEE_API_KEY" in await ingest.fetcher.ready()
        await ingest.due()
        await ingest.fetcher.fetch_next()
        assert await ingest.fetcher.ready() is None
        assert await ingest.left() == []


async def test_one_pdf_that_waits_holds_up_no_other(tmp_path):
    async with stage(tmp_path, Answers(NotNowError("pdf_unavailable", "no_answer", name="invoice INV-1"), b"%PDF-2")) as ingest:
        await ingest.want("INV-1")
        await ingest.want("INV-2")
        await ingest.fetcher.fetch_next()
        await ingest.fetcher.fetch_next()
        ((_, parcel),) = await ingest.parcels(1)
        assert parcel.content == b"%PDF-2"
        assert await ingest.left() == ["INV-1"]


def test_chargebees_own_wish_counts_when_it_is_longer():
    assert pause_seconds(0, None) == 5
    assert pause_seconds(0, 60.0) == 60
    assert pause_seconds(6, 1.0) == 3600


async def test_the_sdk_and_the_download_give_the_file_of_invoices_and_credit_notes():
    async with chargebee() as (app, url):
        number = bill(app)["id"]
        assert (await api(url).fetch(SITE, "invoice", number)).startswith(b"%PDF-1.4")
        void_invoice(app.site, number)
        with pytest.raises(NoPdfError) as missing:
            await api(url).fetch(SITE, "credit_note", number)
        assert missing.value.code == "pdf_missing"


@pytest.mark.parametrize(
    ("instead", "code"),
    [(b"<html>busy</html>", "pdf_unusable"), (b"", "pdf_unusable"), (b"%PDF" + bytes(7_000_000), "pdf_too_large")],
)
async def test_what_is_no_usable_pdf_goes_no_further(instead, code):
    async with chargebee() as (app, url):
        app.downloads.instead = instead
        with pytest.raises((NotNowError, NoPdfError)) as refused:
            await api(url).fetch(SITE, "invoice", bill(app)["id"])
        assert refused.value.code == code


async def test_an_expired_address_is_asked_for_again():
    async with chargebee(pdf_seconds=0.0) as (app, url):
        with pytest.raises(NotNowError, match="answered 403"):
            await api(url).fetch(SITE, "invoice", bill(app)["id"])


async def test_a_wrong_key_and_a_full_minute_are_told_apart():
    async with chargebee(requests_per_minute=1) as (app, url):
        number = bill(app)["id"]
        with pytest.raises(DeniedError):
            await api(url, key="wrong").fetch(SITE, "invoice", number)
        await api(url).fetch(SITE, "invoice", number)
        with pytest.raises(NotNowError) as full:
            await api(url).fetch(SITE, "invoice", number)
        assert full.value.retry_after_seconds


async def test_nobody_at_the_address_is_no_end():
    with pytest.raises(NotNowError):
        await api("http://127.0.0.1:9").fetch(SITE, "invoice", "INV-1")
