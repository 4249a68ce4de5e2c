"""How the money of one bank line is shared out over the invoices that it pays. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.bank_lines import DecidedPart
from contracts.facts import DocumentRef


@dataclass(frozen=True)
class Due:
    """An invoice, and what Chargebee shows as due on it in its currency's smallest unit."""

    document: DocumentRef
    due_minor: int


class CannotShareError(Exception):
    """The money cannot be shared out so; `code` is one of the mistakes that `kruispost matches` knows words for."""

    def __init__(self, code: str, **details: int | str) -> None:
        super().__init__(code)
        self.code = code
        self.details: dict[str, int | str] = details


def share_out(left_minor: int, dues: Sequence[Due], tolerance_minor: int) -> tuple[tuple[DecidedPart, ...], int]:
    """Give each invoice what is due on it, in order, as long as the money lasts; return the parts and what is left over.

    What the last one falls short within the tolerance is to be written off. Raises CannotShareError for an invoice that would get
    nothing.
    """
    parts = []
    for due in dues:
        if due.due_minor <= 0:
            raise CannotShareError("nothing_due", number=due.document.number)
        amount_minor = min(left_minor, due.due_minor)
        if amount_minor <= 0:
            raise CannotShareError("nothing_left", number=due.document.number)
        left_minor -= amount_minor
        parts.append(_part(due, amount_minor, tolerance_minor))
    return tuple(parts), left_minor


def split(
    left_minor: int, wanted: Sequence[tuple[Due, int]], excess_minor: int, tolerance_minor: int
) -> tuple[tuple[DecidedPart, ...], int]:
    """Give each invoice the amount that a person named; what is not named stays in the inbox.

    Raises CannotShareError for more than is due or than was received.
    """
    parts = []
    for due, amount_minor in wanted:
        if amount_minor > due.due_minor:
            raise CannotShareError("more_than_due", number=due.document.number, due_minor=due.due_minor)
        parts.append(_part(due, amount_minor, tolerance_minor))
    named_minor = excess_minor + sum(part.amount_minor for part in parts)
    if named_minor > left_minor or any(part.amount_minor <= 0 for part in parts) or excess_minor < 0:
        raise CannotShareError("more_than_left", left_minor=left_minor)
    return tuple(parts), excess_minor


def _part(due: Due, amount_minor: int, tolerance_minor: int) -> DecidedPart:
    short_minor = due.due_minor - amount_minor
    within = 0 < short_minor <= tolerance_minor
    return DecidedPart(document=due.document, amount_minor=amount_minor, short_minor=short_minor if within else 0)
