"""A proposed mapping: what stands in Exact is filled in, and what only a person can know keeps the file from being used."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest
from support.master_data import DATA

from backbone.configuration import load_configuration
from backbone.configuration_types import UNDECIDED
from backbone.errors import ConfigurationError
from contracts.master_data import Ledger
from mapper.configuration import mappings_of
from mapper.live_check import complaints
from mapper.proposal import propose

TODAY = date(2026, 10, 5)


def test_a_proposal_cannot_be_used_until_all_is_decided_and_then_fits_the_division(tmp_path):
    path = tmp_path / "kruispost.yaml"
    text = propose(DATA, {"saas": "saas", "NO": "NO"})
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=f"{UNDECIDED} stands here still") as told:
        load_configuration(path)
    assert str(told.value).count(f"{UNDECIDED} stands here still") == sum(
        UNDECIDED in line.split("#")[0] for line in text.splitlines()
    )
    path.write_text(
        text.replace(f"{UNDECIDED}: #", "acme-test: #")
        .replace(f"invoices: {UNDECIDED}", "invoices: '70'")
        .replace(f"account: {UNDECIDED}", "account: '8000'")
        .replace(f"code: {UNDECIDED}", "code: '9'")
    )
    configuration = load_configuration(path)
    assert {
        code for code, _ in ((each.code, each.path) for each in complaints(100001, configuration.divisions[100001], DATA, TODAY))
    } <= {
        "cost_center_mandatory",
        "not_in_eu_listing",
    }
    assert mappings_of(configuration)[100001].receivable_account == "1300"


def test_what_is_clear_is_filled_in_and_what_is_not_is_left_open():
    text = propose(DATA, {"saas": "saas"})
    for line in (
        'receivable_account: "1300" # Debiteuren',
        f"invoices: {UNDECIDED} # one of 70 Verkoop, 73 Verkoop euro",
        'credit_notes: "71" # Creditnota\'s',
        'payments: "90" # Memoriaal',
        '{ when: { country: NL, rate: 21 }, code: "2" } # Hoog',
        '{ when: { country: DE, rate: 19 }, code: "DE" } # OSS DE',
        '{ when: { country: EU, rate: 0, reason: reverse_charge }, code: "7" } # EU diensten',
        '{ when: { rate: 0, reason: export }, code: "9" } # Buiten de EU',
        f'{{ when: {{ family: "saas" }}, account: {UNDECIDED} }}',
    ):
        assert line in text
    assert '"4"' not in text  # inclusive
    only = msgspec.structs.replace(DATA, ledgers=(Ledger(code="8000", description="Omzet", type=110),))
    assert '{ when: { family: "saas" }, account: "8000" }' in propose(only, {"saas": "saas"})


def test_what_a_division_can_do_without_is_proposed_where_one_account_is_clearly_for_it():
    assert "exchange_differences" not in propose(DATA, {})
    more = (
        Ledger(code="4910", description="Koersverschillen", type=121),
        Ledger(code="1650", description="Vooruitontvangen omzet", type=90),
    )
    text = propose(msgspec.structs.replace(DATA, ledgers=(*DATA.ledgers, *more)), {})
    assert 'exchange_differences: { account: "4910" } # Koersverschillen' in text
    assert 'deferral: { account: "1650" } # Vooruitontvangen omzet' in text
