"""How a division finds and keeps its customers in Exact: the section `customers` of a division."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backbone.configuration_types import Strict

AccountCode = Annotated[str, Field(pattern=r"^(\d{1,18}|new)$", description="code of an account in Exact, or new")]
CustomField = Annotated[str, Field(pattern=r"^cf_\w+$", description="name of a custom field in Chargebee, such as cf_kvk")]
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
    languages: dict[str, str] = Field(
        default_factory=dict, description="Chargebee's locale to Exact's language code, such as nl: NL; others are not sent"
    )
    hierarchy: Literal["none", "parent", "invoice_account"] = Field(
        "none", description="what of Chargebee's account hierarchy is shown in Exact: nothing, the parent, also who is invoiced"
    )
