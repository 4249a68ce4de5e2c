"""Why a file of links is not taken is told in Dutch, too, every sentence of it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from mapper import links, links_file
from mapper.links_dutch import in_dutch, sentence_in_dutch
from mapper.links_file import LinksFileError, read_links

# What is no sentence: a part of one, or a name.
PARTS = (" in journal X", "X X", "X of X", "link X ", "X, sha256 X", "X/X", "X.X", "X: X", "  X", "", "line X: X")


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _told() -> Iterator[str]:
    """Give every sentence with something put in that the code writes, and those that it gives for the whole file."""
    for module in (links, links_file):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.JoinedStr):
                yield _text(node) or ""
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "LinksFileError" and len(node.args) > 1:
                listed = node.args[1]
                yield from filter(None, map(_text, listed.elts)) if isinstance(listed, ast.List) else ()


def test_every_sentence_has_its_dutch() -> None:
    told = {each for each in _told() if each not in PARTS}
    assert len(told) > 20
    # Some are told of a document, whose name is put before them.
    untold = [
        each for each in sorted(told) if sentence_in_dutch(each) == each and sentence_in_dutch(f"X: {each}") == f"X: {each}"
    ]
    assert untold == []


@pytest.mark.parametrize(
    ("english", "dutch"),
    [
        (
            "line 5: credit note CN-2: entry 42 has EUR 136.50 on debtors in Exact, and Chargebee has EUR 1,197.90",
            "regel 5: creditnota CN-2: boeking 42 heeft EUR 136.50 op debiteuren in Exact, en Chargebee heeft EUR 1,197.90",
        ),
        ("line 8: entry is 'line 3: x', and not the number of an entry in Exact, such as 26700042",
         "regel 8: entry is 'line 3: x', en geen boekingsnummer van Exact, zoals 26700042"),
        ("something else", "something else"),
    ],
)  # fmt: skip
def test_what_stands_in_the_file_and_in_the_books_stays(english: str, dutch: str) -> None:
    assert sentence_in_dutch(english) == dutch


def test_a_whole_file_is_refused_in_dutch(tmp_path: Path) -> None:
    file = tmp_path / "links.csv"
    file.write_text("document,entry,amount\n" + "INV-1,x,1.00\n" * 30)
    with pytest.raises(LinksFileError) as refused:
        read_links(file)
    lines = in_dutch(refused.value).sentence.splitlines()
    assert lines[0] == "links.csv wordt niet ingelezen, en er is niets verbonden:"
    assert lines[-2:] == ["  ... en nog 5", "Verbeter het en lees het opnieuw in."]
