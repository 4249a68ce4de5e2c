"""Which account of Exact a customer is: existing ones are found, never doubled, never overwritten, and never guessed."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.engines import DATABASES
from support.exact_server import DIVISION, ExactServer, exact_server
from support.writer_stage import WriterStage, configuration, payment, sale, save_account, writer_stage

from contracts import commands, facts
from simulators.exact import master_data

EMAIL = "administratie@voorbeeld.example"
POST, PUT, CONTACTS = "POST crm/Accounts", "PUT crm/Accounts", "GET sync/CRM/Contacts"
VAT_NUMBER = "NL123456782B01"


def add_account(server: ExactServer, name: str = "Bestaand B.V.", **values: Any) -> dict[str, Any]:
    """An account that the controller made by hand."""
    division = server.simulator.world.divisions[DIVISION]
    return master_data.create_account(division, {"Name": name, "Status": "C", **values})


def add_contact(server: ExactServer, account: dict[str, Any], **values: Any) -> None:
    """A contact of it."""
    division = server.simulator.world.divisions[DIVISION]
    master_data.create_contact(division, {"Account": account["ID"], "LastName": "Jansen", **values})


def account_in(server: ExactServer, account_id: str) -> dict[str, Any]:
    """An account as it stands in Exact now."""
    row = server.simulator.world.divisions[DIVISION].table("crm/Accounts").get(uuid.UUID(account_id))
    assert row is not None
    return row


async def refusal_of(stage: WriterStage) -> facts.AccountRefused:
    """The one customer that was refused."""
    refused: list[facts.AccountRefused] = await stage.until(facts.AccountRefused)
    assert len(refused) == 1
    return refused[0]


@pytest.mark.parametrize("dialect", DATABASES)
async def test_an_existing_account_is_taken_and_its_invoice_booked_there(tmp_path: Path, dialect: str) -> None:
    async with exact_server() as server:
        existing = add_account(server, Email=EMAIL.upper(), Phone="010 7654321", City="Rotterdam", SearchCode="BESTAAND")
        async with writer_stage(server, tmp_path, dialect) as stage:
            await stage.tell(
                save_account(email=EMAIL, phone="020 1234567", city="Utrecht", postcode="3511 AB", vat_number=VAT_NUMBER),
                sale("INV-1"),
            )
            (saved,) = await stage.until(facts.AccountSaved)
            await stage.until(facts.EntryPosted)
            calls = (await server.calls())["by_endpoint"]
    assert (saved.account_id, saved.created) == (str(existing["ID"]), False)
    assert (calls.get(POST, 0), calls[PUT]) == (0, 1)
    row = account_in(server, saved.account_id)
    # What a person typed stays; what was empty is filled, an address only as a whole.
    assert (row["Name"], row["Phone"], row["City"], row["SearchCode"]) == (
        "Bestaand B.V.",
        "010 7654321",
        "Rotterdam",
        "BESTAAND",
    )
    assert (row["VATNumber"], row.get("Postcode")) == (VAT_NUMBER, None)


async def test_only_what_changed_in_chargebee_is_written(tmp_path: Path) -> None:
    async with exact_server() as server:
        existing = add_account(server, Email=EMAIL, Phone="010 7654321")
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account(email=EMAIL, phone="020 1234567"))
            await stage.until(facts.AccountSaved)
            await stage.tell(save_account(fingerprint="2", email="nieuw@voorbeeld.example", phone="020 1234567"))
            await stage.until(facts.AccountSaved, 2)
            row = account_in(server, str(existing["ID"]))
            assert (row["Name"], row["Email"], row["Phone"]) == ("Bestaand B.V.", "nieuw@voorbeeld.example", "010 7654321")
            calls = (await server.calls())["by_endpoint"]
            # A newer release may know more of a customer: what is the same costs nothing.
            await stage.tell(save_account(fingerprint="3", email="nieuw@voorbeeld.example", phone="020 1234567"))
            await stage.until(facts.AccountSaved, 3)
            assert (await server.calls())["by_endpoint"][PUT] == calls[PUT] == 2


async def test_the_vat_number_decides_before_the_email(tmp_path: Path) -> None:
    async with exact_server() as server:
        add_account(server, "Moeder B.V.", Email=EMAIL)
        add_account(server, "Zuster B.V.", Email=EMAIL)
        right = add_account(server, "Dochter B.V.", VATNumber="NL 1234.56.782.B01", Email="ander@voorbeeld.example")
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account(email=EMAIL, vat_number=VAT_NUMBER))
            (saved,) = await stage.until(facts.AccountSaved)
    assert saved.account_id == str(right["ID"])


async def test_two_accounts_with_the_email_ask_a_person_and_the_answer_books(tmp_path: Path) -> None:
    async with exact_server() as server:
        one = add_account(server, "Eerste B.V.", Email=EMAIL)
        other = add_account(server, "Tweede B.V.", Email=EMAIL)
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account(email=EMAIL), sale("INV-1"))
            refused = await refusal_of(stage)
            assert refused.code == "customer_ambiguous"
            for account in (one, other):
                assert f"{account['Code'].strip()} {account['Name']}" in refused.message
            assert "customers.links" in refused.message
            assert POST not in (await server.calls())["by_endpoint"]
            await stage.tell(save_account(fingerprint="2", email=EMAIL, account_code=other["Code"].strip()))
            (saved,) = await stage.until(facts.AccountSaved)
            assert saved.account_id == str(other["ID"])
            await stage.until(facts.EntryPosted)


async def test_an_account_of_its_own_can_be_the_answer(tmp_path: Path) -> None:
    async with exact_server() as server:
        taken = [add_account(server, name, Email=EMAIL) for name in ("Eerste B.V.", "Tweede B.V.")]
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account(email=EMAIL, account_code="new"), sale("INV-1"))
            (saved,) = await stage.until(facts.AccountSaved)
            assert saved.created
            assert saved.account_id not in {str(account["ID"]) for account in taken}
            # The same answer in a later version makes no second one.
            await stage.tell(save_account(fingerprint="2", email=EMAIL, phone="1", account_code="new"))
            await stage.until(facts.AccountSaved, 2)
            assert (await server.calls())["by_endpoint"][POST] == 1


async def test_an_unknown_link_is_named(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(account_code="4711"))
        refused = await refusal_of(stage)
        assert refused.code == "unknown_account"
        assert "4711" in refused.message


async def test_a_supplier_with_the_email_becomes_a_customer(tmp_path: Path) -> None:
    async with exact_server() as server:
        supplier = add_account(server, "Leverancier B.V.", Status="A", IsSupplier=True, Email=EMAIL)
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account(email=EMAIL), sale("INV-1"))
            await stage.until(facts.EntryPosted)
    row = account_in(server, str(supplier["ID"]))
    assert (row["Status"], row["IsSupplier"]) == ("C", True)


async def test_the_email_of_a_contact_finds_its_account(tmp_path: Path) -> None:
    async with exact_server() as server:
        existing = add_account(server, Email="info@voorbeeld.example")
        add_contact(server, existing, BusinessEmail="Administratie@Voorbeeld.example")
        add_contact(server, existing, Email=EMAIL, LastName="De Vries")
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account(email=EMAIL))
            (saved,) = await stage.until(facts.AccountSaved)
            assert saved.account_id == str(existing["ID"])
            await stage.tell(save_account("CUST2", email="iemand@anders.example"))
            await stage.until(facts.AccountSaved, 2)
            assert (await server.calls())["by_endpoint"][CONTACTS] == 1


async def test_where_nobody_else_made_accounts_the_contacts_cost_no_call(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(*(save_account(f"CUST{number}", email=EMAIL) for number in range(3)))
        saved = await stage.until(facts.AccountSaved, 3)
        # Customers that share a mailbox each get an account of their own.
        assert len({fact.account_id for fact in saved}) == 3
        calls = (await server.calls())["by_endpoint"]
        assert (calls[POST], calls.get(CONTACTS, 0), calls["GET sync/CRM/Accounts"]) == (3, 0, 1)


async def test_a_second_customer_does_not_silently_share_a_matched_account(tmp_path: Path) -> None:
    async with exact_server() as server:
        existing = add_account(server, Email=EMAIL)
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account(email=EMAIL))
            await stage.until(facts.AccountSaved)
            await stage.tell(save_account("CUST2", email=EMAIL))
            refused = await refusal_of(stage)
            assert (refused.code, refused.customer_ref.partition("/")[2]) == ("customer_ambiguous", "CUST2")
            assert "already customer CUST1" in refused.message
            await stage.tell(save_account("CUST2", "2", email=EMAIL, account_code=existing["Code"].strip()))
            saved = await stage.until(facts.AccountSaved, 2)
            assert {fact.account_id for fact in saved} == {str(existing["ID"])}


async def test_the_same_mailbox_with_another_vat_number_asks(tmp_path: Path) -> None:
    async with exact_server() as server:
        add_account(server, Email=EMAIL, VATNumber="DE136695976")
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account(email=EMAIL, vat_number=VAT_NUMBER))
            refused = await refusal_of(stage)
            assert refused.code == "customer_ambiguous"
            assert "with VAT number DE136695976" in refused.message


async def test_a_blocked_account_is_named(tmp_path: Path) -> None:
    async with exact_server() as server:
        existing = add_account(server, "Geblokkeerd B.V.", Email=EMAIL, Blocked=True)
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account(email=EMAIL))
            refused = await refusal_of(stage)
            assert refused.code == "account_blocked"
            assert f"{existing['Code'].strip()} Geblokkeerd B.V." in refused.message


@pytest.mark.parametrize(
    ("field", "values"),
    [("search_code", {"SearchCode": "cust1"}), ("code", {"Code": "4711"}), ("code_at_supplier", {"CodeAtSupplier": "CUST1"})],
)
async def test_chargebees_id_stands_where_the_configuration_says(tmp_path: Path, field: str, values: dict[str, Any]) -> None:
    async with exact_server() as server:
        existing = add_account(server, **values)
        customer = "4711" if field == "code" else "CUST1"
        asking = configuration(customers={"chargebee_id": field, "match": []})
        async with writer_stage(server, tmp_path, configuration=asking) as stage:
            await stage.tell(save_account(customer, email=EMAIL))
            (saved,) = await stage.until(facts.AccountSaved)
    assert saved.account_id == str(existing["ID"])


async def test_nothing_is_matched_when_the_configuration_says_so(tmp_path: Path) -> None:
    async with exact_server() as server:
        add_account(server, Email=EMAIL)
        async with writer_stage(server, tmp_path, configuration=configuration(customers={"match": []})) as stage:
            await stage.tell(save_account(email=EMAIL))
            (saved,) = await stage.until(facts.AccountSaved)
            assert saved.created
            assert CONTACTS not in (await server.calls())["by_endpoint"]


@pytest.mark.parametrize("fault", ["lose_answer", "drop_before", "status_after"])
async def test_a_lost_answer_neither_doubles_an_account_nor_loses_a_match(tmp_path: Path, fault: str) -> None:
    async with exact_server() as server:
        existing = add_account(server, Email=EMAIL)
        for method in ("POST", "PUT"):
            more = {"status": 503} if fault == "status_after" else {}
            await server.fault(fault, method=method, path_contains="crm/Accounts", **more)
        async with writer_stage(server, tmp_path, exact_timeout_seconds=1.0) as stage:
            await stage.tell(save_account(email=EMAIL), save_account("CUST2"), sale("INV-1"), sale("INV-2", "CUST2"))
            await stage.until(facts.EntryPosted, 2, seconds=60)
            saved = {fact.customer_ref.partition("/")[2]: fact.account_id for fact in await stage.said(facts.AccountSaved)}
    assert saved["CUST1"] == str(existing["ID"])
    assert len(server.simulator.world.divisions[DIVISION].table("crm/Accounts")) == 2


async def test_an_account_that_is_gone_is_matched_no_more(tmp_path: Path) -> None:
    async with exact_server() as server:
        gone = add_account(server, Email=EMAIL)
        add_account(server, "Ander B.V.")
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account("CUST9"))
            await stage.until(facts.AccountSaved)  # the mirror was read
            await asyncio.sleep(0)
            server.simulator.world.divisions[DIVISION].table("crm/Accounts").remove(gone["ID"])
            await stage.tell(save_account(email=EMAIL), sale("INV-1"))
            await stage.until(facts.EntryPosted)
            (saved,) = await stage.until(facts.AccountSaved, customer_ref="acme-test/CUST1")
            assert saved.created


async def test_a_payment_for_two_customers_meets_both_invoices_and_waits_for_both_accounts(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        lines = (
            commands.EntryLine(gl_account="1290", amount_minor=24_200),
            commands.EntryLine(gl_account="1300", amount_minor=-12_100, is_receivable=True),
            commands.EntryLine(gl_account="1300", amount_minor=-12_100, is_receivable=True, customer_ref="acme-test/CUST2"),
        )
        known = msgspec.structs.asdict(payment("TX-1"))
        await stage.tell(save_account(), sale("INV-1"), commands.PostEntry(**{**known, "lines": lines}))
        await stage.until(facts.EntryPosted)
        await stage.tell(save_account("CUST2"), sale("INV-2", "CUST2"))
        await stage.until(facts.EntryPosted, 3)
        receivables = (await server.ledger())["receivables"]
        assert {row["your_ref"]: row["open_minor"] for row in receivables if row["your_ref"]} == {"INV-1": 0, "INV-2": 0}


async def test_a_subsidiary_names_its_parent_in_exact(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        above = {"parent_ref": "acme-test/HEAD", "invoice_account_ref": "acme-test/HEAD"}
        await stage.tell(save_account("EARLY", **above), save_account("HEAD"), save_account(**above))
        saved = {fact.customer_ref: fact.account_id for fact in await stage.until(facts.AccountSaved, 3)}
        row, head = account_in(server, saved["acme-test/CUST1"]), saved["acme-test/HEAD"]
        assert (str(row["Parent"]), str(row["InvoiceAccount"])) == (head, head)
        assert "Parent" not in account_in(server, saved["acme-test/EARLY"])
        # What could not be named at first is, with the next change.
        await stage.tell(save_account("EARLY", "2", phone="030 1234567", **above))
        await stage.until(facts.AccountSaved, 4)
        assert str(account_in(server, saved["acme-test/EARLY"])["Parent"]) == head


async def test_free_fields_travel_in_the_calls_that_an_account_takes_anyway(tmp_path: Path) -> None:
    fields = {"remarks": "Key account", "trade_name": "De Molen", "website": None}
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(account_fields=fields), sale("INV-1"))
        (saved,) = await stage.until(facts.AccountSaved)
        await stage.until(facts.EntryPosted)
        row = account_in(server, saved.account_id)
        assert (row["Remarks"], row["TradeName"], row.get("Website")) == ("Key account", "De Molen", None)
        changed = {"remarks": None, "trade_name": "De Molen", "website": "https://molen.example"}
        await stage.tell(save_account(fingerprint="2", account_fields=changed))
        await stage.until(facts.AccountSaved, 2)
        calls = (await server.calls())["by_endpoint"]
        row = account_in(server, saved.account_id)
    assert (row.get("Remarks"), row["TradeName"], row["Website"]) == (None, "De Molen", "https://molen.example")
    assert (calls[POST], calls[PUT]) == (1, 1)
    assert not any("customfield" in endpoint for endpoint in calls)


async def test_free_fields_of_an_account_that_was_there_are_left_to_people(tmp_path: Path) -> None:
    async with exact_server() as server:
        existing = add_account(server, Email=EMAIL, Remarks="Belt altijd op vrijdag")
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account(email=EMAIL, account_fields={"remarks": "Key account", "trade_name": "De Molen"}))
            await stage.until(facts.AccountSaved)
            await stage.tell(save_account(fingerprint="2", email=EMAIL, account_fields={"remarks": "Gold", "trade_name": "X"}))
            await stage.until(facts.AccountSaved, 2)
        row = account_in(server, str(existing["ID"]))
    assert (row["Remarks"], row.get("TradeName")) == ("Belt altijd op vrijdag", None)
