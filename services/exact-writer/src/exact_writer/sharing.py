"""Which divisions a process should act in beside others: as many as each of them, and moved no more than that takes.

Every process decides by itself from what all can see: who is there, and who holds which division. That can be a second old and
differ between them; it decides only who tries. Who acts is decided by the division's lock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

# How long a division is left to a process that has fewer, and how long an imbalance must last before it is mended: shorter ones
# come and go while processes start and stop.
PATIENCE_SECONDS: Final = 2.0
# A division that was given back and that nobody took is not offered again for so long.
IN_VAIN_SECONDS: Final = 600.0


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """What is seen at one moment: this process, all that are there, and who holds the divisions that are held."""

    own: int
    present: frozenset[int]
    holders: Mapping[int, int]

    def load(self, process: int) -> int:
        """In how many divisions a process acts."""
        return sum(holder == process for holder in self.holders.values())

    @property
    def is_least_loaded(self) -> bool:
        """Whether no process that is there has fewer divisions than this one."""
        return self.load(self.own) <= min((self.load(each) for each in self.present), default=0)

    def surplus(self) -> int | None:
        """The division that this process should leave to another one, or None.

        Only the process that has most gives, one at a time, and only when that makes the difference smaller.
        """
        loads = {each: self.load(each) for each in self.present}
        if self.own not in loads or loads[self.own] - min(loads.values()) <= 1:
            return None
        if self.own != min(each for each, load in loads.items() if load == max(loads.values())):
            return None
        return max(division for division, holder in self.holders.items() if holder == self.own)


class Sharing:
    """Decides from the pictures of a process, one after the other, what it should take and what it should give."""

    def __init__(self, divisions: Collection[int]) -> None:
        self._divisions = sorted(divisions)
        self._free_since: dict[int, float] = {}
        self._uneven_since: float | None = None
        self._offered: set[int] = set()
        self._keeps_until = 0.0

    def to_take(self, picture: Picture, now: float) -> int | None:
        """A free division that this process should try to take, or None. `now` only has to go forward (seconds)."""
        for division in self._divisions:
            if division in picture.holders:
                self._free_since.pop(division, None)
                if picture.holders[division] != picture.own:
                    self._offered.discard(division)
        free = [division for division in self._divisions if division not in picture.holders]
        for division in free:
            since = self._free_since.setdefault(division, now)
            is_left_lying = now - since >= PATIENCE_SECONDS
            if is_left_lying or (picture.is_least_loaded and division not in self._offered):
                return division
        return None

    def took(self, division: int, now: float) -> None:
        """This process holds a division now."""
        self._free_since.pop(division, None)
        if division in self._offered:
            self._offered.discard(division)
            self._keeps_until = now + IN_VAIN_SECONDS

    def to_give(self, picture: Picture, now: float) -> int | None:
        """The division that this process should give back now, or None."""
        division = picture.surplus()
        if division is None or now < self._keeps_until:
            self._uneven_since = None
            return None
        if self._uneven_since is None:
            self._uneven_since = now
        if now - self._uneven_since < PATIENCE_SECONDS:
            return None
        self._uneven_since = None
        self._offered.add(division)
        return division
