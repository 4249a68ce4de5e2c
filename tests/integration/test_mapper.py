"""The mapper over real databases: facts in, commands and reasons out."""

import asyncio
import random
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from support.engines import DATABASES, database_for
from support.facts import OCTOBER_5, SITE, customer, invoice, line, observed
from support.mapper_stage import CONFIGURATION, Stage, payment, period, posted, refused

from backbone.configuration import Configuration
from contracts import commands, facts


@pytest.fixture(params=DATABASES)
async def stage(request, tmp_path: Path):
    async with database_for(request.param, tmp_path, "mapper") as database:
        yield Stage(database)


async def test_an_invoice_becomes_the_customer_and_then_one_balanced_entry(stage):
    await stage.hear(customer(), invoice(lines=[line(10_000, 2_100), line(5_000, 450, 9)]))
    account, planned, entry = await stage.said()
    assert isinstance(account, commands.SaveAccount)
    assert (account.name, account.country, account.vat_number) == ("Voorbeeld B.V.", "NL", "NL123456782B01")
    assert isinstance(planned, facts.DocumentPlanned)
    assert planned.command_id == entry.command_id
    assert (entry.your_ref, entry.journal, entry.entry_date) == ("INV-1", "70", date(2026, 10, 5))
    assert [(each.gl_account, each.amount_minor, each.vat_code, each.vat_amount_minor) for each in entry.lines] == [
        ("8000", 10_000, "2", 2_100),
        ("8000", 5_000, "1", 450),
    ]
    assert sum(each.amount_minor + each.vat_amount_minor for each in entry.lines) == entry.document.total_minor
    assert entry.lines[0].cost_center == "NL"


async def test_a_known_customer_costs_no_second_command_until_a_sent_field_changes(stage):
    await stage.hear(customer(), invoice("INV-1"), invoice("INV-2"), customer(version=2, net_term_days=30))
    assert len(await stage.said(commands.SaveAccount)) == 1
    await stage.hear(customer(version=3, company="Nieuwe Naam B.V."))
    assert [account.name for account in await stage.said(commands.SaveAccount)] == ["Voorbeeld B.V.", "Nieuwe Naam B.V."]


async def test_later_versions_of_a_booked_invoice_book_nothing_more(stage):
    kept = [line(10_000, 2_100)]
    first = invoice(lines=kept)
    await stage.hear(customer(), first, first)
    [entry] = await stage.entries()
    paid = invoice(version=9, lines=kept, status="paid")
    await stage.hear(posted(entry), paid)
    assert len(await stage.entries()) == 1
    assert await stage.reasons() == []


async def test_changed_amounts_after_booking_are_shown_once_and_not_booked(stage):
    changed = line(9_000, 1_890)
    await stage.hear(customer(), invoice(), invoice(version=2, lines=[changed]), invoice(version=3, lines=[changed]))
    assert len(await stage.entries()) == 1
    assert await stage.reasons() == ["changed_after_booking"]


async def test_a_document_waits_for_its_customer_and_is_booked_when_that_arrives(stage):
    await stage.hear(invoice())
    assert await stage.reasons() == ["waiting_for_customer"]
    await stage.hear(customer())
    assert [entry.your_ref for entry in await stage.entries()] == ["INV-1"]


async def test_a_product_decides_the_account_as_soon_as_it_is_known(stage):
    await stage.hear(customer(), invoice(lines=[line(5_000, 1_050, entity="Audit-EUR", kind="charge_item_price")]))
    assert await stage.reasons() == ["waiting_for_product"]
    price = {"id": "Audit-EUR", "item_id": "audit", "item_family_id": "services"}
    await stage.hear(observed(facts.ItemPriceObserved, price))
    [entry] = await stage.entries()
    assert entry.lines[0].gl_account == "8020"


async def test_the_family_may_come_with_the_item(stage):
    await stage.hear(customer(), invoice(lines=[line(5_000, 1_050, entity="Audit-EUR", kind="charge_item_price")]))
    await stage.hear(observed(facts.ItemPriceObserved, {"id": "Audit-EUR", "item_id": "audit"}))
    assert await stage.entries() == []
    await stage.hear(observed(facts.ItemObserved, {"id": "audit", "item_family_id": "services"}))
    assert [entry.lines[0].gl_account for entry in await stage.entries()] == ["8020"]


async def test_an_unmapped_product_is_held_with_the_line_to_add(stage):
    await stage.hear(customer(), observed(facts.ItemPriceObserved, {"id": "Lab", "item_id": "lab", "item_family_id": "labs"}))
    await stage.hear(invoice(lines=[line(7_500, 1_575, entity="Lab")]))
    [held] = await stage.said(facts.DocumentHeld)
    assert held.code == "no_revenue_account"
    assert "Lab" in held.sentence
    assert "item_price: Lab" in held.action
    assert not held.waiting


async def test_a_mended_mapping_books_what_was_held(stage):
    await stage.hear(customer(), observed(facts.ItemPriceObserved, {"id": "Lab", "item_id": "lab", "item_family_id": "labs"}))
    await stage.hear(invoice(lines=[line(7_500, 1_575, entity="Lab")]))
    division = CONFIGURATION.divisions[100001]
    revenue = [*(rule.model_dump() for rule in division.revenue), {"when": {"item_price": "Lab"}, "account": "8000"}]
    dump = CONFIGURATION.model_dump()
    dump["divisions"][100001]["revenue"] = revenue
    mended = Stage(stage.database, Configuration.model_validate(dump))
    stop = asyncio.Event()
    worker = asyncio.create_task(mended.mapper.replan_changed_mapping(stop))
    for _ in range(100):
        await asyncio.sleep(0.02)
        if await mended.entries():
            break
    stop.set()
    await worker
    assert [entry.your_ref for entry in await mended.entries()] == ["INV-1"]


async def test_pending_invoices_are_set_aside_and_booked_when_they_close(stage):
    await stage.hear(customer(), invoice(status="pending"))
    assert await stage.reasons() == ["pending"]
    await stage.hear(invoice(version=2))
    assert len(await stage.entries()) == 1


async def test_a_closed_period_moves_the_reporting_and_keeps_the_date(stage):
    await stage.hear(period(10, is_open=False), period(11, is_open=True), customer(), invoice())
    [entry] = await stage.entries()
    assert (entry.entry_date, entry.reporting_year, entry.reporting_period) == (date(2026, 10, 5), 2026, 11)
    [planned] = await stage.said(facts.DocumentPlanned)
    assert any("2026-10" in words and "2026-11" in words for words in planned.explanation)


async def test_a_period_that_closes_between_plan_and_call_is_planned_again(stage):
    await stage.hear(period(10, is_open=True), period(11, is_open=True), customer(), invoice())
    [entry] = await stage.entries()
    await stage.hear(refused(entry, "period_closed"))
    first, second = await stage.entries()
    assert first.command_id != second.command_id
    assert (second.reporting_year, second.reporting_period) == (2026, 11)


async def test_a_refusal_is_held_with_the_words_of_exact(stage):
    await stage.hear(customer(), invoice())
    [entry] = await stage.entries()
    await stage.hear(refused(entry, "other", "Verplicht: Betalingsconditie"))
    [held] = await stage.said(facts.DocumentHeld)
    assert (held.code, "Verplicht: Betalingsconditie" in held.sentence) == ("exact_refused", True)
    await stage.hear(invoice(version=5, status="paid", lines=[]))
    assert len(await stage.entries()) == 1


async def test_a_voided_invoice_is_booked_back_with_its_mirror_once(stage):
    kept = [line(10_000, 2_100)]
    await stage.hear(customer(), invoice(lines=kept))
    [entry] = await stage.entries()
    voided = invoice(version=4, lines=kept, status="voided", voided_at=OCTOBER_5 + 86_400)
    await stage.hear(voided)
    assert len(await stage.entries()) == 1, "the mirror waits until the entry itself is booked"
    await stage.hear(posted(entry), invoice(version=5, lines=kept, status="voided", voided_at=OCTOBER_5 + 86_400))
    original, mirror = await stage.entries()
    assert mirror.your_ref == "INV-1/R"
    assert mirror.entry_date == date(2026, 10, 6)
    assert [(each.amount_minor, each.vat_amount_minor) for each in mirror.lines] == [
        (-each.amount_minor, -each.vat_amount_minor) for each in original.lines
    ]
    assert mirror.document.total_minor == -original.document.total_minor


async def test_an_online_payment_goes_to_the_control_account_with_its_id_in_every_line(stage):
    await stage.hear(customer(), payment())
    [entry] = await stage.entries()
    assert entry.kind == "general"
    assert [(each.gl_account, each.amount_minor, each.is_receivable) for each in entry.lines] == [
        ("1290", 12_100, False),
        ("1300", -12_100, True),
    ]
    assert all(each.description.startswith("txn_1") for each in entry.lines)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"gateway": "not_applicable"}, "offline_payment"),
        ({"reference_number": "KP-abc"}, "own_payment"),
        ({"status": "failure"}, "payment_failed"),
        ({"status": "in_progress"}, "payment_in_progress"),
        ({"status": "a_status_of_next_year"}, "unknown_status"),
        ({"type": "authorization"}, "authorization"),
    ],
)
async def test_money_that_is_not_booked_says_why(stage, change, reason):
    await stage.hear(customer(), payment(**change))
    assert await stage.entries() == []
    assert await stage.reasons() == [reason]


async def test_our_own_payment_is_not_booked_even_when_its_reference_is_gone(stage):
    recorded = facts.PaymentRecorded(
        document=facts.DocumentRef(
            site=SITE, kind="invoice", number="INV-1", customer_id="CUST1", currency="EUR", total_minor=12_100
        ),
        transaction_id="txn_1",
        amount_minor=12_100,
        payment_date=date(2026, 10, 20),
        reference="KP-abc",
    )
    await stage.hear(customer(), recorded, payment())
    assert await stage.entries() == []


async def test_an_unknown_business_entity_is_held_and_never_falls_back(stage):
    await stage.hear(customer(), invoice(business_entity_id="BE-9"))
    assert await stage.reasons() == ["unknown_business_entity"]
    assert await stage.entries() == []


async def test_a_business_entity_that_is_mapped_later_is_booked_at_the_next_start(stage):
    await stage.hear(customer(), invoice(business_entity_id="BE-9"))
    await stage.start()
    assert await stage.entries() == []
    known = CONFIGURATION.model_dump(exclude_defaults=True)
    known["sites"][SITE]["business_entities"] = {"BE-9": 100001}
    mended = Stage(stage.database, Configuration.model_validate(known))
    await mended.start()
    assert [entry.your_ref for entry in await mended.entries()] == ["INV-1"]


async def test_amounts_that_do_not_add_up_are_held(stage):
    await stage.hear(customer(), invoice(total=12_101))
    assert await stage.reasons() == ["amounts_do_not_add_up"]


async def test_foreign_currency_carries_chargebees_rate(stage):
    await stage.hear(customer(), invoice(currency_code="USD", exchange_rate=0.92))
    [entry] = await stage.entries()
    assert (entry.currency, entry.exchange_rate) == ("USD", Decimal("0.92"))


def history() -> list[facts.Observed]:
    """A small month: two invoices, a payment, an update and a void, with their customer and product."""
    item = line(5_000, 1_050, entity="Audit-EUR", kind="charge_item_price")
    first = line(10_000, 2_100)
    return [
        customer(),
        customer(version=2, company="Later B.V."),
        observed(facts.ItemPriceObserved, {"id": "Audit-EUR", "item_id": "audit", "item_family_id": "services"}),
        invoice("INV-1", lines=[first]),
        invoice("INV-1", lines=[first], version=2, status="paid"),
        invoice("INV-2", lines=[item], version=1, status="pending"),
        invoice("INV-2", lines=[item], version=2),
        payment(),
    ]


@pytest.mark.parametrize("seed", range(6))
async def test_the_order_of_arrival_decides_nothing(stage, seed):
    shuffled = [*history(), *history()[:4]]
    random.Random(seed).shuffle(shuffled)
    await stage.hear(*shuffled)
    entries = sorted(await stage.entries(), key=lambda entry: entry.your_ref)
    assert [(entry.your_ref, entry.document.total_minor) for entry in entries] == [
        ("INV-1", 12_100),
        ("INV-2", 6_050),
        ("txn_1", -12_100),
    ]
    assert (await stage.said(commands.SaveAccount))[-1].name == "Later B.V."


async def test_a_refusal_before_the_periods_are_known_waits_for_them(stage):
    await stage.hear(customer(), invoice())
    [entry] = await stage.entries()
    await stage.hear(refused(entry, "period_closed"))
    assert await stage.reasons() == ["waiting_for_periods"]
    await stage.hear(period(9, is_open=True))
    assert len(await stage.entries()) == 1, "its own period is not known yet"
    await stage.hear(period(10, is_open=False), period(11, is_open=True))
    assert [(each.reporting_year, each.reporting_period) for each in await stage.entries()] == [(None, None), (2026, 11)]


async def test_a_payment_that_we_recorded_is_told_as_set_aside_when_its_webhook_comes(stage):
    document = facts.DocumentRef(
        site=SITE, kind="invoice", number="INV-1", customer_id="CUST1", currency="EUR", total_minor=12_100
    )
    recorded = facts.PaymentRecorded(
        document=document, transaction_id="txn_1", amount_minor=12_100, payment_date=date(2026, 10, 20), reference="KP-a"
    )
    await stage.hear(customer(), recorded, payment(reference_number="KP-a", gateway="not_applicable"))
    assert await stage.reasons() == ["own_payment"]
