"""Fields of subscriptions decide on dimensions, accounts, divisions and texts; one that was not seen is waited for."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.chargebee_shop import bill, shop
from support.engines import DATABASES, database_for
from support.facts import SITE, customer, envelope, invoice, line, observed
from support.ingest_stage import SITE as INGEST_SITE
from support.ingest_stage import ingest_stage
from support.mapper_stage import CONFIGURATION, Stage

from backbone.configuration import Configuration
from contracts import facts
from contracts.envelope import Envelope
from simulators.chargebee.catalogue import create_subscription, update_subscription

SECOND = 200002
CENTRES = [
    {"when": {"subscription_field": {"name": "cf_cost_center", "value": "North"}}, "code": "N"},
    {"when": {"subscription_field": {"name": "cf_cost_center", "value": "South"}}, "code": "S"},
]
REVENUE = [{"account": "8000"}]


def configured(*, routes: list[dict[str, Any]] | None = None, **division: Any) -> Configuration:
    dump = CONFIGURATION.model_dump(exclude_defaults=True)
    first = {**dump["divisions"][100001], "revenue": REVENUE, **division}
    dump["divisions"] = {100001: first, SECOND: {**first, "name": "Second"}}
    dump["sites"][SITE]["routes"] = routes or []
    return Configuration.model_validate(dump)


@pytest.fixture(params=DATABASES)
async def database(request, tmp_path: Path):
    async with database_for(request.param, tmp_path, "mapper") as database:
        yield database


def subscription(identity: str = "SUB-1", version: int = 1, **fields: Any) -> tuple[facts.Observed, Envelope]:
    """A subscription of CUST1, or of another customer, with these custom fields."""
    resource = {"id": identity, "customer_id": fields.pop("customer_id", "CUST1"), "status": "active"}
    fact = observed(facts.SubscriptionObserved, resource, version)
    sealed = envelope(fact)
    data = msgspec.json.decode(sealed.data)
    data["resource"] |= fields
    return fact, msgspec.structs.replace(sealed, data=msgspec.Raw(msgspec.json.encode(data)))


async def hear_subscription(stage: Stage, identity: str = "SUB-1", version: int = 1, **fields: Any) -> None:
    fact, sealed = subscription(identity, version, **fields)
    await stage.handle(sealed, fact)


def of(identity: str | None, amount: int = 10_000, **more: Any) -> dict[str, Any]:
    return line(amount, amount * 21 // 100, subscription_id=identity, **more)


async def centres(stage: Stage) -> dict[str, list[str | None]]:
    return {entry.your_ref: [each.cost_center for each in entry.lines] for entry in await stage.entries()}


async def test_each_line_takes_the_cost_centre_of_its_own_subscription(database):
    stage = Stage(database, configured(cost_centers=CENTRES))
    await stage.hear(customer())
    await hear_subscription(stage, "SUB-1", cf_cost_center="North")
    await hear_subscription(stage, "SUB-2", cf_cost_center="South")
    await hear_subscription(stage, "SUB-3")
    await stage.hear(invoice(lines=[of("SUB-1"), of("SUB-2"), of("SUB-3"), of(None)]))
    assert await centres(stage) == {"INV-1": ["N", "S", None, None]}
    [planned] = await stage.said(facts.DocumentPlanned)
    assert "cost centre N by rule (subscription_field: {name: cf_cost_center, value: North})" in " ".join(planned.explanation)


async def test_an_invoice_waits_for_a_subscription_that_was_not_seen_and_is_booked_when_it_comes(database):
    stage = Stage(database, configured(cost_centers=CENTRES))
    await stage.hear(customer(), invoice(lines=[of("SUB-1"), of("SUB-2")]))
    [waiting] = await stage.said(facts.DocumentHeld)
    assert (waiting.code, waiting.waiting) == ("waiting_for_subscription", True)
    assert "Subscription SUB-1" in waiting.sentence
    await hear_subscription(stage, "SUB-1", cf_cost_center="North")
    assert await stage.entries() == [], "the other one is still to come"
    await hear_subscription(stage, "SUB-2", cf_cost_center="South")
    assert await centres(stage) == {"INV-1": ["N", "S"]}


async def test_nothing_waits_where_no_rule_asks_and_a_mapping_that_asks_later_knows_what_was_seen(database):
    stage = Stage(database, configured())
    await stage.hear(customer())
    await hear_subscription(stage, "SUB-1", cf_cost_center="North")
    await stage.hear(invoice("INV-1", lines=[of("SUB-9")]))
    assert len(await stage.entries()) == 1
    asks = Stage(database, configured(cost_centers=CENTRES))
    await asks.start()
    await asks.hear(invoice("INV-2", lines=[of("SUB-1")]))
    assert (await centres(asks))["INV-2"] == ["N"]


async def test_a_rule_that_beats_the_one_for_the_subscription_lets_nothing_wait(database):
    revenue = [{"when": {"item_price": "Team-EUR"}, "account": "8000", "cost_center": "NL"}]
    stage = Stage(database, configured(revenue=revenue, cost_centers=CENTRES))
    await stage.hear(customer(), invoice(lines=[of("SUB-9")]))
    assert await centres(stage) == {"INV-1": ["NL"]}


async def test_an_older_version_changes_nothing_and_a_newer_one_decides_anew_what_is_held(database):
    when = {"subscription_field": [{"name": "cf_cost_center", "value": "North"}, {"name": "cf_vip", "value": True}]}
    stage = Stage(database, configured(revenue=[{"when": when, "account": "8001"}]))
    await stage.hear(customer())
    await hear_subscription(stage, version=2, cf_cost_center="South")
    await stage.hear(invoice(lines=[of("SUB-1")]))
    await hear_subscription(stage, version=1, cf_cost_center="North", cf_vip=True)
    assert await stage.reasons() == ["no_revenue_account"]
    await hear_subscription(stage, version=3, cf_cost_center="North", cf_vip=True)
    assert [entry.lines[0].gl_account for entry in await stage.entries()] == ["8001"]


async def test_an_invoice_of_a_parent_follows_the_subscription_of_its_child_and_others_are_left_alone(database):
    when = {"subscription_field": {"name": "cf_cost_center", "value": "North"}}
    stage = Stage(database, configured(revenue=[{"when": when, "account": "8001"}]))
    await stage.hear(customer("PARENT"), customer("OTHER"), customer("CHILD"))
    for identity in ("SUB-1", "SUB-2"):
        await hear_subscription(stage, identity, customer_id="CHILD")
    of_child = of("SUB-1", customer_id="CHILD")
    await stage.hear(
        invoice("INV-1", customer_id="PARENT", lines=[of_child]), invoice("INV-2", customer_id="OTHER", lines=[of("SUB-2")])
    )
    assert await stage.reasons() == ["no_revenue_account"] * 2
    await hear_subscription(stage, version=2, customer_id="CHILD", cf_cost_center="North")
    assert [entry.your_ref for entry in await stage.entries()] == ["INV-1"]
    assert await stage.reasons() == ["no_revenue_account"] * 2


async def test_routes_go_by_the_subscription_and_the_payment_follows_its_invoice(database):
    routes = [{"when": {"subscription_field": {"name": "cf_label", "value": "Second"}}, "division": SECOND}]
    stage = Stage(database, configured(routes=routes))
    await stage.hear(customer(), invoice("INV-1", lines=[of("SUB-1")]), invoice("INV-2", lines=[of(None)]))
    assert [entry.your_ref for entry in await stage.entries()] == ["INV-2"]
    assert await stage.reasons() == ["waiting_for_subscription"]
    await hear_subscription(stage, cf_label="Second")
    assert {entry.your_ref: entry.division for entry in await stage.entries()} == {"INV-1": SECOND, "INV-2": 100001}


async def test_texts_name_fields_of_the_subscription_and_wait_for_them(database):
    texts = {
        "entry_description": "{number}[ - {subscription.cf_project}]",
        "line_description": "{line}[ ({subscription.cf_project})]",
    }
    stage = Stage(database, configured(texts=texts))
    await stage.hear(customer(), invoice("INV-1", lines=[of("SUB-1"), of("SUB-2"), of("SUB-1"), of("SUB-3")]))
    assert await stage.reasons() == ["waiting_for_subscription"]
    await hear_subscription(stage, "SUB-1", cf_project="Dam")
    await hear_subscription(stage, "SUB-2", cf_project="Kade")
    await hear_subscription(stage, "SUB-3")
    await stage.hear(invoice("INV-2", lines=[of("SUB-3")]))
    first, second = await stage.entries()
    assert first.description == "INV-1 - Dam, Kade"
    assert [each.description for each in first.lines] == ["Team-EUR (Dam)", "Team-EUR (Kade)", "Team-EUR (Dam)", "Team-EUR"]
    assert second.description == "INV-2"
    planned = (await stage.said(facts.DocumentPlanned))[-1]
    assert "has a value for subscription.cf_project" in " ".join(planned.explanation), "a renamed field is told"


async def test_the_order_of_arrival_changes_nothing(tmp_path: Path):
    note = observed(
        facts.CreditNoteObserved,
        {
            **msgspec.to_builtins(invoice("CN-1", lines=[of("SUB-1", 5_000)]))["resource"],
            "status": "refund_due",
            "type": "refundable",
            "reference_invoice_id": "INV-1",
        },
    )
    heard: list[tuple[facts.Observed, Envelope]] = [
        *((fact, envelope(fact)) for fact in (customer(), invoice(lines=[of("SUB-1"), of("SUB-2")]), note)),
        subscription("SUB-1", cf_cost_center="North"),
        subscription("SUB-2", cf_cost_center="South"),
    ]
    seen = set()
    for number, order in enumerate(itertools.permutations(heard)):
        async with database_for("sqlite", tmp_path / str(number), "mapper") as database:
            stage = Stage(database, configured(cost_centers=CENTRES))
            for fact, sealed in order:
                async with database.transaction() as connection:
                    await stage.mapper.handle(connection, sealed, fact)
            seen.add(str(sorted((await centres(stage)).items())))
    assert seen == {"[('CN-1', ['N']), ('INV-1', ['N', 'S'])]"}


@pytest.mark.parametrize("step", [1, -1], ids=["in order", "backwards"])
async def test_what_chargebee_sends_of_a_subscription_comes_through_to_the_line(tmp_path: Path, step: int):
    app = shop()
    create_subscription(app.site, "cust-1", "sub-1", {"cf_cost_center": "South"})
    update_subscription(app.site, "sub-1", {"cf_cost_center": "North"})
    bill(app, subscription_id="sub-1")
    configuration = configured(cost_centers=CENTRES).model_dump(exclude_defaults=True)
    configuration["sites"] = {INGEST_SITE: configuration["sites"][SITE]}
    async with (
        ingest_stage("sqlite", tmp_path / "ingest") as ingest,
        database_for("sqlite", tmp_path / "mapper", "mapper") as database,
    ):
        await ingest.accept(*app.site.events[::step])
        stage = Stage(database, Configuration.model_validate(configuration))
        for sealed, fact in await ingest.sealed_facts():
            async with database.transaction() as connection:
                await stage.mapper.handle(connection, sealed, fact)
        assert list((await centres(stage)).values()) == [["N"]]


@pytest.mark.postgres
async def test_a_subscription_of_another_customer_that_arrives_at_the_same_moment_is_not_missed(tmp_path: Path):
    async with database_for("postgresql", tmp_path, "mapper") as database:
        stage = Stage(database, configured(cost_centers=CENTRES))
        await stage.hear(customer())
        for number in range(10):
            name = f"SUB-{number}"
            of_child = of(name, customer_id="CHILD")
            await asyncio.gather(
                stage.hear(invoice(f"INV-{number}", lines=[of_child])),
                hear_subscription(stage, name, customer_id="CHILD", cf_cost_center="North"),
            )
        assert await centres(stage) == {f"INV-{number}": ["N"] for number in range(10)}


@pytest.mark.postgres
async def test_a_night_of_waiting_documents_and_new_ones_in_other_partitions_stop_no_process(tmp_path: Path) -> None:
    async with database_for("postgresql", tmp_path, "mapper") as database:
        stage = Stage(database, configured(cost_centers=CENTRES))
        await stage.hear(customer())
        await stage.hear(*(invoice(f"INV-{n}", lines=[of(f"SUB-{n}", customer_id="CHILD")]) for n in range(15)))

        async def more() -> None:
            for number in range(15):
                await stage.hear(invoice(f"INV-NEW-{number}", lines=[of(f"NEW-{number}", customer_id="CHILD")]))

        async def nights() -> None:
            for _ in range(4):
                await stage.due_days.decide(asyncio.Event())

        await asyncio.gather(nights(), more())


async def test_one_missing_subscription_after_another_is_one_wait(database):
    stage = Stage(database, configured(cost_centers=CENTRES))
    await stage.hear(customer(), invoice(lines=[of("SUB-1"), of("SUB-2")]))
    start = stage.clock.now().date()
    await stage.days_pass(start + timedelta(days=4))
    await hear_subscription(stage, "SUB-1", cf_cost_center="North")
    await stage.days_pass(start + timedelta(days=5))
    last = (await stage.said(facts.DocumentHeld))[-1]
    assert (last.code, last.waiting) == ("waiting_for_subscription", False)
