"""Mistakes in the configuration as a person can mend them: file, line, place, what is wrong and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from backbone.configuration_types import PlacedError
from backbone.yaml_reading import Reading

# Places of the model that are keys of the file and may look like numbers: divisions are keyed by theirs.
KEYED_BY_NUMBER = "divisions"


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake; `line` counts from 1."""

    line: int
    place: tuple[int | str, ...]
    sentence: str

    def written(self, file: Path | str) -> str:
        """Write it as editors and terminals find it: file:line, then the place and the sentence."""
        place = written_place(self.place)
        return f"{file}:{self.line}: {place}: {self.sentence}" if place else f"{file}:{self.line}: {self.sentence}"


def written_place(place: Iterable[int | str]) -> str:
    """Write a place as `divisions.123456.vat[2].when.rate`."""
    parts = list(place)
    # A division's number is a key of the file, any other number is a place in a list.
    keys = {1} if parts[:1] == [KEYED_BY_NUMBER] else set()
    words = (f"[{part}]" if isinstance(part, int) and depth not in keys else f".{part}" for depth, part in enumerate(parts))
    return "".join(words).lstrip(".")


def mistakes_of(error: ValidationError, model: type[BaseModel], reading: Reading) -> list[Mistake]:
    """Return what a model found wrong with the file, in the order of the file."""
    found = []
    for item in error.errors(include_url=False):
        cause = item.get("ctx", {}).get("error")
        places = cause.mistakes if isinstance(cause, PlacedError) else [((), _sentence(item, model))]
        for inner, sentence in places:
            place = (*item["loc"], *inner)
            found.append(Mistake(reading.line(place), place, sentence))
    return sorted(found, key=lambda each: (each.line, written_place(each.place)))


def repeated_keys(reading: Reading) -> list[Mistake]:
    """Return the keys that stand twice in one place, of which only the last would count."""
    return [Mistake(line, (), f"the key {key} stands here twice; remove one of them") for line, key in reading.repeated]


def _sentence(item: Any, model: type[BaseModel]) -> str:
    message = item["msg"].removeprefix("Value error, ")
    kind = item["type"]
    if kind == "extra_forbidden":
        return _about_unknown_key(str(item["loc"][-1]), sorted(_keys_at(model, item["loc"][:-1])))
    if kind == "missing":
        return "this is required and missing; add it"
    message = message.replace("a valid tuple", "a list")
    given = item.get("input")
    is_shown = isinstance(given, (str, int, float)) and kind != "value_error"
    return f"{message[:1].lower()}{message[1:]}" + (f", not {given!r}" if is_shown else "")


def _about_unknown_key(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if near:
        return f"there is no key {key}; did you mean {near[0]}?"
    return f"there is no key {key}" + (f"; known are {', '.join(known)}" if known else "")


def _keys_at(model: type[BaseModel], place: Iterable[int | str]) -> set[str]:
    models: set[type[BaseModel]] = {model}
    for part in place:
        annotations = [
            field.annotation for each in models for name, field in each.model_fields.items() if part in (name, field.alias)
        ]
        # A number in a list or the name of a section leads to what the annotation holds, which was unfolded already.
        models = {found for annotation in annotations for found in _models_in(annotation)} if annotations else models
    return {field.alias or name for each in models for name, field in each.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def without(reading: Reading, mistakes: Iterable[Mistake]) -> Reading:
    """Return the document without the list items, or else the keys, that have mistakes in them, to judge the rest of it."""
    document = _copied(reading.document)
    doomed: dict[tuple[str, ...], set[int]] = {}
    for mistake in mistakes:
        place = _innermost_item(document, mistake.place)
        if place is None:
            _remove_key(document, mistake.place)
        else:
            doomed.setdefault(tuple(map(str, place[:-1])), set()).add(int(place[-1]))
    origins: dict[tuple[str, ...], tuple[str, ...]] = {}
    for original in reading.lines:
        moved = _moved(original, doomed)
        if moved is not None:
            origins[moved] = reading.origins.get(original, original)
    for place, indexes in doomed.items():
        items = _at(document, place)
        items[:] = [item for index, item in enumerate(items) if index not in indexes]
    lines = {moved: reading.line(original) for moved, original in origins.items()}
    return Reading(document, lines, (), origins)


def _moved(place: tuple[str, ...], doomed: dict[tuple[str, ...], set[int]]) -> tuple[str, ...] | None:
    """Return where a place is after items were taken out of lists before it, None for one that went with them."""
    moved = list(place)
    for depth in range(len(place)):
        indexes = doomed.get(place[:depth])
        if indexes is not None:
            index = int(place[depth])
            if index in indexes:
                return None
            moved[depth] = str(index - sum(gone < index for gone in indexes))
    return tuple(moved)


def _step(here: Any, part: int | str) -> Any:
    """Return what a part of a place leads to, None for nothing."""
    if isinstance(here, list):
        index = int(part) if str(part).isdigit() else len(here)
        return here[index] if index < len(here) else None
    if isinstance(here, dict):
        return next((value for key, value in here.items() if str(key) == str(part)), None)
    return None


def _at(document: Any, place: Iterable[int | str]) -> Any:
    here = document
    for part in place:
        here = _step(here, part)
    return here


def _innermost_item(document: Any, place: tuple[int | str, ...]) -> tuple[int | str, ...] | None:
    """Return the place of the innermost list item on the way to a place, None when there is none."""
    found, here = None, document
    for depth, part in enumerate(place):
        inner = _step(here, part)
        if isinstance(here, list) and inner is not None:
            found = place[: depth + 1]
        here = inner
    return found


def _remove_key(document: Any, place: tuple[int | str, ...]) -> None:
    """Remove the innermost key on the way to a place that is there."""
    for end in range(len(place) - 1, -1, -1):
        holder = _at(document, place[:end])
        if isinstance(holder, dict):
            key = next((key for key in holder if str(key) == str(place[end])), None)
            if key is not None:
                del holder[key]
                return


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value
