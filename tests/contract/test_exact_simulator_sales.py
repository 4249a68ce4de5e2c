from typing import Any

import pytest
from support.exact_simulator import ExactClient, exact, message

SALES = "salesentry/SalesEntries"


async def _entry(client: ExactClient) -> dict[str, Any]:
    return (await client.rows(SALES))[-1]


def _booking(entry: dict[str, Any]) -> list[tuple[str, int]]:
    return [(line["gl_account"], line["amount_minor"]) for line in entry["lines"]]


async def test_an_invoice_is_booked_on_debtor_revenue_and_vat():
    async with exact() as client:
        answer = await client.sell(await client.customer(), "INV-1")
        assert answer.status_code == 201
        books = await client.ledger()
        assert _booking(books["entries"][0]) == [("1300", 12100), ("8000", -10000), ("1500", -2100)]
        assert books["balances_minor"] == {"1300": 12100, "1500": -2100, "8000": -10000}
        assert books["receivables"] == [
            {
                "your_ref": "INV-1",
                "description": None,
                "journal": "70",
                "entry_number": 26700001,
                "account": "1",
                "amount_minor": 12100,
                "open_minor": 12100,
                "matched": False,
            }
        ]


async def test_a_given_vat_amount_wins_over_the_computed_one():
    async with exact() as client:
        customer = await client.customer()
        await client.sell(customer, "INV-1", await client.line(2.88))
        await client.sell(customer, "INV-2", await client.line(2.88, VATAmountFC=0.61))
        totals = [receivable["amount_minor"] for receivable in (await client.ledger())["receivables"]]
        assert totals == [348, 349]  # recomputed VAT ends a cent off


async def test_vat_types_inclusive_base_only_and_none():
    async with exact() as client:
        customer = await client.customer()
        await client.sell(customer, "INV-1", await client.line(121, vat="4"))
        await client.sell(customer, "INV-2", await client.line(500, gl="8030", vat="7"))
        await client.sell(customer, "INV-3", await client.line(40, gl="8020", vat="N"))
        entries = (await client.ledger())["entries"]
        assert _booking(entries[0]) == [("1300", 12100), ("8000", -10000), ("1500", -2100)]
        assert _booking(entries[1]) == [("1300", 50000), ("8030", -50000)]
        assert _booking(entries[2]) == [("1300", 4000), ("8020", -4000)]


async def test_several_rates_in_one_invoice():
    async with exact() as client:
        lines = [await client.line(200), await client.line(100, gl="8010", vat="1"), await client.line(50, vat="00")]
        await client.sell(await client.customer(), "INV-1", *lines)
        balances = (await client.ledger())["balances_minor"]
        assert balances == {"1300": 40100, "1500": -4200, "1501": -900, "8000": -25000, "8010": -10000}


async def test_a_negative_total_is_a_credit_note():
    async with exact() as client:
        await client.sell(await client.customer(), "CN-1", await client.line(-100, VATAmountFC=-21), Journal="71")
        entry = await _entry(client)
        assert (entry["Type"], entry["AmountDC"], entry["EntryNumber"]) == (21, -121, 26710001)


async def test_foreign_currency_rounds_base_and_vat_apart():
    async with exact() as client:
        line = await client.line(1000, VATAmountFC=210)
        await client.sell(await client.customer(), "INV-1", line, Currency="USD", Rate=0.92)
        assert _booking((await client.ledger())["entries"][0]) == [("1300", 111320), ("8000", -92000), ("1500", -19320)]
        await client.sell(await client.customer(), "INV-2", await client.line(1000, gl="8050", vat="9"), Currency="USD")
        assert (await _entry(client))["AmountDC"] == 917.5  # without a rate Exact takes its own


async def test_numbers_count_up_a_journal_and_year():
    async with exact() as client:
        customer = await client.customer()
        await client.sell(customer, "A")
        await client.sell(customer, "B")
        await client.sell(customer, "C", EntryDate="2025-12-31")
        numbers = [row["EntryNumber"] for row in await client.rows(SALES)]
        assert numbers == [26700001, 26700002, 25700001]


@pytest.mark.parametrize(
    ("condition", "due"), [("14", "2026-03-16"), ("30", "2026-04-01"), ("EM", "2026-03-31"), (None, "2026-04-01")]
)
async def test_the_due_date_follows_the_payment_condition(condition, due):
    async with exact() as client:
        await client.sell(await client.customer(), "INV-1", PaymentCondition=condition)
        assert (await client.ledger())["entries"][0]["due_date"] == due


async def test_a_given_due_date_and_the_customer_s_condition():
    async with exact() as client:
        customer = await client.customer(PaymentConditionSales="14")
        await client.sell(customer, "INV-1")
        await client.sell(customer, "INV-2", DueDate="2026-03-05")
        assert [entry["due_date"] for entry in (await client.ledger())["entries"]] == ["2026-03-16", "2026-03-05"]


async def test_deferral_is_booked_by_exact_itself():
    async with exact() as client:
        line = await client.line(100, VATAmountFC=21, From="2026-03-01", To="2027-02-28")
        await client.sell(await client.customer(), "INV-1", line)
        books = await client.ledger()
        assert books["balances_by_period_minor"]["2026/3"] == {"1300": 12100, "1500": -2100, "1650": -9167, "8000": -833}
        assert books["balances_by_period_minor"]["2027/2"] == {"1650": 837, "8000": -837}  # the rest in the last one
        assert books["balances_minor"]["1650"] == 0
        kinds = {row["Type"] for row in await client.rows("sync/Financial/TransactionLines")}
        assert kinds == {20, 84}


async def test_deferral_by_days():
    async with exact(deferral_method="day") as client:
        line = await client.line(90, From="2026-04-16", To="2026-05-30")
        await client.sell(await client.customer(), "INV-1", line)
        periods = (await client.ledger())["balances_by_period_minor"]
        assert (periods["2026/4"]["8000"], periods["2026/5"]["8000"]) == (-3000, -6000)


async def test_deferral_never_goes_into_closed_periods():
    async with exact() as client:
        await client.control("periods", division=100001, journal="70", year=2026, period=2, open=False)
        line = await client.line(300, From="2026-02-01", To="2026-04-30")
        answer = await client.sell(await client.customer(), "INV-1", line)
        assert (answer.status_code, message(answer)) == (500, "Periode is afgesloten")


async def test_a_closed_period_refuses_and_another_one_accepts_the_old_date():
    async with exact() as client:
        closed = await client.control("periods", division=100001, journal=None, year=2026, period=2, open=False)
        assert closed.json() == {"changed": 6}
        customer = await client.customer()
        refused = await client.sell(customer, "INV-1", EntryDate="2026-02-28")
        assert (refused.status_code, message(refused)) == (500, "Periode is afgesloten")
        moved = await client.sell(customer, "INV-1", EntryDate="2026-02-28", ReportingYear=2026, ReportingPeriod=3)
        assert moved.status_code == 201
        entry = (await client.ledger())["entries"][0]
        assert (entry["date"], entry["period"]) == ("2026-02-28", 3)
        status = await client.rows("read/financial/JournalStatusList", filter="Year eq 2026 and Period eq 2")
        assert {row["Status"] for row in status} == {1}


async def test_the_old_date_itself_may_be_refused():
    async with exact(old_date_with_open_period="refused") as client:
        await client.control("periods", division=100001, journal="70", year=2026, period=2, open=False)
        answer = await client.sell(
            await client.customer(), "INV-1", EntryDate="2026-02-28", ReportingYear=2026, ReportingPeriod=3
        )
        assert message(answer) == "Periode is afgesloten"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Customer": None}, "Verplicht: Klant"),
        ({"Customer": "00000000-0000-0000-0000-000000000001"}, "Ongeldige referentie: Klant"),
        ({"Journal": None}, "Verplicht: Dagboek"),
        ({"Journal": "99"}, "Ongeldige referentie: Dagboek"),
        ({"Journal": "90"}, "Ongeldig: Dagboek (type)"),
        ({"SalesEntryLines": []}, "Verplicht: Regels"),
        ({"EntryDate": "2024-12-31"}, "Verplicht: Boekjaar"),
        ({"ReportingYear": 2026, "ReportingPeriod": 13}, "Onbekend: Boekjaar (Periode-datum tabel)"),
        ({"PaymentCondition": "XX"}, "Ongeldige referentie: Betalingsconditie"),
        ({"Currency": "QQQ"}, "Ongeldige referentie: Valuta"),
        ({"Currency": "EUR", "Rate": 2}, "Niet toegestaan: Wisselkoers"),
        ({"Document": "00000000-0000-0000-0000-000000000001"}, "Ongeldige referentie: Document"),
        ({"YourRef": "x" * 31}, "Te lang: Uw ref."),
    ],
)
async def test_header_refusals_are_http_500_in_the_users_language(change, words):
    async with exact() as client:
        answer = await client.sell(await client.customer(), "INV-1", **change)
        assert answer.status_code == 500
        assert message(answer) == words
        assert await client.rows(SALES) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"GLAccount": None}, "Verplicht: Grootboekrekening"),
        ({"GLAccount": "00000000-0000-0000-0000-000000000001"}, "Ongeldige referentie: Grootboekrekening"),
        ({"AmountFC": None}, "Verplicht: Bedrag"),
        ({"VATCode": "X"}, "Ongeldige referentie: Btw-code"),
        ({"VATCode": "I2"}, "Niet toegestaan: Btw-code"),
        ({"VATCode": "7", "VATAmountFC": 21}, "Niet toegestaan: Btw-bedrag"),
        ({"CostCenter": "XX"}, "Ongeldige referentie: Kostenplaats"),
        ({"CostUnit": "XX"}, "Ongeldige referentie: Kostendrager"),
        ({"From": "2026-03-01"}, "Verplicht: Tot"),
        ({"From": "2026-04-01", "To": "2026-03-01"}, "Ongeldig: Van"),
        ({"From": "2027-12-01", "To": "2028-01-31"}, "Onbekend: Boekjaar (Periode-datum tabel)"),
        ({"Description": "x" * 61}, "Te lang: Omschrijving"),
    ],
)
async def test_line_refusals(change, words):
    async with exact() as client:
        answer = await client.sell(await client.customer(), "INV-1", {**await client.line(), **change})
        assert (answer.status_code, message(answer)) == (500, words)


async def test_several_findings_come_in_one_answer_and_in_english_for_english_users():
    async with exact(language="en-US") as client:
        answer = await client.sell(await client.customer(), "INV-1", await client.line(vat="X"), Journal="99")
        assert message(answer) == "Invalid reference: Journal\r\nInvalid reference: VAT code"
        assert answer.json()["error"]["message"]["lang"] == "en-US"


async def test_only_customers_that_are_not_blocked():
    async with exact() as client:
        prospect = await client.customer(Status="P")
        assert message(await client.sell(prospect, "INV-1")) == "Ongeldig: Klant (Type)"
        assert (await client.put(f"crm/Accounts(guid'{prospect}')", {"Status": "C"})).status_code == 204
        assert (await client.sell(prospect, "INV-1")).status_code == 201
        await client.put(f"crm/Accounts(guid'{prospect}')", {"Blocked": True})
        assert message(await client.sell(prospect, "INV-2")) == "Geblokkeerd: Klant"


async def test_a_person_blocks_an_account_or_makes_cost_centres_mandatory():
    async with exact() as client:
        customer = await client.customer()
        rows = {"division": 100001, "endpoint": "financial/GLAccounts", "code": "8000"}
        await client.control("rows", **rows, changes={"UseCostcenter": 1})
        assert message(await client.sell(customer, "INV-1")) == "Verplicht: Kostenplaats"
        assert (await client.sell(customer, "INV-1", await client.line(CostCenter="NL"))).status_code == 201
        await client.control("rows", **rows, changes={"IsBlocked": True})
        answer = await client.sell(customer, "INV-2", await client.line(CostCenter="NL"))
        assert message(answer) == "Geblokkeerd: Grootboekrekening"


async def test_a_number_that_is_taken():
    async with exact() as client:
        customer = await client.customer()
        await client.sell(customer, "INV-1", EntryNumber=42)
        assert message(await client.sell(customer, "INV-2", EntryNumber=42)) == "In gebruik: Boekstuknummer"
    async with exact(duplicate_entry_number="renumbered") as client:
        customer = await client.customer()
        await client.sell(customer, "INV-1", EntryNumber=42)
        assert (await client.sell(customer, "INV-2", EntryNumber=42)).json()["d"]["EntryNumber"] == 26700001


async def test_what_happens_with_a_key_the_client_sent_is_a_switch():
    own = "11111111-2222-4333-8444-555555555555"
    async with exact() as client:
        customer = await client.customer()
        assert (await client.sell(customer, "INV-1", EntryID=own)).json()["d"]["EntryID"] != own
    async with exact(client_guid="honoured") as client:
        customer = await client.customer()
        assert (await client.sell(customer, "INV-1", EntryID=own)).json()["d"]["EntryID"] == own
        assert message(await client.sell(customer, "INV-1", EntryID=own)) == "Gegeven bestaat reeds."
    async with exact(client_guid="refused") as client:
        assert (await client.sell(await client.customer(), "INV-1", EntryID=own)).status_code == 500


async def test_long_references_may_be_cut_off():
    async with exact(too_long_text="truncated") as client:
        await client.sell(await client.customer(), "x" * 31)
        assert (await _entry(client))["YourRef"] == "x" * 30


async def test_your_ref_is_not_unique():
    async with exact() as client:
        customer = await client.customer()
        await client.sell(customer, "INV-1")
        assert (await client.sell(customer, "INV-1")).status_code == 201
        assert len(await client.rows(SALES, filter="YourRef eq 'INV-1'", select="EntryID")) == 2


async def test_a_put_changes_only_what_is_sent():
    async with exact() as client:
        await client.sell(await client.customer(), "INV-1")
        entry = await _entry(client)
        url = f"{SALES}(guid'{entry['EntryID']}')"
        terms = await client.rows("sync/Cashflow/PaymentTerms")
        assert (await client.put(url, {"YourRef": "INV-1/R"})).status_code == 204
        changed = await client.rows("sync/Cashflow/PaymentTerms")
        assert [(row["ID"], row["YourRef"]) for row in changed] == [(terms[0]["ID"], "INV-1/R")]
        assert int(changed[0]["Timestamp"]) > int(terms[0]["Timestamp"])
        assert (await client.ledger())["balances_minor"]["1300"] == 12100


async def test_what_a_put_may_not_do():
    async with exact() as client:
        await client.sell(await client.customer(), "INV-1")
        entry = await _entry(client)
        url = f"{SALES}(guid'{entry['EntryID']}')"
        nested = await client.put(url, {"SalesEntryLines": [await client.line()]})
        assert nested.status_code == 400
        assert "Binding to new entities" in message(nested)
        whole = await client.put(url, {"EntryNumber": entry["EntryNumber"], "YourRef": "x"})
        assert message(whole) == "Gegeven bestaat reeds."
        assert message(await client.put(url, {"ReportingYear": 2027})) == "Het boekjaar kan niet worden gewijzigd."


async def test_lines_change_one_by_one_and_the_last_takes_the_entry_with_it():
    async with exact() as client:
        await client.sell(await client.customer(), "INV-1")
        entry = await _entry(client)
        added = await client.post("salesentry/SalesEntryLines", {"EntryID": entry["EntryID"], **await client.line(50)})
        assert added.status_code == 201
        assert (await client.ledger())["balances_minor"]["1300"] == 18150
        second = f"salesentry/SalesEntryLines(guid'{added.json()['d']['ID']}')"
        assert (await client.put(second, {"AmountFC": 10})).status_code == 204
        assert (await client.ledger())["balances_minor"]["1300"] == 13310
        for line in await client.rows("salesentry/SalesEntryLines"):
            assert (await client.delete(f"salesentry/SalesEntryLines(guid'{line['ID']}')")).status_code == 204
        assert await client.rows(SALES) == []
        assert (await client.ledger())["balances_minor"] == {}


async def test_deleting_is_possible_while_open_unpaid_and_in_an_open_period():
    async with exact() as client:
        customer = await client.customer()
        for reference in ("INV-1", "INV-2", "INV-3"):
            await client.sell(customer, reference)
        one, two, three = (f"{SALES}(guid'{row['EntryID']}')" for row in await client.rows(SALES))
        assert (await client.delete(one)).status_code == 204
        deleted = await client.rows("sync/Deleted", filter="Timestamp gt 1L and EntityType eq 10")
        assert len(deleted) == 1
        await client.control("bank-receipts", division=100001, your_ref="INV-2", amount_minor=12100, date="2026-03-09")
        assert message(await client.delete(two)) == "Reeds verwerkt"
        await client.control("periods", division=100001, journal="70", year=2026, period=3, open=False)
        assert message(await client.delete(three)) == "Periode is afgesloten"
