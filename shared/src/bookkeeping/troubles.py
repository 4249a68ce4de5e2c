"""What can be wrong with a list of rules of any kind: which of them, what, and what to write instead."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from bookkeeping.vat import AmbiguousRulesError


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a list of rules: which of them (from 0), and in words what and what to do."""

    rules: tuple[int, ...]
    sentence: str
    remedy: str


def refuse(troubles: Iterable[Trouble]) -> None:
    """Raise AmbiguousRulesError with all troubles, if there are any."""
    sentences = [f"{trouble.sentence}; {trouble.remedy}" for trouble in troubles]
    if sentences:
        raise AmbiguousRulesError("; ".join(sentences))


def repeated(keys: Sequence[Hashable], sentences: Sequence[str], remedy: str = "remove one of them") -> list[Trouble]:
    """Return a trouble for each rule that has the key of an earlier one; `sentences` says of each what is there twice."""
    first: dict[Hashable, int] = {}
    pairs = [(first.setdefault(key, index), index) for index, key in enumerate(keys)]
    return [Trouble(pair, sentences[pair[1]], remedy) for pair in pairs if pair[0] != pair[1]]
