"""Ids that derive from a cause: they must be the same in every release, or a replay would post everything once more."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import NAMESPACE, derived_id


@given(st.lists(st.text(), max_size=7))
def test_an_id_is_the_uuid_of_version_5_of_its_parts(parts: list[str]) -> None:
    assert derived_id(*parts) == str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))
