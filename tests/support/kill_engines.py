"""On which engine a process is killed at a place: in `make test` on one of the two in turn, in `make chaos` on both.

tests/chaos/test_kill_places.py kills at every place of a whole business besides.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

EVERYWHERE = os.environ.get("KRUISPOST_CHAOS") == "everywhere"
_POSTGRESQL = [pytest.mark.postgres, pytest.mark.broker]


def each_on_an_engine(cases: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Parameters ("sqlite" or "postgresql", and what a case holds, its place first)."""
    found = []
    for number, case in enumerate(cases):
        if EVERYWHERE or number % 2 == 0:
            found.append(pytest.param("sqlite", *case, id=f"sqlite-{case[0]}"))
        if EVERYWHERE or number % 2 == 1:
            found.append(pytest.param("postgresql", *case, id=f"postgresql-{case[0]}", marks=_POSTGRESQL))
    return found
