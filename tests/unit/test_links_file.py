"""A file of links: taken in the ways that people save one, and every line that is wrong is named."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from mapper.links_file import LinksFileError, read_links


def written(directory: Path, content: bytes | str) -> Path:
    file = directory / "links.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1210.5", "1210.5"),
        ("1.210,50", "1210.50"),
        ("1,210.50", "1210.50"),
        ("1 210,50", "1210.50"),
        ("€ 1210,50", "1210.50"),
        ("-12", "-12"),
    ],
)
def test_an_amount_is_read_as_people_write_it(tmp_path: Path, text: str, amount: str) -> None:
    (link,) = read_links(written(tmp_path, f"Document\tENTRY\tamount\tkind\nCN-1\t42\t{text}\tcredit_note\n"))
    assert (link.document, link.entry, link.amount, link.kind) == ("CN-1", 42, Decimal(amount), "credit_note")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_file_is_read_in_the_encodings_of_spreadsheets(tmp_path: Path, encoding: str) -> None:
    (link,) = read_links(written(tmp_path, "document;entry;amount;customer\nINV-1;42;1,00;Crêperie\n".encode(encoding)))
    assert link.customer == "Crêperie"


WRONG = {
    "": "no column document, entry, amount; it has nothing",
    "document;amount\nINV-1;1,00\n": "no column entry; it has document, amount",
    "document;entry;amount;entry\n": "has entry twice",
    "document;entry;amount\n": "no lines below its heading",
    "document;entry;amount\nINV-1;42\n": "line 2: it has not as many columns as the heading",
    "document;entry;amount\n;42;1,00\n": "line 2: document is empty",
    "document;entry;amount\nINV-1;70/42;1,00\n": "line 2: entry is '70/42'",
    "document;entry;amount\nINV-1;42;veel\n": "line 2: amount is 'veel'",
    "document;entry;amount\nINV-1;42;1.210\n": "line 2: amount is '1.210'",
    "document;entry;amount\nINV-1;42;1,00\nINV-1;43;1,00\n": "line 3: document INV-1 stands in line 2 already",
    "document;entry;amount\nINV-1;42;1,00\nINV-2;42;1,00\n": "line 3: entry 42 is document INV-1 in line 2 already",
    'document;entry;amount\n"INV-1;42;1,00\n': "no whole line of CSV",
    "PK\x03\x04": "a workbook or another binary file",
}


@pytest.mark.parametrize("content", WRONG)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, content: str) -> None:
    with pytest.raises(LinksFileError) as caught:
        read_links(written(tmp_path, content))
    assert WRONG[content] in caught.value.sentence
    assert "nothing was linked" in caught.value.sentence


def test_every_wrong_line_is_named_at_once_and_no_more_than_people_read(tmp_path: Path) -> None:
    lines = "".join(f"INV-{place};x;1,00\n" for place in range(40))
    with pytest.raises(LinksFileError) as caught:
        read_links(written(tmp_path, f"document;entry;amount\n{lines}"))
    assert "line 2:" in caught.value.sentence
    assert "line 26:" in caught.value.sentence
    assert "... and 15 more" in caught.value.sentence


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LinksFileError, match=r"gone\.csv is not taken"):
        read_links(tmp_path / "gone.csv")
