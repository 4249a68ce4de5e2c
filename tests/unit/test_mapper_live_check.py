"""A mapping beside the division it is for: everything that would fail or be booked wrongly, named before anything is written."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest
from support.master_data import DATA

from backbone.configuration import Configuration
from contracts.master_data import MasterData, Unreadable
from mapper.live_check import complaints
from mapper.live_words import COMPLAINTS, PURPOSES, sentence_and_advice

TODAY = date(2026, 10, 5)
DIVISION: dict[str, Any] = {
    "name": "Test",
    "journals": {"invoices": "70", "credit_notes": "71", "payments": "90"},
    "receivable_account": "1300",
    "rounding": {"account": "4900", "vat_code": "N"},
    "exchange_differences": {"account": "4900"},
    "revenue": [{"when": {"family": "saas"}, "account": "8000", "cost_center": "NL"}],
    "vat": [
        {"when": {"country": "NL", "rate": 21}, "code": "2"},
        {"when": {"country": "DE", "rate": 19}, "code": "DE"},
        {"when": {"country": "EU", "reason": "reverse_charge"}, "code": "7"},
    ],
    "control_accounts": [{"account": "1290"}],
}


def found(data: MasterData = DATA, today: date = TODAY, **changes: Any) -> list[tuple[str, tuple[str | int, ...]]]:
    configuration = Configuration.model_validate({"version": 1, "sites": {}, "divisions": {100001: {**DIVISION, **changes}}})
    told = complaints(100001, configuration.divisions[100001], data, today)
    for complaint in told:
        for lang in ("en", "nl"):
            sentence, advice = complaint.words(lang)
            assert sentence
            assert advice
            assert "{" not in sentence + advice
    return [(complaint.code, complaint.path[2:]) for complaint in told]


def revenue(**rule: Any) -> dict[str, Any]:
    return {"revenue": [{"when": {"family": "saas"}, **rule}]}


def vat(code: str, **when: Any) -> dict[str, Any]:
    return {"vat": [{"when": when, "code": code}]}


def test_cents_of_rounding_get_no_vat_of_their_account():
    """A line of a sales entry without a VAT code gets that of its ledger account."""
    ledgers = tuple(msgspec.structs.replace(each, vat_code="2") if each.code == "4900" else each for each in DATA.ledgers)
    data = msgspec.structs.replace(DATA, ledgers=ledgers)
    assert found(data) == [], "rounding.vat_code is without VAT, and named"
    assert found(data, rounding={"account": "4900"}) == [
        ("account_with_own_vat_code", ("rounding", "account")),
        ("account_with_own_vat_code", ("exchange_differences", "account")),
    ]


JOURNALS = {"invoices": "70", "credit_notes": "71", "payments": "90"}
FEES = {"payout_account": "1290", "fee_account": "4900"}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"exchange_differences": {"account": "1300"}}, ("exchange_differences", "account")),
        ({"withheld_taxes": {"account": "1300"}}, ("withheld_taxes", "account")),
        ({"write_offs": {"account": "1300"}, "journals": {**JOURNALS, "write_offs": "90"}}, ("write_offs", "account")),
        ({"discounts": {"posting": "gross", "rules": [{"account": "1300"}]}}, ("discounts", "rules", 0, "account")),
        *(
            ({"settlements": {**FEES, name: "1300"}, "journals": {**JOURNALS, "settlements": "90"}}, ("settlements", name))
            for name in ("payout_account", "fee_account", "chargeback_fee_account")
        ),
    ],
)
def test_no_setting_takes_the_account_of_debtors_for_something_else(changes, path):
    assert ("wrong_account_type", path) in found(**changes)


def test_mode_ledger_needs_the_sales_journals_where_revenue_is_deferred():
    journals = {**JOURNALS, "credit_notes": "99", "ledger": "91"}
    deferred = [{"when": {"family": "saas"}, "account": "8000", "cost_center": "NL", "defer": True}]
    wrong = ("no_such_journal", ("journals", "credit_notes"))
    assert wrong not in found(mode="ledger", journals=journals)
    later = {**JOURNALS, "ledger": "91", "dated": [{"from": "2027-01-01", "credit_notes": "99"}]}
    assert found(mode="ledger", journals=later) == []
    assert wrong in found(mode="ledger", journals=journals, revenue=deferred)


@pytest.mark.parametrize("purpose", ["invoices", "credit_notes", "payments", "write_offs", "ledger", "settlements"])
def test_every_journal_of_a_wrong_type_is_named(purpose):
    wrong = "90" if purpose in ("invoices", "credit_notes") else "70"
    settings: dict[str, Any] = {"write_offs": {"account": "4900"}, "settlements": FEES}
    assert ("wrong_journal_type", ("journals", purpose)) in found(
        journals={**JOURNALS, "write_offs": "90", "ledger": "90", "settlements": "90", purpose: wrong}, **settings
    )


def test_a_mapping_that_fits_is_well():
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        (vat("00", country="NL", rate=0, reason="reverse_chrage"), "no_such_reason", ("vat", 0, "when", "reason")),
        (
            {"control_accounts": [{"account": "1290", "currency": "USD"}], "exchange_differences": None},
            "no_exchange_differences",
            ("control_accounts", 0, "currency"),
        ),
        (revenue(account="8001"), "no_such_account", ("revenue", 0, "account")),
        (revenue(account="8090"), "account_blocked", ("revenue", 0, "account")),
        (revenue(account="1500"), "wrong_account_type", ("revenue", 0, "account")),
        (revenue(account="8010", cost_unit="SAAS"), "cost_center_mandatory", ("revenue", 0)),
        (revenue(account="8010", cost_center="NL"), "cost_unit_mandatory", ("revenue", 0)),
        (revenue(account="8020", cost_center="NL"), "cost_center_not_used", ("revenue", 0, "cost_center")),
        (revenue(account="8020", cost_unit="SAAS"), "cost_unit_not_used", ("revenue", 0, "cost_unit")),
        (revenue(account="8000", cost_center="BE"), "no_such_cost_center", ("revenue", 0, "cost_center")),
        (revenue(account="8000", cost_unit="HARDWARE"), "no_such_cost_unit", ("revenue", 0, "cost_unit")),
        ({"receivable_account": "1290"}, "not_a_debtor_account", ("receivable_account",)),
        ({"receivable_account": "1301"}, "no_such_account", ("receivable_account",)),
        ({"debtors": [{"when": {"country": "BE"}, "account": "8000"}]}, "not_a_debtor_account", ("debtors", 0, "account")),
        ({"rounding": {"account": "1300"}}, "wrong_account_type", ("rounding", "account")),
        ({"rounding": {"account": "8010"}}, "cost_unit_mandatory", ("rounding", "account")),
        ({"control_accounts": [{"account": "1300"}]}, "wrong_account_type", ("control_accounts", 0, "account")),
        (
            {"control_accounts": [{"account": "1290", "currency": "GBP"}]},
            "no_such_currency",
            ("control_accounts", 0, "currency"),
        ),
        (
            {"discounts": {"posting": "gross", "rules": [{"account": "8099"}]}},
            "no_such_account",
            ("discounts", "rules", 0, "account"),
        ),
        ({"currency": "USD"}, "wrong_division_currency", ("currency",)),
        (
            {"payment_conditions": {"rules": [{"code": "30"}]}},
            "no_such_payment_condition",
            ("payment_conditions", "rules", 0, "code"),
        ),
        (vat("3", country="NL", rate=21), "no_such_vat_code", ("vat", 0, "code")),
        (vat("4", country="NL", rate=21), "vat_code_inclusive", ("vat", 0, "code")),
        (vat("5", country="NL", rate=21), "vat_code_blocked", ("vat", 0, "code")),
        (vat("I2", country="NL", rate=21), "vat_code_for_purchase", ("vat", 0, "code")),
        (vat("1", country="NL", rate=21), "wrong_vat_percentage", ("vat", 0, "code")),
        (vat("2", reason="export"), "wrong_vat_percentage", ("vat", 0, "code")),
        (vat("DE", country="AT", rate=19), "wrong_oss_country", ("vat", 0, "code")),
        (vat("X", country="DE", rate=19), "not_an_oss_code", ("vat", 0, "code")),
        (vat("9", country="EU", reason="reverse_charge"), "not_in_eu_listing", ("vat", 0, "code")),
        ({"rounding": {"account": "4900", "vat_code": "4"}}, "vat_code_inclusive", ("rounding", "vat_code")),
    ],
)
def test_each_mistake_is_named_where_it_stands(changes: dict[str, Any], code: str, path: tuple[str | int, ...]):
    assert (code, path) in found(**changes)


@pytest.mark.parametrize(
    ("journals", "code", "path"),
    [
        ({"invoices": "75"}, "no_such_journal", ("journals", "invoices")),
        ({"invoices": "72"}, "journal_blocked", ("journals", "invoices")),
        ({"invoices": "71"}, "wrong_journal_type", ("journals", "invoices")),
        ({"credit_notes": "90"}, "wrong_journal_type", ("journals", "credit_notes")),
        ({"payments": "20"}, "wrong_journal_type", ("journals", "payments")),
        ({"payments": "25"}, "payment_service_journal", ("journals", "payments")),
        ({"ledger": "90"}, "journal_without_vat", ("journals", "ledger")),
        (
            {"currencies": {"USD": {"invoices": "73"}}},
            "journal_of_other_currency",
            ("journals", "currencies", "USD", "invoices"),
        ),
        ({"currencies": {"GBP": {"invoices": "70"}}}, "no_such_currency", ("journals", "currencies", "GBP")),
        ({"dated": [{"from": "2027-01-01", "invoices": "75"}]}, "no_such_journal", ("journals", "dated", 0, "invoices")),
        ({"dated": [{"from": "2027-01-01", "payments": "70"}]}, "wrong_journal_type", ("journals", "dated", 0, "payments")),
        (
            {"dated": [{"from": "2027-01-01", "currency": "USD", "invoices": "73"}]},
            "journal_of_other_currency",
            ("journals", "dated", 0, "invoices"),
        ),
        (
            {"dated": [{"from": "2027-01-01", "currency": "GBP", "invoices": "70"}]},
            "no_such_currency",
            ("journals", "dated", 0, "currency"),
        ),
    ],
)
def test_each_wrong_journal_is_named(journals: dict[str, Any], code: str, path: tuple[str | int, ...]):
    assert found(journals={**DIVISION["journals"], **journals}) == [(code, path)]


def test_the_year_must_exist_and_the_division_be_open():
    assert found(today=date(2027, 1, 1)) == [("no_periods", ())]
    assert found(msgspec.structs.replace(DATA, is_blocked=True)) == [("division_blocked", ())]


def test_what_exact_does_not_show_is_told_once_and_not_judged():
    hidden = Unreadable(part="ledgers", endpoint="sync/Financial/GLAccounts", reason="Forbidden")
    assert found(msgspec.structs.replace(DATA, ledgers=(), unreadable=(hidden,))) == [("part_unreadable", ())]


@pytest.mark.parametrize(
    ("part", "changes", "place"),
    [
        ("cost_centers", {"revenue": [{"account": "8000"}]}, None),
        ("cost_centers", {"revenue": [{"account": "8000", "cost_center": "NL"}]}, ("revenue", 0, "cost_center")),
        ("cost_units", {"cost_units": [{"when": {"country": "NL"}, "code": "SAAS"}]}, ("cost_units",)),
        ("payment_conditions", {"payment_conditions": {"rules": [{"code": "14"}]}}, ("payment_conditions",)),
        ("contacts", {}, ()),
        ("contacts", {"customers": {"match": ["vat_number"]}}, None),
        ("items", {}, None),
        ("items", {"mode": "document"}, ("mode",)),
        ("documents", {"pdf": {"policy": "always"}}, ("pdf", "policy")),
        ("documents", {}, None),
        ("sales_entries", {}, ()),
    ],
)
def test_what_the_licence_or_the_app_lacks_is_told_only_of_the_setting_that_needs_it(part, changes, place):
    hidden = Unreadable(part=part, endpoint="some/Endpoint", reason="Forbidden")
    lacking = msgspec.structs.replace(DATA, package="EOL-SMALL", unreadable=(hidden,))
    assert found(lacking, **changes) == ([] if place is None else [("part_unreadable", place)])


def test_the_advice_names_what_would_fit():
    configuration = Configuration.model_validate(
        {"version": 1, "sites": {}, "divisions": {100001: {**DIVISION, **vat("4", country="NL", rate=21)}}}
    )
    (complaint,) = complaints(100001, configuration.divisions[100001], DATA, TODAY)
    assert complaint.words("en")[1] == "write an exclusive one (type E): 2 Hoog"
    assert "schrijf een exclusieve" in complaint.words("nl")[1]


def test_both_languages_ask_for_the_same_values():
    values = {name: name for name in ("candidates", "purpose")} | {"purpose": "revenue"}
    every = (
        "endpoint",
        "reason",
        "division",
        "actual",
        "code",
        "description",
        "type",
        "wanted",
        "currency",
        "rate",
        "country",
        "year",
        "package",
    )
    for code in COMPLAINTS:
        for lang in ("en", "nl"):
            sentence_and_advice(code, lang, {**dict.fromkeys(every, "x"), **values})
    assert all(len(pair) == 2 for pair in PURPOSES.values())
