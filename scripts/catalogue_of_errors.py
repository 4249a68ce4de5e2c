"""Every code that a person may meet, with what happened and what to do; most come from the tables of the packages themselves."""

from bookkeeping.rejections import REASONS, SET_ASIDES
from exact_writer.refusals import ACTIONS
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
    ("store_unavailable", "503: the event could not be stored just now.", "Bring the database back; Chargebee delivers again."),
)
BACKBONE: tuple[Row, ...] = (
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


def error_sections() -> list[tuple[str, list[Row]]]:
    """Return the sections of the page: a title, and its codes with what happened and what to do."""
    refused = "Exact, or the check before the call, refused an entry or a customer."
    return [
        ("Why a document is held or waits", [(code, each.sentence, each.action) for code, each in REASONS.items()]),
        ("Why a document is set aside", [(code, sentence, NOTHING) for code, sentence in SET_ASIDES.items()]),
        ("What Exact refuses", [(code, refused, action) for code, action in ACTIONS.items()]),
        ("Why a receipt is not recorded", [(code, each.sentence, each.action or NOTHING) for code, each in REFUSALS.items()]),
        ("What the door answers to a webhook", list(DOOR)),
        ("What stops a message or a process", list(BACKBONE)),
    ]
