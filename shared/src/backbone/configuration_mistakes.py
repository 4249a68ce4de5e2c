"""Mistakes in the configuration as a person can mend them: file, line, place, what is wrong and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from backbone.configuration_types import PlacedError
from backbone.mistake_sentences import KEY, sentence_of
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
        places = cause.mistakes if isinstance(cause, PlacedError) else [((), sentence_of(item, model))]
        for inner, sentence in places:
            place = (*(part for part in item["loc"] if part != KEY), *inner)
            found.append(Mistake(reading.line(place), place, sentence))
    return sorted(found, key=lambda each: (each.line, written_place(each.place)))


def repeated_keys(reading: Reading) -> list[Mistake]:
    """Return the keys that stand twice in one place, of which only the last would count."""
    return [Mistake(line, (), f"the key {key} stands here twice; remove one of them") for line, key in reading.repeated]


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
