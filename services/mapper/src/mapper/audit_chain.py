"""A file of lines that vouch for each other: each carries a hash of itself and of the line before it.

Whoever changes, adds, moves or leaves out a line breaks every hash behind it; the last hash vouches for the whole file.
Only the standard library is needed to check one, so that an auditor can do it anywhere.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

START = "0" * 64
HASH = "sha256"
LONGEST_VALUE = 2**31 - 1  # a message of an invoice with many lines is longer than what CSV takes unasked


class ChainWriter:
    """Writes lines of CSV, the hash behind each."""

    def __init__(self, stream: TextIO, columns: Sequence[str]) -> None:
        # All in quotes: a carriage return by itself would end a line for whoever reads it.
        self._writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
        self.last = START
        self.lines = 0
        self._write(columns, HASH)

    def write(self, values: Sequence[Any]) -> None:
        """Write a line; what is empty stays empty."""
        self._write(["" if value is None else str(value) for value in values], None)
        self.lines += 1

    def _write(self, values: Sequence[str], name: str | None) -> None:
        self.last = link(self.last, values)
        # The heading names the column of the hashes, and its own hash is the first line's predecessor.
        self._writer.writerow([*values, name or self.last])


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of checking a file: how many lines fit, the last hash, and the first line that does not fit, if any.

    `has_noted` tells whether a hash that was noted earlier is that of one of its lines.
    """

    lines: int
    last: str
    broken_at: int | None
    has_noted: bool = False


def check(stream: TextIO, noted: str | None = None) -> Checked:
    """Compute every hash anew, and look for one that was noted; raises ValueError for a file that is no such file.

    A line whose values are as they were is broken all the same where it is not written byte by byte as `ChainWriter` does.
    """
    rows = _rows(stream)
    heading, as_written = next(rows, ([], True))
    if not heading or heading[-1] != HASH:
        raise ValueError("line 1: its last column is not called sha256")
    last, lines = link(START, heading[:-1]), 0
    has_noted = last == noted  # the last hash of a file without lines, as a log was before its first message
    if not as_written:
        return Checked(lines, last, 1, has_noted)
    for number, (row, as_written) in enumerate(rows, start=2):
        last = link(last, row[:-1])
        if not row or row[-1] != last or not as_written:
            return Checked(lines, last, number, has_noted)
        lines += 1
        has_noted = has_noted or last == noted
    return Checked(lines, last, None, has_noted)


def _rows(stream: TextIO) -> Iterator[tuple[list[str], bool]]:
    """Give the lines, and whether each is written as we write it; one that is no CSV any more is empty, which none of ours is."""
    csv.field_size_limit(LONGEST_VALUE)
    read: list[str] = []

    def pieces() -> Iterator[str]:
        for piece in stream:
            read.append(piece)
            yield piece

    rows = csv.reader(pieces())
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            row = []
        again = ",".join('"' + value.replace('"', '""') + '"' for value in row) + "\n"
        yield row, "".join(read) == again
        read.clear()


def link(before: str, values: Sequence[str]) -> str:
    """Return the hash of a line: SHA-256 of the hash before it, a line feed, and its values as a JSON list without spaces."""
    text = f"{before}\n{json.dumps(list(values), ensure_ascii=False, separators=(',', ':'))}"
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
