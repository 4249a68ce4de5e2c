"""Entries into open periods: the entry keeps its legal date, and everything that is reported elsewhere is listed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from msgspec import structs

from bookkeeping.deferral import Portion, schedule
from bookkeeping.division_currency import portions_in_step, taxes_of_portions
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.mapping import Mapping
from bookkeeping.money import format_minor, worth_at
from bookkeeping.periods import Move, Period, Periods
from bookkeeping.rejections import Rejection, reject
from bookkeeping.split_cents import worth_the_same
from bookkeeping.telling import InTwo, tell


def place_in_period(entry: Entry, name: str, periods: Periods, mapping: Mapping) -> Entry | Rejection:
    """Report the entry in an open period of its journal, its own or another one by the division's rules, or say why not.

    Deferred lines that start in a closed period start on the first open day, over what is left of their range; of one that takes
    back what was released in closed periods, that part is reported at once, for it would be more than is left to release. Every
    move is told in the explanation and listed under `moves`, with the VAT that misses a return which was filed.
    """
    own = periods.of(entry.entry_date)
    if own is None and not periods:
        return entry  # Exact's list has not come in; its refusal would bring the entry back here
    target = own if own is not None and own.is_open else _elsewhere(entry, name, own, periods, mapping)
    if isinstance(target, Rejection):
        return target
    moved = _reported_in(entry, own, target, mapping)
    if all(line.first is None for line in moved.lines):
        return moved
    notes: list[InTwo] = []
    moves: dict[tuple[str, str], Move] = {}
    lines = tuple(
        placed for line in moved.lines for placed in _start_in_open(line, moved, target, periods, mapping, notes, moves)
    )
    if not notes:
        return moved
    listed = (*moved.moves, *moves.values())
    placed = structs.replace(moved, lines=lines, explanation=(*moved.explanation, *notes), moves=listed)
    return worth_the_same(placed, moved.lines, lines, mapping)


def _elsewhere(entry: Entry, name: str, own: Period | None, periods: Periods, mapping: Mapping) -> Period | Rejection:
    """Return the period that a person named, else the first open one where the policy lets it be moved there."""
    rules = mapping.periods
    answer = rules.answer(entry.reference, own, entry.journal)
    if answer is not None:
        into = periods.named(answer)
        if into is not None and into.ends < entry.entry_date:
            return _too_early(entry, name, own, into, periods, mapping)
        if into is not None and into.is_open:
            return into
        rest = InTwo(f", and the answer {answer} is not open either", f", en het antwoord {answer} is ook niet open")
        return _question(entry, name, own, mapping, rest, None)
    if periods.is_to_come(entry.entry_date):
        return reject("waiting_for_periods", document=name)
    if own is None:
        year = reject("no_financial_year", document=name, date=entry.entry_date.isoformat(), division=mapping.division)
        way = _how_to_answer(entry, mapping)
        return replace(year, action=f"{year.action} {way.english}", action_nl=f"{year.action_nl} {way.dutch}")
    following = periods.first_open_after(own)
    if mapping.period_policy == "hold" or following is None:
        none_open = InTwo(", and no later one is known to be open", ", en van geen latere is bekend dat ze open is")
        rest = none_open if following is None and mapping.period_policy != "hold" else InTwo("", "")
        date_, period = entry.entry_date.isoformat(), own
        return reject("period_closed", document=name, date=date_, period=period, journal=entry.journal, rest=rest)
    if mapping.period_policy == "ask":
        return _question(entry, name, own, mapping, InTwo("", ""), following)
    if rules.max_distance is not None and periods.distance(own, following) > rules.max_distance:
        most = rules.max_distance
        rest = InTwo(
            f", and the first open one, {following}, is more than {most} period{'s' * (most > 1)} later",
            f", en de eerste open periode, {following}, ligt meer dan {most} periode{'s' * (most > 1)} later",
        )
        return _question(entry, name, own, mapping, rest, following)
    if rules.across_years == "hold" and following.year != own.year:
        rest = InTwo(
            f", and the first open one, {following}, is in another financial year",
            f", en de eerste open periode, {following}, ligt in een ander boekjaar",
        )
        return _question(entry, name, own, mapping, rest, following)
    return following


def _question(entry: Entry, name: str, own: Period | None, mapping: Mapping, rest: InTwo, following: Period | None) -> Rejection:
    return reject(
        "period_question",
        document=name,
        date=entry.entry_date.isoformat(),
        period=own or entry.entry_date.isoformat()[:7],
        journal=entry.journal,
        rest=rest,
        into=following or "YYYY-MM",
        division=mapping.division,
        number=entry.reference,
    )


def _too_early(entry: Entry, name: str, own: Period | None, into: Period, periods: Periods, mapping: Mapping) -> Rejection:
    following = periods.first_open_after(own) if own is not None else None
    first = InTwo("", "")
    if following is not None:
        first = InTwo(f" ({following} is the first)", f" ({following} is de eerste)")
    day = entry.entry_date.isoformat()
    return reject("answer_too_early", document=name, date=day, into=into, first=first, division=mapping.division)


def _how_to_answer(entry: Entry, mapping: Mapping) -> InTwo:
    answer = f"divisions.{mapping.division}.periods.answers: [{{document: {entry.reference}, into: YYYY-MM}}]."
    return InTwo(
        f"Or name the period it is to be reported in under {answer}", f"Of noem de periode waar het in komt onder {answer}"
    )


def _reported_in(entry: Entry, own: Period | None, target: Period, mapping: Mapping) -> Entry:
    """Report an entry in a period, and list it when that is not its own or when the VAT return of its date was filed."""
    rules = mapping.periods
    is_filed = own is not None and rules.is_filed(entry.entry_date, own)
    if rules.filed_until is None and rules.return_of(entry.entry_date) == rules.return_of(target.starts):
        is_filed = False  # only the period was closed, within one return
    if own is target and not is_filed:
        return entry
    inside = entry.in_currency(mapping.currency)
    vat: dict[str, int] = {}
    for line in inside.lines:
        if line.vat_minor and line.vat_code is not None:
            vat[line.vat_code] = vat.get(line.vat_code, 0) - line.vat_minor
    vat = {code: amount for code, amount in vat.items() if amount}
    missed = is_filed and bool(vat)
    if own is target and not missed:
        return entry
    move = Move(
        kind="entry",
        journal=entry.journal,
        from_period=str(own) if own is not None else entry.entry_date.isoformat()[:7],
        to_period=str(target),
        currency=inside.currency,
        amount_minor=inside.receivable_minor,
        vat=tuple(sorted(vat.items())),
        filed_return=rules.return_of(entry.entry_date) if missed else None,
    )
    told = []
    if own is not target:
        name = "period_is_closed" if own is not None else "period_does_not_exist"
        told.append(tell(name, period=move.from_period, journal=entry.journal, target=target))
    if missed:
        amount = f"{inside.currency} {format_minor(move.vat_minor, inside.currency)}"
        told.append(tell("vat_after_filing", amount=amount, filed=move.filed_return))
    return structs.replace(
        entry,
        reporting_year=None if own is target else target.year,
        reporting_period=None if own is target else target.number,
        explanation=(*entry.explanation, *told),
        moves=(move,),
    )


def _start_in_open(
    line: Line,
    entry: Entry,
    target: Period,
    periods: Periods,
    mapping: Mapping,
    notes: list[InTwo],
    moves: dict[tuple[str, str], Move],
) -> tuple[Line, ...]:
    if line.first is None or line.last is None:
        return (line,)
    start = _first_day_to_release(line.first, line.last, periods)
    if start is None or start == line.first:
        return (line,)
    first, last = line.first, line.last
    whole = start > last
    into = target if whole or line.takes_back else periods.of(start) or target
    closed = [each for each in schedule(-line.amount_minor, first, last, mapping.deferral_method, periods) if each.first < start]
    amount = sum(each.amount_minor for each in closed)
    written = format_minor(amount, entry.currency)
    span = _named(periods, closed[0].first, closed[-1].first)
    told = {"line": line.description, "amount": written, "into": into, "span": span}
    which = "not_deferred" if whole else "taken_back_at_once" if line.takes_back else "deferral_starts_later"
    notes.append(tell(which, start=start, first=line.first, **told))
    if line.role in (Role.REVENUE, Role.DISCOUNT):
        known = moves.get((span, str(into)))
        moves[span, str(into)] = Move(
            kind="deferral",
            journal=entry.journal,
            from_period=span,
            to_period=str(into),
            currency=entry.currency,
            amount_minor=amount + (known.amount_minor if known is not None else 0),
        )
    if whole or not line.takes_back:
        return (structs.replace(line, first=None, last=None) if whole else structs.replace(line, first=start),)
    worth = worth_at(entry.exchange_rate, entry.currency, mapping.currency)
    portions = portions_in_step([Portion(-amount), Portion(line.amount_minor + amount, start, last)], worth)
    taxes = taxes_of_portions(line.vat_minor, portions, worth)
    apart = tuple(
        structs.replace(line, amount_minor=portion.amount_minor, vat_minor=tax, first=portion.first, last=portion.last)
        for portion, tax in zip(portions, taxes, strict=True)
    )
    return tuple(each for each in apart if each.amount_minor or each.vat_minor) or apart[:1]


def _first_day_to_release(first: date, last: date, periods: Periods) -> date | None:
    """Return the first day from which no closed period follows: Exact takes no deferral that reaches into one."""
    closed = [period for period in periods if not period.is_open and period.starts <= last and period.ends >= first]
    if not closed:
        return first
    return periods.first_open_day(closed[-1].ends) or periods.first_open_day(first)


def _named(periods: Periods, first: date, last: date) -> str:
    names = [str(period) if (period := periods.of(day)) is not None else day.isoformat()[:7] for day in (first, last)]
    return names[0] if names[0] == names[1] else f"{names[0]}..{names[1]}"
