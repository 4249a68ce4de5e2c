"""What the mapper does when things go wrong around it: races, refused customers, late failures, strange input."""

import asyncio
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.engines import DATABASES, database_for
from support.facts import OCTOBER_5, SITE, customer, envelope, invoice, line, observed
from support.mapper_stage import Stage, payment, period, posted, refused

from backbone.tables import metadata as common_tables
from contracts import commands, facts
from mapper import tables


@pytest.fixture(params=DATABASES)
async def stage(request, tmp_path: Path):
    async with database_for(request.param, tmp_path, "mapper") as database:
        yield Stage(database)


async def test_the_migrations_make_the_tables_of_the_code(stage):
    async with stage.database.reading() as connection:
        found = await connection.run_sync(
            lambda sync: {
                name: {column["name"] for column in sa.inspect(sync).get_columns(name)}
                for name in sa.inspect(sync).get_table_names()
            }
        )
    wanted = {
        table.name: set(table.columns.keys()) for table in (*tables.metadata.tables.values(), *common_tables.tables.values())
    }
    assert {name: columns for name, columns in found.items() if name in wanted} == wanted


async def test_a_product_and_a_document_that_meet_in_two_partitions_see_each_other(stage):
    """Both transactions are open at once; whichever is second must see what the first one did."""
    await stage.hear(customer())
    document = invoice(lines=[line(5_000, 1_050, entity="Audit-EUR", kind="charge_item_price")])
    price = observed(facts.ItemPriceObserved, {"id": "Audit-EUR", "item_id": "audit", "item_family_id": "services"})
    holding = asyncio.Event()

    async def hear_slowly() -> None:
        async with stage.database.transaction() as connection:
            await stage.mapper.handle(connection, envelope(document), document)
            holding.set()
            await asyncio.sleep(0.3)

    slow = asyncio.create_task(hear_slowly())
    await holding.wait()
    await stage.hear(price)
    await slow
    assert [entry.lines[0].gl_account for entry in await stage.entries()] == ["8020"]


async def test_documents_of_a_refused_customer_are_shown_as_held_until_it_is_taken(stage):
    await stage.hear(customer(), invoice("INV-1"))
    message = "Ongeldig: Btw-nummer"
    await stage.hear(facts.AccountRefused(division=100001, customer_ref=f"{SITE}/CUST1", code="refused", message=message))
    await stage.hear(invoice("INV-2"))
    held = await stage.said(facts.DocumentHeld)
    assert [(each.document.number, each.code, message in each.sentence) for each in held] == [
        ("INV-1", "customer_refused", True),
        ("INV-2", "customer_refused", True),
    ]
    await stage.hear(customer(version=2, company="Beter B.V."), invoice("INV-3"))
    assert len(await stage.said(facts.DocumentHeld)) == 2, "a changed customer gets a new chance"
    assert len(await stage.said(commands.SaveAccount)) == 2


async def test_a_customer_without_a_vat_number_holds_reverse_charge_until_it_has_one(stage):
    charge = {"tax_exempt_reason": "reverse_charge", "is_taxed": False}
    await stage.hear(customer(vat_number=None), invoice(lines=[{**line(50_000, 0, 0), **charge}]))
    assert await stage.reasons() == ["vat_number_missing"]
    await stage.hear(customer(version=2))
    assert [entry.lines[0].vat_code for entry in await stage.entries()] == ["EUV"]


async def test_a_debit_that_fails_late_is_booked_back(stage):
    await stage.hear(customer(), payment())
    [entry] = await stage.entries()
    await stage.hear(posted(entry), payment(version=2, status="late_failure"))
    original, mirror = await stage.entries()
    assert [each.amount_minor for each in mirror.lines] == [-each.amount_minor for each in original.lines]
    assert mirror.your_ref == "txn_1/R"
    assert all(each.description.startswith("txn_1/R") for each in mirror.lines)


async def test_an_invoice_voided_before_it_was_seen_is_booked_and_booked_back(stage):
    await stage.hear(customer(), invoice(status="voided", voided_at=OCTOBER_5 + 86_400))
    [entry] = await stage.entries()
    assert entry.document.suffix == ""
    await stage.hear(posted(entry))
    assert [each.your_ref for each in await stage.entries()] == ["INV-1", "INV-1/R"]


async def test_a_reversal_in_a_closed_period_waits_and_follows_when_one_opens(stage):
    kept = [line(10_000, 2_100)]
    await stage.hear(customer(), invoice(lines=kept))
    [entry] = await stage.entries()
    await stage.hear(period(10, is_open=False))
    await stage.hear(posted(entry), invoice(version=2, lines=kept, status="voided", voided_at=OCTOBER_5))
    assert await stage.reasons() == ["period_closed"]
    await stage.hear(period(11, is_open=True))
    mirror = (await stage.entries())[-1]
    assert (mirror.your_ref, mirror.entry_date, mirror.reporting_period) == ("INV-1/R", date(2026, 10, 5), 11)


async def test_a_document_is_not_planned_for_ever_into_periods_that_close(stage):
    await stage.hear(*(period(number, is_open=True) for number in (9, 10, 11)), customer(), invoice())
    for _ in range(5):
        await stage.hear(refused((await stage.entries())[-1], "period_closed"))
    assert len(await stage.entries()) == 2, "October, then November, and no later one is known"
    assert (await stage.reasons())[-1] == "period_closed"


async def test_a_credit_note_waits_for_its_invoice_and_names_it(stage):
    note = {
        "id": "CN-1",
        "customer_id": "CUST1",
        "type": "adjustment",
        "status": "adjusted",
        "date": OCTOBER_5,
        "currency_code": "EUR",
        "reference_invoice_id": "INV-1",
        "total": 12_100,
        "tax": 2_100,
        "line_items": [line(10_000, 2_100)],
    }
    await stage.hear(customer(), observed(facts.CreditNoteObserved, note))
    assert await stage.reasons() == ["waiting_for_invoice"]
    await stage.hear(invoice())
    entry = next(entry for entry in await stage.entries() if entry.document.kind == "credit_note")
    assert entry.description == "Credit note CN-1 for invoice INV-1"
    assert [(each.amount_minor, each.vat_amount_minor) for each in entry.lines] == [(-10_000, -2_100)]
    assert entry.document.total_minor == -12_100


async def test_a_long_number_keeps_within_exacts_limit_and_stays_unique(stage):
    await stage.hear(customer(), *(invoice(f"VERY-LONG-INVOICE-NUMBER-2026-10-{number}") for number in (1, 2)))
    refs = [entry.your_ref for entry in await stage.entries()]
    assert all(len(ref) <= 30 for ref in refs)
    assert len(set(refs)) == 2


@pytest.mark.parametrize(
    ("details", "day"),
    [
        ({"timezone": "Europe/Amsterdam"}, date(2026, 11, 1)),
        ({"timezone": "America/New_York"}, date(2026, 10, 31)),
        ({"timezone": "No/Where"}, date(2026, 11, 1)),
        ({"timezone": "../../etc/passwd"}, date(2026, 11, 1)),
        (None, date(2026, 11, 1)),
    ],
)
async def test_a_document_near_midnight_gets_the_day_of_its_site(stage, details, day):
    half_past_midnight = 1_793_489_400  # 1 November 2026 in Amsterdam, October in UTC and in New York
    more = {"site_details_at_creation": details} if details else {}
    await stage.hear(customer(), invoice(date=half_past_midnight, **more))
    assert [entry.entry_date for entry in await stage.entries()] == [day]


async def test_documents_of_a_site_that_is_not_configured_are_held(stage):
    stranger = invoice(site_details_at_creation={"timezone": "No/Where"})
    await stage.hear(customer(), msgspec.structs.replace(stranger, site="someone-else"))
    assert await stage.reasons() == ["unknown_site"]


ODD_WORDS = [
    "",
    "EUR",
    "JPY",
    "paid",
    "posted",
    "success",
    "stripe",
    "new_status",
    "plan_item_price",
    "mystery",
    "NL",
    "Team-EUR",
]
ODD_TEXT = st.none() | st.sampled_from([*ODD_WORDS, "CUST1", "tax_inclusive", "payment"])
ODD_NUMBER = st.integers(min_value=-(2**62), max_value=2**62) | st.sampled_from([0, 1, OCTOBER_5])
KINDS: list[tuple[type[facts.Observed], str]] = [
    (facts.InvoiceObserved, "INV-X"),
    (facts.CreditNoteObserved, "CN-X"),
    (facts.TransactionObserved, "txn_x"),
    (facts.CustomerObserved, "CUST1"),
    (facts.ItemPriceObserved, "Team-EUR"),
]


def odd(struct: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Any members of a resource with any values that its types allow."""
    members: dict[str, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(struct):
        kinds = str(field.type)
        if field.name == "id":
            continue
        if "LineItem" in kinds:
            members[field.name] = st.lists(odd(field.type.__args__[0]), max_size=3)
        elif "Address" in kinds:
            members[field.name] = st.fixed_dictionaries({"country": ODD_TEXT})
        elif "dict" in kinds:
            members[field.name] = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2)
        elif "Decimal" in kinds:
            members[field.name] = st.sampled_from([0, 21, 9.5, -3, 1e30])
        elif kinds == "<class 'int'>" or "int |" in kinds:
            members[field.name] = ODD_NUMBER
        elif "bool" in kinds:
            members[field.name] = st.booleans()
        elif "str" in kinds:
            members[field.name] = ODD_TEXT
    return st.fixed_dictionaries({}, optional=members)


FACTS = st.sampled_from(KINDS).flatmap(
    lambda kind: odd(msgspec.structs.fields(kind[0])[-1].type).map(lambda members: (*kind, members))
)


async def test_no_resource_however_strange_stops_the_mapper(tmp_path: Path):
    """Every document that is not booked says why; an error would keep the messages behind it waiting."""
    async with database_for("sqlite", tmp_path, "mapper") as database:
        loop = asyncio.get_running_loop()
        stage, versions = Stage(database), iter(range(1, 10**9))
        await stage.hear(customer())

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(FACTS)
        def strange(drawn: tuple[type[facts.Observed], str, dict[str, Any]]) -> None:
            fact, identity, members = drawn
            number = next(versions)
            message = observed(fact, {**members, "id": f"{identity}-{number}"}, number)
            asyncio.run_coroutine_threadsafe(stage.hear(message), loop).result(30)

        await asyncio.to_thread(strange)
        async with database.reading() as connection:
            documents = (await connection.execute(sa.select(tables.documents.c.state))).scalars().all()
        assert documents
        assert set(documents) <= {"held", "waiting", "set_aside", "planned"}
