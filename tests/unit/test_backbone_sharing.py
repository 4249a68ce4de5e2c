"""How the divisions are spread over processes that come, go and hang, each deciding by itself from a picture a second old."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest

from backbone.sharing import IN_VAIN_SECONDS, PATIENCE_SECONDS, Picture, Sharing

SETTLED_SECONDS = 60


class World:
    """Processes that look once a second, and the locks of the divisions."""

    def __init__(self, divisions: int, seed: int = 0) -> None:
        self.divisions = range(1, divisions + 1)
        self.processes: dict[int, Sharing] = {}
        self.holders: dict[int, int] = {}
        self.deaf: set[int] = set()  # those that are there and take nothing
        self.cut_off: set[int] = set()  # those that the broker does not reach
        self.moves = 0
        self.longest_free = 0.0
        self._now = 0.0
        self._free_since = dict.fromkeys(self.divisions, 0.0)
        self._random = random.Random(seed)

    def join(self, process: int) -> None:
        self.processes[process] = Sharing(self.divisions)

    def die(self, process: int) -> None:
        del self.processes[process]
        self._free([division for division, holder in self.holders.items() if holder == process])

    def loads(self) -> list[int]:
        counted = Counter(self.holders.values())
        return sorted(counted[process] for process in self.processes)

    def pass_(self, seconds: float) -> None:
        """Let every process look once a second, in any order, half of them at what was there before the others acted."""
        until = self._now + seconds
        while self._now < until:
            self._now += 1.0
            before = dict(self.holders)
            for process in self._random.sample(sorted(self.processes), len(self.processes)):
                self._act(process, before if self._random.random() < 0.5 else dict(self.holders))

    def _act(self, process: int, seen: dict[int, int]) -> None:
        sharing = self.processes[process]
        picture = Picture(own=process, present=frozenset(self.processes) - self.cut_off, holders=seen)
        if process in self.deaf:
            return
        while (division := sharing.to_take(picture, self._now)) is not None:
            if division not in self.holders:
                self.holders[division] = process
                self.longest_free = max(self.longest_free, self._now - self._free_since[division])
                sharing.took(division, self._now)
            picture = msgspec.structs.replace(picture, holders={**picture.holders, division: self.holders[division]})
        given = sharing.to_give(picture, self._now)
        if given is not None and self.holders.get(given) == process:
            self.moves += 1
            self._free([given])

    def _free(self, divisions: list[int]) -> None:
        for division in divisions:
            del self.holders[division]
            self._free_since[division] = self._now


@pytest.mark.parametrize("seed", range(12))
def test_whoever_comes_and_goes_the_divisions_are_soon_spread_evenly_and_then_stay(seed: int):
    chance = random.Random(seed)
    world = World(chance.randint(1, 12), seed)
    world.join(1)
    for newest in range(2, 8):
        if len(world.processes) > 1 and chance.random() < 0.5:
            world.die(chance.choice(sorted(world.processes)))
        else:
            world.join(newest)
        world.pass_(SETTLED_SECONDS)
        assert len(world.holders) == len(world.divisions)
        assert world.loads()[-1] - world.loads()[0] <= 1
        settled = dict(world.holders)
        world.pass_(2 * SETTLED_SECONDS)
        assert world.holders == settled
    assert world.longest_free <= PATIENCE_SECONDS + 1


def test_a_new_process_gets_its_share_and_nothing_else_moves():
    world = World(6)
    world.join(1)
    world.join(2)
    world.pass_(SETTLED_SECONDS)
    before, moves = dict(world.holders), world.moves
    world.join(3)
    world.pass_(SETTLED_SECONDS)
    moved = [division for division in world.divisions if world.holders[division] != before[division]]
    assert {world.holders[division] for division in moved} == {3}
    assert world.moves - moves == len(moved) == 2


def test_what_is_given_to_a_process_that_takes_nothing_is_taken_back_and_kept():
    world = World(4)
    world.join(1)
    world.pass_(5)
    world.join(2)
    world.deaf = {2}
    world.pass_(IN_VAIN_SECONDS / 2)
    assert world.holders == dict.fromkeys(world.divisions, 1)
    assert world.moves == 1
    assert world.longest_free <= PATIENCE_SECONDS + 1


def test_a_process_that_is_there_and_takes_nothing_leaves_no_division_lying():
    world = World(4)
    for process in (1, 2, 3):
        world.join(process)
    world.pass_(SETTLED_SECONDS)
    world.deaf = {3}
    world.die(1)
    world.pass_(PATIENCE_SECONDS + 2)
    assert len(world.holders) == len(world.divisions)


def test_a_process_that_is_cut_off_from_the_broker_leaves_its_divisions_to_one_that_is_not_but_none_lies_idle():
    world = World(4)
    for process in (1, 2, 3):
        world.join(process)
    world.pass_(SETTLED_SECONDS)
    world.cut_off = {1}
    world.pass_(SETTLED_SECONDS)
    assert set(world.holders.values()) == {2, 3}
    world.cut_off = {1, 2, 3}
    before = dict(world.holders)
    world.pass_(SETTLED_SECONDS)
    assert world.holders == before
    world.die(2)
    world.pass_(PATIENCE_SECONDS + 2)
    assert len(world.holders) == len(world.divisions)
