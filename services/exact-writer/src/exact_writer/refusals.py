"""Exact's refusals: its Dutch and English texts to stable codes, and the codes of the check before a call.

A business refusal is HTTP 500 with an OData error body; several messages are joined by line breaks. The most telling one wins.
"""

from __future__ import annotations

import re
from typing import Final

from exact_writer.words import ACTIONS_NL, PDF_ACTIONS_NL, Told

# Every code that EntryRefused and AccountRefused can carry, with what a person can do.
ACTIONS: Final[dict[str, str]] = {
    "period_closed": "Open the period in Exact, or let the document move to the next open period.",
    "no_financial_year": "Create the financial year in Exact, then run `kruispost retry NUMBER`.",
    "not_a_customer": "Make the account a customer in Exact (status Customer), then run `kruispost retry NUMBER`.",
    "vat_not_allowed": "Allow VAT on the journal in Exact, or map the document to a journal that allows it.",
    "duplicate": "Look in Exact for the record that already has this number or code.",
    "unbalanced": "Report this with the document's number: the entry was sent unbalanced.",
    "invalid_reference": "Compare the mapping with Exact: a ledger, VAT code, cost centre or journal is not usable there.",
    "mandatory_field": "Fill in what Exact asks for in the mapping or in the settings of the administration.",
    "invalid_value": "Correct the value in Chargebee or in the mapping; Exact names the field.",
    "malformed": "Report this with the document's number: Exact could not read the request.",
    "exact_failure": "Ask Exact's support with the time and the number; then run `kruispost retry NUMBER`.",
    "unknown_gl_account": "Create the ledger in Exact, or correct its code in the mapping.",
    "blocked_gl_account": "Unblock the ledger in Exact, or map to another one.",
    "wrong_gl_account_type": "Correct the ledger in the mapping: its type in Exact does not fit there.",
    "customer_missing": "Correct the ledger in the mapping: what stands on a debtors account needs a customer.",
    "unknown_journal": "Create the journal in Exact, or correct its code in the configuration.",
    "wrong_journal_type": "Choose a sales journal for invoices and credit notes and a general journal for payments.",
    "blocked_journal": "Unblock the journal in Exact, or choose another one in the configuration.",
    "currency_not_allowed": "Let the journal take any currency in Exact, or choose another journal in the configuration.",
    "unknown_currency": "Activate the currency in Exact, then run `kruispost retry NUMBER`.",
    "unknown_vat_code": "Create the VAT code in Exact, or correct it in the mapping.",
    "blocked_vat_code": "Unblock the VAT code in Exact, or choose another one in the mapping.",
    "vat_code_for_purchases": "Choose a VAT code for sales in the mapping.",
    "vat_code_inclusive": "Choose the VAT code that excludes VAT (type E) in the mapping.",
    "vat_amount_not_allowed": "Choose a VAT code with a rate in the mapping, or correct the VAT in Chargebee.",
    "unknown_cost_center": "Create the cost centre in Exact, or correct its code in the mapping.",
    "unknown_cost_unit": "Create the cost unit in Exact, or correct its code in the mapping.",
    "cost_center_missing": "Add a cost centre for this ledger in the mapping, or make it optional in Exact.",
    "cost_center_not_allowed": "Leave the cost centre of this ledger out of the mapping, or allow it in Exact.",
    "cost_unit_missing": "Add a cost unit for this ledger in the mapping, or make it optional in Exact.",
    "cost_unit_not_allowed": "Leave the cost unit of this ledger out of the mapping, or allow it in Exact.",
    "reference_too_long": "Give the document a shorter number in Chargebee, or book it by hand.",
    "unknown_payment_condition": "Create the payment condition in Exact, or correct its code under payment_conditions.",
    "customer_ambiguous": "Name the account under customers.links of the division, or new for one of its own; then restart.",
    "account_blocked": "Unblock the account in Exact, or link the customer to another one under customers.links.",
    "account_gone": (
        "Name the account that is the customer's now under customers.links of the division, or new for one of its own; restart, "
        "then run `kruispost retry NUMBER`."
    ),
    "reference_taken": (
        "Look at that entry in Exact: delete it if it is this document, leave it if it is another's; then run "
        "`kruispost retry NUMBER`, which books this one."
    ),
    "unknown_account": "Correct the code under customers.links, or create the account in Exact.",
    "exists_otherwise": "Compare both; `kruispost links` links them, or lets the document be booked all the same.",
    "linked_entry_gone": "Look in Exact which entry it is, and name that with `kruispost links accept`.",
    "withdrawn": "Start the mapper with the changed mapping, or run `kruispost retry --code withdrawn`.",
    "other": "Read Exact's message; then run `kruispost retry NUMBER`.",
}

# What a person can do about a PDF that is not attached; the codes of a refusal by Exact may stand there as well.
PDF_ACTIONS: Final[dict[str, str]] = {
    "pdf_missing": "Nothing, if the document was deleted in Chargebee; otherwise attach the PDF by hand.",
    "pdf_refused": "Read Chargebee's message; then ask again with `kruispost pdf NUMBER`.",
    "pdf_unavailable": "Look whether Chargebee shows the PDF; then ask again with `kruispost pdf NUMBER`.",
    "pdf_unusable": "Look whether Chargebee shows the PDF; then ask again with `kruispost pdf NUMBER`.",
    "pdf_of_another": "Nothing: what was booked after it gets its own PDF.",
    "pdf_too_large": "Attach a smaller file in Exact by hand.",
    "pdf_not_answered": "Look whether ingest runs; then ask again with `kruispost pdf NUMBER`.",
    "other": "Ask again with `kruispost pdf NUMBER`, or attach the PDF by hand.",
}

# In the order of what helps most: a closed period is named even when another message stands beside it.
_PATTERNS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (code, re.compile(pattern, re.IGNORECASE))
    for code, pattern in (
        ("period_closed", r"periode is (af)?gesloten|period is closed|boekjaar is gesloten|financial year is closed"),
        ("no_financial_year", r"(verplicht|onbekend): boekjaar|(mandatory|unknown): financial year"),
        ("not_a_customer", r"(ongeldig: klant|invalid: customer) \(type\)"),
        ("account_blocked", r"geblokkeerd: (klant|relatie)|blocked: (customer|account)"),
        ("vat_not_allowed", r"(niet toegestaan: btw-code|not allowed: vat code)"),
        ("unbalanced", r"niet in evenwicht|not (in )?balance|out of balance"),
        ("duplicate", r"bestaat reeds|already exists|in gebruik: boekstuknummer|already used|reeds verwerkt|moet zijn: uniek"),
        ("wrong_journal_type", r"(ongeldig: dagboek|invalid: (journal|diary)) \(type\)"),
        ("invalid_reference", r"ongeldige referentie|invalid reference|niet herkende guid|unrecognized guid|ongeldig grootboek"),
        ("mandatory_field", r"verplicht:|mandatory:"),
        ("invalid_value", r"ongeldig:|invalid:|niet toegestaan:|not allowed:|geblokkeerd:|blocked:"),
    )
)

# Bodies in Exact's error envelope that say that Exact itself failed: whether it wrote anything is not known.
_FAILURES: Final = re.compile(
    r"a problem has occurred|er is een probleem opgetreden|object reference not set|objectverwijzing is niet|server unavailable",
    re.IGNORECASE,
)


def action(code: str) -> Told:
    """What a person can do about a refusal with this code."""
    return Told(ACTIONS[code], ACTIONS_NL[code])


def pdf_action(code: str) -> Told:
    """What a person can do about a PDF that is not attached."""
    known = code if code in PDF_ACTIONS else "other"
    return Told(PDF_ACTIONS[known], PDF_ACTIONS_NL[known])


def classify(message: str) -> str:
    """The stable code of Exact's words; `other` for words that the catalogue does not know."""
    for code, pattern in _PATTERNS:
        if pattern.search(message):
            return code
    return "other"


def is_failure(message: str) -> bool:
    """Whether the words say that Exact failed, so that the outcome has to be looked up, rather than that it refused."""
    return not message.strip() or _FAILURES.search(message) is not None


def one_line(message: str) -> str:
    """Exact's messages on one line, in their order."""
    return "; ".join(part.strip() for part in message.splitlines() if part.strip())
