"""The hashes of an audit file, in a file beside it: XAF 3.2 has no place for them, and what reads it need not know of them.

`2026.xaf` has its hashes in `2026.xaf.sha256.csv`: for each of its lines SHA-256 of its bytes, in a chain as that of every other
file for an auditor. The last hash of the chain, noted when the file was made, vouches for both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final, Protocol, TextIO

from mapper.audit_chain import ChainWriter, Checked, check
from mapper.whole_file import written_whole

COLUMNS: Final = ("line_sha256",)
BEGINNING: Final = b"<?xml"


class Output(Protocol):
    """Where text is written."""

    def write(self, text: str, /) -> object:
        """Write it."""


class HashedStream:
    """Passes text on and writes the hash of each line of it."""

    def __init__(self, stream: TextIO, chain: ChainWriter) -> None:
        self._stream = stream
        self._chain = chain
        self._line = hashlib.sha256()

    def write(self, text: str, /) -> object:
        """Write text; a line ends with its line feed."""
        self._stream.write(text)
        *whole, rest = text.split("\n")
        for each in whole:
            self._line.update(f"{each}\n".encode())
            self._chain.write((self._line.hexdigest(),))
            self._line = hashlib.sha256()
        self._line.update(rest.encode())
        return None


@contextmanager
def written_with_hashes(file: Path) -> Iterator[tuple[Output, ChainWriter | None]]:
    """Give a stream to write to, and the chain of its lines; a pipe has none. Raises KruispostError where it cannot write."""
    if file.exists() and not file.is_file():
        with written_whole(file) as stream:
            yield stream, None
        return
    with written_whole(hashes_of(file)) as hashes, written_whole(file) as stream:
        chain = ChainWriter(hashes, COLUMNS)
        yield HashedStream(stream, chain), chain


def hashes_of(file: Path) -> Path:
    """Return the file with the hashes of an audit file."""
    return file.with_name(f"{file.name}.sha256.csv")


def is_audit_file(file: Path) -> bool:
    """Whether it is an audit file, also one that was damaged at its beginning: then its hashes are beside it."""
    with file.open("rb") as stream:
        return stream.read(len(BEGINNING)) == BEGINNING or hashes_of(file).exists()


@dataclass(frozen=True, slots=True)
class CheckedPair:
    """What came of checking an audit file: of the chain beside it, and the first of its own lines that is not as written."""

    chain: Checked
    broken_at: int | None


def check_pair(file: Path, noted: str | None) -> CheckedPair:
    """Check the chain of hashes, then the lines by them. Raises OSError, ValueError where one of the files is none."""
    with hashes_of(file).open(encoding="utf-8", errors="surrogateescape", newline="") as hashes:
        try:
            chain = check(hashes, noted)
        except ValueError as error:
            raise ValueError(f"{hashes_of(file)}, {error}") from error
    if chain.broken_at is not None:
        return CheckedPair(chain, None)
    with file.open("rb") as lines, hashes_of(file).open(encoding="utf-8") as hashes:
        next(hashes)
        for number, (line, row) in enumerate(zip_longest(lines, hashes), start=1):
            if line is None or row is None or row.split('"', 2)[1] != hashlib.sha256(line).hexdigest():
                return CheckedPair(chain, number)
    return CheckedPair(chain, None)
