"""`kruispost doctor --probe`: the only thing that the doctor writes, in a division that a person names, and after asking."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

from backbone.configuration import load_configuration
from backbone.errors import ConfigurationError
from backbone.settings import Settings
from console.answers import UnusableError
from console.sentences import Language

# A function of settings, division, language and how to ask, which tries what only a trial in Exact can find out.
PROBES = "kruispost.probes"


def check_division(settings: Settings, division: int, *, is_forced: bool) -> None:
    """Raise UnusableError for a division that the mapping books in, unless a person insists."""
    try:
        booked = division in load_configuration(settings.config).divisions
    except ConfigurationError as error:
        if not settings.config.exists():
            return  # nothing is booked anywhere yet
        raise UnusableError(f"Which divisions are booked in cannot be read: {error.sentence}") from error
    if booked and not is_forced:
        raise UnusableError(
            f"Division {division} is booked in by {settings.config}; name a test division, or insist with --even-if-booked."
        )


async def probe(settings: Settings, division: int, lang: Language, agree: Callable[[list[str]], bool]) -> dict[str, Any]:
    """Try, and return the report; raises UnusableError when it cannot be tried now."""
    for point in importlib.metadata.entry_points(group=PROBES):
        try:
            report: dict[str, Any] = await point.load()(settings, division, lang, agree)
        except Exception as error:
            raise UnusableError(
                f"The trial in division {division} broke off: {str(error) or type(error).__name__}; run it again when that is "
                "mended, which also deletes what stands there of this one."
            ) from error
        return report
    raise UnusableError("No writer is installed here that could try it.")
