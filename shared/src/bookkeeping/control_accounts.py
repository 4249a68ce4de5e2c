"""The proof of a control account: its balance is what the gateway has not paid out yet, charge by charge.

What was booked (charges, refunds, payouts with their fees) is laid beside what the gateway says is in its payouts. A charge that
is in no payout is still with the gateway; a reserve is what the gateway keeps; everything else has a name, too, and is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

Direction = Literal["in", "out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedMovement:
    """A charge (`in`), or a refund or chargeback (`out`), as it was booked; `gateway_id` is what the gateway calls it."""

    number: str
    direction: Direction
    day: date
    amount_minor: int
    gateway_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidOutLine:
    """A movement in a payout, by the gateway's file; `ids` are what the gateway calls it. Without a direction it is a reserve."""

    payout: str
    direction: Direction | None
    ids: tuple[str, ...]
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedPayout:
    """What a payout took off the account: the transfer and the fees; `has_lines` says whether its file told what was in it."""

    number: str
    day: date
    amount_minor: int
    has_lines: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the balance consists of. Amounts in minor units, debit positive.

    `open` are charges and refunds in no payout. `reserve_minor` is what the gateway keeps. `undetailed` are payouts whose file
    said nothing of their lines. `strange` are lines of payouts that were never booked, `differing` those booked with another
    amount. `unexplained_minor` is what these parts leave of the balance: payouts whose lines are not all that was in them.
    """

    balance_minor: int
    open: tuple[BookedMovement, ...]
    reserve_minor: int
    undetailed: tuple[BookedPayout, ...]
    strange: tuple[PaidOutLine, ...]
    differing: tuple[tuple[BookedMovement, PaidOutLine], ...]

    @property
    def unexplained_minor(self) -> int:
        """What the parts leave of the balance."""
        named = sum(each.amount_minor for each in self.open) + self.reserve_minor
        named -= sum(each.amount_minor for each in self.undetailed) + sum(each.amount_minor for each in self.strange)
        named += sum(booked.amount_minor - line.amount_minor for booked, line in self.differing)
        return self.balance_minor - named

    @property
    def is_sound(self) -> bool:
        """Whether everything on the account is where it should be."""
        return not (self.strange or self.differing or self.unexplained_minor)

    def older_than(self, day: date) -> list[BookedMovement]:
        """Return what the gateway has had since before a day, which it should have paid out by now."""
        return [movement for movement in self.open if movement.day < day]


@dataclass(slots=True)
class ProofMaker:
    """Takes what is on one control account of one gateway account and currency, in any order, and proves it."""

    movements: list[BookedMovement] = field(default_factory=list)
    payouts: list[BookedPayout] = field(default_factory=list)
    lines: list[PaidOutLine] = field(default_factory=list)

    def prove(self) -> Proof:
        """Lay what was booked beside what was paid out. A movement is in one payout once."""
        waiting: dict[tuple[Direction, str], list[BookedMovement]] = {}
        for movement in self.movements:
            if movement.gateway_id is not None:
                waiting.setdefault((movement.direction, movement.gateway_id), []).append(movement)
        strange: list[PaidOutLine] = []
        differing: list[tuple[BookedMovement, PaidOutLine]] = []
        settled: set[str] = set()
        reserve = 0
        for line in self.lines:
            if line.direction is None:
                reserve -= line.amount_minor
                continue
            found = _taken(waiting, line.direction, line.ids, settled)
            if found is None:
                strange.append(line)
                continue
            settled.add(found.number)
            if found.amount_minor != line.amount_minor:
                differing.append((found, line))
        return Proof(
            balance_minor=sum(each.amount_minor for each in self.movements) - sum(each.amount_minor for each in self.payouts),
            open=tuple(sorted((each for each in self.movements if each.number not in settled), key=_age)),
            reserve_minor=reserve,
            undetailed=tuple(each for each in self.payouts if not each.has_lines),
            strange=tuple(_uncancelled(strange)),
            differing=tuple(differing),
        )


def _taken(
    waiting: dict[tuple[Direction, str], list[BookedMovement]], direction: Direction, ids: Iterable[str], settled: set[str]
) -> BookedMovement | None:
    for identity in ids:
        for movement in waiting.get((direction, identity), ()):
            if movement.number not in settled:
                return movement
    return None


def _uncancelled(lines: list[PaidOutLine]) -> list[PaidOutLine]:
    """Leave out what was taken back under the same id: a debit that failed late, or a dispute that was won."""
    left: list[PaidOutLine] = []
    for line in lines:
        opposite = next(
            (other for other in left if other.amount_minor == -line.amount_minor and set(other.ids) & set(line.ids)), None
        )
        if opposite is None:
            left.append(line)
        else:
            left.remove(opposite)
    return left


def _age(movement: BookedMovement) -> tuple[date, str]:
    return movement.day, movement.number
