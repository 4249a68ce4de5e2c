"""The one YAML file: sites and divisions, as the controller writes them down. No secrets belong here."""

from __future__ import annotations

import zoneinfo
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from backbone.configuration_mistakes import Mistake, mistakes_of, repeated_keys, without, written_place
from backbone.configuration_types import Code, PlacedError, Strict
from backbone.errors import ConfigurationError
from backbone.mapping_configuration import DivisionConfiguration
from backbone.rule_configuration import Route
from backbone.yaml_reading import Reading, read_with_places

ROUNDS = 4


class SiteConfiguration(Strict):
    """One Chargebee site: where its days begin, and which division its documents go to."""

    time_zone: str = Field(description="IANA name, such as Europe/Amsterdam; dates are cut in it")
    division: int | None = Field(None, description="for documents without a business entity")
    business_entities: dict[str, int] = Field(default_factory=dict, description="business entity id to division")
    routes: tuple[Route, ...] = Field((), description="divisions by more conditions; they go before business entity and division")

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
    sites: dict[Code, SiteConfiguration]
    divisions: dict[int, DivisionConfiguration]
    _reading: Reading | None = PrivateAttr(default=None)
    _file: Path | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _divisions_exist(self) -> Configuration:
        mistakes: list[tuple[tuple[int | str, ...], str]] = []
        for name, site in self.sites.items():
            wanted: list[tuple[tuple[int | str, ...], int]] = [
                (("business_entities", entity), division) for entity, division in site.business_entities.items()
            ]
            wanted += [(("routes", index, "division"), route.division) for index, route in enumerate(site.routes)]
            wanted += [(("division",), site.division)] if site.division is not None else []
            mistakes += [
                (
                    ("sites", name, *place),
                    f"site {name} books into division {division}, which is not under divisions; add it there",
                )
                for place, division in wanted
                if division not in self.divisions
            ]
        if mistakes:
            raise PlacedError(mistakes)
        return self

    def written_in(self, file: Path, reading: Reading) -> Configuration:
        """Remember where everything stands, so that what is found wrong later can name its line."""
        self._reading, self._file = reading, file
        return self

    def mistake(self, place: tuple[int | str, ...], sentence: str) -> str:
        """Write what is wrong with a place of the file, with file and line where it came from a file."""
        if self._reading is None or self._file is None:
            return f"{written_place(place)}: {sentence}"
        return Mistake(self._reading.line(place), self._reading.origin(place), sentence).written(self._file)

    def line(self, place: tuple[int | str, ...]) -> int | None:
        """Return the line (from 1) of a place, None where the configuration came from no file."""
        return self._reading.line(place) if self._reading is not None else None


class MistakenConfigurationError(ConfigurationError):
    """The file has mistakes. `readable` is what is left of it without them, for finding out what else is wrong."""

    def __init__(self, sentence: str, readable: Configuration | None) -> None:
        super().__init__(sentence)
        self.readable = readable


def load_configuration(path: Path) -> Configuration:
    """Read and check the file.

    Raises ConfigurationError with file and line, the place and what to do, naming every mistake found.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path}: the file cannot be read ({error}); set KRUISPOST_CONFIG to your kruispost.yaml."
        ) from error
    try:
        reading = read_with_places(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}:{_about_yaml(error)}") from error
    mistakes = repeated_keys(reading)
    configuration: Configuration | None = None
    try:
        configuration = Configuration.model_validate(reading.document).written_in(path, reading)
    except ValidationError as error:
        mistakes += mistakes_of(error, Configuration, reading)
    if configuration is not None and not mistakes:
        return configuration
    written = "\n".join(mistake.written(path) for mistake in sorted(mistakes, key=lambda each: each.line))
    raise MistakenConfigurationError(
        f"{written}\nCorrect the file; `kruispost config-schema` prints what is allowed.",
        configuration or _readable(reading, mistakes, path),
    )


def _about_yaml(error: yaml.YAMLError) -> str:
    """Return the line, what is wrong there and what to look for."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else " ".join(str(error).split())
    if mark is None:
        return f"1: this is not YAML: {problem}; save the file as plain text."
    remedy = "look there and just before for a bracket, quote, comma or colon that is missing or too many"
    if problem is not None and "'\\t'" in problem:
        remedy = "indent with blanks instead of tabs"
    elif problem is not None and "alias" in problem:
        remedy = "write quotes around a text that begins with *"
    return f"{mark.line + 1}: this is not YAML: {problem} (column {mark.column + 1}); {remedy}."


def _readable(reading: Reading, mistakes: list[Mistake], path: Path) -> Configuration | None:
    # What is left out may leave others without what they need; a few rounds are enough for what people write.
    for _ in range(ROUNDS):
        reading = without(reading, mistakes)
        try:
            return Configuration.model_validate(reading.document).written_in(path, reading)
        except ValidationError as error:
            mistakes = mistakes_of(error, Configuration, reading)
    return None


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Configuration.model_json_schema()}
