"""Why one document is not booked now, or not at all: a reason of the list with the values of the document filled in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from bookkeeping.dutch import DUTCH_REASONS, DUTCH_SET_ASIDES
from bookkeeping.dutch_values import value_in_dutch
from bookkeeping.hold_reasons import REASONS
from bookkeeping.telling import InTwo

# What has waited so long does not pass by itself: a person is asked. Chargebee repeats a webhook for three days and seven hours,
# and days are counted by their dates, so that five of them are four whole ones at least.
PATIENCE_DAYS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a document cannot be booked now; `waits_for` names what may change that by arriving.

    `since` is the day from which one has waited that a person is asked about now.
    """

    code: str
    sentence: str
    action: str
    waiting: bool = False
    waits_for: str | None = None
    overdue: str = ""
    since: date | None = None
    sentence_nl: str = ""
    action_nl: str = ""
    overdue_nl: str = ""

    def waited(self, since: date) -> Rejection:
        """Return it as a hold that a person is asked about, since what it waits for has not come."""
        return replace(
            self,
            sentence=f"{self.sentence} It has waited since {since}.",
            action=self.overdue,
            sentence_nl=f"{self.sentence_nl} Het wacht sinds {since}.",
            action_nl=self.overdue_nl,
            waiting=False,
            since=since,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Why a document is not to be booked at all."""

    code: str
    sentence: str
    sentence_nl: str = ""


@dataclass(frozen=True, slots=True)
class _Named:
    """Values for a template; a name that is missing shows as itself, so that an error never hides behind another one."""

    values: dict[str, object]
    is_dutch: bool = False

    def __getitem__(self, name: str) -> object:
        value = self.values.get(name, "{" + name + "}")
        if isinstance(value, InTwo):
            return value.dutch if self.is_dutch else value.english
        return value_in_dutch(name, value) if self.is_dutch else value


SET_ASIDES: dict[str, str] = {
    "pending": "{document} is still pending in Chargebee; it is booked when it closes.",
    "deleted": "{document} was deleted before it was final.",
    "gone_before_booking": "{document} was voided or deleted before it was booked: a gap in the numbers, by your policy.",
    "before_book_from": "{document} is dated {date}, and the division is booked here from {first} on (book_from).",
    "change_taken_back": "{document} is again as it was booked, so nothing is to be booked back.",
    "no_vat_to_reclaim": "{document}: there is none.",
    "vat_reclaim_by_hand": "{document} is reclaimed by a person (vat_reclaim: by_hand), on {date} at the latest: {vat}.",
    "write_off_undone": "{document} is not reclaimed, since the write-off was undone in Chargebee.",
    "zero_total": "{document} has only lines of zero, so there is nothing to book.",
    "offline_payment": "{document} was recorded by hand or by another program; the bank's own statement books it.",
    "own_payment": "{document} was recorded in Chargebee by this connector, from a receipt that Exact already has.",
    "payment_failed": "{document} brought no money (status {status}).",
    "no_exchange_difference": "{document}: there is none.",
    "exchange_difference_by_exact": "{document} is booked by Exact when it matches, since Exact's own rates are used.",
    "exchange_difference_by_others": "{document} is left to whoever booked that money in Exact.",
    "authorization": "{document} only reserves money; nothing moved.",
    "payments_not_booked": "{document} is a payment, and the division books payments elsewhere (book_payments is false).",
}


def reject(code: str, *, waits_for: str | None = None, **values: object) -> Rejection:
    """Fill in the templates of a code; raises KeyError for a code that REASONS does not have."""
    reason, (sentence_nl, action_nl, overdue_nl) = REASONS[code], DUTCH_REASONS[code]
    english, dutch = _Named(values), _Named(values, is_dutch=True)
    return Rejection(
        code=code,
        sentence=_capital(reason.sentence.format_map(english)),
        action=reason.action.format_map(english),
        waiting=reason.waiting,
        waits_for=waits_for,
        overdue=reason.overdue.format_map(english),
        sentence_nl=_capital(sentence_nl.format_map(dutch)),
        action_nl=action_nl.format_map(dutch),
        overdue_nl=overdue_nl.format_map(dutch),
    )


def set_aside(code: str, **values: object) -> SetAside:
    """Fill in the sentence of a code; raises KeyError for a code that SET_ASIDES does not have."""
    sentence = _capital(SET_ASIDES[code].format_map(_Named(values)))
    sentence_nl = _capital(DUTCH_SET_ASIDES[code].format_map(_Named(values, is_dutch=True)))
    return SetAside(code=code, sentence=sentence, sentence_nl=sentence_nl)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
