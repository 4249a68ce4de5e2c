"""Reading a CSV of links: which document is which entry of Exact's. Everything that is wrong is told, with its line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from backbone.errors import KruispostError
from mapper.settlement_files import SettlementFileError, read_text

REQUIRED: Final = ("document", "entry", "amount")
OPTIONAL: Final = ("kind", "site", "journal", "customer")
MOST_TOLD: Final = 25
HEAD: Final = "{file} is not taken, and nothing was linked:\n{lines}\nCorrect it and import it again."
_SEPARATORS: Final = ";,\t"
_AMOUNT = re.compile(r"-?\d{1,3}(?:(?P<group>[.,' ])\d{3})(?:(?P=group)\d{3})*(?:[.,]\d{2})?|-?\d+(?:[.,]\d{1,2})?")
_UNCLEAR = re.compile(r"-?\d{1,3}[.,]\d{3}")


class LinksFileError(KruispostError):
    """A file of links cannot be taken; the sentence names what is wrong in it, line by line, and nothing was linked."""

    def __init__(self, file: Path, wrong: Sequence[str], *, words: str = HEAD) -> None:
        self.file, self.wrong = file, list(wrong)
        if len(wrong) > MOST_TOLD and words is HEAD:
            self.wrong = [*wrong[:MOST_TOLD], f"... and {len(wrong) - MOST_TOLD} more"]
        super().__init__("links_file", words.format(file=file.name, lines="\n".join(f"  {each}" for each in self.wrong)))


@dataclass(frozen=True, slots=True, kw_only=True)
class WishedLink:
    """One line: a document by its number, the number of an entry in Exact, and the amount that both have, in its own unit."""

    line: int
    document: str
    entry: int
    amount: Decimal
    kind: str = ""
    site: str = ""
    journal: str = ""
    customer: str = ""


def read_links(file: Path) -> list[WishedLink]:
    """Return the links of a file; raises LinksFileError, which names every line that is wrong."""
    text = _text(file)
    separator = max(_SEPARATORS, key=next(iter(text.splitlines()), "").count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    wrong: list[str] = []
    found: list[WishedLink] = []
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        _check_heading(file, names)
        for values in reader:
            if any(value.strip() for value in values):
                row = {name: value.strip() for name, value in zip(names, values, strict=False)}
                link, mistakes = _link(reader.line_num, row, is_whole=len(values) == len(names))
                wrong += mistakes
                found += [link] if link is not None else []
    except csv.Error as error:
        wrong.append(f"line {reader.line_num}: this is no whole line of CSV ({error})")
    wrong += _doubled(found)
    if wrong:
        raise LinksFileError(file, wrong)
    if not found:
        raise LinksFileError(file, ["it has no lines below its heading"])
    return found


def _text(file: Path) -> str:
    try:
        text = read_text(file)
    except SettlementFileError as error:
        raise LinksFileError(file, ["it cannot be read as text; save it as CSV in UTF-8, and look whether it exists"]) from error
    if "\0" in text or text.startswith("PK\x03\x04"):
        raise LinksFileError(file, ["this is no text but a workbook or another binary file; save it as CSV in UTF-8"])
    return text


def _check_heading(file: Path, names: Sequence[str]) -> None:
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        has, may = ", ".join(filter(None, names)) or "nothing", ", ".join(OPTIONAL)
        raise LinksFileError(file, [f"its first line has no column {', '.join(missing)}; it has {has}. There may also be {may}"])
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise LinksFileError(file, [f"its first line has {', '.join(repeated)} twice"])


def _link(line: int, row: dict[str, str], *, is_whole: bool) -> tuple[WishedLink | None, list[str]]:
    wrong = [] if is_whole else [f"line {line}: it has not as many columns as the heading"]
    wrong += [f"line {line}: {name} is empty" for name in REQUIRED if not row.get(name)]
    if wrong:
        return None, wrong
    entry, amount = row["entry"], _amount(row["amount"])
    if not (entry.isascii() and entry.isdecimal()):
        wrong.append(f"line {line}: entry is {entry!r}, and not the number of an entry in Exact, such as 26700042")
    if amount is None:
        wrong.append(f"line {line}: amount is {row['amount']!r}, and not an amount such as 1210.50 or 1.210,50")
    if wrong or amount is None:
        return None, wrong
    more = {name: row.get(name, "") for name in OPTIONAL}
    return WishedLink(line=line, document=row["document"], entry=int(entry), amount=amount, **more), []


def _amount(text: str) -> Decimal | None:
    """Return an amount with a decimal point or a decimal comma; None for what could be read in two ways, or is none."""
    plain = text.replace("\u00a0", " ").removeprefix("€").strip()
    if not _AMOUNT.fullmatch(plain) or _UNCLEAR.fullmatch(plain):
        return None
    decimals = re.search(r"[.,](\d{1,2})$", plain)
    whole = re.sub(r"[^\d-]", "", plain[: decimals.start()] if decimals else plain)
    return Decimal(f"{whole}.{decimals.group(1)}" if decimals else whole)


def _doubled(found: Sequence[WishedLink]) -> Iterator[str]:
    documents: dict[tuple[str, str, str], int] = {}
    entries: dict[tuple[str, int], WishedLink] = {}
    for each in found:
        first = documents.setdefault((each.site, each.kind, each.document), each.line)
        if first != each.line:
            yield f"line {each.line}: document {each.document} stands in line {first} already"
            continue
        other = entries.setdefault((each.journal, each.entry), each)
        if other is not each:
            yield f"line {each.line}: entry {each.entry} is document {other.document} in line {other.line} already"
