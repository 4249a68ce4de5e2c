"""Sentences with holes, such as `no column {name}`, as patterns by which a sentence that was told is known again."""

from __future__ import annotations

import re
from functools import cache
from string import Formatter


@cache
def patterns(listed: tuple[tuple[str, str], ...]) -> list[tuple[re.Pattern[str], str]]:
    """Return the first of each pair as a pattern with a group for each hole, beside the second; made once for a list."""
    return [(_pattern(english), dutch) for english, dutch in listed]


def _pattern(english: str) -> re.Pattern[str]:
    parts = ((re.escape(text), hole) for text, hole, _, _ in Formatter().parse(english))
    return re.compile("".join(text + (f"(?P<{hole}>.+?)" if hole else "") for text, hole in parts), re.DOTALL)
