from typing import Any

import pytest
from support.exact_simulator import ExactClient, exact, message

JOURNALS = "generaljournalentry/GeneralJournalEntries"
BANK = "financialtransaction/BankEntries"
TERMS = "sync/Cashflow/PaymentTerms"


async def _journal(client: ExactClient, *lines: tuple[str, Any, str | None], **more: Any):
    body = {
        "JournalCode": "90",
        "GeneralJournalEntryLines": [
            {
                "GLAccount": await client.gl(gl),
                "AmountFC": amount,
                "Date": "2026-03-03",
                **({"Account": account} if account else {}),
            }
            for gl, amount, account in lines
        ],
        **more,
    }
    return await client.post(JOURNALS, body)


async def _receive(client: ExactClient, customer: str, amount: Any, **more: Any):
    line = {"GLAccount": await client.gl("1300"), "Account": customer, "AmountFC": amount, "Date": "2026-03-09"}
    return await client.post(BANK, {"JournalCode": "20", "BankEntryLines": [{**line, **more}]})


async def test_a_balanced_entry_is_booked_as_sent():
    async with exact() as client:
        answer = await _journal(client, ("1100", 357.55, None), ("4600", 5.45, None), ("1290", -363, None))
        assert answer.status_code == 201
        assert answer.json()["d"]["EntryNumber"] == 26900001
        assert (await client.ledger())["balances_minor"] == {"1100": 35755, "1290": -36300, "4600": 545}


async def test_an_entry_that_does_not_balance_is_refused_with_its_difference():
    async with exact() as client:
        answer = await _journal(client, ("1100", 10, None), ("1290", -10.01, None))
        assert answer.status_code == 500
        assert message(answer) == "De boeking is niet in evenwicht op: 2026 / 3 (Type 90) - Verschil: EUR -0,01"


async def test_journals_and_their_rules():
    async with exact() as client:
        wrong = await _journal(client, ("1100", 1, None), ("1290", -1, None), JournalCode="70")
        assert message(wrong) == "Ongeldig: Dagboek (type)"
        nobody = await _journal(client, ("1290", 1, None), ("1300", -1, None))
        assert message(nobody) == "Verplicht: Relatie"
        described = await _journal(client, ("1290", 1, None), ("1100", -1, None), Description="x")
        assert described.status_code == 400  # the header has no description
        lines = [{"GLAccount": await client.gl("8000"), "AmountFC": -100, "VATCode": "2"}]
        vat = await client.post(JOURNALS, {"JournalCode": "90", "GeneralJournalEntryLines": lines})
        assert message(vat) == "Niet toegestaan: Btw-code"


async def test_vat_lines_come_by_themselves_where_the_journal_has_vat():
    async with exact() as client:
        lines = [
            {"GLAccount": await client.gl("8000"), "AmountFC": -100, "VATCode": "2", "AmountVATFC": -21},
            {"GLAccount": await client.gl("1290"), "AmountFC": 121},
        ]
        answer = await client.post(JOURNALS, {"JournalCode": "91", "GeneralJournalEntryLines": lines})
        assert answer.status_code == 201
        assert (await client.ledger())["balances_minor"] == {"1290": 12100, "1500": -2100, "8000": -10000}


@pytest.mark.parametrize(("choice", "booked"), [("AmountFC", 0), ("AmountDC", 500), ("both", 500)])
async def test_which_amount_a_journal_line_takes_is_a_switch(choice, booked):
    async with exact(journal_amount=choice) as client:
        lines = [
            {"GLAccount": await client.gl("1290"), "AmountDC": 5},
            {"GLAccount": await client.gl("1100"), "AmountDC": -5},
        ]
        await client.post(JOURNALS, {"JournalCode": "90", "GeneralJournalEntryLines": lines})
        assert (await client.ledger())["balances_minor"].get("1290", 0) == booked


async def test_a_journal_line_of_exactly_the_open_amount_settles_the_invoice():
    async with exact() as client:
        customer = await client.customer()
        await client.sell(customer, "INV-1")
        before = int((await client.rows(TERMS))[0]["Timestamp"])
        await _journal(client, ("1290", 121, None), ("1300", -121, customer))
        terms = await client.rows(TERMS)
        assert [(term["AmountDC"], term["Status"], term["IsFullyPaid"], term["YourRef"]) for term in terms] == [
            (-121, 50, True, "INV-1"),
            (121, 50, True, "INV-1"),  # a payment that settles one invoice carries its YourRef
        ]
        assert all(int(term["Timestamp"]) > before for term in terms)
        assert terms[0]["LastPaymentDate"] == "/Date(1772496000000)/"
        assert await client.rows("read/financial/ReceivablesList") == []


async def test_an_amount_a_cent_off_settles_nothing():
    async with exact() as client:
        customer = await client.customer()
        await client.sell(customer, "INV-1")
        await _receive(client, customer, 120.99)
        assert [term["Status"] for term in await client.rows(TERMS)] == [20, 20]
        amounts = [row["Amount"] for row in await client.rows("read/financial/ReceivablesList")]
        assert amounts == [121, -120.99]


async def test_another_customer_s_payment_settles_nothing():
    async with exact() as client:
        await client.sell(await client.customer(), "INV-1")
        await _receive(client, await client.customer("Ander"), 121)
        assert [term["Status"] for term in await client.rows(TERMS)] == [20, 20]


@pytest.mark.parametrize(("choice", "paid"), [("oldest", "INV-1"), ("none", None)])
async def test_several_invoices_of_the_same_amount(choice, paid):
    async with exact(several_equal=choice) as client:
        customer = await client.customer()
        await client.sell(customer, "INV-2", EntryDate="2026-03-05")
        await client.sell(customer, "INV-1", EntryDate="2026-03-02")
        await _receive(client, customer, 121)
        receivables = (await client.ledger())["receivables"]
        matched = [row["your_ref"] for row in receivables if row["matched"] and row["amount_minor"] > 0]
        assert matched == ([paid] if paid else [])


async def test_our_ref_may_choose_the_invoice():
    async with exact(match_by_our_ref=True) as client:
        customer = await client.customer()
        await client.sell(customer, "INV-1")
        newer = (await client.sell(customer, "INV-2")).json()["d"]["EntryNumber"]
        await _receive(client, customer, 121, OurRef=newer)
        still_open = [row["YourRef"] for row in await client.rows("read/financial/ReceivablesList")]
        assert still_open == ["INV-1"]


@pytest.mark.parametrize(("match_credit_notes", "still_open"), [(False, 2), (True, 0)])
async def test_invoice_and_credit_note_find_each_other_only_by_a_switch(match_credit_notes, still_open):
    async with exact(match_credit_notes=match_credit_notes) as client:
        customer = await client.customer()
        await client.sell(customer, "INV-1")
        await client.sell(customer, "CN-1", await client.line(-100))
        assert len(await client.rows("read/financial/ReceivablesList")) == still_open


async def test_a_refund_settles_its_credit_note():
    async with exact() as client:
        customer = await client.customer()
        await client.sell(customer, "CN-1", await client.line(-100))
        await _journal(client, ("1300", 121, customer), ("1290", -121, None))
        assert [row["open_minor"] for row in (await client.ledger())["receivables"]] == [0, 0]


async def test_statements_must_follow_each_other():
    async with exact() as client:
        customer = await client.customer()
        first = {"GLAccount": await client.gl("1300"), "Account": customer, "AmountFC": 50}
        body = {"JournalCode": "20", "OpeningBalanceFC": 0, "ClosingBalanceFC": 50, "BankEntryLines": [first]}
        assert (await client.post(BANK, body)).status_code == 201
        assert message(await client.post(BANK, body)) == "Ongeldig: Eindsaldo"
        body |= {"OpeningBalanceFC": 50, "ClosingBalanceFC": 100}
        assert (await client.post(BANK, body)).status_code == 201
        assert (await client.ledger())["balances_minor"] == {"1100": 10000, "1300": -10000}
        shown = await client.rows(BANK, expand="BankEntryLines")
        assert [entry["ClosingBalanceFC"] for entry in shown] == [50, 100]
        assert shown[0]["BankEntryLines"]["results"][0]["AmountFC"] == 50


async def test_payment_service_journals_are_not_listed_among_bank_entries():
    async with exact() as client:
        line = {"GLAccount": await client.gl("4600"), "AmountFC": -1}
        assert (await client.post(BANK, {"JournalCode": "25", "BankEntryLines": [line]})).status_code == 201
        assert await client.rows(BANK) == []
        assert (await client.ledger())["balances_minor"] == {"1290": -100, "4600": 100}


async def test_a_receipt_from_the_control_interface_pays_the_invoice():
    async with exact() as client:
        receipt = {"division": 100001, "your_ref": "INV-1", "amount_minor": 12100, "date": "2026-03-09"}
        assert (await client.control("bank-receipts", **receipt)).status_code == 404
        await client.sell(await client.customer(), "INV-1")
        paid = (await client.control("bank-receipts", **receipt)).json()
        assert (paid["matched"], paid["open_minor"]) == (True, 0)
        assert (await client.ledger())["balances_minor"]["1300"] == 0


async def test_a_person_settles_in_part_and_the_rest_stays_open():
    async with exact() as client:
        await client.sell(await client.customer(), "INV-1")
        receipt = {"division": 100001, "your_ref": "INV-1", "date": "2026-03-09"}
        part = (await client.control("bank-receipts", **receipt, amount_minor=10000, match=True)).json()
        assert (part["matched"], part["open_minor"]) == (True, 2100)
        terms = [term for term in await client.rows(TERMS) if term["AmountDC"] < 0]
        assert sorted((term["AmountDC"], term["Status"], term["IsFullyPaid"]) for term in terms) == [
            (-100, 50, False),
            (-21, 20, False),
        ]
        assert len({term["EntryID"] for term in terms}) == 2
        assert len({term["TransactionID"] for term in terms}) == 1
        rest = (await client.control("bank-receipts", **receipt, amount_minor=2100)).json()
        assert rest["open_minor"] == 0
        assert all(term["IsFullyPaid"] for term in await client.rows(TERMS))


async def test_a_person_settles_and_unsettles_by_hand():
    async with exact() as client:
        customer = await client.customer()
        await client.sell(customer, "INV-1")
        entry_number = (await _receive(client, customer, 100)).json()["d"]["EntryNumber"]
        named = {"division": 100001, "entry_number": entry_number}
        assert (await client.control("matches", **named, your_ref="INV-1")).status_code == 200
        assert (await client.control("unmatches", **named)).json() == {"opened": 2}
        assert {term["Status"] for term in await client.rows(TERMS)} == {20}


async def test_terms_point_to_their_entry_and_line():
    async with exact() as client:
        entry_id = (await client.sell(await client.customer(), "INV-1")).json()["d"]["EntryID"]
        term = (await client.rows(TERMS))[0]
        lines = await client.rows("sync/Financial/TransactionLines")
        header = next(line for line in lines if line["LineNumber"] == 0)
        assert (term["TransactionEntryID"], term["TransactionID"]) == (entry_id, header["ID"])
        assert (term["LineType"], term["InvoiceNumber"]) == (20, 26700001)


async def test_every_ledger_stays_balanced():
    async with exact() as client:
        customer = await client.customer()
        await client.sell(customer, "INV-1", await client.line(33.33, From="2026-03-01", To="2026-12-31"))
        await client.sell(customer, "INV-2", await client.line(0.01), Currency="USD", Rate=0.9177)
        await _receive(client, customer, 40.33)
        lines = await client.rows("financialtransaction/TransactionLines")
        totals: dict[str, int] = {}
        for line in lines:
            totals[line["EntryID"]] = totals.get(line["EntryID"], 0) + round(line["AmountDC"] * 100)
        assert set(totals.values()) == {0}


async def test_a_second_payment_of_the_same_amount_stays_open():
    async with exact() as client:
        customer = await client.customer()
        await client.sell(customer, "INV-1")
        assert (await _receive(client, customer, 121)).status_code == 201
        assert (await _receive(client, customer, 121)).status_code == 201
        assert [term["Status"] for term in await client.rows(TERMS, select="Status")].count(20) == 1


async def test_another_receivables_account_settles_nothing():
    async with exact() as client:
        customer = await client.customer()
        await client.sell(customer, "INV-1")
        account = {"Code": "1320", "Description": "Overige debiteuren", "Type": 20}
        assert (await client.post("financial/GLAccounts", account)).status_code == 201
        await _receive(client, customer, 121, GLAccount=await client.gl("1320"))
        assert [term["Status"] for term in await client.rows(TERMS)] == [20, 20]


async def test_a_foreign_entry_must_balance_in_the_division_s_currency_too():
    async with exact() as client:
        lines = [("1100", 0.01, None), ("4600", 0.01, None), ("1290", -0.02, None)]
        answer = await _journal(client, *lines, Currency="USD", ExchangeRate=0.5)
        assert message(answer).startswith("De boeking is niet in evenwicht op:")
