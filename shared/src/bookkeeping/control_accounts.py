"""The proof of a control account: its balance is what the gateway has not paid out yet, charge by charge.

What was booked (charges, refunds, payouts with their fees) is laid beside what the gateway says is in its payouts. A charge that
is in no payout is still with the gateway; a reserve is what the gateway keeps; everything else has a name, too, and is wrong.
Once the mapping names another control account from a day on, payouts take off the former one what stands there. Else what stands
on one and was paid out over the other has a name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidOutLine:
    """A movement in a payout, by the gateway's file; `ids` are what the gateway calls it. Without a direction it is a reserve."""

    payout: str
    direction: Direction | None
    ids: tuple[str, ...]
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedPayout:
    """What a payout took off the account: the transfer and the fees; `has_lines` says whether its file told what was in it.

    `account` is None where it took nothing off: what came in went out again, and the fees were paid to the gateway. Movements
    that stood on other accounts are taken off there: `elsewhere` has these accounts with their parts of `amount_minor`.
    """

    number: str
    day: date
    amount_minor: int
    has_lines: bool
    account: str | None = ""
    elsewhere: tuple[tuple[str, int], ...] = ()

    def off(self, account: str) -> int | None:
        """Return what it took off an account, None where it took nothing off it."""
        others = dict(self.elsewhere)
        if account == self.account:
            return self.amount_minor - sum(others.values())
        return others.get(account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """What stands on this control account and was paid out over another one; negative where it is the other way round."""

    account: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the balance consists of. Amounts in minor units, debit positive.

    `open` are charges and refunds in no payout. `reserve_minor` is what the gateway keeps. `undetailed` are payouts whose file
    said nothing of their lines. `strange` are lines of payouts that were never booked, `differing` those booked with another
    amount. `covered` are the oldest charges and refunds where they are to the cent what the undetailed payouts come to.
    `elsewhere` are those that a payout took off another control account. `unexplained_minor` is what these parts leave
    of the balance: payouts whose lines are not all that was in them.
    """

    balance_minor: int
    open: tuple[BookedMovement, ...]
    reserve_minor: int
    undetailed: tuple[BookedPayout, ...]
    strange: tuple[PaidOutLine, ...]
    differing: tuple[tuple[BookedMovement, PaidOutLine], ...]
    elsewhere: tuple[Elsewhere, ...] = ()
    covered: tuple[BookedMovement, ...] = ()

    def with_transfer(self, other: str, amount_minor: int) -> Proof:
        """Return the proof after so much was booked by hand from this account to another one; negative: from that one to this."""
        moved = Counter({each.account: each.amount_minor for each in self.elsewhere})
        moved[other] -= amount_minor
        left = tuple(Elsewhere(account=account, amount_minor=amount) for account, amount in sorted(moved.items()) if amount)
        return replace(self, balance_minor=self.balance_minor - amount_minor, elsewhere=left)

    @property
    def unexplained_minor(self) -> int:
        """What the parts leave of the balance."""
        named = _sum((*self.open, *self.covered)) + self.reserve_minor
        named -= sum(each.amount_minor for each in self.undetailed) + sum(each.amount_minor for each in self.strange)
        named += sum(booked.amount_minor - line.amount_minor for booked, line in self.differing)
        named += sum(each.amount_minor for each in self.elsewhere)
        return self.balance_minor - named

    @property
    def is_sound(self) -> bool:
        """Whether everything on the account is where it should be."""
        return not (self.strange or self.differing or self.unexplained_minor)

    def older_than(self, day: date) -> list[BookedMovement]:
        """Return what the gateway has had since before a day, which it should have paid out by now.

        Which charges are in payouts whose file does not say so nobody knows: as long as these are as much, none is late.
        """
        late = [movement for movement in self.open if movement.day < day]
        paid_minor = sum(each.amount_minor for each in self.undetailed) - _sum(self.covered)
        return late if _sum(late) > paid_minor else []


@dataclass(slots=True)
class ProofMaker:
    """Takes what is on the control accounts of one gateway account and currency, in any order, and proves each."""

    movements: list[BookedMovement] = field(default_factory=list)
    payouts: list[BookedPayout] = field(default_factory=list)
    lines: list[PaidOutLine] = field(default_factory=list)

    @property
    def accounts(self) -> list[str]:
        """The control accounts that something stands on: several when the mapping named another one meanwhile."""
        named = {each.account for each in self.movements}
        named |= {account for each in self.payouts for account, _ in each.elsewhere}
        return sorted(named | {each.account for each in self.payouts if each.account is not None})

    def prove(self, account: str = "") -> Proof:
        """Lay what was booked on one account beside what was paid out. A movement is in one payout once."""
        pairs, strange = self._matched()
        settled = {movement.number for movement, _ in pairs}
        over = {each.number: each for each in self.payouts if each.account is not None}
        movements = [each for each in self.movements if each.account == account]
        payouts = [(each, off) for each in self.payouts if (off := each.off(account)) is not None]
        here = {number for number, payout in over.items() if payout.account == account}
        if account in self.accounts[:1]:
            here |= {each.number for each in self.payouts if each.account is None}
        waiting = sorted((each for each in movements if each.number not in settled), key=_age)
        undetailed = tuple(each for each, _ in payouts if not each.has_lines)
        covered = _covered(waiting, undetailed)
        return Proof(
            balance_minor=sum(each.amount_minor for each in movements) - sum(off for _, off in payouts),
            open=tuple(waiting[len(covered) :]),
            covered=covered,
            reserve_minor=-sum(each.amount_minor for each in self.lines if each.direction is None and each.payout in here),
            undetailed=undetailed,
            strange=tuple(each for each in _uncancelled(strange) if each.payout in here),
            differing=tuple(
                (movement, line)
                for movement, line in pairs
                if movement.amount_minor != line.amount_minor
                and (_place_of(movement, over[line.payout]) == account if line.payout in over else line.payout in here)
            ),
            elsewhere=tuple(
                Elsewhere(account=other, amount_minor=amount)
                for other, amount in sorted(_elsewhere(pairs, over, account).items())
                if amount
            ),
        )

    def _matched(self) -> tuple[list[tuple[BookedMovement, PaidOutLine]], list[PaidOutLine]]:
        """Return which movement each line of a payout is, and the lines that are none."""
        waiting: dict[tuple[Direction, str], list[BookedMovement]] = {}
        for movement in self.movements:
            if movement.gateway_id is not None:
                waiting.setdefault((movement.direction, movement.gateway_id), []).append(movement)
        pairs: list[tuple[BookedMovement, PaidOutLine]] = []
        strange: list[PaidOutLine] = []
        settled: set[str] = set()
        for line in self.lines:
            found = _taken(waiting, line.direction, line.ids, settled) if line.direction is not None else None
            if found is not None:
                settled.add(found.number)
                pairs.append((found, line))
            elif line.direction is not None:
                strange.append(line)
        return pairs, strange


def _sum(movements: Iterable[BookedMovement]) -> int:
    return sum(each.amount_minor for each in movements)


def _covered(waiting: Sequence[BookedMovement], undetailed: Sequence[BookedPayout]) -> tuple[BookedMovement, ...]:
    """Return the oldest movements that together are exactly what these payouts come to; none where no such sum is there.

    What came after the last payout is in none of them.
    """
    paid_minor = left_minor = sum(each.amount_minor for each in undetailed)
    last = max((each.day for each in undetailed), default=date.min)
    for count, movement in enumerate(waiting if paid_minor else (), 1):
        left_minor -= movement.amount_minor
        if movement.day > last:
            break
        if left_minor == 0:
            return tuple(waiting[:count])
    return ()


def _place_of(movement: BookedMovement, payout: BookedPayout) -> str | None:
    """Return the account that a payout took a movement off: the movement's own, where the payout has a part of it."""
    return movement.account if payout.off(movement.account) is not None else payout.account


def _elsewhere(
    pairs: Iterable[tuple[BookedMovement, PaidOutLine]], over: Mapping[str, BookedPayout], account: str
) -> Counter[str]:
    """Return by other account what stands on this one and was paid out there, less what stands there and was paid out here."""
    moved: Counter[str] = Counter()
    parts: Counter[tuple[str, str]] = Counter()
    for movement, line in pairs:
        payout = over.get(line.payout)
        if payout is None or movement.account == payout.account:
            continue
        if payout.off(movement.account) is not None:
            # Taken off where it stands, as far as the payout's part of that account goes.
            parts[line.payout, movement.account] += line.amount_minor
        elif movement.account == account:
            moved[payout.account or ""] += movement.amount_minor
        elif payout.account == account:
            moved[movement.account] -= movement.amount_minor
    for payout in over.values():
        for other, amount_minor in payout.elsewhere:
            beyond = parts[payout.number, other] - amount_minor
            if other == account:
                moved[payout.account or ""] += beyond
            elif payout.account == account:
                moved[other] -= beyond
    return moved


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
