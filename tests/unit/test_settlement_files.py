"""Settlement files of every gateway that are not whole, or say something twice: one sentence, and nothing is taken of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from mapper import settlement_dutch
from mapper.gateways import read_payouts
from mapper.settlement_files import SettlementFileError

ADYEN_HEAD = "Merchant Account,Psp Reference,Creation Date,Type,Net Currency,Net Debit (NC),Net Credit (NC),Commission (NC)"
ADYEN = f"""{ADYEN_HEAD},Batch Number
Shop,PSP1,2026-10-06 10:00:00,Settled,EUR,,120.50,0.50,118
Shop,,2026-10-07 00:00:00,MerchantPayout,EUR,120.50,,,118
"""
GOCARDLESS = """id,amount,currency,arrival_date,transaction_fee_debit,transaction_fee_credit
PO1,98.80,EUR,2026-10-07,1.30,0.10
"""
STRIPE = """automatic_payout_id,automatic_payout_effective_at,currency,gross,fee,net,reporting_category,charge_id
po_1,2026-10-07,eur,1.00,0,1.00,charge,ch_1
"""
COSTS = [{"amountGross": {"currency": "EUR", "value": "2.5410"}}]
MOLLIE: dict[str, Any] = {
    "resource": "settlement",
    "id": "stl_1",
    "settledAt": "2026-10-07T04:00:00+00:00",
    "amount": {"currency": "EUR", "value": "97.46"},
    "periods": {"2026": {"10": {"costs": COSTS}}},
}
PAYMENT: dict[str, Any] = {
    "resource": "payment",
    "id": "tr_1",
    "settlementId": "stl_1",
    "settlementAmount": {"currency": "EUR", "value": "100.00"},
}


def both(**changes: Any) -> str:
    return json.dumps([MOLLIE, {**PAYMENT, **changes}])


def mollie(**changes: Any) -> str:
    return json.dumps({**MOLLIE, **changes})


def mollie_with(movements: list[dict[str, Any]], *, amount: str, revenue: str | None = None, cost: str = "2.5410") -> str:
    """A settlement of that amount, less its costs, with the revenue that it names itself."""
    month = {
        "costs": [{"amountGross": {"currency": "EUR", "value": cost}}],
        **({} if revenue is None else {"revenue": [{"amountGross": {"currency": "EUR", "value": revenue}}]}),
    }
    settlement = {**MOLLIE, "amount": {"currency": "EUR", "value": amount}, "periods": {"2026": {"10": month}}}
    return json.dumps([settlement, *movements])


def twice(text: str, line: int) -> str:
    """The text with one of its lines once more behind it."""
    return text + text.splitlines(keepends=True)[line]


BAD = {
    "adyen without a column": ("adyen", ADYEN.replace("Batch Number", "Batch"), "has no column Batch Number"),
    "adyen cut off in a line": ("adyen", ADYEN[:-12], "columns, so it was cut off"),
    "adyen cut off in the last value": ("adyen", ADYEN[:-2], "the last line has no end"),
    "adyen a row twice": ("adyen", twice(ADYEN, 1), "batch 118 pays 120.50 out, and its rows add up to 241.00"),
    "adyen a batch twice": ("adyen", twice(ADYEN, 2), "2 rows MerchantPayout"),
    "adyen not paid out yet": ("adyen", "".join(ADYEN.splitlines(keepends=True)[:2]), "0 rows MerchantPayout"),
    "adyen another way of writing amounts": ("adyen", ADYEN.replace(",120.50,0", ',"1.120,50",0'), "not an amount such as"),
    "gocardless without a column": ("gocardless", GOCARDLESS.replace("arrival_date", "arrival"), "has no column arrival_date"),
    "gocardless cut off in a value that it may lack": ("gocardless", GOCARDLESS[:-3], "the last line has no end"),
    "gocardless a payout twice": ("gocardless", twice(GOCARDLESS, 1), "id PO1 stands on line 2 already"),
    "gocardless without an id": ("gocardless", GOCARDLESS.replace("PO1", ""), "no usable id"),
    "gocardless without a currency": ("gocardless", GOCARDLESS.replace("EUR", ""), "'' is no currency"),
    "gocardless an endless amount": ("gocardless", GOCARDLESS.replace("98.80", "Infinity"), "not an amount such as"),
    "gocardless a power of ten": ("gocardless", GOCARDLESS.replace("98.80", "1e3"), "not an amount such as"),
    "gocardless a day that is none": ("gocardless", GOCARDLESS.replace("10-07", "13-45"), "not a date such as"),
    "mollie cut off": ("mollie", mollie()[:-5], "this is no whole JSON"),
    "mollie without what it cost": (
        "mollie",
        mollie(periods=None),
        "settlement stl_1: amount, periods, costs or revenue is missing or not as Mollie writes it",
    ),
    "mollie without its amount": ("mollie", json.dumps({"resource": "settlement", "id": "stl_1"}), "stl_1: amount is missing or"),
    "mollie without an id": ("mollie", mollie(id=None), "no usable id"),
    "mollie not paid out yet": ("mollie", mollie(settledAt=None), "is no date"),
    "mollie a settlement twice": ("mollie", json.dumps([MOLLIE, MOLLIE]), "payout stl_1 stands in the file twice"),
    "mollie a payment twice": ("mollie", json.dumps([MOLLIE, PAYMENT, PAYMENT]), "payment tr_1 stands in the file twice"),
    "mollie a payment of another settlement": ("mollie", both(settlementId="stl_9"), "its settlement stl_9 is not in the file"),
    "mollie a payment without an amount": ("mollie", both(settlementAmount=None), "has no settlementAmount"),
    "mollie a payment in another currency": (
        "mollie",
        both(settlementAmount={"currency": "USD", "value": "100.00"}),
        "is in USD, and its settlement in EUR",
    ),
    "mollie a payment missing": (
        "mollie",
        mollie_with([PAYMENT], amount="147.46"),
        "pays 147.46 out, and what is in it is 100.00",
    ),
    "mollie a payment missing, by its revenue": (
        "mollie",
        mollie_with([PAYMENT], amount="147.46", revenue="150.0000"),
        "the movements in the file add up to 100.00, and its revenue is 150.00, so it is not all of it",
    ),
    "mollie a refund missing": ("mollie", mollie_with([PAYMENT], amount="57.46"), "which is another amount"),
    "mollie revenue that does not add up": ("mollie", mollie_with([], amount="96.46", revenue="100.0000"), "less costs of 2.541"),
    "mollie a cost that is no number": ("mollie", mollie_with([], amount="97.46", cost="NaN"), "not as Mollie writes it"),
    "mollie an endless cost": ("mollie", mollie_with([], amount="97.46", cost="Infinity"), "not as Mollie writes it"),
    "mollie something else": ("mollie", json.dumps({"_embedded": 5}), "has no settlement in it"),
    "mollie without a bottom": ("mollie", "[" * 100_000, "nested too deeply"),
    "adyen without a batch's number": ("adyen", ADYEN.replace(",118", ","), "no usable id"),
    "gocardless without an amount": ("gocardless", GOCARDLESS.replace("98.80", ""), "file:2: amount is empty"),
    "gocardless of which a value is no text": ("gocardless", GOCARDLESS.replace("PO1", "PO\0" + "1"), "no text that can be read"),
    "stripe a charge twice without its movement's id": (
        "stripe",
        twice(STRIPE, 1),
        "file:3: charge_id ch_1 stands on line 2 already",
    ),
    "stripe without an amount": ("stripe", STRIPE.replace("1.00", ""), "file:2: gross is empty"),
    "stripe nothing paid out": (
        "stripe",
        "automatic_payout_id,automatic_payout_effective_at,currency,gross,fee,net,reporting_category\n,,eur,1.00,0,1.00,charge\n",
        "has no payout in it",
    ),
}


def test_utf_16_without_its_mark_is_told_as_no_text(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(GOCARDLESS.encode("utf-16-le"))
    with pytest.raises(
        SettlementFileError, match=r"^file.csv is no text that can be read; export it again as CSV or JSON in UTF-8"
    ):
        read_payouts("gocardless", file)


def test_a_settlement_of_mollie_without_costs_is_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(mollie(periods={"2026": {"10": {"costs": None}}}))
    (payout,) = read_payouts("mollie", file)
    assert (payout.paid_minor, payout.fees_minor) == (9_746, 0)


@pytest.mark.parametrize(("gateway", "content", "says"), BAD.values(), ids=BAD.keys())
def test_a_file_that_is_not_whole_is_taken_not_at_all(gateway: str, content: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(content)
    with pytest.raises(SettlementFileError) as refused:
        read_payouts(gateway, file)
    assert says in str(refused.value)
    assert str(refused.value).startswith("file")
    in_dutch = settlement_dutch.in_dutch(refused.value).sentence
    assert re.search(r"\b(the|is no|has no|add up|nothing|stands|export the|missing)\b", in_dutch) is None, in_dutch


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(("gateway", "content"), [("adyen", ADYEN), ("gocardless", GOCARDLESS), ("mollie", both())])
def test_every_usual_encoding_of_each_gateway_is_read(gateway: str, content: str, encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content.replace("Shop", "Käse").encode(encoding))
    (payout,) = read_payouts(gateway, file)
    fees = {"adyen": 50, "gocardless": 120, "mollie": 254}
    assert (payout.currency, payout.fees_minor) == ("EUR", fees[gateway])


@pytest.mark.parametrize(("amount", "fees_minor"), [("97.46", 254), ("97.45", 255)])
@pytest.mark.parametrize("movements", [[], [{**PAYMENT, "resource": "capture", "id": "cpt_1", "paymentId": "tr_1"}]])
def test_what_mollie_pays_out_and_keeps_is_what_it_took_whichever_way_it_rounds(
    amount: str, fees_minor: int, movements: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text(mollie_with(movements, amount=amount, revenue="100.0000"))
    (payout,) = read_payouts("mollie", file)
    assert (payout.fees_minor, payout.paid_minor + payout.fees_minor) == (fees_minor, 10_000)
    assert [line.ids for line in payout.lines] == [("cpt_1", "tr_1") for _ in movements]


@pytest.mark.parametrize("english", [english for english, _ in settlement_dutch.SENTENCES])
def test_each_sentence_is_told_in_dutch_with_what_stood_in_the_file(english: str) -> None:
    values = {name: f"<{name}>" for _, name, _, _ in Formatter().parse(english) if name}
    told = settlement_dutch.in_dutch(SettlementFileError(english.format_map(values))).sentence
    assert all(value in told for value in values.values()), told
    assert told != english.format_map(values)


def test_what_two_files_say_of_a_payout_is_told_in_dutch() -> None:
    told = (
        "Payout po_1 was imported before with EUR 98.80 of 2026-10-07 with 1.20 of fees, and this file says"
        " EUR 98.70 of 2026-10-07 with 1.30 of fees (0.10 for chargebacks) and 0.21 of VAT; nothing was imported."
        " Ask the gateway which one is right."
    )
    assert settlement_dutch.in_dutch(SettlementFileError(told)).sentence == (
        "Uitbetaling po_1 is eerder ingelezen met EUR 98.80 van 2026-10-07 met 1.20 kosten, en dit bestand zegt EUR 98.70 van"
        " 2026-10-07 met 1.30 kosten (0.10 voor chargebacks) en 0.21 btw; er is niets ingelezen. Vraag de"
        " betaaldienst welke juist is."
    )
