import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class CustomField:
    """A custom field that somebody made in Exact, and how many characters it takes."""

    component: str
    name: str
    longest: int = 100


def _years_until_now() -> tuple[int, ...]:
    """The years of the tests' documents and all since: what is played on the day of today needs its year too."""
    return tuple(range(2025, max(2027, time.gmtime().tm_year) + 1))


@dataclass(frozen=True)
class ExactSettings:
    """All switches of the stand-in. The defaults are Exact's documented numbers; where those are not known, the strictest guess.

    Lengths of time are seconds. `clock` returns seconds since 1970 and may be replaced in tests.
    """

    clock: Callable[[], float] = time.time
    seed: str = "kruispost"
    language: Literal["nl-NL", "en-US"] = "nl-NL"  # business refusals speak the language of the connected user
    latency_seconds: float = 0.0

    client_id: str = "5b1f0e2c-0001-4000-8000-000000000001"
    client_secret: str = "simulator-secret"  # noqa: S105  the stand-in's own, known to everybody
    redirect_uri: str | None = None  # None accepts any redirect address
    more_clients: tuple[tuple[str, str], ...] = ()  # further apps: (client id, client secret)
    user_name: str = "kruispost"
    more_divisions: tuple[int, ...] = ()  # beside the two that are always there
    years: tuple[int, ...] = field(default_factory=_years_until_now)  # financial years, of twelve months each
    granted_divisions: tuple[int, ...] | None = None  # None: the user granted all of them
    missing_scopes: tuple[str, ...] = ()  # scopes, as the reference names them, that the app did not ask for
    code_seconds: float = 180.0
    token_seconds: float = 600.0
    token_minimum_age_seconds: float = 570.0
    refresh_token_seconds: float = 30 * 86_400.0
    token_day_limit: int = 200

    limits_without_division: bool = (
        False  # unknown: whether an answer to a call without a division has headers of limits, of its own
    )
    minute_limit: int = 60
    minute_seconds: float = 60.0
    day_limit: int = 5_000
    day_seconds: float = 86_400.0
    day_zone: str | None = None  # the day of calls begins at midnight there; None: at 00:00 UTC, as was recorded
    error_limit: int = 10
    error_seconds: float = 3_600.0
    error_block_status: int = 403  # unknown: what Exact answers while the key is blocked
    error_block_scope: Literal["key", "endpoint"] = "key"  # unknown: "your API key will be blocked", or only the endpoint
    page_size: int = 60
    sync_page_size: int = 1_000
    url_limit_characters: int = 6_000
    body_limit_bytes: int = 10 * 1024 * 1024

    client_guid: Literal["honoured", "ignored", "refused", "refused_400"] = "ignored"  # unknown: a key sent with a POST
    duplicate_entry_number: Literal["refused", "renumbered"] = "refused"  # unknown
    journal_amount: Literal["AmountFC", "AmountDC", "both"] = "AmountFC"  # unknown: which one a general journal line takes
    invoice_vat: Literal["given", "computed"] = "computed"  # unknown: VATAmountFC on the line of a sales invoice
    invoice_gl_account: Literal["given", "item"] = "item"  # unknown: GLAccount on the line, or always that of the item
    # The reference says that printing makes a document and names it in `Document`; whether it always does is unknown.
    printed_document: Literal["made", "none"] = "made"
    custom_fields: tuple[CustomField, ...] = ()  # of accounts; none: an edition that has no custom fields
    without_custom_fields: Literal["forbidden", "not_found"] = "forbidden"  # unknown: what such an edition answers
    unset_custom_fields: Literal["listed", "left_out"] = "listed"  # unknown: whether a record shows fields without a value
    your_ref_length: int = 30
    description_length: int = 60
    too_long_text: Literal["refused", "truncated"] = "refused"  # unknown: YourRef and Description beyond their length
    old_date_with_open_period: Literal["accepted", "refused"] = "accepted"  # unknown: EntryDate in a closed period, period open
    deferral_into_closed_period: Literal["refused", "booked"] = "refused"  # unknown
    deferral_method: Literal["period", "day"] = "period"
    payment_condition_mandatory: bool = False  # False: the division's own condition is taken
    several_equal: Literal["oldest", "none"] = "oldest"  # unknown: several receivables of the same amount
    your_ref_of_opened: Literal["kept", "emptied"] = "kept"  # unknown: of a receipt whose match is taken back
    match_by_our_ref: bool = False  # unknown: OurRef on a bank line chooses among receivables of the same amount
    match_credit_notes: bool = False  # unknown: an invoice and a credit note of the same amount find each other
    # Unknown: Exact has entries of type 82 for it, on an account of its own settings; by which journal, is a guess. None: the
    # euros that two terms of one currency are apart stay on the debtor.
    exchange_difference: tuple[str, str] | None = None  # journal and ledger account
    receivable_sign: Literal[-1, 1] = -1  # receivables stand with a negative amount: it is still to be received
    bare_list_with_top: bool = True  # `$top` answers {"d": [...]} in place of {"d": {"results": [...]}}
    int64_as_text: bool = True  # WCF writes Edm.Int64 (Timestamp) as text; one public .NET client reads both
    ignore_case: bool = True  # SQL Server compares text without case and without trailing spaces

    webhook_secret: str = "simulator-webhook-secret"  # noqa: S105  the stand-in's own, known to everybody
    webhook_retry_seconds: float = 60.0  # unit of the 2^n delays
    webhook_retries: int = 10
    webhook_delay_seconds: float = 0.0
    webhook_address: Literal["strict", "any"] = "strict"  # strict: https, and the domain of the redirect address where one is set
    webhook_ingress: str | None = None  # where an https callback is really listened to: stands for its name and its proxy
    webhook_copies: int = 1  # more than one delivers every event that often
    webhook_lost_per_mille: int = 0  # of deliveries that never leave, as after ten tries in vain
    webhook_disorder_seconds: float = 0.0  # each delivery waits up to so long besides, so that later ones overtake it
