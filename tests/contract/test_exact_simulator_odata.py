import json
from decimal import Decimal

import pytest
from support.exact_simulator import ExactClient, exact, message


async def _three(client: ExactClient) -> None:
    for name, code, city in (("Anker", "7", "Delft"), ("Bel'Air", "1068", "Gouda"), ("anker & zn", "12", None)):
        await client.customer(name, Code=code, City=city)


async def _names(client: ExactClient, where: str, **options: str) -> list[str]:
    return [row["Name"] for row in await client.rows("crm/Accounts", filter=where, select="Name", **options)]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("Name eq 'Bel''Air'", ["Bel'Air"]),
        ("Name ne 'Bel''Air' and City eq 'Delft'", ["Anker"]),
        ("City eq null", ["anker & zn"]),
        ("substringof('nker',Name) eq true", ["Anker", "anker & zn"]),
        ("startswith(Name,'Bel') or endswith(Name,'zn')", ["Bel'Air", "anker & zn"]),
        ("trim(Code) eq '1068'", ["Bel'Air"]),
        ("Code eq '              1068'", ["Bel'Air"]),
        ("Code eq '1068'", []),  # without its padding a code does not fit
        ("not (City eq 'Delft') and (Blocked eq false)", ["Bel'Air", "anker & zn"]),
        ("Created ge datetime'2026-03-10' and Created lt datetime'2026-03-11T00:00:00'", ["Anker", "Bel'Air", "anker & zn"]),
        ("ID eq guid'00000000-0000-0000-0000-000000000001'", []),
    ],
)
async def test_filters(where, expected):
    async with exact() as client:
        await _three(client)
        assert await _names(client, where) == expected


async def test_text_is_compared_without_case_as_sql_server_does():
    async with exact() as client:
        await _three(client)
        assert await _names(client, "Name eq 'ANKER'") == ["Anker"]
    async with exact(ignore_case=False) as client:
        await _three(client)
        assert await _names(client, "Name eq 'ANKER'") == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"filter": "Dinger eq 'x'"}, "No property 'Dinger' exists in type 'Exact.Web.Api.Models.Account' at position 0."),
        ({"select": "Dinger"}, "No property 'Dinger' exists"),
        ({"orderby": "Dinger"}, "No property 'Dinger' exists"),
        ({"expand": "Dinger"}, "No property 'Dinger' exists"),
        ({"filter": "ID eq guid'zzz'"}, "Unrecognized Guid format."),
        ({"filter": "ID eq '00000000-0000-0000-0000-000000000001'"}, "incompatible with operand types"),
        ({"filter": "BankAccounts/BankAccount eq 'x'"}, "navigation property"),
        ({"filter": "Name eq 'x"}, "Syntax error"),
        ({"filter": "Name like 'x'"}, "Syntax error"),
        ({"filter": "soundex(Name) eq 'x'"}, "Unknown function"),
        ({"filter": "Name"}, "System.Boolean"),
        ({"top": "-1"}, "Incorrect format for $top"),
        ({"apply": "x"}, "is not recognized"),
    ],
)
async def test_what_the_dialect_does_not_know_is_a_400(options, words):
    async with exact() as client:
        answer = await client.get("crm/Accounts", **options)
        assert answer.status_code == 400
        assert words in message(answer)


async def test_pages_of_sixty_with_a_full_next_address():
    async with exact(minute_limit=1000) as client:
        for number in range(61):
            await client.customer(f"Klant {number:03}")
        answer = await client.get("crm/Accounts", select="Name", filter="Status eq 'C'", inlinecount="allpages")
        page = answer.json()["d"]
        assert len(page["results"]) == 60
        assert page["__count"] == "61"  # text
        assert page["__next"].startswith("http://exact.test/api/v1/100001/crm/Accounts?")
        assert "skiptoken=guid" in page["__next"]
        assert len(await _names(client, "Status eq 'C'")) == 61
        assert len(await client.rows("crm/Accounts", select="Name", top="61")) == 61
        assert (await client.get("crm/Accounts/$count")).text == "61"


async def test_a_next_address_works_after_its_row_is_gone():
    async with exact(page_size=2) as client:
        keys = [await client.customer(f"Klant {number}") for number in range(4)]
        page = (await client.get("crm/Accounts", select="Name")).json()["d"]
        await client.delete(f"crm/Accounts(guid'{keys[1]}')")
        rest = (await client.http.get(page["__next"], headers=client.headers())).json()["d"]["results"]
        assert [row["Name"] for row in rest] == ["Klant 2", "Klant 3"]


async def test_envelopes():
    async with exact() as client:
        key = await client.customer()
        listed = (await client.get("crm/Accounts", select="Name")).json()
        assert list(listed["d"]["results"][0]) == ["__metadata", "Name"]
        assert listed["d"]["results"][0]["__metadata"]["type"] == "Exact.Web.Api.Models.Account"
        assert isinstance((await client.get("crm/Accounts", top="1")).json()["d"], list)
        single = (await client.get(f"crm/Accounts(guid'{key}')")).json()["d"]
        assert single["BankAccounts"]["__deferred"]["uri"].endswith(f"crm/Accounts(guid'{key}')/BankAccounts")
        assert (single["Code"], single["Country"]) == ("                 1", "NL ")


async def test_expanding_one_level():
    async with exact() as client:
        await client.sell(await client.customer(), "INV-1", await client.line(Description="Abonnement"))
        options = {"expand": "SalesEntryLines", "select": "EntryNumber,SalesEntryLines/Description"}
        entry = (await client.rows("salesentry/SalesEntries", **options))[0]
        lines = entry["SalesEntryLines"]["results"]
        assert [sorted(line) for line in lines] == [["Description", "__metadata"]]
        deferred = (await client.rows("salesentry/SalesEntries", select="EntryID,SalesEntryLines"))[0]
        assert "__deferred" in deferred["SalesEntryLines"]
        through = await client.rows(f"salesentry/SalesEntries(guid'{deferred['EntryID']}')/SalesEntryLines")
        assert through[0]["Description"] == "Abonnement"


async def test_ordering():
    async with exact() as client:
        await _three(client)
        rows = await client.rows("crm/Accounts", select="Code", orderby="Code desc")
        assert [row["Code"].strip() for row in rows] == ["1068", "12", "7"]


async def test_unknown_paths_and_keys_are_404_and_batch_is_refused():
    async with exact() as client:
        assert (await client.get("crm/Dingen")).status_code == 404
        assert (await client.get("hrm/CostCenters")).status_code == 404  # paths are case-sensitive
        assert (await client.get("crm/Accounts(guid'00000000-0000-0000-0000-000000000001')")).status_code == 404
        assert (await client.get("crm/Accounts(guid'zzz')")).status_code == 400
        assert (await client.post("$batch", {})).status_code == 501


async def test_json_must_be_asked_for_and_sent():
    async with exact() as client:
        url = f"/api/v1/{client.division}/crm/Accounts"
        bearer = {"Authorization": f"Bearer {client.token}"}
        assert (await client.http.get(url, headers=bearer)).status_code == 406
        as_text = await client.http.post(url, content=b'{"Name": "x"}', headers=client.headers())
        assert as_text.status_code == 400
        broken = await client.http.post(url, content=b"{", headers=client.headers(**{"Content-Type": "application/json"}))
        assert broken.status_code == 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"Name": "x", "Dinger": 1}, "The property name 'Dinger'"),
        ({"Name": 7}, "to type 'System.String'"),
        ({"Name": "x", "Blocked": "false"}, "to type 'System.Boolean'"),
        ({"Name": "x", "Parent": "zzz"}, "Unrecognized Guid format."),
        ({"Name": "x", "EndDate": "morgen"}, "to type 'System.DateTime'"),
        ({"Name": "x", "CreditLineSales": "12.50"}, "to type 'System.Double'"),
        (["x"], "valid top-level resource object"),
    ],
)
async def test_a_body_that_does_not_bind_is_a_400(body, words):
    async with exact() as client:
        answer = await client.post("crm/Accounts", body)
        assert answer.status_code == 400
        assert words in message(answer)


async def test_amounts_are_exact_decimals():
    async with exact() as client:
        await client.sell(await client.customer(), "INV-1", await client.line(2.88, VATAmountFC=0.61))
        answer = await client.get("salesentry/SalesEntries", select="AmountFC,VATAmountFC")
        found = json.loads(answer.text, parse_float=Decimal)["d"]["results"][0]
        assert (found["AmountFC"], found["VATAmountFC"]) == (Decimal("3.49"), Decimal("0.61"))


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2026-03-02", 1772409600000),
        ("2026-03-02T00:00:00", 1772409600000),
        ("03/02/2026 00:00:00", 1772409600000),
        ("/Date(1772409600000)/", 1772409600000),
        ("2026-03-02T23:30:00Z", 1772496000000),  # half past midnight in Amsterdam: the next day
    ],
)
async def test_dates_are_a_naive_dutch_wall_clock(sent, stored):
    async with exact() as client:
        await client.sell(await client.customer(), "INV-1", EntryDate=sent)
        entry = (await client.rows("salesentry/SalesEntries", select="EntryDate"))[0]
        assert entry["EntryDate"] == f"/Date({stored})/"


async def test_created_is_dutch_time():
    async with exact() as client:
        await client.customer()
        created = (await client.rows("crm/Accounts", select="Created"))[0]["Created"]
        assert created == f"/Date({int(client.clock() + 3600) * 1000})/"


async def test_a_post_answers_mostly_nulls_unless_the_representation_is_asked_for():
    async with exact() as client:
        customer = await client.customer()
        body = {"Customer": customer, "Journal": "70", "SalesEntryLines": [await client.line()]}
        plain = (await client.post("salesentry/SalesEntries", body)).json()["d"]
        assert plain["EntryID"]
        assert plain["EntryNumber"] == 26700001
        assert plain["AmountDC"] is None
        assert plain["DueDate"] is None
        full = await client.post("salesentry/SalesEntries", body, Prefer="return=representation")
        assert full.status_code == 201
        assert (full.json()["d"]["AmountDC"], full.json()["d"]["Status"]) == (121, 20)


async def test_receivables_demand_a_select_or_one_row():
    async with exact() as client:
        answer = await client.get("cashflow/Receivables")
        assert answer.status_code == 400
        assert message(answer) == "Please add a $select or a $top=1 statement to the query string."
        assert (await client.get("cashflow/Receivables", top="1")).status_code == 200


async def test_sizes_are_limited():
    async with exact(body_limit_bytes=1000) as client:
        assert (await client.post("crm/Accounts", {"Name": "x" * 1000})).status_code == 413
        long = " or ".join(f"Name eq '{number}'" for number in range(600))
        assert (await client.get("crm/Accounts", filter=long)).status_code == 414


async def test_journal_status_pages_by_its_composite_key():
    async with exact() as client:
        rows = await client.rows("read/financial/JournalStatusList")
        assert len(rows) == 6 * 36
        assert len({(row["Journal"], row["Year"], row["Period"]) for row in rows}) == len(rows)
        only = await client.rows("read/financial/JournalStatusList", filter="Journal eq '70' and Year eq 2026")
        assert [row["Status"] for row in only] == [0] * 12


async def test_read_only_properties_are_dropped_without_a_word():
    async with exact() as client:
        await client.customer(Created="2020-01-01", CountryName="Nergens")
        row = (await client.rows("crm/Accounts", select="Created,CountryName"))[0]
        assert row["CountryName"] is None
        assert row["Created"] != "/Date(1577836800000)/"
