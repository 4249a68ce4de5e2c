"""The conditions that rules of the configuration share, and the rules of accounts, dimensions, VAT codes and routes."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from backbone.configuration_types import COUNTRY, Code, Country, Currency, LineType, PlacedError, Rate, Strict

COUNTRY_SCHEMA = {"type": "string", "pattern": COUNTRY}
SUBSCRIPTION_FIELD_NAME = r"^cf_.+$"
FIELD_NAME = r"^(cf_.+|sku|accounting_code|accounting_category[1-4])$"


def _as_list(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else [value]


def _as_words(value: Any) -> Any:
    # A box that is ticked reaches the rules as yes; true without quotes is how YAML writes it.
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


Countries = Annotated[
    tuple[Country, ...],
    BeforeValidator(_as_list),
    Field(min_length=1, description="an ISO code, EU, non-EU, or a list of them"),
    WithJsonSchema({"anyOf": [COUNTRY_SCHEMA, {"type": "array", "minItems": 1, "items": COUNTRY_SCHEMA}]}),
]


class FieldWhen(Strict):
    """A custom field of customer, document or product, or an accounting detail of the product, and the value it must have."""

    name: Annotated[str, Field(pattern=FIELD_NAME)]
    value: Annotated[Code, BeforeValidator(_as_words), Field(description="as Chargebee shows it; a box is yes or no")]


class SubscriptionFieldWhen(FieldWhen):
    """A custom field of the line's subscription, and the value it must have."""

    name: Annotated[str, Field(pattern=SUBSCRIPTION_FIELD_NAME)]


def _field_schema(pattern: str) -> dict[str, Any]:
    one = {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "value"],
        "properties": {"name": {"type": "string", "pattern": pattern}, "value": {"type": ["string", "number", "boolean"]}},
    }
    return {"anyOf": [one, {"type": "array", "items": one}]}


Fields = Annotated[
    tuple[FieldWhen, ...],
    BeforeValidator(_as_list),
    Field(description="a custom field and its value, or a list of them that must all hold"),
    WithJsonSchema(_field_schema(FIELD_NAME)),
]
SubscriptionFields = Annotated[
    tuple[SubscriptionFieldWhen, ...],
    BeforeValidator(_as_list),
    Field(description="a custom field of the line's subscription and its value, or a list of them that must all hold"),
    WithJsonSchema(_field_schema(SUBSCRIPTION_FIELD_NAME)),
]
CustomerKind = Literal["business", "consumer"]


class Products(Strict):
    """A list of products, by price points (or plans and addons of the older catalogue), items and families."""

    item_prices: tuple[Code, ...] = ()
    items: tuple[Code, ...] = ()
    families: tuple[Code, ...] = ()

    @model_validator(mode="after")
    def _is_not_empty(self) -> Products:
        if not (self.item_prices or self.items or self.families):
            message = "name at least one product under item_prices, items or families"
            raise ValueError(message)
        return self


class LineWhen(Strict):
    """What must hold of a line; what is left out may be anything."""

    item_price: Code | None = None
    item: Code | None = None
    family: Code | None = None
    type: LineType | None = None
    currency: Currency | None = None
    country: Countries | None = None
    customer: CustomerKind | None = Field(None, description="a business has a usable VAT number, or is confirmed to be one")
    field: Fields = ()
    subscription_field: SubscriptionFields = ()

    @model_validator(mode="after")
    def _fields_agree(self) -> LineWhen:
        twice = [
            ((key, index), f"the field {each.name} is asked for twice; one document has one value, so remove one of them")
            for key, fields in (("field", self.field), ("subscription_field", self.subscription_field))
            for index, each in enumerate(fields)
            if any(each.name == other.name for other in fields[:index])
        ]
        if twice:
            raise PlacedError(twice)
        return self


class GroupedWhen(LineWhen):
    """What must hold of a line, whose product may be named by a group."""

    group: Code | None = Field(None, description="the name of a list under groups")

    @model_validator(mode="after")
    def _group_stands_alone(self) -> GroupedWhen:
        if self.group is not None and (self.item_price or self.item or self.family):
            message = "a group is a list of item prices, items and families; name the group or one of those, not both"
            raise PlacedError([(("group",), message)])
        return self


class RevenueWhen(GroupedWhen):
    """What must hold for a revenue rule; what is left out may be anything."""

    reason: Code | None = Field(None, description="Chargebee's tax_exempt_reason, or none")


class DimensionWhen(GroupedWhen):
    """What must hold for a rule of cost centres or cost units; what is left out may be anything."""

    year: int | None = Field(None, ge=2000, le=2199, description="of the document's date")


class VatWhen(Strict):
    """What must hold for a VAT rule; what is left out may be anything."""

    country: Countries | None = None
    rate: Rate | None = None
    reason: Code | None = Field(None, description="Chargebee's tax_exempt_reason, or none")
    supply: Literal["goods", "service"] | None = Field(
        None, description="goods are the products under goods; all else is service"
    )
    customer: CustomerKind | None = Field(None, description="a business has a usable VAT number, or is confirmed to be one")


class RouteWhen(LineWhen):
    """What must hold of a document, and of each of its lines, for a route; what is left out may be anything."""

    business_entity: Code | None = None


class Dated(Strict):
    """A rule that may be in force for a time only; both days are in it."""

    first: date | None = Field(None, alias="from", description="the first day on which the rule is in force")
    last: date | None = Field(None, alias="until", description="the last day on which the rule is in force")

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Dated:
        if self.first is not None and self.last is not None and self.last < self.first:
            message = f"until {self.last} is before from {self.first}; a rule is in force on both days"
            raise PlacedError([(("until",), message)])
        return self


class RevenueRule(Dated):
    """Which ledger account, cost centre and cost unit a line is booked on; dates are those of documents."""

    when: RevenueWhen = RevenueWhen()
    account: Code
    cost_center: Code | None = None
    cost_unit: Code | None = None
    defer: bool = Field(default=False, description="spread over the service period of the line")


class DimensionRule(Dated):
    """Which cost centre or cost unit a line gets whose revenue rule names none; dates are those of documents."""

    when: DimensionWhen = DimensionWhen()
    code: Code


class VatRule(Dated):
    """Which VAT code of the division a line gets; dates are those of supply, and for credit notes those of the invoice."""

    when: VatWhen = VatWhen()
    code: Code


class Route(Dated):
    """Which division a document goes to."""

    when: RouteWhen
    division: int
