"""The sections for discounts, texts, debtors, terms and rates: what the file may say, and which combinations are refused."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import get_args

import jsonschema
import pytest
from unit.test_backbone_configuration import GOOD, load

from backbone.configuration import json_schema
from backbone.errors import ConfigurationError
from backbone.posting_configuration import UnconfirmedCurrency
from bookkeeping.money import UNCONFIRMED_CURRENCIES

LAST = "    book_payments: false\n"
SETTINGS = """
    language: nl
    texts: {entry_description: "{kind} {number}", ellipsis: true}
    discounts:
      posting: gross
      rules: [{when: {coupon: 0010}, account: 8090}, {when: {type: promotional_credits}, account: 8092}]
    zero_invoices: book
    debtors: [{when: {country: NO, customer: consumer}, account: 1310}]
    payment_conditions: {unmapped: exact_default, rules: [{when: {net_term_days: 30, auto_collection: on}, code: 30}]}
    exchange_rates: {policy: table, table: [{currency: USD, from: 2026-01-01, rate: 0.9175}]}
"""


def with_settings(text: str) -> str:
    return GOOD.replace(LAST, LAST + text)


def test_every_section_is_read_as_it_is_written(tmp_path):
    division = load(tmp_path, with_settings(SETTINGS)).divisions[234567]
    assert [rule.when.coupon for rule in division.discounts.rules] == ["0010", None]
    assert division.debtors[0].when.country == "NO"
    assert division.payment_conditions is not None
    assert division.payment_conditions.rules[0].when.auto_collection == "on"
    [rate] = division.exchange_rates.table
    assert (rate.first, rate.rate) == (date(2026, 1, 1), Decimal("0.9175"))


def test_one_word_is_enough_for_a_policy_of_rates(tmp_path):
    division = load(tmp_path, with_settings("    exchange_rates: exact\n")).divisions[234567]
    assert division.exchange_rates.policy == "exact"


@pytest.mark.parametrize(
    "rates", ["exact", {"policy": "table", "table": [{"currency": "USD", "from": "2026-01-01", "rate": 0.9}]}]
)
def test_editors_know_both_ways_to_write_a_policy(rates):
    schema = {"$ref": "#/$defs/ExchangeRates", "$defs": json_schema()["$defs"]}
    jsonschema.validate(rates, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate("daily", schema)


def test_the_currencies_that_may_be_confirmed_are_those_that_are_held():
    assert set(get_args(UnconfirmedCurrency)) == UNCONFIRMED_CURRENCIES


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("    zero_invoices: book\n", "it needs discounts: {posting: gross"),
        ("    discounts: {rules: [{account: 8090}]}\n", "write posting: gross, or remove the rules"),
        ("    exchange_rates: {whole_units: [USD]}\n", "VUV or XPF, not USD"),
        ("    exchange_rates: {policy: table}\n", "a table of rates goes with policy: table"),
        (
            "    exchange_rates: {table: [{currency: USD, from: 2026-01-01, rate: 1}]}\n",
            "a table of rates goes with policy: table",
        ),
        (
            "    exchange_rates: {policy: table, table: [{currency: USD, from: 2026-01-01, rate: 0}]}\n",
            "write more than 0, not 0",
        ),
        ("    discounts: {posting: gross, rules: [{when: {type: coupon}, account: 8090}]}\n", "item_level_coupon"),
        ("    texts: {reference: '{number}'}\n", "texts.reference"),
        ("    debtors: [{account: 1310}]\n", "debtors[0].when"),
    ],
)
def test_what_contradicts_itself_is_refused_with_the_remedy(tmp_path, text, words):
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, with_settings(text))
    assert words in raised.value.sentence
