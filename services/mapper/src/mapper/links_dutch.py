"""Why a file of links is not taken, in Dutch, line by line; what stands in the file goes in as it is."""

from __future__ import annotations

from typing import Final

from backbone.sentence_patterns import patterns
from mapper.links_file import LinksFileError

KINDS: Final = {"invoice ": "factuur ", "credit note ": "creditnota ", "payment ": "betaling ", "refund ": "terugbetaling "}
_OF_KINDS: Final = ("name", "names")
HEAD: Final = "{file} wordt niet ingelezen, en er is niets verbonden:\n{lines}\nVerbeter het en lees het opnieuw in."
LINE: Final = ("line {number}: {told}", "regel {number}: {told}")
# The first that fits counts, so what fits much stands last.
SENTENCES: Final[tuple[tuple[str, str], ...]] = (
    ("... and {count} more", "... en nog {count}"),
    (
        "it cannot be read as text; save it as CSV in UTF-8, and look whether it exists",
        "het is niet als tekst te lezen; bewaar het als CSV in UTF-8, en kijk of het bestaat",
    ),
    (
        "this is no text but a workbook or another binary file; save it as CSV in UTF-8",
        "dit is geen tekst maar een werkmap of een ander binair bestand; bewaar het als CSV in UTF-8",
    ),
    ("it has no lines below its heading", "er staan geen regels onder de kop"),
    (
        "its first line has no column {missing}; it has nothing. There may also be {may}",
        "de eerste regel heeft geen kolom {missing}; hij is leeg. Er mogen ook staan: {may}",
    ),
    (
        "its first line has no column {missing}; it has {has}. There may also be {may}",
        "de eerste regel heeft geen kolom {missing}; wel {has}. Er mogen ook staan: {may}",
    ),
    ("its first line has {columns} twice", "de eerste regel heeft {columns} dubbel"),
    ("this is no whole line of CSV ({why})", "dit is geen volledige CSV-regel ({why})"),
    ("it has not as many columns as the heading", "hier staan niet evenveel kolommen als in de kop"),
    (
        "entry is {text}, and not the number of an entry in Exact, such as 26700042",
        "entry is {text}, en geen boekingsnummer van Exact, zoals 26700042",
    ),
    (
        "amount is {text}, and not an amount such as 1210.50 or 1.210,50",
        "amount is {text}, en geen bedrag zoals 1210.50 of 1.210,50",
    ),
    ("document {document} stands in line {line} already", "document {document} staat al in regel {line}"),
    ("entry {entry} is document {document} in line {line} already", "boeking {entry} is al document {document} in regel {line}"),
    ("kind is {kind}, and none of {kinds}", "kind is {kind}, en geen van {kinds}"),
    (
        "no document {document} is known here; let `kruispost backfill` fetch it first",
        "document {document} is hier niet bekend; laat `kruispost backfill` het eerst ophalen",
    ),
    (
        "{document} is {names}; name it in the columns kind and site",
        "{document} is {names}; noem het in de kolommen kind en site",
    ),
    (
        "{name} belongs to division {division}, and not to {other}",
        "{name} hoort bij administratie {division}, en niet bij {other}",
    ),
    ("{name} is {total} in Chargebee, and not {amount}", "{name} is {total} in Chargebee, en niet {amount}"),
    (
        "{name}: Exact has no entry {entry} in journal {journal}, as its ledger was last read",
        "{name}: Exact heeft geen boeking {entry} in dagboek {journal}, zoals het grootboek het laatst is gelezen",
    ),
    (
        "{name}: Exact has no entry {entry}, as its ledger was last read",
        "{name}: Exact heeft geen boeking {entry}, zoals het grootboek het laatst is gelezen",
    ),
    (
        "{name}: entry {entry} stands in several journals ({journals}); name it in a column journal",
        "{name}: boeking {entry} staat in meer dagboeken ({journals}); noem het in een kolom journal",
    ),
    (
        "{name}: entry {entry} has {found} on debtors in Exact, and Chargebee has {total}",
        "{name}: boeking {entry} heeft {found} op debiteuren in Exact, en Chargebee heeft {total}",
    ),
    (
        "{name}: entry {entry} stands with customer {whose} in Exact, and Chargebee has {customer}",
        "{name}: boeking {entry} staat in Exact bij klant {whose}, en Chargebee heeft {customer}",
    ),
    (
        "{name}: it is of customer {customer} in Chargebee, and not of {other}",
        "{name}: het is in Chargebee van klant {customer}, en niet van {other}",
    ),
    (
        "{name} is on its way to Exact; `kruispost trace {number}` says where it is",
        "{name} is onderweg naar Exact; `kruispost trace {number}` zegt waar het is",
    ),
    (
        "{name} is linked to entry {entry} of journal {journal} already",
        "{name} is al verbonden met boeking {entry} van dagboek {journal}",
    ),
    (
        "{name} was booked by Kruispost; `kruispost trace {number}` names its entry",
        "{name} is door Kruispost geboekt; `kruispost trace {number}` noemt de boeking",
    ),
    ("{column} is empty", "{column} is leeg"),
)


def in_dutch(error: LinksFileError) -> LinksFileError:
    """Return the error with each of its lines in Dutch."""
    told = [sentence_in_dutch(each) for each in error.wrong]
    return LinksFileError(error.file, told, words=HEAD)


def sentence_in_dutch(told: str) -> str:
    """Return what is wrong in Dutch; a sentence that is not in the list stays as it is."""
    at_line = patterns((LINE,))[0][0].fullmatch(told)
    if at_line is not None:
        return LINE[1].format(number=at_line["number"], told=sentence_in_dutch(at_line["told"]))
    for pattern, dutch in patterns(SENTENCES):
        found = pattern.fullmatch(told)
        if found is not None:
            holes = found.groupdict()
            return dutch.format_map({name: _named(text) if name in _OF_KINDS else text for name, text in holes.items()})
    return told


def _named(text: str) -> str:
    for english, dutch in KINDS.items():
        if text.startswith(english):
            return dutch + text.removeprefix(english)
    return text
