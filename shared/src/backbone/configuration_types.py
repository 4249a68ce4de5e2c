"""What the models of the configuration are made of: strictness, and the shapes of codes, rates and countries."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

# What a proposed mapping writes where only a person can know; a file that holds it cannot be used.
UNDECIDED = "TODO"


# What else countries are called, by VAT numbers or by Chargebee; documents are read with the ISO code, which rules ask for.
# Northern Ireland's VAT area is XI; everywhere else the country is the United Kingdom.
ISO_CODES = {"XI": "GB", "EL": "GR", "UK": "GB"}


def exact_decimal(value: Any) -> Any:
    """Return what was typed, before it became a binary fraction."""
    # YAML reads 5.5 as a binary fraction; its shortest notation is what the controller typed.
    return str(value) if isinstance(value, float) else value


def _decided(value: str) -> str:
    if value == UNDECIDED:
        message = f"the {UNDECIDED} stands here still; write what is meant, as nothing is booked by a guess"
        raise ValueError(message)
    return value


def _iso_country(value: str) -> str:
    if value in ISO_CODES:
        message = f"write {ISO_CODES[value]}, the ISO code: documents from {value} are read as that"
        raise ValueError(message)
    return value


Rate = Annotated[Decimal, BeforeValidator(exact_decimal), Field(ge=0, le=100)]
Code = Annotated[
    str,
    Field(min_length=1, max_length=50),
    AfterValidator(_decided),
    # Editors must not complain of a code that is written without quotes.
    WithJsonSchema({"type": ["string", "number"], "minLength": 1, "maxLength": 50}),
]
COUNTRY = r"^([A-Z]{2}|non-EU)$"
OWN_COUNTRY = r"^[A-Z]{2}$"
CURRENCY = r"^[A-Z]{3}$"
Country = Annotated[
    str, Field(pattern=COUNTRY, description="ISO code; EU and non-EU are groups of countries"), AfterValidator(_iso_country)
]
Currency = Annotated[str, Field(pattern=CURRENCY)]
LineType = Literal["plan_item_price", "addon_item_price", "charge_item_price", "adhoc", "plan", "addon", "plan_setup"]


class PlacedError(ValueError):
    """Mistakes that a model finds in its own parts: where each is, seen from the model, and what is wrong."""

    def __init__(self, mistakes: Sequence[tuple[tuple[int | str, ...], str]]) -> None:
        super().__init__("; ".join(message for _, message in mistakes))
        self.mistakes = tuple(mistakes)


class Strict(BaseModel):
    """A part of the file, in which every key is known."""

    # Codes such as 8000 may be written without quotes; a misspelt key is an error, never ignored.
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, serialize_by_alias=True)
