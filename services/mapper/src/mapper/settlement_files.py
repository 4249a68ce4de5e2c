"""Reading a gateway's settlement file: bytes to rows that are whole, or one sentence that says which line is not and why.

A file is taken as a whole or not at all, so that half a file books nothing.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from backbone.errors import KruispostError
from bookkeeping.money import decimals_of

MOST_BYTES: Final = 64 * 1024 * 1024
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SEPARATORS: Final = ",;\t"
_AMOUNT: Final = re.compile(r"[-+]?[0-9]{1,13}(\.[0-9]{0,8})?")


class SettlementFileError(KruispostError):
    """A settlement file cannot be taken; the sentence names the file, the line and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__("settlement_file", sentence)


@dataclass(frozen=True, slots=True)
class SettlementRow:
    """One row of a CSV file with its line, for saying what is wrong with it."""

    file: str
    line: int
    values: dict[str, str]

    def text(self, *names: str) -> str:
        """Return the first of these columns that has a value, or an empty text."""
        return next((self.values[name] for name in names if self.values.get(name)), "")

    def amount(self, name: str, currency: str) -> int:
        """Return an amount that is written in whole units with a decimal point, in minor units; nothing is zero."""
        return minor_of(self.values.get(name, ""), currency, f"{self.file}:{self.line}", name)

    def amount_there(self, name: str, currency: str) -> int:
        """Return the same of an amount without which the row says nothing; raises SettlementFileError where it is empty."""
        if not self.text(name):
            raise self.wrong(f"{name} is empty")
        return self.amount(name, currency)

    def day(self, *names: str) -> date:
        """Return the day of a column that begins with a date written as 2026-03-05; raises SettlementFileError."""
        text = self.text(*names)
        try:
            return date.fromisoformat(text[:10])
        except ValueError as error:
            raise self.wrong(f"{names[0]} is {text!r}, and not a date such as 2026-03-05") from error

    def wrong(self, what: str) -> SettlementFileError:
        """Return the error that says what is wrong with this row."""
        return SettlementFileError(f"{self.file}:{self.line}: {what}; export the file again, nothing of it was imported.")


def read_text(path: Path) -> str:
    """Return a file's text in whatever of the usual encodings it is written; raises SettlementFileError."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SettlementFileError(f"{path.name} is larger than {MOST_BYTES // 1024 // 1024} MB; export a shorter time.")
        content = path.read_bytes()
    except OSError as error:
        raise SettlementFileError(f"{path} cannot be read ({error.strerror}); name a file that exists.") from error
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    for each in [encoding] if encoding else ["utf-8", "cp1252"]:
        try:
            text = content.decode(each)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:  # as UTF-16 without its mark has it, or a file that is none of text
            return text
    raise SettlementFileError(f"{path.name} is no text that can be read; export it again as CSV or JSON in UTF-8.")


def read_rows(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> list[SettlementRow]:
    """Return the rows of a CSV file with a heading; raises SettlementFileError for a missing column or a row that is cut off.

    `optional` are the columns that are read where they are there.
    """
    text = read_text(path)
    heading = next(iter(text.splitlines()), "")
    separator = max(_SEPARATORS, key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows, names = [], [name.strip() for name in next(_lines(reader, path.name), [])]
    missing = [name for name in required if name not in names]
    if missing:
        have = ", ".join(names[:30]) or "nothing"
        raise SettlementFileError(
            f"{path.name} has no column {', '.join(missing)}; it has {have}. Export the report with these columns."
        )
    for values in _lines(reader, path.name):
        if not any(value.strip() for value in values):
            continue
        row = SettlementRow(path.name, reader.line_num, dict(zip(names, (value.strip() for value in values), strict=False)))
        if len(values) != len(names):
            raise row.wrong(f"the line has {len(values)} of {len(names)} columns, so it was cut off or changed")
        rows.append(row)
    if not rows:
        raise SettlementFileError(f"{path.name} has no rows below its heading; export a time in which there was a payout.")
    if names[-1] in (*required, *optional) and not text.endswith(("\n", "\r")):
        # A value without a line's end may have lost its last digits; only where it is not read that does not matter.
        raise rows[-1].wrong(f"the last line has no end, so {names[-1]} may be cut off")
    return rows


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, with exact numbers; raises SettlementFileError."""
    try:
        return json.loads(read_text(path), parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise SettlementFileError(
            f"{path.name}:{error.lineno}: this is no whole JSON ({error.msg}); export the file again, nothing was imported."
        ) from error
    except RecursionError as error:
        raise SettlementFileError(f"{path.name} is nested too deeply to be a settlement; nothing was imported.") from error


def minor_of(text: str, currency: str, where: str, name: str) -> int:
    """Return an amount in minor units; raises SettlementFileError for what is no number or has more decimals than money."""
    if not text:
        return 0
    if _AMOUNT.fullmatch(text) is None:
        raise SettlementFileError(
            f"{where}: {name} is {text!r}, and not an amount such as 12.50; nothing of the file was imported."
        )
    minor = Decimal(text).scaleb(decimals_of(currency))
    if minor != minor.to_integral_value():
        raise SettlementFileError(
            f"{where}: {name} is {text}, which has more decimals than {currency} has; nothing of the file was imported."
        )
    return int(minor)


def day_of(text: str, where: str) -> date:
    """Return the day of an instant such as 2026-03-05T10:00:00+00:00; raises SettlementFileError."""
    try:
        return datetime.fromisoformat(text).date()
    except ValueError as error:
        raise SettlementFileError(f"{where}: {text!r} is no date; nothing of the file was imported.") from error


def _lines(reader: Any, file: str) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise SettlementFileError(
            f"{file}:{reader.line_num}: this is no whole line of CSV ({error}); export the file again, nothing was imported."
        ) from error
