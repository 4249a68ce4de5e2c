"""The chain of hashes of an exported file: any text goes through it whole, and any damage breaks it at its line."""

from __future__ import annotations

import io
from pathlib import Path

from mapper.audit_chain import ChainWriter, check
from mapper.export_command import verify

TEXTS = ("plain", "a carriage\rreturn", "a line\nfeed", "both\r\n", 'quo"tes, commas', "\r", "", "naïef €")


def written(*texts: str) -> str:
    stream = io.StringIO(newline="")
    writer = ChainWriter(stream, ("number", "text"))
    for number, text in enumerate(texts):
        writer.write((number, text))
    return stream.getvalue()


def test_a_file_that_nobody_touched_is_whole_whatever_its_texts_are(tmp_path: Path) -> None:
    file = tmp_path / "booked.csv"
    file.write_bytes(written(*TEXTS).encode())
    with file.open(encoding="utf-8", newline="") as stream:
        found = check(stream)
    assert (found.lines, found.broken_at) == (len(TEXTS), None)


def test_what_is_no_csv_or_no_text_any_more_is_a_broken_line(tmp_path: Path) -> None:
    file = tmp_path / "booked.csv"
    whole = written("one", "two", "three").encode()
    too_long = b'"' + b"x" * 200_000  # more than a field of CSV may have, as an opened quote makes it
    for damaged in (whole.replace(b"two", too_long), whole.replace(b"two", b"t\xffo"), whole.replace(b'"two"', b"tw\0o\rx")):
        assert damaged != whole
        file.write_bytes(damaged)
        assert verify(file, "en") is False
        with file.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            assert check(stream).broken_at == 3


def test_a_message_longer_than_csv_takes_unasked_is_whole_and_a_log_without_one_has_its_noted_hash() -> None:
    found = check(io.StringIO(written("one", "x" * 200_000), newline=""))
    assert (found.lines, found.broken_at) == (2, None)
    empty = check(io.StringIO(written(), newline=""))
    assert check(io.StringIO(written("one"), newline=""), empty.last).has_noted
    assert check(io.StringIO(written("one"), newline=""), "0" * 64).has_noted is False
