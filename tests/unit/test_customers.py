"""What a controller may write down about customers, and the example in the bookkeeping's page."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from backbone.customer_configuration import CustomersConfiguration
from backbone.yaml_reading import read_yaml
from bookkeeping.customers import CustomerRules, chamber_of_commerce_of

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
