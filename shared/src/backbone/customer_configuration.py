"""How a division finds and keeps its customers in Exact: the section `customers` of a division."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from backbone.configuration_types import PlacedError, Strict

ACCOUNT_CODE = r"^(\d{1,18}|new)$"
CUSTOM_FIELD_NAME = r"^cf_\w+$"
EXACT_NAME = r"^\S(.*\S)?$"
AccountCode = Annotated[str, Field(pattern=ACCOUNT_CODE, description="code of an account in Exact, or new")]
CustomField = Annotated[str, Field(pattern=CUSTOM_FIELD_NAME, description="name of a custom field in Chargebee, such as cf_kvk")]
ExactName = Annotated[str, Field(max_length=100, pattern=EXACT_NAME, description="a name as Exact shows it")]
AccountField = Literal["remarks", "trade_name", "website", "code_at_supplier"]
Mark = Literal["vat_number", "email"]


class CustomersConfiguration(Strict):
    """Which account of Exact a customer is, and what is kept there.

    An account that exists is taken only when exactly one fits; several, or one that another customer has, are for a person.
    """

    match: tuple[Mark, ...] = Field(
        ("vat_number", "email"),
        description="what makes an account of Exact a customer's, in this order; e-mail also of its contacts; [] matches nothing",
    )
    chargebee_id: Literal["search_code", "code", "code_at_supplier"] | None = Field(
        None, description="the field of an account in which Chargebee's customer id stands already; it is asked first"
    )
    links: dict[str, AccountCode] = Field(
        default_factory=dict,
        description='which account a customer is, where several fit: customer id (or site/id) to account code, or "new"',
    )
    chamber_of_commerce: CustomField | None = Field(None, description="the custom field with the Dutch KvK number")
    account_fields: dict[AccountField, CustomField] = Field(
        default_factory=dict,
        description="fields of the accounts made for customers, each with the custom field of the customer that it shows",
    )
    custom_fields: dict[ExactName, CustomField] = Field(
        default_factory=dict,
        description="Exact's own custom fields of accounts (edition Premium), each with the customer's field that it shows",
    )
    custom_field_component: ExactName | None = Field(
        None, description="the business component of accounts there, where Exact does not show it with their fields"
    )
    languages: dict[str, str] = Field(
        default_factory=dict, description="Chargebee's locale to Exact's language code, such as nl: NL; others are not sent"
    )
    hierarchy: Literal["none", "parent", "invoice_account"] = Field(
        "none", description="what of Chargebee's account hierarchy is shown in Exact: nothing, the parent, also who is invoiced"
    )

    @model_validator(mode="after")
    def _one_thing_in_a_field(self) -> CustomersConfiguration:
        if self.chargebee_id == "code_at_supplier" and "code_at_supplier" in self.account_fields:
            message = "code_at_supplier holds Chargebee's customer id (chargebee_id); give account_fields another field"
            raise PlacedError([(("account_fields", "code_at_supplier"), message)])
        return self
