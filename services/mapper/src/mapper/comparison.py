"""What two mappings make of one document, compared; and the sum of all differences. Pure: no database, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from msgspec import structs

from bookkeeping.journal import Entry, Line, Role
from bookkeeping.money import format_minor
from bookkeeping.rejections import Rejection, SetAside

Change = Literal[
    "newly_booked",
    "newly_held",
    "newly_set_aside",
    "other_reason",
    "division",
    "mode",
    "journal",
    "account",
    "vat",
    "dimension",
    "deferral",
    "period",
    "exchange_rate",
    "terms",
    "text",
    "other",
]
CHANGES: tuple[Change, ...] = get_args(Change)
MOST_TEXTS = 3
# Of one document these say what its accounts and codes have said already.
ONLY_IN_TOTALS = frozenset(("vat_base", "vat_box_base", "vat_box"))
_HEAD: tuple[tuple[Change, tuple[str, ...]], ...] = (
    ("journal", ("journal", "kind")),
    ("period", ("entry_date", "reporting_year", "reporting_period")),
    ("exchange_rate", ("exchange_rate",)),
    ("terms", ("due_date", "payment_condition")),
    ("text", ("description",)),
)
_LOOKED_AT = frozenset(name for _, names in _HEAD for name in names) | {"lines", "explanation", "reasons", "reference", "moves"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one mapping makes of a document, in which division, and as what in Exact (`mode`).

    `vat_boxes` names the box of the VAT return of each code.
    """

    division: int | None
    made: Entry | Rejection | SetAside
    mode: str | None = None
    vat_boxes: MappingOf[str, str] = field(default_factory=dict, compare=False)

    @property
    def entry(self) -> Entry | None:
        """The entry, None when there is none."""
        return self.made if isinstance(self.made, Entry) else None

    @property
    def code(self) -> str | None:
        """Why there is no entry."""
        return None if isinstance(self.made, Entry) else self.made.code


@dataclass(frozen=True, slots=True)
class Difference:
    """A place in the books and what it gets from a document before and after, in minor units, debit positive."""

    division: int | None
    currency: str
    part: Literal["account", "vat_base", "vat", "vat_box_base", "vat_box", "dimension"]
    name: str
    before_minor: int
    after_minor: int


def changes_since_booked(booked: Outcome, after: Outcome) -> tuple[Change, ...]:
    """Return in which ways an outcome differs from what a command booked, as far as a command says.

    It names no debtor account, and where Exact reports it was decided by the periods that were open then.
    """
    outcomes = [
        replace(
            each, made=structs.replace(each.entry, lines=tuple(map(_without_debtor, each.entry.lines)), reporting_period=None)
        )
        if each.entry is not None
        else each
        for each in (booked, after)
    ]
    return tuple(change for change in changes_of(*outcomes) if change not in ("period", "other"))


def _without_debtor(line: Line) -> Line:
    return structs.replace(line, account="") if line.role is Role.RECEIVABLE else line


def changes_of(before: Outcome, after: Outcome) -> tuple[Change, ...]:
    """Return in which ways the outcomes differ, none when a controller would see no difference."""
    if before == after:
        return ()
    one, other = before.entry, after.entry
    if one is None or other is None:
        return _without_entry(before, after)
    found: list[Change] = ["division"] if before.division != after.division else []
    found += ["mode"] if before.mode != after.mode else []
    found += [change for change, names in _HEAD if any(getattr(one, name) != getattr(other, name) for name in names)]
    by: tuple[tuple[Change, Callable[[Line], Hashable]], ...] = (
        ("account", lambda line: line.account),
        ("vat", lambda line: line.vat_code),
        ("dimension", lambda line: (line.cost_center, line.cost_unit)),
        ("deferral", lambda line: (line.first, line.last)),
        ("text", lambda line: (line.description, line.notes)),
    )
    found += [change for change, place in by if _sums(one.lines, place) != _sums(other.lines, place)]
    if not found and _rest(one) != _rest(other):
        found = ["other"]
    return tuple(change for change in CHANGES if change in found)


def _without_entry(before: Outcome, after: Outcome) -> tuple[Change, ...]:
    if after.entry is not None:
        return ("newly_booked",)
    if before.entry is not None or type(before.made) is not type(after.made):
        return ("newly_held",) if isinstance(after.made, Rejection) else ("newly_set_aside",)
    return ("other_reason",) if before.made != after.made else ()


def _rest(entry: Entry) -> tuple[object, ...]:
    """Return what is left: members that are looked at nowhere else, and how the lines combine."""
    others = tuple(getattr(entry, name) for name in entry.__struct_fields__ if name not in _LOOKED_AT)
    return (*others, Counter(entry.lines))


def _sums(lines: Iterable[Line], place: Callable[[Line], Hashable]) -> dict[Hashable, tuple[int, int]]:
    found: dict[Hashable, tuple[int, int]] = {}
    for line in lines:
        amount, vat = found.get(place(line), (0, 0))
        found[place(line)] = (amount + line.amount_minor, vat + line.vat_minor)
    return {name: sums for name, sums in found.items() if sums != (0, 0)}


def differences_of(before: Outcome, after: Outcome) -> list[Difference]:
    """Return what each account, VAT code, box of the VAT return and cost centre gets more or less."""
    one, other = _places(before), _places(after)
    places = dict.fromkeys((*one, *other))
    return [Difference(*place, one.get(place, 0), other.get(place, 0)) for place in places if one.get(place) != other.get(place)]


def _places(outcome: Outcome) -> dict[tuple[int | None, str, Any, str], int]:
    entry, found = outcome.entry, Counter[tuple[int | None, str, Any, str]]()
    if entry is None:
        return {}
    for line in entry.lines:
        found[outcome.division, entry.currency, "account", line.account] += line.amount_minor
        if line.vat_code is not None:
            found[outcome.division, entry.currency, "vat_base", line.vat_code] += line.amount_minor
            found[outcome.division, entry.currency, "vat", line.vat_code] += line.vat_minor
            box = outcome.vat_boxes.get(line.vat_code)
            if box is not None:
                found[outcome.division, entry.currency, "vat_box_base", box] += line.amount_minor
                found[outcome.division, entry.currency, "vat_box", box] += line.vat_minor
        for name in (line.cost_center, line.cost_unit):
            if name is not None:
                found[outcome.division, entry.currency, "dimension", name] += line.amount_minor
    return {place: amount for place, amount in found.items() if amount}


@dataclass(frozen=True, slots=True)
class Particular:
    """What differs of a document beside its amounts on accounts and codes, in words that need no language."""

    name: str
    before: str
    after: str


def particulars_of(before: Outcome, after: Outcome) -> list[Particular]:
    """Return the journal, dates, rate, terms, texts and service periods that differ."""
    one, other = before.entry, after.entry
    if one is None or other is None:
        return []
    pairs: list[tuple[str, object, object]] = [("mode", before.mode, after.mode)]
    pairs += [(name, getattr(one, name), getattr(other, name)) for _, names in _HEAD for name in names if name != "kind"]
    was, becomes = _released(one), _released(other)
    for days in dict.fromkeys((*was, *becomes)):
        amounts = [format_minor(abs(each.get(days, 0)), one.currency) for each in (was, becomes)]
        pairs.append((f"released {days}", amounts[0], amounts[1]))
    if len(one.lines) == len(other.lines):
        texts = [(line.description, new.description) for line, new in zip(one.lines, other.lines, strict=True)]
        texts += [(line.notes, new.notes) for line, new in zip(one.lines, other.lines, strict=True)]
        different = dict.fromkeys(pair for pair in texts if pair[0] != pair[1])
        pairs += [("line_text", *pair) for pair in list(different)[:MOST_TEXTS]]
    return [Particular(name, _written(old), _written(new)) for name, old, new in pairs if old != new]


def _released(entry: Entry) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for line in entry.lines:
        if line.role in (Role.REVENUE, Role.DISCOUNT):
            sums["" if line.first is None else f"{line.first}..{line.last}"] += line.amount_minor
    return {days: amount for days, amount in sums.items() if amount}


def _written(value: object) -> str:
    return "-" if value is None or value == "" else str(value)


@dataclass(slots=True)
class Summary:
    """All differences together; as large as the chart of accounts, however long the history."""

    looked_at: int = 0
    differing: int = 0
    booked_differing: int = 0
    in_closed_periods: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    places: dict[tuple[int | None, str, str, str], list[int]] = field(default_factory=dict)

    def add(
        self, changes: tuple[Change, ...], after: Outcome, differences: Iterable[Difference], *, is_booked: bool, is_closed: bool
    ) -> None:
        """Count one document that differs."""
        self.differing += 1
        self.booked_differing += is_booked
        self.in_closed_periods += is_closed
        self.changes.update(changes)
        if after.code is not None:
            self.reasons[after.code] += 1
        for each in differences:
            sums = self.places.setdefault((each.division, each.currency, each.part, each.name), [0, 0, 0])
            sums[0] += each.before_minor
            sums[1] += each.after_minor
            sums[2] += 1

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; amounts in minor units, debit positive."""
        return {
            "looked_at": self.looked_at,
            "differing": self.differing,
            "booked_differing": self.booked_differing,
            "in_closed_periods": self.in_closed_periods,
            "changes": {change: self.changes[change] for change in CHANGES if self.changes[change]},
            "not_booked_then": dict(sorted(self.reasons.items())),
            "places": [
                {
                    "division": division,
                    "currency": currency,
                    "part": part,
                    "name": name,
                    "before_minor": before,
                    "after_minor": after,
                    "documents": documents,
                }
                for (division, currency, part, name), (before, after, documents) in sorted(
                    self.places.items(), key=lambda item: (item[0][0] or 0, *item[0][1:])
                )
            ],
        }
