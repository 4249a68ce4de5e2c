"""The YAML file: read as a bookkeeper means it, and refused with the place and the remedy when it cannot be used."""

from __future__ import annotations

import json
from decimal import Decimal

import jsonschema
import pytest
import yaml

from backbone.configuration import Configuration, MistakenConfigurationError, json_schema, load_configuration
from backbone.errors import ConfigurationError
from backbone.yaml_reading import read_yaml
from mapper.configuration import check

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
    assert division.control_accounts[1].model_dump(exclude_none=True) == {
        "gateway_account": "*",
        "currency": "*",
        "account": "1299",
    }
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


BAD = """version: 1
sites:
  acme-test:
    time_zone: Europe/Amsterdam
    division: 123456
    routes:
      - {when: {currency: USD}, division: 777}
divisions:
  123456:
    name: Acme B.V.
    name: Twice
    journals: {invoices: 70, credit_notes: 071, payments: "90"}
    recievable_account: 1300
    revenue:
      - {when: {item_price: a}, account: 8000}
      - {when: {group: hardware}, account: 8010}
      - {when: {familly: b}, account: 8020}
      - {when: {item: c}}
      - {when: {item: d}, account: 8030, from: 2026-07-01, until: 2026-06-30}
      - {when: {group: g, item: e}, account: 8040}
      - {when: {field: [{name: cf_a, value: x}, {name: cf_a, value: y}]}, account: 8050}
    vat:
      - {when: {country: NL, supply: goods}, code: 1}
"""


def test_all_mistakes_are_told_in_one_run_with_their_lines_and_what_to_write(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, BAD)
    told: dict[int, str] = {}
    for each in caught.value.sentence.splitlines()[:-1]:
        line, _, words = each.removeprefix(f"{tmp_path}/kruispost.yaml:").partition(": ")
        told[int(line)] = words if int(line) not in told else f"{told[int(line)]}\n{words}"
    assert told[11] == "the key name stands here twice; remove one of them"
    assert "divisions.123456.receivable_account: this is required and missing; add it" in told[9]
    assert told[13] == "divisions.123456.recievable_account: there is no key recievable_account; did you mean receivable_account?"
    assert told[17] == "divisions.123456.revenue[2].when.familly: there is no key familly; did you mean family?"
    assert told[18] == "divisions.123456.revenue[3].account: this is required and missing; add it"
    assert "until 2026-06-30 is before from 2026-07-01" in told[19]
    assert "name the group or one of those, not both" in told[20]
    assert "the field cf_a is asked for twice" in told[21]


def test_what_hangs_together_is_told_with_its_lines_once_each_part_is_right(tmp_path):
    good = BAD.replace("    name: Twice\n", "").replace("recievable", "receivable")
    wrong = ("familly", "item: c", "until:", "item: e", "cf_a")
    kept = [line for line in good.splitlines() if not any(word in line for word in wrong)]
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, "\n".join(kept))
    assert "yaml:15: divisions.123456.revenue[1].when.group: there is no group hardware" in caught.value.sentence
    assert "yaml:17: divisions.123456.vat[0].when.supply: name the products that are goods under goods" in caught.value.sentence
    kept[12:] = []
    with pytest.raises(ConfigurationError, match=r"yaml:7: sites\.acme-test\.routes\[0\]\.division: .* books into division 777"):
        load(tmp_path, "\n".join(kept))


def test_the_rest_of_a_mistaken_file_can_still_be_judged_and_keeps_its_lines(tmp_path):
    misspelt, first, second = ("{familly: a}", 1), ("{family: b}", 2), ("{family: b}", 3)
    rules = "    revenue:\n" + "\n".join(
        f"      - {{when: {when}, account: {account}}}" for when, account in (misspelt, first, second)
    )
    with pytest.raises(MistakenConfigurationError) as caught:
        load(tmp_path, GOOD.replace("    book_payments: false", f"    book_payments: false\n{rules}"))
    readable = caught.value.readable
    assert readable is not None
    (complaint,) = check(readable)
    number = GOOD.count("\n", 0, GOOD.index("    book_payments: false")) + 4
    assert f"kruispost.yaml:{number}: divisions.234567.revenue[1]: two revenue rules" in complaint
    assert f"the other is on line {number + 1}" in complaint
    assert "remove one of them" in complaint


RULES = """
version: 1
sites:
  acme-test:
    time_zone: Europe/Amsterdam
    routes:
      - {when: {business_entity: be_1, country: [NL, BE]}, division: 1}
      - {when: {currency: USD, customer: business, field: {name: cf_a, value: true}}, division: 1, from: 2026-01-01}
divisions:
  1:
    name: Acme B.V.
    mapping_version: autumn
    journals: {invoices: 70, credit_notes: 071, payments: "90"}
    receivable_account: 1300
    groups: {hardware: {items: [router], families: [boxes]}}
    goods: {families: [boxes]}
    revenue:
      - {when: {group: hardware, country: EU}, account: 8000, from: 2026-01-01, until: 2026-12-31}
      - {when: {field: [{name: cf_a, value: 7}, {name: sku, value: x}]}, account: 8010}
      - {when: {type: adhoc, country: [non-EU, CH]}, account: 8010}
    cost_centers: [{when: {year: 2026, country: NL}, code: NL}]
    cost_units: [{when: {family: boxes}, code: BOX}]
    vat:
      - {when: {country: EU, reason: reverse_charge, supply: goods}, code: 7}
      - {when: {country: EU, reason: reverse_charge, supply: service, customer: business}, code: 8}
"""


@pytest.mark.parametrize("text", [GOOD, RULES])
def test_the_schema_accepts_what_the_program_accepts(tmp_path, text):
    assert check(load(tmp_path, text)) == []
    # As an editor sees it, in which every key is a word.
    jsonschema.validate(json.loads(json.dumps(read_yaml(text))), json_schema())


@pytest.mark.parametrize("wrong", ["country: nl", "country: []", "customer: firm", "field: {name: a, value: 1}", "supply: goods"])
def test_the_schema_refuses_what_the_program_refuses(tmp_path, wrong):
    text = GOOD.replace("{country: NO}", f"{{{wrong}}}")
    with pytest.raises(ConfigurationError):
        load(tmp_path, text)
    revenue = read_yaml(f"{{{wrong}}}")
    schema = {**json_schema(), "$ref": "#/$defs/RevenueWhen"}
    for key in ("properties", "required", "type", "additionalProperties"):
        schema.pop(key, None)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(revenue, schema)
