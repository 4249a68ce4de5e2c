"""A whole business month and every recorded webhook body through ingest's translation and the mapper, in any order."""

import json
import random
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from support.engines import database_for
from support.mapper_stage import Stage

from backbone.configuration import load_configuration
from contracts import commands, facts
from contracts.envelope import Envelope
from contracts.messages import unseal
from ingest.translate import EVENT_RECEIVED, Observation, observe
from mapper import tables
from simulators.chargebee.app import create_app
from simulators.chargebee.invoices import run_scheduled_jobs
from simulators.chargebee.settings import ChargebeeSettings
from simulators.world.actions import Ledger, perform
from simulators.world.month import make_month, set_up_catalogue
from simulators.world.truth import Document, documents

SITE = "acme-test"
ROOT = Path(__file__).parents[2]
DEMO = ROOT / "console/src/console/demo_configuration.yaml"
RECORDED = sorted((ROOT / "tests/golden/chargebee").glob("*.json"))


def received(event: dict[str, Any], number: int = 0) -> Envelope:
    now = datetime(2026, 10, 1, tzinfo=UTC)
    identity = f"raw-{number}-{event.get('id')}"
    return Envelope(
        id=identity,
        type=EVENT_RECEIVED,
        version=1,
        source="ingest",
        subject=f"{SITE}/event/{event.get('id')}",
        time=now,
        key=SITE,
        correlation=identity,
        data=msgspec.Raw(json.dumps(event).encode()),
    )


def observed(event: dict[str, Any]) -> list[Any]:
    return [unseal(seen.fact) for seen in observe(received(event)) if isinstance(seen, Observation)]


@pytest.fixture(scope="module")
def month() -> tuple[list[Any], list[Document]]:
    plan = make_month(42, 120)
    site = create_app(ChargebeeSettings(started_at=int(datetime(2026, 9, 1, tzinfo=UTC).timestamp()), seed=42)).site
    set_up_catalogue(site)
    ledger = Ledger()
    for step in plan.in_order():
        site.clock.advance_to(step.at)
        run_scheduled_jobs(site)
        perform(site, step.action, ledger)
    return [fact for event in site.events for fact in observed(event)], documents(site, ledger)


async def play(heard: list[Any], directory: Path) -> tuple[dict[tuple[str, str], commands.PostEntry], dict[tuple[str, str], str]]:
    """Return the entry of each document, and the state of each."""
    async with database_for("sqlite", directory, "mapper", one_at_a_time=True) as database:
        stage = Stage(database, load_configuration(DEMO))
        async with database.transaction() as connection:
            for fact in heard:
                await stage.mapper.handle(connection, msgspec.structs.replace(received({}), id=f"{id(fact)}"), fact)
        await stage.post_all()
        table = tables.documents
        async with database.reading() as connection:
            rows = await connection.execute(sa.select(table.c.kind, table.c.number, table.c.state, table.c.code))
            states = {(row.kind, row.number): f"{row.state} {row.code or ''}".strip() for row in rows}
        entries = await stage.entries()
        assert len({entry.command_id for entry in entries}) == len(entries)
        return {(entry.document.kind, entry.document.number): entry for entry in entries}, states


async def test_every_document_of_the_month_becomes_what_a_bookkeeper_expects(month, tmp_path):
    heard, truth = month
    entries, states = await play(heard, tmp_path)
    wanted = {"book": "booked", "hold": "held no_revenue_account", "set_aside": "set_aside"}
    differences = {
        (one.kind, one.number): (one.expected, one.why, states.get((one.kind, one.number)))
        for one in truth
        if not (states.get((one.kind, one.number)) or "lost").startswith(wanted[one.expected])
    }
    assert not differences
    for one in truth:
        entry = entries.get((one.kind, one.number))
        if entry is None:
            continue
        sign = -1 if one.kind in ("credit_note", "refund") else 1
        if entry.kind == "sales":
            assert sum(line.amount_minor + (line.vat_amount_minor or 0) for line in entry.lines) == sign * one.total_minor
            assert sum(line.vat_amount_minor or 0 for line in entry.lines) == sign * one.tax_minor
        else:
            assert sum(line.amount_minor for line in entry.lines) == 0
            assert [line.amount_minor for line in entry.lines if not line.is_receivable] == [sign * one.total_minor]
        assert entry.entry_date.isoformat() == one.date


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_month_ends_the_same_in_any_order_and_with_duplicates(month, tmp_path, seed):
    heard, _ = month
    in_order, _ = await play(heard, tmp_path / "in-order")
    shuffled = [*heard, *heard[::7]]
    random.Random(seed).shuffle(shuffled)
    anyhow, _ = await play(shuffled, tmp_path / "anyhow")
    assert anyhow.keys() == in_order.keys()
    assert {key: entry for key, entry in anyhow.items() if entry != in_order[key]} == {}


async def test_every_recorded_webhook_body_comes_through(tmp_path):
    """Nothing of them is lost: each document in them is planned, held with a reason or set aside."""
    heard = [fact for path in RECORDED for fact in observed(json.loads(path.read_text()))]
    named = {fact.resource.id for fact in heard if isinstance(fact, facts.InvoiceObserved | facts.CreditNoteObserved)}
    assert named
    _, states = await play(heard, tmp_path)
    # The event of a deleted credit note has an instant behind its number.
    assert {re.sub(r"_\d{9,}$", "", number) for number in named} <= {number for _, number in states}
