"""What the controller's texts, debtor accounts, payment conditions and rates make of documents, from the fact to the command."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.engines import database_for
from support.facts import customer, invoice, line
from support.mapper_stage import CONFIGURATION, Stage, payment, posted

from backbone.configuration import Configuration, load_configuration
from backbone.errors import ConfigurationError
from contracts import commands, facts
from mapper.configuration import check, mappings_of


def configured(**settings: Any) -> Configuration:
    data = CONFIGURATION.model_dump(mode="json", by_alias=True)
    data["divisions"]["100001"].update(settings)
    return Configuration.model_validate(data)


@pytest.fixture
async def stage_with(tmp_path: Path):
    """A mapper with some other settings of the division."""
    opened = []

    async def make(**settings: Any) -> Stage:
        context = database_for("sqlite", tmp_path, "mapper")
        opened.append(context)
        return Stage(await context.__aenter__(), configured(**settings))

    yield make
    for context in opened:
        await context.__aexit__(None, None, None)


async def test_templates_are_filled_in_with_the_customer_the_order_and_custom_fields(stage_with):
    stage = await stage_with(
        language="nl",
        texts={
            "entry_description": "{kind} {number}[ voor {customer}][ project {cf_project}][ afdeling {cf_afdeling}]",
            "line_description": "{line}[ {period}]",
            "notes": "[Inkooporder {po_number}][ budget {cf_budget}]",
        },
    )
    served = line(10_000, 2_100, description="Team", date_from=1_790_805_600, date_to=1_793_487_600)
    await stage.hear_with(customer(), cf_project="klant", cf_budget=12.50, cf_leeg=None)
    await stage.hear_with(invoice(lines=[served], po_number="PO-9"), cf_project="Delft  West", cf_vinkje=True)
    [entry] = await stage.entries()
    assert entry.description == "Factuur INV-1 voor Voorbeeld B.V. project Delft West"
    assert entry.lines[0].description == "Team 01-10-2026 t/m 31-10-2026"
    assert entry.lines[0].notes == "Inkooporder PO-9 budget 12.5"
    assert entry.your_ref == "INV-1"


async def test_empty_values_leave_nothing_behind_and_long_ones_are_cut_at_a_word(stage_with):
    stage = await stage_with(
        texts={"entry_description": "{number}  {po_number} {customer}", "notes": "{po_number}", "ellipsis": True}
    )
    await stage.hear(customer(company="Vereniging " + "tot behoud van het goede en het schone " * 2), invoice())
    [entry] = await stage.entries()
    assert entry.description == "INV-1 Vereniging tot behoud van het goede en het schone tot…"
    assert entry.lines[0].notes is None


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (
            {"entry_description": "{nummer}"},
            "divisions.100001.texts.entry_description: {nummer} is no placeholder; did you mean {number}?",
        ),
        ({"entry_description": "{line}"}, "{line} is no placeholder"),
        ({"notes": "[{number}"}, "a square bracket in '[{number}' is not closed"),
        ({"line_description": "{line} {"}, "the brackets in '{line} {' do not fit"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_an_error_before_anything_is_booked(texts, words):
    with pytest.raises(ConfigurationError) as raised:
        mappings_of(configured(texts=texts))
    assert words in raised.value.sentence
    assert check(configured(texts=texts)) == [raised.value.sentence]


def test_the_mistake_in_a_template_is_found_by_file_and_line(tmp_path):
    data = CONFIGURATION.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    path = tmp_path / "kruispost.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False) + "    texts:\n      ellipsis: true\n      notes: '{nummer}'\n")
    with pytest.raises(ConfigurationError) as raised:
        mappings_of(load_configuration(path))
    line = len(path.read_text().splitlines())
    assert raised.value.sentence.startswith(f"{path}:{line}: divisions.100001.texts.notes: {{nummer}} is no placeholder")


async def test_the_debtor_account_and_the_terms_of_a_customer_go_to_the_account_and_its_entries(stage_with):
    stage = await stage_with(
        debtors=[
            {"when": {"country": "EU"}, "account": "1320"},
            {"when": {"country": "NL", "customer": "consumer"}, "account": "1310"},
        ],
        payment_conditions={
            "rules": [
                {"when": {"net_term_days": 30}, "code": "30"},
                {"when": {"net_term_days": 0, "auto_collection": "on"}, "code": "IN"},
                {"when": {"net_term_days": 0, "auto_collection": "on", "method": "sepa_credit"}, "code": "SE"},
            ]
        },
    )
    consumer: dict[str, Any] = {"company": None, "vat_number": None, "first_name": "Jan", "last_name": "Jansen"}
    await stage.hear(
        customer(auto_collection="on", **consumer),
        customer("CUST2", net_term_days=30),
        invoice(),
        invoice("INV-2", customer_id="CUST2", net_term_days=30),
        payment(),
        invoice("INV-3", net_term_days=14),
    )
    accounts = {each.customer_ref.split("/")[1]: each for each in await stage.said(commands.SaveAccount)}
    assert (accounts["CUST1"].receivable_account, accounts["CUST1"].payment_condition) == ("1310", "IN")
    assert (accounts["CUST2"].receivable_account, accounts["CUST2"].payment_condition) == ("1320", "30")
    entries = {entry.your_ref: entry for entry in await stage.entries()}
    assert (entries["INV-1"].payment_condition, entries["INV-2"].payment_condition) == ("IN", "30")
    assert entries["INV-1"].due_date == date(2026, 10, 5)
    assert (entries["INV-1"].receivable_account, entries["INV-2"].receivable_account) == ("1310", "1320")
    [money] = [entry for entry in entries.values() if entry.kind == "general"]
    assert [each.gl_account for each in money.lines if each.is_receivable] == ["1310"]
    [held] = await stage.said(facts.DocumentHeld)
    assert (held.code, held.document.number) == ("no_payment_condition", "INV-3")
    assert "{when: {net_term_days: 14}, code:" in held.action


async def test_without_these_settings_exact_keeps_what_it_has(stage_with):
    stage = await stage_with(payment_conditions={"unmapped": "exact_default"})
    await stage.hear(customer(), invoice())
    [account], [entry] = await stage.said(commands.SaveAccount), await stage.entries()
    assert (account.receivable_account, account.payment_condition, entry.payment_condition) == (None, None, None)


@pytest.mark.parametrize(
    ("rates", "rate", "words"),
    [
        ("chargebee", Decimal("0.9200"), "Chargebee's own"),
        ("exact", None, "Exact's own of the day"),
        (
            {
                "policy": "table",
                "table": [
                    {"currency": "USD", "from": "2026-09-01", "rate": "0.91"},
                    {"currency": "USD", "from": "2026-10-01", "rate": "0.9123"},
                    {"currency": "USD", "from": "2026-11-01", "rate": "0.93"},
                ],
            },
            Decimal("0.9123"),
            "by the table",
        ),
    ],
)
async def test_the_rate_is_the_one_that_the_policy_names(stage_with, rates, rate, words):
    stage = await stage_with(exchange_rates=rates)
    await stage.hear(customer(), invoice(currency_code="USD", exchange_rate=0.92))
    [entry], [planned] = await stage.entries(), await stage.said(facts.DocumentPlanned)
    assert entry.exchange_rate == rate
    assert any(words in sentence for sentence in planned.explanation)


async def test_a_day_before_the_first_rate_of_the_table_is_held(stage_with):
    rates = {"policy": "table", "table": [{"currency": "USD", "from": "2026-11-01", "rate": 0.93}]}
    stage = await stage_with(exchange_rates=rates)
    await stage.hear(customer(), invoice(currency_code="USD", exchange_rate=0.92))
    [held] = await stage.said(facts.DocumentHeld)
    assert held.code == "no_rate_in_table"
    assert "{currency: USD, from: 2026-10-05, rate:" in held.action


async def test_a_journal_may_belong_to_one_currency(stage_with):
    journals = {
        "invoices": "70",
        "credit_notes": "71",
        "payments": "90",
        "currencies": {"USD": {"invoices": "72", "payments": "91"}},
    }
    stage = await stage_with(journals=journals)
    dollars: dict[str, Any] = {"currency_code": "USD", "base_currency_code": "EUR", "exchange_rate": 0.92}
    await stage.hear(customer(), invoice(), invoice("INV-2", **dollars), payment())
    assert {entry.your_ref: entry.journal for entry in await stage.entries()} == {"INV-1": "70", "INV-2": "72", "txn_1": "90"}


async def test_a_new_journal_begins_on_its_day_and_what_is_taken_back_after_it_goes_there(stage_with):
    dated = [{"from": "2026-10-06", "invoices": "75", "credit_notes": "76"}, {"from": "2026-10-06", "payments": "95"}]
    stage = await stage_with(journals={"invoices": "70", "credit_notes": "71", "payments": "90", "dated": dated})
    later = int(datetime(2026, 10, 6, 12, tzinfo=UTC).timestamp())
    await stage.hear(customer(), invoice(), payment(), invoice("INV-2", date=later), payment(id="txn_2", date=later))
    booked = {entry.your_ref: entry.journal for entry in await stage.entries()}
    assert booked == {"INV-1": "70", "txn_1": "90", "INV-2": "75", "txn_2": "95"}
    explained = {each.document.number: " ".join(each.explanation) for each in await stage.said(facts.DocumentPlanned)}
    assert "Journal 75 is that of (journal: invoices, from: 2026-10-06)." in explained["INV-2"]
    assert "Journal" not in explained["INV-1"]
    await stage.hear(*[posted(entry) for entry in await stage.entries()])
    await stage.hear(invoice(version=2, status="voided", voided_at=later))
    assert (await stage.entries())[-1].journal == "76"


async def test_coupons_and_promotional_credits_reach_the_accounts_of_their_own(stage_with):
    rules = [{"when": {"coupon": "TEN"}, "account": "8091"}, {"when": {"type": "promotional_credits"}, "account": "8092"}]
    stage = await stage_with(discounts={"posting": "gross", "rules": rules})
    discounted = line(10_000, 1_785, discount_amount=1_500)
    rows = [
        {
            "line_item_id": discounted["id"],
            "discount_type": "document_level_coupon",
            "entity_id": "TEN",
            "discount_amount": 1_000,
        },
        {"line_item_id": discounted["id"], "discount_type": "promotional_credits", "discount_amount": 500},
    ]
    await stage.hear(customer(), invoice(lines=[discounted], line_item_discounts=rows))
    [entry] = await stage.entries()
    assert [(each.gl_account, each.amount_minor, each.vat_code, each.vat_amount_minor) for each in entry.lines] == [
        ("8000", 10_000, "2", 2_100),
        ("8091", -1_000, "2", -210),
        ("8092", -500, "2", -105),
    ]


async def test_yens_have_no_decimals_from_the_event_to_the_command(stage_with):
    stage = await stage_with(exchange_differences={"account": "4910"})
    yens = invoice(lines=[line(12_345, 2_592)], currency_code="JPY", exchange_rate=0.0061)
    await stage.hear(customer(), yens)
    [entry] = await stage.entries()
    assert (entry.decimals, entry.lines[0].amount_minor, entry.lines[0].vat_amount_minor) == (0, 12_345, 2_592)
    assert entry.exchange_rate == Decimal("0.0061")
    # In euros 75.30 and 15.81, while the debtor pays 91.12: the cent is on its own account, by whole yens.
    assert [(each.gl_account, each.amount_minor) for each in entry.lines[1:]] == [("4910", 1), ("4910", 1), ("4910", -2)]
    [planned] = await stage.said(facts.DocumentPlanned)
    assert any("12,345 on 8000" in sentence for sentence in planned.explanation)


async def test_a_renamed_custom_field_leaves_its_place_empty_and_is_told(stage_with):
    stage = await stage_with(texts={"entry_description": "{kind} {number}[ {cf_project}]"})
    await stage.hear_with(customer())
    await stage.hear_with(invoice(), cf_projekt="Delft")
    [entry] = await stage.entries()
    assert entry.description == "Invoice INV-1"
    [planned] = await stage.said(facts.DocumentPlanned)
    assert any("a value for cf_project: the texts leave it out" in sentence for sentence in planned.explanation)


def test_the_rules_that_contradict_each_other_are_named():
    rates = [{"currency": "USD", "from": "2026-01-01", "rate": 0.9}, {"currency": "USD", "from": "2026-01-01", "rate": 0.91}]
    wrong = {
        "discounts": {"posting": "gross", "rules": [{"account": "8090"}, {"account": "8091"}]},
        "debtors": [
            {"when": {"currency": "USD"}, "account": "1310"},
            {"when": {"country": "NL"}, "account": "1320"},
        ],
        "payment_conditions": {
            "rules": [{"when": {"net_term_days": 30}, "code": "30"}, {"when": {"method": "cash"}, "code": "K"}]
        },
        "exchange_rates": {"policy": "table", "table": rates},
    }
    for key, value in wrong.items():
        with pytest.raises(ConfigurationError, match=rf"divisions\.100001\.{key}.*remove one of them|add a rule for both"):
            mappings_of(configured(**{key: value}))
