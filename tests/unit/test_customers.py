"""What a controller may write down about customers, and the example in the bookkeeping's page."""

from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from backbone.customer_configuration import CustomersConfiguration
from backbone.mapping_configuration import DivisionConfiguration
from backbone.yaml_reading import read_yaml
from bookkeeping.customers import CONTACT_LENGTHS, CustomerRules, chamber_of_commerce_of, usable_contact
from bookkeeping.telling import CONTACT_WORDS
from contracts import chargebee
from mapper.configuration import mapping_of
from mapper.issue import remarks_on, save_account

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bookkeeping.md"


def test_the_example_in_the_page_can_be_used():
    example = PAGE.read_text().partition("```yaml\ncustomers:")[2].partition("```")[0]
    read = CustomersConfiguration.model_validate(read_yaml("customers:" + example)["customers"])
    assert read.links["acme/cus_2"] == "new"


@pytest.mark.parametrize(
    ("section", "place"),
    [
        ({"match": ["name"]}, "match"),
        ({"links": {"CUST1": "ACME"}}, "links"),
        ({"chamber_of_commerce": "kvk"}, "chamber_of_commerce"),
        ({"account_fields": {"search_code": "cf_x"}}, "account_fields"),
        ({"account_fields": {"code_at_supplier": "cf_x"}, "chargebee_id": "code_at_supplier"}, "chargebee_id"),
        ({"custom_fields": {"Segment": "segment"}}, "custom_fields"),
        ({"custom_fields": {" ": "cf_segment"}}, "custom_fields"),
        ({"chargebee_id": "name"}, "chargebee_id"),
        ({"link": {}}, "link"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_key(section, place):
    with pytest.raises(ValidationError, match=place):
        CustomersConfiguration.model_validate(section)


def test_a_link_of_one_site_beats_that_of_all():
    rules = CustomerRules(links={"CUST1": "1", "acme/CUST1": "2"})
    assert (rules.link("acme", "CUST1"), rules.link("other", "CUST1"), rules.link("acme", "CUST2")) == ("2", "1", None)


@pytest.mark.parametrize(
    ("raw", "number"),
    [("12345678", "12345678"), ("1234 5678", "12345678"), ("KvK 12345678", None), ("1234567", None), ("", None), (None, None)],
)
def test_a_chamber_of_commerce_number_has_eight_digits(raw, number):
    assert chamber_of_commerce_of(raw) == number


def test_contact_details_that_exact_would_refuse_are_cut_or_left_out_and_told_in_both_languages():
    customer = chargebee.Customer(
        id="CUST1",
        company="Voorbeeld B.V.",
        email="no address",
        phone="0" * 26,
        billing_address=chargebee.Address(line1="S" * 101, line2=" Kamer 2 ", zip="1" * 21, city="Amsterdam", country="NL"),
    )
    section = {"name": "A", "journals": {"invoices": 70, "credit_notes": 70, "payments": 90}, "receivable_account": 1300}
    mapping = mapping_of(1, DivisionConfiguration.model_validate(section))
    sent = save_account(customer, "acme", mapping, date(2026, 3, 3))
    assert (sent.email, sent.phone, sent.postcode) == (None, None, None)
    assert (sent.address_line1, sent.address_line2, sent.city) == ("S" * 100, "Kamer 2", "Amsterdam")
    remarks = remarks_on(customer, mapping)
    assert [each.english for each in remarks] == [
        "E-mail address no address of customer CUST1 is not what Exact takes and is not sent.",
        f"Phone number {'0' * 26} of customer CUST1 is not what Exact takes and is not sent.",
        "Address line 1 of customer CUST1 is too long for Exact and is cut at 100 characters.",
        f"Postcode {'1' * 21} of customer CUST1 is not what Exact takes and is not sent.",
    ]
    assert remarks[2].dutch == "Adresregel 1 van klant CUST1 is te lang voor Exact en wordt na 100 tekens afgebroken."


def test_contact_details_that_fit_are_sent_as_they_are():
    contact = {name: "x" * longest for name, longest in CONTACT_LENGTHS.items()} | {"email": "jan@voorbeeld.nl"}
    assert usable_contact(contact) == contact
    assert usable_contact(dict.fromkeys(CONTACT_LENGTHS)) == dict.fromkeys(CONTACT_LENGTHS)
    assert CONTACT_WORDS.keys() == CONTACT_LENGTHS.keys()


def test_a_customer_has_the_payment_condition_that_is_in_force_on_the_day_on_which_he_is_sent():
    rules = [{"code": "30", "until": "2026-06-30"}, {"code": "31", "from": "2026-07-01"}]
    section = {"name": "A", "journals": {"invoices": 70, "credit_notes": 70, "payments": 90}, "receivable_account": 1300}
    mapping = mapping_of(1, DivisionConfiguration.model_validate({**section, "payment_conditions": {"rules": rules}}))
    customer = chargebee.Customer(id="CUST1", company="Voorbeeld B.V.")
    days = [date(2026, 6, 30), date(2026, 7, 1)]
    assert [save_account(customer, "acme", mapping, day).payment_condition for day in days] == ["30", "31"]
