"""The names of documents, and what else fills a reason in, in Dutch."""

from __future__ import annotations

_KINDS = (
    ("exchange difference of payment ", "koersverschil van betaling "),
    ("exchange difference of refund ", "koersverschil van terugbetaling "),
    ("exchange difference on the debtor of ", "koersverschil op de debiteur van "),
    ("application ", "koersverschil op de debiteur van "),
    ("exchange difference ", "koersverschil van "),
    ("VAT of write-off ", "btw van afboeking "),
    ("vat reclaim ", "btw van afboeking "),
    ("withheld tax ", "ingehouden belasting "),
    ("tax withheld ", "ingehouden belasting "),
    ("write-off ", "afboeking "),
    ("credit note ", "creditnota "),
    ("invoice ", "factuur "),
    ("payment ", "betaling "),
    ("refund ", "terugbetaling "),
    ("payout ", "uitbetaling "),
    ("customer ", "klant "),
)
NAMES = frozenset(("document", "missing", "customer"))
_PHRASES = {
    "date": "de datum",
    "due date": "de vervaldatum",
    "date, customer or currency": "de datum, de klant of de valuta",
    "its country and service period": "het land en de periode van levering",
    "(none)": "(geen)",
    "unknown": "onbekend",
    "without a type": "zonder soort",
}
PHRASED = frozenset(("field", "subject", "entity", "country", "discount"))


def document_in_dutch(name: str) -> str:
    """Return the name of a document or customer as Dutch has it: invoice INV-7 is factuur INV-7."""
    for english, dutch in _KINDS:
        if name.startswith(english):
            return dutch + name.removeprefix(english).replace(" of invoice ", " van factuur ")
    return name


def value_in_dutch(name: str, value: object) -> object:
    """Return what a template is filled in with, where it is a word of ours."""
    if name in NAMES:
        return document_in_dutch(str(value))
    return _PHRASES.get(str(value), value) if name in PHRASED else value
