"""How data of an older version becomes the next one: pure functions, applied on reading; the stored bytes stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# (type, version) -> the function that turns data of that version into data of the next. Empty while all are version 1.
UPCASTS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}
