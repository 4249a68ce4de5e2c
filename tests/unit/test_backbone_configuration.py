"""The YAML file: read as a bookkeeper means it, and refused with the place and the remedy when it cannot be used."""

from __future__ import annotations

from decimal import Decimal

import jsonschema
import pytest
import yaml

from backbone.configuration import Configuration, json_schema, load_configuration
from backbone.errors import ConfigurationError
from backbone.yaml_reading import read_yaml

GOOD = """
version: 1
sites:
  acme-test:
    time_zone: Europe/Amsterdam
    division: 123456
    business_entities: {be_belgium: 234567}
divisions:
  123456:
    name: Acme B.V.
    journals: {invoices: 70, credit_notes: 071, payments: "90"}
    receivable_account: 1300
    rounding: {account: 0700}
    revenue:
      - {when: {item_price: team-EUR-monthly}, account: 8000, cost_center: 001, defer: true}
      - {when: {country: NO}, account: 8010}
      - {account: 8099}
    vat:
      - {when: {country: NL, rate: 21}, code: 4}
      - {when: {country: FR, rate: 5.5}, code: F5}
      - {when: {reason: reverse_charge}, code: 7}
    control_accounts:
      - {gateway_account: gw_1, currency: EUR, account: 1230}
      - {account: 1299}
  234567:
    name: Acme BVBA
    journals: {invoices: 70, credit_notes: 70, payments: 90}
    receivable_account: 400000
    period_policy: hold
    book_payments: false
"""


def load(tmp_path, text: str) -> Configuration:
    path = tmp_path / "kruispost.yaml"
    path.write_text(text, encoding="utf-8")
    return load_configuration(path)


def test_write_offs_need_a_journal_to_be_booked_in(tmp_path):
    good = GOOD.replace("    receivable_account: 400000\n", "    receivable_account: 400000\n    write_offs: {account: 4700}\n")
    with pytest.raises(ConfigurationError, match=r"write_offs needs a general journal of Exact; add journals\.write_offs"):
        load(tmp_path, good)


def test_codes_keep_their_zeros_and_norway_is_a_country(tmp_path):
    division = load(tmp_path, GOOD).divisions[123456]
    assert division.journals.model_dump(exclude_defaults=True) == {"invoices": "70", "credit_notes": "071", "payments": "90"}
    assert division.rounding is not None
    assert division.rounding.account == "0700"
    assert [rule.account for rule in division.revenue] == ["8000", "8010", "8099"]
    assert (division.revenue[0].cost_center, division.revenue[0].defer, division.revenue[1].when.country) == (
        "001",
        True,
        ("NO",),
    )
    assert [rule.when.rate for rule in division.vat] == [Decimal(21), Decimal("5.5"), None]
    assert division.control_accounts[1].model_dump() == {"gateway_account": "*", "currency": "*", "account": "1299"}
    assert (division.currency, division.period_policy, division.book_payments) == ("EUR", "move", True)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("time_zone: Europe/Amsterdam", "time_zone: Mars/Olympus", "sites.acme-test.time_zone: "),
        ("division: 123456", "division: 999", "books into division 999"),
        ("receivable_account: 1300", "recievable_account: 1300", "divisions.123456.recievable_account: "),
        ("rate: 5.5", "rate: '5,5'", "divisions.123456.vat[1].when.rate: "),
        ("rate: 21", "rate: 210", "divisions.123456.vat[0].when.rate: "),
        ("period_policy: hold", "period_policy: drop", "divisions.234567.period_policy: "),
        ("name: Acme BVBA", "name: Acme BVBA\n    currency: euro", "divisions.234567.currency: "),
        ("version: 1", "version: 2", "version: "),
        ("    name: Acme B.V.\n", "    name: Acme B.V.\n    name: Twice\n", "the key name stands here twice"),
        ("{account: 8099}", "{account: ''}", "divisions.123456.revenue[2].account: "),
    ],
)
def test_a_mistake_is_named_with_its_file_and_place(tmp_path, old, new, place):
    assert old in GOOD
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert place in caught.value.sentence
    assert str(tmp_path / "kruispost.yaml") in caught.value.sentence


@pytest.mark.parametrize("text", ["", "- 1", "a: !!python/object/apply:os.system [true]", "\x00"])
def test_what_is_no_configuration_is_refused(tmp_path, text):
    with pytest.raises(ConfigurationError):
        load(tmp_path, text)


def test_an_absent_file_says_which_setting_names_it(tmp_path):
    with pytest.raises(ConfigurationError, match="KRUISPOST_CONFIG"):
        load_configuration(tmp_path / "absent.yaml")


def test_the_schema_for_editors_accepts_what_the_program_accepts(tmp_path):
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    load(tmp_path, GOOD)
    assert schema["$defs"]["DivisionConfiguration"]["additionalProperties"] is False


@pytest.mark.parametrize("text", ["no", "NO", "on", "0700", "1_000", "12:30", "2026-10-05"])
def test_only_plain_numbers_and_true_and_false_are_more_than_text(text):
    assert read_yaml(text) == text
    assert read_yaml("[true, 8000, -1, 5.5, null]") == [True, 8000, -1, 5.5, None]


def test_a_list_as_a_key_is_an_error():
    with pytest.raises(yaml.YAMLError):
        read_yaml("? [a, b]\n: c\n")
