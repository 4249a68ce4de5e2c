"""The small rules behind discounts, texts, debtor accounts, payment conditions, journals and rates."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.golden import chart

from bookkeeping.debtors import Debtor, DebtorRule, DebtorRules, Terms, TermsRule, TermsRules, terms_troubles
from bookkeeping.discounts import DiscountRule, DiscountRules, without_tax
from bookkeeping.documents import DocumentLine, Invoice, LineDiscount, LineTax
from bookkeeping.entries import make_entry
from bookkeeping.exchange import DatedRate, ExchangeRates
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.journals import JournalRule, Journals
from bookkeeping.mapping import ControlAccount, control_troubles
from bookkeeping.texts import OF_ENTRIES, Template, cut
from bookkeeping.vat import AmbiguousRulesError
from mapper.custom_fields import custom_fields_of


@pytest.mark.parametrize(
    ("coupon", "kind", "account"),
    [
        ("TEN", "promotional_credits", "both"),
        ("TEN", "item_level_coupon", "coupon"),
        ("OTHER", "promotional_credits", "type"),
        ("OTHER", "item_level_coupon", "level"),
        ("OTHER", "prorated_credits", None),
        (None, None, None),
    ],
)
def test_a_coupons_rule_goes_before_a_types_and_both_before_one(coupon, kind, account):
    rules = DiscountRules(
        [
            DiscountRule(account="type", type="promotional_credits"),
            DiscountRule(account="level", type="item_level_coupon"),
            DiscountRule(account="coupon", coupon="TEN"),
            DiscountRule(account="both", coupon="TEN", type="promotional_credits"),
        ]
    )
    found = rules.find(LineDiscount(amount_minor=1, type=kind, coupon=coupon), date(2026, 3, 3))
    assert (found.account if isinstance(found, DiscountRule) else found) == account


@pytest.mark.parametrize(
    ("day", "account"),
    [
        (date(2025, 12, 31), "any"),
        (date(2026, 1, 1), "first"),
        (date(2026, 6, 30), "first"),
        (date(2026, 7, 1), "second"),
        (date(2027, 1, 1), "any"),
    ],
)
def test_a_discount_goes_by_the_version_of_its_rule_that_is_in_force_on_the_day_of_the_document(day, account):
    rules = DiscountRules(
        [
            DiscountRule(account="any"),
            DiscountRule(account="second", coupon="TEN", first=date(2026, 7, 1), last=date(2026, 12, 31)),
            DiscountRule(account="first", coupon="TEN", first=date(2026, 1, 1), last=date(2026, 6, 30)),
        ]
    )
    found = rules.find(LineDiscount(amount_minor=1, coupon="TEN"), day)
    assert isinstance(found, DiscountRule)
    assert found.account == account


@given(st.integers(min_value=-(10**7), max_value=10**7), st.sampled_from([Decimal(0), Decimal(9), Decimal("5.5"), Decimal(21)]))
def test_a_discount_with_tax_in_it_falls_apart_without_a_cent_lost(discount: int, rate: Decimal):
    net, tax = without_tax(discount, rate, inclusive=True)
    assert net + tax == discount
    assert abs(net * (100 + rate) - discount * 100) <= (100 + rate) / 2
    assert without_tax(-discount, rate, inclusive=True) == (-net, -tax)


@pytest.mark.parametrize(
    ("text", "length", "ellipsis", "expected"),
    [
        ("kort", 4, True, "kort"),
        ("een twee drie", 8, False, "een twee"),
        ("een twee drie", 10, False, "een twee"),
        ("een twee drie", 10, True, "een twee…"),
        ("abcdefghijklmnop", 8, False, "abcdefgh"),
        ("abcdefghijklmnop", 8, True, "abcdefg…"),
        ("ab cdefghijklmnop", 8, False, "ab cdefg"),
    ],
)
def test_a_long_text_is_cut_at_the_end_of_a_word_if_that_leaves_half_of_it(text, length, ellipsis, expected):
    assert cut(text, length, ellipsis=ellipsis) == expected


@given(st.text(max_size=200), st.integers(min_value=2, max_value=60), st.booleans())
def test_a_cut_text_is_never_longer_than_its_room(text: str, length: int, ellipsis: bool):  # noqa: FBT001 - hypothesis passes it on
    assert len(cut(text, length, ellipsis=ellipsis)) <= length


def test_brackets_vanish_with_their_placeholder_and_other_text_stays():
    template = Template.parse("[PO {po_number}, ]{number}[ ({customer}/{cf_team})] - abonnement", OF_ENTRIES)
    assert template.render({"number": "INV-1"}) == "INV-1 - abonnement"
    assert template.render({"number": "INV-1", "po_number": "7", "customer": "X"}) == "PO 7, INV-1 - abonnement"
    assert template.render({"number": "INV-1", "customer": "X", "cf_team": "A"}) == "INV-1 (X/A) - abonnement"


def test_a_value_with_brackets_in_it_is_no_template():
    assert Template.parse("{number}", OF_ENTRIES).render({"number": "[{x}]"}) == "[{x}]"


@pytest.mark.parametrize(
    ("debtor", "account"),
    [
        (Debtor(currency="USD", country="NL", kind="business"), "dollars in the Union"),
        (Debtor(currency="USD", country="US", kind="business"), "dollars"),
        (Debtor(currency="USD", country="DE", kind="business"), "dollars in Germany"),
        (Debtor(currency="EUR", country="DE", kind="business"), "Germany"),
        (Debtor(currency="EUR", country="FR", kind="consumer"), "Union"),
        (Debtor(currency="EUR", country=None, kind="consumer"), "1300"),
    ],
)
def test_the_most_specific_debtor_rule_wins_and_the_division_has_the_rest(debtor, account):
    rules = DebtorRules(
        "1300",
        [
            DebtorRule(account="Union", country="EU"),
            DebtorRule(account="Germany", country="DE"),
            DebtorRule(account="dollars", currency="USD"),
            DebtorRule(account="dollars in Germany", currency="USD", country="DE"),
            DebtorRule(account="dollars in the Union", currency="USD", country="EU"),
        ],
    )
    assert rules.account(debtor) == account


def test_two_debtor_rules_that_fit_one_customer_are_refused_unless_a_third_decides():
    pair = [DebtorRule(account="a", currency="USD"), DebtorRule(account="b", customer="consumer")]
    with pytest.raises(AmbiguousRulesError, match="currency: USD"):
        DebtorRules("1300", pair)
    rules = DebtorRules("1300", [*pair, DebtorRule(account="c", currency="USD", customer="consumer")])
    assert rules.account(Debtor(currency="USD", kind="consumer")) == "c"


def test_a_country_in_a_group_of_countries_is_seen_as_a_tie_too():
    pair = [DebtorRule(account="a", currency="USD", country="EU"), DebtorRule(account="b", customer="business", country="DE")]
    with pytest.raises(AmbiguousRulesError, match="country: DE"):
        DebtorRules("1300", pair)
    DebtorRules("1300", [*pair, DebtorRule(account="c", currency="USD", country="DE", customer="business")])
    DebtorRules("1300", [pair[0], DebtorRule(account="b", customer="business", country="US")])


def test_terms_are_found_by_days_collection_and_method():
    rules = TermsRules(
        [
            TermsRule(code="00", net_term_days=0),
            TermsRule(code="IN", net_term_days=0, auto_collection=True),
            TermsRule(code="K", net_term_days=0, auto_collection=False, method="cash"),
        ],
        hold_unmapped=True,
    )
    asked = [
        Terms(net_term_days=0),
        Terms(net_term_days=0, auto_collection=True, method="cash"),
        Terms(net_term_days=0, auto_collection=False, method="cash"),
        Terms(net_term_days=30, auto_collection=True),
    ]
    assert [found.code if (found := rules.find(terms, date(2026, 3, 3))) else None for terms in asked] == ["00", "IN", "K", None]


TERMS_BY_DAY = [
    TermsRule(code="30", net_term_days=30, last=date(2026, 6, 30)),
    TermsRule(code="31", net_term_days=30, first=date(2026, 7, 1)),
    TermsRule(code="IN", auto_collection=True, first=date(2026, 7, 1), last=date(2026, 12, 31)),
]


def test_the_version_of_a_payment_condition_that_is_in_force_on_the_day_decides():
    rules = TermsRules(TERMS_BY_DAY[:2], hold_unmapped=True)
    days = [date(2026, 6, 30), date(2026, 7, 1)]
    assert [found.code if (found := rules.find(Terms(net_term_days=30), day)) else None for day in days] == ["30", "31"]


@pytest.mark.parametrize(
    ("third", "is_told"),
    [
        ([], True),
        ([(None, None)], False),
        ([(date(2026, 7, 1), date(2026, 9, 30))], True),
        ([(date(2026, 7, 1), date(2026, 9, 30)), (date(2026, 10, 1), None)], False),
        ([(date(2026, 8, 1), None)], True),
    ],
)
def test_payment_conditions_that_tie_need_a_rule_for_both_on_every_day_on_which_both_are_in_force(third, is_told):
    both = [TermsRule(code="B", net_term_days=30, auto_collection=True, first=first, last=last) for first, last in third]
    found = terms_troubles([*TERMS_BY_DAY, *both])
    assert [each.rules for each in found] == ([(1, 2)] if is_told else [])
    apart = [replace(TERMS_BY_DAY[2], last=date(2026, 6, 30), first=None), TERMS_BY_DAY[1]]
    assert terms_troubles(apart) == []


@pytest.mark.parametrize(
    ("gateway", "currency", "day", "account"),
    [
        ("gw_1", "EUR", date(2026, 6, 30), "1290"),
        ("gw_1", "EUR", date(2026, 7, 1), "1291"),
        ("gw_1", "USD", date(2026, 7, 1), "1299"),
        ("gw_2", "EUR", date(2025, 12, 31), "1299"),
        ("gw_2", "EUR", date(2026, 7, 1), "1292"),
        ("gw_2", "USD", date(2026, 1, 1), "1299"),
    ],
)
def test_a_control_account_goes_by_the_day_of_the_movement_and_then_the_one_named_best(gateway, currency, day, account):
    controls = (
        ControlAccount(gateway_account="*", currency="*", account="1299"),
        ControlAccount(gateway_account="gw_1", currency="EUR", account="1291", first=date(2026, 7, 1)),
        ControlAccount(gateway_account="gw_1", currency="EUR", account="1290", last=date(2026, 6, 30)),
        ControlAccount(gateway_account="gw_2", currency="EUR", account="1292", first=date(2026, 1, 1)),
    )
    assert control_troubles(controls) == []
    mapping = replace(chart().mapping, control_accounts=controls)
    assert mapping.control_account(gateway, currency, day) == account
    between = {mapping.control_account(gateway, currency, date(2026, month, 1)) for month in range(1, 13)}
    assert mapping.control_accounts_between(gateway, currency, date(2026, 1, 1), date(2026, 12, 1)) == between


NEW_YEAR = Journals(
    [
        JournalRule(purpose="invoices", code="70"),
        JournalRule(purpose="payments", code="90"),
        JournalRule(purpose="write_offs", code="90"),
        JournalRule(purpose="ledger", code="91"),
        JournalRule(purpose="invoices", code="72", currency="USD"),
        JournalRule(purpose="invoices", code="75", first=date(2027, 1, 1)),
        JournalRule(purpose="payments", code="95", first=date(2027, 1, 1), last=date(2027, 12, 31)),
        JournalRule(purpose="write_offs", code="95", first=date(2028, 1, 1)),
        JournalRule(purpose="invoices", code="69", currency="USD", last=date(2025, 12, 31)),
    ]
)


@pytest.mark.parametrize(
    ("purpose", "currency", "day", "code"),
    [
        ("invoices", "EUR", date(2026, 12, 31), "70"),
        ("invoices", "EUR", date(2027, 1, 1), "75"),
        ("invoices", "USD", date(2027, 1, 1), "72"),
        ("invoices", "USD", date(2025, 12, 31), "69"),
        ("payments", "USD", date(2027, 12, 31), "95"),
        ("payments", "USD", date(2028, 1, 1), "90"),
    ],
)
def test_a_journal_goes_by_currency_and_then_by_the_day(purpose, currency, day, code):
    assert NEW_YEAR.code(purpose, currency, day) == code
    with pytest.raises(LookupError):
        NEW_YEAR.code("settlements", currency, day)


@pytest.mark.parametrize(
    ("journal", "booked", "day", "mirrored"),
    [
        ("90", date(2026, 12, 31), date(2026, 12, 31), "90"),
        ("90", date(2026, 12, 31), date(2027, 1, 1), "90"),  # which write-offs still go to
        ("90", date(2026, 12, 31), date(2028, 1, 1), "90"),
        ("95", date(2027, 12, 31), date(2028, 1, 1), "95"),
        ("95", date(2027, 12, 31), date(2029, 1, 1), "95"),
        ("91", date(2026, 12, 31), date(2027, 1, 1), "91"),
        ("20", date(2026, 12, 31), date(2027, 1, 1), "20"),  # none of ours any more
    ],
)
def test_a_general_entry_is_taken_back_in_its_journal_while_that_is_in_use(journal, booked, day, mirrored):
    assert NEW_YEAR.of_mirror(general(journal, booked), day) == mirrored


def test_a_general_entry_is_taken_back_in_the_journal_that_followed_its_own():
    journals = Journals(
        [
            JournalRule(purpose="payments", code="90"),
            JournalRule(purpose="ledger", code="91"),
            JournalRule(purpose="payments", code="95", first=date(2027, 1, 1)),
            JournalRule(purpose="ledger", code="96", first=date(2027, 1, 1)),
        ]
    )
    taken_back = [journals.of_mirror(general(code, date(2026, 12, 31)), date(2027, 1, 1)) for code in ("90", "91")]
    assert taken_back == ["95", "96"]


def general(journal: str, day: date) -> Entry:
    lines = tuple(Line(role=Role.CONTROL, account="1290", amount_minor=amount) for amount in (100, -100))
    return Entry(kind="general", journal=journal, reference="txn_1", entry_date=day, currency="EUR", lines=lines)


def test_a_rate_holds_from_its_day_until_the_next_one():
    rates = ExchangeRates(
        "table",
        [
            DatedRate(currency="USD", first=date(2026, 3, 1), rate=Decimal("0.92")),
            DatedRate(currency="USD", first=date(2026, 1, 1), rate=Decimal("0.90")),
            DatedRate(currency="GBP", first=date(2026, 1, 1), rate=Decimal("1.15")),
        ],
    )
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 2, 28), date(2026, 3, 1), date(2027, 1, 1)]
    assert [rates.in_table("USD", day) for day in days] == [
        None,
        Decimal("0.90"),
        Decimal("0.90"),
        Decimal("0.92"),
        Decimal("0.92"),
    ]
    assert rates.in_table("CHF", days[-1]) is None


def test_custom_fields_come_in_words_and_only_from_the_resource_itself():
    data = (
        b'{"site":"s","resource":{"id":"INV-1","cf_text":" a  b ","cf_number":12.50,"cf_big":12345678901234567890,'
        b'"cf_yes":true,"cf_no":false,"cf_null":null,"cf_list":["x"],"line_items":[{"cf_line":"no"}],"acf_x":"no"}}'
    )
    assert custom_fields_of(data) == {
        "cf_text": "a b",
        "cf_number": "12.50",
        "cf_big": "12345678901234567890",
        "cf_yes": "yes",
        "cf_no": "no",
    }
    assert custom_fields_of(b'{"resource":{"id":"INV-1"}}') == {}


def test_a_discount_on_a_line_of_two_rates_is_shown_under_both_codes():
    """A bundle with a book in it: one line, two rates; each code keeps its base and VAT."""
    taxes = (
        LineTax(rate=Decimal(21), amount_minor=1_260, taxable_minor=6_000, country="NL"),
        LineTax(rate=Decimal(9), amount_minor=270, taxable_minor=3_000, country="NL"),
    )
    line = DocumentLine(
        description="Bundle",
        entity_type="plan_item_price",
        product_id="team-EUR",
        amount_minor=10_000,
        discounts=(LineDiscount(amount_minor=1_000, type="document_level_discount"),),
        taxes=taxes,
    )
    invoice = Invoice(
        number="INV-1",
        customer_id="CUST1",
        document_date=date(2026, 3, 3),
        currency="EUR",
        total_minor=10_530,
        tax_minor=1_530,
        lines=(line,),
        customer_country="NL",
    )
    mapping = replace(chart().mapping, discounts=DiscountRules([DiscountRule(account="8090")]))
    made = make_entry(invoice, mapping, chart().products)
    assert isinstance(made, Entry)
    assert [(each.account, each.amount_minor, each.vat_code, each.vat_minor) for each in made.lines] == [
        ("1300", 10_530, None, 0),
        ("8000", -6_667, "2", -1_400),
        ("8000", -3_333, "1", -300),
        ("8090", 667, "2", 140),
        ("8090", 333, "1", 30),
    ]
