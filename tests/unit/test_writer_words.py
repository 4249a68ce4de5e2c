"""What the writer and ingest say to people stands in Dutch as well, with the same values filled in."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

import exact_writer
from contracts.envelope import Message
from contracts.messages import MESSAGES
from exact_writer import refusals, words
from exact_writer.words import Told
from ingest.pdf_api import WHYS, NoPdfError

SOURCES = [path.read_text(encoding="utf-8") for path in Path(exact_writer.__path__[0]).glob("*.py")]
# Fields of messages that a person reads; what Exact itself says has no Dutch but Exact's.
FOR_PEOPLE = ("sentence", "action", "message", "explanation", "about_dimensions", "reason")


def values_of(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


@pytest.mark.parametrize(("english", "dutch"), [*words.SENTENCES.values(), *WHYS.values()])
def test_the_dutch_of_a_sentence_tells_as_much_as_the_english(english, dutch):
    assert values_of(english) == values_of(dutch)
    assert english != dutch


@pytest.mark.parametrize(
    ("english", "dutch"), [(refusals.ACTIONS, words.ACTIONS_NL), (refusals.PDF_ACTIONS, words.PDF_ACTIONS_NL)]
)
def test_every_advice_stands_in_dutch(english, dutch):
    assert english.keys() == dutch.keys()
    assert all(english[code] != dutch[code] for code in english)


def test_every_sentence_that_the_writer_says_is_in_its_list():
    said = {name for source in SOURCES for name in re.findall(r'\bsay\(\s*"([a-z_]+)"', source)}
    kinds = ("cost_center", "cost_unit")
    said |= {name for kind in kinds for name in (f"{kind}_missing", f"unknown_{kind}", f"{kind}_not_allowed")}
    said |= {"no_sales_journal", "no_general_journal", "mark_vat_number", "mark_email"}
    said |= {"unknown_gl_account", "unknown_payment_condition", "customer_ambiguous", "customer_ambiguous_one"}
    assert said == words.SENTENCES.keys()


@pytest.mark.parametrize("kind", MESSAGES.values(), ids=MESSAGES)
def test_no_message_has_words_for_people_without_their_dutch(kind: type[Message]):
    fields = set(kind.__struct_fields__)
    assert [name for name in FOR_PEOPLE if name in fields and f"{name}_nl" not in fields] == []


@pytest.mark.parametrize("name", words.CONNECTION)
def test_why_a_division_is_not_connected_is_told_in_dutch_with_what_exact_said(name: str):
    values = {each: f"what {each} says (invalid_grant), in {{braces}}" for each in values_of(words.SENTENCES[name][0])}
    told = words.say(name, **values)
    assert words.connection_in_dutch(told.english) == told.dutch
    assert words.connection_in_dutch("something that this release never says") == ""


def test_no_division_is_reported_for_a_reason_that_is_not_in_the_list():
    reported = {name for source in SOURCES for name in words.CONNECTION if re.search(rf'say\(\s*"{name}"', source)}
    assert reported == {*words.CONNECTION}
    literal = [found for source in SOURCES for found in re.findall(r'report\("(?:blocked|consent_needed)", f?"[^"]*"', source)]
    assert not literal


def test_a_sentence_and_its_advice_are_told_in_both_languages():
    told = words.say("unknown_vat_code", code="44").and_then(refusals.action("unknown_vat_code"))
    assert told == Told(
        "Exact has no VAT code 44. Create the VAT code in Exact, or correct it in the mapping.",
        "Exact heeft geen btw-code 44. Maak de btw-code in Exact, of verbeter haar in de mapping.",
    )
    missing = NoPdfError("pdf_missing", "missing", name="credit note CN-1")
    assert (missing.message, missing.message_nl) == (
        "Chargebee has no credit note CN-1.",
        "Chargebee heeft geen creditnota CN-1.",
    )
