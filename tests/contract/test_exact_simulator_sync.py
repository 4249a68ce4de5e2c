import base64

import pytest
from support.exact_simulator import exact, message

LINES = "sync/Financial/TransactionLines"


async def test_row_versions_grow_and_lead_from_change_to_change():
    async with exact() as client:
        first = await client.customer("Een")
        await client.customer("Twee")
        rows = await client.rows("sync/CRM/Accounts", filter="Timestamp gt 1L")
        versions = [int(row["Timestamp"]) for row in rows]
        assert versions == sorted(set(versions))
        assert isinstance(rows[0]["Timestamp"], str)  # Edm.Int64 is text in this dialect
        await client.put(f"crm/Accounts(guid'{first}')", {"City": "Delft"})
        newer = await client.rows("sync/CRM/Accounts", filter=f"Timestamp gt {versions[-1]}L")
        assert [(row["ID"], row["City"]) for row in newer] == [(first, "Delft")]
        assert len(await client.rows("sync/CRM/Accounts", filter="Timestamp gt 1L")) == 2


async def test_numbers_may_be_numbers():
    async with exact(int64_as_text=False) as client:
        await client.customer()
        assert isinstance((await client.rows("sync/CRM/Accounts"))[0]["Timestamp"], int)


@pytest.mark.parametrize("options", [{"filter": "YourRef eq 'x'"}, {"orderby": "Timestamp"}, {"filter": "Dinger eq 1"}])
async def test_only_the_timestamp_may_be_filtered_on(options):
    async with exact() as client:
        assert (await client.get(LINES, **options)).status_code == 400


async def test_pages_of_the_sync_size():
    async with exact(sync_page_size=4) as client:
        customer = await client.customer()
        for number in range(3):
            await client.sell(customer, f"INV-{number}")
        answer = await client.get(LINES, filter="Timestamp gt 1L", select="Timestamp,LineNumber")
        page = answer.json()["d"]
        assert len(page["results"]) == 4
        assert page["__next"].endswith(f"&$skiptoken={page['results'][-1]['Timestamp']}L")
        assert len(await client.rows(LINES, filter="Timestamp gt 1L", select="LineNumber")) == 9


async def test_ledger_accounts_can_be_mirrored():
    async with exact() as client:
        rows = await client.rows("sync/Financial/GLAccounts", filter="Timestamp gt 1L", select="Timestamp,Code,Type")
        assert {"1300": 20, "8000": 110}.items() <= {row["Code"]: row["Type"] for row in rows}.items()


async def test_deletions_are_logged():
    async with exact() as client:
        key = await client.customer()
        assert (await client.delete(f"crm/Accounts(guid'{key}')")).status_code == 204
        rows = await client.rows("sync/Deleted", filter="Timestamp gt 1L and EntityType eq 2")
        assert [(row["EntityType"], row["EntityKey"]) for row in rows] == [(2, key)]


async def test_a_row_version_to_start_from():
    async with exact() as client:
        await client.sell(await client.customer(), "INV-1")
        versions = [int(row["Timestamp"]) for row in await client.rows(LINES)]
        client.clock.forward(60)
        url = f"/api/v1/{client.division}/read/sync/Sync/SyncTimestamp"
        options = {"modified": "datetime'2026-03-10T11:00:30'", "endPoint": "'TransactionLines'"}
        answer = await client.http.get(url, params=options, headers=client.headers())
        assert int(answer.json()["d"]["TimeStampAsBigInt"]) == max(versions)
        options["endPoint"] = "'PaymentTerms'"
        assert (await client.http.get(url, params=options, headers=client.headers())).status_code == 400


async def test_the_seeded_administration():
    async with exact() as client:
        journals = {row["Code"]: row["Type"] for row in await client.rows("financial/Journals")}
        assert {"20": 12, "70": 20, "71": 21, "90": 90}.items() <= journals.items()
        codes = {row["Code"]: row["Type"] for row in await client.rows("vat/VATCodes")}
        assert (codes["2  "], codes["4  "], codes["7  "], codes["N  "]) == ("E", "I", "B", "N")
        periods = await client.rows("financial/FinancialPeriods", filter="FinYear eq 2026")
        assert [row["FinPeriod"] for row in periods] == list(range(1, 13))
        divisions = await client.rows("system/Divisions")
        assert [(row["Code"], row["Currency"]) for row in divisions] == [(100001, "EUR"), (100002, "EUR")]
        assert len(await client.rows("hrm/Costcenters")) > 0
        assert len(await client.rows("hrm/Costunits")) > 0
        percentages = await client.rows("vat/VATCodes", filter="Code eq '2'", expand="VATPercentages")
        assert percentages[0]["VATPercentages"]["results"][0]["Percentage"] == 0.21


async def test_divisions_do_not_see_each_other():
    async with exact() as client:
        await client.customer()
        client.division = 100002
        assert await client.rows("crm/Accounts") == []
        assert (await client.get("system/Divisions")).status_code == 200
        client.division = 999
        refused = await client.get("crm/Accounts")
        assert (refused.status_code, refused.headers["Reason"]) == (403, "NoDivisionAccess")
        assert (await client.get("system/Divisions")).status_code == 200  # works with any number


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"Status": "C"}, "Verplicht: Naam"),
        ({"Name": "x", "Code": "7"}, "Gegeven bestaat reeds."),
        ({"Name": "x", "Code": "A7"}, "Ongeldig: Code"),
        ({"Name": "x", "Status": "Q"}, "Ongeldig: Status"),
        ({"Name": "x", "Country": "QQ"}, "Ongeldige referentie: Land"),
        ({"Name": "x", "Email": "geen adres"}, "Ongeldig: E-mail []"),
        ({"Name": "x", "VATNumber": "NL123456789B01"}, "Ongeldig: Btw-nummer"),
        ({"Name": "x", "VATNumber": "DE12345"}, "Ongeldig: Btw-nummer"),
        ({"Name": "x", "State": "UT"}, "Ongeldige referentie: Provincie"),
        ({"Name": "x", "Country": "US", "State": "QQ"}, "Ongeldige referentie: Provincie"),
        ({"Name": "x", "PaymentConditionSales": "XX"}, "Ongeldige referentie: Betalingsconditie"),
    ],
)
async def test_accounts_that_are_refused(body, words):
    async with exact() as client:
        await client.customer(Code="7")
        answer = await client.post("crm/Accounts", body)
        assert (answer.status_code, message(answer)) == (500, words)


async def test_accounts_that_are_taken():
    async with exact() as client:
        await client.customer(Code="7")
        await client.customer("Volgende", VATNumber="NL123456782B90", SalesCurrency="QQQ", IsSales=True)
        rows = await client.rows("crm/Accounts", select="Code,SalesCurrency,VATNumber")
        assert [row["Code"].strip() for row in rows] == ["7", "8"]
        assert rows[1]["SalesCurrency"] is None  # emptied without a word
        # Several accounts may share an e-mail address and a VAT number.
        for name in ("Moeder", "Dochter"):
            await client.customer(name, Email="info@voorbeeld.example", VATNumber="NL123456782B01", Country="US", State="UT")
        for number in ("DE123456789", "FR12345678901", "US-anything"):
            await client.customer(VATNumber=number)


async def test_an_account_in_use_stays():
    async with exact() as client:
        customer = await client.customer()
        await client.sell(customer, "INV-1")
        answer = await client.delete(f"crm/Accounts(guid'{customer}')")
        assert message(answer).startswith("Kan niet verwijderen: Relatie - Gebruikt in:")


async def test_contacts_belong_to_an_account():
    async with exact() as client:
        refused = await client.post("crm/Contacts", {"LastName": "Jansen"})
        assert message(refused) == "Verplicht: Relatie"
        body = {"Account": await client.customer(), "FirstName": "An", "LastName": "Jansen"}
        assert (await client.post("crm/Contacts", body)).status_code == 201
        assert (await client.rows("crm/Contacts"))[0]["FullName"] == "An Jansen"


async def test_codes_are_unique_and_stay():
    async with exact() as client:
        body = {"Code": "8100", "Description": "Omzet diensten", "Type": 110}
        assert (await client.post("financial/GLAccounts", body)).status_code == 201
        again = await client.post("financial/GLAccounts", body)
        assert message(again) == "Gegeven bestaat reeds."
        recoded = await client.put(f"financial/GLAccounts(guid'{await client.gl('8100')}')", {"Code": "8200"})
        assert message(recoded) == "Niet toegestaan: Code"


async def test_a_document_is_linked_to_its_booking():
    async with exact() as client:
        entry_id = (await client.sell(await client.customer(), "INV-1")).json()["d"]["EntryID"]
        body = {"Subject": "INV-1", "Type": 10, "FinancialTransactionEntryID": entry_id}
        document = (await client.post("documents/Documents", body)).json()["d"]
        assert document["HID"] == 1
        pdf = base64.b64encode(b"%PDF-1.7 factuur").decode()
        attachment = {"Document": document["ID"], "FileName": "INV-1.pdf", "Attachment": pdf}
        assert (await client.post("documents/DocumentAttachments", attachment)).status_code == 201
        assert (await client.rows("documents/DocumentAttachments"))[0]["FileSize"] == 16
        entry = (await client.rows("salesentry/SalesEntries", select="Document,DocumentSubject"))[0]
        assert (entry["Document"], entry["DocumentSubject"]) == (document["ID"], "INV-1")


async def test_documents_that_are_refused():
    async with exact() as client:
        assert message(await client.post("documents/Documents", {})) == "Verplicht: Onderwerp\r\nVerplicht: Documenttype"
        body = {"Subject": "x", "Type": 55, "HID": 9}
        document = (await client.post("documents/Documents", body)).json()["d"]
        assert message(await client.post("documents/Documents", body)) == "Gegeven bestaat reeds."
        attachment = {"Document": document["ID"], "FileName": "x.pdf", "Attachment": "geen base64!"}
        assert (await client.post("documents/DocumentAttachments", attachment)).status_code == 400
        put = await client.put("documents/DocumentAttachments(guid'00000000-0000-0000-0000-000000000001')", {})
        assert put.status_code == 405


async def test_the_lines_of_a_changed_entry_come_again_under_their_ids():
    async with exact() as client:
        entry_id = (await client.sell(await client.customer(), "INV-1")).json()["d"]["EntryID"]
        before = await client.rows(LINES, filter="Timestamp gt 1L")
        assert [row["LineNumber"] for row in before] == [0, 1, 2]  # the entry's header, its line, and the VAT
        seen = max(int(row["Timestamp"]) for row in before)
        assert await client.rows(LINES, filter=f"Timestamp gt {seen}L") == []
        await client.put(f"salesentry/SalesEntries(guid'{entry_id}')", {"YourRef": "INV-1a"})
        after = await client.rows(LINES, filter=f"Timestamp gt {seen}L")
        assert [(row["ID"], row["YourRef"]) for row in after] == [(row["ID"], "INV-1a") for row in before]
        sales_line = (await client.rows("salesentry/SalesEntryLines"))[0]
        await client.put(f"salesentry/SalesEntryLines(guid'{sales_line['ID']}')", {"AmountFC": 100.01, "VATAmountFC": 21})
        changed = await client.rows(LINES, filter=f"Timestamp gt {max(int(row['Timestamp']) for row in after)}L")
        assert {row["LineNumber"]: row["AmountDC"] for row in changed} == {0: 121.01, 1: -100.01, 2: -21.0}
        assert {row["ID"] for row in changed if row["LineNumber"] < 2} == {row["ID"] for row in before if row["LineNumber"] < 2}


async def test_the_lines_of_a_deleted_entry_are_gone_and_named_as_deleted():
    async with exact() as client:
        entry_id = (await client.sell(await client.customer(), "INV-1")).json()["d"]["EntryID"]
        before = {row["ID"] for row in await client.rows(LINES, filter="Timestamp gt 1L")}
        assert (await client.delete(f"salesentry/SalesEntries(guid'{entry_id}')")).status_code == 204
        assert await client.rows(LINES, filter="Timestamp gt 1L") == []
        deleted = await client.rows("sync/Deleted", filter="Timestamp gt 1L and EntityType eq 1")
        assert {row["EntityKey"] for row in deleted} == before


async def test_a_page_of_the_ledger_has_a_thousand_lines():
    async with exact() as client:
        customer = await client.customer()
        for number in range(6):
            await client.sell(customer, f"INV-{number}", *[await client.line(1, vat=None) for _ in range(180)])
        page = (await client.get(LINES, filter="Timestamp gt 1L", select="Timestamp")).json()["d"]
        assert len(page["results"]) == 1000
        assert "__next" in page
