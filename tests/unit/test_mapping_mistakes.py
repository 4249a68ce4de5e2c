"""Every kind of mistake in a mapping is told with its file, its line, what is wrong and what to write instead."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from string import Formatter
from typing import Any

import pytest

from backbone.configuration import json_schema, load_configuration
from backbone.configuration_types import UNDECIDED
from backbone.errors import ConfigurationError
from backbone.mistake_sentences import _SENTENCES, SHAPES
from console.mistakes_in_dutch import SENTENCES, in_dutch
from mapper.configuration import mappings_of

SITE = """version: 1
sites:
  acme:
    time_zone: Europe/Amsterdam
"""
DIVISION = """divisions:
  7:
    name: Acme B.V.
    journals: {invoices: 70, credit_notes: 70, payments: 90}
    receivable_account: 1300
"""
# What is written at the end of the section of division 7, the mistaken line of it (from 1), the place and the sentence.
IN_DIVISION: list[tuple[str, int, str, str]] = [
    ("periodpolicy: hold", 1, "periodpolicy", "there is no key periodpolicy; did you mean period_policy?"),
    ("language: nl\nlanguage: en", 2, "", "the key language stands here twice; remove one of them"),
    ("period_policy: drop", 1, "period_policy", "write move, hold or ask, not drop"),
    ("currency: euro", 1, "currency", "write a currency's code in three capitals such as EUR, not euro"),
    ("currency:", 1, "currency", "write one word, code or text here; nothing is written here"),
    ("book_payments: maybe", 1, "book_payments", "write true or false, not maybe"),
    ("book_from: 1-1-2026", 1, "book_from", "write a day of the calendar as 2026-01-31, not 1-1-2026"),
    ("book_from: 2026-02-30", 1, "book_from", "write a day of the calendar as 2026-01-31, not 2026-02-30"),
    (f"mapping_version: {'x' * 41}", 1, "mapping_version", f"this is too long; write at most 40 characters, not {'x' * 40}..."),
    ("rounding: 4900", 1, "rounding", "write keys with values here (known are account, vat_code), not 4900"),
    ("deferral: {schedule: per_day}", 1, "deferral.account", "this is required and missing; add it"),
    ("revenue: 8000", 1, "revenue", "write a list here, as in [...] or in lines that begin with a dash, not 8000"),
    ("revenue:\n  - {when: {country: Norway}, account: 1}", 2, "revenue[0].when.country[0]",
     "write a country's code in two capitals such as NL, or EU or non-EU, not Norway"),
    ("revenue:\n  - {when: {country: []}, account: 1}", 2, "revenue[0].when.country",
     "this list is empty; write at least 1, or leave the key out"),
    ("revenue:\n  - {when: {kountry: NL}, account: 1}", 2, "revenue[0].when.kountry",
     "there is no key kountry; did you mean country?"),
    ("revenue:\n  - {when: {field: {name: project, value: a}}, account: 1}", 2, "revenue[0].when.field[0].name",
     ("write a custom field such as cf_project, sku, accounting_code, or accounting_category1 to accounting_category4,"
     " not project")),
    ("revenue:\n  - {when: {subscription_field: {name: sku, value: a}}, account: 1}", 2,
     "revenue[0].when.subscription_field[0].name", "write a custom field of subscriptions, such as cf_project, not sku"),
    ("revenue:\n  - when:\n      field:\n        - {name: cf_a, value: x}\n        - {name: cf_a, value: y}\n    account: 1", 5,
     "revenue[0].when.field[1]", "the field cf_a is asked for twice; one document has one value, so remove one of them"),
    ("revenue:\n  - {when: {group: hardware}, account: 1}", 2, "revenue[0].when.group",
     "there is no group hardware; there are no groups; add them as groups"),
    ("groups: {g: {items: [i]}}\nrevenue:\n  - {when: {group: g, item: i}, account: 1}", 3, "revenue[0].when.group",
     "a group is a list of item prices, items and families; name the group or one of those, not both"),
    ("groups: {g: {}}", 1, "groups.g", "name at least one product under item_prices, items or families"),
    ("revenue:\n  - account: 1\n    from: 2026-07-01\n    until: 2026-06-30", 4, "revenue[0].until",
     "until 2026-06-30 is before from 2026-07-01; a rule is in force on both days"),
    ("revenue:\n  - {account: ''}", 2, "revenue[0].account", "this is empty; write what is meant"),
    (f"revenue:\n  - {{account: {UNDECIDED}}}", 2, "revenue[0].account",
     f"the {UNDECIDED} stands here still; write what is meant, as nothing is booked by a guess"),
    ("revenue:\n  - {when: {item: a}, account: 1}\n  - {when: {item: a}, account: 2}", 2, "revenue[0]",
     ("two revenue rules are equally specific and can fit one line (item: a) and (item: a) (the other is on line 12);"
     " remove one of them.")),
    ("revenue:\n  - {when: {country: NL}, account: 1}\n  - {when: {currency: EUR}, account: 2}", 2, "revenue[0]",
     ("two revenue rules are equally specific and can fit one line (country: NL) and (currency: EUR) (the other is on line 12);"
     " make one of them more specific, or add a rule for what both cover and narrow these two.")),
    ("revenue:\n  - {account: 1, until: 2026-01-05}\n  - {account: 2, from: 2026-01-03}", 2, "revenue[0]",
     ("two revenue rules with the same conditions are in force on the same days (until: 2026-01-05) and (from: 2026-01-03)"
     " (the other is on line 12); write until: 2026-01-02 in the earlier one.")),
    ("revenue:\n  - {account: 1, until: 2026-01-01}\n  - {account: 2, from: 2026-01-04}", 2, "revenue[0]",
     ("the rule for any line has no version from 2026-01-02 until 2026-01-03 (the other is on line 12);"
     " let the first end until: 2026-01-03, or the second begin from: 2026-01-02.")),
    ("cost_centers:\n  - {code: A}\n  - {code: B}", 2, "cost_centers[0]",
     ("two rules of cost centres are equally specific and can fit one line (any line) and (any line) (the other is on line 12);"
     " remove one of them.")),
    ("cost_units:\n  - {code: A}\n  - {code: B}", 2, "cost_units[0]",
     ("two rules of cost units are equally specific and can fit one line (any line) and (any line) (the other is on line 12);"
     " remove one of them.")),
    ("cost_centers:\n  - {when: {year: 26}, code: A}", 2, "cost_centers[0].when.year", "write 2000 or more, not 26"),
    ("vat:\n  - {when: {country: NL}, code: 1}\n  - {when: {country: EU, rate: 21}, code: 2}", 2, "vat[0]",
     ("of two VAT rules that can fit one line, one is for fewer countries (country: NL), the other asks for more"
     " (country: EU, rate: 21) (the other is on line 12); let the first ask for rate, too.")),
    ("vat:\n  - {when: {rate: 210}, code: 1}", 2, "vat[0].when.rate", "write 100 or less, not 210"),
    ("vat:\n  - {when: {rate: 21%}, code: 1}", 2, "vat[0].when.rate",
     "write a number with a point and without a sign, such as 5.5, not 21%"),
    ("vat:\n  - {when: {supply: goods}, code: 1}", 2, "vat[0].when.supply",
     "name the products that are goods under goods first; else nothing is goods"),
    ("vat_boxes: {2: 1b}\nvat:\n  - {code: 1}", 3, "vat[0].code", "VAT code 1 has no box; add it under vat_boxes"),
    ("control_accounts:\n  - {currency: eur, account: 1}", 2, "control_accounts[0].currency",
     "write a currency's code in three capitals such as EUR, or *, not eur"),
    ("control_accounts:\n  - {account: 1}\n  - {account: 2}", 2, "control_accounts[0]",
     "two control accounts are for gateway_account: *, currency: * (the other is on line 12); remove one of them."),
    ("control_accounts:\n  - {account: 1, until: 2026-07-05}\n  - {account: 2, from: 2026-07-01}", 2, "control_accounts[0]",
     ("two control accounts with the same conditions are in force on the same days (gateway_account: *, currency: *, until:"
      " 2026-07-05) and (gateway_account: *, currency: *, from: 2026-07-01) (the other is on line 12); write until: 2026-06-30 in"
      " the earlier one.")),
    ("control_accounts:\n  - {account: 1, until: 2026-06-29}\n  - {account: 2, from: 2026-07-01}", 2, "control_accounts[0]",
     ("the rule for gateway_account: *, currency: * has no version from 2026-06-30 until 2026-06-30 (the other is on line 12);"
      " let the first end until: 2026-06-30, or the second begin from: 2026-06-30.")),
    ("debtors:\n  - {when: {currancy: EUR}, account: 1}", 2, "debtors[0].when.currancy",
     "there is no key currancy; did you mean currency?"),
    ("debtors:\n  - {when: {country: EU}, account: 1}\n  - {when: {country: EU}, account: 2}", 2, "debtors[0]",
     "two debtor rules can fit one customer (country: EU) and (country: EU) (the other is on line 12); remove one of them."),
    ("debtors:\n  - {when: {country: EU}, account: 1}\n  - {when: {currency: EUR}, account: 2}", 2, "debtors[0]",
     ("two debtor rules can fit one customer (country: EU) and (currency: EUR) (the other is on line 12);"
     " add a rule for both: when: {currency: EUR, country: EU}.")),
    ("discounts:\n  posting: gross\n  rules:\n    - {when: {coupon: a}, account: 1}\n    - {when: {coupon: a}, account: 2}", 4,
     "discounts.rules[0]",
     "two discount rules have the same conditions (coupon: a) (the other is on line 14); remove one of them."),
    ("discounts:\n  posting: gross\n  rules:\n    - {when: {coupon_code: A, coupon_set: s}, account: 1}", 4,
     "discounts.rules[0].when",
     "a coupon_code belongs to one coupon set and one coupon: leave coupon and coupon_set out"),
    (("discounts:\n  posting: gross\n  rules:\n    - {when: {coupon: a}, account: 1, until: 2026-07-05}\n"
      "    - {when: {coupon: a}, account: 2, from: 2026-07-01}"), 4, "discounts.rules[0]",
     ("two discount rules with the same conditions are in force on the same days (coupon: a, until: 2026-07-05) and"
      " (coupon: a, from: 2026-07-01) (the other is on line 14); write until: 2026-06-30 in the earlier one.")),
    (("discounts:\n  posting: gross\n  rules:\n    - {account: 2, from: 2026-07-01}\n    - {account: 1, until: 2026-06-20}"), 4,
     "discounts.rules[0]",
     ("the rule for any discount has no version from 2026-06-21 until 2026-06-30 (the other is on line 14);"
      " let the first end until: 2026-06-30, or the second begin from: 2026-06-21.")),
    ("vat:\n  - {when: {country: [NL, UK]}, code: 1}", 2, "vat[0].when.country[1]",
     "write GB, the ISO code: documents from UK are read as that"),
    ("discounts:\n  posting: gross\n  rules:\n    - {when: {kupon: a}, account: 1}", 4, "discounts.rules[0].when.kupon",
     "there is no key kupon; did you mean coupon?"),
    ("discounts:\n  rules:\n    - {account: 1}", 2, "discounts.rules",
     "the rules are for discounts that are shown: write posting: gross, or remove the rules"),
    ("payment_conditions:\n  rules:\n    - {when: {net_term_days: 30}, code: 1}\n    - {when: {auto_collection: on}, code: 2}", 3,
     "payment_conditions.rules[0]",
     ("two payment conditions can fit one invoice (net_term_days: 30) and (auto_collection: on) (the other is on line 13);"
     " add a rule for both: when: {net_term_days: 30, auto_collection: on}.")),
    (("payment_conditions:\n  rules:\n    - {when: {net_term_days: 30}, code: 1}\n"
      "    - {when: {net_term_days: 30}, code: 2, from: 2026-07-01}"), 3, "payment_conditions.rules[0]",
     ("two rules of payment conditions with the same conditions are in force on the same days (net_term_days: 30) and"
      " (net_term_days: 30, from: 2026-07-01) (the other is on line 13); write until: 2026-06-30 in the earlier one.")),
    (("payment_conditions:\n  rules:\n    - {when: {net_term_days: 30}, code: 1}\n"
      "    - {when: {net_term_days: 30}, code: 1}"), 3, "payment_conditions.rules[0]",
     ("two payment conditions can fit one invoice (net_term_days: 30) and (net_term_days: 30) (the other is on line 13);"
      " remove one of them.")),
    ("payment_conditions:\n  rules:\n    - {when: {net_term_days: dertig}, code: 1}", 3,
     "payment_conditions.rules[0].when.net_term_days", "write a whole number, not dertig"),
    (("exchange_rates:\n  policy: table\n  table:\n    - {currency: USD, from: 2026-01-01, rate: 1}\n"
     "    - {currency: USD, from: 2026-01-01, rate: 2}"), 4, "exchange_rates.table[0]",
     "two exchange rates of USD begin on 2026-01-01 (the other is on line 14); remove one of them."),
    ("exchange_rates:\n  policy: table\n  table:\n    - {currency: USD, from: 2026-01-01, rate: 0}", 4,
     "exchange_rates.table[0].rate", "write more than 0, not 0"),
    ("exchange_rates: {policy: table}", 1, "exchange_rates",
     "a table of rates goes with policy: table, and the other policies have none"),
    ("texts:\n  entry_description: '{nummer}'", 2, "texts.entry_description",
     "{nummer} is no placeholder; did you mean {number}?"),
    ("texts:\n  notes: '[{number}'", 2, "texts.notes",
     "a square bracket in '[{number}' is not closed; write ] after what is left out when empty"),
    ("mode: ledger", 1, "mode", ("mode ledger needs journals.ledger, a general journal of Exact that allows VAT; add it, or use"
     " mode: entry")),
    ("write_offs: {account: 4700}", 1, "write_offs", "write_offs needs a general journal of Exact; add journals.write_offs"),
    ("settlements: {payout_account: 1, fee_account: 2}", 1, "settlements",
     "settlements needs a general journal of Exact; add journals.settlements"),
    ("settlements: {payout_account: 1, fee_account: 2, fee_vat: {code: 1, rate: '21,0'}}", 1, "settlements.fee_vat.rate",
     "write a percentage with a point and without a sign, such as 21 or 5.5, not 21,0"),
    ("settlements: {payout_account: 1, fee_account: 2, fee_vat: {treatment: domestic}}", 1, "settlements.fee_vat",
     "fee_vat: {treatment: domestic} needs a VAT code for purchases; add code"),
    ("zero_invoices: book", 1, "zero_invoices", ("zero_invoices: book shows revenue and discount, so it needs discounts:"
     " {posting: gross, rules: [...]}")),
    ("periods:\n  answers:\n    - {document: A, into: 2026-03}\n    - {document: A, into: 2026-04}", 4, "periods.answers[1]",
     "A is answered twice; keep one of the answers"),
    ("periods:\n  answers:\n    - {period: 2026-03, into: 2026-02}", 3, "periods.answers[0]",
     "nothing can be reported in 2026-02, before its own period 2026-03; name a later one"),
    ("periods:\n  answers:\n    - {document: A, into: maart}", 3, "periods.answers[0].into",
     "write a year and a period, such as 2026-03, not maart"),
    ("customers: {links: {a: x}}", 1, "customers.links.a", "write the code of an account in Exact, in digits, or new, not x"),
    ("customers: {account_fields: {fax: cf_a}}", 1, "customers.account_fields.fax",
     "there is no key fax; known are remarks, trade_name, website, code_at_supplier"),
    ("customers: {chamber_of_commerce: kvk}", 1, "customers.chamber_of_commerce",
     "write the name of a custom field in Chargebee, such as cf_kvk, not kvk"),
    ("customers:\n  chargebee_id: code_at_supplier\n  account_fields:\n    code_at_supplier: cf_a", 4,
     "customers.account_fields.code_at_supplier",
     "code_at_supplier holds Chargebee's customer id (chargebee_id); give account_fields another field"),
    ("bank_matching: {tolerances: {euro: 5}}", 1, "bank_matching.tolerances.euro",
     "for the key write a currency's code in three capitals such as EUR, not euro"),
    ("bank_matching: {entry_link: 'https://x/{id}'}", 1, "bank_matching.entry_link",
     "{id} is not known of an entry; use {division}, {entry_id}, {entry_number}"),
]  # fmt: skip


def dated(*items: str) -> str:
    """A file whose journals have others for a time, one a line from the ninth on."""
    return SITE + DIVISION.replace(
        "payments: 90}", "payments: 90, dated: [\n" + ",\n".join(f"      {{{each}}}" for each in items) + "]}"
    )


# The whole file, the mistaken line of it, and all that stands behind file and line.
OF_FILES: list[tuple[str, int, str]] = [
    ("", 1, "write keys with values here (known are divisions, sites, version); nothing is written here"),
    ("- 1", 1, "write keys with values here (known are divisions, sites, version), not a list"),
    ("a: [1\n", 2, ("this is not YAML: expected ',' or ']', but got '<stream end>' (column 1); look there and just before for a"
     " bracket, quote, comma or colon that is missing or too many.")),
    ("a:\n\t- b", 2, ("this is not YAML: found character '\\t' that cannot start any token (column 1); indent with blanks instead"
     " of tabs.")),
    ("a: *x", 1, "this is not YAML: found undefined alias 'x' (column 4); write quotes around a text that begins with *."),
    (SITE.replace("Amsterdam", "Mars") + DIVISION, 4, ("sites.acme.time_zone: 'Europe/Mars' is not a time zone; use an IANA name"
     " such as Europe/Amsterdam")),
    (f"{SITE}    division: 9\n{DIVISION}", 5,
     ("sites.acme.division: site acme books into division 9, which is not under divisions;"
     " add it there")),
    (f"{SITE}    division: negen\n{DIVISION}", 5, "sites.acme.division: write a whole number, not negen"),
    (f"{SITE}    business_entities: [a]\n{DIVISION}", 5, ("sites.acme.business_entities: write keys with values here, as in"
     " {key: value}, not a list")),
    ((f"{SITE}    routes:\n      - {{when: {{country: NL}}, division: 7}}\n      - {{when: {{currency: EUR}}, division: 7}}\n"
     f"{DIVISION}"), 6, ("sites.acme.routes[0]: two routes are equally specific and can fit one line (country: NL) and"
     " (currency: EUR) (the other is on line 7); make one of them more specific, or add a rule for what both cover and narrow"
     " these two.")),
    (dated("invoices: 75"), 9, ("divisions.7.journals.dated[0]: write from, until or both; journals for all days stand under"
     " journals itself")),
    (dated("from: 2027-01-01"), 9, "divisions.7.journals.dated[0]: name at least one journal, such as invoices"),
    (dated("from: 2027-01-01, currency: USD, invoices: 75, ledger: 91"), 9, ("divisions.7.journals.dated[0].ledger: a currency"
     " has no journal of its own for this; write it in another item, without currency")),
    (dated("from: 2027-01-01, invoice: 75"), 9,
     "divisions.7.journals.dated[0].invoice: there is no key invoice; did you mean invoices?"),
    (dated("from: 2027-01-01, payments: 92", "from: 2027-01-01, payments: 93, invoices: 75", "from: 2028-01-01, invoices: 80"), 9,
     ("divisions.7.journals.dated[0]: two journals are for journal: payments, from: 2027-01-01 (the other is on line 10); remove"
      " one of them.\n10: divisions.7.journals.dated[1]: two journals with the same conditions are in force on the same days"
      " (journal: invoices, from: 2027-01-01) and (journal: invoices, from: 2028-01-01) (the other is on line 11); write until:"
      " 2027-12-31 in the earlier one.")),
    (dated("until: 2026-12-30, currency: USD, payments: 92", "from: 2027-01-01, currency: USD, payments: 93"), 9,
     ("divisions.7.journals.dated[0]: the rule for journal: payments, currency: USD has no version from 2026-12-31 until"
      " 2026-12-31 (the other is on line 10); let the first end until: 2026-12-31, or the second begin from: 2026-12-31.")),
    (SITE + DIVISION.replace("  7:", "  acme:"), 6, "divisions.acme: for the key write a whole number, not acme"),
    (SITE.replace("version: 1", "version: 2") + DIVISION, 1, "version: write 1, not 2"),
]  # fmt: skip


def told(tmp_path, text: str) -> list[str]:
    """What is said of a file, each mistake with its line; starting with it must be impossible."""
    path = tmp_path / "kruispost.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        mappings_of(load_configuration(path))
    lines = caught.value.sentence.splitlines()
    return [line.removeprefix(f"{path}:") for line in lines if not line.startswith("Correct the file;")]


@pytest.mark.parametrize(("written", "line", "place", "sentence"), IN_DIVISION, ids=[each[3][:60] for each in IN_DIVISION])
def test_a_mistake_in_a_division_says_where_it_is_and_what_to_write(tmp_path, written, line, place, sentence):
    indented = "".join(f"    {each}\n" for each in written.splitlines())
    at = (SITE + DIVISION).count("\n") + line
    where = f"divisions.7.{place}: " if place else ""
    assert told(tmp_path, SITE + DIVISION + indented) == [f"{at}: {where}{sentence}"]


@pytest.mark.parametrize(("text", "line", "sentence"), OF_FILES, ids=[each[2][:60] for each in OF_FILES])
def test_a_mistake_in_the_file_says_where_it_is_and_what_to_write(tmp_path, text, line, sentence):
    assert told(tmp_path, text) == f"{line}: {sentence}".split("\n")


DUTCH = re.compile(r"\b(de|er|dit|deze|is geen|zijn|schrijf|noem|voeg|verwijder|twee|een|laat|staat|heeft|hier)\b")
ENGLISH = re.compile(r"\b(the|this|write|there|two|remove|add|other|which|needs|are|not|and)\b")


@pytest.mark.parametrize("sentence", [each[-1] for each in (*IN_DIVISION, *OF_FILES)])
def test_a_mistake_is_told_in_dutch_too_with_the_same_place(sentence: str):
    dutch = in_dutch(f"/etc/kruispost.yaml:12: divisions.7.revenue[0]: {sentence}\nCorrect the file")
    place, _, rest = dutch.partition("]: ")
    assert place == "/etc/kruispost.yaml:12: divisions.7.revenue[0"
    assert DUTCH.search(rest), rest
    shown = re.sub(r"this is not YAML: .* \(kolom|geen YAML: .* \(kolom", "", rest.removesuffix("\nCorrect the file"))
    assert not ENGLISH.search(re.sub(r"'.*'|\{.*\}", "", shown)), shown
    numbers = sorted(re.findall(r"\d[\d-]*", sentence))
    assert sorted(re.findall(r"\d[\d-]*", rest)) == numbers, "the same figures"


def holes(template: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(template) if name]


def test_every_word_of_the_readers_own_lists_has_its_dutch():
    for english in (*_SENTENCES.values(), *(f"write {shape}" for shape in SHAPES.values())):
        told = english.format_map(defaultdict(lambda: "7"))
        assert in_dutch(told) != told
    for english, dutch in SENTENCES:
        assert {*holes(english)} == {*holes(dutch)}


def test_every_pattern_that_the_file_must_fit_is_said_in_words():
    assert set(_patterns(json_schema())) == SHAPES.keys()


def _patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for each in schema.values():
            yield from _patterns(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _patterns(each)
