"""Whatever is appended in whatever order: streams are what was accepted, and readers see each message once, in one order."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from support.engines import database_for
from support.logs import note

from backbone import event_log
from backbone.errors import StreamConflictError
from backbone.event_log import START, Position
from contracts import envelope as wire

APPENDS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4), st.integers(0, 3)), max_size=20)


@given(appends=APPENDS, page=st.integers(1, 7))
@settings(max_examples=40, deadline=None)
async def test_the_log_behaves_as_a_dictionary_of_lists(appends, page):
    model: dict[str, list[str]] = {"a": [], "b": [], "c": []}
    order: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        async with database_for("sqlite", Path(directory), "ingest") as database:
            for number, (stream, expected, count) in enumerate(appends):
                names = [f"{number}.{one}" for one in range(count)]
                fits = expected == len(model[stream]) or not names
                try:
                    async with database.transaction() as connection:
                        await event_log.append(connection, stream, expected, [note(name) for name in names])
                except StreamConflictError:
                    assert not fits
                    continue
                assert fits
                model[stream] += names
                order += names
            read, position = [], START
            async with database.reading() as connection:
                while batch := await event_log.read_after(connection, position, page):
                    assert len(batch) <= page
                    position = Position.decode(batch[-1].position.encode())
                    read += [row.envelope.id for row in batch]
                for stream, names in model.items():
                    recorded = await event_log.read_stream(connection, stream)
                    assert [row.envelope.id for row in recorded] == names
                    assert [row.version for row in recorded] == list(range(1, len(names) + 1))
            assert read == order


@given(data=st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=10))
def test_an_envelope_comes_back_with_the_very_bytes_of_its_data(data):
    body = msgspec.json.encode(data)
    assert bytes(wire.decode(wire.encode(note("a", data=body))).data) == body
