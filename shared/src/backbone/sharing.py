"""Which parts (divisions, partitions) a process should have beside others: as many as each, and moved no more than that takes.

Every process decides by itself from what all can see: who is there, and who holds which part. That can be a second old and
differ between them; it decides only who tries. Who acts is decided by the part's lock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

# How long a part is left to a process that has fewer, and how long an imbalance must last before it is mended: shorter ones
# come and go while processes start and stop.
PATIENCE_SECONDS: Final = 2.0
# A part that was given back and that nobody took is not offered again for so long.
IN_VAIN_SECONDS: Final = 600.0


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """What is seen at one moment: this process, all that are there, and who holds the parts that are held.

    A process that is cut off from the broker, and so gets no messages, is not among those that are there.
    """

    own: int
    present: frozenset[int]
    holders: Mapping[int, int]

    def load(self, process: int) -> int:
        """How many parts a process has."""
        return sum(holder == process for holder in self.holders.values())

    @property
    def is_least_loaded(self) -> bool:
        """Whether this process is there, and no other that is has fewer parts."""
        return self.own in self.present and self.load(self.own) <= min(self.load(each) for each in self.present)

    def surplus(self) -> int | None:
        """The part that this process should leave to another one, or None.

        Only the process that has most gives, one at a time, and only when that makes the difference smaller. One that is not
        there gives to whoever is.
        """
        loads = {each: self.load(each) for each in self.present}
        if not loads:
            return None
        if self.own in loads:
            gives = min(each for each, load in loads.items() if load == max(loads.values()))
            if self.own != gives or loads[self.own] - min(loads.values()) <= 1:
                return None
        return max((part for part, holder in self.holders.items() if holder == self.own), default=None)


class Sharing:
    """Decides from the pictures of a process, one after the other, what it should take and what it should give."""

    def __init__(self, parts: Collection[int]) -> None:
        self._parts = sorted(parts)
        self._free_since: dict[int, float] = {}
        self._uneven_since: float | None = None
        self._offered: set[int] = set()
        self._keeps_until = 0.0

    def to_take(self, picture: Picture, now: float) -> int | None:
        """A free part that this process should try to take, or None. `now` only has to go forward (seconds)."""
        for part in self._parts:
            if part in picture.holders:
                self._free_since.pop(part, None)
                if picture.holders[part] != picture.own:
                    self._offered.discard(part)
        free = [part for part in self._parts if part not in picture.holders]
        for part in free:
            since = self._free_since.setdefault(part, now)
            is_left_lying = now - since >= PATIENCE_SECONDS
            if is_left_lying or (picture.is_least_loaded and part not in self._offered):
                return part
        return None

    def took(self, part: int, now: float) -> None:
        """This process holds a part now."""
        self._free_since.pop(part, None)
        if part in self._offered:
            self._offered.discard(part)
            self._keeps_until = now + IN_VAIN_SECONDS

    def to_give(self, picture: Picture, now: float) -> int | None:
        """The part that this process should give back now, or None."""
        part = picture.surplus()
        if part is None or now < self._keeps_until:
            self._uneven_since = None
            return None
        if self._uneven_since is None:
            self._uneven_since = now
        if now - self._uneven_since < PATIENCE_SECONDS:
            return None
        self._uneven_since = None
        self._offered.add(part)
        return part
