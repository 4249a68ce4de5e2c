"""The one YAML file: sites and divisions, as the controller writes them down. No secrets belong here."""

from __future__ import annotations

import zoneinfo
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from backbone.configuration_types import Strict
from backbone.errors import ConfigurationError
from backbone.mapping_configuration import DivisionConfiguration
from backbone.yaml_reading import read_yaml


class SiteConfiguration(Strict):
    """One Chargebee site: where its days begin, and which division its documents go to."""

    time_zone: str = Field(description="IANA name, such as Europe/Amsterdam; dates are cut in it")
    division: int | None = Field(None, description="for documents without a business entity")
    business_entities: dict[str, int] = Field(default_factory=dict, description="business entity id to division")

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            message = f"{value!r} is not a time zone; use an IANA name such as Europe/Amsterdam"
            raise ValueError(message) from None
        return value


class Configuration(Strict):
    """The whole file."""

    version: Literal[1]
    sites: dict[str, SiteConfiguration]
    divisions: dict[int, DivisionConfiguration]

    @model_validator(mode="after")
    def _divisions_exist(self) -> Configuration:
        for name, site in self.sites.items():
            wanted = [*site.business_entities.values(), *([] if site.division is None else [site.division])]
            unknown = sorted({division for division in wanted if division not in self.divisions})
            if unknown:
                listed = ", ".join(map(str, unknown))
                message = f"site {name} books into division {listed}, which is not under divisions; add it there"
                raise ValueError(message)
        return self


def load_configuration(path: Path) -> Configuration:
    """Read and check the file.

    Raises ConfigurationError with the file, the place in it and what to do, naming every mistake found.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path}: the file cannot be read ({error}); set KRUISPOST_CONFIG to your kruispost.yaml."
        ) from error
    try:
        document = read_yaml(text)
    except yaml.YAMLError as error:
        place = " ".join(str(error).split())
        raise ConfigurationError(f"{path}: this is not YAML: {place}; correct the file.") from error
    try:
        return Configuration.model_validate(document)
    except ValidationError as error:
        mistakes = "; ".join(_mistake(item["loc"], item["msg"]) for item in error.errors(include_url=False, include_input=False))
        raise ConfigurationError(
            f"{path}: {mistakes}. Correct the file; `kruispost config-schema` prints what is allowed."
        ) from error


def _mistake(location: tuple[int | str, ...], message: str) -> str:
    # A division's number is a key of the file, any other number is a place in a list.
    keys = {1} if location[:1] == ("divisions",) else set()
    words = (f"[{part}]" if isinstance(part, int) and depth not in keys else f".{part}" for depth, part in enumerate(location))
    place = "".join(words).lstrip(".")
    return f"{place or 'the document'}: {message[:1].lower()}{message[1:]}"


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Configuration.model_json_schema()}
