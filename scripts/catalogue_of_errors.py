"""Every code that a person may meet, with what happened and what to do; most come from the tables of the packages themselves."""

from collections.abc import Iterable

from bookkeeping.hold_reasons import REASONS, Reason
from bookkeeping.rejections import PATIENCE_DAYS, SET_ASIDES
from exact_writer.refusals import ACTIONS, PDF_ACTIONS
from mapper.live_words import COMPLAINTS
from payment_matcher.refusals import REFUSALS

Row = tuple[str, str, str]

NOTHING = "Nothing: it is as it should be."
_SENDER = "Find out who sends it: Chargebee does not. It was not stored."

# The door and the backbone raise their codes where things go wrong; a test compares this table with those places.
DOOR: tuple[Row, ...] = (
    ("credentials_wrong", "401: the webhook's user name or password is wrong.", "Compare the webhook's settings with ours."),
    (
        "site_unknown",
        "404: the address names a site that is not configured.",
        "Add the site to kruispost.yaml, or correct the address.",
    ),
    ("body_too_large", "413: the body is larger than allowed.", "Raise KRUISPOST_MAX_BODY_BYTES; Chargebee delivers again."),
    ("body_cut_off", "400: the connection ended before the body did.", "Nothing: Chargebee delivers again."),
    ("not_utf8", "422: the body is not UTF-8.", _SENDER),
    ("not_json", "422: the body is not JSON.", _SENDER),
    ("not_an_object", "422: the body is JSON but no event.", _SENDER),
    ("nested_too_deep", "422: the body nests deeper than any event.", _SENDER),
    ("event_id_missing", "422: the event has no id.", _SENDER),
    ("event_id_unusable", "422: the event's id is too long, unprintable or no text.", _SENDER),
    ("event_type_missing", "422: the event has no type.", _SENDER),
    ("event_type_unusable", "422: the event's type is too long, unprintable or no text.", _SENDER),
    ("content_missing", "422: the event has no content.", _SENDER),
    ("content_not_an_object", "422: the event's content is no object.", _SENDER),
    (
        "exact_webhooks_off",
        "404: a webhook of Exact came, and no secret is set to check it by.",
        "Set KRUISPOST_EXACT_WEBHOOK_SECRET to the webhook secret of the app at Exact.",
    ),
    (
        "signature_wrong",
        "401: the HashCode of a webhook of Exact does not sign its Content with our secret.",
        "Compare KRUISPOST_EXACT_WEBHOOK_SECRET with the app's webhook secret at Exact; until then only polls see changes.",
    ),
    (
        "exact_webhook_unreadable",
        "422: the body is no webhook of Exact.",
        "Find out who sends it: Exact does not. Nothing came of it.",
    ),
    ("store_unavailable", "503: the event could not be stored just now.", "Bring the database back; Chargebee delivers again."),
)
STORED: tuple[Row, ...] = (
    (
        "event_unreadable",
        "A part of a stored event is not as Chargebee documents it; the other parts went on.",
        "Look at ingest's table unreadable_events, which names the part and why; correct the document in Chargebee.",
    ),
)
CONSENT: tuple[Row, ...] = (
    ("admin_token_missing", "403: no admin token is set, so nobody may log in at Exact.", "Set KRUISPOST_ADMIN_TOKEN."),
    ("unauthorized", "401: the admin token is missing or wrong.", "Compare KRUISPOST_ADMIN_TOKEN on both sides."),
    ("consent_refused", "400: the consent was not given, or Exact refused its code.", "Run `kruispost login` again."),
    ("consent_unknown", "400: the login was not begun here, or is too old.", "Run `kruispost login` again."),
    ("exact_unavailable", "502, 503: Exact gave no tokens or no answer just now.", "Run the command again in a minute."),
    ("division_unknown", "404: the writer's configuration has no such division.", "Correct the number, or the configuration."),
    ("stands_by", "409: another process acts in the division.", "Ask again behind the address of all; `doctor` does."),
    ("consent_needed", "Exact's tokens are missing or refused; entries wait.", "Run `kruispost login`."),
    ("blocked", "Exact takes no calls for a division; entries wait.", "Mend what `kruispost status` says about it."),
    ("file_not_written", "The file of `kruispost export` or `reconcile --csv` cannot be written.", "Choose another place."),
    (
        "file_not_read",
        "The file to verify is none that was exported, or cannot be read; or the hashes beside an audit file are gone.",
        "Name one that `kruispost export` wrote; put the `.sha256.csv` back beside its audit file.",
    ),
    (
        "links_file",
        "A file of links has lines that are wrong; nothing was linked.",
        "Correct the lines that the sentence names, and import it again.",
    ),
    ("nothing_in_year", "Exact's ledger has nothing of the year that an audit file was asked for.", "Correct the year."),
    ("ledger_changed", "Exact's ledger was read anew while its audit file was written.", "Give the command again."),
    ("entry_unknown", "Exact's ledger has no such entry, or several.", "Correct the number, or name its journal."),
    ("document_unknown", "No document has this number, or several have.", "Name its kind and site, or fetch it."),
    ("ledger_not_read", "Exact's ledger could not be read up to now.", "Try again later, or use `reconcile --wait 0`."),
)
BACKBONE: tuple[Row, ...] = (
    ("temporarily_unavailable", "A system that is needed does not answer.", "Nothing: the message is tried again by itself."),
    (
        "configuration_invalid",
        "The configuration or a setting cannot be used; nothing was started.",
        "Correct what the sentence names.",
    ),
    (
        "broker_unavailable",
        "The broker does not answer; messages wait in the logs.",
        "Bring it back; everything goes on by itself.",
    ),
    (
        "database_unreadable",
        "A command cannot read a database, one is missing, or lacks what another has.",
        "Correct the address, or restore the backup that the sentence names.",
    ),
    (
        "service_runs",
        "A command was to make a service's state anew, and that service (or the one that writes to it) runs.",
        "Stop the service that the sentence names, give the command again, then start it.",
    ),
    (
        "database_unavailable",
        "The database does not answer; messages wait in their queue.",
        "Bring it back; everything goes on by itself.",
    ),
    ("unroutable_message", "A message would have reached no queue.", "Restart the services, so that their queues are declared."),
    ("unreadable_message", "A message is none that this release knows.", "Deploy the release that wrote it, then move it back."),
    ("stream_conflict", "Two writers appended to one stream at once.", "Nothing: the message is handled again."),
    (
        "delivery_limit",
        "A message was delivered too often without an answer.",
        "Look in the log for what kills the process, then move it back.",
    ),
    (
        "handling_failed",
        "Handling a message failed again and again.",
        "Mend the cause that the sentence names, then move it back.",
    ),
)


# Exact's own words stand in the hold; these say what the code means.
EXACT_SAYS: dict[str, str] = {
    "period_closed": "The period or the financial year is closed.",
    "no_financial_year": "The financial year of the document does not exist.",
    "not_a_customer": "The account exists, but not as a customer.",
    "vat_not_allowed": "VAT is not allowed there.",
    "duplicate": "There is a record with this number or code already.",
    "unbalanced": "Debit and credit of the entry differ.",
    "invalid_reference": "The entry names something that is not there.",
    "mandatory_field": "A field that the administration requires is empty.",
    "invalid_value": "A field has a value that is not allowed there.",
    "malformed": "Exact could not read the request.",
    "exact_failure": "Exact failed several times and booked nothing.",
    "unknown_gl_account": "The ledger account does not exist; found before the call.",
    "blocked_gl_account": "The ledger account is blocked; found before the call.",
    "wrong_gl_account_type": "The ledger account is of a type that is not allowed there; found before the call.",
    "customer_missing": "A line on a debtors account names no customer; found before the call.",
    "unknown_journal": "The journal does not exist; found before the call.",
    "wrong_journal_type": "The journal is of another type than the entry needs.",
    "blocked_journal": "The journal is blocked; found before the call.",
    "currency_not_allowed": "The journal takes another currency only; found before the call.",
    "unknown_currency": "The currency is not active in the administration; found before the call.",
    "unknown_vat_code": "The VAT code does not exist; found before the call.",
    "blocked_vat_code": "The VAT code is blocked; found before the call.",
    "vat_code_for_purchases": "The VAT code is for purchases only; found before the call.",
    "vat_code_inclusive": "The VAT code takes VAT off amounts that have none; found before the call.",
    "vat_amount_not_allowed": "The VAT code carries no VAT, and the document has some; found before the call.",
    "unknown_cost_center": "The cost centre does not exist; found before the call.",
    "unknown_cost_unit": "The cost unit does not exist; found before the call.",
    "cost_center_missing": "The ledger account wants a cost centre; found before the call.",
    "cost_center_not_allowed": "The ledger account takes no cost centre; found before the call.",
    "cost_unit_missing": "The ledger account wants a cost unit; found before the call.",
    "cost_unit_not_allowed": "The ledger account takes no cost unit; found before the call.",
    "reference_too_long": "The document's number is longer than Exact's field; found before the call.",
    "unknown_payment_condition": "The payment condition does not exist; found before the call.",
    "customer_ambiguous": "Several accounts fit a customer, or one that may be another's; found before the call.",
    "account_blocked": "The customer's account is blocked.",
    "reference_taken": (
        "After a lost answer or journal: an entry has the document's reference, and another amount or account; it is not adopted."
    ),
    "account_gone": "The customer's account was deleted in Exact, or merged into another; found before the call.",
    "unknown_account": "Exact has no account with the code that the customer is linked to; found before the call.",
    "exists_otherwise": "Exact has an entry that may be the document, booked by somebody else; found before the call.",
    "linked_entry_gone": "The entry that the document was linked to is not there; found before the call.",
    "withdrawn": "A person took it back before it was sent (`kruispost withdraw`).",
    "other": "Exact refused in words that this release does not know.",
}
PDFS_SAY: dict[str, str] = {
    "pdf_missing": "Chargebee does not have the document any more.",
    "pdf_refused": "Chargebee refused to make the PDF.",
    "pdf_unavailable": "Chargebee did not give the PDF, tried for more than an hour.",
    "pdf_unusable": "What Chargebee gave is no PDF: an error page, or nothing.",
    "pdf_of_another": "The document was taken back before its PDF came, and its number may be another one's by now.",
    "pdf_too_large": "The PDF has more than 7 MB.",
    "pdf_not_answered": "The PDF was asked for several times and did not come.",
    "other": "Exact refused the document or its attachment; its own codes stand above.",
}
EXITS: tuple[Row, ...] = (
    ("0", "Done, and all is well.", NOTHING),
    ("1", "Done, and something is wrong: a hold, a finding, an unknown document.", "Read the output."),
    ("2", "It could not be done.", "Correct what standard error names."),
)


class _Italics(dict[str, str]):
    """Every name in a template as its own italic placeholder; `rest` is left out, since it is mostly empty."""

    def __missing__(self, name: str) -> str:
        return "" if name == "rest" else f"*{name.replace('_', ' ')}*"


def readable(template: str) -> str:
    """Return a template as Markdown prose, with {document} as *document* and doubled braces as single ones."""
    return template.format_map(_Italics()).replace("**", "* *")


def _rows(table: Iterable[Row]) -> list[Row]:
    return [(code, readable(sentence), readable(action) or NOTHING) for code, sentence, action in table]


def _what_to_do(reason: Reason) -> str:
    if not reason.overdue:
        return reason.action
    return f"{reason.action} After {PATIENCE_DAYS} days a person is asked: {reason.overdue}"


def error_sections() -> list[tuple[str, list[Row]]]:
    """Return the sections of the page: a title, and its codes with what happened and what to do; placeholders in italics."""
    return [
        ("Why a document is held or waits", _rows((code, each.sentence, _what_to_do(each)) for code, each in REASONS.items())),
        ("Why a document is set aside", _rows((code, sentence, "") for code, sentence in SET_ASIDES.items())),
        (
            "What Exact, or the check before a call, refuses",
            [(code, EXACT_SAYS[code], action) for code, action in ACTIONS.items()],
        ),
        ("Why a receipt is not recorded", _rows((code, each.sentence, each.action) for code, each in REFUSALS.items())),
        ("Why a PDF is not attached", [(code, PDFS_SAY[code], action) for code, action in PDF_ACTIONS.items()]),
        ("What the door answers to a webhook", list(DOOR)),
        ("What is found in a stored event", list(STORED)),
        ("What keeps us from Exact", list(CONSENT)),
        (
            "What `kruispost doctor` finds between a mapping and its division",
            _rows((code, sentence, advice[:1].upper() + advice[1:]) for code, (sentence, advice, _, _) in COMPLAINTS.items()),
        ),
        ("What stops a message or a process", list(BACKBONE)),
        ("Exit codes of `kruispost`", list(EXITS)),
    ]
