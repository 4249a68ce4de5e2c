"""Which customer goes to Exact, and when: links, refusals, and customers that were merged, deleted or made anonymous."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.engines import DATABASES, database_for
from support.facts import OCTOBER_5, customer, envelope, invoice, line, observed
from support.mapper_stage import CONFIGURATION, Stage, payment, posted

from backbone.configuration import Configuration
from backbone.errors import OnceMore
from contracts import commands, facts

DIVISION = 100001


def configured(**customers: Any) -> Configuration:
    """The test's configuration with a section `customers`."""
    known = CONFIGURATION.model_dump(mode="json")
    known["divisions"][str(DIVISION)]["customers"] = customers
    return Configuration.model_validate(known)


@pytest.fixture(params=DATABASES)
async def stage(request, tmp_path: Path):
    async with database_for(request.param, tmp_path, "mapper") as database:
        yield Stage(database)


@pytest.fixture
async def quick_stage(tmp_path: Path):
    async with database_for("sqlite", tmp_path, "mapper") as database:
        yield Stage(database)


def ambiguous(customer_id: str = "CUST1") -> facts.AccountRefused:
    """Several accounts of Exact fit."""
    return facts.AccountRefused(
        division=DIVISION,
        customer_ref=f"acme-test/{customer_id}",
        code="customer_ambiguous",
        message="2 accounts in Exact have the e-mail address x: 1042 Een B.V.; 1043 Twee B.V.",
    )


async def test_an_ambiguous_customer_is_held_with_the_answer_to_give_and_the_answer_is_sent(stage):
    await stage.hear(customer(), invoice(), ambiguous())
    [held] = await stage.said(facts.DocumentHeld)
    assert held.code == "customer_ambiguous"
    assert "1042 Een B.V." in held.sentence
    assert f'divisions.{DIVISION}.customers.links: {{"CUST1": "..."}}' in held.action
    again = Stage(stage.database, configured(links={"CUST1": "1042"}))
    await again.start()
    sent = await again.said(commands.SaveAccount)
    assert [command.account_code for command in sent] == [None, "1042"]
    # The same file at the next start says nothing new.
    saved = facts.AccountSaved(division=DIVISION, customer_ref="acme-test/CUST1", account_id="a", created=False)
    await again.hear(saved)
    await again.start()
    assert len(await again.said(commands.SaveAccount)) == 2


async def test_a_refused_customer_is_tried_again_at_a_start(quick_stage):
    await quick_stage.hear(customer(), invoice(), ambiguous())
    await quick_stage.start()
    first, second = await quick_stage.said(commands.SaveAccount)
    assert first == second


async def test_a_link_can_name_the_site(quick_stage):
    linked = Stage(quick_stage.database, configured(links={"acme-test/CUST1": "7", "other/CUST2": "8"}))
    await linked.hear(customer(), customer("CUST2"), invoice(), invoice("INV-2", customer_id="CUST2"))
    sent = {command.customer_ref: command.account_code for command in await linked.said(commands.SaveAccount)}
    assert sent == {"acme-test/CUST1": "7", "acme-test/CUST2": None}


async def test_a_locale_is_sent_only_as_the_language_it_is_mapped_to(quick_stage):
    mapped = Stage(quick_stage.database, configured(languages={"nl": "NL", "fr-BE": "FR-BE"}))
    for number, locale in enumerate(("nl-BE", "fr-BE", "fr", None)):
        await mapped.hear(customer(f"C{number}", locale=locale), invoice(f"INV-{number}", customer_id=f"C{number}"))
    assert [command.language for command in await mapped.said(commands.SaveAccount)] == ["NL", "FR-BE", None, None]


@pytest.mark.parametrize("gone", [{"deleted": True}, {"pii_cleared": "cleared", "company": None, "email": None}])
async def test_a_customer_that_was_deleted_or_made_anonymous_stays_in_exact_as_it_was(quick_stage, gone):
    await quick_stage.hear(customer(), invoice())
    await quick_stage.hear(customer(version=2, vat_number=None, billing_address=None, **gone))
    assert [command.name for command in await quick_stage.said(commands.SaveAccount)] == ["Voorbeeld B.V."]


MERGED = {"deleted": True}


async def test_a_payment_by_the_payment_owner_is_booked_on_the_account_of_the_invoice(stage):
    child = customer("CHILD", relationship={"parent_id": "HEAD", "payment_owner_id": "HEAD", "invoice_owner_id": "CHILD"})
    head = customer("HEAD", relationship={"payment_owner_id": "HEAD", "invoice_owner_id": "HEAD"})
    paid = payment(customer_id="HEAD")
    # The payer's partition may be ahead of the invoice's.
    await stage.hear(head, paid)
    assert await stage.reasons() == ["waiting_for_paid_invoice"]
    await stage.hear(child, invoice(customer_id="CHILD"))
    sale, entry = await stage.entries()
    assert (sale.customer_ref, entry.customer_ref) == ("acme-test/CHILD", "acme-test/CHILD")
    assert entry.document.customer_id == "HEAD"
    assert [line.customer_ref for line in entry.lines] == [None, None]


async def test_a_payment_for_several_customers_has_a_line_on_each_account_and_its_mirror_too(stage):
    await stage.hear(customer("HEAD", relationship={"payment_owner_id": "HEAD"}), customer("A"), customer("B"))
    await stage.hear(invoice("INV-1", customer_id="A"), invoice("INV-2", customer_id="B"))
    applied = [{"invoice_id": number, "applied_amount": 12_100} for number in ("INV-1", "INV-2")]
    await stage.hear(payment(customer_id="HEAD", amount=30_000, linked_invoices=applied))
    entry = (await stage.entries())[-1]
    assert entry.customer_ref == "acme-test/A"
    receivables = [(line.customer_ref, line.amount_minor) for line in entry.lines if line.is_receivable]
    assert receivables == [(None, -12_100), ("acme-test/B", -12_100), ("acme-test/HEAD", -5_800)]
    assert entry.follows == ("INV-1", "INV-2"), "the writer books them first, also where they wait in history"
    await stage.hear(posted(entry), payment(version=2, customer_id="HEAD", amount=30_000, status="voided"))
    mirror = (await stage.entries())[-1]
    assert mirror.customer_ref == "acme-test/A"
    assert mirror.follows[0] == entry.your_ref
    assert [(line.customer_ref, line.amount_minor) for line in mirror.lines if line.is_receivable] == [
        (None, 12_100),
        ("acme-test/B", 12_100),
        ("acme-test/HEAD", 5_800),
    ]


async def test_a_merge_moves_nothing_that_is_booked_and_sends_what_is_new_to_the_surviving_account(stage):
    kept = [line(10_000, 2_100)]
    await stage.hear(customer("OLD"), customer("NEW"), invoice("INV-1", customer_id="OLD", lines=kept))
    await stage.post_all()
    await stage.hear(customer("OLD", version=2, **MERGED))
    await stage.hear(invoice("INV-1", version=2, customer_id="NEW", lines=kept))
    assert await stage.reasons() == []
    # A payment of the moved invoice comes from the survivor, and meets it on the account where it was booked.
    await stage.hear(payment(customer_id="NEW"), invoice("INV-2", customer_id="OLD"))
    booked = {entry.your_ref: entry.customer_ref for entry in await stage.entries()}
    assert booked == {"INV-1": "acme-test/OLD", "txn_1": "acme-test/OLD", "INV-2": "acme-test/NEW"}


async def test_a_document_of_a_customer_that_is_gone_is_held_until_it_is_known_whose_it_is(stage):
    await stage.hear(customer("OLD", **MERGED), customer("NEW"), invoice("INV-1", customer_id="OLD"))
    [held] = await stage.said(facts.DocumentHeld)
    assert held.code == "customer_gone"
    # Another document of it is held for another reason, and then seen with the survivor.
    await stage.hear(invoice("INV-2", customer_id="OLD", lines=[line(100, 0, 5)]))
    await stage.hear(invoice("INV-2", version=2, customer_id="NEW", lines=[line(100, 0, 5)]))
    [entry] = await stage.entries()
    assert (entry.your_ref, entry.customer_ref) == ("INV-1", "acme-test/NEW")


async def test_a_person_can_say_whose_a_gone_customer_is(quick_stage):
    await quick_stage.hear(customer("OLD", **MERGED), invoice("INV-1", customer_id="OLD"))
    again = Stage(quick_stage.database, configured(links={"OLD": "1042"}))
    await again.start()
    [account] = await again.said(commands.SaveAccount)
    [entry] = await again.entries()
    assert (account.account_code, entry.customer_ref) == ("1042", "acme-test/OLD")


async def test_a_credit_note_follows_its_invoice(stage):
    kept = [line(10_000, 2_100)]
    await stage.hear(customer("OLD"), customer("NEW"), invoice("INV-1", customer_id="OLD", lines=kept))
    await stage.post_all()
    await stage.hear(customer("OLD", version=2, **MERGED), invoice("INV-1", version=2, customer_id="NEW", lines=kept))
    note = {
        "id": "CN-1",
        "customer_id": "NEW",
        "reference_invoice_id": "INV-1",
        "type": "refundable",
        "status": "refund_due",
        "date": OCTOBER_5,
        "currency_code": "EUR",
        "base_currency_code": "EUR",
        "total": 12_100,
        "tax": 2_100,
        "line_items": [line(10_000, 2_100)],
    }
    await stage.hear(observed(facts.CreditNoteObserved, note))
    assert (await stage.entries())[-1].customer_ref == "acme-test/OLD"


@pytest.mark.parametrize(
    ("hierarchy", "expected"),
    [("none", (None, None)), ("parent", ("acme-test/HEAD", None)), ("invoice_account", ("acme-test/HEAD", "acme-test/HEAD"))],
)
async def test_the_hierarchy_is_shown_as_far_as_the_configuration_says_with_those_above_first(quick_stage, hierarchy, expected):
    shown = Stage(quick_stage.database, configured(hierarchy=hierarchy))
    head = customer("HEAD", relationship={"payment_owner_id": "HEAD", "invoice_owner_id": "HEAD"})
    child = customer("CHILD", relationship={"parent_id": "HEAD", "payment_owner_id": "HEAD", "invoice_owner_id": "HEAD"})
    await shown.hear(head, child, invoice(customer_id="CHILD"))
    sent = await shown.said(commands.SaveAccount)
    assert [command.customer_ref.split("/")[1] for command in sent] == (["HEAD", "CHILD"] if hierarchy != "none" else ["CHILD"])
    assert (sent[-1].parent_ref, sent[-1].invoice_account_ref) == expected


@pytest.mark.parametrize(("raw", "sent"), [("12345678", "12345678"), ("KVK 1234", None), (None, None), ("1234.5678", "12345678")])
async def test_a_chamber_of_commerce_number_is_sent_when_it_can_be_one(quick_stage, raw, sent):
    kept = Stage(quick_stage.database, configured(chamber_of_commerce="cf_kvk"))
    await kept.hear_with(customer(), **({"cf_kvk": raw} if raw is not None else {}))
    await kept.hear(invoice())
    [account] = await kept.said(commands.SaveAccount)
    assert account.chamber_of_commerce == sent


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"vat_number": "NL123456789B01"}, "VAT number NL123456789B01 of customer CUST1"),
        ({"vat_number_status": "invalid"}, "VAT number NL123456782B01 of customer CUST1"),
        ({}, None),
    ],
)
async def test_a_vat_number_that_exact_would_refuse_is_not_sent_but_told(quick_stage, more, told):
    await quick_stage.hear(customer(**more), invoice())
    [account] = await quick_stage.said(commands.SaveAccount)
    [planned] = await quick_stage.said(facts.DocumentPlanned)
    assert (account.vat_number is None) == (told is not None)
    assert any(words.startswith(told) for words in planned.explanation) if told else account.vat_number


async def test_a_northern_irish_number_keeps_its_prefix(quick_stage):
    address = {"line1": "1 High Street", "city": "Belfast", "country": "XI"}
    await quick_stage.hear(customer(vat_number="432525179", vat_number_prefix="XI", billing_address=address), invoice())
    [account] = await quick_stage.said(commands.SaveAccount)
    assert (account.vat_number, account.country) == ("XI432525179", "GB")


@pytest.mark.postgres
async def test_a_payment_and_the_invoice_of_another_customer_see_each_other_when_handled_at_once(tmp_path: Path):
    async with database_for("postgresql", tmp_path, "mapper") as database:
        stage = Stage(database)
        await stage.hear(customer("CHILD"), customer("HEAD", relationship={"payment_owner_id": "HEAD"}))
        sale, paid = invoice(customer_id="CHILD"), payment(customer_id="HEAD")
        async with database.transaction() as connection:
            await stage.mapper.handle(connection, envelope(sale), sale)
            meanwhile = asyncio.create_task(stage.hear(paid))
            done, _ = await asyncio.wait([meanwhile], timeout=0.5)
            assert not done, "the payment waits for what is being handled"
        await meanwhile
        assert [entry.customer_ref for entry in await stage.entries()] == ["acme-test/CHILD"] * 2
        assert await stage.reasons() == []


@pytest.mark.postgres
async def test_two_payments_that_need_the_others_to_stand_still_do_not_stop_each_other(tmp_path: Path):
    """Each shares the lock already when it finds out; one of them gives way, and is handled alone from the start."""
    async with database_for("postgresql", tmp_path, "mapper") as database:
        stage = Stage(database)
        await stage.hear(customer("HEAD", relationship={"payment_owner_id": "HEAD"}))
        one, other = (
            payment(id=f"txn_{number}", customer_id="HEAD", linked_invoices=[{"invoice_id": number, "applied_amount": 12_100}])
            for number in ("INV-8", "INV-9")
        )

        async def hear_both() -> None:
            async with database.transaction() as connection:
                await stage.mapper.handle(connection, envelope(invoice()), invoice())
                meanwhile.append(asyncio.create_task(stage.hear(one)))
                done, _ = await asyncio.wait(meanwhile, timeout=0.5)
                assert not done, "it waits for what is being handled"
                await stage.mapper.handle(connection, envelope(other), other)

        meanwhile: list[asyncio.Task[None]] = []
        with pytest.raises(OnceMore):
            await hear_both()
        await asyncio.wait_for(meanwhile[0], 60)
        await stage.hear(other)
        assert stage.handled_again == 2
        assert await stage.reasons() == ["waiting_for_paid_invoice"] * 2


async def test_custom_fields_are_shown_in_the_fields_that_the_mapping_names_and_one_that_is_too_long_is_told(quick_stage):
    shown = {"remarks": "cf_note", "trade_name": "cf_trade", "code_at_supplier": "cf_code"}
    kept = Stage(quick_stage.database, configured(account_fields=shown))
    await kept.hear_with(customer(), cf_note="Key account", cf_code="X" * 31, cf_other="never sent")
    await kept.hear(invoice())
    [account] = await kept.said(commands.SaveAccount)
    assert account.account_fields == {"remarks": "Key account", "trade_name": None, "code_at_supplier": None}
    [planned] = await kept.said(facts.DocumentPlanned)
    assert "cf_code of customer CUST1 is too long for its field in Exact and is not sent." in planned.explanation
    await kept.hear_with(customer(version=2), cf_note="Gold")
    assert (await kept.said(commands.SaveAccount))[-1].account_fields["remarks"] == "Gold"
    await kept.hear_with(customer(version=3), cf_note="Gold", cf_other="changed")
    assert len(await kept.said(commands.SaveAccount)) == 2, "what is not shown costs nothing"


async def test_exacts_own_custom_fields_get_the_values_that_are_not_empty(quick_stage):
    kept = Stage(quick_stage.database, configured(custom_fields={"Segment": "cf_segment", "Team": "cf_team"}))
    await kept.hear_with(customer(), cf_segment="Retail", cf_team="", cf_other="never sent")
    await kept.hear(invoice())
    await kept.hear_with(customer(version=2), cf_segment="Retail", cf_team="North")
    sent = [each.custom_fields for each in await kept.said(commands.SaveAccount)]
    assert sent == [{"Segment": "Retail"}, {"Segment": "Retail", "Team": "North"}]
